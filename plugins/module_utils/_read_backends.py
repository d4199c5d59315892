# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the labels of the pods behind records with subsets: one list for each namespace, and none without subsets.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import collection_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._reader import Reader

if TYPE_CHECKING:
    from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api


def subset_namespaces(raw_ports: Iterable[Any]) -> list[str]:
    """Return the namespaces of backends with a subset, of records as people write them; mistakes are skipped."""
    found = set()
    for record in raw_ports:
        backends = record.get("backends") if isinstance(record, Mapping) else None
        for item in backends if isinstance(backends, list) else ():
            if isinstance(item, Mapping) and item.get("subset") and isinstance(item.get("namespace"), str):
                found.add(item["namespace"])
    return sorted(found)


def read_backend_pods(api: Api, raw_ports: Iterable[Any]) -> dict[str, Any]:
    """Return C({backend_pods}): by namespace the labels of each pod, V(None) where they may not be read."""
    reader = Reader(api, {})
    found = {}
    for namespace in subset_namespaces(raw_ports):
        pods = reader.if_allowed(collection_path("Pod", namespace), api.metadata)
        found[namespace] = None if pods is None else [_labels(pod) for pod in pods if _stays(pod)]
    return {"backend_pods": found}


def _stays(pod: Mapping[str, Any]) -> bool:
    """Tell whether a pod is not on its way out."""
    return "deletionTimestamp" not in pod["metadata"]


def _labels(pod: Mapping[str, Any]) -> dict[str, str]:
    return dict(pod["metadata"].get("labels") or {})
