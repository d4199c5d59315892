# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The projection of OpenShift Service Mesh 2's membership: control planes' names, member rolls, members.

Source of the fields: maistra/istio-operator, pkg/apis/maistra/v1/servicemeshmemberroll_types.go, servicemeshmember_types.go.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._names import ENTRIES_ANNOTATION


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
