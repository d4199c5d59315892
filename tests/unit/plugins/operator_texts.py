# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole texts of the findings about operators, and what provokes them; see test_findings.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import _apply
from ansible_collections.servicemesh.tcp.plugins.module_utils._preflight import report
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi
from ansible_collections.servicemesh.tcp.tests.unit.plugins.operator_builders import (
    csv,
    install_plan,
    named,
    operator_group,
    planned,
    state,
    subscription,
)
from ansible_collections.servicemesh.tcp.tests.unit.plugins.whole_runs import as_options

OSSM = {"name": "servicemeshoperator3"}
KIALI = {"name": "kiali-ossm"}
INGRESS = {"ingress_operator": True, "approval": "Manual", "installed": "servicemeshoperator3.v3.1.0"}


def found(*wanted: dict[str, Any], **cluster: Any) -> list[dict[str, str]]:
    """Provoke findings of the first phase."""
    return planned(*wanted, cluster=state(**cluster))["findings"]


def waiting(*csvs: str, record: dict[str, Any] | None = None, **more: Any) -> list[dict[str, str]]:
    """Provoke findings of the second phase, by an InstallPlan of a Subscription that waits for approval."""
    there = subscription(
        **{"approval": "Manual", "current": "servicemeshoperator3.v3.4.1", "install_plan": "install-1", **more}
    )
    cluster = state(subscriptions=[there], install_plans=[install_plan("install-1", *csvs)])
    return planned(record or OSSM, cluster=cluster, phase="install")["findings"]


def used_definition() -> list[dict[str, str]]:
    """Provoke the refusal to remove a definition of which there are objects."""
    api = FakeApi()
    spec = {"group": "kiali.io", "names": {"plural": "kialis"}, "versions": [{"name": "v1alpha1", "served": True}]}
    crd = new_object("CustomResourceDefinition", "kialis.kiali.io", None, {}, spec=spec)
    api.add(crd)
    find = api.find
    kiali = {"metadata": {"name": "kiali", "namespace": "istio-system"}}
    api.find = lambda path, **query: (  # type: ignore[method-assign]
        {"items": [kiali]} if path == "/apis/kiali.io/v1alpha1/kialis" else find(path, **query)
    )
    try:
        _apply.plan(api, as_options([{"state": "absent", "object": crd, "adopt": True}]), lenient=False)
    except _apply.Refused as refused:
        return refused.findings
    return []


def unwell(**more: Any) -> list[dict[str, str]]:
    """Provoke findings of the preflight."""
    seen = {"user": "ops", "denied": [], "kubernetes": "v1.34.4", "openshift": "4.18.22", "olm": True}
    seen |= {"nodes": [], "cluster_operators": [], "catalogs": [], "unread": []}
    return report({**seen, **more})["findings"]


OPERATOR_TEXTS: dict[str, tuple[Callable[[], list[dict[str, str]]], str]] = {
    "CATALOG_MISSING": (
        lambda: found({**OSSM, "source": "mirror"}),
        "operator 'servicemeshoperator3': there is no CatalogSource openshift-marketplace/mirror to take it from; there"
        " are openshift-marketplace/community-operators, openshift-marketplace/redhat-operators."
        " Name one of these in source and source_namespace, or have that catalogue enabled.",
    ),
    "CATALOG_NOT_READY": (
        lambda: found(OSSM, catalogs=[named("redhat-operators", "openshift-marketplace", state="CONNECTING")]),
        "operator 'servicemeshoperator3': the connection to CatalogSource openshift-marketplace/redhat-operators is"
        " CONNECTING, and OLM resolves nothing while it is so."
        " Look at that catalogue's pod; the run waits for it until its time is up.",
    ),
    "CLUSTER_OPERATOR_UNWELL": (
        lambda: unwell(cluster_operators=[{"name": "ingress", "trouble": "not available (NoRouter: none)"}]),
        "ClusterOperator ingress: it is not available (NoRouter: none)."
        " See 'oc describe' of it; an installation may fail for the same cause.",
    ),
    "CRD_IN_USE": (
        used_definition,
        "CustomResourceDefinition kialis.kiali.io: there are still objects of that kind"
        " (istio-system/kiali), which would"
        " be lost with it. Remove those first, or leave operators_crd_state at 'kept'.",
    ),
    "INSTALL_PLAN_OTHER": (
        lambda: waiting("servicemeshoperator3.v3.4.1", record={**OSSM, "starting_csv": "servicemeshoperator3.v3.3.6"}),
        "operator 'servicemeshoperator3': InstallPlan openshift-operators/install-1 waits for approval and holds"
        " servicemeshoperator3.v3.4.1, not servicemeshoperator3.v3.3.6."
        " OLM goes from version to version: name one of these as starting_csv first, or leave starting_csv out.",
    ),
    "INSTALL_PLAN_SHARED": (
        lambda: waiting("servicemeshoperator3.v3.4.1", "kiali-operator.v2.22.0"),
        "operator 'servicemeshoperator3': InstallPlan openshift-operators/install-1 waits for approval and holds"
        " kiali-operator.v2.22.0 beside servicemeshoperator3.v3.4.1; OLM puts all that a namespace is to get into one"
        " plan. Let its owners approve it, or add those operators to operators_wanted; only what is wanted"
        " is approved.",
    ),
    "INSTALL_PLAN_WAITS": (
        lambda: waiting("servicemeshoperator3.v3.4.1"),
        "operator 'servicemeshoperator3': InstallPlan openshift-operators/install-1 (servicemeshoperator3.v3.4.1) of"
        " somebody else's Subscription waits for approval."
        " Let its owner approve it, or give the record approval: Manual, and this run approves it.",
    ),
    "NODE_NOT_READY": (
        lambda: unwell(nodes=[{"name": "worker-1", "trouble": "KubeletNotReady: no network"}]),
        "node worker-1: it is not ready: KubeletNotReady: no network."
        " Nothing is scheduled there; see that the other nodes have room.",
    ),
    "OLM_MISSING": (
        lambda: found(OSSM, KIALI, olm=False),
        "operators: the cluster does not serve operators.coreos.com/v1alpha1, so it has no Operator Lifecycle Manager"
        " (OLM) to install servicemeshoperator3, kiali-ossm."
        " Install OLM, or install the mesh without operators (provider helm or existing of role control_plane).",
    ),
    "OPERATOR_BY_HAND": (
        lambda: found(
            {"name": "servicemeshoperator"},
            groups=["maistra.io"],
            deployments=[{"name": "istio-operator", "namespace": "istio-operator"}],
        ),
        "operator 'servicemeshoperator': Deployment istio-operator/istio-operator runs it without OLM, from"
        " a manifest or"
        " a chart. Nothing to do; it is used as it is, and neither upgraded nor removed by this collection.",
    ),
    "OPERATOR_GROUP_UNFIT": (
        lambda: found(OSSM, operator_groups=[operator_group(), operator_group("mine")]),
        "operator 'servicemeshoperator3': namespace 'openshift-operators' has OperatorGroup global-operators, mine: OLM"
        " installs nothing where there is more than one."
        " Name another namespace for the operator, or mend the OperatorGroups there.",
    ),
    "OPERATOR_LEFT_CATALOG": (
        lambda: found({"name": "jaeger-product"}),
        "operator 'jaeger-product': the package left Red Hat's catalogue on 2025-11-03, when its support ended."
        " Take tempo-product and opentelemetry-product for tracing; only a mirrored catalogue can still hold this one.",
    ),
    "OPERATOR_RIVAL": (
        lambda: found(OSSM, csvs=[csv("sailoperator.v1.31.0", crds=("istios.sailoperator.io",))]),
        "operator 'servicemeshoperator3': it owns the same API groups (sailoperator.io) as"
        " openshift-operators/sailoperator.v1.31.0; OLM refuses a second owner. Want only one of the two.",
    ),
    "OPERATOR_STAYS": (
        lambda: planned(OSSM, cluster=state(subscriptions=[subscription()]), operators_state="absent")["findings"],
        "operator 'servicemeshoperator3': Subscription openshift-operators/servicemeshoperator3 was not made by this"
        " collection, and stays. Nothing to do; remove it by hand if it is to go.",
    ),
    "OPERATOR_TWICE": (
        lambda: found(OSSM, subscriptions=[subscription(), subscription(name="mine", namespace="mesh")]),
        "operator 'servicemeshoperator3': there are several Subscriptions to it"
        " (openshift-operators/servicemeshoperator3, mesh/mine), which get in each other's way."
        " Remove all but one by hand.",
    ),
    "OPERATOR_UNSUBSCRIBED": (
        lambda: found(OSSM, csvs=[csv("servicemeshoperator3.v3.3.6")]),
        "operator 'servicemeshoperator3': ClusterServiceVersion"
        " openshift-operators/servicemeshoperator3.v3.3.6 is there"
        " (Succeeded) and no Subscription refers to it, so it is not upgraded, and OLM would refuse a new Subscription."
        " It is used as it is. To have it subscribed to again, delete that ClusterServiceVersion first; meshes stay.",
    ),
    "RIGHT_MISSING": (
        lambda: unwell(denied=[("", "namespaces", "create"), ("maistra.io", "servicemeshmembers", "patch")]),
        "user 'ops': it lacks rights that the installation needs: namespaces (create),"
        " servicemeshmembers.maistra.io (patch)."
        " Grant them; docs/rbac-install.yaml holds all that installing needs.",
    ),
    "SUBSCRIPTION_DIFFERS": (
        lambda: found({**OSSM, "channel": "stable-3.3"}, subscriptions=[subscription()]),
        "operator 'servicemeshoperator3': Subscription openshift-operators/servicemeshoperator3 has channel 'stable'"
        " instead of 'stable-3.3', and is left so."
        " Mend the record, or let it take the Subscription over with adopt: true; a namespace cannot be changed.",
    ),
    "SUBSCRIPTION_FOUND": (
        lambda: found(OSSM, subscriptions=[subscription(**INGRESS)]),
        "operator 'servicemeshoperator3': Subscription openshift-operators/servicemeshoperator3 (channel stable,"
        " installed servicemeshoperator3.v3.1.0) belongs to OpenShift's ingress operator, which installs Service Mesh 3"
        " for the Gateway API from 4.19 on. Nothing to do; the operator is used as it is.",
    ),
    "SUBSCRIPTION_OF_INGRESS": (
        lambda: found({**OSSM, "channel": "stable-3.3", "adopt": True}, subscriptions=[subscription(**INGRESS)]),
        "operator 'servicemeshoperator3': Subscription openshift-operators/servicemeshoperator3 belongs to OpenShift's"
        " ingress operator and has channel 'stable' instead of 'stable-3.3'; that operator would set a change back."
        " Take adopt and what differs out of the record.",
    ),
}
