# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Provider C(existing): a mesh that somebody else runs. It is looked at, and what publishing TCP ports lacks is said.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding


def lacking(
    plane: Mapping[str, Any], meshes: Iterable[Mapping[str, Any]], state: Mapping[str, Any]
) -> list[dict[str, str]]:
    """Return the findings about the mesh that is meant, or about all of them where none is named."""
    cluster = f"cluster {state['cluster']['host']}"
    if not state["mesh"]["served"]:
        what = "the API server does not know networking.istio.io/v1beta1"
        return [finding("NO_ISTIO", cluster, what=what)]
    meshes = list(meshes)
    if not meshes:
        return [finding("NO_ISTIO", cluster, what="no istiod (label app=istiod) was found")]
    meant = [mesh for mesh in meshes if _is_meant(mesh, plane)]
    if not meant:
        known = ", ".join(f"{mesh['namespace']}/{mesh['name']}" for mesh in meshes)
        return [finding("PLANE_UNKNOWN", f"control plane {plane['name'] or plane['namespace']!r}", known=known)]
    findings = []
    for mesh in meant:
        subject = f"mesh {mesh['namespace']}/{mesh['name']}"
        if not mesh["ready"]:
            findings.append(finding("ISTIOD_NOT_READY", subject, why=mesh["reason"] or "no pod of it is ready"))
        if mesh["revision"] and not mesh["injects"]:
            findings.append(finding("INJECTOR_MISSING", subject, revision=mesh["revision"]))
    if state["mesh"]["unread"]:
        findings.append(finding("MESH_UNSEEN", cluster, paths=", ".join(sorted(set(state["mesh"]["unread"])))))
    return findings


def _is_meant(mesh: Mapping[str, Any], plane: Mapping[str, Any]) -> bool:
    """Tell whether a mesh is the one that was named, by its name or revision, its namespace, or both."""
    if plane["name"] and plane["name"] not in (mesh["name"], mesh["revision"]):
        return False
    return not plane["namespace"] or plane["namespace"] == mesh["namespace"]
