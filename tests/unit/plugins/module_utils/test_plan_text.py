# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan as people read it."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._plan_text import impact_lines, plan_lines, port_ranges


def impact(port, kind="drains", **more):
    """Return one announced impact."""
    known = {"sessions": 0, "unseen": "", "ends": 45.0, "why": "its destination changes"}
    return {"gateway": "edge", "namespace": "gateways", "port": port, "impact": kind, **known, **more}


@pytest.mark.parametrize(
    ("ports", "text"),
    [
        ([], ""),
        ([22], "22"),
        ([8082, 8081], "8081-8082"),
        ([8081, 8081], "8081"),
        ([*range(20000, 20100), 22], "22, 20000-20099"),
        (range(2, 42, 2), "2, 4, 6, 8, 10, 12, 14, 16, 18, 20, and 10 more"),
    ],
)
def test_ports_are_written_as_ranges(ports, text):
    assert port_ranges(ports) == text


@pytest.mark.parametrize(
    ("impacts", "lines"),
    [
        ([impact(8081, "none")], []),
        ([impact(8081, "opens", why="new")], ["port 8081 opens"]),
        ([impact(port, "opens", why="new") for port in (8081, 8082)], ["ports 8081-8082 open"]),
        ([impact(8081)], ["port 8081 drains (its destination changes); no session is open"]),
        (
            [impact(8081, sessions=1)],
            ["port 8081 drains (its destination changes); 1 open session, it ends 45 s after the change"],
        ),
        (
            [impact(8081, sessions=2, ends=None)],
            [
                "port 8081 drains (its destination changes); 2 open sessions, they end some time after the change (the"
                " gateway's drain time could not be read)"
            ],
        ),
        (
            [impact(port, "restarts", why="x", ends=5.0, sessions=port % 8080) for port in range(8081, 8088)],
            [
                "ports 8081-8087 restart (x); 28 open sessions (8087: 7, 8086: 6, 8085: 5, 8084: 4, 8083: 3, ...), they"
                " end 5 s after the pod is told to stop"
            ],
        ),
        (
            [impact(8081, "closes", why="it is withdrawn", sessions=None, unseen="no right")],
            ["port 8081 closes (it is withdrawn); open sessions could not be seen: no right"],
        ),
        (
            [impact(8081, sessions=2, unseen="pod b is gone")],
            [
                "port 8081 drains (its destination changes); 2 open sessions, they end 45 s after the change; not all"
                " could be seen: pod b is gone"
            ],
        ),
        # The worst first, and what happens for another reason on a line of its own.
        (
            [impact(1, "opens", why="new"), impact(2), impact(3, "closes", why="x"), impact(4, why="y"), impact(5)],
            [
                "port 3 closes (x); no session is open",
                "ports 2, 5 drain (its destination changes); no session is open",
                "port 4 drains (y); no session is open",
                "port 1 opens",
            ],
        ),
    ],
)
def test_lines_of_impacts(impacts, lines):
    assert impact_lines(impacts) == [f"gateway gateways/edge: {line}" for line in lines]


def test_gateways_are_told_apart():
    lines = impact_lines([impact(1), {**impact(1), "gateway": "door"}])
    assert [line.partition(":")[0] for line in lines] == ["gateway gateways/door", "gateway gateways/edge"]


def test_the_plan_does_not_grow_with_the_number_of_ports():
    def plan(count):
        impacts = [impact(10000 + number, "opens", why="new") for number in range(0, 2 * count, 2)]
        return plan_lines(["change Service gateways/edge"], impacts, [])

    assert len(plan(1000)) == len(plan(1)) == 2
    assert len(plan(1000)[1]) < 150


def test_the_order_of_a_plan():
    assert plan_lines(["create a"], [impact(1, "opens", why="new")], ["drift: b"]) == [
        "create a",
        "gateway gateways/edge: port 1 opens",
        "drift: b",
    ]
