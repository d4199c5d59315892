# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs at the same time, request by request: ports are given once, sets stay whole, and who dies harms nobody."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _publish
from ansible_collections.servicemesh.tcp.plugins.module_utils._apply import Refused
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import set_manager, set_object_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import EDGE, EDGE_REFERENCE, record
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi, Killed
from ansible_collections.servicemesh.tcp.tests.unit.plugins.interleaved import Run, at_once
from ansible_collections.servicemesh.tcp.tests.unit.plugins.whole_runs import (
    Clock,
    mesh_cluster,
    publish,
    run_publish,
    wanted,
)

POOLED = {**EDGE, "pool": ["20000-20005"]}
BEFORE = [record("kept", 8080), record("gone", 8081)]
AFTER = [record("kept", 8080), record("new", 8082), record("ssh", 22)]
THEIRS = [record("theirs", 7001), record("more", 7003)]
SEEDS = range(25)
# Nobody gives up: that they may is another test's.
PATIENCE = 100_000


def run_of(set_name: str, records: list[dict[str, Any]]) -> Run:
    """Return a run of tcp_publish, which returns what it changed."""
    options = wanted(ports=records, gateways=[EDGE_REFERENCE], set=set_name, lease_timeout=PATIENCE)

    def run(api: Any, clock: Any) -> list[str]:
        done = _publish.publish(api, options, clock=clock, sleep=clock.sleep)
        return [change.name for change in done.changes if change.action != "nothing"]

    return run


def ports_of(api: FakeApi, set_name: str) -> list[int]:
    """Return the ports of a set, which must be the same in all its objects."""
    name = set_object_name("edge", set_name)
    owned = [item for item in managed(api) if item["manager"] == set_manager(set_name)]
    servers = [item["port"]["number"] for item in api.object("Gateway", name, "gateways")["spec"]["servers"]]
    routes = api.object("VirtualService", name, "gateways")["spec"]["tcp"]
    assert len(owned) == 1
    assert len(owned[0]["fieldsV1"]["f:spec"]["f:ports"]) == len(servers)
    assert [rule["match"][0]["port"] for rule in routes] == servers
    return servers


def managed(api: FakeApi) -> list[dict[str, Any]]:
    return api.object("Service", "edge", "gateways")["metadata"]["managedFields"]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_auto_port_is_given_once(seed):
    api = mesh_cluster(gateways=[POOLED])
    names = ("blue", "green", "red")
    runs = {name: run_of(name, [record(f"{name}-{index}", "auto") for index in (1, 2)]) for name in names}
    ended = at_once(api, runs, seed)
    assert all(isinstance(item, list) and item for item in ended.values()), ended
    assert sorted(port for name in names for port in ports_of(api, name)) == list(range(20000, 20006))


@pytest.mark.parametrize("seed", SEEDS)
def test_of_two_that_want_one_port_one_gets_it(seed):
    api = mesh_cluster(gateways=[EDGE])
    ended = at_once(api, {name: run_of(name, [record(name, 8081)]) for name in ("left", "right")}, seed)
    (winner,) = [name for name, item in ended.items() if isinstance(item, list)]
    (refused,) = [item for item in ended.values() if isinstance(item, Refused)]
    assert [item["code"] for item in refused.findings] == ["PORT_TAKEN"]
    assert f"already held by set '{winner}'" in refused.findings[0]["message"]
    assert ports_of(api, winner) == [8081]


@pytest.mark.parametrize("seed", SEEDS)
def test_two_runs_of_one_set_one_of_which_dies_beside_everybody_else(seed):
    """Beside them another set publishes, and a foreign manager writes to the Service without asking anybody."""
    api = mesh_cluster(gateways=[EDGE])
    publish(api, BEFORE, gateways=[EDGE_REFERENCE])
    publish(api, [record("theirs", 7001)], set_name="other", gateways=[EDGE_REFERENCE])
    foreign = new_object("Service", "edge", "gateways", {}, spec={"ports": [{"name": "x", "port": 7002}]})
    share = {"fieldManager": "team-x", "force": "false", "fieldValidation": "Strict"}
    alone = api.copy()
    publish(alone, AFTER, gateways=[EDGE_REFERENCE])
    publish(alone, THEIRS, set_name="other", gateways=[EDGE_REFERENCE])
    alone.add(foreign, manager="team-x")

    def meddle(client: Any, _clock: Any) -> list[str]:
        for _again in range(3):
            path = "/api/v1/namespaces/gateways/services/edge"
            client.request("PATCH", path, foreign, share, "application/apply-patch+yaml")
        return ["Service"]

    def look() -> None:
        """What stays is there at every moment."""
        assert {8080, 7001} <= {port["port"] for port in api.object("Service", "edge", "gateways")["spec"]["ports"]}
        for set_name, port in (("default", 8080), ("other", 7001)):
            istio_gateway = api.object("Gateway", set_object_name("edge", set_name), "gateways")
            assert port in [server["port"]["number"] for server in istio_gateway["spec"]["servers"]]

    api.after_write = look
    runs = {
        "first": run_of("default", AFTER),
        "second": run_of("default", AFTER),
        "other": run_of("other", THEIRS),
        "foreign": meddle,
    }
    ended = at_once(api, runs, seed, dying={"first": seed % 9})
    assert not [item for name, item in ended.items() if name != "first" and not isinstance(item, list)], ended
    assert isinstance(ended["first"], (list, Killed)), ended
    # The second run may have ended before the first began to write, and that one then died half way.
    clock = Clock()
    run_publish(api, clock, ports=AFTER, gateways=[EDGE_REFERENCE])
    assert clock.seconds <= wanted()["lease_duration"]
    assert api.snapshot() == alone.snapshot()
