# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading what OLM knows: as little as is needed, and nothing where it is not served or not allowed."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.plugins.modules import mesh_state
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi
from ansible_collections.servicemesh.tcp.tests.unit.plugins.module_run import run_module

NS = "openshift-operators"
OLM = ["operators.coreos.com/v1alpha1", "config.openshift.io/v1"]


def subscription(name, installed, current, annotations=None):
    """Return a Subscription whose InstallPlan is named after it."""
    spec = {"name": "op", "channel": "stable", "source": "s", "sourceNamespace": "m"}
    status = {"installedCSV": installed, "currentCSV": current, "installPlanRef": {"name": f"plan-{name}"}}
    status["conditions"] = [
        {"type": "CatalogSourcesUnhealthy", "status": "False"},
        {"type": "ResolutionFailed", "status": "True", "reason": "R", "message": "m"},
    ]
    obj = new_object("Subscription", name, NS, {}, spec=spec, status=status)
    obj["metadata"]["annotations"] = annotations or {}
    return obj


@pytest.fixture
def api():
    """A cluster with OLM, an operator that is installed, and one that is not yet."""
    found = FakeApi(istio=False)
    # The fake serves one version of a group.
    found.served = [*OLM, "apps/v1"]
    found.add(subscription("done", "op.v1", "op.v1", {"ingress.operator.openshift.io/owned": ""}))
    found.add(subscription("waits", "", "op.v2"))
    for name in ("done", "waits"):
        spec = {"approved": name == "done", "clusterServiceVersionNames": ["z.v1", "op.v2"]}
        found.add(new_object("InstallPlan", f"plan-{name}", NS, {}, spec=spec))
    spec = {
        "customresourcedefinitions": {"owned": [{"name": "b.io", "version": "v1"}, {"name": "b.io", "version": "v2"}]},
        "install": {"spec": {"deployments": [{"name": "operator"}]}},
    }
    status = {"phase": "Succeeded", "reason": "InstallSucceeded", "message": "done"}
    found.add(new_object("ClusterServiceVersion", "op.v1", NS, {}, spec=spec, status=status))
    found.add(new_object("ClusterServiceVersion", "op.v1", "apps", {"olm.copiedFrom": NS}, spec=spec, status=status))
    by_olm = new_object("Deployment", "operator", NS, {"olm.owner": "op.v1"}, spec={})
    owned = new_object("Deployment", "owned", NS, {}, spec={})
    owned["metadata"]["ownerReferences"] = [{"kind": "ClusterServiceVersion", "name": "op.v1"}]
    for obj in (by_olm, owned, new_object("Deployment", "istio-operator", "mine", {}, spec={})):
        found.add(obj)
    return found


def read(api, *parts):
    return run_module(mesh_state, api, parts=list(parts))["mesh"]


def test_the_projection(api):
    mesh = read(api, "operators")
    assert mesh.keys() == {"version", "cluster", "namespaces", "operators"}
    found = mesh["operators"]
    done, waits = found["subscriptions"]
    assert (done["ingress_operator"], waits["ingress_operator"]) == (True, False)
    assert waits["problems"] == [{"type": "ResolutionFailed", "reason": "R", "message": "m"}]
    assert (waits["current"], waits["installed"], waits["install_plan"]) == ("op.v2", "", "plan-waits")
    (csv,) = found["csvs"]
    assert (csv["namespace"], csv["crds"], csv["deployments"]) == (NS, ["b.io"], ["operator"])
    # In the API server's order, since an approval is tested against it.
    assert [(plan["name"], plan["csvs"]) for plan in found["install_plans"]] == [("plan-waits", ["z.v1", "op.v2"])]
    assert found["deployments"] == [{"name": "istio-operator", "namespace": "mine"}]


def test_an_install_plan_that_is_done_is_not_read(api):
    read(api, "operators")
    assert [path.rsplit("/", 1)[1] for _method, path in api.log if "installplans" in path] == ["plan-waits"]


def test_a_cluster_without_olm_is_not_asked_for_it():
    api = FakeApi()
    found = read(api, "operators")["operators"]
    assert (found["olm"], found["subscriptions"], found["openshift"], found["unread"]) == (False, [], "", [])
    assert not [path for _method, path in api.log if "coreos" in path or "openshift" in path]


def test_a_missing_right_is_named_with_its_own_part(api):
    paths = ["/apis/apps/v1/deployments", "/apis/operators.coreos.com/v1alpha1/catalogsources"]
    for path in paths:
        api.refusals[("GET", path)] = ApiError(403, "Forbidden", "no", "GET", path)
    found = read(api, "operators")["operators"]
    assert sorted(found["unread"]) == paths
    assert (found["deployments"], found["catalogs"], len(found["subscriptions"])) == ([], [], 2)


def test_both_parts_in_one_reading():
    mesh = read(FakeApi(), "mesh", "operators")
    assert {"services", "gateways", "operators"} <= mesh.keys()
    assert mesh["mesh"]["unread"] == []


@pytest.mark.parametrize(
    ("spec", "everywhere"),
    [
        ({}, True),
        ({"selector": {"matchLabels": {}}}, True),
        ({"targetNamespaces": ["a"]}, False),
        ({"selector": {"matchLabels": {"a": "b"}}}, False),
    ],
)
def test_for_whom_an_operator_group_is(spec, everywhere):
    api = FakeApi()
    api.served = ["operators.coreos.com/v1"]
    api.add(new_object("OperatorGroup", "g", NS, {}, spec=spec))
    assert read(api, "operators")["operators"]["operator_groups"][0]["everywhere"] is everywhere


@pytest.mark.parametrize(
    ("status", "version"),
    [
        (
            {"history": [{"state": "Partial", "version": "4.19.1"}, {"state": "Completed", "version": "4.18.2"}]},
            "4.18.2",
        ),
        ({"history": [], "desired": {"version": "4.19.1"}}, "4.19.1"),
        ({}, ""),
    ],
)
def test_the_version_of_openshift_is_the_one_that_runs(status, version):
    api = FakeApi()
    api.served = OLM
    api.add(new_object("ClusterVersion", "version", None, {}, status=status))
    assert read(api, "operators")["operators"]["openshift"] == version
