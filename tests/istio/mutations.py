# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the model, each with a mutation that breaks it.

A rule decides a world if its mutation changes what the model predicts for it. A world that was held against istiod and
that a rule decides is thereby a test that the mutation would not survive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import (
    _istio,
    _istio_merge,
    _istio_mesh,
    _istio_names,
    _istio_ports,
    _istio_routes,
)

Patch = tuple[Any, str, Callable[..., Any]]


def _age(item: Any) -> tuple[str, str, str]:
    return (item["created"], item["name"], item["namespace"])


def _inverted(text: str) -> tuple[int, ...]:
    """Return a key that sorts a text the other way round."""
    return (*(-ord(letter) for letter in text), 0)


def _ages(key: Callable[[Any], Any]) -> list[Patch]:
    """Return another order of objects, wherever it is used."""
    return [(module, "age_key", key) for module in (_istio_mesh, _istio_routes)]


def _gateway_ages(key: Callable[[Any], Any]) -> list[Patch]:
    return [(_istio_mesh, "age_key", key)]


def _no_hosts(_servers: Any, _virtual: Any, _namespace: str) -> bool:
    return True


def _any_namespace(servers: Any, virtual: Any, _namespace: str) -> bool:
    hosts = [host.rpartition("/")[2] for host in servers]
    return any(_istio_names.overlap(host, wanted) for wanted in virtual for host in hosts)


def _always_distinct(merged: Any, server: Any, port: int) -> bool:
    return True


def _one_bind_hosts(merged: Any, server: Any, port: int) -> bool:
    """Keep hosts of a port apart whatever the bind."""
    held = merged.hosts.setdefault(port, {})
    if server.tls and any(host in held for host in server.hosts):
        return False
    if server.tls:
        held.update(dict.fromkeys(server.hosts, server))
    return True


def _public_by_age(item: Any, namespace: str, default: Any = ("*",)) -> int:
    """Let visibility decide nothing but whether a VirtualService is seen."""
    return 0 if PLACE(item, namespace, default) < _istio_routes.HIDDEN else _istio_routes.HIDDEN


def _all_seen(item: Any, namespace: str, default: Any = ("*",)) -> int:
    """Show a VirtualService that is not exported as if it were."""
    return min(PLACE(item, namespace, default), 2)


def _last_first(item: Any) -> list[int]:
    return RULE_ORDER(item)[::-1]


def _unmerged(one: str, other: str) -> bool:
    return False


def _refuse_nothing(chains: Any) -> None:
    return None


def _claim_nothing(self: Any, port: int, server: Any, sni: Any) -> None:
    return None


PLACE = _istio_routes.place_in_order
RULE_ORDER = _istio_routes.rule_order

MUTATIONS: dict[str, list[Patch]] = {
    "a Gateway reaches pods of all namespaces": [
        (_istio_mesh, "reaches", lambda item, workload, plane: item["namespace"] == workload["namespace"])
    ],
    "but not with a scoped control plane": [(_istio_mesh, "reaches", lambda item, workload, plane: True)],
    "every label of a selector counts": [
        (_istio_mesh, "selects", lambda item, labels: any(labels.get(k) == v for k, v in item["selector"].items()))
    ],
    "without a selector it reaches every gateway": [
        (_istio_mesh, "selects_all", lambda item: False),
    ],
    "istio.io/rev on configuration": [
        (module, "in_revision", lambda item, plane: True) for module in (_istio_mesh, _istio)
    ],
    "discovery selectors": [
        (module, "sees_configuration", lambda namespace, plane, namespaces: True) for module in (_istio_mesh, _istio)
    ],
    "the oldest Gateway wins": _gateway_ages(
        lambda item: (_inverted(item["created"]), item["name"], item["namespace"])
    ),
    "a tie of Gateways goes by name": _gateway_ages(
        lambda item: (item["created"], _inverted(item["name"]), item["namespace"])
    ),
    "then by namespace": _gateway_ages(lambda item: (item["created"], item["name"], _inverted(item["namespace"]))),
    "Services translate ports": [(_istio, "translations", lambda services: {})],
    "the oldest Service translates": [
        (
            _istio_ports,
            "service_key",
            lambda item: (_inverted(item["created"]), f"{item['name']}.{item['namespace']}.svc"),
        )
    ],
    "a tie of Services goes by host name": [
        (
            _istio_ports,
            "service_key",
            lambda item: (item["created"], _inverted(f"{item['name']}.{item['namespace']}.svc")),
        )
    ],
    "a Service may opt out": [(_istio_ports, "opted_out", lambda item: False)],
    "of equal targets in a Service the first counts": [(_istio_ports, "distinct_targets", list)],
    "binds are listeners apart": [(_istio_merge, "is_apart", lambda one, other, version: False)],
    "plain servers do not share a port": [(_istio_merge, "is_apart", lambda one, other, version: True)],
    "HTTP-like servers do": [(_istio_merge, "can_merge", _unmerged)],
    "a plain server may follow TLS ones": [(_istio_merge, "plain_beside_tls", lambda version: False)],
    "hosts of TLS servers are held once": [(_istio_merge, "admit_hosts", _always_distinct)],
    "on each bind": [(_istio_merge, "admit_hosts", _one_bind_hosts)],
    "names of passthrough rules are held once": [(_istio._Builder, "_claim", _claim_nothing)],
    "Envoy refuses chains that overlap": [(_istio, "overlapping", _refuse_nothing)],
    "no route, no listener": [(_istio, "keeps_listener", lambda route: True)],
    "ports below 1024 need the privilege": [(_istio, "is_unprivileged", lambda workload, plane: False)],
    "the oldest VirtualService goes first": [
        (_istio_routes, "age_key", lambda item: (_inverted(item["created"]), item["name"], item["namespace"]))
    ],
    "a tie of VirtualServices goes by name": [
        (_istio_routes, "age_key", lambda item: (item["created"], _inverted(item["name"]), item["namespace"]))
    ],
    "private ones go before public ones": [(_istio_routes, "place_in_order", _public_by_age)],
    "exportTo hides": [(_istio_routes, "place_in_order", _all_seen)],
    "the first rule that matches is the only one": [(_istio_routes, "rule_order", _last_first)],
    "a rule without a match takes every port": [(_istio_routes, "unmatched", list)],
    "a match is for the server's number": [(_istio_routes, "matched_number", lambda server, port: port)],
    "a match may name Gateways": [(_istio_routes, "names_gateway", lambda named, gateway, item: True)],
    "hosts must meet": [(_istio_routes, "hosts_match", _no_hosts)],
    "hosts may be a namespace's": [(_istio_routes, "hosts_match", _any_namespace)],
    "short names are of the object's namespace": [
        (_istio_routes, "full_host", lambda host, namespace, domain: host),
        (_istio_routes, "full_gateway", lambda name, namespace: name),
    ],
    "a destination's default port": [(_istio_routes, "default_port", lambda service, number: number)],
}


@contextmanager
def mutated(rule: str) -> Iterator[None]:
    """Break one rule of the model for a while."""
    patches = MUTATIONS[rule]
    before = [(module, name, getattr(module, name)) for module, name, _function in patches]
    for module, name, function in patches:
        setattr(module, name, function)
    try:
        yield
    finally:
        for module, name, function in before:
            setattr(module, name, function)
