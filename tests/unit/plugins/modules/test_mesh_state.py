# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a cluster: how much is asked, and what is made of a cluster without a mesh."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.plugins.modules import mesh_state
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import record
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi
from ansible_collections.servicemesh.tcp.tests.unit.plugins.module_run import run_module
from ansible_collections.servicemesh.tcp.tests.unit.plugins.whole_runs import make_gateways, mesh_cluster, publish


def published(ports: int) -> FakeApi:
    """Return a cluster with a number of published ports, nothing asked of it yet."""
    api = mesh_cluster()
    publish(api, [record(f"r{port}", port) for port in range(20000, 20000 + ports)])
    return api.copy()


def test_the_number_of_requests_does_not_depend_on_the_ports():
    few, many = published(10), published(1000)
    assert len(mesh_state.read(few)["gateways"][0]["servers"]) == 10
    assert len(mesh_state.read(many)["gateways"][0]["servers"]) == 1000
    assert dict(few.requests) == dict(many.requests) == {"GET": 13}


def test_what_is_read_is_asked_for_as_narrowly_as_possible():
    api = published(1)
    asked = []
    read = api.request
    api.request = lambda method, path, body=None, query=None, content_type=None, accept=None: (
        asked.append((path, (query or {}).get("labelSelector"), *(["metadata only"] if accept else [])))
        or read(method, path, body, query, content_type)
    )
    mesh_state.read(api)
    assert sorted(asked, key=str) == [
        ("/api/v1/namespaces", None),
        ("/api/v1/namespaces/istio-system/configmaps/istio", None),
        ("/api/v1/pods", "service.istio.io/canonical-name,!security.istio.io/tlsMode", "metadata only"),
        ("/api/v1/services", None),
        ("/apis", None),
        ("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations", "app=sidecar-injector"),
        ("/apis/apps/v1/deployments", "app=istiod"),
        ("/apis/apps/v1/deployments", "servicemesh.tcp/gateway"),
        ("/apis/networking.istio.io/v1beta1/destinationrules", None),
        ("/apis/networking.istio.io/v1beta1/gateways", None),
        ("/apis/networking.istio.io/v1beta1/serviceentries", "app.kubernetes.io/managed-by=servicemesh.tcp"),
        ("/apis/networking.istio.io/v1beta1/virtualservices", None),
        ("/version", None),
    ]


def test_the_projection():
    mesh = mesh_state.read(published(1))
    assert mesh["version"] == 2
    assert mesh["cluster"] == {"host": "https://cluster.test:6443", "kubernetes": "v1.34.4", "openshift": False}
    assert mesh["mesh"]["served"] is True
    assert mesh["mesh"]["revisions"] == ["default"]
    assert [plane["name"] for plane in mesh["mesh"]["control_planes"]] == ["istiod"]
    assert mesh["namespaces"].keys() == {"gateways", "apps"}
    assert {item["name"]: item["managers"] for item in mesh["services"]} == {
        "echo": {},
        "edge": {"servicemesh.tcp": [15021], "servicemesh.tcp/default": [20000]},
        "door": {"servicemesh.tcp": [15021]},
    }
    assert [item["name"] for item in mesh["deployments"]] == ["edge", "door"]
    assert [rule["ports"] for item in mesh["virtual_services"] for rule in item["tcp"]] == [[20000]]
    assert mesh["nodes"] == []


def test_a_cluster_without_istio_is_not_asked_for_istio():
    api = FakeApi(istio=False)
    mesh = mesh_state.read(api)
    assert mesh["mesh"] == {"served": False, "control_planes": [], "revisions": [], "tags": {}, "unread": []}
    assert (mesh["gateways"], mesh["virtual_services"]) == ([], [])
    assert not [path for _method, path in api.log if "networking.istio.io" in path or "pods" in path]


@pytest.mark.parametrize(
    ("groups", "served", "openshift"),
    [
        ([], False, False),
        # OpenShift Service Mesh 3 without the older version would not do.
        ([{"name": "networking.istio.io", "versions": [{"version": "v1"}]}], False, False),
        ([{"name": "networking.istio.io", "versions": [{"version": "v1"}, {"version": "v1beta1"}]}], True, False),
        ([{"name": "route.openshift.io", "versions": [{"version": "v1"}]}], False, True),
    ],
)
def test_what_the_api_server_serves(groups, served, openshift):
    api = FakeApi()
    read = api.request
    api.request = lambda method, path, *rest, **more: (
        {"groups": groups} if path == "/apis" else read(method, path, *rest, **more)
    )
    mesh = mesh_state.read(api)
    assert (mesh["mesh"]["served"], mesh["cluster"]["openshift"]) == (served, openshift)


@pytest.mark.parametrize(("kind", "nodes"), [("NodePort", ["lab"]), ("LoadBalancer", []), ("ClusterIP", [])])
def test_nodes_are_read_where_their_addresses_are_needed_only(kind, nodes):
    api = mesh_cluster(gateways=())
    api.add(new_object("Node", "lab", None, {}))
    # Somebody else's node port is no reason.
    api.add(new_object("Service", "x", "apps", {}, spec={"type": "NodePort"}))
    make_gateways(api, [{"name": "edge", "namespace": "gateways", "service": {"type": kind}}])
    assert [node["name"] for node in mesh_state.read(api)["nodes"]] == nodes
    assert (("GET", "/api/v1/nodes") in api.log) is bool(nodes)


def mesh_with(text):
    """Return a published port's cluster whose istiod has a MeshConfig."""
    api = published(1)
    api.add(new_object("ConfigMap", "istio", "istio-system", {}, data={"mesh": text}))
    return mesh_state.read(api)["mesh"]


@pytest.mark.parametrize("text", ["", "[]", "a: [", "text"])
def test_a_mesh_config_that_says_nothing_is_unknown(text):
    assert mesh_with(text)["control_planes"][0]["config"] is None


def test_the_mesh_config_is_read():
    [plane] = mesh_with("discoverySelectors:\n- matchLabels: {mesh: a}")["control_planes"]
    assert plane["config"]["discovery_selectors"] == [{"matchLabels": {"mesh": "a"}}]


def test_gateway_pods_are_read_without_sidecars():
    api = published(1)
    labels = {"service.istio.io/canonical-name": "edge"}
    api.add(new_object("Pod", "edge-1", "gateways", labels))
    api.add(new_object("Pod", "app-1", "apps", {**labels, "security.istio.io/tlsMode": "istio"}))
    api.add(new_object("Pod", "job-1", "apps", {}))
    assert [item["name"] for item in mesh_state.read(api)["workloads"]] == ["edge-1"]


@pytest.mark.parametrize("path", ["/api/v1/pods", "/api/v1/namespaces/istio-system/configmaps/istio"])
def test_what_may_not_be_read_is_known_to_be_unknown(path):
    api = published(1)
    api.refusals[("GET", path)] = ApiError(403, "Forbidden", "no", "GET", path)
    mesh = mesh_state.read(api)
    assert mesh["mesh"]["unread"] == [path]
    assert (mesh["workloads"], mesh["mesh"]["control_planes"][0]["config"]) == ([], None)


SMCPS = "/apis/maistra.io/v2/servicemeshcontrolplanes"


def with_maistra() -> FakeApi:
    """Return a cluster with a control plane of OpenShift Service Mesh 2."""
    api = published(1)
    api.maistra = True
    api.add(
        {
            "apiVersion": "maistra.io/v2",
            "kind": "ServiceMeshControlPlane",
            "metadata": {"name": "basic", "namespace": "cp"},
        }
    )
    return api


def test_parts_share_what_they_read():
    api = with_maistra()
    mesh = mesh_state.read(api, ["mesh", "members", "planes"])
    seen = [mesh["smcps"], mesh["members"]["control_planes"], mesh["planes"]["smcps"]]
    assert [[item["name"] for item in items] for items in seen] == [["basic"]] * 3
    assert api.log.count(("GET", SMCPS)) == 1


def test_each_part_says_that_it_could_not_read_what_they_share():
    api = with_maistra()
    api.refusals[("GET", SMCPS)] = ApiError(403, "Forbidden", "no", "GET", SMCPS)
    mesh = mesh_state.read(api, ["mesh", "members", "planes"])
    assert (mesh["smcps"], mesh["members"]["control_planes"], mesh["planes"]["smcps"]) == (None, [], [])
    assert [mesh[part]["unread"] for part in ("mesh", "members", "planes")] == [[SMCPS]] * 3
    assert api.log.count(("GET", SMCPS)) == 1


def test_another_refusal_than_a_missing_right_is_told():
    api = published(1)
    api.refusals[("GET", "/api/v1/pods")] = ApiError(500, "Broken", "no", "GET", "/api/v1/pods")
    with pytest.raises(ApiError):
        mesh_state.read(api)


def test_the_module_returns_the_projection_and_its_requests():
    api = published(1)
    found = run_module(mesh_state, api)
    assert found == {
        "failed": False,
        "changed": False,
        "mesh": mesh_state.read(api.copy()),
        "api_requests": {"GET": 13},
    }


def test_a_missing_right_is_a_finding():
    api = published(1)
    read = api.request

    def request(method, path, *rest, **more):
        if path == "/api/v1/services":
            raise ApiError(403, "Forbidden", "services is forbidden", method, path)
        return read(method, path, *rest, **more)

    api.request = request
    found = run_module(mesh_state, api)
    assert found["failed"]
    assert found["msg"] == (
        "FORBIDDEN /api/v1/services: the API server refuses to read: services is forbidden."
        " Grant the right; docs/rbac.yaml holds all that publishing needs, docs/rbac-install.yaml all for"
        " installing a mesh."
    )
