# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways in through the mesh's gateways: front Service, listener, route and backend of each port.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_access import Access, open_to
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_owner import owner_of, owner_of_manager
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_rows import (
    Backends,
    break_at,
    judge_backends,
    new_row,
    unseen,
    youngest,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._authorization import policies_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._http_objects import Followed, followed
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio import OWN_PORTS, World
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_names import full_gateway
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import COLLECTION
from ansible_collections.servicemesh.tcp.plugins.module_utils._texts import place_text, some

Place = tuple[str, str]
# Why a server has no listener, as a row says it; C(winner) is the Gateway in its way.
LOST: Mapping[str, str] = {
    "port": "Gateway {winner} is older and has the port",
    "host": "Gateway {winner} is older and has the host",
    "sni": "Gateway {winner} has the name in a rule that comes first",
    "name": "a server of Gateway {winner} has a port of the same name",
    "route": "no rule of a VirtualService is for it",
    "privileged": "the gateway's pods may not bind ports below 1024",
    "reserved": "the port is the proxy's own",
    "refused": "Envoy refuses it, Gateway {winner} has a server that takes the same connections",
}


class _KnownWorld(World):
    """A world whose tables are worked out once, however many ask for them."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        super().__init__(state)
        self._tables: dict[int, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {}

    def table(self, workload: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return what World does; workloads are those of the state, which live as long as this."""
        if id(workload) not in self._tables:
            self._tables[id(workload)] = super().table(workload)
        return self._tables[id(workload)]


class Mesh:
    """What Istio makes of a cluster, indexed for an audit."""

    def __init__(self, read: Mapping[str, Any]) -> None:
        """Work out every workload's listeners once."""
        self.world = _KnownWorld(read["state"])
        self.workloads = self.world.workloads()
        self.tables: dict[str, list[dict[str, Any]]] = {}
        self.lost: dict[str, list[dict[str, Any]]] = {}
        self.behind: dict[Place, list[str]] = defaultdict(list)
        for key, workload in self.workloads.items():
            self.tables[key], self.lost[key] = self.world.table(workload)
            for service in self.world.services_of(workload):
                self.behind[(service["namespace"], service["name"])].append(key)
        self._by_port = {key: _grouped(rows) for key, rows in self.tables.items()}
        self._lost_by_port = {key: _grouped(rows) for key, rows in self.lost.items()}
        self._http: dict[int, dict[str, Any]] = defaultdict(dict)
        for item in read["state"]["virtual_services"]:
            for rule in item.get("routes") or ():
                for number in rule["ports"]:
                    self._http[number][place_text(item)] = item
        self._metadata = {place_text(item["metadata"]): item["metadata"] for item in read["gateways"]}
        roots = {plane["namespace"] for plane in read["state"]["mesh"]["control_planes"]}
        self._access = {
            key: Access(policies_of(read["policies"], workload["namespace"], workload["labels"], roots))
            for key, workload in self.workloads.items()
        }

    def workload_behind(self, place: Place) -> str | None:
        """Return the gateway workload behind a Service; of several (a rollout) the one with most listeners."""
        return max(self.behind.get(place, ()), key=lambda key: len(self.tables[key]), default=None)

    def listeners(self, workload: str, port: int) -> list[dict[str, Any]]:
        """Return the filter chains on a port of a workload's pods."""
        return self._by_port[workload].get(port, [])

    def lost_on(self, workload: str, port: int) -> list[dict[str, Any]]:
        """Return the servers that should listen on a port of a workload's pods, and do not."""
        return self._lost_by_port[workload].get(port, [])

    def http_rules(self, chain: Mapping[str, Any]) -> Followed:
        """Return what rules of this collection make of a filter chain, nothing where that is none of HTTP."""
        return followed(chain, self._http.get(chain["number"], {}).values())

    def access(self, workload: str, port: int) -> dict[str, Any]:
        """Return whom the workload's policies let in on a port."""
        return self._access[workload].of(port)

    def metadata(self, gateway: str) -> Mapping[str, Any]:
        """Return the metadata of an Istio Gateway."""
        return self._metadata.get(gateway, {})


def _grouped(rows: Iterable[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["port"]].append(row)
    return found


def front_rows(
    base: Mapping[str, Any], service: Mapping[str, Any], port: Mapping[str, Any], workload: str, mesh: Mesh, found: Any
) -> list[dict[str, Any]]:
    """Return the rows of one port of a gateway's front Service: one for each filter chain behind it.

    C(base) is what the Service's rows have in common (see _audit_doors), C(found) the backends.
    """
    target = port["target_port"]
    manager = next((name for name, ports in service["managers"].items() if port["port"] in ports), None)
    common = {**base, "gateway": workload}
    if manager and manager != COLLECTION:
        common["owner"] = owner_of_manager(manager)
    if not isinstance(target, int):
        row = new_row(port=base["port"], **_without_port(common))
        unseen(row, f"its target port is a name ({target}), which is resolved on the pods")
        return [row]
    access = mesh.access(workload, target)
    common |= {
        "target_port": target,
        "open_to": open_to(base["addresses"], base["open_to"]["ranges"], base["internal"], access),
    }
    chains = mesh.listeners(workload, target)
    if not chains:
        return [_row_without_listener(common, workload, target, mesh)]
    return [_chain_row(common, chain, mesh, found) for chain in chains]


def _without_port(common: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row's values without those that a row has no key for."""
    return {key: value for key, value in common.items() if key not in ("port", "internal")}


def _row_without_listener(common: Mapping[str, Any], workload: str, target: int, mesh: Mesh) -> dict[str, Any]:
    """Return the row of a Service's port that leads to no listener, with the reason where there is one."""
    row = new_row(port=common["port"], **_without_port(common))
    if target in OWN_PORTS:
        row["why"] = "the gateway's own health or metrics port"
        return row
    lost = mesh.lost_on(workload, target)
    if not lost:
        break_at(row, "listener", f"nothing listens on {target} of {workload}")
        return row
    first = lost[0]
    row["listener"] = first["gateway"]
    row["owner"] = owner_of(mesh.metadata(first["gateway"]))
    hop = "route" if first["reason"] == "route" else "listener"
    break_at(row, hop, f"Gateway {first['gateway']} has no listener: {LOST[first['reason']].format(**first)}")
    return row


def _chain_row(common: Mapping[str, Any], chain: Mapping[str, Any], mesh: Mesh, found: Backends) -> dict[str, Any]:
    """Return the row of one filter chain."""
    metadata = mesh.metadata(chain["gateway"])
    names = [] if chain["sni"] in ([], ["*"]) else list(chain["sni"])
    hosts = names or [host for host in chain["hosts"] if not host.endswith("*")]
    http = mesh.http_rules(chain)
    values = {
        **_without_port(common),
        "protocol": chain["protocol"] or "TCP",
        "hosts": hosts,
        "listener": chain["gateway"],
        "route": f"{chain['virtual_service']} {chain['rule']}" if chain["rule"] else some(http.virtual_services),
        "since": youngest(common["since"], metadata.get("creationTimestamp", "")),
        "owner": owner_of(metadata) if metadata else common["owner"],
        "backends": [
            found.cluster(name, chain["gateway"].partition("/")[0]) for name in [*chain["clusters"], *http.clusters]
        ],
    }
    row = new_row(port=common["port"], **values)
    if not chain["rule"] and not http.whole:
        unseen(row, "it ends HTTP or TLS here; HTTP routes are not followed")
    judge_backends(row)
    return row


def inner_rows(mesh: Mesh, reached: Mapping[str, set[int]], found: Backends) -> list[dict[str, Any]]:
    """Return the rows of listeners to which no Service leads from outside; C(reached) are the ports that one does."""
    rows = []
    for key, table in mesh.tables.items():
        for chain in table:
            if chain["port"] in reached.get(key, ()):
                continue
            common = {
                "door": "inside",
                "where": f"Gateway {chain['gateway']}",
                "port": chain["number"],
                "service_port": chain["number"],
                "internal": True,
                "addresses": [],
                "owner": {},
                "since": "",
                "gateway": key,
                "target_port": chain["port"],
                "open_to": open_to([], [], True, mesh.access(key, chain["port"])),
            }
            rows.append(_chain_row(common, chain, mesh, found))
    return rows


def stray_rules(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the TCP and TLS rules for which no Gateway has a server: C({virtual_service, gateway, ports, exists}).

    C(ports) may be empty: a rule for every port of a Gateway without any server for it.
    """
    servers: dict[str, set[int | None]] = {
        f"{item['namespace']}/{item['name']}": {server["port"] for server in item["servers"]}
        for item in state["gateways"]
    }
    found: dict[tuple[str, str], set[int]] = {}
    for item in state["virtual_services"]:
        place = f"{item['namespace']}/{item['name']}"
        bound = [full_gateway(name, item["namespace"]) for name in item["gateways"]]
        for rule in [*item["tcp"], *(item.get("tls") or [])]:
            matches = list(zip(rule["ports"], rule.get("match_gateways") or [[]] * len(rule["ports"]), strict=True))
            for port, named in matches or [(None, [])]:
                for gateway in [full_gateway(name, item["namespace"]) for name in named] or bound:
                    if gateway == "mesh":
                        continue
                    numbers = servers.get(gateway)
                    if numbers is None or (port is None and not numbers) or (port is not None and port not in numbers):
                        found.setdefault((place, gateway), set()).update([] if port is None else [port])
    return [
        {"virtual_service": place, "gateway": gateway, "ports": sorted(ports), "exists": gateway in servers}
        for (place, gateway), ports in sorted(found.items())
    ]


def twice_translated(mesh: Mesh) -> list[dict[str, Any]]:
    """Return the port numbers that Services of one workload lead to different ports: C({workload, port, services}).

    istiod takes the oldest Service that has the number (pilot/pkg/model/gateway.go, resolvePorts), so clients of the
    others reach what is bound for the first, or nothing.
    """
    found = []
    for key, workload in mesh.workloads.items():
        targets: dict[int, dict[str, Any]] = defaultdict(dict)
        for service in mesh.world.services_of(workload):
            for port in service["ports"]:
                if port["protocol"] == "TCP":
                    targets[port["port"]][f"{service['namespace']}/{service['name']}"] = port["target_port"]
        found += [
            {"workload": key, "port": port, "services": leads}
            for port, leads in sorted(targets.items())
            if len(set(leads.values())) > 1
        ]
    return found
