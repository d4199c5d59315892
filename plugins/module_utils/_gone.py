# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove that ports which a set gave up no longer answer, and say of each how that was seen.

A session that stays open may be a load balancer's that has not let go yet, so it is tried again. That none can be
opened shows nothing where the address is out of reach from here: then it counts whether a pod of the gateway still
listens, and whether the front Service still has the port.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.servicemesh.tcp.plugins.module_utils import _state
from ansible_collections.servicemesh.tcp.plugins.module_utils._doors import ROUTE, is_door
from ansible_collections.servicemesh.tcp.plugins.module_utils._endpoints import STATES, endpoint, reachable_at
from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy import Gateway, Snapshot
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import collection_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import pods_behind
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe import Prober, sockets_allowed
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_target import parse_target
from ansible_collections.servicemesh.tcp.plugins.module_utils._read import read_nodes

if TYPE_CHECKING:
    from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api

Place = tuple[str, str]
Port = Mapping[str, Any]
# What the API server has, or V(None) where an object is gone, by namespace and name.
Fronts = Mapping[Place, "Mapping[str, Any] | None"]
# Tells on which ports each pod of a gateway listens, and what could not be seen.
Listeners = Callable[[Gateway], tuple[Mapping[str, Collection[int]], Sequence[str]]]
# How a connection ends that may never have come near the port, so that it shows nothing.
BLIND = ("timeout", "unreachable", "unresolved")
# Seconds between two looks, for a connection request, and that an open session is watched.
PAUSE, TIMEOUT, HOLD = 1.0, 2.0, 1.5


# Why no pod of a gateway is asked about a door.
PAST = "no gateway stands behind this door"


class Inside(NamedTuple):
    """What the cluster shows of one port: C(served) by its front Service, C(listening) pods, what was C(unseen)."""

    served: bool
    listening: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()


def judge(results: Sequence[Port], inside: Inside) -> tuple[bool, str]:
    """Tell whether a port is gone, and what shows it; C(results) are those of one connection to each address."""
    pods = ", ".join(inside.listening)
    listens = f"gateway pod {pods} still listens" if pods else "; ".join(inside.unseen)
    # A session that stays open is "unseen" to a prober that asks nobody.
    alive = next((item for item in results if item["answer"] or item["state"] == "unseen"), None)
    if alive:
        does = "answers" if alive["answer"] else "accepts a session and keeps it open"
        why = listens or "no pod of the gateway listens, so it is somebody else, or a load balancer that has not let go"
        return False, f"{alive['address']}:{alive['port']} {does}; {why}"
    reached = [item for item in results if item["state"] not in BLIND]
    if inside.served and (pods or (inside.unseen and not reached)):
        return False, f"the front Service still has the port, and {listens}"
    seen = [STATES.get(item["state"], item["state"]) for item in [*reached, *results][:1]] or ["it has no address"]
    return True, seen[0] if reached else f"{seen[0]}, and {_left(inside)}"


def _left(inside: Inside) -> str:
    """Say what shows that a port is gone where a connection from here cannot."""
    return "no pod of the gateway listens" if inside.served else "the front Service no longer has it"


class Watch:
    """Looks at closed ports until all are gone or the deadline is over."""

    def __init__(
        self,
        api: Api,
        listeners: Listeners,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take the connection to the API server and what asks the gateways' Envoys."""
        self._api = api
        self._listeners = listeners
        self._clock = clock
        self._sleep = sleep
        self.nodes: list[dict[str, Any]] = []
        self.fronts: dict[Place, dict[str, Any] | None] = {}

    def read(self, ports: Sequence[Port]) -> None:
        """Read the front Services, and the nodes where one is of type NodePort."""
        for namespace, name in sorted({(port["namespace"], port["service"]) for port in ports}):
            found = self._api.find(f"{collection_path('Service', namespace)}/{name}")
            self.fronts[namespace, name] = _state.service(found) if found else None
        self.nodes = self.nodes or read_nodes(self._api, [item for item in self.fronts.values() if item])

    def until_gone(self, ports: Sequence[Port], deadline: float) -> list[tuple[bool, str]]:
        """Return for each port whether it is gone, and what shows it; C(deadline) in seconds, 0 is one look."""
        end = self._clock() + deadline
        found: dict[int, tuple[bool, str]] = {}
        pending = list(range(len(ports)))
        while True:
            found.update(zip(pending, self._look([ports[index] for index in pending]), strict=True))
            pending = [index for index in pending if not found[index][0]]
            if not pending or self._clock() + PAUSE > end:
                return [found[index] for index in range(len(ports))]
            self._sleep(PAUSE)

    def _look(self, ports: Sequence[Port]) -> list[tuple[bool, str]]:
        """Connect to all ports once, then look at what the cluster has of them."""
        self.read(ports)
        tried = asyncio.run(self._connect(ports))
        asked: dict[Place, tuple[Mapping[str, Collection[int]], Sequence[str]]] = {}
        verdicts = []
        for port, results in zip(ports, tried, strict=True):
            front = self.fronts[port["namespace"], port["service"]]
            if port.get("door") == ROUTE:
                verdicts.append(self._route(port))
                continue
            place = (port["namespace"], port["gateway"])
            if is_door(port):
                asked[place] = ({}, (PAST,))
            if place not in asked:
                selector = pods_behind(front, port["gateway"], port["namespace"])
                asked[place] = self._listeners(Gateway(port["gateway"], port["namespace"], selector))
            bound, problems = asked[place]
            listening = tuple(sorted(name for name, numbers in bound.items() if port["target_port"] in numbers))
            served = bool(front) and any(
                item["port"] == port["port"] and item["protocol"] == "TCP" for item in front["ports"]
            )
            verdicts.append(judge(results, Inside(served, listening, tuple(problems))))
        return verdicts

    def _route(self, port: Port) -> tuple[bool, str]:
        """Tell whether a Route is gone."""
        found = self._api.find(f"{collection_path('Route', port['namespace'])}/{port['service']}")
        return (False, "its Route is still there") if found else (True, "its Route is gone; no router was asked")

    async def _connect(self, ports: Sequence[Port]) -> list[list[dict[str, Any]]]:
        """Open a session to each address of each port, and watch it for a moment."""

        async def nobody(_gateway: str, _wanted: Collection[str], _pods: Sequence[str] | None) -> Snapshot:
            return Snapshot()

        targets = []
        for index, port in enumerate(ports):
            addresses, number = reachable_at(port, self.fronts[port["namespace"], port["service"]], self.nodes)
            # A router goes on listening there for other names.
            if addresses and port.get("door") != ROUTE:
                record = {"name": str(index), "addresses": addresses, "port": number, "timeout": TIMEOUT}
                targets.append(parse_target({**record, "mode": "connect"}))
        results = await Prober(targets, nobody, deadline=0, hold=HOLD, sockets=sockets_allowed()).run()
        return [[item for item in results if item["name"] == str(index)] for index in range(len(ports))]


def closed_endpoints(
    ports: Sequence[Port],
    fronts: Fronts,
    nodes: Sequence[Port],
    verdicts: Sequence[tuple[bool, str]] | None,
    cluster: str = "",
    set_name: str = "default",
    planned: bool = False,
) -> list[dict[str, Any]]:
    """Return an endpoint per closed port, in the form of C(tcp_endpoints); without verdicts nothing was proven."""
    report = []
    for index, port in enumerate(ports):
        where = reachable_at(port, fronts.get((port["namespace"], port["service"])), nodes)
        hop = None
        if planned:
            proof, detail = "planned", "it would be withdrawn"
        elif verdicts is None:
            proof, detail = "unproven", "withdrawn, but probing is turned off"
        else:
            gone, detail = verdicts[index]
            proof = "withdrawn" if gone else "answers"
            if not gone:
                noun = "door" if is_door(port) else "gateway"
                subject = f"{noun} {port['namespace']}/{port['gateway']}"
                hop = finding("PORT_ANSWERS", subject, port=port["port"], seen=detail)
        several = {"backends": port["backends"]} if "backends" in port else {}
        report.append(endpoint(port, cluster, set_name, where, proof=proof, detail=detail, hop=hop, **several))
    return report
