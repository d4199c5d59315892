# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's addresses: subnets that do not overlap, and routes that stand in the way."""

from __future__ import annotations

from ipaddress import IPv4Network
from itertools import combinations

import pytest
from kindlab.addresses import LAB_RANGE, METRIC, SLOTS, addresses, clashes


def _parts(slot: int) -> list[IPv4Network]:
    plan = addresses(slot)
    link = IPv4Network(f"{plan.host_end}/30", strict=False)
    assert plan.lab_end in link
    return [plan.pods, plan.services, plan.nodes, plan.pool, plan.external, plan.docker_bridge, plan.docker_spare, link]


@pytest.mark.parametrize("slot", range(SLOTS))
def test_subnets_of_a_slot_lie_in_it_and_apart(slot: int) -> None:
    parts = _parts(slot)
    assert all(part.subnet_of(addresses(slot).whole) for part in parts)
    assert not any(one.overlaps(other) for one, other in combinations(parts, 2))


def test_slots_lie_in_the_range_and_apart() -> None:
    wholes = [addresses(slot).whole for slot in range(SLOTS)]
    assert all(whole.subnet_of(LAB_RANGE) for whole in wholes)
    assert not any(one.overlaps(other) for one, other in combinations(wholes, 2))


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ({"dst": "default", "dev": "eth0"}, []),
        ({"dst": "192.0.2.0/24", "dev": "eth0"}, []),
        ({"dst": "198.18.0.0/15", "dev": "tun0"}, ["198.18.0.0/15 dev tun0"]),
        ({"dst": "198.18.5.7", "dev": "tun0"}, ["198.18.5.7 dev tun0"]),
        ({"type": "blackhole", "dst": "198.18.0.0/20", "metric": 1}, ["198.18.0.0/20"]),
        ({"type": "unreachable", "dst": "198.18.0.0/19", "metric": METRIC}, []),
        ({"dst": "198.18.0.0/19", "dev": "tcplab0"}, []),
        ({"dst": "not an address"}, []),
    ],
)
def test_clashes(route: dict[str, object], expected: list[str]) -> None:
    assert clashes(addresses(0).whole, [route], own={"tcplab0"}) == expected
