# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.plugins.plugin_utils._plain import plain_list, plain_state

NAME = "gateway_port_map"


def gateway_port_map(
    ports: Any,
    gateways: Any,
    state: Any = None,
    set: str = "default",
    cluster_domain: str = "cluster.local",
    namespace_state: str = "required",
    planned_services: Any = (),
    prune: Any = True,
) -> dict[str, Any]:
    """Compute the port map of a set; see gateway_port_map.yml."""
    return port_map(
        plain_list(NAME, "the input", ports),
        plain_list(NAME, "gateways", gateways),
        plain_state(NAME, state) if state is not None else None,
        set_name=str(set),
        cluster_domain=str(cluster_domain),
        namespace_state=str(namespace_state),
        planned_services=plain_list(NAME, "planned_services", planned_services),
        prune=boolean(prune),
    )


class FilterModule:
    """Ansible filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {NAME: gateway_port_map}
