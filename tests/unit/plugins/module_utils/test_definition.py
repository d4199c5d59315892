# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One definition of a shared gateway: written beside it, read by every set."""

from __future__ import annotations

import json

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _definition
from ansible_collections.servicemesh.tcp.plugins.module_utils._gateway_plan import gateway_plan
from ansible_collections.servicemesh.tcp.plugins.module_utils._gateways import as_stored, read_gateways
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.plugins.modules import mesh_state
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import (
    EDGE,
    EDGE_REFERENCE,
    front,
    messages,
    owned_front,
    record,
    state,
)
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import Killed
from ansible_collections.servicemesh.tcp.tests.unit.plugins.whole_runs import make_gateways, mesh_cluster, publish

FULL = {
    **EDGE,
    "pool": [9000, "8081-8085", 8086],
    "strict_pool": True,
    "reserved": ["8083", 22],
    "claims": [{"sets": "red", "namespaces": ["b", "a"], "ports": [9, "1-3"], "max": "4"}, {}],
    "drain": {"listener": "45s", "pod": 6.5},
    "service": {
        "type": "LoadBalancer",
        "annotations": {"a": True},
        "class": "io.cilium/x",
        "source_ranges": ["10.0.0.0/8"],
        "external_ips": ["198.18.0.9"],
        "external_traffic_policy": "Local",
        "allocate_node_ports": False,
        "max_ports": 50,
        "provider": "in-cluster",
        "limits": {"listeners": 40, "node_ports": "30000-30099"},
    },
    "replicas": 2,
}
RULES = ("pool", "strict_pool", "reserved", "claims", "drain", "service")


def read(raw):
    """Return one gateway as it is read."""
    (found,), findings = read_gateways([raw])
    assert findings == []
    return found


def test_what_is_stored():
    assert json.loads(_definition.stored_definition(read(FULL))) == {
        "pool": ["8081-8086", 9000],
        "strict_pool": True,
        "reserved": [22, 8083],
        "claims": [{"sets": ["red"], "namespaces": ["a", "b"], "ports": ["1-3", 9], "max": 4}, {}],
        "drain": {"listener": 45, "pod": 6.5},
        "service": {**FULL["service"], "annotations": {"a": "true"}},
        "replicas": 2,
    }
    assert _definition.stored_definition(read(EDGE)) == '{"service":{"type":"LoadBalancer"}}'


@pytest.mark.parametrize(
    "raw",
    [FULL, EDGE, {**EDGE, "pool": 5}, {**EDGE, "service": {"type": "ClusterIP"}}, {**EDGE, "reserved": "1-65535"}],
    ids=range(5),
)
def test_what_is_stored_is_read_again_as_it_was(raw):
    stored = _definition.read_stored(_definition.stored_definition(read(raw)))
    found, findings = as_stored(read(EDGE_REFERENCE), front(definition=stored))
    assert findings == []
    assert {key: found[key] for key in RULES} == {key: read(raw)[key] for key in RULES}
    assert found["refers"] is True
    # The same gateway gives the same bytes, in whatever order it was written.
    assert _definition.stored_definition(found) == _definition.stored_definition(read(raw))


def test_a_gateway_of_before_has_the_type_of_its_service():
    found, findings = as_stored(read(EDGE_REFERENCE), front(type="NodePort"))
    assert (found["service"]["type"], found["pool"], findings) == ("NodePort", frozenset(), [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "VALUE_INVALID {}: definition: '{{' is not valid; it must be the JSON that role gateways writes."),
        ("[]", "VALUE_INVALID {}: definition: '[]' is not valid; it must be the JSON that role gateways writes."),
        (
            '{"pool":"9-5"}',
            "VALUE_INVALID {}: pool: '9-5' is not valid; a range goes from its lowest port to its highest.",
        ),
        ('{"pol":5}', "KEY_UNKNOWN {}: 'pol' is not a known key; did you mean 'pool'?"),
    ],
)
def test_a_stored_definition_that_somebody_broke(text, said):
    seen = state(front(definition=_definition.read_stored(text)))
    subject = "Service gateways/edge, its annotation servicemesh.tcp/definition"
    assert messages(port_map([record()], [EDGE_REFERENCE], seen)["findings"]) == [said.format(subject)]
    # Who defines the gateway goes by what is in hand, and so mends it.
    assert port_map([record()], [EDGE], seen)["findings"] == []


STORED = {"pool": [7001, 7002], "reserved": [7001], "service": {"type": "LoadBalancer", "max_ports": 3}}


def test_a_set_that_only_refers_goes_by_the_stored_definition():
    seen = state(front(definition=STORED))
    found = port_map([record("a", "auto"), record("b", 9)], [EDGE_REFERENCE], seen)
    assert found["findings"] == []
    assert [(item["name"], item["port"]) for item in found["ports"]] == [("b", 9), ("a", 7002)]
    assert found["gateways"][0]["service"]["max_ports"] == 3
    refused = port_map([record("a", 7001)], [EDGE_REFERENCE], seen)
    assert [item["code"] for item in refused["findings"]] == ["PORT_RESERVED_BY_GATEWAY"]


def test_the_definition_in_hand_goes_before_the_stored_one():
    seen = state(front(definition=STORED))
    found = port_map([record("a", "auto"), record("b", 7001)], [{**EDGE, "pool": 5}], seen)
    assert found["findings"] == []
    assert [(item["name"], item["port"]) for item in found["ports"]] == [("a", 5), ("b", 7001)]


def test_without_the_gateway_nothing_is_said_of_its_pool():
    found = port_map([record("a", "auto")], [EDGE_REFERENCE], state())
    assert [item["code"] for item in found["findings"]] == ["GATEWAY_MISSING"]


def test_two_sets_share_a_pool_whichever_of_them_defines_it():
    edge = {**EDGE, "pool": "8081-8084"}
    api = mesh_cluster([edge])
    publish(api, [record("a", "auto"), record("b", "auto")], gateways=[EDGE_REFERENCE])
    publish(api, [record("a", "auto"), record("b", "auto")], "other", [EDGE_REFERENCE])
    listening = {
        item["name"]: [server["port"] for server in item["servers"]] for item in mesh_state.read(api)["gateways"]
    }
    assert sorted(listening.values()) == [[8081, 8082], [8083, 8084]]
    # Neither a second run nor another run of the gateway's definer changes anything.
    assert publish(api, [record("b", "auto"), record("a", "auto")], "other", [EDGE_REFERENCE]) == []
    assert make_gateways(api, [edge]) == []
    full = port_map([record("x", "auto")], [EDGE_REFERENCE], mesh_state.read(api), set_name="third")
    assert messages(full["findings"]) == [
        "POOL_EXHAUSTED gateway 'edge': its pool 8081-8084 (4 ports) has no port left for 1 of 'auto' (record 'x');"
        " held are 2 by set 'default' (Service gateways/edge), 2 by set 'other' (Service gateways/edge)."
    ]


def test_another_set_may_define_a_gateway_in_the_same_words():
    edge = {**FULL, "strict_pool": False, "claims": None, "service": {"type": "LoadBalancer"}}
    api = mesh_cluster([edge])
    same = {**edge, "pool": ["8081-8086", "9000"], "replicas": "2", "drain": {"pod": "6.5s", "listener": 45}}
    before = api.snapshot()
    assert make_gateways(api, [same], set_name="other") == []
    assert publish(api, [record("a", "auto")], "other", [same]) != []
    # Nor is it the other set's to remove.
    publish(api, [], "other", [same], allow_withdraw=["all"])
    assert make_gateways(api, [same], set_name="other", gateways_state="absent") == []
    assert api.snapshot() == before


@pytest.mark.parametrize(
    ("more", "differs"),
    [
        ({"replicas": 3}, "replicas"),
        ({"resources": {"limits": {"memory": "2Gi"}}, "pool": 9000}, "pool, resources"),
        ({"image": "registry.example.com/proxy", "service": {"type": "NodePort"}}, "image, service"),
    ],
)
def test_another_set_may_not_define_a_gateway_otherwise(more, differs):
    api = mesh_cluster([EDGE])
    found = gateway_plan([{**EDGE, **more}], mesh_state.read(api), "other")
    assert messages(found["findings"]) == [
        "GATEWAY_DEFINED_ELSEWHERE gateway 'edge': the gateway was defined by set 'default', and set 'other' defines it"
        f" otherwise: {differs}."
    ]


def test_a_run_stopped_after_any_write_finds_the_same_ports_again():
    edge = {**EDGE, "pool": "8081-8099"}
    records = [record("a", "auto"), record("ssh", ["auto", 22]), record("m", ["auto", "auto"])]
    whole = mesh_cluster([edge])
    writes = len(publish(whole, records, gateways=[edge]))
    for left in range(writes):
        api = mesh_cluster([edge])
        stop_after(api, left, records, edge)
        publish(api, list(reversed(records)), gateways=[edge])
        assert api.snapshot() == whole.snapshot()


def stop_after(api, left, records, edge):
    """Publish until so many writes are done."""
    api.writes_left = left
    with pytest.raises(Killed):
        publish(api, records, gateways=[edge])
    api.writes_left = None


def test_what_was_there_before_by_hand_is_gone_round():
    seen = state(owned_front(("x", 7002), set_name="hand"))
    seen["services"][1]["definition"] = STORED
    found = port_map([record("a", "auto")], [EDGE_REFERENCE], seen)
    assert [item["code"] for item in found["findings"]] == ["POOL_EXHAUSTED"]
