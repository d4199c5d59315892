# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Merging: which servers of a workload's Gateways share a port, and which are dropped without a word.

Follows mergeGateways of istio's pilot/pkg/model/gateway.go as the lab runs it (v0.0.0-20260827, 1.31-dev), with its
peculiarities: the plain server of a port is remembered by port only, and a later one with another bind takes its place.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_names import server_hosts

HTTP = frozenset(("http", "http2", "http_proxy", "grpc", "grpc-web"))
PASSTHROUGH = frozenset(("PASSTHROUGH", "AUTO_PASSTHROUGH"))
# From here on, servers of one port with different binds are listeners apart, and a plain one may follow TLS ones (istio
# pull requests 43690 and 43776, merged in March 2023; releasenotes/notes/43688.yaml, 43775.yaml). Seen on 1.31 only.
BINDS_SINCE = (1, 18)


@dataclass(frozen=True, eq=False)
class Server:
    """One server of a Gateway; compared by identity."""

    gateway: Mapping[str, Any]
    number: int
    name: str
    protocol: str
    bind: str
    hosts: tuple[str, ...]
    tls: str
    credential: str = ""

    @property
    def is_http(self) -> bool:
        """Plain HTTP of any kind (pkg/config/protocol/instance.go, IsHTTP)."""
        return self.protocol.lower() in HTTP

    @property
    def is_passthrough(self) -> bool:
        """TLS that Envoy does not end (pkg/config/gateway/gateway.go, IsPassThroughServer)."""
        return self.tls in PASSTHROUGH

    @property
    def ends_https(self) -> bool:
        """HTTPS that Envoy ends: an HTTP connection manager, not a TCP proxy."""
        return self.protocol.lower() == "https" and not self.is_passthrough

    @property
    def is_tls(self) -> bool:
        """TLS of any kind but a redirect on HTTP (pkg/config/gateway/gateway.go, IsTLSServer)."""
        return bool(self.tls) and not self.is_http


class Slot(NamedTuple):
    """What istiod merges by (pilot/pkg/model/gateway.go, ServerPort): the port that is bound, protocol, bind."""

    port: int
    protocol: str
    bind: str


class Lost(NamedTuple):
    """A server that istiod drops, or whose listener Envoy refuses, with the one that stands in its way.

    C(rule) is the rule of a VirtualService that is dropped, where the server itself stays.
    """

    server: Server
    port: int
    reason: str
    winner: Server | None = None
    rule: str = ""


@dataclass
class Merged:
    """The servers of a workload by slot, in the order in which istiod builds listeners."""

    slots: dict[Slot, list[Server]] = field(default_factory=dict)
    lost: list[Lost] = field(default_factory=list)
    # The plain server's slot of each port.
    plain: dict[int, Slot] = field(default_factory=dict)
    # Who has which host of a port's TLS servers, with his bind.
    hosts: dict[int, dict[str, Server]] = field(default_factory=dict)
    # Route names of HTTPS servers.
    names: dict[tuple[Any, ...], Server] = field(default_factory=dict)


def servers_of(item: Mapping[str, Any]) -> list[Server]:
    """Return a projected Gateway's servers; one without a port is skipped, as istiod does."""
    return [
        Server(
            item,
            server["port"],
            server["name"],
            server["protocol"],
            server["bind"],
            tuple(server_hosts(server["hosts"], item["namespace"])),
            server.get("tls", ""),
            server.get("credential", ""),
        )
        for server in item["servers"]
        if server["port"] is not None
    ]


def merge(gateways: Iterable[Mapping[str, Any]], resolve: Callable[[int], int], version: tuple[int, int]) -> Merged:
    """Merge the Gateways of one workload, given oldest first; C(resolve) turns a server's number into its port."""
    merged = Merged()
    used: dict[int, Server] = {}
    for item in gateways:
        for server in servers_of(item):
            port = resolve(server.number)
            if not admit_hosts(merged, server, port):
                continue
            slot = Slot(port, server.protocol, server.bind)
            if port not in used:
                _open(merged, slot, server)
            elif port in merged.plain:
                _join_plain(merged, slot, server, version)
            else:
                _join_tls(merged, slot, server, used[port], version)
            used.setdefault(port, server)
    return merged


def admit_hosts(merged: Merged, server: Server, port: int) -> bool:
    """Keep TLS hosts of one port and bind apart; a server with a host that is held already is dropped whole.

    Hosts are compared as they are written, so C(a/x.y) and C(b/x.y) pass here, and Envoy refuses them later
    (pilot/pkg/model/gateway.go, CheckDuplicates). They count even where the server itself is dropped afterwards.
    """
    if not server.tls:
        return True
    held = merged.hosts.setdefault(port, {})
    taken = [held[host] for host in server.hosts if host in held and held[host].bind == server.bind]
    if taken:
        merged.lost.append(Lost(server, port, "host", taken[0]))
        return False
    held.update(dict.fromkeys(server.hosts, server))
    return True


def _open(merged: Merged, slot: Slot, server: Server) -> None:
    """Begin a slot (pilot/pkg/model/gateway.go, addPlainTextServer)."""
    if not server.is_tls:
        merged.plain[slot.port] = slot
    if server.ends_https:
        merged.names[_route_name(server)] = server
    merged.slots[slot] = [server]


def can_merge(one: str, other: str) -> bool:
    """Tell whether plain servers of two protocols share a listener: HTTP-like ones do, TCP never does.

    pilot/pkg/model/gateway.go, canMergeProtocols.
    """
    return one.lower() in HTTP and other.lower() in HTTP


def is_apart(one: Slot, other: Slot, version: tuple[int, int]) -> bool:
    """Tell whether two servers of one port bind different addresses, and so do not meet."""
    return one.bind != other.bind and version >= BINDS_SINCE


def _join_plain(merged: Merged, slot: Slot, server: Server, version: tuple[int, int]) -> None:
    """Add a server to a port that has a plain one already."""
    current = merged.plain[slot.port]
    if is_apart(current, slot, version):
        if slot in merged.slots:
            merged.slots[slot].append(server)
        else:
            _open(merged, slot, server)
    elif can_merge(slot.protocol, current.protocol):
        merged.slots[current].append(server)
    else:
        merged.lost.append(Lost(server, slot.port, "port", merged.slots[current][0]))


def plain_beside_tls(version: tuple[int, int]) -> bool:
    """Tell whether a plain server may join a port that TLS servers have: it takes what has no name of theirs.

    It closes the port for TLS servers that come after it. In versions between C(BINDS_SINCE) and some later one, which
    is not known, it did not.
    """
    return version >= BINDS_SINCE


def _join_tls(merged: Merged, slot: Slot, server: Server, first: Server, version: tuple[int, int]) -> None:
    """Add a server to a port that has TLS ones only."""
    if not server.is_tls:
        if plain_beside_tls(version):
            _open(merged, slot, server)
        else:
            merged.lost.append(Lost(server, slot.port, "port", first))
        return
    if server.ends_https:
        name = _route_name(server)
        if name in merged.names:
            merged.lost.append(Lost(server, slot.port, "name", merged.names[name]))
            return
        merged.names[name] = server
    merged.slots.setdefault(slot, []).append(server)


def _route_name(server: Server) -> tuple[Any, ...]:
    """Return what makes an HTTPS server's routes one of a kind (pilot/pkg/model/gateway.go, gatewayRDSRouteName)."""
    return (server.number, server.name, server.gateway["name"], server.gateway["namespace"], server.bind)
