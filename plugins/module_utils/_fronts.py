# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The front Services of a gateway: which there are, and which port goes to which of them.

A gateway has one front Service of its own name, and with C(service.max_ports) as many further ones on the same pods as
its ports need. A port number stands on one of them only: Istio translates a server's number by the first Service that
has it (istio pilot/pkg/model/gateway.go, resolvePorts).

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._names import front_name, set_manager
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import HEALTH_PORT

# The health port stands on every front Service, so that a load balancer can check it.
OWN_PORTS = 1


def spread(
    gateway: str,
    ports: Iterable[int],
    here: Mapping[int, str],
    counts: Mapping[str, int],
    max_ports: int | None,
    taken: Collection[str] = (),
) -> dict[int, str]:
    """Return the name of the front Service for each port.

    A port stays on the Service that has it (C(here)); the others go, by number, to the first with room. C(counts) says
    how many ports each Service carries already, whoever owns them and whether or not they leave in this run; C(taken)
    are names that are not the gateway's to use. The number of ports of one owner does not move those of another.
    """
    result: dict[int, str] = {}
    new = []
    for port in sorted(set(ports)):
        if port in here:
            result[port] = here[port]
        else:
            new.append(port)
    names = (front_name(gateway, number) for number in itertools.count(1))
    usable = (name for name in names if name not in taken)
    name, count = "", 0
    for port in new:
        while not name or (max_ports is not None and count >= max_ports):
            name = next(usable)
            count = counts.get(name, OWN_PORTS)
        result[port] = name
        count += 1
    return result


def place_ports(
    ports: Iterable[Mapping[str, Any]], gateways: Sequence[Mapping[str, Any]], view: View | None, set_name: str
) -> list[dict[str, Any]]:
    """Return the entries of a port map with the front Service that each port goes to, as C(service)."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for port in ports:
        numbers[port["gateway"]].append(port["port"])
    placed = {
        gateway["name"]: _place(gateway, numbers[gateway["name"]], gateways, view, set_name)
        for gateway in gateways
        if gateway["name"] in numbers
    }
    return [{**port, "service": placed[port["gateway"]][port["port"]]} for port in ports]


def _place(
    gateway: Mapping[str, Any],
    numbers: Iterable[int],
    gateways: Iterable[Mapping[str, Any]],
    view: View | None,
    set_name: str,
) -> dict[int, str]:
    """Spread one gateway's ports with what the cluster shows of its front Services."""
    namespace, name = gateway["namespace"], gateway["name"]
    taken = {item["name"] for item in gateways if item["namespace"] == namespace} - {name}
    here: dict[int, str] = {}
    counts: dict[str, int] = {}
    if view is not None:
        fronts = view.front_services(gateway)
        for front in fronts:
            # A port that others have, and that is asked for all the same, is shared by name, and stays where it is.
            here.update({port["port"]: front["name"] for port in front["ports"] if port["port"] not in here})
        for front in fronts:
            own = front["managers"].get(set_manager(set_name), [])
            here.update(dict.fromkeys(own, front["name"]))
            counts[front["name"]] = len(front["ports"])
        taken |= {other for place, other in view.services if place == namespace} - {*counts, name}
    return spread(name, numbers, here, counts, gateway["service"]["max_ports"], taken)


def fronts_after(
    gateways: Iterable[Mapping[str, Any]], listeners: Iterable[Mapping[str, Any]], view: View, set_name: str
) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return the front Services of each gateway as they are after a run of a set, by the gateway's place.

    Each is C({gateway, namespace, name, ports, observed}), with C(ports) a list of C({port, name, node_port}) of all
    owners, and C(observed) the projected Service or V(None). Only gateways on which the set publishes are among them.
    """
    own: dict[tuple[str, str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for item in listeners:
        own[(item["namespace"], item["gateway"], item["service"])].append(item)
    result: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for gateway in gateways:
        place = (gateway["namespace"], gateway["name"])
        result[place] = [
            _front(name, place, own[(*place, name)], view, set_name)
            for namespace, of_gateway, name in sorted(own)
            if (namespace, of_gateway) == place
        ]
    return {place: fronts for place, fronts in result.items() if fronts}


def _front(
    name: str, place: tuple[str, str], own: Iterable[Mapping[str, Any]], view: View, set_name: str
) -> dict[str, Any]:
    """Put one front Service together: what others have on it, and what the set will have."""
    namespace, gateway = place
    observed = view.services.get((namespace, name))
    ports = [{"port": HEALTH_PORT, "name": "status-port", "node_port": None}]
    if observed:
        mine = set(observed["managers"].get(set_manager(set_name), []))
        ports = [_port(item, item["name"]) for item in observed["ports"] if item["port"] not in mine]
    there = {item["port"] for item in ports}
    ports += [_port(item, item["port_name"]) for item in own if not item.get("lent") and item["port"] not in there]
    return {"gateway": gateway, "namespace": namespace, "name": name, "ports": ports, "observed": observed}


def _port(item: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a port of a front Service."""
    return {"port": item["port"], "name": name, "node_port": item["node_port"]}
