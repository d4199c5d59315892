# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds what on a gateway's pods, and whose clashes are told."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _istio_mesh
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio import World
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_holders import (
    Holder,
    clashes_elsewhere,
    foreign_listeners,
    unseen,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import gateway_labels, gateway_selector
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import (
    EDGE,
    control_plane,
    istio_gateway,
    messages,
    owned_front,
    record,
    service,
    service_port,
    state,
    workload,
)
from ansible_collections.servicemesh.tcp.tests.unit.plugins.istio_builders import day, passthrough, server

SELECTOR = gateway_selector("edge", "gateways")


def own(*servers, created=2):
    """Return the Gateway of set default on edge."""
    return istio_gateway(*servers, created=day(created))


def theirs(*servers, created=1, **more):
    """Return somebody else's Gateway on edge's pods; a number is a TCP server on that port."""
    listed = [server(item) if isinstance(item, int) else item for item in servers]
    return istio_gateway(**{"name": "theirs", "namespace": "team", "labels": {}, "created": day(created), **more}) | {
        "servers": listed
    }


def door(name, number, target, created=1, **more):
    """Return a Service in front of edge's pods."""
    labels = more.pop("labels", {})
    ports = [service_port(number, target, "tcp")]
    return service(name, "gateways", ports, selector=SELECTOR, created=day(created), labels=labels, **more)


def held(*items, **more):
    """Return who holds server numbers and listener ports of edge, with whom they would lose to."""
    gateways = [item for item in items if "servers" in item]
    services = [item for item in items if "cluster_ip" in item]
    world = World(state(*services, gateways=gateways, **more))
    return foreign_listeners(world, EDGE, "default")


THEIRS = "Gateway team/theirs (created 2026-01-01T00:00:00Z)"


@pytest.mark.parametrize(
    ("items", "numbers", "targets"),
    [
        ([], [], []),
        ([theirs(7001)], [7001], [7001]),
        # It holds its port without a route as well, since Istio drops before it looks for routes.
        ([theirs(7001, selector={})], [7001], [7001]),
        ([theirs(7001, selector={"istio": "other"})], [], []),
        ([theirs(22), door("edge", 22, 10022, labels=gateway_labels("edge"))], [22], [10022]),
        ([theirs(passthrough(7001, "x.test"))], [7001], [7001]),
        ([theirs(server(7001, bind="10.0.0.1"))], [], []),
        ([theirs(server(7001, bind="0.0.0.0"))], [7001], [7001]),
        # What the set itself has is nobody else's.
        ([own(("a", 7001))], [], []),
        # A younger one on a port of the set's: Istio keeps ours.
        ([own(("a", 7001)), theirs(7001, 7002, created=3)], [7002], [7002]),
        ([own(("a", 7001)), theirs(7001)], [7001], [7001]),
    ],
)
def test_what_others_hold(items, numbers, targets):
    assert tuple(map(list, held(*items))) == (numbers, targets)


def test_before_1_18_an_address_of_its_own_is_in_the_way_too():
    mesh = state()["mesh"] | {"control_planes": [control_plane(version="1.16.7")]}
    assert list(held(theirs(server(7001, bind="10.0.0.1")), mesh=mesh)[0]) == [7001]


@pytest.mark.parametrize(
    ("items", "text", "loses_to"),
    [
        ([theirs(7001)], THEIRS, ""),
        (
            [theirs(7001, created=3), theirs(7001, name="older", created=2)],
            "Gateway team/older (created 2026-01-02T00:00:00Z)",
            "",
        ),
        (
            [theirs(7001, labels=istio_gateway(set_name="b")["labels"])],
            "set 'b' (Gateway team/theirs, created 2026-01-01T00:00:00Z)",
            "",
        ),
        ([own(("a", 7009), created=3), theirs(7001)], THEIRS, ""),
        (
            [own(("a", 7009)), theirs(7001, created=3)],
            "Gateway team/theirs (created 2026-01-03T00:00:00Z)",
            "set 'default' (Gateway gateways/edge-default-a57d233a, created 2026-01-02T00:00:00Z)",
        ),
    ],
)
def test_a_holder_is_named_with_age_and_set(items, text, loses_to):
    holder = held(*items)[0][7001]
    assert (holder, holder.loses_to) == (text, loses_to)


@pytest.mark.parametrize(
    ("services", "numbers"),
    [
        ([door("other", 8081, 9999)], [8081]),
        # Straight through, as ours would be.
        ([door("other", 8081, 8081)], []),
        # Ours, and younger than ours.
        ([door("edge", 22, 10022, labels=gateway_labels("edge"))], []),
        ([door("edge", 22, 10022, labels=gateway_labels("edge")), door("other", 22, 10023, created=2)], []),
        ([door("edge", 22, 10022, labels=gateway_labels("edge"), created=2), door("other", 22, 10023)], [22]),
    ],
)
def test_a_service_that_translates_for_the_same_pods_holds_the_number(services, numbers):
    found = held(*services)[0]
    assert list(found) == numbers
    for number, holder in found.items():
        assert holder.startswith("Service gateways/other, created 2026-01-01T00:00:00Z, which leads ")
        assert str(number) in holder


def test_pods_that_run_count_with_all_their_labels():
    extra = workload(labels={**workload()["labels"], "team": "x"})
    item = theirs(7001, selector={"team": "x"})
    assert list(held(item)[0]) == []
    assert list(held(item, workloads=[extra])[0]) == [7001]


def test_a_record_that_would_take_a_younger_gateway_s_port_is_refused():
    cluster = state(
        owned_front(("a", 7009)), gateways=[own(("a", 7009)), theirs(7001, created=3)], workloads=[workload()]
    )
    found = port_map([record("a", 7009), record("b", 7001)], [EDGE], cluster)
    assert [item["name"] for item in found["ports"]] == ["a"]
    assert [item["code"] for item in found["findings"]] == ["PORT_KILLS"]


def test_a_target_port_is_taken_from_nobody_either():
    cluster = state(gateways=[own(("a", 7009)), theirs(7001, created=3)])
    found = port_map([record("b", 8081, target_port=7001)], [EDGE], cluster)["findings"]
    assert [item["code"] for item in found] == ["PORT_KILLS"]
    assert found[0]["message"].startswith("record 'b': target port 7001 on gateway edge is served by ")


OLD = theirs(7001, name="old")
YOUNG = theirs(7001, 7002, name="young", created=3)
ELSEWHERE = workload("west", "team")


def clashes(*gateways, workloads=None):
    """Return the warnings that a run of set default gets."""
    pods = [workload()] if workloads is None else workloads
    return messages(clashes_elsewhere(World(state(gateways=gateways, workloads=pods)), "default"))


def test_other_people_s_clash_is_a_warning():
    assert clashes(OLD, YOUNG) == [
        "CLASH_ELSEWHERE Gateway team/young (created 2026-01-03T00:00:00Z): its server on 7001 gets no listener on the"
        " pods of gateways/edge, because Gateway team/old (created 2026-01-01T00:00:00Z) is older and has the port."
    ]


def test_a_clash_on_several_workloads_is_one_warning_with_some_of_its_ports():
    many = range(7001, 7009)
    both = {"selector": {"app.kubernetes.io/managed-by": "servicemesh.tcp"}}
    [text] = clashes(
        theirs(*many, name="old", **both),
        theirs(*many, name="young", created=3, **both),
        workloads=[workload(), ELSEWHERE],
    )
    assert "its server on 7001, 7002, 7003, 7004, 7005 and 3 more gets" in text
    assert "on the pods of gateways/edge, team/west, because" in text


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        (passthrough(7001, "x.test"), passthrough(7001, "x.test"), "is older and has the host"),
        (
            server(7001, "HTTPS", "ISTIO_MUTUAL", ["team/x.test"]),
            server(7001, "HTTPS", "ISTIO_MUTUAL", ["x.test"]),
            "has a server that takes the same connections, so Envoy refuses the listener of both, and no new pod of the"
            " gateway becomes ready",
        ),
    ],
)
def test_every_way_to_clash_has_a_reason(first, second, reason):
    found = clashes(theirs(first, name="old"), theirs(second, name="young", created=3))
    assert found
    assert all(f"{reason}." in text for text in found)


def test_what_is_no_clash_of_others():
    # No route, nobody's pods, and what the set itself loses: its records are refused one by one.
    assert clashes(OLD) == []
    assert clashes(OLD, YOUNG, workloads=[]) == []
    assert clashes(OLD, own(("a", 7001))) == []


def test_what_others_lose_to_the_set_is_told_too():
    [text] = clashes(own(("a", 7001)), YOUNG)
    assert "because set 'default' (Gateway gateways/edge-default-a57d233a, created" in text


def test_what_could_not_be_read_is_noted_once():
    seen = state()
    assert unseen(seen) == []
    assert unseen({**seen, "mesh": {**seen["mesh"], "unread": ["/a", "/b"]}})[0]["severity"] == "note"


def test_a_holder_is_text():
    assert f"{Holder('x', 'y')}" == "x" == Holder("x")


def test_other_gateways_are_not_asked_one_by_one(monkeypatch):
    asked = []
    monkeypatch.setattr(_istio_mesh, "selects", lambda item, labels: asked.append(item) or True)
    others = [theirs(7001, name=f"g{number}", selector={"istio": f"g{number}"}) for number in range(1000)]
    port_map([record(f"r{port}", port) for port in range(20000, 20100)], [EDGE], state(gateways=others))
    assert asked == []
