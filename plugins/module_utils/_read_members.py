# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read who is a member of OpenShift Service Mesh 2's meshes, and what is inside namespaces that are asked for.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import _state_members
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import KINDS, collection_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import COLLECTION, MANAGED_BY_LABEL

if TYPE_CHECKING:
    from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api

GROUP = KINDS["ServiceMeshMemberRoll"].api_version.split("/")[0]
Ask = Callable[[str], Any]
IfAllowed = Callable[[str, Ask], Any]


def read_members(
    api: Api, groups: Collection[str], if_allowed: IfAllowed, inside: Iterable[str] = ()
) -> dict[str, Any]:
    """Read member rolls, members and control planes where the API server knows them, and the namespaces of C(inside).

    What there is no right to read counts as not there; C(if_allowed) notes it.
    """

    def items(kind: str, namespace: str | None = None, selector: str | None = None) -> list[Any]:
        def ask(path: str) -> Any:
            try:
                return api.get(path, labelSelector=selector)["items"]
            except ApiError as error:
                # The group is known, and not this kind of it.
                if error.status == 404:
                    return []
                raise

        return if_allowed(collection_path(kind, namespace), ask) or []

    served = GROUP in groups
    read = {
        "control_planes": ("ServiceMeshControlPlane", _state_members.control_plane),
        "rolls": ("ServiceMeshMemberRoll", _state_members.roll),
        "members": ("ServiceMeshMember", _state_members.member),
    }
    found: dict[str, Any] = {
        key: [project(item) for item in items(kind)] if served else [] for key, (kind, project) in read.items()
    }
    ours = f"{MANAGED_BY_LABEL}={COLLECTION}"
    found["inside"] = {
        name: _state_members.inside(
            items("Pod", name), items("NetworkPolicy", name), items("RoleBinding", name, selector=ours)
        )
        for name in sorted({str(name) for name in inside if name})
    }
    return found
