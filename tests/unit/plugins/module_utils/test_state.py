# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The projection: what is kept of the cluster's objects, and what is made of fields that are left out."""

from __future__ import annotations

import json

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _state

META = {"name": "edge", "namespace": "gateways", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
NO_TLS = {"tls": "", "credential": "", "min_version": ""}
PORT = {"node_port": None, "protocol": "TCP", "app_protocol": ""}
IDENTITY = {
    "name": "edge",
    "namespace": "gateways",
    "uid": "u",
    "labels": {},
    "created": "2026-01-01T00:00:00Z",
}


def entry(manager, *ports, operation="Apply"):
    """Return one entry of managedFields that owns ports, given as numbers or (number, protocol)."""
    keys = {}
    for port in ports:
        number, protocol = port if isinstance(port, tuple) else (port, "TCP")
        keys["k:" + json.dumps({"port": number, "protocol": protocol})] = {".": {}, "f:name": {}}
    return {
        "manager": manager,
        "operation": operation,
        "fieldsV1": {"f:spec": {"f:ports": {".": {}, **keys}, "f:type": {}}},
    }


@pytest.mark.parametrize(
    ("fields", "managers"),
    [
        (None, {}),
        ([], {}),
        ([entry("b", 2, 1), entry("a", 3)], {"a": [3], "b": [1, 2]}),
        # One manager may have several entries, for instance one per subresource.
        ([entry("a", 1), entry("a", 2, 1)], {"a": [1, 2]}),
        ([entry("kubectl-edit", 1, operation="Update")], {}),
        ([entry("a", (53, "UDP"), 54)], {"a": [54]}),
        ([entry("a")], {}),
        ([{"manager": "a", "operation": "Apply", "fieldsV1": {"f:metadata": {}}}], {}),
        ([{"manager": "a", "operation": "Apply"}], {}),
    ],
)
def test_who_applied_which_port(fields, managers):
    assert _state.port_managers({"metadata": {"managedFields": fields}}) == managers


def test_which_ports_somebody_wrote_by_hand():
    fields = [entry("a", 1), entry("kubectl-edit", 2, 1, operation="Update"), entry("x", 3, operation="Update")]
    assert _state.service({"metadata": {**META, "managedFields": fields}})["edited"] == [1, 2, 3]


def test_a_port_s_key_without_protocol_is_tcp():
    fields = {"f:spec": {"f:ports": {'k:{"port":7}': {}}}}
    obj = {"metadata": {"managedFields": [{"manager": "a", "operation": "Apply", "fieldsV1": fields}]}}
    assert _state.port_managers(obj) == {"a": [7]}


def test_a_service():
    obj = {
        "metadata": {
            **META,
            "labels": {"a": "b"},
            "annotations": {"metallb.io/ip-allocated-from-pool": "first", "kubernetes.io/description": "x"},
            "managedFields": [entry("a", 80)],
        },
        "spec": {
            "type": "LoadBalancer",
            "loadBalancerClass": "io.cilium/bgp-control-plane",
            "healthCheckNodePort": 31000,
            "selector": {"x": "y"},
            "clusterIP": "10.96.0.1",
            "externalIPs": ["198.18.0.9"],
            "ports": [
                {"name": "web", "port": 80, "targetPort": "http", "nodePort": 30080, "appProtocol": "http"},
                {"port": 53, "protocol": "UDP"},
            ],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "198.18.0.1"}, {"hostname": "lb.example"}]}},
    }
    assert _state.service(obj) == {
        **IDENTITY,
        "labels": {"a": "b"},
        "type": "LoadBalancer",
        "class": "io.cilium/bgp-control-plane",
        "annotations": {"metallb.io/ip-allocated-from-pool": "first"},
        "definition": None,
        "in_charge": None,
        "source": "",
        "selector": {"x": "y"},
        "ports": [
            {**PORT, "name": "web", "port": 80, "target_port": "http", "node_port": 30080, "app_protocol": "http"},
            {**PORT, "name": "", "port": 53, "target_port": 53, "protocol": "UDP"},
        ],
        "external_name": "",
        "health_check_node_port": 31000,
        "cluster_ip": "10.96.0.1",
        "external_ips": ["198.18.0.9"],
        "addresses": ["198.18.0.1", "lb.example"],
        "managers": {"a": [80]},
        "edited": [],
    }


def test_a_service_with_nothing():
    found = _state.service({"metadata": META, "status": {"loadBalancer": {}}})
    assert found == {
        **IDENTITY,
        "type": "ClusterIP",
        "class": "",
        "annotations": {},
        "definition": None,
        "in_charge": None,
        "source": "",
        "selector": {},
        "ports": [],
        "external_name": "",
        "health_check_node_port": None,
        "cluster_ip": "",
        "external_ips": [],
        "addresses": [],
        "managers": {},
        "edited": [],
    }


def test_where_an_external_name_leads():
    spec = {"type": "ExternalName", "externalName": "db.example"}
    assert _state.service({"metadata": META, "spec": spec})["external_name"] == "db.example"
    # The API server keeps the field when the type has changed.
    assert _state.service({"metadata": META, "spec": {**spec, "type": "ClusterIP"}})["external_name"] == ""


def test_a_gateway():
    server = {"port": {"number": 8081, "name": "tcp", "protocol": "TCP"}, "bind": "0.0.0.0", "hosts": ["./*"]}
    obj = {
        "metadata": {**META, "annotations": {"servicemesh.tcp/source": "hosts.yml"}},
        "spec": {"selector": {"istio": "edge"}, "servers": [server, {}]},
    }
    assert _state.gateway(obj) == {
        **IDENTITY,
        "source": "hosts.yml",
        "selector": {"istio": "edge"},
        "servers": [
            {**NO_TLS, "port": 8081, "name": "tcp", "protocol": "TCP", "bind": "0.0.0.0", "hosts": ["./*"]},
            {**NO_TLS, "port": None, "name": "", "protocol": "", "bind": "", "hosts": []},
        ],
    }
    assert _state.gateway({"metadata": META}) == {**IDENTITY, "source": "", "selector": {}, "servers": []}


@pytest.mark.parametrize(
    ("tls", "found"),
    [
        (None, ("", "")),
        # What the zero value means, and what an empty object is.
        ({}, ("SIMPLE", "")),
        ({"mode": "PASSTHROUGH"}, ("PASSTHROUGH", "")),
        ({"mode": "MUTUAL", "credentialName": "cert"}, ("MUTUAL", "cert")),
    ],
)
def test_a_server_s_tls(tls, found):
    [server] = _state.gateway({"metadata": META, "spec": {"servers": [{"tls": tls}]}})["servers"]
    assert (server["tls"], server["credential"]) == found


def test_a_virtual_service():
    rule = {
        "match": [{"port": 8081}, {"port": 8082, "gateways": ["g"]}, {"port": 0}, {}],
        "route": [
            {"destination": {"host": "a", "port": {"number": 1}, "subset": "v1"}, "weight": 50},
            {"destination": {"host": "b"}},
        ],
    }
    tls = {"match": [{"sniHosts": ["x.test"]}, {"port": 443, "sniHosts": ["y.test", "z.test"]}]}
    spec = {"hosts": ["*"], "gateways": ["g"], "exportTo": ["."], "tcp": [rule, {}], "tls": [tls], "http": [{}]}
    assert _state.virtual_service({"metadata": META, "spec": spec}) == {
        **IDENTITY,
        "hosts": ["*"],
        "gateways": ["g"],
        "export_to": ["."],
        "records": {},
        "tcp": [
            {
                "ports": [8081, 8082, None, None],
                "match_gateways": [[], ["g"], [], []],
                "destinations": [
                    {"host": "a", "port": 1, "subset": "v1", "weight": 50},
                    {"host": "b", "port": None, "subset": "", "weight": 0},
                ],
            },
            {"ports": [], "match_gateways": [], "destinations": []},
        ],
        "tls": [
            {
                "ports": [None, 443],
                "match_gateways": [[], []],
                "sni": [["x.test"], ["y.test", "z.test"]],
                "destinations": [],
            }
        ],
        "http": True,
        "routes": [],
    }
    empty = _state.virtual_service({"metadata": META})
    assert (empty["tcp"], empty["tls"], empty["http"], empty["export_to"]) == ([], [], False, [])


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ([], []),
        ([None], ["default"]),
        ([{"istio.io/rev": "v2"}, {"istio.io/rev": "v1"}, {"istio.io/rev": "v1"}], ["v1", "v2"]),
        # A tag's webhook carries the revision that it points to as well: pods are labelled with the tag.
        ([{"istio.io/rev": "v1", "istio.io/tag": "prod"}], ["prod"]),
    ],
)
def test_revisions_that_inject(labels, found):
    assert _state.revisions([{"metadata": {"labels": item}} for item in labels]) == found


def test_a_deployment():
    obj = {"metadata": META, "spec": {"replicas": 3}, "status": {"availableReplicas": 2}}
    assert _state.deployment(obj) == {**IDENTITY, "replicas": 3, "available": 2}
    assert _state.deployment({"metadata": META}) == {**IDENTITY, "replicas": 1, "available": 0}


def test_a_namespace():
    assert _state.namespace({"metadata": {"name": "a"}}) == {"labels": {}, "applied": [], "terminating": False}
    going = {"metadata": {"name": "a", "labels": {"x": "y"}, "deletionTimestamp": "2026-01-01T00:00:00Z"}}
    assert _state.namespace(going) == {"labels": {"x": "y"}, "applied": [], "terminating": True}


def test_which_labels_of_a_namespace_onboarding_applied():
    def entry(manager, operation, *labels):
        fields = {"f:metadata": {"f:labels": {".": {}, **{f"f:{label}": {} for label in labels}}}}
        return {"manager": manager, "operation": operation, "fieldsV1": fields}

    fields = [
        entry("servicemesh.tcp-onboarding", "Apply", "istio.io/rev", "mesh"),
        entry("servicemesh.tcp-onboarding", "Update", "updated"),
        entry("kubectl", "Apply", "theirs"),
    ]
    assert _state.namespace({"metadata": {"managedFields": fields}})["applied"] == ["istio.io/rev", "mesh"]


@pytest.mark.parametrize(
    ("addresses", "found"),
    [
        ([("InternalIP", "10.0.0.1"), ("ExternalIP", "198.18.0.1"), ("Hostname", "n")], ["198.18.0.1"]),
        ([("Hostname", "n"), ("InternalIP", "10.0.0.1"), ("InternalIP", "fd00::1")], ["10.0.0.1", "fd00::1"]),
        ([], []),
    ],
)
def test_a_node(addresses, found):
    obj = {"metadata": META, "status": {"addresses": [{"type": kind, "address": ip} for kind, ip in addresses]}}
    assert _state.node(obj) == {"name": "edge", "addresses": found, "provider": ""}


def test_a_node_of_a_cloud():
    obj = {"metadata": META, "spec": {"providerID": "aws:///eu-west-1a/i-1"}}
    assert _state.node(obj) == {"name": "edge", "addresses": [], "provider": "aws"}
