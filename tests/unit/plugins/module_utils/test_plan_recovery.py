# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that were killed between two writes: the next run finishes them, and nobody else notices."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import set_object_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import record
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi, Killed
from ansible_collections.servicemesh.tcp.tests.unit.plugins.whole_runs import (
    DOOR,
    EDGE,
    make_gateways,
    mesh_cluster,
    publish,
    withdraw,
)

FIRST = [
    record("ssh", 22),
    record("a", 8081),
    record("b", 8082),
    record("c", 8083),
    record("d", 8084),
    record("f", 8086, gateway="door"),
]
# b is withdrawn, c moves to another port, d to another gateway, a gets another target, e is new, f's gateway is left.
SECOND = [
    record("ssh", 22),
    record("a", 8081, target_port=18081),
    record("c", 9083),
    record("d", 8084, gateway="door"),
    record("e", 8085),
    record("f", 8086),
]


def published(*runs) -> FakeApi:
    """Return a cluster after some runs."""
    api = mesh_cluster()
    for records in runs:
        publish(api, records)
    return api


def full_removal(api: FakeApi) -> list[str]:
    """Withdraw everything, then remove the gateways."""
    return withdraw(api) + make_gateways(api, gateways_state="absent")


SCENARIOS = {
    "workloads are made": (lambda: mesh_cluster(gateways=()), make_gateways),
    "a set is created": (mesh_cluster, lambda api: publish(api, FIRST)),
    "a set is changed": (lambda: published(FIRST), lambda api: publish(api, SECOND)),
    "a set is added to without pruning": (
        lambda: published(FIRST),
        lambda api: publish(api, [record("e", 8085)], prune=False),
    ),
    "names are withdrawn": (lambda: published(FIRST), lambda api: withdraw(api, names=["a", "ssh", "f"])),
    "a set is withdrawn": (lambda: published(FIRST), withdraw),
    "a set is emptied by its owner": (
        lambda: published(FIRST),
        lambda api: publish(api, [], allow_withdraw=["all"]),
    ),
    "everything is removed": (lambda: published(FIRST), full_removal),
}


@pytest.mark.parametrize(("before", "run"), SCENARIOS.values(), ids=SCENARIOS)
def test_a_run_killed_before_any_write_is_finished_by_the_next(before, run):
    start = before()
    whole = start.copy()
    writes = len(run(whole))
    assert writes > 1
    for done in range(writes):
        api = start.copy()
        api.writes_left = done
        with pytest.raises(Killed):
            run(api)
        api.writes_left = None
        run(api)
        assert api.snapshot() == whole.snapshot(), f"killed after {done} of {writes} writes"
        assert run(api) == [], f"not finished in one run, after {done} of {writes} writes"


def servers_without_port(api: FakeApi) -> set[tuple[str, int]]:
    """Return the servers of the default set behind which the front Service has no port."""
    bare = set()
    for gateway in ("edge", "door"):
        istio_gateway = api.object("Gateway", set_object_name(gateway, "default"), "gateways")
        service = api.object("Service", gateway, "gateways") or {"spec": {}}
        ports = {port["port"] for port in service["spec"].get("ports", [])}
        servers = istio_gateway["spec"]["servers"] if istio_gateway else []
        bare |= {(gateway, server["port"]["number"]) for server in servers} - {(gateway, port) for port in ports}
    return bare


@pytest.mark.parametrize(
    ("before", "run"), [item for name, item in SCENARIOS.items() if "set" in name or "names" in name]
)
def test_the_service_port_is_there_as_long_as_the_listener(before, run):
    api = before()
    seen = []
    api.after_write = lambda: seen.append(servers_without_port(api))
    run(api)
    assert seen
    assert not any(seen)


def with_neighbours() -> FakeApi:
    """Return a cluster on which others publish on the same gateway: another set, another manager, a hand."""
    api = mesh_cluster()
    publish(api, [record("theirs", 7001), record("their-ssh", 23)], set_name="other")
    share = new_object("Service", "edge", "gateways", {}, spec={"ports": [{"name": "x", "port": 7002}]})
    api.add(share, manager="team-x")
    api.objects["/api/v1/namespaces/gateways/services/edge"].shares["kubectl-edit"] = new_object(
        "Service", "edge", "gateways", {}, spec={"ports": [{"name": "y", "port": 7003}]}
    )
    api.add(new_object("Gateway", "foreign", "gateways", {}, spec={"selector": {"istio": "edge"}, "servers": []}))
    return api


def others(api: FakeApi) -> dict:
    """Return everybody else's ports and objects."""
    service = api.object("Service", "edge", "gateways")
    name = set_object_name("edge", "other")
    return {
        "ports": [port for port in service["spec"]["ports"] if port["port"] in (7001, 23, 7002, 7003, 15021)],
        "owners": [
            item for item in service["metadata"]["managedFields"] if item["manager"] != "servicemesh.tcp/default"
        ],
        "objects": [api.object(kind, name, "gateways") for kind in ("Gateway", "VirtualService", "NetworkPolicy")],
        "foreign": api.object("Gateway", "foreign", "gateways"),
    }


def test_nobody_else_s_ports_change_at_any_write():
    api = with_neighbours()
    expected = others(api)
    assert len(expected["ports"]) == 5
    seen = []
    api.after_write = lambda: seen.append(others(api))
    publish(api, FIRST)
    publish(api, SECOND)
    withdraw(api, names=["e"])
    withdraw(api)
    assert len(seen) > 10
    assert all(item == expected for item in seen)


def test_a_set_leaves_no_trace():
    api = with_neighbours()
    before = api.snapshot()
    publish(api, FIRST)
    assert api.snapshot() != before
    withdraw(api)
    assert api.snapshot() == before


def test_everything_goes_without_a_trace():
    api = mesh_cluster(gateways=())
    before = api.snapshot()
    make_gateways(api, [EDGE, DOOR])
    publish(api, FIRST)
    full_removal(api)
    assert api.snapshot() == before


def test_a_namespace_in_which_another_set_s_gateway_lives_stays():
    api = mesh_cluster(gateways=())
    del api.objects["/api/v1/namespaces/gateways"]
    make_gateways(api, [EDGE], namespace_state="present")
    make_gateways(api, [DOOR], set_name="other")
    publish(api, [record("theirs", 7001, gateway="door")], set_name="other")
    changes = make_gateways(api, [EDGE], gateways_state="absent", namespace_state="present")
    assert "remove Deployment gateways/edge" in changes
    assert "remove Namespace gateways" not in changes
    assert api.object("Namespace", "gateways")
    assert api.object("Deployment", "door", "gateways")
    # The last one out takes it along.
    withdraw(api, set_name="other")
    changes = make_gateways(api, [DOOR], set_name="other", gateways_state="absent", namespace_state="present")
    assert changes[-1] == "remove Namespace gateways"
