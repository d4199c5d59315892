# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The projection of OpenShift Service Mesh 2's membership: control planes' names, member rolls, members.

Source of the fields: maistra/istio-operator, pkg/apis/maistra/v1, servicemeshmemberroll_types.go and
servicemeshmember_types.go.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._names import ENTRIES_ANNOTATION, RESTARTED_ANNOTATION
from ansible_collections.servicemesh.tcp.plugins.module_utils._state_mesh import REVISION, owner_name


def control_plane(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Project as much of a ServiceMeshControlPlane as tells that it is there."""
    return {"name": obj["metadata"]["name"], "namespace": obj["metadata"]["namespace"]}


def entries(obj: Mapping[str, Any]) -> list[str]:
    """Return which entries of an object's shared list are recorded as this collection's; nonsense is none."""
    try:
        found = json.loads((obj["metadata"].get("annotations") or {}).get(ENTRIES_ANNOTATION, "[]"))
    except ValueError:
        return []
    return sorted(str(item) for item in found) if isinstance(found, list) else []


def roll(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Project a ServiceMeshMemberRoll; C(ours) are the entries that this collection added to C(members)."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return {
        "namespace": obj["metadata"]["namespace"],
        "labels": obj["metadata"].get("labels") or {},
        "members": spec.get("members") or [],
        "selectors": spec.get("memberSelectors") or [],
        "ours": entries(obj),
        "configured": status.get("configuredMembers") or [],
    }


def member(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Project a ServiceMeshMember: the namespace that it makes a member, and of which control plane."""
    reference = (obj.get("spec") or {}).get("controlPlaneRef") or {}
    return {
        "namespace": obj["metadata"]["namespace"],
        "labels": obj["metadata"].get("labels") or {},
        "control_plane": {"name": reference.get("name", ""), "namespace": reference.get("namespace", "")},
    }


def inside(
    pods: Iterable[Mapping[str, Any]], policies: Iterable[Mapping[str, Any]], bindings: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """Project what is inside a namespace: pods that run, NetworkPolicies, RoleBindings by name."""
    alive = [pod for pod in pods if (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")]
    return {
        "pods": [_pod(pod) for pod in alive if "deletionTimestamp" not in pod["metadata"]],
        "policies": [_policy(policy) for policy in policies],
        "bindings": sorted(item["metadata"]["name"] for item in bindings),
    }


def _pod(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Project a pod as far as its sidecar goes.

    The injector notes what it added (istio pkg/kube/inject/inject.go, sidecar.istio.io/status); whether a pod asks for
    it, a label says, and in older versions an annotation.
    """
    metadata, spec = obj["metadata"], obj.get("spec") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    asks = "sidecar.istio.io/inject"
    return {
        "name": metadata["name"],
        "owner": _controller(metadata),
        "sidecar": "sidecar.istio.io/status" in annotations,
        "inject": str(labels.get(asks, annotations.get(asks, ""))),
        "revision": labels.get(REVISION, ""),
        "host_network": bool(spec.get("hostNetwork")),
        "restarted": annotations.get(RESTARTED_ANNOTATION, ""),
    }


def _controller(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the workload that a pod belongs to; a ReplicaSet with a hash in its name is a Deployment's."""
    for owner in metadata.get("ownerReferences") or []:
        if owner.get("controller"):
            name = owner_name(metadata)
            is_deployment = owner["kind"] == "ReplicaSet" and name != owner["name"]
            return {"kind": "Deployment" if is_deployment else owner["kind"], "name": name}
    return {"kind": "", "name": ""}


def _policy(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Project a NetworkPolicy: the pods that it selects, and whether it closes them to who is not named."""
    spec = obj.get("spec") or {}
    return {
        "name": obj["metadata"]["name"],
        "labels": obj["metadata"].get("labels") or {},
        "selector": spec.get("podSelector") or {},
        # Without types a policy is one of ingress (Kubernetes API reference, NetworkPolicySpec.policyTypes).
        "ingress": "Ingress" in (spec.get("policyTypes") or ["Ingress"]),
    }
