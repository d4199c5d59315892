# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Istio will really do: the listener table of every gateway workload, and which servers nobody will hear of.

A pure function of what C(mesh_state) returns. Held against the real istiod by tests/istio. What it does not know: the
Kubernetes Gateway API, ServiceEntries, EnvoyFilters, labels that istiod adds to pods (locality, network), Services that
are exported to some namespaces only, named target ports, and whether a certificate's Secret can be read.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_merge import Lost, Server, Slot, merge
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_mesh import (
    GatewayIndex,
    in_revision,
    is_discovered,
    plane_of,
    release,
    sees_configuration,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_names import sni_hosts
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_ports import ServiceIndex, translations
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_routes import Route, VirtualServices
from ansible_collections.servicemesh.tcp.plugins.module_utils._texts import place_text

WILDCARD = "0.0.0.0"
PRIVILEGED_END = 1024
# Envoy's admin interface and metrics, the agent's status and health ports: a listener on one of them never comes to be
# (seen on the lab; istio.io "Application requirements"). Others of the range 15000 to 15099 are free on a gateway.
OWN_PORTS = frozenset((15000, 15020, 15021, 15090))

Row = dict[str, Any]


class World:
    """One cluster, indexed for any number of workloads."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        """Index a projection of C(mesh_state)."""
        self.state = state
        self.gateways = GatewayIndex(state["gateways"])
        self._services = ServiceIndex(state["services"])
        self._virtual: dict[tuple[str, str], VirtualServices] = {}

    def workloads(self) -> dict[str, Mapping[str, Any]]:
        """Return the gateway workloads by C(namespace/name): injected as one, or asked for by a Gateway's selector."""
        found: dict[str, Mapping[str, Any]] = {}
        for item in self.state.get("workloads", ()):
            if not item["gateway"] and not self.gateways.is_named(item):
                continue
            key = f"{item['namespace']}/{item['name']}"
            # The pods of one workload may differ in their labels while it is rolled out.
            number = sum(1 for known in found if known.partition("#")[0] == key)
            found[f"{key}#{number + 1}" if number else key] = item
        return found

    def services_of(self, workload: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Return the Services that istiod sees in front of a workload, in its order."""
        plane = plane_of(workload, self.state)
        seen = is_discovered(workload["namespace"], plane, self.state["namespaces"])
        return self._services.of(workload) if seen else []

    def gateways_of(self, workload: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Return the Gateways that istiod applies to a workload, oldest first."""
        return self.gateways.of(workload, plane_of(workload, self.state), self.state["namespaces"])

    def table(self, workload: Mapping[str, Any]) -> tuple[list[Row], list[Row]]:
        """Return the filter chains of a workload's listeners, and the servers that have none, each with the reason."""
        plane = plane_of(workload, self.state)
        number_to_port = translations(self.services_of(workload))
        merged = merge(
            self.gateways_of(workload),
            lambda number: number_to_port.get(number, (number,))[0],
            release(plane),
        )
        lost = list(merged.lost)
        builder = _Builder(self.virtual_services(plane), workload["namespace"])
        for slot, servers in merged.slots.items():
            if slot.port < PRIVILEGED_END and is_unprivileged(workload, plane):
                lost += [Lost(server, slot.port, "privileged") for server in servers]
            else:
                lost += builder.add(slot, servers)
        rows, refused = builder.rows()
        return rows, [_lost_row(item) for item in lost + refused]

    def is_scoped(self, workload: Mapping[str, Any]) -> bool:
        """Tell whether only Gateways of a workload's own namespace reach it."""
        return bool(plane_of(workload, self.state)["scoped"])

    def virtual_services(self, plane: Mapping[str, Any]) -> VirtualServices:
        """Return what a control plane takes of the VirtualServices, indexed once for each of them."""
        key = (plane["namespace"], plane["name"])
        if key not in self._virtual:
            namespaces, domain = self.state["namespaces"], plane["domain"]
            self._virtual[key] = VirtualServices(
                [
                    item
                    for item in self.state["virtual_services"]
                    if in_revision(item, plane) and sees_configuration(item["namespace"], plane, namespaces)
                ],
                {
                    f"{item['name']}.{item['namespace']}.svc.{domain}": item
                    for item in self.state["services"]
                    if is_discovered(item["namespace"], plane, namespaces)
                },
                domain,
                (plane["config"] or {}).get("export_to") or ("*",),
            )
        return self._virtual[key]


def is_unprivileged(workload: Mapping[str, Any], plane: Mapping[str, Any]) -> bool:
    """Tell whether istiod leaves out listeners below 1024: the pod says ISTIO_META_UNPRIVILEGED_POD.

    istio pilot/pkg/networking/core/gateway.go, buildGatewayListeners. An environment variable of the pod is not seen.
    """
    return bool(workload.get("unprivileged") or (plane["config"] or {}).get("unprivileged"))


class _Builder:
    """Builds the listeners of one workload, as istio pilot/pkg/networking/core/gateway.go does."""

    def __init__(self, virtual: VirtualServices, namespace: str) -> None:
        self._virtual = virtual
        self._namespace = namespace
        # Slots that differ in their protocol, or in a bind that means the same, share a listener.
        self._chains: dict[tuple[str, int], list[tuple[Server, Row]]] = defaultdict(list)
        self._sni: dict[int, dict[str, Server]] = {}

    def add(self, slot: Slot, servers: list[Server]) -> list[Lost]:
        """Build the filter chains of one slot; return the servers for which no route was found."""
        address = (servers[0].bind or WILDCARD, slot.port)
        lost = []
        # HTTP servers of a slot are one chain, with their routes behind it.
        if servers[0].is_http:
            self._chains[address].append((servers[0], _chain(slot, servers[0], hosts=_all_hosts(servers))))
            return []
        for server in servers:
            rows, duplicates = self._chains_of(slot, server)
            lost += duplicates
            if not rows and not duplicates:
                lost.append(Lost(server, slot.port, "route"))
            self._chains[address] += [(server, row) for row in rows]
        return lost

    def _chains_of(self, slot: Slot, server: Server) -> tuple[list[Row], list[Lost]]:
        """Return a server's chains, and what is dropped of it because another rule has the name already."""
        sni = sni_hosts(server.hosts)
        if server.ends_https or server.tls == "AUTO_PASSTHROUGH":
            return [_chain(slot, server, sni=sni)], []
        if not server.is_passthrough:
            route = self._virtual.tcp_route(server, slot.port, self._namespace)
            if not keeps_listener(route):
                return [], []
            return [_chain(slot, server, route, sni=sni if server.tls else [])], []
        rows, lost = [], []
        for route in self._virtual.tls_routes(server, slot.port, self._namespace):
            winner = self._claim(slot.port, server, route.sni)
            if winner:
                lost.append(Lost(server, slot.port, "sni", winner, f"{place_text(route.virtual_service)} {route.rule}"))
            else:
                rows.append(_chain(slot, server, route, sni=sorted(route.sni)))
        return rows, lost

    def _claim(self, port: int, server: Server, sni: Iterable[str]) -> Server | None:
        """Note the names of a passthrough rule, or return who has one of them on this port and bind already.

        istio pilot/pkg/model/gateway.go, CheckDuplicates, as called for the rules of VirtualServices.
        """
        held = self._sni.setdefault(port, {})
        for name in sni:
            if name in held and held[name].bind == server.bind:
                return held[name]
        held.update(dict.fromkeys(sni, server))
        return None

    def rows(self) -> tuple[list[Row], list[Lost]]:
        """Return all chains, and the servers whose listener Envoy refuses; it then keeps what it had before."""
        rows, lost = [], []
        for (address, port), chains in sorted(self._chains.items()):
            clash = overlapping(chains)
            if port in OWN_PORTS and address == WILDCARD:
                lost += [Lost(server, port, "reserved") for server, _row in chains]
            elif clash:
                lost += [
                    Lost(server, port, "refused", clash[0] if server is clash[1] else clash[1])
                    for server in dict.fromkeys(server for server, _row in chains)
                ]
            else:
                rows += [{"address": address, **row} for _server, row in chains]
        return rows, lost


def keeps_listener(route: Route | None) -> bool:
    """Tell whether a server gets a listener: without a route istiod leaves it out, and connections are refused."""
    return route is not None


def overlapping(chains: list[tuple[Server, Row]]) -> tuple[Server, Server] | None:
    """Return two servers whose chains match the same connections; Envoy then refuses the whole listener.

    Envoy's documentation of FilterChainMatch. A name of '*' matches as no name does (istio
    pilot/pkg/networking/core/listener.go, toFilterChainMatch).
    """
    held: dict[str, Server] = {}
    for server, row in chains:
        for name in ["*"] if "*" in row["sni"] else row["sni"] or ["*"]:
            if name in held:
                return held[name], server
        held.update(dict.fromkeys(["*"] if "*" in row["sni"] else row["sni"] or ["*"], server))
    return None


def _all_hosts(servers: list[Server]) -> list[str]:
    """Return the hosts of several servers, each once."""
    return sorted({host for server in servers for host in server.hosts})


def _chain(
    slot: Slot, server: Server, route: Route | None = None, sni: Iterable[str] = (), hosts: Iterable[str] = ()
) -> Row:
    """Return one filter chain of a listener."""
    virtual = route.virtual_service if route else None
    return {
        "port": slot.port,
        "number": server.number,
        "protocol": server.protocol,
        "tls": server.tls,
        "gateway": place_text(server.gateway),
        "server": server.name,
        "hosts": list(hosts) or list(server.hosts),
        "sni": list(sni),
        "clusters": list(route.clusters) if route else [],
        "virtual_service": place_text(virtual) if virtual else "",
        "rule": route.rule if route else "",
    }


def _lost_row(item: Lost) -> Row:
    """Return a lost server as plain data."""
    return {
        "address": item.server.bind or WILDCARD,
        "port": item.port,
        "number": item.server.number,
        "server": item.server.name,
        "gateway": place_text(item.server.gateway),
        "reason": item.reason,
        "rule": item.rule,
        "winner": place_text(item.winner.gateway) if item.winner else "",
        "winner_server": item.winner.name if item.winner else "",
    }


def listener_tables(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return C(tables), the listeners of every gateway workload, and C(lost), the servers that get none.

    A row of C(tables[workload]) is one filter chain: C(address) and C(port) that are bound, the server's C(number),
    C(protocol), C(tls), C(gateway) and name, its C(hosts), the C(sni) names matched (none: all), the Envoy C(clusters)
    in order, and the C(virtual_service) and C(rule) that it follows.

    A row of C(lost) has the C(reason): C(port) (an older plain server has it), C(host) or C(sni) (an older TLS server
    or rule has the name), C(name) (an HTTPS server of the Gateway has the port's name), C(route) (no rule),
    C(privileged), C(reserved) (the proxy's own port), C(refused) (Envoy takes no listener whose chains overlap); the
    C(rule) of a VirtualService where only that is dropped; and the C(winner)'s Gateway.
    """
    world = World(state)
    tables: dict[str, list[Row]] = {}
    lost: list[Row] = []
    for key, workload in world.workloads().items():
        tables[key], missing = world.table(workload)
        lost += [{"workload": key, **row} for row in missing]
    return {"tables": tables, "lost": lost}
