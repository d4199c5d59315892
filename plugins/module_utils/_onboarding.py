# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan what makes namespaces part of a mesh, and what takes them out again.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import _onboarding_extras as extras
from ansible_collections.servicemesh.tcp.plugins.module_utils import _onboarding_roll as membership_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import errors, finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import COLLECTION, MANAGED_BY_LABEL, is_ours
from ansible_collections.servicemesh.tcp.plugins.module_utils._onboarding_labels import foreign_labels, wanted_labels
from ansible_collections.servicemesh.tcp.plugins.module_utils._onboarding_members import read_members
from ansible_collections.servicemesh.tcp.plugins.module_utils._onboarding_mesh import Mesh, mesh_of, meshes_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._onboarding_restart import restart_steps
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import Step, onboarding_step, remove_step

Member = Mapping[str, Any]
Findings = list[dict[str, str]]


class _Roll:
    """What becomes of one mesh's member roll."""

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self.add: set[str] = set()
        self.joined: set[str] = set()
        self.remove: set[str] = set()
        self.left: set[str] = set()

    def steps(self) -> list[Step]:
        """Return the step that writes it."""
        return membership_of.roll_steps(self.mesh, self.add, self.joined, self.remove, self.left)


class Onboarding:
    """One plan: the namespaces first, then who is a member, then what the members get."""

    def __init__(self, state: Mapping[str, Any], membership: str, coming: Mapping[str, Any] | None = None) -> None:
        self.state = state
        self.membership = membership
        self.meshes = meshes_of(state, coming)
        self.findings: Findings = []
        self.namespaces: list[Step] = []
        self.members: list[Step] = []
        self.rest: list[Step] = []
        self.going: list[Step] = []
        self.rolls: dict[str, _Roll] = {}

    def has(self, name: str) -> bool:
        """Tell whether a namespace is there to stay."""
        return name in self.state["namespaces"] and not self.state["namespaces"][name]["terminating"]

    def inside(self, name: str) -> Mapping[str, Any]:
        """Return what was read inside a namespace."""
        return self.state.get("inside", {}).get(name, {})

    def roll(self, mesh: Mesh) -> _Roll:
        """Return what becomes of a mesh's roll."""
        return self.rolls.setdefault(mesh["namespace"], _Roll(mesh))

    def steps(self) -> list[Step]:
        """Return all steps in their order: who leaves is out of the roll before the namespace goes."""
        rolls = [step for name in sorted(self.rolls) for step in self.rolls[name].steps()]
        return [*self.namespaces, *rolls, *self.members, *self.rest, *self.going]

    def join(self, member: Member) -> None:
        """Plan one namespace's way into its mesh."""
        name = member["name"]
        mesh, findings = mesh_of(member, self.meshes, self.state)
        self.findings += findings
        if mesh is None:
            return
        is_there = self.has(name)
        if not is_there and member["state"] == "required" and not self._may_wait(mesh):
            self.findings.append(
                finding("NAMESPACE_MISSING", f"namespace {name!r}", namespace=name, argument="its state")
            )
            return
        labels, findings = wanted_labels(member, mesh, self.state)
        self.findings += findings
        comes = is_there or member["state"] == "present"
        if comes:
            self._label(name, labels, is_there)
        else:
            self.findings.append(finding("MEMBER_PENDING", f"namespace {name!r}", mesh=mesh["name"]))
        if mesh["flavour"] == "ossm2":
            self._enlist(name, {**foreign_labels(name, self.state), **labels}, mesh, comes)
        if comes:
            self.rest += extras.rights_steps(member, self.inside(name))
            self.rest += extras.policy_steps(member, self.inside(name))

    def _may_wait(self, mesh: Mesh) -> bool:
        """Tell whether a namespace can be named before it exists: only a member roll takes names."""
        return mesh["flavour"] == "ossm2" and self.membership == "roll"

    def _label(self, name: str, labels: Mapping[str, str], is_there: bool) -> None:
        """Plan a namespace's labels; one that is missing is made, and is this collection's then."""
        if not is_there:
            self.namespaces.append(
                onboarding_step(_namespace(name, {MANAGED_BY_LABEL: COLLECTION, **labels}), made=True)
            )
            return
        applied = self.state["namespaces"][name].get("applied", [])
        if not labels and not applied:
            return
        # Who made it with this manager keeps the label that says so.
        own = {MANAGED_BY_LABEL: COLLECTION} if MANAGED_BY_LABEL in applied else {}
        self.namespaces.append(onboarding_step(_namespace(name, {**own, **labels})))

    def _enlist(self, name: str, labels: Mapping[str, str], mesh: Mesh, comes: bool) -> None:
        """Plan a namespace's membership in OpenShift Service Mesh 2."""
        holder = membership_of.elsewhere(name, mesh, self.state)
        if holder:
            self.findings.append(membership_of.elsewhere_finding(name, mesh, holder))
            return
        if name == mesh["namespace"]:
            return
        roll = self.roll(mesh)
        if comes:
            roll.joined.add(name)
        if membership_of.is_covered(name, labels, mesh, self.state, self.membership):
            return
        if self.membership == "roll":
            roll.add.add(name)
        else:
            # The member's own object says whether it is configured, and the roll's entry is the operator's work.
            roll.joined.discard(name)
            self.members.append(membership_of.member_step(name, mesh))

    def leave(self, member: Member, keep: bool) -> None:
        """Plan a namespace's way out: all that this collection put there goes, and so does one that it made."""
        name = member["name"]
        for roll in self.state["members"]["rolls"]:
            if name in roll["ours"]:
                mesh = {"flavour": "ossm2", "name": roll["namespace"], "namespace": roll["namespace"]}
                entry = self.roll(mesh)
                entry.remove.add(name)
                # Who stays a member by somebody else's selector is not waited for.
                if not membership_of.is_covered(name, foreign_labels(name, self.state), mesh, self.state, "roll"):
                    entry.left.add(name)
        if not self.has(name):
            return
        bare = {**member, "rights": [], "network_policy": []}
        self.rest += extras.rights_steps(bare, self.inside(name))
        self.rest += extras.policy_steps(bare, self.inside(name))
        self.members += membership_of.leave_steps(name, self.state)
        namespace = self.state["namespaces"][name]
        if is_ours(namespace["labels"]) and not keep:
            self.going.append(remove_step(_namespace(name, {}), wait=True))
        elif namespace.get("applied"):
            self._label(name, {}, is_there=True)


def _namespace(name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return a namespace with the labels that are ours."""
    metadata: dict[str, Any] = {"name": name}
    if labels:
        metadata["labels"] = dict(labels)
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def onboarding_plan(
    raw_members: Iterable[Any],
    state: Mapping[str, Any],
    namespaces_state: str = "present",
    membership: str = "roll",
    coming: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Plan the namespaces' way into their meshes, or out of them: C({steps, findings}).

    Namespaces that are withdrawn stay where their C(state) is V(required): those were never asked to be made.
    C(coming) is a mesh that is not there in check mode, and would be by now.
    """
    members, findings = read_members(raw_members)
    plan = Onboarding(state, membership, coming)
    for member in members:
        if namespaces_state == "absent":
            plan.leave(member, keep=member["state"] == "required")
        elif member["state"] == "absent":
            plan.leave(member, keep=False)
        else:
            plan.join(member)
    findings += plan.findings
    return {"steps": [] if errors(findings) else plan.steps(), "findings": findings}


def restart_plan(raw_members: Iterable[Any], state: Mapping[str, Any]) -> dict[str, Any]:
    """Plan the restart of what lacks a sidecar, once its namespace is in the mesh: C({steps, findings})."""
    members, findings = read_members(raw_members)
    plan = Onboarding(state, "roll")
    steps: list[Step] = []
    for member in members:
        if not member["restart"] or member["state"] == "absent" or not plan.has(member["name"]):
            continue
        mesh, found = mesh_of(member, plan.meshes, state)
        findings += found
        if mesh is not None:
            more, found = restart_steps(member["name"], mesh, plan.inside(member["name"]).get("pods", []), state)
            steps += more
            findings += found
    return {"steps": [] if errors(findings) else steps, "findings": findings}
