# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator's Subscription still lacks: its InstallPlan, its ClusterServiceVersion, its resource definitions.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._conditions import condition, reason_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import object_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._lack import (
    Fatal,
    LackRule,
    Look,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._state_operators import owned_crds, problems

if TYPE_CHECKING:
    from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api

# OLM tries again by itself for a while: a CSV goes from Failed to Pending, a resolution runs anew.
RETRY_SECONDS = 10.0
# What it does not try again, or what trying again does not change.
LASTING = ("ConstraintsNotSatisfiable", "InvalidCatalog")


def subscription_lacks(obj: Mapping[str, Any], until: Mapping[str, Any], look: Look) -> str:
    """Return what a Subscription's operator still lacks.

    C(until.csv) is the ClusterServiceVersion that must be installed, by default whichever is, or is about to be: OLM
    may go on to the next version any time. With C(until.resolved) an InstallPlan or an installed operator is enough.
    """
    status = obj.get("status") or {}
    namespace = obj["metadata"]["namespace"]
    installed, current = status.get("installedCSV", ""), status.get("currentCSV", "")
    wanted = until.get("csv") or installed or current
    plan_name = (status.get("installPlanRef") or {}).get("name", "")
    if until.get("resolved") and (plan_name or installed):
        return ""
    # First, because a namespace's Subscriptions all carry the conditions of the one that cannot be resolved.
    if wanted and wanted == installed:
        return _csv_lacks(wanted, namespace, look)
    for item in problems(status):
        if item["type"] == "ResolutionFailed" and item["reason"] in LASTING:
            return Fatal(f"OLM cannot resolve it: {reason_text(item)}", RETRY_SECONDS)
        if item["type"] in ("InstallPlanFailed", "BundleUnpackFailed"):
            return Fatal(f"{item['type']}: {reason_text(item)}", RETRY_SECONDS)
    complaints = [f"{item['type']}: {reason_text(item)}" for item in problems(status)]
    if not plan_name:
        return "; ".join(["OLM has made no InstallPlan yet", *complaints])
    if wanted and look("ClusterServiceVersion", wanted, namespace):
        return _csv_lacks(wanted, namespace, look) or f"its status does not name {wanted} as installed yet"
    plan = look("InstallPlan", plan_name, namespace) or {}
    return "; ".join([plan_state(plan_name, plan), *complaints])


def plan_state(name: str, plan: Mapping[str, Any]) -> str:
    """Say how far an InstallPlan is."""
    spec, phase = plan.get("spec", {}), (plan.get("status") or {}).get("phase", "not begun")
    csvs = ", ".join(spec.get("clusterServiceVersionNames") or [])
    failed = reason_text(condition(plan, "Installed")) if phase == "Failed" else ""
    waits = "" if spec.get("approved", True) else ", it waits for approval"
    return f"InstallPlan {name} ({csvs}) is {phase}{waits}{': ' if failed else ''}{failed}"


def _csv_lacks(name: str, namespace: str, look: Look) -> str:
    """Return what a ClusterServiceVersion lacks: C(Succeeded), and its definitions served."""
    csv = look("ClusterServiceVersion", name, namespace)
    if csv is None:
        return f"ClusterServiceVersion {name} is not there"
    status = csv.get("status") or {}
    phase, why = status.get("phase", "not begun"), reason_text(status)
    if phase == "Failed":
        return Fatal(f"ClusterServiceVersion {name} is Failed ({why})", RETRY_SECONDS)
    if phase != "Succeeded":
        return f"ClusterServiceVersion {name} is {phase}" + (f" ({why})" if why else "")
    lacking = [crd for crd in owned_crds(csv) if not established(look("CustomResourceDefinition", crd, None))]
    return f"not established: CustomResourceDefinition {', '.join(lacking)}" if lacking else ""


def established(crd: Mapping[str, Any] | None) -> bool:
    """Tell whether the API server serves a CustomResourceDefinition."""
    return bool(crd) and condition(crd or {}, "Established").get("status") == "True"


def _helpers_of(api: Api, obj: Mapping[str, Any]) -> list[str]:
    """Say how a Subscription's InstallPlan and catalogue are."""
    spec, namespace = obj.get("spec", {}), obj["metadata"]["namespace"]
    plan_name = ((obj.get("status") or {}).get("installPlanRef") or {}).get("name")
    said = []
    try:
        if plan_name:
            where = {"kind": "InstallPlan", "metadata": {"name": plan_name, "namespace": namespace}}
            said.append(plan_state(plan_name, api.find(object_path(where)) or {}))
        named = {"name": spec.get("source"), "namespace": spec.get("sourceNamespace")}
        source = api.find(object_path({"kind": "CatalogSource", "metadata": named}))
        state = ((source or {}).get("status") or {}).get("connectionState", {}).get("lastObservedState", "unknown")
        said.append(f"CatalogSource {named['namespace']}/{named['name']} is {state if source else 'not there'}")
    except ApiError as error:
        said.append(f"its InstallPlan and CatalogSource could not be read ({error.message})")
    return said


RULES: Mapping[str, LackRule] = {"Subscription": subscription_lacks}
TROUBLES: Mapping[str, Callable[[Api, Mapping[str, Any]], list[str]]] = {"Subscription": _helpers_of}
