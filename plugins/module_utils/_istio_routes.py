# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes: which rule of which VirtualService a server's connections follow.

Sources are files of istio.io/istio as the lab runs it (v0.0.0-20260827, 1.31-dev). At a gateway only the port and the
gateways of a match count, hosts do not tell raw TCP apart, and the first rule that matches is the only one.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_merge import Server
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_names import (
    age_key,
    full_gateway,
    full_host,
    hosts_match,
)

# The place of a VirtualService, the place of a rule in it, the VirtualService.
Entry = tuple[int, int, Mapping[str, Any]]
Ranked = tuple[Mapping[int, list[Entry]], list[Entry]]


class Route(NamedTuple):
    """The rule that was chosen: the clusters that it leads to, and where it stands (C(tcp[0]))."""

    virtual_service: Mapping[str, Any]
    rule: str
    clusters: tuple[str, ...]
    sni: tuple[str, ...] = ()


class VirtualServices:
    """The VirtualServices that a control plane takes, found by the Gateway that they name."""

    def __init__(
        self,
        items: Iterable[Mapping[str, Any]],
        services: Mapping[str, Mapping[str, Any]],
        domain: str = "cluster.local",
        export_to: Sequence[str] = ("*",),
    ) -> None:
        """Index VirtualServices; services are all that the control plane sees, by host name."""
        self._services = services
        self._domain = domain
        self._export_to = export_to
        self._by_gateway: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
        self._ranked: dict[tuple[str, str], Ranked] = {}
        self._seen: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        self._matching: dict[tuple[int, tuple[str, ...]], bool] = {}
        for item in sorted(items, key=age_key):
            # One without a gateway is the mesh's own; one without a host is a part of another one.
            for name in dict.fromkeys(full_gateway(name, item["namespace"]) for name in item["gateways"]):
                if item["hosts"]:
                    self._by_gateway[name].append(item)

    def of(self, gateway: str, namespace: str) -> list[Mapping[str, Any]]:
        """Return the VirtualServices of a Gateway that pods of a namespace see, in istiod's order."""
        key = (gateway, namespace)
        if key not in self._seen:
            items = self._by_gateway.get(gateway, ())
            placed = [(place_in_order(item, namespace, self._export_to), item) for item in items]
            placed.sort(key=lambda entry: entry[0])
            self._seen[key] = [item for place, item in placed if place < HIDDEN]
        return self._seen[key]

    def tcp_route(self, server: Server, port: int, namespace: str) -> Route | None:
        """Return the route of a server whose connections are plain bytes to Envoy, or become so.

        pilot/pkg/networking/core/gateway.go, buildGatewayNetworkFiltersFromTCPRoutes.
        """
        name = f"{server.gateway['namespace']}/{server.gateway['name']}"
        key = (name, namespace)
        if key not in self._ranked:
            self._ranked[key] = rank_rules(self.of(name, namespace), name)
        by_number, for_all = self._ranked[key]
        candidates = heapq.merge(by_number.get(matched_number(server, port), ()), for_all, key=lambda entry: entry[:2])
        for _place, index, item in candidates:
            if self._match_hosts(item, server):
                return Route(item, f"tcp[{index}]", self._clusters(item["tcp"][index], item, server))
        return None

    def tls_routes(self, server: Server, port: int, namespace: str) -> list[Route]:
        """Return the routes of a passthrough server, one for each match, in istiod's order.

        pilot/pkg/networking/core/gateway.go, buildGatewayNetworkFiltersFromTLSRoutes.
        """
        name = f"{server.gateway['namespace']}/{server.gateway['name']}"
        found = []
        for item in self.of(name, namespace):
            if not item.get("tls") or not self._match_hosts(item, server):
                continue
            for index, rule in enumerate(item["tls"]):
                if not rule["destinations"]:
                    continue
                clusters = self._clusters(rule, item, server)
                for wanted, gateways, sni in zip(rule["ports"], rule["match_gateways"], rule["sni"], strict=True):
                    if wanted in (None, matched_number(server, port)) and names_gateway(gateways, name, item):
                        found.append(Route(item, f"tls[{index}]", clusters, tuple(sni)))
        return found

    def _match_hosts(self, item: Mapping[str, Any], server: Server) -> bool:
        """Tell whether a VirtualService's hosts let it bind to a server; asked for every port, answered once."""
        key = (id(item), server.hosts)
        if key not in self._matching:
            wanted = [full_host(host, item["namespace"], self._domain) for host in item["hosts"]]
            self._matching[key] = hosts_match(server.hosts, wanted, item["namespace"])
        return self._matching[key]

    def _clusters(self, rule: Mapping[str, Any], item: Mapping[str, Any], server: Server) -> tuple[str, ...]:
        """Name the Envoy clusters of a rule; one destination needs no weight, of several those without get nothing.

        pilot/pkg/networking/core/networkfilter.go, buildOutboundNetworkFilters.
        """
        destinations = rule["destinations"]
        taken = [one for one in destinations if len(destinations) == 1 or one.get("weight", 0) > 0]
        return tuple(self._cluster(one, item["namespace"], server.number) for one in taken)

    def _cluster(self, destination: Mapping[str, Any], namespace: str, number: int) -> str:
        """Name one Envoy cluster: without a port, a Service's only one, or else the server's number.

        pilot/pkg/networking/core/route/route.go, GetDestinationCluster; an ExternalName leads to its target.
        """
        host = full_host(destination["host"], namespace, self._domain)
        service = self._services.get(host)
        port = destination["port"] or default_port(service, number)
        if service and service.get("external_name"):
            host = service["external_name"]
        return f"outbound|{port}|{destination.get('subset', '')}|{host}"


HIDDEN = 3


def place_in_order(item: Mapping[str, Any], namespace: str, default: Sequence[str] = ("*",)) -> int:
    """Return where pods of a namespace have a VirtualService: private ones (0), exported to it (1), public (2), hidden.

    Age decides within each of the three only: a private one goes before every older public one
    (pilot/pkg/model/push_context.go, initVirtualServices and VirtualServicesForGateway).
    """
    given = item.get("export_to") or default
    export_to = {item["namespace"] if one == "." else one for one in given}
    if "*" in export_to:
        return 2
    if "~" in export_to or namespace not in export_to:
        return HIDDEN
    return 0 if item["namespace"] == namespace else 1


def rank_rules(items: Iterable[Mapping[str, Any]], gateway: str) -> Ranked:
    """Return the TCP rules of VirtualServices, given in istiod's order, by the port that they name, and those for all.

    One of several matches is enough, and a rule without a destination is passed over
    (pilot/pkg/networking/core/gateway.go, l4MultiMatch and l4SingleMatch).
    """
    by_number: dict[int, list[Entry]] = defaultdict(list)
    for_all: list[Entry] = []
    for place, item in enumerate(items):
        for index in rule_order(item):
            rule = item["tcp"][index]
            gateways = rule.get("match_gateways") or [[]] * len(rule["ports"])
            matches = list(zip(rule["ports"], gateways, strict=True)) or unmatched()
            numbers = {number for number, named in matches if names_gateway(named, gateway, item)}
            if None in numbers:
                for_all.append((place, index, item))
            else:
                for number in numbers:
                    by_number[number].append((place, index, item))
    return by_number, for_all


def rule_order(item: Mapping[str, Any]) -> list[int]:
    """Return the places of a VirtualService's TCP rules in the order in which they are tried."""
    return [index for index, rule in enumerate(item["tcp"]) if rule["destinations"]]


def unmatched() -> list[tuple[int | None, list[str]]]:
    """Return what a rule without a match matches: every port."""
    return [(None, [])]


def names_gateway(named: Iterable[str], gateway: str, item: Mapping[str, Any]) -> bool:
    """Tell whether a match is for a Gateway: no gateways are any.

    pilot/pkg/networking/core/gateway.go, isGatewayMatch.
    """
    resolved = [full_gateway(name, item["namespace"]) for name in named]
    return not resolved or gateway in resolved


def matched_number(server: Server, port: int) -> int:
    """Return what a match's port is compared with: the server's number, not the port that is bound."""
    return server.number


def default_port(service: Mapping[str, Any] | None, number: int) -> int:
    """Return the port of a destination that names none: the Service's only one, or the server's number."""
    return service["ports"][0]["port"] if service and len(service["ports"]) == 1 else number
