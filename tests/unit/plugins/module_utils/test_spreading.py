# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A gateway with several front Services: whole runs on a cluster in memory."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _endpoints
from ansible_collections.servicemesh.tcp.plugins.module_utils._checks import check_node_ports
from ansible_collections.servicemesh.tcp.plugins.module_utils._gateway_plan import gateway_plan
from ansible_collections.servicemesh.tcp.plugins.module_utils._plan import exposure_plan
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import SINGLE_ANNOTATIONS, new_object
from ansible_collections.servicemesh.tcp.plugins.modules import mesh_state
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import (
    EDGE,
    EDGE_REFERENCE,
    further_front,
    messages,
    owned_front,
    record,
    service,
    state,
    step_lines,
)
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi, Killed
from ansible_collections.servicemesh.tcp.tests.unit.plugins.whole_runs import (
    make_gateways,
    mesh_cluster,
    publish,
    withdraw,
)
from hypothesis import given, settings
from hypothesis import strategies as st

ANNOTATIONS = {"team": "a", "metallb.io/loadBalancerIPs": "198.18.25.9"}
SPREAD = {**EDGE, "service": {"max_ports": 4, "annotations": ANNOTATIONS, "source_ranges": ["198.18.0.0/15"]}}


def records(*ports):
    """Return one record a port."""
    return [record(f"r{port}", port) for port in ports]


def cluster():
    """Return a cluster with the gateway."""
    return mesh_cluster([SPREAD])


def carried(api: FakeApi):
    """Return the ports of each front Service, the health port left out."""
    return {
        item["name"]: sorted(port["port"] for port in item["ports"] if port["port"] != 15021)
        for item in mesh_state.read(api)["services"]
        if item["namespace"] == "gateways"
    }


def run(api, *ports, set_name="default", gateway=SPREAD, **arguments):
    """Publish these ports."""
    return publish(api, records(*ports), set_name, [gateway], **arguments)


def test_seven_ports_need_three_services_and_a_second_run_changes_nothing():
    api = cluster()
    changes = run(api, *range(1, 8))
    assert carried(api) == {"edge": [1, 2, 3], "edge-2": [4, 5, 6], "edge-3": [7]}
    # Each further Service is made before anything is put on it, and all of them before the listeners.
    assert [line for line in changes if " Service " in line] == [
        "change Service gateways/edge",
        "create Service gateways/edge-2",
        "change Service gateways/edge-2",
        "create Service gateways/edge-3",
        "change Service gateways/edge-3",
    ]
    assert all(" Service " not in line for line in changes[5:])
    assert run(api, *range(7, 0, -1)) == []
    assert make_gateways(api, [SPREAD]) == []


def test_one_gateway_and_virtual_service_serve_all_of_them():
    api = cluster()
    run(api, *range(1, 8))
    found = mesh_state.read(api)
    assert [[server["port"] for server in item["servers"]] for item in found["gateways"]] == [[*range(1, 8)]]
    listeners = View(found).listeners("default")
    assert [(item["port"], item["service"]) for item in listeners] == [
        *((port, "edge") for port in (1, 2, 3)),
        *((port, "edge-2") for port in (4, 5, 6)),
        (7, "edge-3"),
    ]


def test_further_services_are_defined_as_the_first_but_for_its_address():
    api = cluster()
    run(api, *range(1, 8))
    first, second = (api.object("Service", name, "gateways") for name in ("edge", "edge-2"))
    assert first["metadata"]["annotations"].items() > ANNOTATIONS.items()
    assert second["metadata"]["annotations"] == {"team": "a"}
    assert second["metadata"]["labels"] == first["metadata"]["labels"]
    assert second["spec"]["ports"][0] == first["spec"]["ports"][0]
    ports = ("ports",)
    assert {key: value for key, value in second["spec"].items() if key not in ports} == {
        key: value for key, value in first["spec"].items() if key not in ports
    }
    assert "metallb.io/loadBalancerIPs" in SINGLE_ANNOTATIONS


def test_a_set_that_only_refers_to_the_gateway_makes_them_by_its_stored_definition():
    mine, theirs = cluster(), cluster()
    run(mine, *range(1, 8))
    run(theirs, *range(1, 8), gateway=EDGE_REFERENCE)
    assert theirs.snapshot() == mine.snapshot()
    assert make_gateways(theirs, [SPREAD]) == []


def test_a_changed_definition_is_written_to_all_of_them():
    api = cluster()
    run(api, *range(1, 8))
    changed = {**SPREAD, "service": {**SPREAD["service"], "source_ranges": ["198.18.0.0/16"]}}
    names = ["edge", "edge-2", "edge-3"]
    assert make_gateways(api, [changed]) == [f"change Service gateways/{name}" for name in names]
    assert run(api, *range(1, 8), gateway=changed) == []


def test_a_port_stays_and_room_is_filled():
    api = cluster()
    run(api, *range(1, 8))
    run(api, 1, 3, 4, 5, 6, 7)
    assert carried(api) == {"edge": [1, 3], "edge-2": [4, 5, 6], "edge-3": [7]}
    # What leaves in the same run still stands there, so its place is not given away yet.
    run(api, 1, 3, 4, 5, 7, 8, 9, allow_withdraw=["all"])
    assert carried(api) == {"edge": [1, 3, 8], "edge-2": [4, 5], "edge-3": [7, 9]}


def test_sets_share_the_services_and_leave_them_cleanly():
    api = cluster()
    run(api, 1, 2)
    run(api, 11, 12, 13, set_name="other", gateway=EDGE_REFERENCE)
    assert carried(api) == {"edge": [1, 2, 11], "edge-2": [12, 13]}
    run(api, 1, 2, 3, 4)
    assert carried(api) == {"edge": [1, 2, 11], "edge-2": [3, 12, 13], "edge-3": [4]}
    withdraw(api, "other")
    assert carried(api) == {"edge": [1, 2], "edge-2": [3], "edge-3": [4]}
    assert run(api, 1, 2, 3, 4) == []
    withdraw(api, names=["r3", "r4"])
    assert carried(api) == {"edge": [1, 2], "edge-2": [], "edge-3": []}


def test_a_port_of_another_set_is_taken_on_whichever_service_it_stands():
    api = cluster()
    run(api, *range(1, 8), set_name="other", gateway=EDGE_REFERENCE)
    found = port_map(records(7), [SPREAD], mesh_state.read(api))["findings"]
    assert messages(found) == [
        "PORT_TAKEN record 'r7': port 7 on gateway edge is already held by set 'other' (Service gateways/edge-3)."
    ]


def test_removal_of_the_gateway_takes_all_of_them():
    api = cluster()
    before = cluster().snapshot()
    run(api, *range(1, 8))
    refused = gateway_plan([SPREAD], mesh_state.read(api), gateways_state="absent")
    assert [item["code"] for item in refused["findings"]] == ["GATEWAY_IN_USE"]
    withdraw(api)
    make_gateways(api, [SPREAD], gateways_state="absent")
    assert not [path for path in api.objects if "/gateways/" in path and "edge" in path]
    make_gateways(api, [SPREAD])
    assert api.snapshot() == before


def test_by_hand_on_a_further_service_keeps_the_gateway():
    api = cluster()
    run(api, *range(1, 8))
    withdraw(api)
    port = {"name": "x", "port": 99, "protocol": "TCP"}
    api.add({**new_object("Service", "edge-3", "gateways", {}), "spec": {"ports": [port]}})
    refused = gateway_plan([SPREAD], mesh_state.read(api), gateways_state="absent")
    assert "edge-3" in refused["findings"][0]["message"]


def test_a_killed_run_is_finished_by_the_next():
    whole = cluster()
    writes = len(run(whole, *range(1, 8)))
    for left in range(writes):
        api = cluster()
        api.writes_left = left
        with pytest.raises(Killed):
            run(api, *range(1, 8))
        api.writes_left = None
        run(api, *range(1, 8))
        assert api.snapshot() == whole.snapshot(), left


def test_a_service_that_somebody_deleted_is_made_again():
    api = cluster()
    run(api, *range(1, 8))
    before = api.snapshot()
    del api.objects["/api/v1/namespaces/gateways/services/edge-2"]
    run(api, *range(1, 8))
    assert api.snapshot() == before


def test_a_lowered_bound_moves_nothing_and_says_so():
    api = cluster()
    run(api, *range(1, 8))
    lowered = {**SPREAD, "service": {**SPREAD["service"], "max_ports": 3}}
    found = port_map(records(*range(1, 9)), [lowered], mesh_state.read(api))
    plan = exposure_plan(found, mesh_state.read(api))
    assert [(item["code"], item["subject"]) for item in plan["findings"]] == [
        ("MAX_PORTS_EXCEEDED", "Service gateways/edge"),
        ("MAX_PORTS_EXCEEDED", "Service gateways/edge-2"),
    ]
    run(api, *range(1, 9), gateway=lowered)
    assert carried(api) == {"edge": [1, 2, 3], "edge-2": [4, 5, 6], "edge-3": [7, 8]}


def test_a_bound_that_is_taken_away_moves_nothing():
    api = cluster()
    run(api, *range(1, 8))
    run(api, *range(1, 10), gateway=EDGE)
    assert carried(api) == {"edge": [1, 2, 3, 8, 9], "edge-2": [4, 5, 6], "edge-3": [7]}


def placed(*services, gateways=(SPREAD,), ports=range(1, 8)):
    """Return the front Services that a port map names on a cluster, with how many ports each gets."""
    found = port_map(records(*ports), gateways, state(*services))
    assert [item for item in found["findings"] if item["severity"] == "error"] == []
    names = [port["service"] for port in found["ports"]]
    return {name: names.count(name) for name in names}


def test_names_of_others_are_left_out():
    theirs = service("edge-2", "gateways")
    neighbour = {**EDGE, "name": "edge-3"}
    assert placed() == {"edge": 3, "edge-2": 3, "edge-3": 1}
    assert placed(theirs) == {"edge": 3, "edge-3": 3, "edge-4": 1}
    assert placed(theirs, gateways=(SPREAD, neighbour)) == {"edge": 3, "edge-4": 3, "edge-5": 1}
    # Names count in their own namespace only.
    elsewhere = {**neighbour, "namespace": "apps"}
    assert placed(service("edge-2", "apps"), gateways=(SPREAD, elsewhere)) == {"edge": 3, "edge-2": 3, "edge-3": 1}


def test_each_port_is_reached_and_proven_at_its_own_address():
    fronts = [
        {**owned_front(("r1", 1)), "type": "LoadBalancer", "addresses": ["198.18.25.1"]},
        further_front(2, ("r2", 2), type="LoadBalancer", addresses=["198.18.25.2"]),
    ]
    ports = port_map(records(1, 2), [SPREAD], state(*fronts))["ports"]
    report = _endpoints.endpoints(ports, fronts)
    assert [(item["port"], item["addresses"]) for item in report] == [(1, ["198.18.25.1"]), (2, ["198.18.25.2"])]
    targets = _endpoints.probe_targets(ports, fronts)["targets"]
    assert [(item["port"], item["addresses"]) for item in targets] == [(1, ["198.18.25.1"]), (2, ["198.18.25.2"])]


def test_a_node_port_that_a_port_has_on_a_further_service_is_its_own():
    fronts = [owned_front(("r1", 1)), further_front(2, ("r2", 2))]
    fronts[1]["ports"][1]["node_port"] = 30002
    cluster_state = state(*fronts)
    ports = port_map([*records(1), record("r2", 2, node_port=30002)], [SPREAD], cluster_state)["ports"]
    assert check_node_ports(ports, View(cluster_state)) == []
    stolen = port_map([record("r1", 1, node_port=30002), *records(2)], [SPREAD], cluster_state)["ports"]
    assert messages(check_node_ports(stolen, View(cluster_state))) == [
        "NODE_PORT_TAKEN record 'r1': node port 30002 is already held by Service gateways/edge-2 port 2."
    ]


def test_check_mode_shows_the_services_that_it_would_make():
    plan = exposure_plan(port_map(records(1, 2, 3, 4), [SPREAD], state()), state())
    assert step_lines(plan)[:3] == [
        "present Service gateways/edge",
        "present Service gateways/edge-2",
        "present Service gateways/edge-2",
    ]
    made = plan["steps"][1]
    assert (made["wait"], made["manager"], made["force"]) == (True, "servicemesh.tcp", True)


def test_two_defined_gateways_do_not_mix():
    api = mesh_cluster([SPREAD, {**SPREAD, "name": "door"}])
    wanted = [*records(1, 2, 3, 4), *({**item, "gateway": "door"} for item in records(5, 6, 7, 8))]
    publish(api, wanted, gateways=[SPREAD, {**SPREAD, "name": "door"}])
    assert carried(api) == {"edge": [1, 2, 3], "edge-2": [4], "door": [5, 6, 7], "door-2": [8]}


@pytest.mark.parametrize("raw", [{**EDGE, "name": "edge-2"}, {"name": "edge-2", "namespace": "gateways"}])
def test_a_further_front_service_is_no_gateway_of_its_own(raw):
    found = port_map([{**record(), "gateway": "edge-2"}], [raw], state(owned_front(("a", 1)), further_front(2)))
    assert [item["code"] for item in found["findings"]] == ["FRONT_SERVICE_TAKEN"]


HISTORY = st.lists(st.sets(st.integers(1, 8), max_size=6), min_size=2, max_size=3)


@given(HISTORY, HISTORY, st.integers(2, 5))
@settings(max_examples=10)
def test_whatever_two_sets_do_no_service_is_ever_overfull_and_no_port_moves(mine, theirs, bound):
    api = mesh_cluster([{**EDGE, "service": {"max_ports": bound}}])
    where: dict[int, str] = {}

    def look():
        """Look after every single write: where each port stands, and how many a Service has."""
        found = {port: name for name, ports in carried(api).items() for port in ports}
        assert all(len(ports) < bound for ports in carried(api).values())
        moved = {port for port in set(found) & set(where) if found[port] != where[port]}
        assert not moved
        where.clear()
        where.update(found)

    api.after_write = look
    for own, other in zip(mine, theirs, strict=False):
        for set_name, ports in (("default", own), ("other", {port + 100 for port in other})):
            run(api, *ports, set_name=set_name, gateway=EDGE_REFERENCE, allow_withdraw=["all"])
            assert run(api, *ports, set_name=set_name, gateway=EDGE_REFERENCE) == []
    last = own | {port + 100 for port in other}
    assert set(where) == last
