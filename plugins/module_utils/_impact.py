# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change does to live sessions, port by port.

Every rule stands in the design's table "What cuts a session" or was measured on the lab (Istio 1.31, Envoy 1.40) with
sessions held open through the change; docs/impact.md lists all of them. Envoy keeps a listener whose configuration it
finds equal, whatever the objects are called from which istiod made it.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.servicemesh.tcp.plugins.module_utils._doors import ROUTE_PORT
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import describe
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import DOOR_LABEL, GATEWAY_LABEL
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls_impact import Chains, compared
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import HEALTH_PORT

# The worst of several wins: from the left to the right.
IMPACTS = ("none", "opens", "drains", "closes", "restarts")
# Impacts that end the sessions of a port.
CUTTING = ("drains", "closes", "restarts")

Place = tuple[str, str]
Object = Mapping[str, Any]
# An object before and after a run; V(None) where it is not there.
Pair = tuple["Object | None", "Object | None"]


class Door(NamedTuple):
    """A port of a front Service."""

    service: str
    target: Any
    # Whether a load balancer leads to it.
    balanced: bool
    # Where clients come to a door past the gateway: node port and external IPs.
    reached: Any = None


@dataclass
class Gateway:
    """What the objects of a run say of one gateway, at one moment."""

    doors: dict[int, Door] = field(default_factory=dict)
    # Port to what Envoy's listener is made from, less names.
    servers: dict[int, Any] = field(default_factory=dict)
    routes: dict[int, Any] = field(default_factory=dict)
    # Port to the filter chains of its TLS listener by the names that they are for.
    chains: dict[int, dict[str, Any]] = field(default_factory=dict)
    # Port to the hosts that HTTP rules are for. Routes are told to Envoy apart from the listener, and cut nothing.
    hosts: dict[int, set[str]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)

    def ports(self) -> set[int]:
        """Return every port that any object has."""
        return {*self.doors, *self.servers, *self.routes, *self.chains}


def impacts(pairs: Iterable[Pair]) -> list[dict[str, Any]]:
    """Return one impact per port of every gateway that the objects belong to, sorted by gateway and port.

    Each is C({gateway, namespace, port, port_name, listener, impact, why}); C(listener) is the port on which the
    gateway's pods listen before the change. Pairs of one object follow each other as the run changes it. Objects
    without a gateway's label are none of a gateway's.
    """
    found: list[dict[str, Any]] = []
    for (namespace, name), objects in sorted(_by_gateway(pairs).items()):
        before, after = _gateway(pair[0] for pair in objects), _gateway(pair[1] for pair in objects)
        whole = _of_the_pods(objects)
        ports = before.ports() | after.ports()
        for port in sorted(ports):
            impact, why = _worst([*_of_the_port(port, before, after), *_of_rules(port, objects, before), *whole])
            if whole and port not in before.ports():
                impact, why = "opens", "new"
            target = before.doors[port].target if port in before.doors else port
            doors = [_door_of(obj) for pair in objects for obj in pair if obj]
            found.append(
                {
                    "gateway": name,
                    **({"door": doors[0]} if doors and doors[0] else {}),
                    "namespace": namespace,
                    "port": port,
                    "port_name": before.names.get(port) or after.names.get(port, ""),
                    "listener": target if isinstance(target, int) else port,
                    "impact": impact,
                    "why": why,
                }
            )
    return found


def _worst(candidates: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """Return the worst impact with its reason; the first of equal ones."""
    return max([("none", ""), *candidates], key=lambda item: IMPACTS.index(item[0]))


def _by_gateway(pairs: Iterable[Pair]) -> dict[Place, list[Pair]]:
    """Group objects by gateway, each object once: as the run finds it and as the run leaves it."""
    found: dict[Place, dict[str, Pair]] = {}
    for before, after in pairs:
        obj = before or after
        place = _place(before) or _place(after)
        if obj and place:
            objects = found.setdefault(place, {})
            first = objects.get(describe(obj), (before, None))[0]
            # A Gateway that selects other pods than it will has no listener on these.
            elsewhere = obj["kind"] == "Gateway" and first and after and _selector(first) != _selector(after)
            objects[describe(obj)] = (None if elsewhere else first, after)
    return {place: list(objects.values()) for place, objects in found.items()}


def _selector(gateway: Object) -> Any:
    """Return which pods a Gateway is for."""
    return _spec(gateway).get("selector")


def _place(obj: Object | None) -> Place | None:
    """Return the gateway that an object belongs to."""
    if obj is None:
        return None
    metadata = obj["metadata"]
    labels = metadata.get("labels") or {}
    # A door past the gateway is told of by the name of its Service.
    gateway = metadata["name"] if DOOR_LABEL in labels else labels.get(GATEWAY_LABEL)
    # A set's share of a front Service that is not there yet carries no labels; the Service has its gateway's name.
    if not gateway and obj["kind"] == "Service" and not labels:
        gateway = metadata["name"]
    return (metadata["namespace"], gateway) if gateway else None


def _gateway(objects: Iterable[Object | None]) -> Gateway:
    """Read what the objects say of the ports."""
    found = Gateway()
    by_name = Chains()
    for obj in objects:
        if obj is None:
            continue
        spec = _spec(obj)
        if obj["kind"] == "Service":
            for port in spec.get("ports") or []:
                if port["port"] != HEALTH_PORT and port.get("protocol", "TCP") == "TCP":
                    target = port.get("targetPort", port["port"])
                    balanced = spec.get("type") == "LoadBalancer"
                    reached = (port.get("nodePort"), spec.get("externalIPs")) if _door_of(obj) else None
                    found.doors[port["port"]] = Door(obj["metadata"]["name"], target, balanced, reached)
                    found.names[port["port"]] = port.get("name", "")
        elif obj["kind"] == "Route":
            to = (spec["to"]["name"], (spec.get("port") or {}).get("targetPort"))
            found.doors[ROUTE_PORT] = Door(obj["metadata"]["name"], to, False, (None, [spec["host"]]))
        elif obj["kind"] == "Gateway":
            for server in spec.get("servers") or []:
                number = server["port"]["number"]
                if server["port"].get("protocol") == "TLS":
                    by_name.add_server(number, server)
                else:
                    found.servers[number] = _server(server)
                found.names.setdefault(number, server["port"].get("name", ""))
        elif obj["kind"] == "VirtualService":
            by_name.add_rules(spec)
            for rule in spec.get("http") or []:
                for match in rule.get("match") or []:
                    found.hosts.setdefault(match.get("port"), set()).update(spec.get("hosts") or [])
            for rule in spec.get("tcp") or []:
                for match in rule.get("match") or []:
                    if match.get("port"):
                        # The first rule of a port wins (istio pilot/pkg/networking/core/gateway.go).
                        found.routes.setdefault(match["port"], rule.get("route") or [])
    found.chains = by_name.chains()
    for port in found.chains:
        # What its rules lead to is told by name.
        found.routes.pop(port, None)
    return found


def _server(server: Object) -> tuple[Any, ...]:
    """Return what of a server makes its listener: neither its name nor its hosts do, for plain TCP."""
    bind = server.get("bind", "")
    return server["port"].get("protocol"), "" if bind == "0.0.0.0" else bind, server.get("tls")


def _of_the_port(port: int, before: Gateway, after: Gateway) -> Iterator[tuple[str, str]]:
    """Compare one port's door, listener and route."""
    yield from _of_the_door(before.doors.get(port), after.doors.get(port))
    yield from compared(before.chains.get(port, {}), after.chains.get(port, {}))
    if port in before.servers and port not in after.servers:
        yield "closes", "its listener goes"
    elif port in before.routes and port not in after.routes:
        yield "closes", "its rule goes"
    elif before.servers.get(port, after.servers.get(port)) != after.servers.get(port):
        yield "drains", "its server changes"
    elif before.routes.get(port, after.routes.get(port)) != after.routes.get(port):
        yield "drains", "its destination changes"
    if port in after.servers and port not in before.servers:
        yield "opens", "new"
    new = sorted(after.hosts.get(port, set()) - before.hosts.get(port, set()))
    if new and port in before.hosts:
        yield "opens", f"new is {new[0]}"
    if port in after.routes and port not in before.routes:
        yield "opens", "new"


def _of_the_door(before: Door | None, after: Door | None) -> Iterator[tuple[str, str]]:
    """Compare a port of the front Service."""
    if after and not before:
        yield "opens", "new"
    elif before and not after:
        yield "closes", "it is withdrawn"
    elif before and after and before.service != after.service:
        yield "closes", f"it moves from Service {before.service} to Service {after.service}"
    elif before and after and before.balanced and not after.balanced:
        yield "closes", "its load balancer goes"
    elif before and after and before.reached and after.reached and _moves(before.reached, after.reached):
        yield "closes", "clients come to another node port, external IP or name"
    elif before and after and before.target != after.target:
        yield "drains", "its target port changes"


def _moves(before: Any, after: Any) -> bool:
    """Tell whether clients find a door no more where it was; a node port that nobody names stays as it is."""
    return (before[0] and after[0] and before[0] != after[0]) or bool(set(before[1] or ()) - set(after[1] or ()))


def _door_of(obj: Object) -> str:
    """Return which door past the gateway a Service is, '' for any other object."""
    return (obj["metadata"].get("labels") or {}).get(DOOR_LABEL, "")


def _of_rules(port: int, objects: Iterable[Pair], before: Gateway) -> Iterator[tuple[str, str]]:
    """Judge AuthorizationPolicies and DestinationRules in the gateway's namespace."""
    for old, new in objects:
        kind = (old or new or {})["kind"]
        if kind == "AuthorizationPolicy" and _spec(old) != _spec(new):
            # Whatever ports it names: istiod writes the policies of a workload into every one of its filter chains.
            yield "drains", "an AuthorizationPolicy of the gateway changes"
        if kind == "DestinationRule":
            routes = [before.routes.get(port), *(route for _settings, route in before.chains.get(port, {}).values())]
            yield from _of_the_destination([item for route in routes for item in route or ()], _spec(old), _spec(new))


def _of_the_destination(route: Any, old: Object, new: Object) -> Iterator[tuple[str, str]]:
    """Judge a DestinationRule for a port with this route.

    Most of it makes Envoy's cluster, whose sessions live on. A few settings of the whole host are the listener's.
    """
    hosts = {item.get("destination", {}).get("host") for item in route or []}
    before, after = (_of_the_listener(spec) if spec.get("host") in hosts else {} for spec in (old, new))
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield "drains", f"the {name} of its backend's DestinationRule changes"


def _of_the_listener(rule: Object) -> dict[str, str]:
    """Return what of a DestinationRule goes into the listener: idle time, longest time, stickiness by address."""
    policy = rule.get("trafficPolicy") or {}
    tcp = (policy.get("connectionPool") or {}).get("tcp") or {}
    found = {name: str(tcp[name]) for name in ("idleTimeout", "maxConnectionDuration") if name in tcp}
    if ((policy.get("loadBalancer") or {}).get("consistentHash") or {}).get("useSourceIp"):
        found["consistentHash"] = "useSourceIp"
    return found


def _of_the_pods(objects: Iterable[Pair]) -> list[tuple[str, str]]:
    """Judge what ends pods of a gateway, and with them sessions of every port."""
    found = []
    for old, new in objects:
        if not old:
            continue
        if old["kind"] == "Deployment":
            before, after = _spec(old), _spec(new)
            if not new:
                found.append(("restarts", "the gateway's pods go"))
            elif before.get("template") != after.get("template"):
                found.append(("restarts", "the gateway's pods are replaced"))
            elif after.get("replicas", 1) < before.get("replicas", 1):
                found.append(("restarts", f"of {before['replicas']} pods {after.get('replicas', 1)} stay"))
        elif old["kind"] == "HorizontalPodAutoscaler" and new:
            pods, most = (old.get("status") or {}).get("currentReplicas", 0), _spec(new).get("maxReplicas", 0)
            if most < pods:
                found.append(("restarts", f"of {pods} pods {most} stay"))
    return found


def _spec(obj: Object | None) -> Mapping[str, Any]:
    """Return an object's spec."""
    return (obj or {}).get("spec") or {}
