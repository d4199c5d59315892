# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The projection of what operators make control planes from: SMCPs, and the kinds of the Sail operator.

Sources of the fields: maistra/istio-operator, pkg/apis/maistra/v2; istio-ecosystem/sail-operator, docs/api-reference.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._names import DEFINITION_ANNOTATION, PLANE_LABEL

# By kind; the key is where mesh_state has them below C(planes).
PROJECTED: Mapping[str, str] = {
    "ServiceMeshControlPlane": "smcps",
    "Istio": "istios",
    "IstioCNI": "cnis",
    "IstioRevision": "revisions",
    "IstioRevisionTag": "tags",
}


def plane_object(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Project one of these objects.

    C(stored): what role control_plane noted on it. C(current): its operator has seen its newest form. C(ready): the
    operator says so of that form, and C(reason) why not.
    """
    metadata, status = obj["metadata"], obj.get("status") or {}
    conditions = {item.get("type"): item for item in status.get("conditions") or []}
    current = status.get("observedGeneration", 0) >= metadata.get("generation", 0)
    ready = conditions.get("Ready", {})
    return {
        "name": metadata["name"],
        "namespace": metadata.get("namespace", ""),
        "labels": metadata.get("labels") or {},
        "stored": (metadata.get("annotations") or {}).get(DEFINITION_ANNOTATION, ""),
        "spec": obj.get("spec") or {},
        "current": current,
        "ready": current and ready.get("status") == "True",
        "reason": "" if ready.get("status") == "True" else ready.get("reason", ""),
        # An SMCP's Istio is told by its chart; an Istio's revision by what its operator made of it.
        "version": status.get("chartVersion", ""),
        "revision": status.get("activeRevisionName") or status.get("istioRevision") or "",
    }


def release(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Project the ConfigMap that says that the Helm releases of a revision are this collection's."""
    metadata = obj["metadata"]
    return {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "labels": metadata["labels"],
        "spec": {},
        "revision": metadata["labels"][PLANE_LABEL],
    }
