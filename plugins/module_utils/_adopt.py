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
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._by_name import kind_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_holders import pods_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_names import age_key, full_gateway, full_host
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_routes import rank_rules
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import host_of, is_ours, manager_set
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import Step, patch_step, remove_step, with_uid
from ansible_collections.servicemesh.tcp.plugins.module_utils._texts import place_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import bare_object

Place = tuple[str, str]


class Adoption:
    """What of a gateway's ports was made by hand, and may be taken over."""

    def __init__(self, view: View, gateway: Mapping[str, Any], set_name: str, cluster_domain: str) -> None:
        self._domain = cluster_domain
        self._world = view.world
        self._pods = pods_of(view.world, gateway)
        selecting = sorted(
            {id(item): item for pods in self._pods for item in view.world.gateways_of(pods)}.values(), key=age_key
        )
        self._made = hand_made(selecting, view.virtual_services.values())
        self._targets = view.numeric_targets(gateway)
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
        if kind_of(entry):
            # Whether the two show the same certificate, or lead the same paths, nobody compares.
            return "only plain TCP can be" if entry["adopt"] else None
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
        if "backends" in entry:
            return "the record has several backends or a subset, and only a plain one can be compared"
        if backend.get("external"):
            return "the record's backend is outside of the cluster, and only a Service can be compared"
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
    """Return the hand-made exposure of each port: C({gateway, server, rules}).

    C(selecting) are the Istio Gateways that select a gateway's pods, oldest first: Istio keeps the first server of a
    port (istio pilot/pkg/model/gateway.go, mergeGateways). C(rules) are those for the port, with their VirtualService.
    """
    by_gateway: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for item in virtual_services:
        for name in item["gateways"]:
            by_gateway[full_gateway(name, item["namespace"])].append(item)
    found: dict[int, dict[str, Any]] = {}
    for item in selecting:
        if is_ours(item["labels"]):
            continue
        name = place_text(item)
        by_number, for_all = rank_rules(by_gateway[name], name)
        for server in item["servers"]:
            if server["port"] not in found:
                entries = [*by_number.get(server["port"], ()), *for_all]
                rules = [(virtual, virtual["tcp"][index]) for _place, index, virtual in entries]
                found[server["port"]] = {"gateway": item, "server": server, "rules": rules}
    return found


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
        return f"the rule of VirtualService {place_text(virtual)} is for more than port {port}"
    shared = _others_of(virtual, rule, place_text(made["gateway"]))
    if shared:
        return f"the rule of VirtualService {place_text(virtual)} is also for Gateway {shared[0]}"
    if len(rule["destinations"]) != 1:
        return f"its rule has {len(rule['destinations'])} destinations"
    destination = rule["destinations"][0]
    if destination.get("subset"):
        return f"its destination is subset {destination['subset']}"
    theirs = full_host(destination["host"], virtual["namespace"], cluster_domain)
    if (theirs, destination["port"]) not in ((host, backend_port), (host, None)):
        return f"it leads to {theirs}:{destination['port']}"
    return ""


def _others_of(virtual: Mapping[str, Any], rule: Mapping[str, Any], gateway: str) -> list[str]:
    """Return the Gateways beside ours that a rule is for, by its match or else by its VirtualService."""
    named = [name for names in rule.get("match_gateways") or [] for name in names] or virtual["gateways"]
    return sorted({full_gateway(name, virtual["namespace"]) for name in named} - {gateway})


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
        numbers = [server["port"] for server in item["servers"]]
        if ports:
            steps.append(
                _removal("Gateway", item, "/spec/servers", "/port/number", numbers, ports, set(numbers) <= ports)
            )
    return steps


def rule_removals(
    adopted: Mapping[Place, Iterable[int]], virtual_services: Iterable[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the steps that take adopted rules out of hand-made VirtualServices; C(adopted) are ports by object."""
    steps = []
    for item in virtual_services:
        ports = set(adopted.get((item["namespace"], item["name"]), ()))
        numbers = [rule["ports"][0] if len(rule["ports"]) == 1 else None for rule in item["tcp"]]
        whole = set(numbers) <= ports and not item.get("tls") and not item.get("http")
        if ports:
            steps.append(_removal("VirtualService", item, "/spec/tcp", "/match/0/port", numbers, ports, whole))
    return steps


def _removal(
    kind: str,
    item: Mapping[str, Any],
    path: str,
    key: str,
    numbers: Sequence[int | None],
    ports: Container[int | None],
    whole: bool,
) -> Step:
    """Return the step that takes out of an object's list what is for some ports, from the last to the first.

    C(numbers) are the ports of the list's items, C(key) is where an item has its own.
    """
    bare = bare_object(kind, item["name"], item["namespace"])
    if whole:
        return {**remove_step(with_uid(bare, item["uid"])), "adopt": True}
    operations: list[dict[str, Any]] = []
    for index in reversed(range(len(numbers))):
        if numbers[index] in ports:
            operations += [
                {"op": "test", "path": f"{path}/{index}{key}", "value": numbers[index]},
                {"op": "remove", "path": f"{path}/{index}"},
            ]
    return patch_step(bare, item["uid"], operations)
