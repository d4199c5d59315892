# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the part C(members): OpenShift Service Mesh 2's membership; and what is inside namespaces that are named.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import _state_members
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import collection_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import COLLECTION, MANAGED_BY_LABEL
from ansible_collections.servicemesh.tcp.plugins.module_utils._reader import Reader

OURS = f"{MANAGED_BY_LABEL}={COLLECTION}"


def read_members(reader: Reader) -> dict[str, Any]:
    """Return the projection's key C(members); all is empty where there is no OpenShift Service Mesh 2."""
    return {
        "members": {
            "control_planes": [_state_members.control_plane(obj) for obj in reader.items("ServiceMeshControlPlane")],
            "rolls": [_state_members.roll(obj) for obj in reader.items("ServiceMeshMemberRoll")],
            "members": [_state_members.member(obj) for obj in reader.items("ServiceMeshMember")],
            "unread": reader.unread,
        }
    }


def read_inside(reader: Reader, names: Iterable[Any]) -> dict[str, Any]:
    """Return the projection's key C(inside): three requests for each namespace."""

    def items(kind: str, name: str, selector: str | None = None) -> list[dict[str, Any]]:
        path = collection_path(kind, name)
        found = reader.if_allowed(path, lambda asked: reader.api.get(asked, labelSelector=selector))
        return found["items"] if found else []

    return {
        "inside": {
            name: _state_members.inside(
                items("Pod", name), items("NetworkPolicy", name), items("RoleBinding", name, OURS)
            )
            # Without a name the path would be that of the whole cluster.
            for name in sorted({str(name) for name in names if name})
        }
    }
