# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the second phase of installing operators: approve the InstallPlans of what is wanted, and wait.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import is_ours
from ansible_collections.servicemesh.tcp.plugins.module_utils._operator_view import Item, OperatorView
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import Step, await_step, patch_step
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import bare_object


def is_ready(item: Item, subscription: Item, view: OperatorView) -> bool:
    """Tell whether the operator that a record wants is installed; a newer one that waits for approval may wait on."""
    csv = view.csv_of(subscription)
    target = _target(item, subscription)
    return bool(csv) and (csv or {})["phase"] == "Succeeded" and target in ("", subscription["installed"])


def _target(item: Item, subscription: Item) -> str:
    """Return the ClusterServiceVersion that has to be installed, '' for whatever OLM takes.

    Where upgrades are approved by hand, that is the record's C(starting_csv), or else what is installed.
    """
    if (item["approval"] or subscription["approval"]) != "Manual" or subscription["ingress_operator"]:
        return ""
    return item["starting_csv"] or subscription["installed"]


def install_steps(items: list[dict[str, Any]], view: OperatorView) -> dict[str, Any]:
    """Plan the approvals and the waits."""
    pairs = [(item, there[0]) for item in items if len(there := view.subscribed(item["name"])) == 1]
    wanted = {_target(item, subscription) or subscription["current"] for item, subscription in pairs}
    findings = []
    approvals: dict[str, Step] = {}
    waits = []
    for item, subscription in pairs:
        ready = is_ready(item, subscription, view)
        target = _target(item, subscription)
        obj = bare_object("Subscription", subscription["name"], subscription["namespace"])
        waits.append(await_step(obj, {"csv": target} if target else {}))
        plan = view.plan_of(subscription)
        if ready or plan is None or plan["approved"] or subscription["ingress_operator"]:
            continue
        problem = _objection(item, subscription, plan, target or subscription["current"], wanted)
        if problem:
            findings.append(problem)
        else:
            approvals[plan["uid"]] = _approve(plan)
    return {"steps": [*approvals.values(), *waits], "findings": findings, "second": False}


def _objection(item: Item, subscription: Item, plan: Item, target: str, wanted: set[str]) -> dict[str, str] | None:
    """Return why an InstallPlan is not ours to approve: OLM puts all that a namespace is to get into one."""
    subject = f"operator {item['name']!r}"
    values = {"plan": f"{plan['namespace']}/{plan['name']}", "csvs": ", ".join(plan["csvs"])}
    if target not in plan["csvs"]:
        return finding("INSTALL_PLAN_OTHER", subject, wanted=target, **values)
    others = [csv for csv in plan["csvs"] if csv not in wanted]
    if others:
        return finding("INSTALL_PLAN_SHARED", subject, wanted=target, others=", ".join(others), **values)
    # Somebody else's Subscription that asks for approval asks its owner, unless the record says that we approve.
    theirs = not is_ours(subscription["labels"]) and item["approval"] != "Manual"
    if theirs and subscription["approval"] == "Manual":
        return finding("INSTALL_PLAN_WAITS", subject, **values)
    return None


def _approve(plan: Item) -> Step:
    """Approve just the InstallPlan that was read, with just what was in it."""
    patch = [
        {"op": "test", "path": "/spec/clusterServiceVersionNames", "value": plan["csvs"]},
        {"op": "replace", "path": "/spec/approved", "value": True},
    ]
    return patch_step(bare_object("InstallPlan", plan["name"], plan["namespace"]), plan["uid"], patch)
