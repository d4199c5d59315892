# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every port map, whatever the records are."""

from __future__ import annotations

import json
import random

from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import (
    EDGE_REFERENCE,
    front,
    istio_gateway,
    own_port,
    record,
    service_port,
    state,
)
from hypothesis import given
from hypothesis import strategies as st

# Few numbers and names, so that they meet: privileged ones, what those fall on, and the edges of Istio's own range.
NUMBERS = [1, 5, 22, 23, 1005, 1023, 1024, 8081, 10005, 10022, 10023, 11005, 11022, 14999, 15005, 15100, 20022, 65535]
ports = st.sampled_from(NUMBERS)
high_ports = st.sampled_from([port for port in NUMBERS if port >= 1024])
names = st.sampled_from("abcdefgh") | st.text(min_size=1, max_size=80).filter(
    lambda text: text.strip() and text.isprintable()
)
a_record = st.builds(
    lambda name, port, target: record(name, port, **({"target_port": target} if target else {})),
    names,
    ports,
    st.none() | st.none() | high_ports,
)
# A name twice is an error, so nothing is promised of it.
record_lists = st.lists(a_record, max_size=12, unique_by=lambda item: item["name"])
# Others on the same gateway: Service ports of another set and of a hand, and servers of a foreign Gateway.
foreign = st.lists(st.tuples(ports, high_ports, st.sampled_from(["set", "hand", "gateway"])), max_size=4)


def cluster(others, own=()):
    """Return a cluster with others' ports, and with our own as a port map wrote them."""
    shown = {item["port"]: own_port(item["name"], item["port"], item["target_port"]) for item in own}
    servers, managers = [], {"servicemesh.tcp/default": sorted(shown)}
    for port, target, how in others:
        if how == "gateway":
            servers.append(("foreign", port))
        elif port not in shown:
            shown[port] = service_port(port, target, f"foreign-{port}")
            if how == "set":
                managers.setdefault("servicemesh.tcp/other", []).append(port)
    theirs = istio_gateway(*servers, name="theirs", namespace="elsewhere", labels={})
    return state(front(shown.values(), managers), gateways=[theirs])


def mapped(records, seen):
    """Return the port map on gateway edge."""
    return port_map(records, [EDGE_REFERENCE], seen)


@given(record_lists, foreign)
def test_no_two_records_share_a_port_or_a_target_and_none_takes_another_s(records, others):
    found = mapped(records, cluster(others))["ports"]
    numbers = [item["port"] for item in found]
    chosen = [item["target_port"] for item in found]
    assert len(set(numbers)) == len(numbers)
    assert len(set(chosen)) == len(chosen)
    held_ports = {port for port, _target, _how in others}
    held_targets = {target for _port, target, how in others if how != "gateway"}
    # The first of two foreign entries of one port is the one that is on the cluster.
    shown = {item["port"]: item["target_port"] for item in cluster(others)["services"][1]["ports"]}
    held_targets &= set(shown.values())
    held_targets |= {shown.get(port, port) for port, _target, how in others if how == "gateway"}
    assert not held_ports & set(numbers)
    assert not held_targets & set(chosen)


@given(record_lists, foreign)
def test_no_listener_is_privileged_or_on_istio_s_own_ports(records, others):
    for item in mapped(records, cluster(others))["ports"]:
        assert item["target_port"] >= 1024
        assert not 15000 <= item["target_port"] <= 15099
        assert not 15000 <= item["port"] <= 15099


@given(record_lists, foreign, st.randoms(use_true_random=False))
def test_the_order_of_records_does_not_change_a_byte(records, others, chance: random.Random):
    shuffled = list(records)
    chance.shuffle(shuffled)
    seen = cluster(others)
    one, other = mapped(records, seen), mapped(shuffled, seen)
    assert json.dumps(one["ports"]) == json.dumps(other["ports"])
    assert sorted(map(json.dumps, one["findings"])) == sorted(map(json.dumps, other["findings"]))


@given(record_lists, foreign)
def test_the_same_input_gives_the_same_bytes_and_is_left_as_it_was(records, others):
    seen = cluster(others)
    before = json.dumps([records, seen])
    assert json.dumps(mapped(records, seen)) == json.dumps(mapped(records, seen))
    assert json.dumps([records, seen]) == before


@given(record_lists, record_lists, foreign)
def test_more_records_never_move_the_target_of_one_that_is_shown(records, more, others):
    first = mapped(records, cluster(others))["ports"]
    known = {item["name"] for item in first} | {item["name"] for item in records}
    numbers = {item["port"] for item in first}
    more = [item for item in more if item["name"] not in known and item["port"] not in numbers]
    again = mapped([*more, *records], cluster(others, first))
    chosen = {item["name"]: item["target_port"] for item in again["ports"]}
    refused = {item["subject"] for item in again["findings"]}
    for item in first:
        # Two given target ports that meet are refused, which moves nothing either.
        assert chosen.get(item["name"]) == item["target_port"] or f"record {item['name']!r}" in refused


@given(record_lists, foreign)
def test_a_second_run_maps_the_same(records, others):
    first = mapped(records, cluster(others))
    assert mapped(records, cluster(others, first["ports"])) == first
