# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Claims of a gateway: who may publish on it, which ports, and how many."""

from __future__ import annotations

from collections import Counter

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._claims import Claims
from ansible_collections.servicemesh.tcp.plugins.module_utils._definition import read_stored, stored_definition
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import render
from ansible_collections.servicemesh.tcp.plugins.module_utils._gateways import read_gateways
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import (
    EDGE,
    EDGE_REFERENCE,
    deployment,
    front,
    istio_gateway,
    messages,
    owned_front,
    record,
    state,
)
from hypothesis import given
from hypothesis import strategies as st

APPS, ORDERS = "apps", "orders"
POOL = {"pool": "9000-9009"}


def wanted(name, port="auto", namespace=APPS):
    """Return a record whose backend is in a namespace."""
    return record(name, port, backend={"namespace": namespace, "service": "echo", "port": 9000})


def mapped(records, claims, set_name="default", cluster=None, **gateway):
    """Return the ports by record, and what is found, on gateway edge with these claims."""
    found = port_map(records, [{**EDGE, **POOL, **gateway, "claims": claims}], cluster, set_name)
    ports: dict[str, list[int]] = {}
    for item in found["ports"]:
        ports.setdefault(item["name"], []).append(item["port"])
    return ports, messages(found["findings"])


def test_a_claim_is_read_with_what_it_leaves_open_as_none():
    claims = [{"sets": "red", "namespaces": ["b", "a"], "ports": [22, "9000-9001"], "max": "3"}, {}]
    (gateway,), findings = read_gateways([{**EDGE, "claims": claims}])
    assert findings == []
    assert gateway["claims"] == [
        {"sets": ["red"], "namespaces": ["a", "b"], "ports": frozenset({22, 9000, 9001}), "max": 3},
        {"sets": None, "namespaces": None, "ports": None, "max": None},
    ]


def test_a_gateway_without_claims_is_open_to_all():
    (gateway,), _findings = read_gateways([EDGE])
    assert gateway["claims"] is None
    assert mapped([wanted("a"), wanted("b", 22)], None) == ({"a": [9000], "b": [22]}, [])


INVALID = "VALUE_INVALID gateway 'edge': "
MISTAKES = [
    ([], "claims: [] is not valid; it must be a list of claims; leave it out to let everybody publish."),
    (
        {"max": 1},
        "claims: {'max': 1} is not valid; it must be a list of claims; leave it out to let everybody publish.",
    ),
    (["red"], "claims[0]: 'red' is not valid; it must be a mapping."),
    ([{"max": 0}], "claims[0].max: 0 is not valid; it must be a whole number from 1 on."),
    ([{}, {"sets": []}], "claims[1].sets: [] is not valid; an empty list opens nothing; leave it out to mean any."),
    (
        [{"ports": "9-1"}],
        "claims[0].ports: '9-1' is not valid; a range goes from its lowest port to its highest.",
    ),
]


@pytest.mark.parametrize(("claims", "said"), MISTAKES, ids=lambda value: None)
def test_a_mistake_in_the_claims(claims, said):
    _found, findings = read_gateways([{**EDGE, "claims": claims}])
    assert messages(findings) == [INVALID + said]


def test_an_unknown_key_of_a_claim_is_named():
    _found, findings = read_gateways([{**EDGE, "claims": [{"set": "red"}]}])
    assert messages(findings) == [
        "KEY_UNKNOWN gateway 'edge': 'claims[0].set' is not a known key; did you mean 'sets'?"
    ]


def test_a_set_without_a_claim_publishes_nothing():
    found = port_map([wanted("a", 9005), wanted("b")], [{**EDGE, **POOL, "claims": [{"sets": "red"}]}], None, "blue")
    assert found["ports"] == []
    rest = "of gateway edge is not open to set 'blue' for backends in namespace 'apps'; its claims open none."
    remedy = "Choose ports that are open, or have a claim added where the gateway is defined."
    assert render(found["findings"]).splitlines() == [
        f"CLAIM_MISSING record 'a': port 9005 {rest} {remedy}",
        f"CLAIM_MISSING record 'b': port auto {rest} {remedy}",
    ]


def test_a_port_that_no_claim_opens_is_refused_also_where_others_are_open():
    ports, said = mapped([wanted("a", [9000, 9004, 9005])], [{"ports": ["9000-9003", 22]}])
    assert ports == {"a": [9000]}
    assert said == [
        "CLAIM_MISSING record 'a': port 9004-9005 of gateway edge is not open to set 'default' for backends in"
        " namespace 'apps'; its claims open 22, 9000-9003."
    ]


def test_the_namespace_is_that_of_the_backend():
    claims = [{"namespaces": ORDERS, "ports": "9000-9004"}, {"namespaces": APPS, "ports": "9005-9009"}]
    assert mapped([wanted("a"), wanted("b", namespace=ORDERS), wanted("c")], claims) == (
        {"a": [9005], "b": [9000], "c": [9006]},
        [],
    )


def test_namespaces_with_the_same_claims_share_the_ports_without_taking_one_twice():
    records = [wanted(name, namespace=namespace) for name, namespace in zip("abcd", [APPS, ORDERS] * 2, strict=True)]
    assert mapped(records, [{"ports": "9002-9009"}]) == ({"a": [9002], "b": [9003], "c": [9004], "d": [9005]}, [])


def test_claims_that_overlap_hand_out_a_port_once():
    claims = [{"namespaces": ORDERS, "ports": "9000-9001"}, {"ports": "9000-9003"}]
    assert mapped([wanted("a"), wanted("b", namespace=ORDERS), wanted("c")], claims) == (
        {"a": [9000], "b": [9001], "c": [9002]},
        [],
    )


def test_the_first_claim_that_matches_counts_and_a_full_one_is_passed_over_by_auto():
    claims = [{"ports": "9000-9004", "max": 2}, {}]
    assert mapped([wanted("a"), wanted("b"), wanted("c")], claims) == ({"a": [9000], "b": [9001], "c": [9005]}, [])


def test_more_ports_than_a_claim_lets_one_set_have():
    found = port_map([wanted("b", "9001-9002"), wanted("a", 9000)], [{**EDGE, "claims": [{"max": 2}]}])
    assert render(found["findings"]) == (
        "CLAIM_EXCEEDED gateway 'edge': its claims[0] lets a set publish at most 2 ports, and set 'default' asks for 3"
        " ('a', 'b'). Withdraw ports, or have the claim's max raised where the gateway is defined."
    )


def test_auto_beyond_the_maximum_finds_no_port_left():
    _ports, said = mapped([wanted("a"), wanted("b"), wanted("c")], [{"max": 2}])
    assert said == [
        "POOL_EXHAUSTED gateway 'edge': its pool 9000-9009 (10 ports) has no port left for 1 of 'auto' (record 'c');"
        " held are 8 by the gateway's claims, 2 by records of this run."
    ]


def test_the_maximum_counts_a_set_alone():
    theirs = [("x", 9000), ("y", 9001)]
    cluster = state(
        owned_front(*theirs, set_name="red"),
        gateways=[istio_gateway(*theirs, set_name="red")],
        deployments=[deployment("blue")],
    )
    ports, said = mapped([wanted("a")], [{"max": 1}], "blue", cluster)
    assert (ports, said) == ({"a": [9002]}, [])


def test_a_claim_that_was_taken_away_refuses_the_port_and_does_not_move_it():
    cluster = state(owned_front(("a", 9000)), gateways=[istio_gateway(("a", 9000))])
    _ports, said = mapped([wanted("a")], [{"ports": "9005-9009"}], cluster=cluster)
    assert said == [
        "CLAIM_MISSING record 'a': port 9000 of gateway edge is not open to set 'default' for backends in namespace"
        " 'apps'; its claims open 9005-9009."
    ]


def test_a_set_that_only_refers_is_bound_by_the_claims_that_are_stored():
    edge = {**EDGE, **POOL, "claims": [{"sets": "blue", "namespaces": APPS, "ports": "9004-9006", "max": 2}]}
    (read,), _findings = read_gateways([edge])
    seen = state(front(definition=read_stored(stored_definition(read))))

    def published(set_name, *records):
        found = port_map(records, [EDGE_REFERENCE], seen, set_name)
        return [item["port"] for item in found["ports"]], [item["code"] for item in found["findings"]]

    assert published("blue", wanted("a"), wanted("b")) == ([9004, 9005], [])
    assert published("blue", wanted("a", "9004-9006"))[1] == ["CLAIM_EXCEEDED"]
    assert published("blue", wanted("a", 9000)) == ([], ["CLAIM_MISSING"])
    assert published("red", wanted("a")) == ([], ["CLAIM_MISSING"])


def test_namespaces_with_claims_of_their_own_look_at_their_own_ports_only():
    # Work is counted, not timed: a claim for each namespace must not mean the whole pool for each.
    looks = 0

    class Taken(dict):
        def __contains__(self, port):
            nonlocal looks
            looks += 1
            return super().__contains__(port)

    claims = [{"namespaces": f"ns{n}", "ports": f"{20000 + n * 10}-{20009 + n * 10}"} for n in range(100)]
    (read,), _findings = read_gateways([{**EDGE, "claims": claims}])
    these = Claims(read, "default")
    these.offer(range(20000, 21000))
    picked = [these.pick(f"ns{n}", Taken()) for n in range(100) for _turn in range(10)]
    assert picked == list(range(20000, 21000))
    assert looks == 1000


some_names = st.none() | st.lists(st.sampled_from([APPS, ORDERS]), min_size=1, max_size=2, unique=True)
some_ports = st.none() | st.lists(st.integers(9000, 9011), min_size=1, max_size=6, unique=True)
some_claims = st.lists(
    st.fixed_dictionaries({"namespaces": some_names, "ports": some_ports, "max": st.none() | st.integers(1, 4)}),
    min_size=1,
    max_size=4,
)
some_records = st.lists(
    st.builds(
        wanted,
        st.sampled_from("abcdefgh"),
        st.sampled_from(["auto", "auto", ["auto", "auto"], 9001, 9005, "9010-9011"]),
        st.sampled_from([APPS, ORDERS]),
    ),
    max_size=6,
    unique_by=lambda item: item["name"],
)


def judge(claims, namespace, port):
    """Return the first claim that opens a port, found the long way."""
    for index, claim in enumerate(claims):
        if namespace in (claim["namespaces"] or [namespace]) and port in (claim["ports"] or [port]):
            return index
    return None


@given(some_claims, some_records, st.randoms(use_true_random=False))
def test_whatever_the_claims_are(claims, records, chance):
    gateway = {**EDGE, **POOL, "claims": [{k: v for k, v in claim.items() if v is not None} for claim in claims]}
    first = port_map(records, [gateway])
    # Every port is opened by a claim, and a claim that gave out too many is named.
    counted = Counter(judge(claims, item["backend"]["namespace"], item["port"]) for item in first["ports"])
    assert None not in counted
    over = [n for n, number in sorted(counted.items()) if claims[n]["max"] and number > claims[n]["max"]]
    named = [item["message"] for item in first["findings"] if item["code"] == "CLAIM_EXCEEDED"]
    assert [f"claims[{n}]" in text for n, text in zip(over, named, strict=True)] == [True] * len(over)
    # The order of the records is nothing; a second run keeps what the first one gave.
    shuffled = list(records)
    chance.shuffle(shuffled)
    assert port_map(shuffled, [gateway])["ports"] == first["ports"]
    if not first["findings"]:
        shown = [(item["name"], item["port"], item["target_port"]) for item in first["ports"]]
        pairs = [item[:2] for item in shown]
        seen = state(owned_front(*shown), gateways=[istio_gateway(*pairs)])
        again = {item["port"]: item["name"] for item in port_map(records, [gateway], seen)["ports"]}
        assert again == {port: name for name, port in pairs}
