# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a namespace may get beside its membership: rights for people, NetworkPolicies that let the gateways in.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._names import (
    COLLECTION,
    MANAGED_BY_LABEL,
    is_ours,
    short_hash,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._onboarding_members import ROLES
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import Step, apply_step, remove_step
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import bare_object, new_object

PREFIX = "servicemesh-tcp"
RBAC = "rbac.authorization.k8s.io"
OURS = {MANAGED_BY_LABEL: COLLECTION}


def binding_name(role: str) -> str:
    """Return the name of the RoleBinding for one of Kubernetes' roles."""
    return f"{PREFIX}-{role}"


def rights_steps(member: Mapping[str, Any], observed: Mapping[str, Any]) -> list[Step]:
    """Return the steps that give a namespace's rights, one RoleBinding for each role, and take back the others."""
    steps = []
    for role in ROLES:
        people = [(right["kind"], right["name"]) for right in member["rights"] if right["role"] == role]
        if people:
            steps.append(apply_step(_binding(member["name"], role, people)))
        elif binding_name(role) in observed.get("bindings", []):
            steps.append(remove_step(bare_object("RoleBinding", binding_name(role), member["name"])))
    return steps


def _binding(namespace: str, role: str, people: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the RoleBinding of one role."""
    return new_object(
        "RoleBinding",
        binding_name(role),
        namespace,
        OURS,
        roleRef={"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        subjects=[{"apiGroup": RBAC, "kind": kind, "name": name} for kind, name in sorted(set(people))],
    )


def policy_steps(member: Mapping[str, Any], observed: Mapping[str, Any]) -> list[Step]:
    """Return the steps that let gateways' namespaces in where somebody else's NetworkPolicies keep them out.

    A pod that no policy selects is open to all, and a first policy would close it to everybody else. So there is one of
    ours for each selection of pods that others have closed, with the very same selection, and none where nothing is.
    """
    policies = observed.get("policies", [])
    closed = [policy["selector"] for policy in policies if policy["ingress"] and not is_ours(policy["labels"])]
    wanted = {}
    if member["network_policy"]:
        wanted = {f"{PREFIX}-{short_hash(json.dumps(item, sort_keys=True))}": item for item in closed}
    steps = [
        apply_step(_policy(name, member["name"], wanted[name], member["network_policy"])) for name in sorted(wanted)
    ]
    ours = {policy["name"] for policy in policies if is_ours(policy["labels"]) and policy["name"].startswith(PREFIX)}
    return steps + [
        remove_step(bare_object("NetworkPolicy", name, member["name"])) for name in sorted(ours - set(wanted))
    ]


def _policy(name: str, namespace: str, pods: Mapping[str, Any], gateways: Iterable[str]) -> dict[str, Any]:
    """Return the NetworkPolicy that opens some pods to the namespaces of gateways."""
    peers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": item}}} for item in gateways]
    spec = {"podSelector": dict(pods), "policyTypes": ["Ingress"], "ingress": [{"from": peers}]}
    return new_object("NetworkPolicy", name, namespace, OURS, spec=spec)
