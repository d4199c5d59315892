# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what a run would leave behind fits: into load balancers, node ports and stored objects.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._fronts import fronts_after
from ansible_collections.servicemesh.tcp.plugins.module_utils._limits import check_load_balancers
from ansible_collections.servicemesh.tcp.plugins.module_utils._node_ports import check_node_ports_left
from ansible_collections.servicemesh.tcp.plugins.module_utils._object_sizes import check_sizes
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View


def check_capacity(
    gateways: Sequence[Mapping[str, Any]],
    listeners: Iterable[Mapping[str, Any]],
    steps: Iterable[Mapping[str, Any]],
    view: View,
    set_name: str,
) -> list[dict[str, str]]:
    """Hold all that a set has after a run, and what others have beside it, against every limit."""
    by_gateway = fronts_after(gateways, listeners, view, set_name)
    findings = []
    for gateway in gateways:
        fronts = by_gateway.get((gateway["namespace"], gateway["name"]), [])
        findings += check_load_balancers(gateway, fronts, view) + _check_max_ports(gateway, fronts)
    all_fronts = [front for fronts in by_gateway.values() for front in fronts]
    findings += check_node_ports_left(gateways, all_fronts, view, set_name)
    return findings + check_sizes(gateways, all_fronts, steps)


def _check_max_ports(gateway: Mapping[str, Any], fronts: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Name the front Services that have more ports than their gateway's definition says by now."""
    bound = gateway["service"]["max_ports"]
    return [
        finding("MAX_PORTS_EXCEEDED", f"Service {front['namespace']}/{front['name']}", count=count, max_ports=bound)
        for front in fronts
        if bound is not None and (count := len(front["ports"])) > bound
    ]
