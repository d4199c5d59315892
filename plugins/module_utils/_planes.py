# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan a control plane: from the arguments and what is there to the steps that make or remove it.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import (
    _plane_existing,
    _plane_helm,
    _plane_ossm2,
    _plane_sail,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import errors, finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import is_ours
from ansible_collections.servicemesh.tcp.plugins.module_utils._plane_arguments import read_arguments
from ansible_collections.servicemesh.tcp.plugins.module_utils._plane_meshes import coming_mesh, mesh_line, meshes_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._plane_objects import OURS, Planned, differences
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import Step, apply_step, await_step, remove_step
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import namespace_object, new_object

RBAC = "rbac.authorization.k8s.io"
# How the operator of each kind is asked for.
OPERATORS: Mapping[str, str] = {"ossm2": "servicemeshoperator", "sail": "servicemeshoperator3 or sailoperator"}


def plane_plan(
    wanted: Mapping[str, Any], state: Mapping[str, Any], plane_state: str = "present", operator_coming: bool = False
) -> dict[str, Any]:
    """Plan a control plane: C({steps, after, releases, findings, meshes, coming}).

    C(after) are the steps that make sense only when the first ones are in force, C(coming) is the mesh they make. With
    C(operator_coming) the kinds of the operator need not be served yet (check mode of a run that would install it).
    """
    plane, findings = read_arguments(wanted)
    meshes = meshes_of(state)
    lines = [mesh_line(mesh) for mesh in meshes]
    if findings:
        return _result([], [], None, findings, lines)
    if plane["provider"] == "existing":
        return _result([], [], None, _plane_existing.lacking(plane, meshes, state), lines)
    planned = _provide(plane, state)
    findings = list(planned.findings)
    if plane_state == "absent":
        findings = _check_removal(plane, planned, state)
        steps, after = _remove(plane, planned, state)
    else:
        findings += _check_operator(plane, planned, state, operator_coming)
        findings += _check_owners(plane, planned)
        made, missing = _namespaces(plane, planned, state)
        findings += missing
        steps = made + [_write(plane, obj, there) for obj, there in planned.objects]
        after = _rights(plane)
    result = _result(steps, after, planned.releases, findings, lines)
    comes = plane_state == "present" and not errors(findings)
    return {**result, "coming": coming_mesh(plane, [obj for obj, _there in planned.objects]) if comes else {}}


def _result(
    steps: list[Step],
    after: list[Step],
    releases: Mapping[str, Any] | None,
    findings: list[dict[str, str]],
    lines: list[str],
) -> dict[str, Any]:
    """Return a plan; with an error it has no steps."""
    if errors(findings):
        steps, after, releases = [], [], None
    return {
        "steps": steps,
        "after": after,
        "releases": dict(releases or {}),
        "findings": findings,
        "meshes": lines,
        "coming": {},
    }


def _provide(plane: Mapping[str, Any], state: Mapping[str, Any]) -> Planned:
    """Ask the provider what it wants."""
    if plane["provider"] == "ossm2":
        return _plane_ossm2.plan(plane, state["planes"])
    if plane["provider"] == "sail":
        return _plane_sail.plan(plane, state["planes"], state["cluster"]["openshift"])
    return _plane_helm.plan(plane, state)


def _subject(plane: Mapping[str, Any]) -> str:
    """Return what the findings are about."""
    return f"control plane {plane['name']!r}"


def _check_operator(
    plane: Mapping[str, Any], planned: Planned, state: Mapping[str, Any], operator_coming: bool
) -> list[dict[str, str]]:
    """Find out whether the API server knows what is to be written."""
    served = state["planes"]["served"]
    unknown = [obj["kind"] for obj, _there in planned.objects if obj["kind"] not in served]
    if plane["provider"] == "helm" or not unknown or operator_coming:
        return []
    operator = OPERATORS[plane["provider"]]
    return [finding("OPERATOR_MISSING", _subject(plane), kinds=", ".join(unknown), operator=operator)]


def _check_owners(plane: Mapping[str, Any], planned: Planned) -> list[dict[str, str]]:
    """Leave alone what somebody else made, unless it is adopted or already as wanted."""
    findings = []
    for obj, there in planned.objects:
        if there is None or is_ours(there["labels"]) or plane["adopt"]:
            continue
        if there["spec"] is None:
            holder, differs = f"istiod {there['namespace']}/{there['name']}", ["Helm would take it over as a whole"]
        else:
            holder, differs = f"{obj['kind']} {there['name']}", list(differences(obj["spec"], there["spec"]))
        if differs:
            findings.append(finding("PLANE_NOT_OURS", _subject(plane), holder=holder, differences="; ".join(differs)))
    return findings


def _write(plane: Mapping[str, Any], obj: Mapping[str, Any], there: Mapping[str, Any] | None) -> Step:
    """Write an object and wait for it; somebody else's, which is as wanted already, is only waited for."""
    if there is not None and not is_ours(there["labels"]) and not plane["adopt"]:
        return await_step({key: obj[key] for key in ("apiVersion", "kind")} | {"metadata": _place(obj)})
    step = apply_step(obj, wait=True)
    return {**step, "adopt": True} if plane["adopt"] else step


def _place(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Return name and namespace of an object."""
    return {key: value for key, value in obj["metadata"].items() if key in ("name", "namespace")}


def _names(plane: Mapping[str, Any], planned: Planned) -> list[str]:
    """Return the namespaces that the control plane needs."""
    needs_cni = any(obj["kind"] == "IstioCNI" for obj, _there in planned.objects)
    return sorted({plane["namespace"], *([plane["cni_namespace"]] if needs_cni else [])})


def _namespaces(
    plane: Mapping[str, Any], planned: Planned, state: Mapping[str, Any]
) -> tuple[list[Step], list[dict[str, str]]]:
    """Make the namespaces that are missing, or say that they are."""
    there = {name for name, item in state["namespaces"].items() if not item["terminating"]}
    missing = [name for name in _names(plane, planned) if name not in there]
    if plane["namespace_state"] == "present":
        return [apply_step(namespace_object(name)) for name in missing], []
    argument = "control_plane_namespace_state"
    return [], [finding("NAMESPACE_MISSING", _subject(plane), namespace=name, argument=argument) for name in missing]


def binding_objects(plane: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the RoleBindings: C(edit), and with OpenShift Service Mesh 2 the operator's own Role C(mesh-user).

    Without the second nobody but an administrator can make a ServiceMeshMember (maistra/istio-operator, webhook).
    """
    roles = [("ClusterRole", "edit")] + ([("Role", "mesh-user")] if plane["provider"] == "ossm2" else [])
    people = sorted({(right["kind"], right["name"]) for right in plane["rights"]})
    return [
        new_object(
            "RoleBinding",
            f"servicemesh-tcp-{plane['name']}-{role}",
            plane["namespace"],
            OURS,
            roleRef={"apiGroup": RBAC, "kind": kind, "name": role},
            subjects=[{"apiGroup": RBAC, "kind": who, "name": name} for who, name in people],
        )
        for kind, role in roles
    ]


def _rights(plane: Mapping[str, Any]) -> list[Step]:
    """Give the rights, or take back those of an earlier run."""
    if plane["rights"]:
        return [apply_step(obj) for obj in binding_objects(plane)]
    return [_remove_bare(obj) for obj in binding_objects(plane)]


def _remove_bare(obj: Mapping[str, Any], wait: bool = False) -> Step:
    """Remove an object, named with no more than it takes."""
    return remove_step({"apiVersion": obj["apiVersion"], "kind": obj["kind"], "metadata": _place(obj)}, wait=wait)


def _check_removal(plane: Mapping[str, Any], planned: Planned, state: Mapping[str, Any]) -> list[dict[str, str]]:
    """Keep what somebody else made, and a control plane that still has gateways outside its own namespace."""
    subject, findings = _subject(plane), []
    for obj, there in planned.objects:
        # The CNI is everybody's: one that is not ours stays without a word.
        if there is not None and not is_ours(there["labels"]) and obj["kind"] != "IstioCNI":
            holder = f"{obj['kind']} {there['name']}"
            findings.append(finding("PLANE_NOT_OURS", subject, holder=holder, differences="it was asked to go"))
    revisions = {
        mesh["revision"]
        for mesh in meshes_of(state)
        if (mesh["namespace"], mesh["name"]) == (plane["namespace"], plane["name"])
    }
    gateways = sorted(
        f"{item['namespace']}/{item['name']}"
        for item in state["workloads"]
        if item["gateway"] and item["namespace"] != plane["namespace"] and (item["revision"] or "default") in revisions
    )
    if gateways:
        findings.append(finding("PLANE_IN_USE", subject, gateways=", ".join(gateways)))
    return findings


def _remove(plane: Mapping[str, Any], planned: Planned, state: Mapping[str, Any]) -> tuple[list[Step], list[Step]]:
    """Remove what is ours against the order in which it was made; the namespaces when all of it is gone."""
    going = [
        obj
        for obj, there in reversed(planned.objects)
        if there is not None and is_ours(there["labels"]) and not _is_shared(obj, plane, state)
    ]
    steps = [_remove_bare(obj) for obj in binding_objects(plane)] + [_remove_bare(obj, wait=True) for obj in going]
    if plane["namespace_state"] != "present":
        return steps, []
    kept = {mesh["namespace"] for mesh in _others(plane, state)}
    left = {plane["namespace"]} | (
        {plane["cni_namespace"]} if any(obj["kind"] == "IstioCNI" for obj in going) else set()
    )
    names = sorted(left - kept)
    ours = [name for name in names if is_ours(state["namespaces"].get(name, {}).get("labels"))]
    return steps, [remove_step(namespace_object(name), wait=True) for name in ours]


def _others(plane: Mapping[str, Any], state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the other meshes of the cluster."""
    return [
        mesh for mesh in meshes_of(state) if (mesh["namespace"], mesh["name"]) != (plane["namespace"], plane["name"])
    ]


def _is_shared(obj: Mapping[str, Any], plane: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    """Tell whether an object serves other meshes as well: the CNI, while there is another Istio."""
    return obj["kind"] == "IstioCNI" and any(item["name"] != plane["name"] for item in state["planes"]["istios"])
