# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of a set: which steps in which order, and what a set may lose."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import port_name, set_object_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._plan import exposure_plan, withdrawal_plan
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import view_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._withdrawn import closed_ports
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import (
    EDGE,
    front,
    istio_gateway,
    messages,
    own_port,
    owned_front,
    record,
    state,
    step_lines,
    virtual_service,
)

NAME = set_object_name("edge", "default")
SHARE = "present Service gateways/edge"
POLICY = f"present NetworkPolicy gateways/{NAME}"
ROUTES = [f"present {kind} gateways/{NAME}" for kind in ("NetworkPolicy", "Gateway", "VirtualService")]
# What ends the listeners, and what goes when their sessions have drained.
LISTENERS, *RESTS = [f"absent {kind} gateways/{NAME}" for kind in ("Gateway", "NetworkPolicy", "VirtualService")]
REMOVALS = [LISTENERS, *RESTS]


def shares(plan) -> list[dict[int, int]]:
    """Return the target port of each port in each share of the front Service."""
    return [
        {port["port"]: port["targetPort"] for port in step["object"].get("spec", {}).get("ports", [])}
        for step in plan["steps"]
        if step["object"]["kind"] == "Service"
    ]


def servers(plan) -> list[int]:
    """Return the ports of the Gateway that is written."""
    (step,) = [step for step in plan["steps"] if step["object"]["kind"] == "Gateway"]
    return [server["port"]["number"] for server in step["object"]["spec"]["servers"]]


def published(*records, source="hosts.yml", set_name="default"):
    """Return a cluster on which a set has been published, records as (name, port)."""
    ports = [item[:2] for item in records]
    return state(
        owned_front(*records, set_name=set_name),
        gateways=[istio_gateway(*ports, set_name=set_name, source=source)],
        virtual_services=[virtual_service(*(item[1] for item in ports), set_name=set_name)],
    )


def exposed(cluster, *records, source="hosts.yml", **arguments):
    """Plan a set's records on a cluster."""
    mapped = port_map([record(*item) for item in records], [EDGE], cluster)
    assert mapped["findings"] == []
    return exposure_plan(mapped, cluster, source=source, **arguments)


ABC = (("a", 8081), ("b", 8082), ("c", 8083))


@pytest.mark.parametrize(
    ("cluster", "wanted", "steps", "ports"),
    [
        (state(front()), ABC[:1], [SHARE, *ROUTES], [{8081: 8081}]),
        (published(*ABC), ABC, [SHARE, *ROUTES], [{8081: 8081, 8082: 8082, 8083: 8083}]),
        # A port that leaves stays on the Service until its listener is gone.
        (
            published(*ABC),
            ABC[:2],
            [SHARE, *ROUTES, SHARE, POLICY],
            [{8081: 8081, 8082: 8082, 8083: 8083}, {8081: 8081, 8082: 8082}],
        ),
        # So does one whose record moves, with the target port that it has.
        (
            published(("ssh", 22, 10022), *ABC),
            [*ABC, ("ssh", 23)],
            [SHARE, *ROUTES, SHARE, POLICY],
            [
                {22: 10022, 23: 10023, 8081: 8081, 8082: 8082, 8083: 8083},
                {23: 10023, 8081: 8081, 8082: 8082, 8083: 8083},
            ],
        ),
        # A port that the Service has lost is not opened again only to be closed.
        (
            published(*ABC) | {"services": state(owned_front(*ABC[:2]))["services"]},
            ABC[:2],
            [SHARE, *ROUTES],
            [{8081: 8081, 8082: 8082}],
        ),
    ],
    ids=["new", "same", "one less", "one moved", "one lost"],
)
def test_writes_open_the_service_first_and_close_it_last(cluster, wanted, steps, ports):
    plan = exposed(cluster, *wanted)
    assert plan["findings"] == []
    assert step_lines(plan) == steps
    assert shares(plan) == ports
    assert servers(plan) == sorted(port for _name, port in wanted)


def test_a_port_map_with_an_error_is_not_carried_out():
    # What is missing from it is missing because of the error: nothing is said of withdrawals.
    cluster = published(*ABC)
    mapped = port_map([record("a", 0)], [EDGE], cluster)
    plan = exposure_plan(mapped, cluster)
    assert plan == {"ports": [], "findings": mapped["findings"], "steps": [], "withdrawn": [], "closed": []}
    assert [item["code"] for item in plan["findings"]] == ["PORT_OUT_OF_RANGE"]


def test_what_a_port_map_warns_of_is_handed_on():
    warning = finding("WITHDRAW_UNKNOWN", "set 'default'", name="x")
    mapped = port_map([record(*ABC[0])], [EDGE], state(front()))
    plan = exposure_plan({**mapped, "findings": [warning]}, state(front()))
    assert (plan["ports"], plan["findings"]) == (mapped["ports"], [warning])
    assert step_lines(plan) == [SHARE, *ROUTES]


def test_steps_carry_the_set_s_manager_and_force_only_what_is_wholly_ours():
    for step in exposed(published(*ABC), *ABC[:2])["steps"]:
        shared = step["object"]["kind"] == "Service"
        assert step["manager"] == "servicemesh.tcp/default"
        assert step["force"] is not shared
        assert step.get("existing", False) is shared
        assert not shared or step["object"]["metadata"]["uid"] == "uid-gateways-edge"


def test_what_leaves_stays_reachable_until_its_sessions_have_drained():
    """The listener goes first; the Service's port and the policy for it go when nobody is connected any more."""
    plan = exposed(published(("ssh", 22, 10022), *ABC), *ABC)
    *earlier, share, policy = plan["steps"]
    assert share["drain"] == [10022]
    assert not any("drain" in step for step in [*earlier, policy])

    def targets(step):
        return [port["port"] for port in step["object"]["spec"]["ingress"][0]["ports"]]

    (open_policy,) = [step for step in earlier if step["object"]["kind"] == "NetworkPolicy"]
    assert targets(open_policy) == [8081, 8082, 8083, 10022]
    assert targets(policy) == [8081, 8082, 8083]
    assert servers({"steps": earlier}) == [8081, 8082, 8083]


def test_a_withdrawal_waits_for_all_that_it_closes():
    (share,) = [step for step in withdrawal_plan(published(*ABC))["steps"] if step["object"]["kind"] == "Service"]
    assert share["drain"] == [8081, 8082, 8083]


def test_a_run_without_pruning_keeps_what_it_does_not_name_and_says_so():
    plan = exposed(published(*ABC), ("d", 8084), prune=False)
    assert messages(plan["findings"]) == [
        "PORTS_KEPT set 'default': on gateway gateways/edge these ports stay published, though this run does not"
        " declare them: 8081-8083."
    ]
    assert plan["withdrawn"] == []
    assert step_lines(plan) == [SHARE, *ROUTES]
    assert servers(plan) == [8081, 8082, 8083, 8084]


def test_a_run_without_pruning_still_moves_its_own_records():
    plan = exposed(published(*ABC), ("a", 9081), prune=False)
    assert servers(plan) == [8082, 8083, 9081]
    assert [sorted(share) for share in shares(plan)] == [[8081, 8082, 8083, 9081], [8082, 8083, 9081]]


def test_a_run_without_pruning_lets_a_new_record_take_over_a_port():
    plan = exposed(published(*ABC), ("new", 8081), prune=False)
    assert servers(plan) == [8081, 8082, 8083]
    (share,) = [step["object"] for step in plan["steps"] if step["object"]["kind"] == "Service"]
    assert share["spec"]["ports"][0]["name"] == port_name(8081, "default", "new")


@pytest.mark.parametrize(
    ("cluster", "wanted", "arguments", "said"),
    [
        (published(*ABC), [], {}, "3 of the 3 ports of the set (8081, 8082, 8083), and it declares no port at all."),
        (
            published(*ABC),
            ABC[:1],
            {},
            "2 of the 3 ports of the set (8082, 8083), and that is more than half of it.",
        ),
        (
            published(*ABC),
            ABC[:2],
            {"source": "other.yml"},
            "1 of the 3 ports of the set (8083), and the set was last written from 'hosts.yml', not from 'other.yml'.",
        ),
        (
            published(*ABC),
            [],
            {"allow_withdraw": ["a", "b"]},
            "3 of the 3 ports of the set (8081, 8082, 8083), and it declares no port at all.",
        ),
        (
            published(*((f"r{port}", port) for port in range(8001, 8013))),
            [],
            {},
            "12 of the 12 ports of the set (8001, 8002, 8003, 8004, 8005, 8006, 8007, 8008, 8009, 8010, ...),"
            " and it declares no port at all.",
        ),
        # Exactly half, from the same source or an unknown one.
        (published(*ABC, ("d", 8084)), ABC[:2], {}, None),
        (published(*ABC, source=""), ABC[:2], {"source": "other.yml"}, None),
        # Nothing is withdrawn: a source may change, and a record may move.
        (published(*ABC), ABC, {"source": "other.yml"}, None),
        (published(*ABC), [("a", 9081), ("b", 9082), ("c", 9083)], {}, None),
        (state(front()), [], {}, None),
        # Somebody said so.
        (published(*ABC), [], {"allow_withdraw": ["all"]}, None),
        (published(*ABC), [], {"allow_withdraw": ["a", "b", "c"]}, None),
        (published(*ABC), ABC[:1], {"allow_withdraw": ["b", "c"], "source": "other.yml"}, None),
    ],
)
def test_a_set_that_shrinks_too_much_stops_the_run(cluster, wanted, arguments, said):
    plan = exposed(cluster, *wanted, **arguments)
    if said:
        assert messages(plan["findings"]) == [f"SET_SHRINKS set 'default': this run would withdraw {said}"]
        assert plan["steps"] == []
    else:
        assert plan["findings"] == []


def test_an_empty_set_without_pruning_stays_as_it_is():
    plan = exposed(published(*ABC), prune=False)
    assert [item["code"] for item in plan["findings"]] == ["PORTS_KEPT"]
    assert servers(plan) == [8081, 8082, 8083]


def test_what_a_run_withdraws_is_told():
    plan = exposed(published(*ABC), ("a", 9081), ("b", 8082))
    assert plan["withdrawn"] == [{"namespace": "gateways", "gateway": "edge", "port": 8083}]
    # a has moved, so that its port is no withdrawn one; but clients find it closed.
    assert [item["port"] for item in plan["closed"]] == [8081, 8083]


@pytest.mark.parametrize(("owners", "closed"), [({"servicemesh.tcp/default": [8443]}, [8443]), ({}, [])])
def test_a_port_of_names_stays_open_for_the_names_of_others(owners, closed):
    held = {"servicemesh.tcp/default": [8443], "servicemesh.tcp/other": [8443]}
    view = view_of(state(front([own_port("a", 8443)], managers=owners or held)))
    listener = {"namespace": "gateways", "gateway": "edge", "service": "edge", "port": 8443, "target_port": 8443}
    listener |= {"hash": "x", "host": "", "backend_port": None, "tls": {"hosts": ["a.test"]}}
    assert [item["port"] for item in closed_ports([listener], [], view, "default")] == closed


def test_a_port_that_another_record_takes_over_is_not_closed():
    plan = exposed(published(*ABC), ("a", 8081), ("new", 8082), ("c", 8083))
    assert [item["port"] for item in plan["withdrawn"]] == [8082]
    assert plan["closed"] == []


RANGE = tuple(("r", port) for port in range(8001, 8005))


@pytest.mark.parametrize(
    ("cluster", "records", "withdrawn"),
    [
        # A renamed record keeps its port, and one that was renamed by an earlier run is no other than any.
        (published(*ABC), [record("new", 8081, was="a"), record("b", 8082), record("c", 8083)], []),
        (published(*ABC), [record("a", 8081, was="old"), record("b", 8082), record("c", 8083)], []),
        (published(*ABC), [record("new", 9081, was="a"), record("b", 8082), record("c", 8083)], []),
        (published(*ABC), [record("new", 8081), record("b", 8082), record("c", 8083)], [8081]),
        # A record that has fewer ports has withdrawn some; one that moved them has not.
        (published(*RANGE), [record("r", "8001-8003")], [8004]),
        (published(*RANGE), [record("r", "8003-8006")], []),
        (published(*RANGE), [record("r", "8003-8005")], [8002]),
        (published(*RANGE), [record("new", "8003-8005", was="r")], [8002]),
        (published(*RANGE), [record("r", ["auto", "auto"])], [8003, 8004]),
    ],
)
def test_what_counts_as_withdrawn(cluster, records, withdrawn):
    gateway = {**EDGE, "pool": "8001-8099"}
    mapped = port_map(records, [gateway], cluster)
    plan = exposure_plan(mapped, cluster, source="hosts.yml", allow_withdraw=["all"])
    assert plan["findings"] == []
    assert [item["port"] for item in plan["withdrawn"]] == withdrawn
    kept = exposure_plan(mapped, cluster, source="hosts.yml", prune=False)
    numbers = {item["port"] for item in mapped["ports"]}
    assert kept["withdrawn"] == []
    routed = {port for rule in cluster["virtual_services"][0]["tcp"] for port in rule["ports"]}
    assert {item["code"] for item in kept["findings"]} == ({"PORTS_KEPT"} if set(servers(kept)) - numbers else set())
    assert servers(kept) == sorted(numbers | (set(withdrawn) & routed))


def test_the_ports_of_a_record_that_shrinks_count_as_withdrawn():
    mapped = port_map([record("r", 8001)], [EDGE], published(*RANGE))
    (found,) = messages(exposure_plan(mapped, published(*RANGE), source="hosts.yml")["findings"])
    assert found == (
        "SET_SHRINKS set 'default': this run would withdraw 3 of the 4 ports of the set (8002, 8003, 8004), and that is"
        " more than half of it."
    )


def test_a_withdrawal_is_by_the_name_on_the_cluster_and_takes_all_ports_of_a_record():
    plan = withdrawal_plan(published(*RANGE, ("b", 8082)), names=["r"])
    assert [item["port"] for item in plan["withdrawn"]] == [8001, 8002, 8003, 8004]
    assert servers(plan) == [8082]


def test_a_privileged_port_that_goes_is_not_followed_on_its_listener():
    cluster = published(("ssh", 22, 10022))
    mapped = port_map([record("new", 10022)], [EDGE], cluster)
    plan = exposure_plan(mapped, cluster, source="hosts.yml", allow_withdraw=["ssh"])
    assert plan["findings"] == []
    # At no moment do two ports of the Service lead to one listener.
    assert shares(plan) == [{22: 10022, 10022: 20022}, {10022: 20022}]


@pytest.mark.parametrize(
    ("cluster", "names", "steps", "left"),
    [
        (published(*ABC), [], [LISTENERS, SHARE, *RESTS], [{}]),
        (
            published(*ABC),
            ["b"],
            [SHARE, *ROUTES, SHARE, POLICY],
            [{8081: 8081, 8082: 8082, 8083: 8083}, {8081: 8081, 8083: 8083}],
        ),
        (published(*ABC), ["a", "b", "c"], [LISTENERS, SHARE, *RESTS], [{}]),
        (state(front()), [], [], []),
        # Half of it is left by a removal that was stopped, or by hand.
        (state(owned_front(("a", 8081))), [], [LISTENERS, SHARE, *RESTS], [{}]),
        (state(front(), gateways=[istio_gateway(("a", 8081))]), [], REMOVALS, []),
        (state(front(), virtual_services=[virtual_service(8081)]), [], REMOVALS, []),
        (state(virtual_services=[virtual_service(8081)]), [], REMOVALS, []),
        # Another set's are left alone.
        (published(*ABC, set_name="other"), [], [], []),
    ],
)
def test_a_withdrawal_closes_the_listener_before_the_port(cluster, names, steps, left):
    plan = withdrawal_plan(cluster, names=names)
    assert step_lines(plan) == steps
    assert shares(plan) == left
    assert plan["findings"] == []


HALF = state(
    owned_front(*ABC), gateways=[istio_gateway(*ABC[:2], source="hosts.yml")], virtual_services=[virtual_service(8081)]
)


def test_a_withdrawal_of_names_takes_what_was_never_finished_along():
    # b and c have no rule yet: nobody knows where they should lead.
    plan = withdrawal_plan(HALF, names=["x"])
    assert servers(plan) == [8081]
    assert [item["port"] for item in plan["withdrawn"]] == [8082, 8083]


def test_a_run_without_pruning_does_not_keep_what_was_never_finished():
    assert servers(exposed(HALF, ("d", 8084), prune=False)) == [8081, 8084]


def test_a_withdrawal_keeps_the_source_and_tells_what_was_not_there():
    plan = withdrawal_plan(published(*ABC), names=["x", "b"])
    assert messages(plan["findings"]) == ["WITHDRAW_UNKNOWN set 'default': the set has no record 'x' on the cluster."]
    assert plan["withdrawn"] == [{"namespace": "gateways", "gateway": "edge", "port": 8082}]
    (closed,) = plan["closed"]
    assert (closed["name"], closed["port"], closed["target_port"], closed["service"]) == ("b", 8082, 8082, "edge")
    (step,) = [step for step in plan["steps"] if step["object"]["kind"] == "Gateway"]
    assert step["object"]["metadata"]["annotations"] == {"servicemesh.tcp/source": "hosts.yml"}
