# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DestinationRules: the subsets that a set's backends need, written without hiding what others say of the host.

Istio takes the rules of the proxy's namespace, or else of the Service's, or else of the root namespace, and of these
the ones with the longest host; it does not merge across namespaces (istio pilot/pkg/model/push_context.go,
destinationRule). So a rule of ours in a gateway's namespace hides the application team's, and has to carry it over. In
one namespace rules for one host with one C(exportTo) merge: subsets add up, the first of a name wins, and the oldest
traffic policy counts (pilot/pkg/model/destination_rule.go, mergeDestinationRule).

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_names import age_key, full_host
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import (
    is_ours,
    set_labels,
    set_object_name,
    short_hash,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._of_sets import OfSets
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object

Rule = Mapping[str, Any]
# Labels of a host's subsets by their names.
Subsets = Mapping[str, Mapping[str, str]]


class Theirs(NamedTuple):
    """What rules (mostly those of others) say of a host, as far as it reaches a gateway: merged, and their names."""

    policy: Mapping[str, Any] | None = None
    subsets: Mapping[str, Mapping[str, Any]] = {}
    names: tuple[str, ...] = ()
    # Whether they stand in the gateway's own namespace, for this very host: ours would then mix with them.
    beside: bool = False

    def has(self, subsets: Subsets) -> bool:
        """Tell whether all of these subsets are among theirs."""
        return all(self.subsets.get(name, {}).get("labels") == labels for name, labels in subsets.items())


class Rules(OfSets):
    """All DestinationRules of the cluster, found by host, oldest first."""

    def __init__(self, items: Iterable[Rule] | None, roots: Iterable[str]) -> None:
        """Take projected rules, and the root namespaces of the meshes."""
        by_age = None if items is None else sorted(items, key=age_key)
        super().__init__(by_age)
        self._roots = list(roots)
        self._exact: dict[str, list[Rule]] = defaultdict(list)
        self._wild: list[Rule] = []
        for item in by_age or ():
            host = item["host"]
            # A short name is one of the rule's own namespace, in whatever domain.
            short = full_host(host, item["namespace"], "") if "." not in host else host
            (self._wild if host.startswith("*") else self._exact[short]).append(item)

    def about(self, host: str) -> list[Rule]:
        """Return the rules about a host, oldest first."""
        name, _dot, _domain = host.partition(".svc.")
        short = f"{name}.svc."
        wild = [item for item in self._wild if host.endswith(item["host"][1:])]
        return sorted([*self._exact.get(host, ()), *self._exact.get(short, ()), *wild], key=age_key)

    def beside(self, host: str, namespace: str, place: tuple[str, str], set_name: str) -> list[Rule]:
        """Return the rules of this collection for a host in a gateway's namespace, but for the set's own there."""
        own = {id(item) for item in self.of_set(place, set_name)}
        return [
            item
            for item in self.about(host)
            if item["namespace"] == namespace and is_ours(item["labels"]) and id(item) not in own
        ]

    def in_force(self, host: str, namespace: str) -> Theirs:
        """Return what reaches a gateway's namespace of a host's rules, this collection's among them."""
        return self._nearest(self.about(host), host, namespace)

    def theirs(self, host: str, namespace: str) -> Theirs:
        """Return what reaches a gateway's namespace of a host's rules, if this collection had none there."""
        return self._nearest([item for item in self.about(host) if not is_ours(item["labels"])], host, namespace)

    def _nearest(self, given: Sequence[Rule], host: str, namespace: str) -> Theirs:
        """Merge the rules that Istio takes for a gateway's namespace, of those given for a host."""
        own = [item for item in given if item["namespace"] == namespace]
        if namespace in self._roots:
            # What the root namespace says to all does not go before what the Service's says.
            own = [item for item in own if _is_private(item)]
        service_namespace = host.split(".")[1] if ".svc." in host else ""
        levels = [own]
        for place in dict.fromkeys([service_namespace, *self._roots]):
            levels.append([item for item in given if item["namespace"] == place and _reaches(item, namespace)])
        for level in levels:
            exact = [item for item in level if not item["host"].startswith("*")]
            if exact:
                return _merged(exact, beside=level is own)
            if level:
                longest = max(len(item["host"]) for item in level)
                return _merged([item for item in level if len(item["host"]) == longest])
        return Theirs()


def rules_of(state: Mapping[str, Any]) -> Rules:
    """Return the rules of a projection; one that was made without them has none."""
    planes = [(item.get("config") or {}, item["namespace"]) for item in state["mesh"]["control_planes"]]
    roots = [config.get("root_namespace") or namespace for config, namespace in planes]
    return Rules(state.get("destination_rules", ()), roots)


def _is_private(item: Rule) -> bool:
    """Tell whether a rule is for its own namespace only, as one that selects workloads is."""
    return item["selects"] or (bool(item["export_to"]) and set(item["export_to"]) <= {".", item["namespace"]})


def _reaches(item: Rule, namespace: str) -> bool:
    """Tell whether a rule is for proxies of a namespace."""
    if _is_private(item):
        return item["namespace"] == namespace
    return not item["export_to"] or bool({"*", namespace} & set(item["export_to"]))


def _merged(items: Sequence[Rule], beside: bool = False) -> Theirs:
    """Merge rules for one host as Istio does, oldest first."""
    subsets: dict[str, Mapping[str, Any]] = {}
    for item in items:
        for subset in item["subsets"]:
            subsets.setdefault(subset["name"], subset)
    policy = next((item["traffic_policy"] for item in items if item["traffic_policy"]), None)
    return Theirs(policy, subsets, tuple(f"{item['namespace']}/{item['name']}" for item in items), beside)


def rule_name(gateway: str, set_name: str, host: str) -> str:
    """Return the name of a set's rule for one host."""
    return f"{set_object_name(gateway, set_name)}-{short_hash(host)}"


def subsets_of(listeners: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Mapping[str, str]]]:
    """Return the subsets that listeners lead to, by host and name; those whose labels nobody knows are left out."""
    found: dict[str, dict[str, Mapping[str, str]]] = defaultdict(dict)
    for item in listeners:
        for destination in item.get("destinations", ()):
            if destination["subset"] and destination["labels"] is not None:
                found[destination["host"]].setdefault(destination["subset"], destination["labels"])
    return found


def rule_objects(
    place: tuple[str, str], set_name: str, listeners: Iterable[Mapping[str, Any]], rules: Rules
) -> list[dict[str, Any]]:
    """Return the rules that a set needs on a gateway; where others have the subsets already, none."""
    namespace, gateway = place
    objects = []
    for host, subsets in sorted(subsets_of(listeners).items()):
        theirs = rules.theirs(host, namespace)
        # One of another set hides theirs; whether it carries what they have by now is that set's affair.
        if theirs.has(subsets) and not rules.beside(host, namespace, place, set_name):
            continue
        ours = {name: {"name": name, "labels": dict(labels)} for name, labels in subsets.items()}
        # Theirs of the same name has the same labels, and settings of its own.
        merged = {**ours, **{name: dict(subset) for name, subset in theirs.subsets.items()}}
        spec: dict[str, Any] = {"host": host, "exportTo": ["."]}
        if theirs.policy:
            spec["trafficPolicy"] = theirs.policy
        spec["subsets"] = [merged[name] for name in sorted(merged)]
        labels = set_labels(gateway, set_name)
        objects.append(new_object("DestinationRule", rule_name(gateway, set_name, host), namespace, labels, spec=spec))
    return objects


def with_former(obj: Mapping[str, Any], observed: Iterable[Rule]) -> dict[str, Any]:
    """Return a rule that also has the subsets that are there now: routes lead to them until they are written anew."""
    spec = obj["spec"]
    names = {subset["name"] for subset in spec["subsets"]}
    former = [
        subset
        for item in observed
        if item["name"] == obj["metadata"]["name"]
        for subset in item["subsets"]
        if subset["name"] not in names
    ]
    subsets = sorted([*spec["subsets"], *former], key=lambda subset: subset["name"])
    return {**obj, "spec": {**spec, "subsets": subsets}}
