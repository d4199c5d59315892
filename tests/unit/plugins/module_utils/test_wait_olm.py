# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Subscription's operator lacks, from its status and the objects that it leads to."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._lack import Fatal
from ansible_collections.servicemesh.tcp.plugins.module_utils._wait import lacks
from ansible_collections.servicemesh.tcp.plugins.module_utils._wait_olm import TROUBLES
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi

NS = "openshift-operators"
SPEC = {"name": "op", "channel": "stable", "source": "redhat-operators", "sourceNamespace": "openshift-marketplace"}


def subscription(installed="", current="", plan="", conditions=()):
    """Return a Subscription in some state."""
    status = {"installedCSV": installed, "currentCSV": current, "conditions": list(conditions)}
    if plan:
        status["installPlanRef"] = {"name": plan}
    return new_object("Subscription", "op", NS, {}, spec=SPEC, status=status)


def holds(kind, reason, message):
    """Return a condition that holds."""
    return {"type": kind, "status": "True", "reason": reason, "message": message}


def csv(phase, reason="", message=""):
    """Return op.v2, which owns one definition."""
    owned = {"owned": [{"name": "istios.example.org"}]}
    status = {"phase": phase, "reason": reason, "message": message}
    return new_object(
        "ClusterServiceVersion", "op.v2", NS, {}, spec={"customresourcedefinitions": owned}, status=status
    )


def plan(approved=True, phase="Installing", conditions=()):
    """Return the InstallPlan of op.v2."""
    spec = {"approved": approved, "clusterServiceVersionNames": ["op.v2"]}
    return new_object("InstallPlan", "install-1", NS, {}, spec=spec, status={"phase": phase, "conditions": conditions})


def crd(established):
    """Return the definition."""
    conditions = [{"type": "Established", "status": established}]
    return new_object("CustomResourceDefinition", "istios.example.org", None, {}, status={"conditions": conditions})


def cluster(*objects):
    """Return a cluster with objects."""
    api = FakeApi()
    for obj in objects:
        api.add(obj)
    return api


def lack_of(obj, *others, until=None):
    """Return what a Subscription lacks beside other objects."""
    api = cluster(*others)
    return lacks("present", obj, until or {}, api.object)


DONE = (csv("Succeeded"), crd("True"))
AHEAD = subscription("op.v2", "op.v2", "install-1")


@pytest.mark.parametrize(
    ("obj", "others", "lack"),
    [
        (AHEAD, DONE, ""),
        # The neighbour that cannot be resolved is not this one's trouble.
        (
            subscription("op.v2", "op.v2", "i", [holds("ResolutionFailed", "ConstraintsNotSatisfiable", "other")]),
            DONE,
            "",
        ),
        (AHEAD, (csv("Succeeded"), crd("False")), "not established: CustomResourceDefinition istios.example.org"),
        (AHEAD, (csv("Succeeded"),), "not established: CustomResourceDefinition istios.example.org"),
        (
            AHEAD,
            (csv("Installing", "InstallWaiting", "0 of 1 ready"),),
            "ClusterServiceVersion op.v2 is Installing (InstallWaiting: 0 of 1 ready)",
        ),
        (AHEAD, (), "ClusterServiceVersion op.v2 is not there"),
        (subscription(), (), "OLM has made no InstallPlan yet"),
        (
            subscription(
                conditions=[holds("CatalogSourcesUnhealthy", "UnhealthyCatalogSourceFound", "redhat is down")]
            ),
            (),
            "OLM has made no InstallPlan yet; CatalogSourcesUnhealthy: UnhealthyCatalogSourceFound: redhat is down",
        ),
        (
            subscription(current="op.v2", plan="install-1"),
            (plan(approved=False, phase="RequiresApproval"),),
            "InstallPlan install-1 (op.v2) is RequiresApproval, it waits for approval",
        ),
    ],
)
def test_what_waiting_may_cure(obj, others, lack):
    found = lack_of(obj, *others)
    assert found == lack
    assert not isinstance(found, Fatal)


@pytest.mark.parametrize(
    ("obj", "others", "lack"),
    [
        (
            subscription(conditions=[holds("ResolutionFailed", "ConstraintsNotSatisfiable", "no operators found")]),
            (),
            "OLM cannot resolve it: ConstraintsNotSatisfiable: no operators found",
        ),
        (
            subscription(
                current="op.v2",
                plan="install-1",
                conditions=[holds("InstallPlanFailed", "InstallComponentFailed", "x")],
            ),
            (),
            "InstallPlanFailed: InstallComponentFailed: x",
        ),
        (AHEAD, (csv("Failed", "UnsupportedOperatorGroup", "no"),), "ClusterServiceVersion op.v2 is Failed"),
    ],
)
def test_what_waiting_does_not_cure(obj, others, lack):
    found = lack_of(obj, *others)
    assert isinstance(found, Fatal)
    assert found.startswith(lack)
    # OLM tries some of that again by itself.
    assert found.patience == 10


def test_a_catalogue_that_is_down_is_waited_for():
    down = holds("ResolutionFailed", "ErrorPreventedResolution", "connection error")
    assert not isinstance(lack_of(subscription(conditions=[down])), Fatal)


def test_an_upgrade_that_is_pending_is_not_waited_for():
    assert lack_of(subscription("op.v2", "op.v3", "install-2"), *DONE) == ""


@pytest.mark.parametrize(
    ("others", "lack"),
    [
        ((plan(),), "InstallPlan install-1 (op.v2) is Installing"),
        (DONE, "its status does not name op.v2 as installed yet"),
    ],
)
def test_an_upgrade_that_is_wanted_is_waited_for(others, lack):
    assert lack_of(subscription("op.v1", "op.v2", "install-1"), *others, until={"csv": "op.v2"}) == lack


@pytest.mark.parametrize(("obj", "lack"), [(subscription(plan="install-1"), ""), (AHEAD, ""), (subscription(), "OLM")])
def test_resolved_is_before_approved(obj, lack):
    assert lack_of(obj, until={"resolved": True}).startswith(lack)
    assert bool(lack_of(obj, until={"resolved": True})) is bool(lack)


def test_the_install_plan_and_the_catalogue_are_told():
    failed = plan(phase="Failed", conditions=[{"type": "Installed", "reason": "Broken", "message": "quota"}])
    source = new_object("CatalogSource", "redhat-operators", "openshift-marketplace", {})
    source["status"] = {"connectionState": {"lastObservedState": "CONNECTING"}}
    assert TROUBLES["Subscription"](cluster(failed, source), AHEAD) == [
        "InstallPlan install-1 (op.v2) is Failed: Broken: quota",
        "CatalogSource openshift-marketplace/redhat-operators is CONNECTING",
    ]
    assert TROUBLES["Subscription"](cluster(), subscription()) == [
        "CatalogSource openshift-marketplace/redhat-operators is not there"
    ]
