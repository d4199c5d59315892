# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which meshes there are, and which of them a namespace is to join.

A mesh here is C({flavour, name, namespace, revision, plane}): C(ossm2) with a member roll, or C(istio), which takes
namespaces by their labels. C(revision) is the name that labels give it: a revision, or a tag that stands for one.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_mesh import MEMBER_OF

Mesh = dict[str, Any]
DEFAULT = "default"


def meshes_of(state: Mapping[str, Any], coming: Mapping[str, Any] | None = None) -> list[Mesh]:
    """Return the meshes of a cluster: one for each control plane of OpenShift Service Mesh 2, and for each istiod.

    C(coming) is one that a run in check mode would have made by now.
    """
    planes = state["mesh"]["control_planes"]
    found = []
    taken = set()
    for smcp in state["members"]["control_planes"]:
        here = [plane for plane in planes if plane["namespace"] == smcp["namespace"]]
        # Its istiod's revision is the control plane's name; side by side with another istiod only that one is its own.
        own = [plane for plane in here if plane["revision"] == smcp["name"]] or here
        taken |= {(plane["namespace"], plane["name"]) for plane in own}
        found.append(_mesh("ossm2", smcp["name"], smcp["namespace"], own[0] if own else None))
    for plane in planes:
        if (plane["namespace"], plane["name"]) not in taken:
            flavour = "ossm2" if plane.get("member_roll") else "istio"
            found.append(_mesh(flavour, plane["revision"], plane["namespace"], plane))
    if coming and not any(all(mesh[key] == coming[key] for key in ("flavour", "name", "namespace")) for mesh in found):
        plane = {"config": {"discovery_selectors": coming["selectors"]}}
        found.append(_mesh(coming["flavour"], coming["name"], coming["namespace"], plane))
    return found


def _mesh(flavour: str, name: str, namespace: str, plane: Mapping[str, Any] | None) -> Mesh:
    """Put a mesh together."""
    return {"flavour": flavour, "name": name, "namespace": namespace, "revision": name, "plane": plane}


def describe_mesh(mesh: Mapping[str, Any]) -> str:
    """Return how people name a mesh: C(namespace/name)."""
    return f"{mesh['namespace']}/{mesh['name']}"


def revision_of(label: str, state: Mapping[str, Any]) -> str:
    """Return the revision that a label's value stands for: a tag's, or its own."""
    return state["mesh"].get("tags", {}).get(label, label)


def mesh_of(
    member: Mapping[str, Any], meshes: list[Mesh], state: Mapping[str, Any]
) -> tuple[Mesh | None, list[dict[str, str]]]:
    """Return the mesh that a namespace is to join, or what stands in the way.

    With several and none named it is the one that the namespace is in already, or else that of the default revision.
    """
    subject = f"namespace {member['name']!r}"
    if not meshes:
        what = "neither an istiod (label app=istiod) nor a ServiceMeshControlPlane was found"
        return None, [finding("NO_ISTIO", f"cluster {state['cluster']['host']}", what=what)]
    known = ", ".join(sorted(map(describe_mesh, meshes)))
    if member["mesh"]:
        found = [mesh for mesh in meshes if _is_named(mesh, member["mesh"], state)]
        if not found:
            return None, [finding("MESH_UNKNOWN", subject, mesh=member["mesh"], known=known)]
    else:
        found = meshes
        if len(found) > 1:
            labels = state["namespaces"].get(member["name"], {"labels": {}})["labels"]
            found = [mesh for mesh in meshes if _has_already(mesh, labels, state)] or found
        if len(found) > 1 and all(mesh["flavour"] == "istio" for mesh in found):
            found = [mesh for mesh in found if mesh["revision"] == revision_of(DEFAULT, state)] or found
    if len(found) > 1:
        return None, [finding("MESH_UNCLEAR", subject, known=known)]
    return {**found[0], "revision": _label_of(found[0], member["mesh"], state)}, []


def _is_named(mesh: Mesh, name: str, state: Mapping[str, Any]) -> bool:
    """Tell whether a name means a mesh: its own, its namespace, both, or a tag of its revision."""
    if name in (mesh["name"], mesh["namespace"], describe_mesh(mesh)):
        return True
    return mesh["flavour"] == "istio" and revision_of(name, state) == mesh["revision"]


def _has_already(mesh: Mesh, labels: Mapping[str, str], state: Mapping[str, Any]) -> bool:
    """Tell whether a namespace's labels name a mesh."""
    if mesh["flavour"] == "ossm2":
        return labels.get(MEMBER_OF) == mesh["namespace"]
    label = label_revision(labels)
    return bool(label) and revision_of(label, state) == mesh["revision"]


def label_revision(labels: Mapping[str, str]) -> str:
    """Return the revision that a namespace's labels ask for, '' where they ask for none, or for no injection.

    istio-injection wins over istio.io/rev, and stands for the default revision (Istio, "Canary Upgrades";
    istio manifests/charts/istio-control/istio-discovery, mutatingwebhook.yaml).
    """
    if "istio-injection" in labels:
        return DEFAULT if labels["istio-injection"] == "enabled" else ""
    return labels.get("istio.io/rev", "")


def _label_of(mesh: Mesh, named: str | None, state: Mapping[str, Any]) -> str:
    """Return the name that labels give a mesh: the tag that was asked for, 'default' where that is it, its revision."""
    if named and named in state["mesh"]["revisions"]:
        return named
    return DEFAULT if revision_of(DEFAULT, state) == mesh["revision"] else mesh["revision"]
