# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._gateway_plan import gateway_plan
from ansible_collections.servicemesh.tcp.plugins.plugin_utils._plain import plain_list, plain_state

NAME = "gateway_steps"


def gateway_steps(
    gateways: Any,
    state: Any,
    set: str = "default",
    gateways_state: str = "present",
    namespace_state: str = "required",
) -> dict[str, Any]:
    """Plan the gateways' workloads; see gateway_steps.yml."""
    return gateway_plan(
        plain_list(NAME, "the input", gateways),
        plain_state(NAME, state),
        set_name=str(set),
        gateways_state=str(gateways_state),
        namespace_state=str(namespace_state),
    )


class FilterModule:
    """Ansible filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {NAME: gateway_steps}
