# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Port records, read key by key: each mistake gives one sentence, good input its defaults."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._ranges import AUTO_RULE, PORTS_RULE
from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import DNS_LABEL_RULE as LABEL_RULE
from ansible_collections.servicemesh.tcp.plugins.module_utils._records import (
    PROBE_KEYS,
    PROBE_MODES,
    RECORD_BUILT,
    RECORD_KEYS,
    entries,
    read_records,
)
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import BACKEND, messages, record

RESERVED = "lies within 15000-15099, which Istio's proxy keeps for itself (15021 is its health port)."
NOT_BUILT = "is a key of the design, but this version of the collection does not build it yet."


def record_says(raw) -> list[str]:
    """Read one record that is refused, and return what is said of it."""
    records, findings = read_records([raw])
    assert records == []
    return messages(findings)


def test_a_record_s_defaults():
    assert read_records([record()]) == (
        [
            {
                "name": "a",
                "gateway": "edge",
                "ports": [8081],
                "target_ports": [None],
                "node_ports": [None],
                "protocol": "tcp",
                "tls": None,
                "http": None,
                "probe": {"mode": "connect", "timeout": 5},
                "was": None,
                "adopt": False,
                "fix_protocol": False,
                "backend": {"namespace": "apps", "service": "echo", "ports": [9000]},
            }
        ],
        [],
    )


@pytest.mark.parametrize(("written", "read"), [(8081, 8081), ("8081", 8081), (" 8081 ", 8081), ("08081", 8081)])
def test_a_port_is_a_number_or_text(written, read):
    raw = record(port=written, target_port=written, node_port=written, backend={**BACKEND, "port": written})
    (found,), findings = read_records([raw])
    assert findings == []
    assert [found["ports"], found["target_ports"], found["node_ports"], found["backend"]["ports"]] == [[read]] * 4


@pytest.mark.parametrize(
    ("probe", "read"),
    [
        ({}, {"mode": "connect", "timeout": 5}),
        ({"mode": "none"}, {"mode": "none", "timeout": 5}),
        ({"timeout": 0.5}, {"mode": "connect", "timeout": 0.5}),
        ({"mode": "postgres", "calls": "3"}, {"mode": "postgres", "calls": "3", "timeout": 5}),
        ({"timeout": "2.5"}, {"mode": "connect", "timeout": 2.5}),
        ({"send": "hi"}, {"mode": "send", "send": "hi", "timeout": 5}),
        (
            {"mode": "send", "send": "hi", "expect": "/o/"},
            {"mode": "send", "send": "hi", "expect": "/o/", "timeout": 5},
        ),
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
RANGE_RULE = "a range goes from its lowest port to its highest"
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
    ({"port": None}, [f"{INVALID}port: None is not valid; {AUTO_RULE}."]),
    ({"port": True}, [f"{INVALID}port: True is not valid; {AUTO_RULE}."]),
    ({"port": 80.0}, [f"{INVALID}port: 80.0 is not valid; {AUTO_RULE}."]),
    ({"port": "http"}, [f"{INVALID}port: 'http' is not valid; {AUTO_RULE}."]),
    ({"port": []}, [f"{INVALID}port: [] is not valid; an empty list has no port."]),
    ({"port": [[1]]}, [f"{INVALID}port: [1] is not valid; {AUTO_RULE}."]),
    ({"port": "5-"}, [f"{INVALID}port: '5-' is not valid; {AUTO_RULE}."]),
    ({"port": "9-5"}, [f"{INVALID}port: '9-5' is not valid; a range goes from its lowest port to its highest."]),
    ({"port": "0-5"}, ["PORT_OUT_OF_RANGE record 'a': port 0-5 is out of range; allowed is 1 to 65535."]),
    (
        {"port": " 65530-65540 "},
        ["PORT_OUT_OF_RANGE record 'a': port 65530-65540 is out of range; allowed is 1 to 65535."],
    ),
    ({"port": "14990-15010"}, [f"PORT_RESERVED record 'a': port 15000 of 14990-15010 {RESERVED}"]),
    ({"port": "15098-15110"}, [f"PORT_RESERVED record 'a': port 15098 of 15098-15110 {RESERVED}"]),
    (
        {"port": [5, "1-9", "auto", "8-10", 20]},
        [f"{INVALID}port: [5, '1-9', 'auto', '8-10', 20] is not valid; 5, 8-9 stands in it more than once."],
    ),
    # One mistake, one finding: nothing is said of lengths besides.
    ({"port": "9-5", "target_port": "2000-2004"}, [f"{INVALID}port: '9-5' is not valid; {RANGE_RULE}."]),
    ({"port": "1-5", "target_port": "9-5"}, [f"{INVALID}target_port: '9-5' is not valid; {RANGE_RULE}."]),
    (
        {"port": "1-5", "target_port": "2000-2003"},
        [f"{INVALID}target_port: '2000-2003' is not valid; the record has 5 ports and this has 4."],
    ),
    (
        {"port": "1-5", "target_port": 2000},
        [f"{INVALID}target_port: 2000 is not valid; the record has 5 ports and this has 1."],
    ),
    (
        {"port": ["auto", "auto"], "node_port": [30001]},
        [f"{INVALID}node_port: [30001] is not valid; the record has 2 ports and this has 1."],
    ),
    (
        {"port": ["auto", "auto"], "backend": {**BACKEND, "port": "9000-9002"}},
        [f"{INVALID}backend.port: '9000-9002' is not valid; the record has 2 ports and this has 3."],
    ),
    ({"backend": {**BACKEND, "port": "auto"}}, [f"{INVALID}backend.port: 'auto' is not valid; {PORTS_RULE}."]),
    (
        {"port": "1-2", "target_port": [3000, 3000]},
        [f"{INVALID}target_port: [3000, 3000] is not valid; 3000 stands in it more than once."],
    ),
    *(
        (
            {"was": bad},
            [f"{INVALID}was: {bad!r} is not valid; it is the name that the record had before, another one than now."],
        )
        for bad in ("a", "", " ", 5, ["b"])
    ),
    ({"timeouts": {}}, [f"KEY_NOT_BUILT record 'a': 'timeouts' {NOT_BUILT}"]),
    ({"backnd": {}}, ["KEY_UNKNOWN record 'a': 'backnd' is not a known key; did you mean 'backend'?"]),
    (
        {"protocol": "udp"},
        [
            "PROTOCOL_UDP record 'a': protocol is udp, and no Istio gateway carries UDP: Envoy's listeners from a"
            " Gateway are TCP."
        ],
    ),
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
        [f"{INVALID}probe.mode: 'ping' is not valid; it must be one of {', '.join(PROBE_MODES)}."],
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
    (
        {"probe": {"mode": "postgres", "send": "x"}},
        [f"{INVALID}probe.send: 'x' is not valid; it has no meaning with mode 'postgres'."],
    ),
    (
        {"probe": {"from": "pod"}},
        [f"{INVALID}probe.from: 'pod' is not valid; it must be one of controller, cluster."],
    ),
    (
        {"probe": {"from": "cluster", "send": "x", "half_close": True}},
        [f"{INVALID}probe.half_close: True is not valid; it is not possible with from: cluster."],
    ),
    (
        {"probe": {"from": "cluster", "proxy_protocol": "v1"}},
        [f"{INVALID}probe.proxy_protocol: 'v1' is not valid; it is not possible with from: cluster."],
    ),
    *(
        (
            {"probe": {"timeout": bad}},
            [f"{INVALID}probe.timeout: {bad!r} is not valid; it must be a number of seconds above 0."],
        )
        for bad in (0, -1, True, "0", "soon", None, [], float("nan"), float("inf"))
    ),
]


@pytest.mark.parametrize(("change", "said"), RECORDS, ids=lambda value: None)
def test_a_mistake_in_a_record(change, said):
    assert record_says(record(**change)) == said


def test_an_unknown_key_that_is_near_nothing_lists_all_that_are_known():
    (said,) = record_says(record(probe={"zzz": 1}))
    assert said == (
        "KEY_UNKNOWN record 'a': 'probe.zzz' is not a known key; known are " + ", ".join(sorted(PROBE_KEYS)) + "."
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
    _read, findings = read_records([record(), {"gateway": "edge"}, "text"])
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


def test_a_record_without_a_backend_is_one_finding():
    raw = {"name": "a", "gateway": "edge", "port": 8081}
    assert record_says(raw) == [
        "VALUE_INVALID record 'a': backend: None is not valid; every record needs its backend: namespace, service and"
        " port, or host and port."
    ]


@pytest.mark.parametrize("key", ["backnd", "backends"])
def test_a_key_in_the_place_of_the_backend_is_the_only_finding(key):
    assert len(record_says({"name": "a", "gateway": "edge", "port": 8081, key: dict(BACKEND)})) == 1


@pytest.mark.parametrize(("send", "expect"), [("a\\xZZ", ""), ("hi", "/(/"), ("hi", "/a")])
def test_what_the_proof_could_not_send_or_match_is_found_before_anything_is_written(send, expect):
    records, findings = read_records([record(probe={"send": send, "expect": expect})])
    if expect == "/a":
        # Without its second slash it is a text like any other.
        assert (len(records), findings) == (1, [])
    else:
        assert [item["code"] for item in findings] == ["VALUE_INVALID"]
        assert findings[0]["message"].startswith("record 'a': probe: ")


def test_every_key_that_is_built_is_one_of_the_design():
    assert RECORD_BUILT < RECORD_KEYS


@pytest.mark.parametrize(
    ("change", "read"),
    [
        ({"port": "30100-30102"}, [(30100, None, None, 9000), (30101, None, None, 9000), (30102, None, None, 9000)]),
        ({"port": " 7 - 8 "}, [(7, None, None, 9000), (8, None, None, 9000)]),
        ({"port": ["21", "40-41"]}, [(21, None, None, 9000), (40, None, None, 9000), (41, None, None, 9000)]),
        ({"port": "auto"}, [(None, None, None, 9000)]),
        ({"port": ["auto", 7, "auto"]}, [(None, None, None, 9000), (7, None, None, 9000), (None, None, None, 9000)]),
        # By position, in the order in which they are written.
        (
            {"port": [9, 7], "target_port": "2000-2001", "node_port": ["30009", 30007]},
            [(9, 2000, 30009, 9000), (7, 2001, 30007, 9000)],
        ),
        (
            {"port": "7-9", "backend": {**BACKEND, "port": "9000-9002"}},
            [(7, None, None, 9000), (8, None, None, 9001), (9, None, None, 9002)],
        ),
        # Two ports may lead to one and the same.
        (
            {"port": ["auto", "auto"], "backend": {**BACKEND, "port": [9001, 9001]}},
            [(None, None, None, 9001), (None, None, None, 9001)],
        ),
    ],
)
def test_the_ports_of_a_record(change, read):
    (found,), findings = read_records([record(**change)])
    assert findings == []
    shown = [(item["port"], item["target_port"], item["node_port"], item["backend"]["port"]) for item in entries(found)]
    assert shown == read


@pytest.mark.parametrize(
    ("records", "said"),
    [
        (
            [record("a"), record("b", was="a")],
            ["WAS_TAKEN record 'b': it says that it was 'a', but the set has a record of that name."],
        ),
        (
            [record("b", was="old"), record("a", was="old")],
            ["WAS_TAKEN record 'b': it says that it was 'old', but so was record 'a'."],
        ),
        ([record("a", was="old"), record("b", was="older")], []),
    ],
)
def test_a_former_name_is_nobody_else_s(records, said):
    _found, findings = read_records(records)
    assert messages(findings) == said
