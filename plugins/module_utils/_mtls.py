# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a gateway speaks to a backend, and what the backend wants: DestinationRules and PeerAuthentications.

istio.io "PeerAuthentication" (the most specific wins, the oldest of equals) and "DestinationRule" (looked for in the
client's namespace, the Service's and the root one).

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.servicemesh.tcp.plugins.module_utils._texts import place_text

# The injector's label on pods with a sidecar.
SIDECAR_LABEL = "security.istio.io/tlsMode"


class Setting(NamedTuple):
    """A mode and the object that says it, '' for the mesh's own default."""

    mode: str
    said_by: str


def has_sidecar(pod: Mapping[str, Any]) -> bool:
    """Tell whether a pod speaks mTLS."""
    return (pod["metadata"].get("labels") or {}).get(SIDECAR_LABEL) == "istio"


def wanted_mode(
    policies: Iterable[Mapping[str, Any]], root: str, namespace: str, labels: Mapping[str, str], port: int
) -> Setting:
    """Return the PeerAuthentication mode of a pod's port: V(STRICT), V(PERMISSIVE) or V(DISABLE)."""
    for level in _levels(policies, root, namespace, labels):
        for item in level:
            spec = item.get("spec") or {}
            own = ((spec.get("portLevelMtls") or {}).get(str(port)) or {}).get("mode", "UNSET")
            mode = own if own != "UNSET" else (spec.get("mtls") or {}).get("mode", "UNSET")
            if mode != "UNSET":
                return Setting(mode, f"PeerAuthentication {place_text(item['metadata'])}")
    return Setting("PERMISSIVE", "")


def _levels(
    policies: Iterable[Mapping[str, Any]], root: str, namespace: str, labels: Mapping[str, str]
) -> Sequence[list[Mapping[str, Any]]]:
    """Return the policies that are about a pod, the most specific level first, the oldest of each first."""
    workload, own, mesh = [], [], []
    for item in sorted(policies, key=lambda item: item["metadata"].get("creationTimestamp") or ""):
        selector = ((item.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
        place = item["metadata"]["namespace"]
        if selector:
            if place == namespace and selector.items() <= labels.items():
                workload.append(item)
        elif place == namespace:
            own.append(item)
        elif place == root:
            mesh.append(item)
    return workload, own, mesh


def spoken_mode(rules: Iterable[Mapping[str, Any]], places: Sequence[str], host: str, port: int) -> Setting:
    """Return the TLS mode that a DestinationRule tells the gateway to speak to a host's port, '' where none says it.

    C(places) are the namespaces that are looked through: the gateway's, the Service's, the root one.
    """
    given = list(rules)
    for place in dict.fromkeys(places):
        here = [item for item in given if item["metadata"]["namespace"] == place and _is_about(item, host)]
        if not here:
            continue
        # The longest host is the most specific one.
        item = max(here, key=lambda item: len(_host(item)))
        policy = (item.get("spec") or {}).get("trafficPolicy") or {}
        levels = policy.get("portLevelSettings") or []
        own = next((entry for entry in levels if (entry.get("port") or {}).get("number") == port), policy)
        return Setting((own.get("tls") or {}).get("mode", ""), f"DestinationRule {place_text(item['metadata'])}")
    return Setting("", "")


def _host(rule: Mapping[str, Any]) -> str:
    """Return a rule's host, a short one as it is in the rule's own namespace."""
    return (rule.get("spec") or {}).get("host", "")


def _is_about(rule: Mapping[str, Any], host: str) -> bool:
    """Tell whether a DestinationRule is about a host."""
    written, namespace = _host(rule), rule["metadata"]["namespace"]
    if written.startswith("*"):
        return host.endswith(written[1:])
    return host in (written, f"{written}.{namespace}.svc.{host.partition('.svc.')[2]}")


def mismatch(spoken: Setting, wanted: Setting, sidecar: bool) -> str:
    """Say why the two ends cannot talk, '' where they can."""
    by = f" ({spoken.said_by})"
    if spoken.mode == "DISABLE" and sidecar and wanted.mode == "STRICT":
        return f"the gateway sends plain bytes{by}, and the backend takes mTLS only ({wanted.said_by})"
    if spoken.mode == "ISTIO_MUTUAL" and not sidecar:
        return f"the gateway speaks mTLS{by}, and the backend's pods have no sidecar that does"
    if spoken.mode == "ISTIO_MUTUAL" and wanted.mode == "DISABLE":
        return f"the gateway speaks mTLS{by}, and the backend takes plain bytes only ({wanted.said_by})"
    if spoken.mode == "SIMPLE" and sidecar and wanted.mode == "STRICT":
        return f"the gateway speaks TLS without a certificate of its own{by}, and the backend takes mTLS only"
    return ""
