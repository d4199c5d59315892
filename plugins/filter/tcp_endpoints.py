# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.servicemesh.tcp.plugins.module_utils._endpoints import endpoints
from ansible_collections.servicemesh.tcp.plugins.plugin_utils._plain import plain_list

NAME = "tcp_endpoints"


def tcp_endpoints(
    ports: Any,
    services: Any,
    nodes: Any = (),
    results: Any = (),
    cluster: str = "",
    probed: Any = True,
    planned: Any = False,
) -> list[dict[str, Any]]:
    """Return where each port answers and how that is proven; see tcp_endpoints.yml."""
    return endpoints(
        plain_list(NAME, "the input", ports),
        plain_list(NAME, "services", services),
        plain_list(NAME, "nodes", nodes),
        plain_list(NAME, "results", results),
        cluster=str(cluster),
        probed=boolean(probed),
        planned=boolean(planned),
    )


class FilterModule:
    """Ansible filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {NAME: tcp_endpoints}
