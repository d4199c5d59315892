# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operators of a cluster, indexed: who brought which, and what stands in a new one's way.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._names import is_ours
from ansible_collections.servicemesh.tcp.plugins.module_utils._operator_records import Preset, preset_of

Item = Mapping[str, Any]


class OperatorView:
    """Look-ups on the parts C(namespaces) and C(operators) of one projection."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        """Index a projection."""
        found = state["operators"]
        self.olm: bool = found["olm"]
        self.groups = set(found["groups"])
        self.namespaces: Mapping[str, Item] = state["namespaces"]
        self.subscriptions: list[Item] = found["subscriptions"]
        self.csvs = {(item["namespace"], item["name"]): item for item in found["csvs"]}
        self.install_plans = {(item["namespace"], item["name"]): item for item in found["install_plans"]}
        self.catalogs = {(item["name"], item["namespace"]): item for item in found["catalogs"]}
        self._deployments: list[Item] = found["deployments"]
        self._operator_groups: defaultdict[str, list[Item]] = defaultdict(list)
        for item in found["operator_groups"]:
            self._operator_groups[item["namespace"]].append(item)

    def has_namespace(self, name: str) -> bool:
        """Tell whether a namespace is there to stay."""
        return name in self.namespaces and not self.namespaces[name]["terminating"]

    def subscribed(self, package: str) -> list[Item]:
        """Return the Subscriptions to a package, whatever their names and namespaces."""
        return [item for item in self.subscriptions if item["package"] == package]

    def beside(self, namespace: str, leaving: set[tuple[str, str]]) -> list[Item]:
        """Return the Subscriptions that stay in a namespace."""
        return [
            item
            for item in self.subscriptions
            if item["namespace"] == namespace and (item["namespace"], item["name"]) not in leaving
        ]

    def csv_of(self, subscription: Item) -> Item | None:
        """Return the ClusterServiceVersion that a Subscription has installed, or is about to."""
        return self.csvs.get((subscription["namespace"], subscription["installed"] or subscription["current"]))

    def plan_of(self, subscription: Item) -> Item | None:
        """Return the InstallPlan that a Subscription has yet to install."""
        return self.install_plans.get((subscription["namespace"], subscription["install_plan"]))

    def orphans(self, package: str) -> list[Item]:
        """Return the ClusterServiceVersions of a package, which nobody has subscribed to."""
        prefix = preset_of(package).csv
        return [item for (_namespace, name), item in sorted(self.csvs.items()) if name.startswith(prefix)]

    def by_hand(self, preset: Preset) -> list[Item]:
        """Return the operator's Deployments that run without OLM: the definitions alone may be what one left behind."""
        if not self.groups & set(preset.groups):
            return []
        return [item for item in self._deployments if item["name"] in preset.deployments]

    def rivals(self, preset: Preset) -> list[Item]:
        """Return installed ClusterServiceVersions of other packages that own definitions of the same API groups."""
        return [
            item
            for (_namespace, name), item in sorted(self.csvs.items())
            if not name.startswith(preset.csv) and any(crd.partition(".")[2] in preset.groups for crd in item["crds"])
        ]

    def operator_groups(self, namespace: str) -> list[Item]:
        """Return the OperatorGroups of a namespace; OLM installs nothing unless there is exactly one."""
        return self._operator_groups[namespace]

    def is_our_namespace(self, name: str) -> bool:
        """Tell whether this collection made a namespace that is there to stay."""
        return self.has_namespace(name) and is_ours(self.namespaces[name]["labels"])

    def source_for(self, item: Item) -> tuple[str, str]:
        """Return the catalogue to take a package from, by name and namespace."""
        sources = preset_of(item["name"]).sources
        if item["source"]:
            known = [namespace for name, namespace in self.catalogs if name == item["source"]]
            known += [namespace for _name, namespace in sources]
            return item["source"], item["source_namespace"] or known[0]
        usual = [source for source in sources if item["source_namespace"] in (None, source[1])] or list(sources)
        return next((source for source in usual if source in self.catalogs), usual[0])

    def namespace_for(self, item: Item) -> str:
        """Return the namespace to subscribe in."""
        if item["namespace"]:
            return item["namespace"]
        usual = preset_of(item["name"]).namespaces
        return next((name for name in usual if self.has_namespace(name)), usual[0])
