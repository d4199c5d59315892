# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gateways, read key by key: each mistake gives one sentence, good input its defaults."""

from __future__ import annotations

import json

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _gateways
from ansible_collections.servicemesh.tcp.plugins.module_utils._definition import stored_definition
from ansible_collections.servicemesh.tcp.plugins.module_utils._gateways import as_stored, read_gateways
from ansible_collections.servicemesh.tcp.plugins.module_utils._ranges import PORTS_RULE
from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import DNS_LABEL_RULE as LABEL_RULE
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import EDGE, EDGE_REFERENCE, messages

NOT_BUILT = "is a key of the design, but this version of the collection does not build it yet."


def gateway_says(raw) -> list[str]:
    """Read one gateway that is refused, and return what is said of it."""
    gateways, findings = read_gateways([raw])
    assert gateways == []
    return messages(findings)


def test_a_gateway_s_defaults():
    (found,), findings = read_gateways([EDGE])
    assert findings == []
    assert found == {
        "name": "edge",
        "namespace": "gateways",
        "refers": False,
        "mesh": None,
        "owner": "injection",
        "adopt": False,
        "ports": None,
        "selector": None,
        "control_plane": None,
        "pool": frozenset(),
        "strict_pool": False,
        "reserved": frozenset(),
        "claims": None,
        "drain": {},
        "service": {
            "type": "LoadBalancer",
            "annotations": {},
            "class": None,
            "source_ranges": [],
            "external_ips": [],
            "external_traffic_policy": None,
            "allocate_node_ports": True,
            "limits": {},
            "max_ports": None,
            "provider": None,
        },
        "replicas": 1,
        "autoscale": None,
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}},
        "image": "auto",
        "image_pull_policy": "IfNotPresent",
    }


@pytest.mark.parametrize(
    ("more", "refers"),
    [({}, True), ({"replicas": 2}, False), ({"service": {}}, False), ({"owner": "injection"}, False)],
)
def test_a_gateway_of_name_and_namespace_only_is_a_reference(more, refers):
    (found,), _findings = read_gateways([{"name": "edge", "namespace": "gateways", **more}])
    assert found["refers"] is refers


@pytest.mark.parametrize(
    ("autoscale", "read"),
    [
        ({}, {"min": 2, "max": 5, "cpu": 80}),
        ({"min": "3", "max": 3, "cpu": 50}, {"min": 3, "max": 3, "cpu": 50}),
    ],
)
def test_bounds_of_an_autoscaler(autoscale, read):
    (found,), findings = read_gateways([{**EDGE, "autoscale": autoscale}])
    assert findings == []
    assert found["autoscale"] == read


GATEWAY = "VALUE_INVALID gateway 'edge': "
GATEWAYS = [
    ({"namespace": None}, f"{GATEWAY}namespace: None is not valid; {LABEL_RULE}."),
    ({"observe": True}, f"KEY_NOT_BUILT gateway 'edge': 'observe' {NOT_BUILT}"),
    ({"owner": "me"}, f"{GATEWAY}owner: 'me' is not valid; it must be one of injection, existing, smcp."),
    ({"ports": "patch"}, f"{GATEWAY}ports: 'patch' is not valid; it is for the owners 'existing' and 'smcp'."),
    ({"control_plane": {}}, f"{GATEWAY}control_plane: {{}} is not valid; it is for the owner 'smcp'."),
    (
        {"selector": {"app": "x"}},
        f"{GATEWAY}selector: {{'app': 'x'}} is not valid; a gateway that this collection makes has labels of its own.",
    ),
    ({"pool": "9-5"}, f"{GATEWAY}pool: '9-5' is not valid; a range goes from its lowest port to its highest."),
    ({"pool": "auto"}, f"{GATEWAY}pool: 'auto' is not valid; {PORTS_RULE}."),
    ({"pool": [5, "1-9"]}, f"{GATEWAY}pool: [5, '1-9'] is not valid; 5 stands in it more than once."),
    ({"reserved": 0}, "PORT_OUT_OF_RANGE gateway 'edge': reserved 0 is out of range; allowed is 1 to 65535."),
    ({"strict_pool": "yes"}, f"{GATEWAY}strict_pool: 'yes' is not valid; it must be true or false."),
    (
        {"strict_pool": True},
        f"{GATEWAY}strict_pool: True is not valid; a gateway without a pool has nothing to be strict about.",
    ),
    *(
        (
            {"drain": {"pod": bad}},
            f"{GATEWAY}drain.pod: {bad!r} is not valid; it must be a number of seconds above 0, such as 45 or 45s.",
        )
        for bad in (0, "0s", "45m", "soon", None, True, [])
    ),
    ({"drain": {"pods": 5}}, "KEY_UNKNOWN gateway 'edge': 'drain.pods' is not a known key; did you mean 'pod'?"),
    ({"replica": 2}, "KEY_UNKNOWN gateway 'edge': 'replica' is not a known key; did you mean 'replicas'?"),
    ({"replicas": 0}, f"{GATEWAY}replicas: 0 is not valid; it must be a whole number from 1 on."),
    (
        {"replicas": 2, "autoscale": {}},
        f"{GATEWAY}replicas: 2 is not valid; a gateway with 'autoscale' has no 'replicas'.",
    ),
    (
        {"autoscale": {"min": 6}},
        f"{GATEWAY}autoscale.min: 6 is not valid; it is above autoscale.max (5).",
    ),
    (
        {"image_pull_policy": "Sometimes"},
        f"{GATEWAY}image_pull_policy: 'Sometimes' is not valid; it must be one of Always, IfNotPresent, Never.",
    ),
    (
        {"service": {"type": "Loadbalancer"}},
        f"{GATEWAY}service.type: 'Loadbalancer' is not valid; it must be one of LoadBalancer, NodePort, ClusterIP.",
    ),
    ({"service": {"scope": "internal"}}, f"KEY_NOT_BUILT gateway 'edge': 'service.scope' {NOT_BUILT}"),
    (
        {"service": {"type": "NodePort", "source_ranges": ["10.0.0.0/8"]}},
        f"{GATEWAY}service.source_ranges: ['10.0.0.0/8'] is not valid; only a Service of type LoadBalancer has it.",
    ),
    (
        {"service": {"external_ips": "198.18.0.1"}},
        f"{GATEWAY}service.external_ips: '198.18.0.1' is not valid; it must be a list of texts.",
    ),
    (
        {"service": {"type": "ClusterIP", "external_traffic_policy": "Local"}},
        f"{GATEWAY}service.external_traffic_policy: 'Local' is not valid; a ClusterIP Service without external_ips"
        " takes no traffic from outside.",
    ),
    (
        {"service": {"external_traffic_policy": "local"}},
        f"{GATEWAY}service.external_traffic_policy: 'local' is not valid; it must be one of Cluster, Local.",
    ),
    ({"service": None}, f"{GATEWAY}service: None is not valid; it must be a mapping."),
]


@pytest.mark.parametrize(("change", "said"), GATEWAYS, ids=lambda value: None)
def test_a_mistake_in_a_gateway(change, said):
    assert gateway_says({**EDGE, **change}) == [said]


def test_a_gateway_is_a_mapping_and_its_name_is_used_once():
    _found, findings = read_gateways(["edge", EDGE, EDGE])
    assert messages(findings) == [
        "VALUE_INVALID tcp_gateways[0]: gateway: 'edge' is not valid; a gateway is a mapping with a name.",
        "NAME_TAKEN gateway 'edge': the name 'edge' is used 2 times.",
    ]


@pytest.mark.parametrize(
    ("written", "read"), [("x", "x"), (5, "5"), (True, "true"), (False, "false"), ("true", "true")]
)
def test_annotations_are_texts_as_kubernetes_writes_them(written, read):
    # Azure makes a balancer internal for "true" only: "True" would be a public one.
    (found,), findings = read_gateways([{**EDGE, "service": {"annotations": {"a": written}}}])
    assert findings == []
    assert found["service"]["annotations"] == {"a": read}


def test_every_key_that_is_built_is_one_of_the_design():
    assert _gateways.GATEWAY_BUILT < _gateways.GATEWAY_KEYS
    assert _gateways.SERVICE_BUILT < _gateways.SERVICE_KEYS


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (8081, {8081}),
        ("8081", {8081}),
        ("8081-8083", {8081, 8082, 8083}),
        ([8081, "5400-5401"], {5400, 5401, 8081}),
        ([], set()),
        (None, set()),
        # A large pool may span Istio's own ports; those are never given out.
        ("14999-15100", set(range(14999, 15101))),
    ],
)
def test_a_pool_and_reservations(written, read):
    (found,), findings = read_gateways([{**EDGE, "pool": written, "reserved": written}])
    assert findings == []
    assert (found["pool"], found["reserved"]) == (read, read)


@pytest.mark.parametrize(("written", "read"), [(45, 45), ("45", 45), ("45s", 45), (" 0.5 s ", 0.5), (0.5, 0.5)])
def test_how_long_sessions_may_go_on(written, read):
    (found,), findings = read_gateways([{**EDGE, "drain": {"listener": written, "pod": written}}])
    assert findings == []
    assert found["drain"] == {"listener": read, "pod": read}


SMCP = {
    "name": "istio-ingressgateway",
    "namespace": "istio-system",
    "owner": "smcp",
    "control_plane": {"name": "basic"},
}
THEIRS = {"name": "edge", "namespace": "gateways", "owner": "existing"}
NOT_YOURS = "the gateway is somebody else's, and this is for its owner to say"


def test_a_control_plane_lies_in_its_gateway_s_namespace_unless_it_says():
    (found,), findings = read_gateways([SMCP])
    assert (findings, found["control_plane"]) == ([], {"name": "basic", "namespace": "istio-system"})
    (found,), _findings = read_gateways([{**SMCP, "control_plane": {"name": "basic", "namespace": "mesh"}}])
    assert found["control_plane"] == {"name": "basic", "namespace": "mesh"}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ({**THEIRS, "replicas": 2}, f"replicas: 2 is not valid; {NOT_YOURS}."),
        ({**THEIRS, "drain": {"pod": 9}}, f"drain: {{'pod': 9}} is not valid; {NOT_YOURS}."),
        ({**THEIRS, "service": {"type": "NodePort"}}, f"service.type: 'NodePort' is not valid; {NOT_YOURS}."),
        ({**THEIRS, "ports": "all"}, "ports: 'all' is not valid; it must be one of own, patch."),
        (
            {**THEIRS, "selector": {"app": 1}},
            "selector: {'app': 1} is not valid; it must be labels of the gateway's pods, texts by their names.",
        ),
        ({**EDGE_REFERENCE, "adopt": True, "image": "x"}, f"image: 'x' is not valid; {NOT_YOURS}."),
        (
            {**SMCP, "adopt": True},
            "adopt: True is not valid; the gateway of a control plane stays the control plane's.",
        ),
        (
            {**SMCP, "control_plane": None},
            "control_plane: None is not valid; the owner 'smcp' needs the name of the ServiceMeshControlPlane.",
        ),
        ({**SMCP, "service": {"max_ports": 9}}, f"service.max_ports: 9 is not valid; {NOT_YOURS}."),
    ],
)
def test_what_is_not_ours_to_say_of_somebody_else_s_gateway(raw, said):
    assert gateway_says(raw) == [f"VALUE_INVALID gateway {raw['name']!r}: {said}"]


@pytest.mark.parametrize(
    "raw", [THEIRS, {**SMCP, "service": {"annotations": {"a": "b"}}}, {**THEIRS, "ports": "patch"}]
)
def test_somebody_else_s_gateway_is_stored_and_read_back_as_it_was(raw):
    (gateway,), _findings = read_gateways([{**raw, "pool": "9000-9009"}])
    service = {"name": raw["name"], "namespace": raw["namespace"], "type": "ClusterIP"}
    stored = json.loads(stored_definition(gateway, "team-a"))
    assert stored["set"] == "team-a"
    found, findings = as_stored({"name": raw["name"], "namespace": raw["namespace"]}, {**service, "definition": stored})
    assert findings == []
    assert found == {**gateway, "refers": True}
