# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which namespaces belong to an OSSM 2 mesh: ServiceMeshMemberRoll and ServiceMeshMember (mesh-facts 1.5, 1.6).

As the operator does (MOP pkg/controller/servicemesh/memberroll): a roll makes a ServiceMeshMember in each namespace
that it lists or selects, and the ServiceMeshMembers that name a mesh are its members, whoever made them. One namespace
has one ServiceMeshMember, so it belongs to one mesh at most.

What it does not do: finalizers, RoleBindings and NetworkAttachmentDefinitions in member namespaces, the check that who
makes a ServiceMeshMember may `use` the SMCP, Kiali and Prometheus.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from . import ossm2_gateways as charts
from .lastapplied import bring
from .world import Create, Delete, Object, Patch, Status, World, Write, condition, conditions, made, ref

MEMBER_OF = "maistra.io/member-of"
IGNORE = "maistra.io/ignore-namespace"
NAME = "default"
# Marks a ServiceMeshMember that a roll made, so that it goes with its entry.
BY_ROLL = "maistra.io/created-by"
EXCLUDED = re.compile(r"kube|openshift|(kube|openshift|ibm)-.*")


def reconcile(world: World) -> Iterator[Write]:
    """Everything about membership that the operator would do next."""
    rolls = [one for one in world.all("ServiceMeshMemberRoll") if not silent(world, one)]
    for roll in rolls:
        yield from _roll(world, roll)
    for member in world.all("ServiceMeshMember"):
        if not silent(world, member):
            yield from _member(world, member)
    yield from _leavers(world)


def silent(world: World, one: Object) -> bool:
    """Whether the switch says to leave the object alone."""
    return world.switches.on("ossm2.silent", *ref(one)) is not None


def mesh_of(world: World, namespace: str) -> Object | None:
    """The SMCP of a namespace; of several, the oldest."""
    return next(iter(world.all("ServiceMeshControlPlane", namespace)), None)


def members(world: World, smcp: Object) -> list[str]:
    """The namespaces whose ServiceMeshMember names this mesh."""
    wanted = {"name": smcp["metadata"]["name"], "namespace": smcp["metadata"]["namespace"]}
    return sorted(ref(one)[0] for one in world.all("ServiceMeshMember") if one["spec"]["controlPlaneRef"] == wanted)


# The roll


def _roll(world: World, roll: Object) -> Iterator[Write]:
    namespace, name = ref(roll)
    if name != NAME:
        text = f'the ServiceMeshMemberRoll name is invalid; must be "{NAME}"'
        yield Status(roll, _roll_status(world, roll, None, {}, ("False", "ErrInvalidName", text)))
        return
    smcp = mesh_of(world, namespace)
    required = selected(world, roll)
    if smcp is None:
        text = "No ServiceMeshControlPlane exists in the namespace"
        states = dict.fromkeys(required, ("", "", ""))
        yield Status(roll, _roll_status(world, roll, None, states, ("False", "ErrSMCPMissing", text)))
        return
    if len(world.all("ServiceMeshControlPlane", namespace)) > 1:
        text = "Multiple ServiceMeshControlPlane resources exist in the namespace"
        yield Status(roll, _roll_status(world, roll, smcp, {}, ("False", "ErrMultipleSMCPs", text)))
        return
    yield from _make_members(world, smcp, required)
    states: dict[str, tuple[str, str, str]] = {}
    for member in sorted({*required, *members(world, smcp)}):
        states[member] = _state(world, smcp, member)
        if states[member][0] == "True":
            yield from _configure(world, smcp, member)
    pending = [member for member, (value, _, _) in states.items() if value != "True"]
    ready = ("True", "Configured", "All namespaces have been configured successfully")
    if condition(smcp, "Reconciled") != "True":
        ready = ("False", "SMCPReconciling", "Skipping reconciliation of SMMR until the SMCP has been reconciled")
    elif pending:
        text = f"The following namespaces are not yet configured: [{' '.join(pending)}]"
        ready = ("False", "ReconcileError", text)
    yield Status(roll, _roll_status(world, roll, smcp, states, ready))


def selected(world: World, roll: Object) -> list[str]:
    """The namespaces that a roll lists or selects; never the mesh's own nor the platform's."""
    spec, home = roll.get("spec", {}), ref(roll)[0]
    listed = set(spec.get("members") or [])
    for namespace in world.all("Namespace"):
        labels = namespace["metadata"].get("labels", {})
        if "*" in listed or any(_matches(one, labels) for one in spec.get("memberSelectors") or []):
            listed.add(namespace["metadata"]["name"])
    return sorted(one for one in listed - {"*", home} if not EXCLUDED.fullmatch(one))


def _matches(selector: Object, labels: dict[str, str]) -> bool:
    """A LabelSelector; an empty one selects everything."""
    if not selector.get("matchLabels", {}).items() <= labels.items():
        return False
    for one in selector.get("matchExpressions", []):
        key, values = one["key"], one.get("values", [])
        held = {
            "In": labels.get(key) in values,
            "NotIn": labels.get(key) not in values,
            "Exists": key in labels,
            "DoesNotExist": key not in labels,
        }
        if not held[one["operator"]]:
            return False
    return True


def _make_members(world: World, smcp: Object, required: list[str]) -> Iterator[Write]:
    home = smcp["metadata"]["namespace"]
    reference = {"name": smcp["metadata"]["name"], "namespace": home}
    for namespace in required:
        there = world.get("Namespace", "", namespace)
        if there and not _going(there) and not world.get("ServiceMeshMember", namespace, NAME):
            member = made("ServiceMeshMember", "maistra.io/v1", namespace, NAME, "ossm2")
            member["metadata"]["annotations"] = {BY_ROLL: f"{home}/{NAME}"}
            yield Create(member | {"spec": {"controlPlaneRef": reference}})
    for member in world.all("ServiceMeshMember"):
        by = member["metadata"].get("annotations", {}).get(BY_ROLL)
        if by == f"{home}/{NAME}" and ref(member)[0] not in required:
            yield Delete("ServiceMeshMember", *ref(member))


def _state(world: World, smcp: Object, namespace: str) -> tuple[str, str, str]:
    """Status, reason and message of a member's condition `Reconciled`."""
    there = world.get("Namespace", "", namespace)
    if there is None:
        return "False", "NamespaceNotExists", f"Namespace {namespace} does not exist"
    if _going(there):
        return "False", "Terminating", f"Namespace {namespace} is terminating"
    member = world.get("ServiceMeshMember", namespace, NAME)
    home, name = ref(smcp)
    held = member["spec"]["controlPlaneRef"] if member else {"name": name, "namespace": home}
    if held != {"name": name, "namespace": home}:
        text = f"ServiceMeshMember {namespace}/{NAME} exists, but references ServiceMeshControlPlane "
        return "False", "ReferencesDifferentControlPlane", text + f"{held['namespace']}/{held['name']}"
    if fault := world.switches.on("ossm2.member-refused", namespace, namespace):
        return "False", fault.reason or "ReconcileError", fault.message or "the switch ossm2.member-refused"
    configured = there["metadata"].get("labels", {}).get(MEMBER_OF) == home
    if member is None or (condition(smcp, "Reconciled") != "True" and not configured):
        return "False", "SMCPReconciling", "the ServiceMeshControlPlane is not reconciled yet"
    return "True", "", ""


def _going(one: Object) -> bool:
    return "deletionTimestamp" in one["metadata"]


def _roll_status(
    world: World,
    roll: Object,
    smcp: Object | None,
    states: dict[str, tuple[str, str, str]],
    ready: tuple[str, str, str],
) -> Object:
    configured = [one for one, (value, _, _) in states.items() if value == "True"]
    leaving = [one for one, (_, reason, _) in states.items() if reason == "Terminating"]
    held = {one["namespace"]: one for one in roll.get("status", {}).get("memberStatuses") or []}
    summaries = []
    for namespace, (value, reason, message) in states.items():
        before = {"status": {"conditions": held.get(namespace, {}).get("conditions", [])}}
        told = conditions(world, before, ("Reconciled", value, reason, message)) if value else []
        summaries.append({"namespace": namespace, "conditions": told})
    mesh_status = (smcp or {}).get("status", {})
    return {
        "annotations": {"configuredMemberCount": f"{len(configured)}/{len(states)}"},
        "observedGeneration": roll["metadata"]["generation"],
        "meshGeneration": mesh_status.get("observedGeneration", 0),
        "members": list(states),
        "configuredMembers": configured,
        "pendingMembers": [one for one in states if one not in configured and one not in leaving],
        "terminatingMembers": leaving,
        "memberStatuses": summaries,
        "conditions": conditions(world, roll, ("Ready", *ready)),
    }


# A member namespace


def _configure(world: World, smcp: Object, namespace: str) -> Iterator[Write]:
    home = smcp["metadata"]["namespace"]
    held = world.get("Namespace", "", namespace)
    if held and held["metadata"].get("labels", {}).get(MEMBER_OF) != home:
        yield Patch("Namespace", "", namespace, {"metadata": {"labels": {MEMBER_OF: home}}})
    for policy in network_policies(smcp, namespace):
        yield from bring(world, policy)
    if not charts.manages_network_policy(smcp):
        yield from _drop_policies(world, home, namespace)


def network_policies(smcp: Object, namespace: str) -> Iterator[Object]:
    """The policies that the operator puts into a namespace of the mesh (mesh-facts 1.6)."""
    if not charts.manages_network_policy(smcp):
        return
    home, name = ref(smcp)

    def policy(what: str, spec: Object) -> Object:
        # Labelled by the mesh's namespace, not owned: an owner must live in the same namespace.
        return charts.new(smcp, "NetworkPolicy", "networking.k8s.io/v1", namespace, f"{what}-{name}", spec=spec)

    from_mesh = {"namespaceSelector": {"matchLabels": {MEMBER_OF: home}}}
    yield policy("istio-mesh", {"podSelector": {}, "ingress": [{"from": [from_mesh]}], "policyTypes": ["Ingress"]})
    routers = {"namespaceSelector": {"matchLabels": {"network.openshift.io/policy-group": "ingress"}}}
    exposed = {"matchLabels": {"maistra.io/expose-route": "true"}}
    yield policy(
        "istio-expose-route", {"podSelector": exposed, "ingress": [{"from": [routers]}], "policyTypes": ["Ingress"]}
    )
    if namespace == home:
        istiod = {"matchLabels": {"app": "istiod", "istio.io/rev": name}}
        yield policy("istio-istiod", {"podSelector": istiod, "ingress": [{}], "policyTypes": ["Ingress"]})


def _drop_policies(world: World, home: str, namespace: str) -> Iterator[Write]:
    for policy in world.all("NetworkPolicy", namespace):
        owner = policy["metadata"].get("labels", {}).get("maistra.io/owner")
        if owner == home and policy["metadata"]["name"].startswith(("istio-mesh-", "istio-expose-route-")):
            yield Delete("NetworkPolicy", *ref(policy))


def _leavers(world: World) -> Iterator[Write]:
    """A namespace whose mesh does not count it among its members any more."""
    for namespace in world.all("Namespace"):
        name, labels = namespace["metadata"]["name"], namespace["metadata"].get("labels", {})
        home = labels.get(MEMBER_OF)
        if not home or _going(namespace):
            continue
        smcp = mesh_of(world, home)
        if smcp and (name in members(world, smcp) or silent(world, smcp)):
            continue
        yield Patch("Namespace", "", name, {"metadata": {"labels": {MEMBER_OF: None}}})
        yield from _drop_policies(world, home, name)


# ServiceMeshMember


def _member(world: World, member: Object) -> Iterator[Write]:
    namespace, _ = ref(member)
    target = member["spec"]["controlPlaneRef"]
    smcp = world.get("ServiceMeshControlPlane", target["namespace"], target["name"])
    roll = world.get("ServiceMeshMemberRoll", target["namespace"], NAME)
    if smcp and roll is None and not silent(world, smcp):
        made_roll = made("ServiceMeshMemberRoll", "maistra.io/v1", target["namespace"], NAME, "ossm2", spec={})
        yield Create(made_roll)
    configured = namespace in (roll or {}).get("status", {}).get("configuredMembers", [])
    if smcp is None:
        text = f"ServiceMeshControlPlane {target['namespace']}/{target['name']} does not exist"
        states = [("Reconciled", "False", "ErrSMCPMissing", text), ("Ready", "False", "ErrSMCPMissing", text)]
    elif configured:
        states = [("Reconciled", "True", "", ""), ("Ready", "True", "", "")]
    else:
        value, reason, message = _state(world, smcp, namespace)
        reason, message = reason or "ReconcileError", message or "the namespace is not configured yet"
        states = [("Reconciled", value, reason, message), ("Ready", "False", reason, message)]
    status = {
        "annotations": {"controlPlaneRef": f"{target['namespace']}/{target['name']}"},
        "observedGeneration": member["metadata"]["generation"],
        "conditions": conditions(world, member, *states),
    }
    yield Status(member, status)
