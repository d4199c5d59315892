# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What NetworkPolicies let through, by their documentation: whether a network enforces them is another question.

kubernetes.io "Network Policies"; k8s.io/api/networking/v1 types.go. Policies add up: what one of them lets through is
let through.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._selectors import selects


@dataclass(frozen=True)
class End:
    """One end of a connection: a pod with its namespace's labels, or, without a namespace, an address outside.

    An address from outside may be another one when it arrives (C(translated)), as behind node ports.
    """

    ip: str = ""
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    # Container ports by name.
    ports: Mapping[str, int] = field(default_factory=dict)
    translated: bool = False


def blocking(
    policies: Iterable[Mapping[str, Any]], direction: str, pod: End, other: End, port: int
) -> tuple[list[str], bool]:
    """Return the policies that keep a connection from or to a pod, and whether that is certain; none where it passes.

    C(direction) is V(ingress) with C(other) as the client, or V(egress) with C(other) as the server; C(port) is the
    server's. Policies are those of the pod's namespace.
    """
    named, certain = [], True
    for policy in policies:
        spec = policy.get("spec") or {}
        if not selects(spec.get("podSelector") or {}, pod.labels) or direction not in _directions(spec):
            continue
        named.append(policy["metadata"]["name"])
        for rule in spec.get(direction) or []:
            if not _covers_port(rule.get("ports"), port, pod if direction == "ingress" else other):
                continue
            verdict = _covers_peer(rule.get("from" if direction == "ingress" else "to"), pod.namespace, other)
            if verdict:
                return [], True
            if verdict is None:
                certain = False
    return sorted(named), certain


def _directions(spec: Mapping[str, Any]) -> set[str]:
    """Return what a policy is about; without a word ingress, and egress where it has rules for it."""
    given = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    return {item.lower() for item in given}


def _covers_port(ports: Iterable[Mapping[str, Any]] | None, port: int, server: End) -> bool:
    """Tell whether a rule is about a TCP port of the server; one without ports is about all."""
    if not ports:
        return True
    for item in ports:
        if item.get("protocol", "TCP") != "TCP":
            continue
        first = item.get("port")
        if isinstance(first, str):
            first = server.ports.get(first)
            if first is None:
                continue
        if first is None or first <= port <= item.get("endPort", first):
            return True
    return False


def _covers_peer(peers: Iterable[Mapping[str, Any]] | None, namespace: str, other: End) -> bool | None:
    """Tell whether a rule is about the other end, V(None) where that depends on how its address arrives."""
    if not peers:
        return True
    unclear = False
    for peer in peers:
        if "ipBlock" in peer:
            if other.ip and _in_block(peer["ipBlock"], other.ip):
                return True
            unclear = unclear or other.translated
        elif other.namespace and _covers_pod(peer, namespace, other):
            return True
    return None if unclear else False


def _covers_pod(peer: Mapping[str, Any], namespace: str, other: End) -> bool:
    """Tell whether a peer's selectors match a pod; without one for namespaces, pods of the policy's own are meant."""
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"] or {}, other.namespace_labels):
            return False
    elif other.namespace != namespace:
        return False
    return selects(peer.get("podSelector") or {}, other.labels)


def _in_block(block: Mapping[str, Any], ip: str) -> bool:
    """Tell whether an address is in a block and not in what is left out of it."""
    return in_ranges([block["cidr"]], ip) and not in_ranges(block.get("except") or [], ip)


def in_ranges(ranges: Iterable[str], ip: str) -> bool:
    """Tell whether an address is in one of some ranges; one of the other family is not."""
    address = ipaddress.ip_address(ip.partition("%")[0])
    return any(address in ipaddress.ip_network(item, strict=False) for item in ranges)
