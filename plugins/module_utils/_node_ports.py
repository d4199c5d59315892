# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many node ports a run needs, and how many the cluster has left.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View

Front = Mapping[str, Any]
# kubernetes, pkg/kubeapiserver/options/options.go, DefaultServiceNodePortRange: 2,768 of them in a cluster.
NODE_PORTS = (30000, 32767)
NODE_PORTS_SOURCE = "kube-apiserver --service-node-port-range, its default"


def check_node_ports_left(
    gateways: Iterable[Mapping[str, Any]], fronts: Iterable[Front], view: View, set_name: str
) -> list[dict[str, str]]:
    """Count the node ports that a run needs against those that are free.

    Ports that a run closes give theirs back only at its end, so they count as taken.
    """
    wanted = {(item["namespace"], item["name"]): item["service"] for item in gateways}
    need = sum(_new_node_ports(wanted[(front["namespace"], front["gateway"])], front) for front in fronts)
    if not need:
        return []
    given = [service["limits"]["node_ports"] for service in wanted.values() if "node_ports" in service["limits"]]
    low, high = given[0] if given else NODE_PORTS
    numbers = range(low, high + 1)
    held = {place: _node_ports_of(service, numbers) for place, service in view.services.items()}
    free = len(numbers) - sum(held.values())
    if need <= free:
        return []
    most = sorted(((count, place) for place, count in held.items() if count), key=lambda item: (-item[0], item[1]))
    return [
        finding(
            "NODE_PORTS_EXHAUSTED",
            f"set {set_name!r}",
            need=need,
            free=free,
            total=len(numbers),
            low=low,
            high=high,
            holders=", ".join(f"{'/'.join(place)} with {count}" for count, place in most[:3]) or "nobody",
            source="service.limits.node_ports" if given else NODE_PORTS_SOURCE,
        )
    ]


def _new_node_ports(wanted: Mapping[str, Any], front: Front) -> int:
    """Return how many node ports Kubernetes will give to a front Service that it does not have yet."""
    if wanted["type"] == "ClusterIP" or (wanted["type"] == "LoadBalancer" and not wanted["allocate_node_ports"]):
        return 0
    observed = front["observed"] or {"ports": []}
    has = {item["port"] for item in observed["ports"] if item["node_port"]}
    health = wanted["type"] == "LoadBalancer" and wanted["external_traffic_policy"] == "Local"
    first = 1 if health and not observed.get("health_check_node_port") else 0
    return first + sum(1 for item in front["ports"] if item["port"] not in has)


def _node_ports_of(service: Mapping[str, Any], numbers: range) -> int:
    """Return how many node ports of the range a Service holds, its health check's included."""
    held = [item["node_port"] for item in service["ports"]] + [service.get("health_check_node_port")]
    return sum(1 for number in held if number and number in numbers)
