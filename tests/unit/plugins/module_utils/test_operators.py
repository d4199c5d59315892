# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role operators would write: nothing of others', nothing twice, approvals of what is wanted only."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.tests.unit.plugins.operator_builders import (
    NS,
    OURS,
    csv,
    install_plan,
    operator_group,
    planned,
    state,
    subscription,
)

OSSM = {"name": "servicemeshoperator3"}
KIALI = {"name": "kiali-ossm"}
V33, V34 = "servicemeshoperator3.v3.3.6", "servicemeshoperator3.v3.4.1"


def kinds(plan):
    """Return what a plan's steps are about."""
    return [(step["state"], step["object"]["kind"], step["object"]["metadata"]["name"]) for step in plan["steps"]]


def codes(plan):
    return [item["code"] for item in plan["findings"]]


def installed(version=V34, **more):
    """Return a Subscription with its operator."""
    return subscription(**{"installed": version, "current": version, "state": "AtLatestKnown", **more})


def test_a_new_subscription():
    plan = planned(OSSM)
    (step,) = plan["steps"]
    assert step["object"] == {
        "apiVersion": "operators.coreos.com/v1alpha1",
        "kind": "Subscription",
        "metadata": {"name": "servicemeshoperator3", "namespace": NS, "labels": OURS},
        "spec": {
            "name": "servicemeshoperator3",
            "channel": "stable",
            "source": "redhat-operators",
            "sourceNamespace": "openshift-marketplace",
            "installPlanApproval": "Automatic",
        },
    }
    assert (step["wait"], step["until"]) == (True, {"resolved": True})
    assert (plan["second"], plan["findings"]) == (True, [])


def test_what_the_record_says_beats_what_is_known():
    record = {
        **OSSM,
        "channel": "stable-3.3",
        "source": "community-operators",
        "starting_csv": V33,
        "approval": "Manual",
    }
    spec = planned(record)["steps"][0]["object"]["spec"]
    assert spec == {
        "name": "servicemeshoperator3",
        "channel": "stable-3.3",
        "source": "community-operators",
        "sourceNamespace": "openshift-marketplace",
        "installPlanApproval": "Manual",
        "startingCSV": V33,
    }


def test_a_namespace_of_its_own_with_an_operator_group():
    plan = planned({"name": "elasticsearch-operator"}, namespace_state="present")
    namespace, group, _subscription = plan["steps"]
    assert [kind for _state, kind, _name in kinds(plan)] == ["Namespace", "OperatorGroup", "Subscription"]
    assert namespace["object"]["metadata"] == {
        "name": "openshift-operators-redhat",
        "labels": {**OURS, "openshift.io/cluster-monitoring": "true"},
        "annotations": {"openshift.io/node-selector": ""},
    }
    assert group["object"]["spec"] == {}
    assert codes(planned({"name": "elasticsearch-operator"}))[-1] == "NAMESPACE_MISSING"


def test_outside_openshift_it_is_what_olm_brings():
    cluster = state(
        namespaces={name: {"labels": {}, "terminating": False} for name in ("operators", "olm")},
        operator_groups=[operator_group(namespace="operators")],
        catalogs=[{"name": "operatorhubio-catalog", "namespace": "olm", "state": "READY"}],
    )
    del cluster["namespaces"][NS]
    (step,) = planned({"name": "sailoperator"}, cluster=cluster)["steps"]
    assert step["object"]["metadata"]["namespace"] == "operators"
    assert (step["object"]["spec"]["source"], step["object"]["spec"]["sourceNamespace"]) == (
        "operatorhubio-catalog",
        "olm",
    )


@pytest.mark.parametrize("labels", [{}, OURS])
def test_an_operator_that_is_there_is_found_by_its_package(labels):
    there = installed(name="some-name", namespace="mesh", labels=labels, channel="stable-3.3")
    plan = planned(OSSM, cluster=state(subscriptions=[there], csvs=[csv(V34, namespace="mesh")]))
    assert (plan["steps"], plan["findings"], plan["second"]) == ([], [], False)


def test_ours_follows_its_record_and_keeps_what_that_does_not_say():
    there = installed(labels=OURS, channel="stable-3.3", source="mirror", approval="Manual", starting_csv=V33)
    plan = planned({**OSSM, "channel": "stable-3.4"}, cluster=state(subscriptions=[there], csvs=[csv(V34)]))
    (step,) = plan["steps"]
    assert step["force"]
    assert step["object"]["spec"] == {
        "name": "servicemeshoperator3",
        "channel": "stable-3.4",
        "source": "mirror",
        "sourceNamespace": "openshift-marketplace",
        "installPlanApproval": "Manual",
        "startingCSV": V33,
    }
    assert plan["second"]


def test_somebody_elses_is_changed_only_where_that_is_said():
    cluster = state(subscriptions=[installed()], csvs=[csv(V34)])
    left = planned({**OSSM, "channel": "candidates"}, cluster=cluster)
    assert (left["steps"], codes(left)) == ([], ["SUBSCRIPTION_DIFFERS"])
    (step,) = planned({**OSSM, "channel": "candidates", "adopt": True}, cluster=cluster)["steps"]
    assert (step["state"], step["adopt"]) == ("patched", True)
    assert step["object"]["metadata"]["uid"] == "uid-servicemeshoperator3"
    assert step["patch"] == [
        {"op": "add", "path": "/spec/channel", "value": "candidates"},
    ]


def test_what_the_ingress_operator_installs_is_waited_for_and_nothing_else():
    there = subscription(ingress_operator=True, approval="Manual", current=V33, install_plan="install-1")
    cluster = state(subscriptions=[there], install_plans=[install_plan("install-1", V33)])
    first = planned(OSSM, cluster=cluster)
    assert (first["steps"], codes(first), first["second"]) == ([], ["SUBSCRIPTION_FOUND"], True)
    assert kinds(planned({**OSSM, "approval": "Manual"}, cluster=cluster, phase="install")) == [
        ("awaited", "Subscription", "servicemeshoperator3")
    ]


def test_exactly_the_install_plan_of_what_is_wanted_is_approved():
    """OLM has put both operators into one plan, because one of the namespace's Subscriptions is Manual."""
    kiali = subscription("kiali-ossm", labels=OURS, current="kiali-operator.v2", install_plan="install-2")
    ossm = subscription(labels=OURS, approval="Manual", current=V34, install_plan="install-2")
    other = subscription("other", current="other.v1", install_plan="install-3", approval="Manual")
    cluster = state(
        subscriptions=[kiali, ossm, other],
        install_plans=[install_plan("install-2", V34, "kiali-operator.v2"), install_plan("install-3", "other.v1")],
    )
    plan = planned(OSSM, KIALI, cluster=cluster, phase="install")
    assert kinds(plan) == [
        ("patched", "InstallPlan", "install-2"),
        ("awaited", "Subscription", "servicemeshoperator3"),
        ("awaited", "Subscription", "kiali-ossm"),
    ]
    assert plan["steps"][0]["object"]["metadata"]["uid"] == "uid-install-2"
    assert plan["steps"][0]["patch"] == [
        {"op": "test", "path": "/spec/clusterServiceVersionNames", "value": [V34, "kiali-operator.v2"]},
        {"op": "replace", "path": "/spec/approved", "value": True},
    ]
    # Without the other record, the plan holds something that nobody wanted.
    assert codes(planned(OSSM, cluster=cluster, phase="install")) == ["INSTALL_PLAN_SHARED"]


def test_an_upgrade_that_waits_for_approval_may_wait_on():
    there = installed(V33, labels=OURS, approval="Manual", current=V34, install_plan="install-1")
    cluster = state(subscriptions=[there], csvs=[csv(V33)], install_plans=[install_plan("install-1", V34)])
    assert not planned(OSSM, cluster=cluster)["second"]
    assert kinds(planned(OSSM, cluster=cluster, phase="install")) == [
        ("awaited", "Subscription", "servicemeshoperator3")
    ]
    # It is what the record names that is upgraded to.
    raised = {**OSSM, "approval": "Manual", "starting_csv": V34}
    assert planned(raised, cluster=cluster)["second"]
    approve, wait = planned(raised, cluster=cluster, phase="install")["steps"]
    assert (approve["object"]["metadata"]["name"], wait["until"]) == ("install-1", {"csv": V34})


def test_an_operator_that_is_not_up_is_waited_for():
    cluster = state(subscriptions=[installed()], csvs=[csv(V34, "Installing")])
    assert planned(OSSM, cluster=cluster)["second"]


@pytest.mark.parametrize(
    "found",
    [
        # What a removed operator left behind, and a Deployment that happens to have such a name.
        {"groups": ["sailoperator.io"]},
        {"deployments": [{"name": "sail-operator", "namespace": "apps"}]},
    ],
)
def test_definitions_or_a_deployment_alone_are_no_operator(found):
    plan = planned(OSSM, cluster=state(**found))
    assert kinds(plan) == [("present", "Subscription", "servicemeshoperator3")]


def test_two_records_that_exclude_each_other():
    plan = planned(OSSM, {"name": "sailoperator"})
    assert (plan["steps"], codes(plan)) == ([], ["OPERATOR_RIVAL", "OPERATOR_RIVAL"])


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ({}, "VALUE_INVALID"),
        ({"name": "servicemeshoperator3", "chanel": "x"}, "KEY_UNKNOWN"),
        ({"name": "servicemeshoperator3", "approval": "Perhaps"}, "VALUE_INVALID"),
        ({"name": "servicemeshoperator3", "channel": 3}, "VALUE_INVALID"),
        ({"name": "my-operator", "channel": "x", "source": "y", "source_namespace": "z"}, "VALUE_INVALID"),
    ],
)
def test_what_is_no_record_is_refused(record, code):
    plan = planned(record)
    assert (plan["steps"], plan["second"]) == ([], False)
    assert set(codes(plan)) == {code}


def test_a_package_that_is_not_known_says_all_itself():
    record = {
        "name": "my-operator",
        "channel": "x",
        "source": "redhat-operators",
        "source_namespace": "openshift-marketplace",
        "namespace": NS,
    }
    assert planned(record)["findings"] == []


def test_removal_in_its_order():
    there = installed(labels=OURS)
    owned = csv(V34, crds=("istios.sailoperator.io",), deployments=["operator"])
    group = operator_group("servicemesh-tcp", labels=OURS)
    cluster = state(subscriptions=[there], csvs=[owned], operator_groups=[group])
    plan = planned(OSSM, cluster=cluster, operators_state="absent", crd_state="absent")
    assert kinds(plan) == [
        ("absent", "Subscription", "servicemeshoperator3"),
        ("absent", "ClusterServiceVersion", V34),
        ("awaited", "Deployment", "operator"),
        ("absent", "CustomResourceDefinition", "istios.sailoperator.io"),
        ("absent", "OperatorGroup", "servicemesh-tcp"),
    ]
    # Just the one that was read.
    assert plan["steps"][1]["object"]["metadata"]["uid"] == f"uid-{V34}"
    kept = planned(OSSM, cluster=cluster, operators_state="absent")
    assert "CustomResourceDefinition" not in {kind for _state, kind, _name in kinds(kept)}
    assert not plan["second"]


def test_what_others_still_use_stays():
    group = operator_group("servicemesh-tcp", labels=OURS)
    cluster = state(
        subscriptions=[installed(labels=OURS), subscription("other")],
        operator_groups=[group],
        namespaces={NS: {"labels": OURS, "terminating": False}},
    )
    plan = planned(OSSM, cluster=cluster, operators_state="absent", namespace_state="present")
    assert {kind for _state, kind, _name in kinds(plan)} == {"Subscription"}
    assert not plan["second"]


def test_a_namespace_of_ours_goes_last():
    ours = {NS: {"labels": OURS, "terminating": False}}
    cluster = state(subscriptions=[installed(labels=OURS)], namespaces=ours)
    arguments = {"operators_state": "absent", "namespace_state": "present"}
    assert planned(OSSM, cluster=cluster, **arguments)["second"]
    after = planned(OSSM, cluster=state(namespaces=ours), phase="install", **arguments)
    assert kinds(after) == [("absent", "Namespace", NS)]
    # Nobody asked for it, or it is not ours.
    assert not planned(OSSM, cluster=cluster, operators_state="absent")["second"]
    assert not planned(OSSM, cluster=state(subscriptions=[installed(labels=OURS)]), **arguments)["second"]


def test_removing_twice_is_no_error():
    plan = planned(OSSM, operators_state="absent")
    assert (plan["steps"], plan["findings"], plan["second"]) == ([], [], False)


def test_an_error_leaves_nothing_to_do():
    plan = planned(OSSM, {"name": "kiali-ossm", "nonsense": 1})
    assert (plan["steps"], plan["second"]) == ([], False)
