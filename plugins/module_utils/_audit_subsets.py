# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an audit reads to count the ready endpoints of subsets: pods and endpoints of their Services' namespaces only.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._conditions import is_serving
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_names import full_host
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import collection_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._reader import Reader

if TYPE_CHECKING:
    from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api

# By namespace, the labels of the ready pods behind each port (Service, name of the port); V(None) where not readable.
Members = Mapping[str, "Mapping[tuple[str, str], list[dict[str, str]]] | None"]


def subset_namespaces(virtual_services: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the namespaces of the Services of which any route leads to a subset."""
    found = set()
    for item in virtual_services:
        for rule in (*item["tcp"], *item["tls"], *(item.get("routes") or ())):
            for destination in rule["destinations"]:
                parts = full_host(destination["host"], item["namespace"], "").split(".")
                if destination["subset"] and parts[2:3] == ["svc"]:
                    found.add(parts[1])
    return sorted(found)


def read_members(api: Api, state: Mapping[str, Any]) -> Members:
    """Read the ready pods of the Services that have subsets, two lists for each namespace."""
    reader = Reader(api, {})
    found: dict[str, Any] = {}
    for namespace in subset_namespaces(state["virtual_services"]):
        pods = reader.if_allowed(collection_path("Pod", namespace), api.metadata)
        slices = reader.if_allowed(collection_path("EndpointSlice", namespace), api.find)
        if pods is None or slices is None:
            found[namespace] = None
            continue
        labels = {pod["metadata"]["name"]: pod["metadata"].get("labels") or {} for pod in pods}
        members: dict[tuple[str, str], list[dict[str, str]]] = {}
        for service, port, pod in _ready(slices["items"]):
            members.setdefault((service, port), []).append(labels.get(pod, {}))
        found[namespace] = members
    return found


def _ready(slices: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Return Service, name of the port and pod of each ready endpoint."""
    for item in slices:
        service = (item["metadata"].get("labels") or {}).get("kubernetes.io/service-name", "")
        for endpoint in item.get("endpoints") or []:
            if is_serving(endpoint):
                pod = (endpoint.get("targetRef") or {}).get("name", "")
                yield from ((service, port.get("name") or "", pod) for port in item.get("ports") or [])
