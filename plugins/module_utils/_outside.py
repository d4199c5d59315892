# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find namespaces that a gateway's mesh does not see: what is in them does not exist for istiod.

That is not the same as a pod without a sidecar, which a gateway reaches as any other.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._backends import namespaces_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._checks import pod_revision
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_mesh import (
    MEMBER_OF,
    UNKNOWN_PLANE,
    is_discovered,
    is_member,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._onboarding_mesh import (
    DEFAULT,
    label_revision,
    revision_of,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._selectors import selector_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View

NO_PROXY = "its pods get no proxy, and its Gateways are not read"
NO_SERVICE = "for a gateway its Services do not exist, and it closes every connection"


def check_outside(
    gateways: Iterable[Mapping[str, Any]], ports: Iterable[Mapping[str, Any]], view: View
) -> list[dict[str, str]]:
    """Return a finding for each gateway, and each record's backend, in a namespace that the mesh does not see.

    A namespace that is not there yet is another finding's affair, or will be onboarded before the gateway is made.
    """
    findings = []
    planes: dict[str, Mapping[str, Any]] = {}
    for gateway in gateways:
        plane, sees = _plane_of(gateway, view)
        if plane is None or not view.has_namespace(gateway["namespace"]):
            continue
        if sees:
            planes[gateway["name"]] = plane
        else:
            findings.append(_outside(f"gateway {gateway['name']!r}", gateway["namespace"], plane, view, NO_PROXY))
    backends = {(item["name"], item["gateway"], namespace) for item in ports for namespace in namespaces_of(item)}
    for name, gateway, namespace in sorted(backends):
        if gateway in planes and view.has_namespace(namespace):
            plane = planes[gateway]
            if not is_discovered(namespace, plane, view.namespaces):
                findings.append(_outside(f"record {name!r}", namespace, plane, view, NO_SERVICE))
    return findings


def _plane_of(gateway: Mapping[str, Any], view: View) -> tuple[Mapping[str, Any] | None, bool]:
    """Return the control plane that a gateway's pods belong to, and whether it sees their namespace.

    Several of one revision are told apart by what they see.
    """
    namespace = gateway["namespace"]
    planes = [{**UNKNOWN_PLANE, **item} for item in view.state["mesh"]["control_planes"]]
    labels = view.namespaces.get(namespace, {"labels": {}})["labels"]
    asked = pod_revision(gateway, view)[0] or label_revision(labels) or DEFAULT
    revision = revision_of(asked, view.state)
    own = [plane for plane in planes if plane["revision"] == revision] or planes
    seeing = [plane for plane in own if is_discovered(namespace, plane, view.namespaces)]
    return next(iter([*seeing, *own]), None), bool(seeing)


def _outside(subject: str, namespace: str, plane: Mapping[str, Any], view: View, effect: str) -> dict[str, str]:
    """Say what keeps a namespace out of a mesh."""
    if not is_member(namespace, plane, view.namespaces):
        why = f"its member roll does not have it (it lacks the label {MEMBER_OF}={plane['namespace']})"
    else:
        selectors = " or ".join(selector_text(item) for item in plane["config"]["discovery_selectors"])
        why = f"its labels match none of the mesh's discovery selectors ({selectors})"
    mesh = f"{plane['namespace']}/{plane['revision']}"
    return finding("NAMESPACE_OUTSIDE_MESH", subject, namespace=namespace, mesh=mesh, why=why, effect=effect)
