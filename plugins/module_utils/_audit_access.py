# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom a port is open to: by its addresses, its load balancer's source ranges and the gateway's AuthorizationPolicies.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._authorization import action_of, rules_for
from ansible_collections.servicemesh.tcp.plugins.module_utils._texts import place_text, some

# Ranges are long.
LISTED = 4
ANYWHERE = frozenset(("0.0.0.0/0", "::/0"))
RANGES_ANNOTATION = "service.beta.kubernetes.io/load-balancer-source-ranges"
# Annotations that make a load balancer an internal one, as the clouds' controllers document them.
INTERNAL: Mapping[str, tuple[str, ...]] = {
    "service.beta.kubernetes.io/aws-load-balancer-internal": ("true", "0.0.0.0/0"),
    "service.beta.kubernetes.io/aws-load-balancer-scheme": ("internal",),
    "service.beta.kubernetes.io/azure-load-balancer-internal": ("true",),
    "networking.gke.io/load-balancer-type": ("internal",),
    "cloud.google.com/load-balancer-type": ("internal",),
}
# What of a policy's source a plain TCP client from outside can fulfil.
ADDRESSES = ("ipBlocks", "remoteIpBlocks")
NOT_ADDRESSES = ("notIpBlocks", "notRemoteIpBlocks")


def source_ranges(service: Mapping[str, Any]) -> list[str]:
    """Return the ranges that a Service's load balancer lets in, none where it lets in all.

    The annotation counts where the field is empty (kubernetes k8s.io/cloud-provider/service/helpers).
    """
    if service["spec"].get("type") != "LoadBalancer":
        return []
    ranges = service["spec"].get("loadBalancerSourceRanges") or []
    if not ranges:
        text = (service["metadata"].get("annotations") or {}).get(RANGES_ANNOTATION, "")
        ranges = [item.strip() for item in text.split(",") if item.strip()]
    return [] if ANYWHERE & set(ranges) else sorted(ranges)


def is_internal(service: Mapping[str, Any]) -> bool:
    """Tell whether a Service asks for a load balancer that the internet does not reach."""
    annotations = service["metadata"].get("annotations") or {}
    return any(annotations.get(key, "").lower() in values for key, values in INTERNAL.items())


def is_public(address: str) -> bool:
    """Tell whether the internet can route to an address; of a host name that is not known, so it counts."""
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return bool(address)


class Access:
    """Whom the policies of one workload let in, asked port by port."""

    def __init__(self, policies: Iterable[Mapping[str, Any]]) -> None:
        self._by_action: dict[str, list[Mapping[str, Any]]] = {}
        for item in policies:
            self._by_action.setdefault(action_of(item), []).append(item)

    def of(self, port: int) -> dict[str, Any]:
        """Return C({allowed, denied, policies}) for a port of the pods.

        C(allowed) is V(None) for everybody, else the ranges (none: nobody); C(denied) the ranges that are shut out, and
        V(None) for everybody. C(policies) name what decided.
        """
        allow = self._by_action.get("ALLOW", [])
        named = []
        allowed: list[str] | None = None
        if allow:
            allowed = []
            for item in allow:
                for rule in rules_for(item, port):
                    sources = _sources(rule)
                    named.append(place_text(item["metadata"]))
                    if sources is None:
                        allowed = None
                        break
                    allowed += sources
                if allowed is None:
                    break
            named += [place_text(item["metadata"]) for item in allow if not named]
        denied: list[str] | None = []
        for item in self._by_action.get("DENY", []):
            for rule in rules_for(item, port):
                sources = _sources(rule)
                named.append(place_text(item["metadata"]))
                denied = None if sources is None or denied is None else denied + sources
        named += [place_text(item["metadata"]) for item in self._by_action.get("CUSTOM", []) if rules_for(item, port)]
        return {
            "allowed": None if allowed is None else sorted(set(allowed)),
            "denied": None if denied is None else sorted(set(denied)),
            "policies": sorted(set(named)),
        }


def _sources(rule: Mapping[str, Any]) -> list[str] | None:
    """Return the ranges of a rule's sources, V(None) for everybody; other fields need a peer of the mesh: nobody."""
    if not rule.get("from"):
        return None
    found: list[str] = []
    for entry in rule["from"]:
        source = entry.get("source") or {}
        ranges = [item for key in ADDRESSES for item in source.get(key) or []]
        if any(key not in (*ADDRESSES, *NOT_ADDRESSES) for key, value in source.items() if value):
            continue
        if not ranges or ANYWHERE & set(ranges):
            outside = [item for key in NOT_ADDRESSES for item in source.get(key) or []]
            if not outside:
                return None
            ranges = [f"not {item}" for item in outside]
        found += ranges
    return found


def open_to(
    addresses: Iterable[str], ranges: Iterable[str], internal: bool, access: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return whom a port is open to: C({scope, ranges, policies, text}).

    C(scope): V(world) (anybody on the internet), V(network) (whoever reaches the address), V(ranges) (only these),
    V(nobody) (a policy shuts everybody out).
    """
    ranges, addresses = list(ranges), list(addresses)
    policies = list(access["policies"]) if access else []
    allowed = access["allowed"] if access else None
    denied = access["denied"] if access else []
    if denied is None or allowed == []:
        return {"scope": "nobody", "ranges": [], "policies": policies, "text": "nobody, a policy refuses all"}
    limits = [*ranges, *(allowed or [])]
    without = f", but not {some(denied, LISTED)}" if denied else ""
    if ranges and allowed is not None:
        text = f"{some(ranges, LISTED)}, of these {some(allowed, LISTED)}"
    elif limits:
        text = some(limits, LISTED)
    elif not internal and any(map(is_public, addresses)):
        return {"scope": "world", "ranges": [], "policies": policies, "text": f"the whole internet{without}"}
    else:
        return {"scope": "network", "ranges": [], "policies": policies, "text": f"whoever reaches it{without}"}
    return {"scope": "ranges", "ranges": limits, "policies": policies, "text": text + without}
