# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wanted, held against the cluster."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _checks
from ansible_collections.servicemesh.tcp.plugins.module_utils._gateways import read_gateways
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import port_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import (
    BACKEND,
    EDGE,
    EDGE_REFERENCE,
    deployment,
    front,
    messages,
    namespaces,
    own_port,
    record,
    service,
    service_port,
    state,
)


def mesh(**change) -> dict:
    """Return a state whose mesh differs from a ready one."""
    return state(mesh={**state()["mesh"], **change})


def plane(name: str, ready: bool) -> dict:
    """Return a projected control plane."""
    return {"name": name, "namespace": "istio-system", "revision": name, "version": "", "ready": ready}


NO_ISTIO = "NO_ISTIO cluster https://cluster.test:6443: there is no Istio on this cluster: "


@pytest.mark.parametrize(
    ("cluster", "said"),
    [
        (state(), []),
        (mesh(served=False), [f"{NO_ISTIO}its API server does not know networking.istio.io/v1beta1."]),
        (mesh(control_planes=[]), [f"{NO_ISTIO}no Deployment carries the label app=istiod."]),
        (
            mesh(control_planes=[plane("a", False), plane("b", False)]),
            [f"{NO_ISTIO}istiod is there (istio-system/a, istio-system/b), but not ready."],
        ),
        (mesh(control_planes=[plane("a", False), plane("b", True)]), []),
    ],
)
def test_whether_there_is_a_mesh(cluster, said):
    assert messages(_checks.check_mesh(View(cluster))) == said


@pytest.mark.parametrize(
    ("named", "revisions", "labels", "label", "said"),
    [
        (None, ["default"], {}, None, []),
        (None, [], {}, None, []),
        (None, ["v1"], {}, "v1", []),
        (None, ["default", "v1"], {}, None, []),
        (None, ["v1", "v2"], {"istio-injection": "enabled"}, None, []),
        (None, ["v1", "v2"], {"istio.io/rev": "v2"}, None, []),
        (
            None,
            ["v1", "v2"],
            {"istio-injection": "disabled"},
            None,
            [
                "REVISION_UNCLEAR gateway 'edge': the cluster has several mesh revisions (v1, v2) and none is the"
                " default."
            ],
        ),
        ("v2", ["v1", "v2"], {}, "v2", []),
        ("v2", ["v1", "v2"], {"istio-injection": "enabled"}, "v2", []),
        (
            "v3",
            ["v1", "v2"],
            {},
            None,
            ["REVISION_UNKNOWN gateway 'edge': the mesh has no revision 'v3'; it has v1, v2."],
        ),
        ("v3", [], {}, None, ["REVISION_UNKNOWN gateway 'edge': the mesh has no revision 'v3'; it has none."]),
    ],
)
def test_the_revision_of_a_gateway_s_pods(named, revisions, labels, label, said):
    (gateway,), _findings = read_gateways([{**EDGE, "mesh": named}])
    cluster = mesh(revisions=revisions) | {"namespaces": {"gateways": {"labels": labels, "terminating": False}}}
    found, findings = _checks.pod_revision(gateway, View(cluster))
    assert (found, messages(findings)) == (label, said)


MISSING = (
    "NAMESPACE_MISSING gateway 'edge': namespace 'gateways' does not exist, and this run was not asked to make it."
)


@pytest.mark.parametrize(
    ("raw", "cluster", "namespace_state", "said"),
    [
        (EDGE, state(), "required", []),
        (EDGE, state(front(), deployments=[]), "required", []),
        (EDGE, state(namespaces={}), "required", [MISSING]),
        (EDGE, state(namespaces={}), "present", []),
        (EDGE, state(namespaces={"gateways": {"labels": {}, "terminating": True}}), "required", [MISSING]),
        (EDGE_REFERENCE, state(namespaces={}), "required", [MISSING]),
        (EDGE_REFERENCE, state(front()), "required", []),
        # Its Service is what ports are added to: the Deployment alone is not enough.
        (
            EDGE_REFERENCE,
            state(deployments=[deployment()]),
            "required",
            [
                "GATEWAY_MISSING gateway 'edge': there is no front Service gateways/edge, so there is no such gateway"
                " to publish on."
            ],
        ),
        # Whoever refers to a gateway need not know its mesh or who defined it.
        (EDGE_REFERENCE, state(front(), deployments=[deployment("other")]), "required", []),
        (
            EDGE,
            state(deployments=[deployment("other")]),
            "required",
            [
                "GATEWAY_DEFINED_ELSEWHERE gateway 'edge': the gateway was defined by set 'other', and set 'default'"
                " defines it otherwise: service."
            ],
        ),
        (
            EDGE,
            state(front(labels={"app": "x"})),
            "required",
            [
                "GATEWAY_ADOPTABLE gateway 'edge': its front Service gateways/edge was made by hand, not by this"
                " collection."
            ],
        ),
    ],
)
def test_whether_a_gateway_can_be_made_or_is_there(raw, cluster, namespace_state, said):
    gateways, _findings = read_gateways([raw])
    found = _checks.check_gateways(gateways, View(cluster), "default", namespace_state)
    assert messages(found) == said


def backend_says(backend, *services, **more) -> tuple[list[str], list[str]]:
    """Return the messages and remedies about one record's backend."""
    ports = port_map([record(backend=backend)], [EDGE])["ports"]
    found = _checks.check_backends(ports, View(state(*services, **more)))
    return messages(found), [item["remedy"] for item in found]


@pytest.mark.parametrize(
    ("backend", "said", "remedy"),
    [
        (
            {"namespace": "nowhere", "service": "echo", "port": 9000},
            "there is no Service 'echo' in namespace 'nowhere'.",
            "Create the Service, or mend the record's backend. (that namespace does not exist)",
        ),
        (
            {"namespace": "apps", "service": "ecko", "port": 9000},
            "there is no Service 'ecko' in namespace 'apps'.",
            "Create the Service, or mend the record's backend. (did you mean 'echo'?)",
        ),
        (
            {"namespace": "apps", "service": "postgres", "port": 9000},
            "there is no Service 'postgres' in namespace 'apps'.",
            "Create the Service, or mend the record's backend.",
        ),
        (
            {"namespace": "gateways", "service": "echo", "port": 9000},
            "there is no Service 'echo' in namespace 'gateways'.",
            "Create the Service, or mend the record's backend.",
        ),
    ],
)
def test_a_backend_that_is_not_there(backend, said, remedy):
    assert backend_says(backend) == ([f"BACKEND_MISSING record 'a': {said}"], [remedy])


@pytest.mark.parametrize(
    ("ports", "has"),
    [
        ([service_port(80), service_port(443)], "80, 443"),
        ([service_port(5353, protocol="UDP")], "none"),
        # The pods' port is not the Service's.
        ([service_port(80, 5353)], "80"),
    ],
)
def test_a_backend_without_that_port(ports, has):
    backend = {"namespace": "apps", "service": "dns", "port": 5353}
    assert backend_says(backend, service("dns", "apps", ports))[0] == [
        f"BACKEND_PORT_MISSING record 'a': Service apps/dns has no TCP port 5353; it has {has}."
    ]


def test_backends_that_are_there_are_no_finding():
    assert backend_says({"namespace": "apps", "service": "echo", "port": 9000}) == ([], [])


@pytest.mark.parametrize(
    ("records", "services", "holders"),
    [
        ([record("a", 8081, node_port=30001)], [], {}),
        ([record("a", 8081), record("b", 8082)], [service("x", "apps", [service_port(80)])], {}),
        (
            [record("a", 8081, node_port=30001), record("b", 8082, node_port=30001)],
            [],
            {"b": "record 'a' of the same set"},
        ),
        (
            [record("a", 8081, node_port=30001)],
            [service("x", "apps", [service_port(80, node_port=30001)])],
            {"a": "Service apps/x port 80"},
        ),
        # Its own port of the front Service has it already.
        (
            [record("a", 8081, node_port=30001)],
            [front([{**own_port("a", 8081), "node_port": 30001}], {"servicemesh.tcp/default": [8081]})],
            {},
        ),
        (
            [record("a", 8081, node_port=30001)],
            [front([{**own_port("b", 8082), "node_port": 30001}], {"servicemesh.tcp/default": [8082]})],
            {"a": "Service gateways/edge port 8082"},
        ),
        # A port of that very name on a Service elsewhere is somebody else's.
        (
            [record("a", 8081, node_port=30001)],
            [service("edge", "apps", [service_port(1, name=port_name(8081, "default", "a"), node_port=30001)])],
            {"a": "Service apps/edge port 1"},
        ),
    ],
)
def test_a_node_port_that_is_held(records, services, holders):
    ports = port_map(records, [EDGE])["ports"]
    found = _checks.check_node_ports(ports, View(state(*services)))
    assert messages(found) == [
        f"NODE_PORT_TAKEN record {name!r}: node port 30001 is already held by {holder}."
        for name, holder in holders.items()
    ]


def test_namespaces_are_named_by_the_argument_that_makes_them():
    gateways, _findings = read_gateways([EDGE])
    (found,) = _checks.check_gateways(gateways, View(state(namespaces=namespaces("apps"))), "default", "required")
    assert found["remedy"] == "Create it, or set tcp_namespace_state to 'present'."


def test_a_record_of_many_ports_gives_one_finding_for_its_backend():
    ports = port_map([record("a", "1-5", backend={**BACKEND, "port": "8998-9002"})], [EDGE])["ports"]
    assert messages(_checks.check_backends(ports, View(state()))) == [
        "BACKEND_PORT_MISSING record 'a': Service apps/echo has no TCP port 8998-8999, 9001-9002; it has 9000."
    ]
    ports = port_map([record("a", "1-5", backend={**BACKEND, "service": "ecko"})], [EDGE])["ports"]
    assert [item["code"] for item in _checks.check_backends(ports, View(state()))] == ["BACKEND_MISSING"]


def test_a_renamed_record_keeps_its_node_port():
    shown = front([{**own_port("old", 8081), "node_port": 30001}], {"servicemesh.tcp/default": [8081]})
    ports = port_map([record("new", 8081, node_port=30001, was="old")], [EDGE])["ports"]
    assert _checks.check_node_ports(ports, View(state(shown))) == []
    ports = port_map([record("new", 8082, node_port=30001)], [EDGE])["ports"]
    assert [item["code"] for item in _checks.check_node_ports(ports, View(state(shown)))] == ["NODE_PORT_TAKEN"]
