# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the removal of operators that this collection subscribed to; what others brought stays.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import is_ours
from ansible_collections.servicemesh.tcp.plugins.module_utils._operator_records import preset_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._operator_view import Item, OperatorView
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import Step, await_step, remove_step
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import bare_object


def removal_plan(
    items: list[dict[str, Any]], view: OperatorView, namespace_state: str, crd_state: str, phase: str
) -> dict[str, Any]:
    """Plan a removal: the operators first, and in the second phase the namespaces that are empty then."""
    namespaces = _namespaces(items, view) if namespace_state == "present" else []
    if phase == "install":
        steps: list[Step] = [remove_step(_bare("Namespace", name), wait=True) for name in namespaces]
        return {"steps": steps, "findings": [], "second": False}
    steps, findings = [], []
    going = {
        (one["namespace"], one["name"])
        for item in items
        for one in view.subscribed(item["name"])
        if is_ours(one["labels"])
    }
    left = set()
    for item in items:
        subject = f"operator {item['name']!r}"
        for one in view.subscribed(item["name"]):
            if is_ours(one["labels"]):
                steps += _remove_operator(one, view, crd_state)
                left.add(one["namespace"])
            else:
                place = f"Subscription {one['namespace']}/{one['name']}"
                findings.append(finding("OPERATOR_STAYS", subject, place=place))
        if not view.subscribed(item["name"]):
            for one in view.by_hand(preset_of(item["name"])):
                place = f"Deployment {one['namespace']}/{one['name']}"
                findings.append(finding("OPERATOR_STAYS", subject, place=place))
    for namespace in sorted(left):
        if not view.beside(namespace, going):
            ours = [group for group in view.operator_groups(namespace) if is_ours(group["labels"])]
            steps += [remove_step(bare_object("OperatorGroup", group["name"], namespace)) for group in ours]
    return {"steps": steps, "findings": findings, "second": bool(namespaces)}


def _bare(kind: str, name: str) -> dict[str, Any]:
    """Return just enough of an object without a namespace."""
    obj = bare_object(kind, name, "")
    del obj["metadata"]["namespace"]
    return obj


def _remove_operator(subscription: Item, view: OperatorView, crd_state: str) -> list[Step]:
    """Return the steps in their order: nobody may upgrade any more, then the operator goes, then its definitions.

    OLM made what the Subscription brought, so that carries no label of ours.
    """
    namespace = subscription["namespace"]
    steps: list[Step] = [remove_step(bare_object("Subscription", subscription["name"], namespace), wait=True)]
    csv = view.csv_of(subscription)
    if csv is None:
        return steps
    obj = bare_object("ClusterServiceVersion", csv["name"], namespace)
    obj["metadata"]["uid"] = csv["uid"]
    steps.append({**remove_step(obj, wait=True), "adopt": True})
    steps += [await_step(bare_object("Deployment", name, namespace), {"absent": True}) for name in csv["deployments"]]
    if crd_state == "absent":
        steps += [
            {**remove_step(_bare("CustomResourceDefinition", name), wait=True), "adopt": True} for name in csv["crds"]
        ]
    return steps


def _namespaces(items: list[dict[str, Any]], view: OperatorView) -> list[str]:
    """Return the namespaces of ours in which nothing but these operators is subscribed to."""
    wanted = {item["name"] for item in items}
    names = {one["namespace"] for item in items for one in view.subscribed(item["name"])}
    names |= {name for item in items for name in (item["namespace"], *preset_of(item["name"]).namespaces) if name}
    return sorted(
        name
        for name in names
        if view.is_our_namespace(name) and all(one["package"] in wanted for one in view.beside(name, set()))
    )
