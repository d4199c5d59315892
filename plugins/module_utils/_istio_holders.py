# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds what on a gateway's pods, and who gets in whose way elsewhere: what the planner asks of the Istio model.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio import WILDCARD, World
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_merge import BINDS_SINCE, Server, servers_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_mesh import plane_of, release
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_names import age_key
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_ports import translations
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import (
    GATEWAY_LABEL,
    SET_LABEL,
    gateway_pod_labels,
    gateway_selector,
    is_ours,
    set_object_name,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._texts import some

REASONS = {
    "port": "is older and has the port",
    "host": "is older and has the host",
    "sni": "has the name in a rule that comes first",
    "name": "has a server whose port has the same name",
    # The agent reports ready only once Envoy took all of its listeners (istio pilot/cmd/pilot-agent/status/ready).
    "refused": (
        "has a server that takes the same connections, so Envoy refuses the listener of both, and no new pod of the"
        " gateway becomes ready"
    ),
}


class Holder(str):
    """Who has a port, as text.

    C(loses_to) is a Gateway of ours that is older and would take it from him, or ''. C(adoption) says what keeps the
    port from being adopted, '' where nothing does, and V(None) where that was not asked.
    """

    __slots__ = ("adoption", "loses_to")

    def __new__(cls, text: str, loses_to: str = "", adoption: str | None = None) -> Holder:
        """Make the text of a holder."""
        made = super().__new__(cls, text)
        made.loses_to = loses_to
        made.adoption = adoption
        return made


def foreign_listeners(
    world: World, gateway: Mapping[str, Any], set_name: str
) -> tuple[dict[int, Holder], dict[int, Holder]]:
    """Return who else holds server numbers and listener ports on a gateway's pods.

    A server holds both, whether it has a route or not: istiod drops a later one before it looks for routes. A younger
    server on a number that the set's own Gateway has is left out, since Istio keeps the set's. A Service of somebody
    else that translates a number for the same pods, and is older than the front Service, holds the number.
    """
    numbers: dict[int, Holder] = {}
    targets: dict[int, Holder] = {}
    own = own_gateway(world, gateway, set_name)
    own_numbers = {server["port"] for server in own["servers"]} if own else set()
    for workload in pods_of(world, gateway):
        translated = translations(world.services_of(workload))
        version = release(plane_of(workload, world.state))
        for item in world.gateways_of(workload):
            if item is own:
                continue
            loses = own is not None and age_key(own) < age_key(item)
            holder = Holder(gateway_text(item), gateway_text(own) if loses and own else "")
            for server in servers_of(item):
                if (loses and server.number in own_numbers) or not is_in_the_way(server, version):
                    continue
                numbers.setdefault(server.number, holder)
                targets.setdefault(translated.get(server.number, (server.number,))[0], holder)
        for number, (target, service) in translated.items():
            if target != number and not _is_front(service, gateway):
                numbers.setdefault(number, Holder(service_text(service, number, target)))
    return numbers, targets


def own_gateway(world: World, gateway: Mapping[str, Any], set_name: str) -> Mapping[str, Any] | None:
    """Return the Istio Gateway of a set on a gateway."""
    place = (gateway["namespace"], set_object_name(gateway["name"], set_name))
    return next((item for item in world.state["gateways"] if (item["namespace"], item["name"]) == place), None)


def pods_of(world: World, gateway: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the workloads of a gateway as they run, or as they would if they did."""
    selector = gateway.get("selector")
    wanted = (selector or gateway_selector(gateway["name"], gateway["namespace"])).items()
    found = [
        item
        for item in world.state.get("workloads", ())
        if item["namespace"] == gateway["namespace"] and wanted <= item["labels"].items()
    ]
    planned = {
        "name": gateway["name"],
        "namespace": gateway["namespace"],
        "labels": selector or gateway_pod_labels(gateway["name"], gateway["namespace"]),
        "revision": gateway.get("mesh") or "",
    }
    return found or [planned]


def is_in_the_way(server: Server, version: tuple[int, int]) -> bool:
    """Tell whether a server meets ours, which bind every address: one with an address of its own is apart."""
    return server.bind in ("", WILDCARD, "::") or version < BINDS_SINCE


def _is_front(service: Mapping[str, Any], gateway: Mapping[str, Any]) -> bool:
    """Tell whether a Service is one of a gateway's own."""
    if (service["namespace"], service["name"]) == (gateway["namespace"], gateway["name"]):
        return True
    return is_ours(service["labels"]) and service["labels"].get(GATEWAY_LABEL) == gateway["name"]


def gateway_text(item: Mapping[str, Any]) -> str:
    """Name an Istio Gateway with whose it is and since when: C(set 'a' (Gateway b/c, created ...))."""
    where = f"Gateway {item['namespace']}/{item['name']}"
    since = f"created {item['created']}" if item["created"] else ""
    if is_ours(item["labels"]) and item["labels"].get(SET_LABEL):
        return f"set {item['labels'][SET_LABEL]!r} ({', '.join(filter(None, (where, since)))})"
    return f"{where} ({since})" if since else where


def service_text(service: Mapping[str, Any], number: int, target: int) -> str:
    """Name a Service that translates a number for pods that are not its owner's alone."""
    since = f", created {service['created']}," if service["created"] else ""
    return f"Service {service['namespace']}/{service['name']}{since} which leads {number} to {target} on the same pods"


def clashes_elsewhere(world: World, set_name: str) -> list[dict[str, str]]:
    """Warn of servers of others that get no listener because somebody has their port or name: nobody else tells them.

    What the set itself loses is not among them; its records are refused one by one.
    """
    by_place = {f"{item['namespace']}/{item['name']}": item for item in world.state["gateways"]}
    found: dict[tuple[str, str, str], dict[str, set[Any]]] = defaultdict(lambda: {"ports": set(), "pods": set()})
    for key, workload in world.workloads().items():
        for row in world.table(workload)[1]:
            if row["winner"] and not _is_of(by_place[row["gateway"]], set_name):
                entry = found[(row["gateway"], row["winner"], row["reason"])]
                entry["ports"].add(row["number"])
                entry["pods"].add(key)
    return [
        finding(
            "CLASH_ELSEWHERE",
            gateway_text(by_place[loser]),
            ports=some(sorted(entry["ports"])),
            pods=some(sorted(entry["pods"])),
            winner=gateway_text(by_place[winner]),
            reason=REASONS[reason],
        )
        for (loser, winner, reason), entry in sorted(found.items())
    ]


def _is_of(item: Mapping[str, Any], set_name: str) -> bool:
    return is_ours(item["labels"]) and item["labels"].get(SET_LABEL) == set_name


def unseen(state: Mapping[str, Any]) -> list[dict[str, str]]:
    """Note what could not be read, so that clashes there stay unseen."""
    paths = state["mesh"].get("unread") or []
    return [finding("MESH_UNSEEN", f"cluster {state['cluster']['host']}", paths=", ".join(paths))] if paths else []
