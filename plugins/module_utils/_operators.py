# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the operators: subscribe, then approve and wait; or remove them again.

OLM decides between the two phases what it would install, so the cluster is read again for the second.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import errors, finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import COLLECTION, MANAGED_BY_LABEL, is_ours
from ansible_collections.servicemesh.tcp.plugins.module_utils._operator_install import install_steps, is_ready
from ansible_collections.servicemesh.tcp.plugins.module_utils._operator_records import preset_of, read_operators
from ansible_collections.servicemesh.tcp.plugins.module_utils._operator_removal import removal_plan
from ansible_collections.servicemesh.tcp.plugins.module_utils._operator_view import Item, OperatorView
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import Step, apply_step, patch_step
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import bare_object, new_object

OURS = {MANAGED_BY_LABEL: COLLECTION}
OPERATOR_GROUP = "servicemesh-tcp"
# A record's keys, and the Subscription's fields behind them.
FIELDS = {
    "channel": "channel",
    "source": "source",
    "source_namespace": "sourceNamespace",
    "approval": "installPlanApproval",
}


def operator_plan(
    wanted: Iterable[Any],
    state: Mapping[str, Any],
    operators_state: str = "present",
    namespace_state: str = "required",
    crd_state: str = "kept",
    phase: str = "subscribe",
) -> dict[str, Any]:
    """Plan one phase: C({steps, findings, second}); C(second) tells whether the second phase has anything to do."""
    items, findings = read_operators(wanted)
    view = OperatorView(state)
    if operators_state == "absent":
        planned = removal_plan(items, view, namespace_state, crd_state, phase)
    elif phase == "install":
        planned = install_steps(items, view)
    else:
        planned = _subscribe(items, view, namespace_state)
    findings += planned["findings"]
    stopped = bool(errors(findings))
    return {
        "steps": [] if stopped else planned["steps"],
        "findings": findings,
        "second": planned["second"] and not stopped,
    }


def _subscribe(items: list[dict[str, Any]], view: OperatorView, namespace_state: str) -> dict[str, Any]:
    """Plan the first phase: namespaces, OperatorGroups and Subscriptions."""
    steps: list[Step] = []
    findings: list[dict[str, str]] = []
    second = False
    new = []
    for item in items:
        there = view.subscribed(item["name"])
        if len(there) > 1:
            places = ", ".join(f"{one['namespace']}/{one['name']}" for one in there)
            findings.append(finding("OPERATOR_TWICE", _subject(item), places=places))
        elif there:
            changes, found = _keep(item, there[0])
            steps += changes
            findings += found
            second |= bool(changes) or not is_ready(item, there[0], view)
        elif elsewhere := _elsewhere(item, view):
            findings += elsewhere
        else:
            new.append(item)
    findings += _obstacles(new, view, namespace_state)
    for item in new:
        steps += [step for step in _new_steps(item, view) if step not in steps]
    return {"steps": steps, "findings": findings, "second": second or bool(new)}


def _elsewhere(item: Item, view: OperatorView) -> list[dict[str, str]]:
    """Say that an operator is there without a Subscription, and left alone; nothing where it is not there."""
    for csv in view.orphans(item["name"]):
        place, phase = f"{csv['namespace']}/{csv['name']}", csv["phase"] or "without a phase"
        return [finding("OPERATOR_UNSUBSCRIBED", _subject(item), csv=place, phase=phase)]
    for deployment in view.by_hand(preset_of(item["name"])):
        place = f"{deployment['namespace']}/{deployment['name']}"
        return [finding("OPERATOR_BY_HAND", _subject(item), deployment=place)]
    return []


def _subject(item: Item) -> str:
    """Return how findings name a record."""
    return f"operator {item['name']!r}"


def _keep(item: Item, there: Item) -> tuple[list[Step], list[dict[str, str]]]:
    """Return what changes on a Subscription that is there: ours follows its record, others' only if it says adopt."""
    place = f"{there['namespace']}/{there['name']}"
    wanted = {key: item[key] for key in FIELDS if item[key] is not None and item[key] != there[key]}
    moved = item["namespace"] is not None and item["namespace"] != there["namespace"]
    said = [f"{key} {there[key]!r} instead of {value!r}" for key, value in wanted.items()]
    if moved:
        said.append(f"namespace {there['namespace']!r} instead of {item['namespace']!r}")
    ours = is_ours(there["labels"])
    if there["ingress_operator"]:
        if wanted and item["adopt"]:
            return [], [finding("SUBSCRIPTION_OF_INGRESS", _subject(item), place=place, differs=", ".join(said))]
        return [], [
            finding("SUBSCRIPTION_FOUND", _subject(item), place=place, channel=there["channel"], csv=_csv(there))
        ]
    findings = []
    if said and (moved or not (ours or item["adopt"])):
        findings.append(finding("SUBSCRIPTION_DIFFERS", _subject(item), place=place, differs=", ".join(said)))
    if not wanted:
        return [], findings
    if ours:
        spec = {field: item[key] or there[key] for key, field in FIELDS.items()}
        obj = _subscription(item["name"], there["name"], there["namespace"], spec, there["starting_csv"])
        return [apply_step(obj)], findings
    if item["adopt"]:
        patch = [{"op": "add", "path": f"/spec/{FIELDS[key]}", "value": value} for key, value in wanted.items()]
        obj = bare_object("Subscription", there["name"], there["namespace"])
        return [patch_step(obj, there["uid"], patch)], findings
    return [], findings


def _csv(subscription: Item) -> str:
    """Return what a Subscription has installed, for people."""
    return subscription["installed"] or "nothing yet"


def _obstacles(items: list[dict[str, Any]], view: OperatorView, namespace_state: str) -> list[dict[str, str]]:
    """Return what stands in the way of new Subscriptions."""
    findings: list[dict[str, str]] = []
    if items and not view.olm:
        names = ", ".join(item["name"] for item in items)
        return [finding("OLM_MISSING", "operators", packages=names)]
    for item in items:
        preset = preset_of(item["name"])
        rivals = [f"{one['namespace']}/{one['name']}" for one in view.rivals(preset)]
        rivals += [
            f"operator {one['name']!r} of this list"
            for one in items
            if one is not item and set(preset_of(one["name"]).groups) & set(preset.groups)
        ]
        if rivals:
            groups = ", ".join(preset.groups)
            findings.append(finding("OPERATOR_RIVAL", _subject(item), rival=rivals[0], groups=groups))
        if preset.left:
            findings.append(finding("OPERATOR_LEFT_CATALOG", _subject(item), left=preset.left))
        source, namespace = view.source_for(item)
        catalog = view.catalogs.get((source, namespace))
        if catalog is None:
            known = ", ".join(f"{place}/{name}" for name, place in sorted(view.catalogs)) or "none"
            values = {"catalog": f"{namespace}/{source}", "known": known}
            findings.append(finding("CATALOG_MISSING", _subject(item), **values))
        elif catalog["state"] != "READY":
            values = {"catalog": f"{namespace}/{source}", "state": catalog["state"] or "not known"}
            findings.append(finding("CATALOG_NOT_READY", _subject(item), **values))
        findings += _namespace_obstacles(item, view, namespace_state)
    return findings


def _namespace_obstacles(item: Item, view: OperatorView, namespace_state: str) -> list[dict[str, str]]:
    """Return what is wrong with the namespace that an operator is to be installed in."""
    namespace = view.namespace_for(item)
    if not view.has_namespace(namespace) and namespace_state != "present":
        return [finding("NAMESPACE_MISSING", _subject(item), namespace=namespace, argument="operators_namespace_state")]
    groups = view.operator_groups(namespace)
    names = ", ".join(group["name"] for group in groups)
    if len(groups) > 1:
        why = "OLM installs nothing where there is more than one"
    elif groups and not groups[0]["everywhere"]:
        why = "it is for chosen namespaces only, and these operators can only be installed for all"
    else:
        return []
    return [finding("OPERATOR_GROUP_UNFIT", _subject(item), namespace=namespace, groups=names, why=why)]


def _new_steps(item: Item, view: OperatorView) -> list[Step]:
    """Return the steps that subscribe to a package: namespace, OperatorGroup, Subscription."""
    preset = preset_of(item["name"])
    namespace = view.namespace_for(item)
    source, source_namespace = view.source_for(item)
    steps = []
    if not view.has_namespace(namespace):
        made = new_object("Namespace", namespace, None, {**OURS, **preset.namespace_labels})
        if preset.namespace_annotations:
            made["metadata"]["annotations"] = dict(preset.namespace_annotations)
        steps.append(apply_step(made))
    if not view.operator_groups(namespace):
        steps.append(apply_step(new_object("OperatorGroup", OPERATOR_GROUP, namespace, OURS, spec={})))
    spec = {
        "channel": item["channel"] or preset.channel,
        "source": source,
        "sourceNamespace": source_namespace,
        "installPlanApproval": item["approval"] or "Automatic",
    }
    made = _subscription(item["name"], item["name"], namespace, spec, item["starting_csv"])
    steps.append({**apply_step(made, wait=True), "until": {"resolved": True}})
    return steps


def _subscription(
    package: str, name: str, namespace: str, spec: Mapping[str, Any], starting_csv: str | None
) -> dict[str, Any]:
    """Return a Subscription of ours; C(startingCSV) counts at the first installation only and then stays."""
    starting = {"startingCSV": starting_csv} if starting_csv else {}
    return new_object("Subscription", name, namespace, OURS, spec={"name": package, **spec, **starting})
