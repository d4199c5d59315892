# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole plan of one set: its gateways' workloads, its ports, or its withdrawal.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import errors
from ansible_collections.servicemesh.tcp.plugins.module_utils._plan import (
    exposure_plan,
    gateway_plan,
    withdrawal_plan,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map


def publication(wanted: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    """Plan what C(tcp_publish) was asked for: C({ports, steps, findings, withdrawn}).

    C(wanted) are the module's options. With an error among the findings there are no steps.
    """
    set_name = wanted["set"]
    if wanted["state"] == "absent":
        return {"ports": [], **withdrawal_plan(state, set_name, wanted["withdraw"])}
    mapped = port_map(
        wanted["ports"],
        wanted["gateways"],
        state,
        set_name=set_name,
        cluster_domain=wanted["cluster_domain"],
        namespace_state=wanted["namespace_state"],
        planned_services=wanted["planned_services"],
        prune=wanted["prune"],
        adopt=wanted["adopt"],
    )
    plan = exposure_plan(mapped, state, set_name, wanted["prune"], wanted["allow_withdraw"], wanted["source"])
    steps, findings = plan["steps"], plan["findings"]
    if wanted["gateways_state"] == "present":
        workloads = gateway_plan(wanted["gateways"], state, set_name, namespace_state=wanted["namespace_state"])
        steps = [*workloads["steps"], *steps]
        # Both look at the gateways, and what both find is said once.
        findings = list({str(sorted(item.items())): item for item in [*findings, *workloads["findings"]]}.values())
    return {**plan, "steps": [] if errors(findings) else steps, "findings": findings}
