# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The meshes of a cluster, each with flavour, version, revision, namespace and the rule by which namespaces belong.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._plane_sail import chart_values

DEFAULT = "default"
WHOLE_VERSION = re.compile(r"v\d+\.\d+\.\d+")


def meshes_of(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one mesh for each istiod, and one for each object that has yet to bring its istiod."""
    planes, found = state["planes"], []
    pending = {("ossm2", item["namespace"], item["name"]): item for item in planes["smcps"]}
    pending |= {("sail", _sail_namespace(item), item["name"]): item for item in planes["istios"]}
    for istiod in state["mesh"]["control_planes"]:
        flavour, maker = _maker(istiod, planes)
        if maker:
            pending.pop((flavour, istiod["namespace"], maker["name"]), None)
        found.append(_mesh(flavour, istiod, maker, state))
    for (flavour, namespace, name), maker in pending.items():
        bare = {"name": "", "namespace": namespace, "revision": maker["revision"], "ready": False, "version": ""}
        found.append(
            _mesh(flavour, {**bare, "member_roll": flavour == "ossm2", "config": None}, {**maker, "name": name}, state)
        )
    return sorted(found, key=lambda mesh: (mesh["namespace"], mesh["name"], mesh["revision"]))


def _sail_namespace(item: Mapping[str, Any]) -> str:
    """Return where an Istio or IstioRevision puts its istiod (the default is the definition's own)."""
    return item["spec"].get("namespace", "istio-system")


def _maker(istiod: Mapping[str, Any], planes: Mapping[str, Any]) -> tuple[str, Mapping[str, Any] | None]:
    """Return which flavour an istiod is of, and the object that it was made from."""
    here = [item for item in planes["smcps"] if item["namespace"] == istiod["namespace"]]
    # OSSM 2 gives an istiod its SMCP's name as revision.
    own = [item for item in here if item["name"] == istiod["revision"]]
    if own or istiod.get("member_roll"):
        return "ossm2", (own or here or [None])[0]
    for revision in planes["revisions"]:
        name = "default" if istiod["revision"] == DEFAULT else istiod["revision"]
        if revision["name"] == name and _sail_namespace(revision) == istiod["namespace"]:
            return "sail", _istio_of(name, planes)
    return "istio", None


def _istio_of(revision: str, planes: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the Istio of a revision: of that name (InPlace), or whose name begins it (RevisionBased)."""
    named = [item for item in planes["istios"] if revision == item["name"] or revision.startswith(f"{item['name']}-v")]
    return max(named, key=lambda item: len(item["name"]), default=None)


def _mesh(
    flavour: str, istiod: Mapping[str, Any], maker: Mapping[str, Any] | None, state: Mapping[str, Any]
) -> dict[str, Any]:
    """Put a mesh together."""
    config = istiod["config"] or {}
    selectors = config.get("discovery_selectors") or []
    members = "roll" if istiod["member_roll"] else "selectors" if selectors else "all"
    ready = istiod["ready"] and (maker is None or maker["ready"])
    return {
        "flavour": flavour,
        "name": maker["name"] if maker else istiod["revision"],
        "namespace": istiod["namespace"],
        "revision": istiod["revision"],
        "version": istiod["version"],
        "members": members,
        "selectors": selectors,
        "root_namespace": config.get("root_namespace") or istiod["namespace"],
        "ready": ready,
        "reason": maker["reason"] if maker and not maker["ready"] else "",
        "injects": istiod["revision"] in state["mesh"]["revisions"],
    }


def coming_mesh(plane: Mapping[str, Any], objects: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the mesh that a plan makes, as namespaces join it; empty where only its operator knows its revision.

    A C(RevisionBased) Istio has a revision for each version, named by both (Sail operator, "Istio revisions"). What an
    alias such as C(v1.31-latest), or no version at all, stands for is the operator's to say.
    """
    if plane["provider"] == "ossm2":
        return {"flavour": "ossm2", "name": plane["name"], "namespace": plane["namespace"], "selectors": []}
    spec = next((obj["spec"] for obj in objects if obj["kind"] == "Istio"), {})
    name = plane["name"]
    if (spec.get("updateStrategy") or {}).get("type", "InPlace") != "InPlace":
        version = spec.get("version", "")
        if not WHOLE_VERSION.fullmatch(version):
            return {}
        name = f"{name}-{version.replace('.', '-')}"
    values = spec.get("values") or chart_values(plane)
    selectors = (values.get("meshConfig") or {}).get("discoverySelectors") or []
    return {"flavour": "istio", "name": name, "namespace": plane["namespace"], "selectors": selectors}


def mesh_line(mesh: Mapping[str, Any]) -> str:
    """Describe a mesh in a line."""
    belongs = {
        "roll": "the namespaces of its member roll belong to it",
        "selectors": "the namespaces of its discovery selectors belong to it",
        "all": "all namespaces belong to it",
    }[mesh["members"]]
    version = f"istiod {mesh['version']}" if mesh["version"] else "istiod of unknown version"
    return (
        f"mesh {mesh['namespace']}/{mesh['name']} ({mesh['flavour']}): {version}, revision {mesh['revision'] or '-'},"
        f" {'ready' if mesh['ready'] else 'not ready'}; {belongs}; root namespace {mesh['root_namespace']}"
    )
