# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Membership in OpenShift Service Mesh 2: entries of a member roll, or a ServiceMeshMember in each namespace.

Sources: maistra/istio-operator pkg/apis/maistra/v1/servicemeshmemberroll_types.go, servicemeshmember_types.go and the
controllers beside them.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_mesh import MEMBER_OF
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import COLLECTION, MANAGED_BY_LABEL, is_ours
from ansible_collections.servicemesh.tcp.plugins.module_utils._onboarding_mesh import describe_mesh
from ansible_collections.servicemesh.tcp.plugins.module_utils._selectors import selects
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import Step, apply_step, merge_step, remove_step
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import bare_object, new_object

# The operator insists on this name for both kinds.
NAME = "default"
ROLL, MEMBER = "ServiceMeshMemberRoll", "ServiceMeshMember"
OURS = {MANAGED_BY_LABEL: COLLECTION}
# Namespaces that '*' and selectors never take.
EXCLUDED = re.compile(r"kube|openshift|(kube|openshift|ibm)-.*")


def roll_of(mesh: Mapping[str, Any], state: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the member roll of a mesh, V(None) where there is none yet."""
    return next((roll for roll in state["members"]["rolls"] if roll["namespace"] == mesh["namespace"]), None)


def elsewhere(name: str, mesh: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    """Return which other mesh has a namespace or is promised it, '' where none."""
    labels = state["namespaces"].get(name, {"labels": {}})["labels"]
    home = mesh["namespace"]
    if labels.get(MEMBER_OF, home) != home:
        return f"label {MEMBER_OF}={labels[MEMBER_OF]}"
    for roll in state["members"]["rolls"]:
        if roll["namespace"] != home and name in roll["members"]:
            return f"{ROLL} {roll['namespace']}/{NAME}"
    for member in state["members"]["members"]:
        if member["namespace"] == name and member["control_plane"]["namespace"] != home:
            return f"{MEMBER} {name}/{NAME}"
    return ""


def is_covered(
    name: str, labels: Mapping[str, str], mesh: Mapping[str, Any], state: Mapping[str, Any], membership: str
) -> bool:
    """Tell whether a namespace is a member already by what somebody else wrote, or is the control plane's own."""
    if name == mesh["namespace"]:
        return True
    if any(item["namespace"] == name and not is_ours(item["labels"]) for item in state["members"]["members"]):
        return True
    roll = roll_of(mesh, state)
    if roll is None:
        return False
    # With membership 'member' the operator adds the namespace to the roll itself.
    ours = roll["ours"] if membership == "roll" else [name] if _member_of(name, state) else roll["ours"]
    if name in roll["members"] and name not in ours:
        return True
    by_selector = "*" in roll["members"] or any(selects(selector, labels) for selector in roll["selectors"])
    return by_selector and not EXCLUDED.fullmatch(name)


def _member_of(name: str, state: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the ServiceMeshMember of a namespace that is ours."""
    found = (item for item in state["members"]["members"] if item["namespace"] == name and is_ours(item["labels"]))
    return next(found, None)


def roll_steps(
    mesh: Mapping[str, Any], add: Iterable[str], joined: Collection[str], remove: Iterable[str], left: Iterable[str]
) -> list[Step]:
    """Return the step that adds entries to a mesh's roll, takes ours out, and waits for what its operator does.

    C(joined) are those that exist and have to be configured in the end, C(left) those that may not be any more.
    """
    add, remove, left = sorted(add), sorted(remove), sorted(left)
    if not (add or remove or joined or left):
        return []
    roll = new_object(ROLL, NAME, mesh["namespace"], OURS)
    merge = {"list": "members", "add": add, "remove": remove}
    return [merge_step(roll, merge, until={"joined": sorted(joined), "left": left})]


def member_step(name: str, mesh: Mapping[str, Any]) -> Step:
    """Return the step that makes a namespace a member by an object of its own."""
    reference = {"name": mesh["name"], "namespace": mesh["namespace"]}
    return apply_step(new_object(MEMBER, NAME, name, OURS, spec={"controlPlaneRef": reference}), wait=True)


def leave_steps(name: str, state: Mapping[str, Any]) -> list[Step]:
    """Return the step that takes a namespace's own ServiceMeshMember away, where it is ours."""
    return [remove_step(bare_object(MEMBER, NAME, name), wait=True)] if _member_of(name, state) else []


def elsewhere_finding(name: str, mesh: Mapping[str, Any], holder: str) -> dict[str, str]:
    """Say that a namespace is in another mesh."""
    return finding("MEMBER_ELSEWHERE", f"namespace {name!r}", mesh=describe_mesh(mesh), holder=holder)
