# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every port map, whatever the records, the gateway's definition and the others on it are."""

from __future__ import annotations

import json
import random

from ansible_collections.servicemesh.tcp.plugins.module_utils._names import port_name, set_manager
from ansible_collections.servicemesh.tcp.plugins.module_utils._plan import exposure_plan
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import (
    EDGE,
    front,
    istio_gateway,
    own_port,
    record,
    service_port,
    state,
    virtual_service,
)
from hypothesis import given
from hypothesis import strategies as st

# Few numbers and names, so that they meet: privileged ones, what those fall on, and the edges of Istio's own range.
NUMBERS = [1, 5, 22, 23, 1005, 1023, 1024, 8081, 10005, 10022, 10023, 11005, 11022, 14999, 15005, 15100, 20022, 65535]
RANGES = ["20-24", "1020-1026", "8080-8083", "10020-10024", "14997-15000", "65533-65535"]
numbers = st.sampled_from(NUMBERS)
high_numbers = st.sampled_from([port for port in NUMBERS if port >= 1024])
spans = st.sampled_from(RANGES)
names = st.sampled_from("abcdefgh") | st.text(min_size=1, max_size=80).filter(
    lambda text: text.strip() and text.isprintable()
)
wanted_ports = numbers | spans | st.just("auto") | st.lists(numbers | spans | st.just("auto"), min_size=1, max_size=4)
a_record = st.builds(
    lambda name, port, target: record(name, port, **({"target_port": target} if target else {})),
    names,
    wanted_ports,
    st.none() | st.none() | high_numbers,
)
# A name twice is an error, so nothing is promised of it.
record_lists = st.lists(a_record, max_size=10, unique_by=lambda item: item["name"])
autos = st.lists(st.builds(lambda name: record(name, "auto"), names), max_size=8, unique_by=lambda item: item["name"])
# Others on the same gateway: Service ports of another set and of a hand, and servers of a foreign Gateway.
foreign = st.lists(st.tuples(numbers, high_numbers, st.sampled_from(["set", "hand", "gateway"])), max_size=4)
port_lists = st.lists(numbers | spans, max_size=4).map(lambda items: sorted({str(item) for item in items}))
gateways = st.builds(
    lambda pool, reserved, strict: {**EDGE, "pool": pool, "reserved": reserved, "strict_pool": strict and bool(pool)},
    st.sampled_from(
        [[], ["8080-8090"], [5, 22, "10020-10029"], ["14998-15101"], ["1-30", "1000-1100", "9990-10030"], ["8081-8082"]]
    ),
    st.sampled_from([[], [8081], [22, "10022-10023"], ["14999-15100"]]),
    st.booleans(),
)
ROOMY = {**EDGE, "pool": "30000-30099"}


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
    listening = [istio_gateway(*servers, name="theirs", namespace="elsewhere", labels={})]
    if own:
        ours = istio_gateway(*((item["name"], item["port"]) for item in own))
        # Ours is the older one: what came later on its ports is not there.
        listening.insert(0, {**ours, "created": "2026-11-21T08:00:00Z"})
        listening[1]["created"] = "2026-11-21T09:00:00Z"
    rules = [virtual_service(*(item["port"] for item in own))] if own else []
    return state(front(shown.values(), managers), gateways=listening, virtual_services=rules)


def mapped(records, seen, gateway=ROOMY, **arguments):
    """Return the port map on gateway edge."""
    return port_map(records, [gateway], seen, **arguments)


def ports_of(found):
    """Return record and port of each entry."""
    return {(item["name"], item["port"], item["target_port"]) for item in found["ports"]}


def numbers_of(written):
    """Return the numbers of a list of ports and ranges."""
    found = set()
    for item in written:
        first, _dash, last = str(item).partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


@given(record_lists, foreign, gateways)
def test_no_two_records_share_a_port_or_a_target_and_none_takes_another_s(records, others, gateway):
    found = mapped(records, cluster(others), gateway)["ports"]
    given_out = [item["port"] for item in found]
    chosen = [item["target_port"] for item in found]
    assert len(set(given_out)) == len(given_out)
    assert len(set(chosen)) == len(chosen)
    held_ports = {port for port, _target, _how in others}
    held_targets = {target for _port, target, how in others if how != "gateway"}
    # The first of two foreign entries of one port is the one that is on the cluster.
    shown = {item["port"]: item["target_port"] for item in cluster(others)["services"][1]["ports"]}
    held_targets &= set(shown.values())
    held_targets |= {shown.get(port, port) for port, _target, how in others if how == "gateway"}
    assert not held_ports & set(given_out)
    assert not held_targets & set(chosen)


@given(record_lists, foreign, gateways)
def test_no_port_is_istio_s_or_reserved_and_none_strays_from_a_strict_pool(records, others, gateway):
    pool, reserved = numbers_of(gateway["pool"]), numbers_of(gateway["reserved"])
    for item in mapped(records, cluster(others), gateway)["ports"]:
        assert item["target_port"] >= 1024
        assert not 15000 <= item["target_port"] <= 15099
        assert not 15000 <= item["port"] <= 15099
        assert item["port"] not in reserved
        assert item["port"] in pool or not gateway["strict_pool"]


@given(autos, foreign, gateways)
def test_auto_is_served_from_the_pool_or_refused(records, others, gateway):
    pool = numbers_of(gateway["pool"])
    found = mapped(records, cluster(others), gateway)
    assert {item["port"] for item in found["ports"]} <= pool
    refused = [item for item in found["findings"] if item["code"] in ("POOL_EXHAUSTED", "POOL_MISSING")]
    assert bool(refused) is (len(found["ports"]) < len(records))


@given(record_lists, foreign, gateways, st.randoms(use_true_random=False))
def test_the_order_of_records_does_not_change_a_byte(records, others, gateway, chance: random.Random):
    shuffled = list(records)
    chance.shuffle(shuffled)
    seen = cluster(others)
    one, other = mapped(records, seen, gateway), mapped(shuffled, seen, gateway)
    assert json.dumps(one["ports"]) == json.dumps(other["ports"])
    assert sorted(map(json.dumps, one["findings"])) == sorted(map(json.dumps, other["findings"]))


@given(record_lists, foreign, gateways)
def test_the_same_input_gives_the_same_bytes_and_is_left_as_it_was(records, others, gateway):
    seen = cluster(others)
    before = json.dumps([records, gateway, seen])
    assert json.dumps(mapped(records, seen, gateway)) == json.dumps(mapped(records, seen, gateway))
    assert json.dumps([records, gateway, seen]) == before


def published(records, others, gateway):
    """Return the records that were mapped in whole, their entries, and the cluster on which they are published."""
    first = mapped(records, cluster(others), gateway)
    refused = {item["subject"] for item in first["findings"]}
    good = [item for item in records if f"record {item['name']!r}" not in refused]
    first = mapped(good, cluster(others), gateway)
    # Where the pool was too small, nothing was written.
    own = [] if first["findings"] else first["ports"]
    return (good if own else []), own, cluster(others, own)


@given(record_lists, foreign, gateways)
def test_a_second_run_maps_the_same_and_withdraws_nothing(records, others, gateway):
    good, own, seen = published(records, others, gateway)
    again = mapped(good, seen, gateway)
    assert again["findings"] == []
    assert again["ports"] == own
    assert exposure_plan(again, seen)["withdrawn"] == []


@given(record_lists, record_lists, foreign, gateways, st.booleans())
def test_more_records_never_move_one_that_is_shown(records, more, others, gateway, prune):
    good, own, seen = published(records, others, gateway)
    known = {item["name"] for item in good}
    more = [item for item in more if item["name"] not in known]
    again = mapped([*more, *good], seen, gateway, prune=prune)
    refused = {item["subject"] for item in again["findings"]}
    there = ports_of(again)
    for item in own:
        # A new one may ask for its number, and is refused or refuses it, which moves nothing either.
        assert (item["name"], item["port"], item["target_port"]) in there or f"record {item['name']!r}" in refused


@given(autos, autos, foreign, st.randoms(use_true_random=False))
def test_auto_is_additive(records, more, others, chance: random.Random):
    good, own, seen = published(records, others, ROOMY)
    known = {item["name"] for item in good}
    every = [*good, *(item for item in more if item["name"] not in known)]
    chance.shuffle(every)
    again = mapped(every, seen)
    assert again["findings"] == []
    assert ports_of({"ports": own}) <= ports_of(again)
    # Nor does one that goes move those that stay.
    staying = [item for item in good if chance.random() < 0.5]
    kept = {item["name"] for item in staying}
    left = mapped(staying, seen)
    assert ports_of(left) == {item for item in ports_of({"ports": own}) if item[0] in kept}


@given(autos, foreign, st.randoms(use_true_random=False))
def test_what_a_run_withdraws_is_given_to_nobody_else_while_others_are_free(records, others, chance: random.Random):
    good, own, seen = published(records, others, ROOMY)
    staying = [item for item in good if chance.random() < 0.5]
    kept = {item["name"] for item in staying}
    again = mapped([*staying, record("a new one", "auto")], seen)
    (new,) = [item for item in again["ports"] if item["name"] == "a new one"]
    assert new["port"] not in {item["port"] for item in own if item["name"] != "a new one"}
    targets = {item["target_port"]: item["port"] for item in own if item["name"] not in kept}
    for item in again["ports"]:
        assert targets.get(item["target_port"], item["port"]) == item["port"]


@given(record_lists, foreign, gateways)
def test_a_renamed_record_keeps_all_that_it_has(records, others, gateway):
    good, own, seen = published(records, others, gateway)
    renamed = [{**item, "name": f"{item['name']} now", "was": item["name"]} for item in good]
    taken = {item["name"] for item in renamed} & {item["name"] for item in good}
    if taken:
        return
    again = mapped(renamed, seen, gateway)
    assert again["findings"] == []
    assert {(name.removesuffix(" now"), *rest) for name, *rest in ports_of(again)} == ports_of({"ports": own})
    assert exposure_plan(again, seen)["withdrawn"] == []


@given(autos, foreign)
def test_a_port_is_known_again_by_service_or_gateway_alone(records, others):
    good, own, seen = published(records, others, ROOMY)
    asked = {item["port"] for item in own}
    manager = set_manager("default")
    names_shown = {port_name(item["port"], "default", item["name"]) for item in own}
    for lost in ("Service", "Gateway"):
        half = json.loads(json.dumps(seen))
        if lost == "Service":
            service = half["services"][1]
            service["ports"] = [item for item in service["ports"] if item["name"] not in names_shown]
            service["managers"].pop(manager, None)
        else:
            half["gateways"] = [item for item in half["gateways"] if item["namespace"] != "gateways"]
        again = mapped(good, half)
        assert {(item["name"], item["port"]) for item in again["ports"]} == {
            (item["name"], item["port"]) for item in own
        }
        assert {item["port"] for item in again["ports"]} == asked
