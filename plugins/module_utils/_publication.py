# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole plan of one set: its gateways' workloads, its ports, or its withdrawal.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._endpoint_maps import with_endpoint_maps
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import errors
from ansible_collections.servicemesh.tcp.plugins.module_utils._gateway_plan import workload_steps
from ansible_collections.servicemesh.tcp.plugins.module_utils._gateways import read_gateways
from ansible_collections.servicemesh.tcp.plugins.module_utils._ownership import is_foreign, referring
from ansible_collections.servicemesh.tcp.plugins.module_utils._plan import exposure_plan, withdrawal_plan
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View


def publication(wanted: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    """Plan what C(tcp_publish) was asked for: C({ports, steps, findings, withdrawn, closed}).

    C(wanted) are the module's options. With an error among the findings there are no steps.
    """
    set_name = wanted["set"]
    if wanted["state"] == "absent":
        view = View(state)
        return with_endpoint_maps({"ports": [], **withdrawal_plan(view, set_name, wanted["withdraw"])}, wanted, view)
    view = View(state, wanted["planned_services"])
    mapped = port_map(
        wanted["ports"],
        wanted["gateways"],
        view,
        set_name=set_name,
        cluster_domain=wanted["cluster_domain"],
        namespace_state=wanted["namespace_state"],
        prune=wanted["prune"],
        adopt=wanted["adopt"],
    )
    plan = exposure_plan(mapped, view, set_name, wanted["prune"], wanted["allow_withdraw"], wanted["source"])
    if not errors(plan["findings"]):
        # The port map has read and checked the gateways. Of somebody else's nothing is made, only noted.
        present = wanted["gateways_state"] == "present"
        read = referring(read_gateways(wanted["gateways"])[0], view, set_name)
        gateways = [item for item in read if present or is_foreign(item)]
        workloads = workload_steps(gateways, view, set_name, wanted["namespace_state"])
        plan = with_endpoint_maps({**plan, "steps": [*workloads, *plan["steps"]]}, wanted, view)
    return plan
