# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The projection of operators: OLM's objects, and Deployments of operators that somebody applied by hand.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._state import identity

# OpenShift's ingress operator marks the Subscription to Service Mesh 3 that it makes for the Gateway API
# (openshift/cluster-ingress-operator, pkg/operator/controller/names.go).
INGRESS_OPERATOR = "ingress.operator.openshift.io/owned"
# OLM labels what it makes for a CSV (operator-framework, pkg/lib/ownerutil).
OLM_OWNER = "olm.owner"


def subscription(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Project a Subscription; C(problems) are its conditions that say that something is wrong."""
    spec, status = obj.get("spec", {}), obj.get("status") or {}
    return {
        **identity(obj),
        "package": spec.get("name", ""),
        "channel": spec.get("channel", ""),
        "source": spec.get("source", ""),
        "source_namespace": spec.get("sourceNamespace", ""),
        "approval": spec.get("installPlanApproval", "Automatic"),
        "starting_csv": spec.get("startingCSV", ""),
        "ingress_operator": INGRESS_OPERATOR in (obj["metadata"].get("annotations") or {}),
        "installed": status.get("installedCSV", ""),
        "current": status.get("currentCSV", ""),
        "state": status.get("state", ""),
        "install_plan": (status.get("installPlanRef") or {}).get("name", ""),
        "problems": problems(status),
    }


def problems(status: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return a Subscription's conditions that hold; all of its types are complaints (operators/v1alpha1)."""
    return [
        {"type": item["type"], "reason": item.get("reason", ""), "message": item.get("message", "")}
        for item in status.get("conditions") or []
        if item.get("status") == "True"
    ]


def csv(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Project a ClusterServiceVersion; C(crds) and C(deployments) are the names of what it brings."""
    status = obj.get("status") or {}
    install = (obj.get("spec", {}).get("install") or {}).get("spec") or {}
    return {
        **identity(obj),
        "phase": status.get("phase", ""),
        "reason": status.get("reason", ""),
        "message": status.get("message", ""),
        "crds": owned_crds(obj),
        "deployments": [item["name"] for item in install.get("deployments") or []],
    }


def owned_crds(obj: Mapping[str, Any]) -> list[str]:
    """Return the names of the CustomResourceDefinitions that a ClusterServiceVersion owns."""
    owned = (obj.get("spec", {}).get("customresourcedefinitions") or {}).get("owned") or []
    return sorted({item["name"] for item in owned})


def install_plan(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Project an InstallPlan."""
    spec = obj.get("spec", {})
    return {
        **identity(obj),
        "csvs": spec.get("clusterServiceVersionNames") or [],
        "approved": bool(spec.get("approved")),
        "phase": (obj.get("status") or {}).get("phase", ""),
    }


def operator_group(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Project an OperatorGroup; C(everywhere) tells that its operators serve all namespaces."""
    spec = obj.get("spec") or {}
    selector = spec.get("selector") or {}
    return {**identity(obj), "everywhere": not spec.get("targetNamespaces") and not any(selector.values())}


def catalog(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Project a CatalogSource; C(state) is that of the connection to it, READY where it works."""
    connection = (obj.get("status") or {}).get("connectionState") or {}
    return {**identity(obj), "state": connection.get("lastObservedState", "")}


def own_deployments(objects: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the names of the Deployments that OLM did not make, given with metadata only."""
    places = []
    for obj in objects:
        metadata = obj["metadata"]
        owners = {owner["kind"] for owner in metadata.get("ownerReferences") or []}
        if OLM_OWNER not in (metadata.get("labels") or {}) and "ClusterServiceVersion" not in owners:
            places.append({"name": metadata["name"], "namespace": metadata["namespace"]})
    return sorted(places, key=lambda item: (item["namespace"], item["name"]))


def openshift_version(obj: Mapping[str, Any]) -> str:
    """Return the version that a cluster runs: the newest completed one, as the history's first may be on its way."""
    history = (obj.get("status") or {}).get("history") or []
    done = [item["version"] for item in history if item.get("state") == "Completed"]
    desired = ((obj.get("status") or {}).get("desired") or {}).get("version", "")
    return done[0] if done else desired
