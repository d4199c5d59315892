# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Port translation: which port a Gateway's server is really bound to.

Sources are files of istio.io/istio as the lab runs it (v0.0.0-20260827, 1.31-dev).

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

# Its presence is enough, whatever its value (pilot/pkg/model/gateway.go, DisableGatewayPortTranslationLabel).
OPT_OUT_LABEL = "experimental.istio.io/disable-gateway-port-translation"
PROTOCOLS = frozenset(
    ("tcp", "udp", "grpc", "grpc-web", "http", "http_proxy", "http2", "https", "tls", "mongo", "redis", "mysql")
)
# What a sidecar reads as requests before it passes anything on.
HTTP = frozenset(("http", "http_proxy", "http2", "grpc", "grpc-web"))
# SMTP, DNS, MySQL, MongoDB are TCP where nothing says otherwise (pkg/config/kube/conversion.go).
WELL_KNOWN = frozenset((25, 53, 3306, 27017))
APP_PROTOCOLS = {"kubernetes.io/h2c": "http2", "kubernetes.io/ws": "http", "kubernetes.io/wss": "https"}


def protocol_of(port: Mapping[str, Any]) -> str:
    """Return the protocol that istiod reads off a Service's port, '' where none is declared.

    pkg/config/kube/conversion.go, ConvertProtocol: appProtocol, or else the name up to its first '-'.
    """
    if port["protocol"] == "UDP":
        return "udp"
    given = port.get("app_protocol") or ""
    name = APP_PROTOCOLS.get(given, given or port["name"]).lower()
    if name.startswith("grpc-web"):
        return "grpc-web"
    name = name.partition("-")[0]
    if name not in PROTOCOLS:
        return "tcp" if port["port"] in WELL_KNOWN else ""
    return name


class ServiceIndex:
    """Finds the Services in front of a workload without asking each of them."""

    def __init__(self, services: Iterable[Mapping[str, Any]]) -> None:
        """Index Services by namespace and the first label that they select; those without a selector have no pods."""
        self._by_label: dict[tuple[str, str, str], list[Mapping[str, Any]]] = defaultdict(list)
        for item in services:
            if item["selector"]:
                self._by_label[(item["namespace"], *max(item["selector"].items()))].append(item)

    def of(self, workload: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Return the Services of a workload's namespace that select it, in istiod's order.

        pilot/pkg/serviceregistry/kube/controller/util.go, getPodServices.
        """
        labels = workload["labels"]
        found = [
            item
            for key, value in labels.items()
            for item in self._by_label.get((workload["namespace"], key, value), ())
            if all(labels.get(name) == wanted for name, wanted in item["selector"].items())
        ]
        return sorted(found, key=service_key)


def service_key(item: Mapping[str, Any]) -> tuple[str, str]:
    """Sort oldest first, ties by host name (pilot/pkg/model/context.go, SetServiceTargets)."""
    # The dots that follow count: 'a-b' comes before 'a' as host names go.
    return (item["created"], f"{item['name']}.{item['namespace']}.svc")


def opted_out(item: Mapping[str, Any]) -> bool:
    """Tell whether a Service's ports are left untranslated (pilot/pkg/model/gateway.go, resolvePorts)."""
    return OPT_OUT_LABEL in item["labels"]


def distinct_targets(ports: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Drop the ports of a Service that lead where an earlier one of the same protocol leads: istiod forgets them.

    A server with the number of a forgotten port is not translated
    (pilot/pkg/serviceregistry/kube/controller/controller.go, GetProxyServiceTargetsByPod).
    """
    first: dict[tuple[Any, str], Mapping[str, Any]] = {}
    for port in ports:
        first.setdefault((port["target_port"], protocol_of(port)), port)
    return list(first.values())


def translations(services: Iterable[Mapping[str, Any]]) -> dict[int, tuple[int, Mapping[str, Any]]]:
    """Return, for the Services of a workload in order, which number is bound as which port, and by which Service.

    The first Service with the number wins (pilot/pkg/model/gateway.go, resolvePorts); it does so whatever the port's
    protocol. A target port given by name is resolved from the pod's containers, which are not read: it is left out, as
    if no container had it, and the number is taken as it is.
    """
    found: dict[int, tuple[int, Mapping[str, Any]]] = {}
    for item in services:
        if opted_out(item):
            continue
        for port in distinct_targets(item["ports"]):
            if isinstance(port["target_port"], int):
                found.setdefault(port["port"], (port["target_port"], item))
    return found
