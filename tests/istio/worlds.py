# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random worlds: a few Gateways, VirtualServices and Services that get in each other's way, from a fixed seed.

A world is some contests, each on ports of its own and with a theme that makes one rule of Istio likely to decide it.
Objects carry a wave: those of one wave are created within a second where the API server is fast enough, and a later
wave is younger.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from istio.places import BACKENDS, HIDDEN, NAMESPACES, PODS, SCOPED_REVISION, SHARED, Pod

WAVES = 3
# Ports of a world: what servers and rules name, what Services lead to, and numbers below 1024.
NUMBERS, TARGETS, STRIDE = 20000, 40000, 16
LOW_STRIDE = 3
BINDS = ("127.0.0.2", "127.0.0.3", "0.0.0.0")
OPT_OUT = "experimental.istio.io/disable-gateway-port-translation"


@dataclass
class World:
    """The objects of one world, each with its wave, and the ports of each of its contests."""

    seed: int
    revision: str
    objects: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    contests: dict[str, set[int]] = field(default_factory=dict)

    @property
    def ports(self) -> set[int]:
        """The ports that are its own."""
        return set().union(*self.contests.values())

    def add(self, wave: int, kind: str, namespace: str, name: str, spec: dict[str, Any], **labels: str) -> None:
        """Add an object; the scoped control plane's are marked, so that the other one leaves them alone."""
        group = "v1" if kind == "Service" else "networking.istio.io/v1beta1"
        marks = {"istio.io/rev": self.revision} if self.revision != "default" and kind != "Service" else {}
        metadata = {"name": name, "namespace": namespace, "labels": {**marks, **labels}}
        self.objects.append((wave, {"apiVersion": group, "kind": kind, "metadata": metadata, "spec": spec}))

    @property
    def pods(self) -> list[Pod]:
        """The gateway pods that its Gateways can reach."""
        return [pod for pod in PODS if pod.revision == self.revision]


class Contest:
    """Gateways that want the same port."""

    def __init__(self, world: World, rng: random.Random, place: int, theme: str) -> None:
        self.world, self.rng, self.theme = world, rng, theme
        self.tag = f"w{world.seed}c{place}"
        self.namespaces = NAMESPACES[world.revision]
        self.pod = rng.choice(world.pods)
        base = NUMBERS + world.seed * STRIDE + place * 4
        self.numbers = (base, base + 1, base + 2)
        self.targets = tuple(TARGETS + number - NUMBERS for number in self.numbers)
        if theme == "privileged":
            low = 1 + world.seed * LOW_STRIDE
            self.numbers = (low, low + 1, base + 2)
        world.contests[self.tag] = {*self.numbers, *self.targets}

    def likely(self, theme: str, otherwise: float = 0.06, themed: float = 0.7) -> bool:
        """Draw whether something happens: often where it is the theme."""
        return self.rng.random() < (themed if self.theme == theme else otherwise)

    def wave(self) -> int:
        """Draw when an object is made."""
        return 0 if self.likely("tie", 0.1, 0.9) else self.rng.randrange(WAVES)

    def namespace(self) -> str:
        """Draw where an object is: mostly beside the pod."""
        return self.pod.namespace if self.rng.random() < 0.55 else self.rng.choice(self.namespaces)

    def fill(self) -> None:
        """Add the contest's objects to its world."""
        if self.theme == "translation" or self.rng.random() < 0.15:
            self.services()
        protocols = self.protocols()
        shared_name = self.likely("tie", 0.1, 0.5)
        for index in range(self.rng.choice((2, 2, 3))):
            name = f"{self.tag}-{'same' if shared_name else self.rng.choice('abc') + str(index)}"
            namespace = self.namespaces[index] if shared_name else self.namespace()
            self.gateway(index, namespace, name, protocols[index])
            self.virtual_services(index, namespace, name, protocols[index])

    def protocols(self) -> Sequence[str]:
        """Draw what the servers speak."""
        if self.theme == "http":
            return self.rng.choices(("HTTP", "HTTP2", "TCP"), weights=(3, 3, 1), k=3)
        if self.theme == "ended":
            return self.rng.choices(("MTLS", "HTTPS", "TLS"), weights=(5, 1, 1), k=3)
        if self.theme == "protocol":
            return self.rng.choices(("TCP", "HTTP", "HTTP2", "TLS", "MTLS", "HTTPS", "MYSQL"), k=3)
        if self.theme == "sni":
            return self.rng.choices(("TLS", "MTLS"), weights=(3, 2), k=3)
        return self.rng.choices(("TCP", "TLS", "HTTP"), weights=(12, 1, 1), k=3)

    def number(self, index: int) -> int:
        """Draw a server's number: mostly the one that is fought for."""
        if self.theme == "translation" and self.rng.random() < 0.5:
            return self.rng.choice((self.numbers[0], self.numbers[1], self.targets[0]))
        together = index == 0 or self.theme == "ended" or self.rng.random() < 0.85
        return self.numbers[0] if together else self.numbers[1]

    def selector(self) -> dict[str, str]:
        """Draw which pods a Gateway asks for."""
        if not self.likely("selector", 0.12, 0.8):
            return dict(SHARED) if self.rng.random() < 0.7 else dict(self.pod.labels)
        wrong = {**SHARED, "istio": "is-nobody"}
        # Without a selector it would reach the gateways of everybody on the lab, but for the scoped control plane.
        everything: dict[str, str] = {} if self.world.revision == SCOPED_REVISION else dict(SHARED)
        return dict(self.rng.choice((wrong, dict(self.pod.labels), *[everything] * 4)))

    def hosts(self, namespace: str, protocol: str, name: str) -> list[str]:
        """Draw a server's hosts."""
        if protocol == "HTTP" or protocol == "HTTP2":
            return [f"{namespace}.{name}.test"]
        if protocol in ("TLS", "MTLS", "HTTPS"):
            host = self.rng.choice(("x.test", "x.test", "y.test", "*.test", "*"))
            if self.theme == "ended":
                return [self.rng.choice(("x.test", "x.test", "*/x.test", f"{self.namespaces[0]}/x.test"))]
            prefix = self.rng.choice(("", "", "*/", "./", f"{self.rng.choice(self.namespaces)}/"))
            return sorted({prefix + host, *([f"{name}.test"] if self.rng.random() < 0.3 else [])})
        if not self.likely("hosts", 0.15, 0.85):
            return ["*"]
        return [
            self.rng.choice(("./*", "*/*", f"{self.rng.choice(self.namespaces)}/*", "x.test", "./*.test", "y.test"))
        ]

    def gateway(self, index: int, namespace: str, name: str, protocol: str) -> None:
        """Add a Gateway with one server, or two."""
        servers = [self.server(self.number(index), "main", namespace, name, protocol)]
        if self.rng.random() < 0.25:
            servers.append(self.server(self.numbers[1], "more", namespace, name, "TCP"))
        labels = {"istio.io/rev": "elsewhere"} if self.likely("revision", 0.03, 0.5) else {}
        spec = {"selector": self.selector(), "servers": servers}
        if not spec["selector"]:
            del spec["selector"]
        self.world.add(self.wave(), "Gateway", namespace, name, spec, **labels)

    def server(self, number: int, port: str, namespace: str, name: str, protocol: str) -> dict[str, Any]:
        """Return one server."""
        spoken = {"MTLS": "TLS"}.get(protocol, protocol)
        server: dict[str, Any] = {
            "port": {"number": number, "name": port, "protocol": spoken},
            "hosts": self.hosts(namespace, protocol, name),
        }
        if protocol == "TLS":
            server["tls"] = {"mode": "PASSTHROUGH"}
        elif protocol in ("MTLS", "HTTPS"):
            # The proxy's own certificate, so that no Secret is needed.
            server["tls"] = {"mode": "ISTIO_MUTUAL"}
        if self.likely("bind", 0.05, 0.75) or self.likely("ended", 0, 0.3):
            server["bind"] = self.rng.choice(BINDS)
        return server

    def virtual_services(self, index: int, namespace: str, gateway: str, protocol: str) -> None:
        """Add what leads a Gateway's connections on: mostly one VirtualService, none or two as well."""
        if self.likely("route", 0.05, 0.3):
            return
        paired = self.theme == "visibility" and self.rng.random() < 0.5
        for turn in range(2 if paired or self.likely("order", 0.15, 0.9) or self.likely("visibility", 0, 0.8) else 1):
            where = namespace if self.rng.random() < 0.6 else self.rng.choice((self.pod.namespace, *self.namespaces))
            if self.world.revision == SCOPED_REVISION and self.likely("visibility", 0.1, 0.4):
                where = HIDDEN
            spec: dict[str, Any] = {
                "hosts": self.virtual_hosts(namespace, gateway, protocol),
                "gateways": [f"{namespace}/{gateway}"],
            }
            if where == namespace and self.rng.random() < 0.6:
                spec["gateways"] = [self.rng.choice((gateway, gateway, f"./{gateway}"))]
            elif self.rng.random() < 0.1:
                # An old way of writing it.
                spec["gateways"] = [f"{gateway}.{namespace}.svc.cluster.local"]
            wave = self.wave()
            if paired:
                # A public one, and a younger one that is the pods' own namespace's.
                where, wave = (where, 0) if turn == 0 else (self.pod.namespace, 1)
                spec["exportTo"] = ["*"] if turn == 0 else ["."]
                spec["gateways"] = [f"{namespace}/{gateway}"]
            elif self.likely("visibility", 0.1, 0.8):
                choices = ((".",), (".",), (".",), ("~",), (self.pod.namespace,), (where, "is-none"), ("*",))
                spec["exportTo"] = list(self.rng.choice(choices))
            spec.update(self.rules(f"{namespace}/{gateway}", protocol))
            labels = {"istio.io/rev": "elsewhere"} if self.likely("revision", 0.02, 0.3) else {}
            self.world.add(wave, "VirtualService", where, f"{self.tag}-{index}{turn}", spec, **labels)

    def virtual_hosts(self, namespace: str, gateway: str, protocol: str) -> list[str]:
        """Draw the hosts of a VirtualService for a Gateway; the routes of HTTP are told apart by them."""
        if protocol in ("HTTP", "HTTP2", "HTTPS"):
            return [f"{namespace}.{gateway}.test"]
        if protocol == "TLS":
            return ["*"] if self.rng.random() < 0.3 else ["x.test", "y.test", f"{gateway}.test"]
        return [self.rng.choice(("x.test", "y.test", "*.test"))] if self.likely("hosts", 0.1, 0.7) else ["*"]

    def rules(self, gateway: str, protocol: str) -> dict[str, Any]:
        """Draw the rules for a Gateway's server."""
        if protocol in ("HTTP", "HTTP2", "HTTPS"):
            return {"http": [{"route": [self.destination()]}]}
        if protocol == "TLS":
            count = self.rng.choice((1, 2)) if self.theme == "sni" else 1
            return {
                "tls": [{"match": [self.tls_match(gateway)], "route": [self.destination()]} for _number in range(count)]
            }
        count = self.rng.choice((2, 3)) if self.theme in ("rules", "order") else 1
        return {"tcp": [self.tcp_rule(gateway) for _number in range(count)]}

    def tls_match(self, gateway: str) -> dict[str, Any]:
        """Draw one match of a TLS rule; its names are among the VirtualService's hosts."""
        match: dict[str, Any] = {"sniHosts": [self.rng.choice(("x.test", "y.test"))]}
        if self.rng.random() < 0.5:
            match["port"] = self.rng.choice((self.numbers[0], self.numbers[0], self.targets[0]))
        return match

    def tcp_rule(self, gateway: str) -> dict[str, Any]:
        """Draw one TCP rule."""
        rule: dict[str, Any] = {"route": [self.destination()]}
        if self.rng.random() < 0.2:
            rule["route"] = [
                {**self.destination(), "weight": weight} for weight in self.rng.choice(((30, 70), (100, 0)))
            ]
        if self.likely("rules", 0.25, 0.4):
            return rule
        wrong = self.likely("rules", 0.04, 0.3) or self.likely("translation", 0, 0.2)
        numbers = [self.targets[0] if wrong else self.numbers[0], *self.numbers[1:], self.targets[1]]
        rule["match"] = [{"port": number} for number in numbers[: self.rng.choice((1, 3, 4))]]
        if self.likely("rules", 0.05, 0.6):
            other = f"{gateway}-other"
            rule["match"][0]["gateways"] = self.rng.choice(([other], [other], [other], [gateway, other]))
        return rule

    def destination(self) -> dict[str, Any]:
        """Draw where connections go; host, port and subset tell the cluster apart."""
        host = self.rng.choice(("single", "single", "double", "elsewhere", "gone"))
        if self.rng.random() < 0.6:
            host += f".{self.rng.choice(self.namespaces)}.svc.cluster.local"
        destination: dict[str, Any] = {"host": host}
        if self.rng.random() < 0.75:
            destination["port"] = {"number": self.rng.choice((*BACKENDS["single"], *BACKENDS["double"]))}
        if self.rng.random() < 0.2:
            destination["subset"] = self.rng.choice(("v1", "v2"))
        return {"destination": destination}

    def services(self) -> None:
        """Add Services in front of the pod, which translate the contest's ports."""
        tied = self.rng.random() < 0.5
        for index in range(self.rng.choice((1, 2, 2, 3))):
            first = self.service_port(self.numbers[0], self.rng.choice(self.targets[:2]))
            ports = [first]
            if self.rng.random() < 0.75:
                target = first["targetPort"] if self.rng.random() < 0.5 else self.rng.choice(self.targets[:2])
                ports.insert(self.rng.randrange(2), self.service_port(self.numbers[1], target))
            name = f"{self.tag}-{self.rng.choice(('a', 'b'))}{'-b' if self.rng.random() < 0.4 else ''}{index}"
            labels = {OPT_OUT: ""} if self.rng.random() < 0.2 else {}
            spec = {"selector": dict(self.pod.labels), "ports": ports}
            wave = 0 if tied else self.rng.randrange(WAVES)
            self.world.add(wave, "Service", self.pod.namespace, name, spec, **labels)

    def service_port(self, number: int, target: int) -> dict[str, Any]:
        """Return one port; what it is called can make it another protocol, and not every target is a number."""
        port: dict[str, Any] = {
            "name": f"{self.rng.choice(('tcp', 'tcp', 'tls'))}-{number}",
            "port": number,
            "targetPort": target,
        }
        odd = self.rng.random()
        if odd < 0.05:
            port["protocol"] = "UDP"
        elif odd < 0.1:
            port["appProtocol"] = self.rng.choice(("https", "tcp", "kubernetes.io/wss", "strange"))
        elif odd < 0.15:
            port["targetPort"] = "no-such-port"
        return port


THEMES = {
    "age": 1,
    "tie": 4,
    "translation": 7,
    "bind": 1,
    "protocol": 2,
    "http": 2,
    "ended": 5,
    "sni": 4,
    "route": 1,
    "order": 2,
    "visibility": 5,
    "rules": 3,
    "hosts": 1,
    "privileged": 2,
    "selector": 3,
    "revision": 1,
}


def draw_world(seed: int, turn: int) -> World:
    """Return a world of a seed; every fourth is the scoped control plane's."""
    rng = random.Random(f"{seed} {turn}")
    world = World(seed, SCOPED_REVISION if seed % 4 == 3 else "default")
    themes = rng.choices(list(THEMES), weights=list(THEMES.values()), k=4)
    for place, theme in enumerate(themes):
        # Numbers below 1024 are few.
        again = theme == "privileged" and theme in themes[:place]
        Contest(world, rng, place, "age" if again else theme).fill()
    return world
