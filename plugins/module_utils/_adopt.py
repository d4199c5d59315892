# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Adoption: take over ports that somebody published by hand, without cutting a session.

Our own server and rule are written beside the hand-made ones, which are older and so keep the listener; then those are
taken away. Envoy is given an equal listener, so it does not drain (seen on the lab: a session lived through the removal
of the hand-made Gateway, through that of its VirtualService, and through a new name of the Service's port).

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_holders import pods_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_names import age_key
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import KINDS
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import host_of, is_ours, manager_set
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View

Place = tuple[str, str]


class Adoption:
    """What of a gateway's ports was made by hand, and may be taken over."""

    def __init__(self, view: View, gateway: Mapping[str, Any], set_name: str, cluster_domain: str) -> None:
        self._view, self._gateway, self._domain = view, gateway, cluster_domain
        self._world = view.world
        self._pods = pods_of(view.world, gateway)
        selecting = sorted(
            {id(item): item for pods in self._pods for item in view.world.gateways_of(pods)}.values(), key=age_key
        )
        self._made = hand_made(selecting, view.virtual_services.values())
        self._targets = {
            port["port"]: port["target_port"]
            for service in view.front_services(gateway)
            for port in service["ports"]
            if isinstance(port["target_port"], int)
        }
        self._of_sets = {
            port
            for service in view.front_services(gateway)
            for manager, ports in service["managers"].items()
            if manager_set(manager) not in (None, set_name)
            for port in ports
        }

    def is_made(self, port: int | None) -> bool:
        """Tell whether somebody has a server for a port by hand."""
        return port in self._made

    def judge(self, entry: Mapping[str, Any]) -> str | None:
        """Say what keeps a port from being adopted, '' where nothing does, V(None) where nobody made it by hand."""
        port, backend = entry["port"], entry["backend"]
        made = self._made.get(port)
        if port in self._of_sets or (made is None and port not in self._targets):
            return None
        target = self._targets.get(port, port)
        if entry["target_port"] not in (None, target):
            return f"it listens on {target}, and the record asks for {entry['target_port']}"
        if made is None:
            # A bare port of the Service leads nowhere, so that nobody is told of it unasked.
            return "" if entry["adopt"] else None
        others = [
            f"{pods['namespace']}/{pods['name']}"
            for pods in self._world.workloads().values()
            if pods not in self._pods and any(item is made["gateway"] for item in self._world.gateways_of(pods))
        ]
        if others:
            return f"its selector also takes the pods of {', '.join(others)}"
        host = host_of(backend["service"], backend["namespace"], self._domain)
        return difference(port, host, backend["port"], made, self._domain)

    def taken(self, port: int) -> dict[str, Any]:
        """Return what is taken over with a port: its target port, and where its server and its rule stand."""
        made = self._made.get(port)
        place = {"gateway": None, "virtual_service": None}
        if made:
            virtual = made["rules"][0][0]
            place = {
                "gateway": (made["gateway"]["namespace"], made["gateway"]["name"]),
                "virtual_service": (virtual["namespace"], virtual["name"]),
            }
        return {"target_port": self._targets.get(port, port), **place}


def hand_made(
    selecting: Iterable[Mapping[str, Any]], virtual_services: Iterable[Mapping[str, Any]]
) -> dict[int, dict[str, Any]]:
    """Return the hand-made exposure of each port: C({gateway, server, rules, servers}).

    C(selecting) are the Istio Gateways that select a gateway's pods, oldest first: Istio keeps the first server of a
    port (istio pilot/pkg/model/gateway.go, mergeGateways). C(rules) are those for the port, with their VirtualService.
    """
    by_gateway: dict[Place, list[Mapping[str, Any]]] = defaultdict(list)
    for item in virtual_services:
        for name in item["gateways"]:
            namespace, _slash, short = name.rpartition("/")
            by_gateway[(namespace or item["namespace"], short)].append(item)
    found: dict[int, dict[str, Any]] = {}
    for item in selecting:
        if is_ours(item["labels"]):
            continue
        bound = by_gateway[(item["namespace"], item["name"])]
        for server in item["servers"]:
            if server["port"] not in found:
                rules = [
                    (virtual, rule) for virtual in bound for rule in virtual["tcp"] if _names(rule, server["port"])
                ]
                found[server["port"]] = {"gateway": item, "server": server, "rules": rules}
    return found


def _names(rule: Mapping[str, Any], port: int) -> bool:
    """Tell whether a rule is for a port; one without a match is for every port (gateway.go, l4SingleMatch)."""
    return not rule["ports"] or port in rule["ports"] or None in rule["ports"]


def difference(port: int, host: str, backend_port: int, made: Mapping[str, Any], cluster_domain: str) -> str:
    """Say what keeps a hand-made exposure from being equal to a record's, '' where they are equal."""
    server = made["server"]
    if server["protocol"] != "TCP":
        return f"its server speaks {server['protocol'] or 'no protocol'}"
    if server["bind"]:
        return f"its server is bound to {server['bind']}"
    if len(made["rules"]) != 1:
        return f"{len(made['rules'])} rules of VirtualServices are for port {port}"
    virtual, rule = made["rules"][0]
    if rule["ports"] != [port]:
        return f"the rule of VirtualService {_text(virtual)} is for more than port {port}"
    if len(rule["destinations"]) != 1:
        return f"its rule has {len(rule['destinations'])} destinations"
    destination = rule["destinations"][0]
    if destination.get("subset"):
        return f"its destination is subset {destination['subset']}"
    theirs = full_host(destination["host"], virtual["namespace"], cluster_domain)
    if (theirs, destination["port"]) not in ((host, backend_port), (host, None)):
        return f"it leads to {theirs}:{destination['port']}"
    return ""


def full_host(host: str, namespace: str, cluster_domain: str) -> str:
    """Return a destination's full name; Istio completes a short one with the VirtualService's namespace.

    (istio pkg/config/resource, ResolveShortnameToFQDN)
    """
    return host if "." in host else f"{host}.{namespace}.svc.{cluster_domain}"


def _text(item: Mapping[str, Any]) -> str:
    """Return namespace/name."""
    return f"{item['namespace']}/{item['name']}"


def adoption_steps(
    ports: Iterable[Mapping[str, Any]], gateways: Iterable[Mapping[str, Any]], rules: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the steps that take away what is adopted, for the entries of a port map; our own stands by then."""
    servers: dict[Place, list[int]] = defaultdict(list)
    routes: dict[Place, list[int]] = defaultdict(list)
    for port in ports:
        if port["adopts"] and port["adopts"]["gateway"]:
            servers[tuple(port["adopts"]["gateway"])].append(port["port"])
            routes[tuple(port["adopts"]["virtual_service"])].append(port["port"])
    return removals(servers, gateways) + rule_removals(routes, rules)


def removals(adopted: Mapping[Place, Iterable[int]], gateways: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the steps that take adopted servers out of hand-made Gateways; C(adopted) are ports by Gateway.

    A Gateway of which nothing is left goes as a whole, otherwise the servers are taken out of its list, each tested
    to be still the one that was read.
    """
    steps = []
    for item in gateways:
        ports = set(adopted.get((item["namespace"], item["name"]), ()))
        if not ports:
            continue
        obj = _bare("Gateway", item)
        if {server["port"] for server in item["servers"]} <= ports:
            steps.append({"state": "absent", "object": obj, "adopt": True})
            continue
        operations = []
        for index in reversed(range(len(item["servers"]))):
            number = item["servers"][index]["port"]
            if number in ports:
                operations += _take_out(f"/spec/servers/{index}", "/port/number", number)
        steps.append({"state": "patched", "object": obj, "patch": operations, "adopt": True})
    return steps


def rule_removals(
    adopted: Mapping[Place, Iterable[int]], virtual_services: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the steps that take adopted rules out of hand-made VirtualServices; C(adopted) are ports by object."""
    steps = []
    for item in virtual_services:
        ports = set(adopted.get((item["namespace"], item["name"]), ()))
        if not ports:
            continue
        obj = _bare("VirtualService", item)
        mine = [rule for rule in item["tcp"] if len(rule["ports"]) == 1 and rule["ports"][0] in ports]
        if len(mine) == len(item["tcp"]) and not item.get("tls") and not item.get("http"):
            steps.append({"state": "absent", "object": obj, "adopt": True})
            continue
        operations = []
        for index in reversed(range(len(item["tcp"]))):
            rule = item["tcp"][index]
            if rule in mine:
                operations += _take_out(f"/spec/tcp/{index}", "/match/0/port", rule["ports"][0])
        steps.append({"state": "patched", "object": obj, "patch": operations, "adopt": True})
    return steps


def _take_out(path: str, key: str, value: int) -> Sequence[dict[str, Any]]:
    """Return a JSON patch that takes an item out of a list if it still is the one that was read."""
    return [{"op": "test", "path": path + key, "value": value}, {"op": "remove", "path": path}]


def _bare(kind: str, item: Mapping[str, Any]) -> dict[str, Any]:
    """Return just enough of an object to find it, and to tell it from one of the same name made since."""
    metadata = {"name": item["name"], "namespace": item["namespace"], "uid": item["uid"]}
    return {"apiVersion": KINDS[kind].api_version, "kind": kind, "metadata": metadata}
