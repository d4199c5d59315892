# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about control planes, and about namespaces in a mesh.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.servicemesh.tcp.plugins.module_utils._rule import Rule

RULES: Mapping[str, Rule] = {
    "INJECTION_BY_POD": Rule(
        "error",
        "OpenShift Service Mesh 2 gives a sidecar to pods that ask for one; no label of a namespace makes it do so for"
        " all.",
        "Set injection to 'pod', and put the label sidecar.istio.io/inject: \"true\" into the pod templates.",
    ),
    "INJECTION_LABEL_TAKEN": Rule(
        "error",
        "somebody else's label {label}={value} decides on its sidecars (istio-injection wins over istio.io/rev), and"
        " what is wanted is that {wanted}.",
        "Let its owner take the label off, or say in the namespace's injection and mesh what the label says.",
    ),
    "INJECTOR_MISSING": Rule(
        "warning",
        "no webhook injects revision {revision!r}, so a gateway that is made here stays without its proxy.",
        "Have it installed with its injector, or publish on gateways that run already.",
    ),
    "ISTIOD_NOT_READY": Rule(
        "error",
        "its istiod is not ready: {why}.",
        "Look at the istiod pods and at what their operator says, and run this again.",
    ),
    "MEMBER_ELSEWHERE": Rule(
        "error",
        "it cannot join the mesh {mesh}: {holder} has it in another one, and a namespace is in one mesh at most.",
        "Withdraw it there first.",
    ),
    "MEMBER_PENDING": Rule(
        "note",
        "it does not exist yet. The member roll of mesh {mesh} names it, and it joins when it is made.",
        "Nothing to do, unless the name is wrong. With state 'present' this run makes it.",
    ),
    "MESH_UNCLEAR": Rule(
        "error",
        "the cluster has several meshes, and it could join any of them: {known}.",
        "Name one in the namespace's mesh.",
    ),
    "MESH_UNKNOWN": Rule(
        "error",
        "there is no mesh {mesh!r}; there are {known}.",
        "Mend the namespace's mesh, or leave it out.",
    ),
    "NAMESPACE_OUTSIDE_MESH": Rule(
        "error",
        "namespace {namespace!r} is not part of the mesh {mesh}: {why}, so {effect}.",
        "Add it to mesh_members (role namespaces), or have it added; its pods need no sidecar for that.",
    ),
    "NAMESPACE_UNDISCOVERABLE": Rule(
        "error",
        "the mesh {mesh} sees namespaces by its discovery selectors ({selectors}), and no label can be added with which"
        " one of them takes it.",
        "Let the owner of its labels change them, or the mesh's discovery selectors.",
    ),
    "OBJECT_GONE": Rule(
        "error",
        "it was there when this run looked first, and is gone.",
        "Run it again.",
    ),
    "OPERATOR_MISSING": Rule(
        "error",
        "the API server does not know {kinds}, so nobody would act on it.",
        "Install the operator first ({operator}): role operators does it, or playbook install_mesh as a whole.",
    ),
    "PLANE_ELSEWHERE": Rule(
        "error",
        "the {kind} of that name has its istiod in namespace {there!r}, and it cannot move to {namespace!r}.",
        "Say that namespace, or choose another name.",
    ),
    "PLANE_IN_USE": Rule(
        "error",
        "gateways of it still run: {gateways}.",
        "Withdraw their ports and remove them first; without their istiod they would keep what they have and learn"
        " nothing new.",
    ),
    "PLANE_NOT_OURS": Rule(
        "error",
        "{holder} was not made by this collection, and is left alone: {differences}.",
        "Take over its settings or choose another name. With control_plane_adopt=true it is taken over, and changed or"
        " removed like one of ours.",
    ),
    "PLANE_SECOND": Rule(
        "error",
        "namespace {namespace!r} has an SMCP already ({other}), and its operator takes one for each namespace"
        " (ErrMultipleSMCPs).",
        "Use that name, or another namespace.",
    ),
    "PLANE_UNKNOWN": Rule(
        "error",
        "there is no such mesh; there are {known}.",
        "Mend the name or the namespace, or leave both out to look at all of them.",
    ),
    "POD_LABEL_NEEDED": Rule(
        "note",
        "the namespace has no label that decides on injection, so a pod that wants a sidecar or is a gateway needs the"
        ' labels sidecar.istio.io/inject: "true" and istio.io/rev: {revision} in its template.',
        "Nothing to do for gateways of this collection; or set injection to 'enabled'.",
    ),
    "SIDECAR_MISSING": Rule(
        "warning",
        "these lack the sidecar that a new pod would get, and a restart does not give it to them: {workloads}.",
        "Recreate those pods by hand, or look at why the injector passes them over. Ports can be published without it.",
    ),
    "SMCP_FIELD_IGNORED": Rule(
        "warning",
        "{field} is taken by the schema and ignored by the chart that makes the gateway's Service.",
        "Leave it out. Where it is needed, run an injected gateway (role gateways), whose Service takes it.",
    ),
}
