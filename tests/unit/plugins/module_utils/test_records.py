# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people write, read key by key: each mistake gives one sentence, good input its defaults."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _records
from ansible_collections.servicemesh.tcp.plugins.module_utils._records import read_gateways, read_records
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import BACKEND, EDGE, messages, record

LABEL_RULE = "it must be 1 to 63 lower-case letters, digits or '-', and begin and end with a letter or digit"
RESERVED = "lies within 15000-15099, which Istio's proxy keeps for itself (15021 is its health port)."
NOT_BUILT = "is a key of the design, but this version of the collection does not build it yet."


def record_says(raw) -> list[str]:
    """Read one record that is refused, and return what is said of it."""
    records, findings = read_records([raw])
    assert records == []
    return messages(findings)


def gateway_says(raw) -> list[str]:
    """Read one gateway that is refused, and return what is said of it."""
    gateways, findings = read_gateways([raw])
    assert gateways == []
    return messages(findings)


def test_a_record_s_defaults():
    assert read_records([record()]) == (
        [
            {
                "name": "a",
                "gateway": "edge",
                "port": 8081,
                "target_port": None,
                "node_port": None,
                "protocol": "tcp",
                "probe": {"mode": "connect", "timeout": 5},
                "backend": {"namespace": "apps", "service": "echo", "port": 9000},
            }
        ],
        [],
    )


@pytest.mark.parametrize(("written", "read"), [(8081, 8081), ("8081", 8081), (" 8081 ", 8081), ("08081", 8081)])
def test_a_port_is_a_number_or_text(written, read):
    raw = record(port=written, target_port=written, node_port=written, backend={**BACKEND, "port": written})
    (found,), findings = read_records([raw])
    assert findings == []
    assert [found["port"], found["target_port"], found["node_port"], found["backend"]["port"]] == [read] * 4


@pytest.mark.parametrize(
    ("probe", "read"),
    [
        ({}, {"mode": "connect", "timeout": 5}),
        ({"mode": "none"}, {"mode": "none", "timeout": 5}),
        ({"timeout": 0.5}, {"mode": "connect", "timeout": 0.5}),
        ({"send": "hi"}, {"mode": "send", "send": "hi", "expect": "", "timeout": 5}),
        ({"mode": "send", "send": "hi", "expect": "/o/"}, {"mode": "send", "send": "hi", "expect": "/o/", "timeout": 5}),
    ],
)
def test_how_a_port_is_proven(probe, read):
    (found,), findings = read_records([record(probe=probe)])
    assert findings == []
    assert found["probe"] == read


@pytest.mark.parametrize("port", [1, 1023, 1024, 14999, 15100, 65535])
def test_ports_at_the_edges_are_taken(port):
    assert read_records([record(port=port)])[1] == []


INVALID = "VALUE_INVALID record 'a': "
RECORDS = [
    ({"port": 0}, ["PORT_OUT_OF_RANGE record 'a': port 0 is out of range; allowed is 1 to 65535."]),
    ({"port": -1}, ["PORT_OUT_OF_RANGE record 'a': port -1 is out of range; allowed is 1 to 65535."]),
    ({"port": "65536"}, ["PORT_OUT_OF_RANGE record 'a': port 65536 is out of range; allowed is 1 to 65535."]),
    ({"port": 15000}, [f"PORT_RESERVED record 'a': port 15000 {RESERVED}"]),
    ({"port": 15099}, [f"PORT_RESERVED record 'a': port 15099 {RESERVED}"]),
    ({"target_port": 15021}, [f"PORT_RESERVED record 'a': target_port 15021 {RESERVED}"]),
    (
        {"target_port": 1023},
        ["PORT_OUT_OF_RANGE record 'a': target_port 1023 is out of range; allowed is 1024 to 65535."],
    ),
    ({"node_port": 0}, ["PORT_OUT_OF_RANGE record 'a': node_port 0 is out of range; allowed is 1 to 65535."]),
    ({"port": None}, [f"{INVALID}port: None is not valid; a port is a whole number."]),
    ({"port": True}, [f"{INVALID}port: True is not valid; a port is a whole number."]),
    ({"port": 80.0}, [f"{INVALID}port: 80.0 is not valid; a port is a whole number."]),
    ({"port": "http"}, [f"{INVALID}port: 'http' is not valid; a port is a whole number."]),
    ({"port": "auto"}, [f"KEY_NOT_BUILT record 'a': 'port: auto' {NOT_BUILT}"]),
    ({"port": "30100-30120"}, [f"KEY_NOT_BUILT record 'a': 'port: 30100-30120' {NOT_BUILT}"]),
    ({"port": [1, 2]}, [f"KEY_NOT_BUILT record 'a': 'port: [1, 2]' {NOT_BUILT}"]),
    ({"timeouts": {}}, [f"KEY_NOT_BUILT record 'a': 'timeouts' {NOT_BUILT}"]),
    ({"backnd": {}}, ["KEY_UNKNOWN record 'a': 'backnd' is not a known key; did you mean 'backend'?"]),
    ({"protocol": "tls"}, [f"{INVALID}protocol: 'tls' is not valid; it must be one of tcp."]),
    ({"gateway": "Edge"}, [f"{INVALID}gateway: 'Edge' is not valid; {LABEL_RULE}."]),
    ({"gateway": None}, [f"{INVALID}gateway: None is not valid; {LABEL_RULE}."]),
    (
        {"backend": {**BACKEND, "service": "x" * 64}},
        [f"{INVALID}backend.service: {'x' * 64!r} is not valid; {LABEL_RULE}."],
    ),
    (
        {"backend": {**BACKEND, "namespace": "-a"}},
        [f"{INVALID}backend.namespace: '-a' is not valid; {LABEL_RULE}."],
    ),
    (
        {"backend": {**BACKEND, "prt": 1}},
        ["KEY_UNKNOWN record 'a': 'backend.prt' is not a known key; did you mean 'port'?"],
    ),
    ({"probe": "none"}, [f"{INVALID}probe: 'none' is not valid; it must be a mapping."]),
    (
        {"probe": {"mode": "ping"}},
        [f"{INVALID}probe.mode: 'ping' is not valid; it must be one of connect, send, none."],
    ),
    (
        {"probe": {"mode": "send"}},
        [f"{INVALID}probe.send: None is not valid; mode 'send' needs the text to send."],
    ),
    (
        {"probe": {"send": "a", "expect": 5}},
        [f"{INVALID}probe.expect: 5 is not valid; it must be a text, or a pattern between slashes."],
    ),
    (
        {"probe": {"mode": "none", "send": "x"}},
        [f"{INVALID}probe.send: 'x' is not valid; it has no meaning with mode 'none'."],
    ),
    ({"probe": {"from": "pod"}}, [f"KEY_NOT_BUILT record 'a': 'probe.from' {NOT_BUILT}"]),
    *(
        ({"probe": {"timeout": bad}}, [f"{INVALID}probe.timeout: {bad!r} is not valid; it must be a number of seconds above 0."])
        for bad in (0, -1, True, "5", None, float("nan"), float("inf"))
    ),
]


@pytest.mark.parametrize(("change", "said"), RECORDS, ids=lambda value: None)
def test_a_mistake_in_a_record(change, said):
    assert record_says(record(**change)) == said


def test_an_unknown_key_that_is_near_nothing_lists_all_that_are_known():
    (said,) = record_says(record(probe={"zzz": 1}))
    assert said == (
        "KEY_UNKNOWN record 'a': 'probe.zzz' is not a known key; known are expect, from, mode, send, timeout."
    )


@pytest.mark.parametrize("name", [None, "", "  ", 5, ["a"], "a\ud800", "a\nb"], ids=ascii)
def test_a_record_needs_a_name_that_people_can_read(name):
    said = record_says(record(name))
    assert len(said) == 1
    assert said[0].endswith(f"name: {name!r} is not valid; every record needs a name of printable characters.")


@pytest.mark.parametrize("name", ["ünïcode 🐘", "two words", "x" * 300, "5"], ids=ascii)
def test_odd_names_are_names(name):
    (found,), findings = read_records([record(name)])
    assert findings == []
    assert found["name"] == name


def test_a_record_without_a_name_is_told_by_its_place():
    _records_, findings = read_records([record(), {"gateway": "edge"}, "text"])
    assert {item["subject"] for item in findings} == {"tcp_ports[1]", "tcp_ports[2]"}
    assert messages(findings)[-1] == (
        "VALUE_INVALID tcp_ports[2]: record: 'text' is not valid; a record is a mapping with a name."
    )


def test_all_mistakes_of_all_records_are_told_at_once():
    raw = [record("a", 0, gatway="x"), record("b", 15021), record("c")]
    records, findings = read_records(raw)
    assert [item["name"] for item in records] == ["c"]
    assert [item["code"] for item in findings] == ["KEY_UNKNOWN", "PORT_OUT_OF_RANGE", "PORT_RESERVED"]


def test_a_name_twice_is_one_finding():
    _found, findings = read_records([record("a"), record("b", 1), record("a", 2), record("a", 3)])
    assert messages(findings) == ["NAME_TAKEN record 'a': the name 'a' is used 3 times."]
    assert findings[0]["remedy"] == "Names are unique: a record's name is unique in its set."


def test_a_gateway_s_defaults():
    (found,), findings = read_gateways([EDGE])
    assert findings == []
    assert found == {
        "name": "edge",
        "namespace": "gateways",
        "refers": False,
        "mesh": None,
        "service": {
            "type": "LoadBalancer",
            "annotations": {},
            "class": None,
            "source_ranges": [],
            "external_ips": [],
            "external_traffic_policy": None,
        },
        "replicas": 1,
        "autoscale": None,
        "resources": dict(_records.DEFAULT_RESOURCES),
        "image": "auto",
        "image_pull_policy": "IfNotPresent",
    }


@pytest.mark.parametrize(
    ("more", "refers"), [({}, True), ({"replicas": 2}, False), ({"service": {}}, False), ({"owner": "injection"}, False)]
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
    ({"owner": "smcp"}, f"KEY_NOT_BUILT gateway 'edge': 'owner: smcp' {NOT_BUILT}"),
    ({"owner": "me"}, f"{GATEWAY}owner: 'me' is not valid; it must be one of injection."),
    ({"pool": []}, f"KEY_NOT_BUILT gateway 'edge': 'pool' {NOT_BUILT}"),
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


def test_every_key_that_is_built_is_one_of_the_design():
    assert _records.RECORD_BUILT < _records.RECORD_KEYS
    assert _records.GATEWAY_BUILT < _records.GATEWAY_KEYS
    assert _records.SERVICE_BUILT < _records.SERVICE_KEYS
