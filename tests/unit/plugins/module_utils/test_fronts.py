# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which port goes to which front Service: sticky, additive, never above the bound."""

from __future__ import annotations

from collections import Counter

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._fronts import spread
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import front_name, front_number
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(("number", "name"), [(1, "edge"), (2, "edge-2"), (17, "edge-17")])
def test_names_and_numbers(number, name):
    assert front_name("edge", number) == name
    assert front_number("edge", name) == number


def test_a_long_name_stays_a_name_that_kubernetes_takes():
    long = "g" * 61 + "-x"
    assert front_name(long, 1) == long
    assert front_name(long, 2) == "g" * 61 + "-2"
    assert front_name(long, 100) == "g" * 59 + "-100"
    assert front_number(long, front_name(long, 100)) == 100


def test_a_gateway_whose_own_name_ends_in_a_number():
    assert front_number("edge-2", "edge-2") == 1
    assert front_number("edge-2", "edge-2-2") == 2
    assert front_number("edge", "edge-x") > 10**9


def test_without_a_bound_all_go_to_the_first():
    assert spread("edge", [3, 1, 2], {}, {}, None) == {1: "edge", 2: "edge", 3: "edge"}


def test_the_health_port_counts():
    assert spread("edge", range(1, 8), {}, {}, 4) == {
        **dict.fromkeys((1, 2, 3), "edge"),
        **dict.fromkeys((4, 5, 6), "edge-2"),
        7: "edge-3",
    }


def test_what_others_have_counts_and_a_port_stays_where_it_is():
    counts = {"edge": 3, "edge-2": 4}
    assert spread("edge", [1, 2, 9], {9: "edge-2"}, counts, 4) == {1: "edge", 2: "edge-3", 9: "edge-2"}


def test_a_name_that_is_not_the_gateway_s_is_left_out():
    assert spread("edge", [1, 2, 3], {}, {}, 2, taken={"edge-2"}) == {1: "edge", 2: "edge-3", 3: "edge-4"}


def test_a_lowered_bound_moves_nothing():
    here = {1: "edge", 2: "edge", 3: "edge"}
    assert spread("edge", [1, 2, 3, 4], here, {"edge": 4}, 2) == {**here, 4: "edge-2"}


PORTS = st.sets(st.integers(1, 60), max_size=30)


def carried(placed):
    """Return how many ports each Service carries then, with its health port."""
    return {name: count + 1 for name, count in Counter(placed.values()).items()}


@given(PORTS, st.integers(2, 9), st.randoms(use_true_random=False))
def test_never_above_the_bound_and_the_order_is_nothing(ports, bound, random):
    shuffled = list(ports)
    random.shuffle(shuffled)
    placed = spread("edge", shuffled, {}, {}, bound)
    assert placed == spread("edge", sorted(ports), {}, {}, bound)
    assert set(placed) == ports
    assert all(count <= bound for count in carried(placed).values())
    # No Service is opened while one before it has room.
    full = sorted((front_number("edge", name), count) for name, count in carried(placed).items())
    assert all(count == bound for _number, count in full[:-1])


@given(PORTS, PORTS, PORTS, st.integers(2, 9))
def test_sticky_and_additive(first, added, removed, bound):
    before = spread("edge", first, {}, {}, bound)
    # Those that leave are still there while the run goes on.
    after = spread("edge", (first | added) - removed, before, carried(before), bound)
    assert {port: name for port, name in after.items() if port in before} == {
        port: name for port, name in before.items() if port in after
    }
    both = {**before, **after}
    assert all(count <= bound for count in carried(both).values())
    assert spread("edge", after, after, carried(after), bound) == after


@given(PORTS, PORTS, st.integers(2, 9))
def test_two_owners_share_and_do_not_move_each_other(mine, theirs, bound):
    theirs = theirs - mine
    first = spread("edge", theirs, {}, {}, bound)
    second = spread("edge", mine, {}, carried(first), bound)
    again = spread("edge", theirs, first, carried({**first, **second}), bound)
    assert again == first
    assert all(count <= bound for count in carried({**first, **second}).values())
