# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the labels of the pods behind records where they matter: one list for each namespace.

They do for subsets, and where a Service's port is declared as HTTP and the record's probe says something else.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_ports import HTTP, protocol_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import collection_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_talk import NO_HTTP
from ansible_collections.servicemesh.tcp.plugins.module_utils._reader import Reader
from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import to_port

if TYPE_CHECKING:
    from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api


def pod_namespaces(raw_ports: Iterable[Any], state: Mapping[str, Any]) -> list[str]:
    """Return the namespaces whose pods matter, of records as people write them; mistakes in these are skipped."""
    services = {(item["namespace"], item["name"]): item for item in state["services"]}
    found = set()
    for record in raw_ports:
        if not isinstance(record, Mapping):
            continue
        backends, probe = record.get("backends"), record.get("probe")
        mode = probe.get("mode") if isinstance(probe, Mapping) else None
        for item in backends if isinstance(backends, list) else [record.get("backend")]:
            if isinstance(item, Mapping) and isinstance(item.get("namespace"), str):
                speaks_otherwise = mode in NO_HTTP and declared_protocol(services, item) in HTTP
                if item.get("subset") or speaks_otherwise:
                    found.add(item["namespace"])
    return sorted(found)


def declared_protocol(services: Mapping[Any, Mapping[str, Any]], backend: Mapping[str, Any]) -> str:
    """Return the protocol that a backend's Service declares for its port, '' where it says nothing."""
    ports = services.get((backend.get("namespace"), backend.get("service")), {"ports": ()})["ports"]
    number = to_port(backend.get("port"))
    port = next((item for item in ports if item["port"] == number and item["protocol"] == "TCP"), None)
    return protocol_of(port) if port else ""


def read_backend_pods(api: Api, raw_ports: Iterable[Any], state: Mapping[str, Any]) -> dict[str, Any]:
    """Return C({backend_pods}): by namespace the labels of each pod, V(None) where they may not be read."""
    reader = Reader(api, {})
    found = {}
    for namespace in pod_namespaces(raw_ports, state):
        pods = reader.if_allowed(collection_path("Pod", namespace), api.metadata)
        found[namespace] = None if pods is None else [_labels(pod) for pod in pods if _stays(pod)]
    return {"backend_pods": found}


def _stays(pod: Mapping[str, Any]) -> bool:
    """Tell whether a pod is not on its way out."""
    return "deletionTimestamp" not in pod["metadata"]


def _labels(pod: Mapping[str, Any]) -> dict[str, str]:
    return dict(pod["metadata"].get("labels") or {})
