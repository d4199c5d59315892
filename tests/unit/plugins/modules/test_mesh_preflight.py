# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Before a mesh is installed: who, may I, and is the cluster well."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._rights import PREFLIGHT, RIGHTS, needed
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.plugins.modules import mesh_preflight
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi
from ansible_collections.servicemesh.tcp.tests.unit.plugins.module_run import run_module

ROOT = Path(__file__).resolve().parents[4]
ALL = ("*", "*", "*")


class Asked(FakeApi):
    """A cluster that knows who may do what."""

    def __init__(self, *allowed, who="v1"):
        super().__init__()
        self.allowed = allowed
        self.who = who
        self.asked = []
        self.served = ["config.openshift.io/v1", "operators.coreos.com/v1alpha1"]

    def request(self, method, path, body=None, query=None, content_type=None, accept=None):
        if path.endswith("/selfsubjectreviews"):
            if f"/{self.who}/" not in path:
                raise ApiError(404, "NotFound", "not found", method, path)
            return {"status": {"userInfo": {"username": "ops"}}}
        if path.endswith("/selfsubjectaccessreviews"):
            attributes = body["spec"]["resourceAttributes"]
            self.asked.append((attributes["group"], attributes["resource"], attributes["verb"]))
            return {"status": {"allowed": self.asked[-1] in self.allowed}}
        return super().request(method, path, body, query, content_type, accept)


def conditions(**status):
    """Return conditions by type."""
    return {
        "conditions": [{"type": key, "status": value, "reason": "R", "message": "m"} for key, value in status.items()]
    }


def add(api, kind, name, namespace=None, **rest):
    """Put an object with a status on a cluster."""
    api.add(new_object(kind, name, namespace, {}, **rest))


def test_a_cluster_that_is_well():
    api = Asked(ALL)
    add(api, "Node", "a", status=conditions(Ready="True"))
    add(api, "ClusterOperator", "dns", status=conditions(Available="True", Degraded="False"))
    history = [{"state": "Partial", "version": "4.19.0"}, {"state": "Completed", "version": "4.18.22"}]
    add(api, "ClusterVersion", "version", status={"history": history})
    add(api, "CatalogSource", "c", "m", status={"connectionState": {"lastObservedState": "READY"}})
    found = run_module(mesh_preflight, api)
    assert found["table"] == [
        "ok  user               ops",
        "ok  rights             as needed",
        "ok  kubernetes         v1.34.4",
        "ok  openshift          4.18.22",
        "ok  OLM                served",
        "ok  nodes              1 of 1 ready",
        "ok  cluster operators  1 of 1 well",
        "ok  catalogues         1 of 1 ready",
    ]
    assert found["findings"] == []
    # Who may do everything is asked once.
    assert api.asked == [ALL]


def test_what_is_not_well_is_named():
    api = Asked(ALL)
    add(api, "Node", "a", status=conditions(Ready="False"))
    add(api, "Node", "b", status={})
    add(api, "ClusterOperator", "dns", status=conditions(Available="False", Degraded="True"))
    add(api, "CatalogSource", "c", "m", status={"connectionState": {"lastObservedState": "CONNECTING"}})
    found = run_module(mesh_preflight, api)
    assert found["table"][-3:] == [
        "!!  nodes              0 of 2 ready; a: R: m; b: it says nothing",
        "!!  cluster operators  0 of 1 well; dns: not available (R: m) and degraded (R: m)",
        "!!  catalogues         0 of 1 ready; m/c: CONNECTING",
    ]
    assert [item["code"] for item in found["findings"]] == [
        "CLUSTER_OPERATOR_UNWELL",
        "NODE_NOT_READY",
        "NODE_NOT_READY",
        "CATALOG_NOT_READY",
    ]


def test_each_right_that_lacks_is_named():
    rights = needed(["operators"])
    lacking = {
        ("operators.coreos.com", "installplans", "patch"),
        ("", "namespaces", "create"),
        ("", "namespaces", "get"),
    }
    found = run_module(mesh_preflight, Asked(*(right for right in rights if right not in lacking)))
    assert found["table"][1] == (
        "!!  rights      lacking namespaces (create, get), installplans.operators.coreos.com (patch)"
    )
    assert [(item["code"], item["severity"]) for item in found["findings"]] == [("RIGHT_MISSING", "error")]


@pytest.mark.parametrize(("who", "user"), [("v1", "ops"), ("v1beta1", "ops"), ("none", "the API server does not tell")])
def test_who_the_user_is(who, user):
    assert run_module(mesh_preflight, Asked(ALL, who=who))["table"][0].endswith(f"  {user}")


def test_what_may_not_be_read_is_said_to_be_so():
    api = Asked(ALL)
    for path in ("/api/v1/nodes", "/apis/config.openshift.io/v1/clusteroperators"):
        api.refusals[("GET", path)] = ApiError(403, "Forbidden", "no", "GET", path)
    found = run_module(mesh_preflight, api)
    assert [line for line in found["table"] if line.startswith("!!")] == [
        "!!  nodes              no right to read them",
        "!!  cluster operators  no right to read them",
    ]


def test_a_cluster_without_openshift_and_olm():
    api = Asked(ALL)
    api.served = []
    assert run_module(mesh_preflight, api)["table"][3:] == [
        "ok  openshift   no",
        "ok  OLM         not served",
        "ok  nodes       0 of 0 ready",
    ]


def granted():
    """Return what each ClusterRole of docs/rbac-install.yaml grants."""
    items = yaml.safe_load((ROOT / "docs" / "rbac-install.yaml").read_text())["items"]
    prefix = "servicemesh-tcp-install-"
    return {
        item["metadata"]["name"].removeprefix(prefix): {
            (group, resource, verb)
            for rule in item["rules"]
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        for item in items
        if item["kind"] == "ClusterRole"
    }


def test_the_documented_rights_are_those_that_are_asked_for():
    asked = {purpose: set(needed([purpose])) for purpose in RIGHTS}
    asked["preflight"] = {(right.group, right.resource, verb) for right in PREFLIGHT for verb in right.verbs}
    assert granted() == asked
