# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators as the projection shows them: an OpenShift with OLM, and what is on it."""

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._operators import operator_plan

NS = "openshift-operators"
OURS = {"app.kubernetes.io/managed-by": "servicemesh.tcp"}
CATALOGS = (("redhat-operators", "openshift-marketplace"), ("community-operators", "openshift-marketplace"))


def named(name: str, namespace: str, **more: Any) -> dict[str, Any]:
    """Return what every projected object has."""
    return {"name": name, "namespace": namespace, "uid": f"uid-{name}", "labels": {}, "created": "", **more}


def subscription(package: str = "servicemeshoperator3", name: str = "", **more: Any) -> dict[str, Any]:
    """Return somebody's Subscription, by default with nothing installed yet."""
    rest = {
        "package": package,
        "channel": "stable",
        "source": "redhat-operators",
        "source_namespace": "openshift-marketplace",
        "approval": "Automatic",
        "starting_csv": "",
        "ingress_operator": False,
        "installed": "",
        "current": "",
        "state": "",
        "install_plan": "",
        "problems": [],
    }
    return named(name or package, more.pop("namespace", NS), **{**rest, **more})


def csv(name: str, phase: str = "Succeeded", crds: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """Return a ClusterServiceVersion."""
    rest = {"phase": phase, "reason": "", "message": "", "crds": list(crds), "deployments": [f"{name}-deployment"]}
    return named(name, more.pop("namespace", NS), **{**rest, **more})


def install_plan(name: str, *csvs: str, approved: bool = False) -> dict[str, Any]:
    """Return an InstallPlan that is not done."""
    return named(name, NS, csvs=list(csvs), approved=approved, phase="RequiresApproval")


def operator_group(name: str = "global-operators", namespace: str = NS, **more: Any) -> dict[str, Any]:
    """Return an OperatorGroup."""
    return named(name, namespace, **{"everywhere": True, **more})


def state(**found: Any) -> dict[str, Any]:
    """Return a projection of an OpenShift with OLM; keys are those of C(operators), or C(namespaces)."""
    names = ("openshift-operators", "openshift-marketplace")
    namespaces = {name: {"labels": {}, "terminating": False} for name in names}
    namespaces |= found.pop("namespaces", {})
    operators = {
        "olm": True,
        "openshift": "4.18.22",
        "groups": ["apps"],
        "subscriptions": [],
        "csvs": [],
        "install_plans": [],
        "operator_groups": [operator_group()],
        "catalogs": [named(name, namespace, state="READY") for name, namespace in CATALOGS],
        "deployments": [],
        "unread": [],
    }
    return {"version": 2, "namespaces": namespaces, "operators": {**operators, **found}}


def planned(*wanted: dict[str, Any], cluster: dict[str, Any] | None = None, **arguments: Any) -> dict[str, Any]:
    """Return the plan for records."""
    return operator_plan(list(wanted), state() if cluster is None else cluster, **arguments)
