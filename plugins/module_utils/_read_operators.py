# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the part C(operators): what the Operator Lifecycle Manager knows, and operators that came without it.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import _state_operators
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import KINDS, collection_path, object_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._reader import Reader


def read_operators(reader: Reader) -> dict[str, Any]:
    """Return the projection's key C(operators)."""
    subscriptions = [_state_operators.subscription(obj) for obj in reader.items("Subscription")]
    # OLM copies the CSV of an operator for all namespaces into each of them.
    csvs = reader.items("ClusterServiceVersion", "!olm.copiedFrom")
    deployments = reader.if_allowed(collection_path("Deployment"), reader.api.metadata)
    versions = reader.items("ClusterVersion")
    return {
        "operators": {
            "olm": reader.serves(KINDS["Subscription"].api_version),
            "openshift": next((_state_operators.openshift_version(obj) for obj in versions), ""),
            "groups": sorted(reader.groups),
            "subscriptions": subscriptions,
            "csvs": [_state_operators.csv(obj) for obj in csvs],
            "install_plans": [_state_operators.install_plan(obj) for obj in _install_plans(reader, subscriptions)],
            "operator_groups": [_state_operators.operator_group(obj) for obj in reader.items("OperatorGroup")],
            "catalogs": [_state_operators.catalog(obj) for obj in reader.items("CatalogSource")],
            "deployments": _state_operators.own_deployments(deployments or []),
            "unread": reader.unread,
        }
    }


def _install_plans(reader: Reader, subscriptions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Read the InstallPlans that Subscriptions wait for; each holds whole manifests, so never all of them."""
    places = {
        (item["namespace"], item["install_plan"])
        for item in subscriptions
        if item["install_plan"] and item["installed"] != item["current"]
    }
    found = []
    for namespace, name in sorted(places):
        path = object_path({"kind": "InstallPlan", "metadata": {"name": name, "namespace": namespace}})
        plan = reader.if_allowed(path, reader.api.find)
        if plan:
            found.append(plan)
    return found
