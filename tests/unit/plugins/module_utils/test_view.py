# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The indexed cluster: what a set has on it, and who else is there."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import port_name, short_hash
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import (
    BACKEND_HOST,
    EDGE,
    front,
    istio_gateway,
    namespaces,
    own_port,
    owned_front,
    service,
    service_port,
    state,
    virtual_service,
)

HEALTH = service_port(15021, name="status-port")


def listener(name: str, port: int, target: int, routed: bool = True) -> dict:
    """Return the listener of a record of the default set on edge."""
    return {
        "gateway": "edge",
        "namespace": "gateways",
        "service": "edge",
        "port": port,
        "port_name": port_name(port, "default", name),
        "hash": short_hash("default", name),
        "target_port": target,
        "node_port": None,
        "host": BACKEND_HOST if routed else "",
        "backend_port": 9000 if routed else None,
    }


# What somebody copied from a front Service of ours.
UNMANAGED = {"servicemesh.tcp/gateway": "edge"}
ROUTES = {"gateways": [istio_gateway(("a", 8081), ("ssh", 22))], "virtual_services": [virtual_service(8081, 22)]}


@pytest.mark.parametrize(
    ("cluster", "expected"),
    [
        (state(), []),
        (state(front([HEALTH], {"servicemesh.tcp": [15021]})), []),
        (
            state(owned_front(("a", 8081), ("ssh", 22, 10022)), **ROUTES),
            [listener("ssh", 22, 10022), listener("a", 8081, 8081)],
        ),
        # Stopped between Service and Gateway.
        (state(owned_front(("a", 8081))), [listener("a", 8081, 8081, routed=False)]),
        # Stopped between Gateway and VirtualService.
        (
            state(owned_front(("a", 8081)), gateways=[istio_gateway(("a", 8081))]),
            [listener("a", 8081, 8081, routed=False)],
        ),
        # The Service was made anew and has lost the set's ports.
        (state(front(), **ROUTES), [listener("ssh", 22, 10022), listener("a", 8081, 8081)]),
        # The Service is gone.
        (state(**ROUTES), [listener("ssh", 22, 10022), listener("a", 8081, 8081)]),
        # Neither another set's ports nor those of a Service that is not ours count.
        (state(owned_front(("a", 8081), set_name="other")), []),
        (state(front([own_port("a", 8081)], {"servicemesh.tcp/default": [8081]}, labels=UNMANAGED)), []),
    ],
    ids=[
        "empty",
        "health port only",
        "whole",
        "no Gateway yet",
        "no VirtualService yet",
        "no ports",
        "no Service",
        "other set",
        "not ours",
    ],
)
def test_listeners_of_a_set_are_read_back(cluster, expected):
    assert View(cluster).listeners("default") == expected


def test_listeners_of_all_gateways_come_in_order():
    door = service(
        "door",
        "gateways",
        [own_port("b", 9091)],
        labels=owned_front()["labels"] | {"servicemesh.tcp/gateway": "door"},
        managers={"servicemesh.tcp/default": [9091]},
    )
    found = View(state(owned_front(("c", 8083), ("a", 8081)), door)).listeners("default")
    assert [(item["gateway"], item["port"]) for item in found] == [("door", 9091), ("edge", 8081), ("edge", 8083)]


@pytest.mark.parametrize(
    ("cluster", "sets"),
    [
        (state(), []),
        (state(front([HEALTH], {"servicemesh.tcp": [15021], "kubectl": [1]})), []),
        (state(owned_front(("a", 8081), set_name="b")), ["b"]),
        (state(gateways=[istio_gateway(("a", 1), set_name="c")]), ["c"]),
        (state(owned_front(("a", 8081), set_name="b"), gateways=[istio_gateway(set_name="a")]), ["a", "b"]),
        (state(gateways=[istio_gateway(labels={})]), []),
        (state(gateways=[istio_gateway(namespace="elsewhere")]), []),
    ],
)
def test_sets_on_a_gateway(cluster, sets):
    assert View(cluster).sets_on(EDGE) == sets


def test_stray_ports_are_those_that_neither_we_nor_a_set_applied():
    ports = [HEALTH, own_port("a", 8081), service_port(7001), service_port(7002)]
    managers = {"servicemesh.tcp": [15021], "servicemesh.tcp/default": [8081], "team-x": [7001]}
    assert View(state(front(ports, managers))).stray_ports(EDGE) == {
        7001: "field manager 'team-x' (Service gateways/edge)",
        7002: "a port that was added by hand (Service gateways/edge)",
    }
    assert View(state()).stray_ports(EDGE) == {}


def test_of_two_foreign_servers_on_a_port_the_older_one_is_named():
    young = istio_gateway(("x", 7001), name="a-young", labels={}, created="2026-02-01T00:00:00Z")
    old = istio_gateway(("x", 7001), name="z-old", labels={}, created="2026-01-01T00:00:00Z")
    view = View(state(gateways=[young, old]))
    held = {7001: "Gateway gateways/z-old (created 2026-01-01T00:00:00Z)"}
    assert view.foreign_ports(EDGE, "default") == held
    assert view.foreign_targets(EDGE, "default") == held


@pytest.mark.parametrize(
    ("created", "held"),
    [
        ("2026-01-01T00:00:00Z", {7001: "Gateway gateways/theirs (created 2026-01-01T00:00:00Z)"}),
        ("2026-03-01T00:00:00Z", {}),
    ],
    ids=["older", "younger"],
)
def test_a_foreign_server_on_a_port_of_the_set_counts_where_it_is_the_older_one(created, held):
    own = istio_gateway(("a", 7001), created="2026-02-01T00:00:00Z")
    theirs = istio_gateway(("x", 7001), name="theirs", labels={}, created=created)
    view = View(state(owned_front(("a", 7001)), gateways=[own, theirs]))
    assert view.foreign_ports(EDGE, "default") == held
    assert view.foreign_targets(EDGE, "default") == held


def test_another_set_s_gateway_is_named_by_its_set():
    view = View(state(gateways=[istio_gateway(("x", 7001), set_name="team-b")]))
    name = view.gateways[0]["name"]
    assert view.foreign_ports(EDGE, "default") == {7001: f"set 'team-b' (Gateway gateways/{name})"}


@pytest.mark.parametrize(
    ("gateways", "source"),
    [
        ([], ""),
        ([istio_gateway(source="hosts.yml")], "hosts.yml"),
        ([istio_gateway(source="")], ""),
        ([istio_gateway(source="hosts.yml", set_name="other")], ""),
        ([istio_gateway(source="hosts.yml", labels={})], ""),
    ],
)
def test_the_source_of_a_set(gateways, source):
    assert View(state(gateways=gateways)).source_of("default") == source


def test_a_namespace_on_its_way_out_is_not_there():
    going = {"going": {"labels": {}, "terminating": True}}
    view = View(state(namespaces=namespaces("here") | going))
    assert [view.has_namespace(name) for name in ("here", "going", "never")] == [True, False, False]


def test_a_planned_service_does_not_hide_the_one_that_is_there():
    planned = [{"namespace": "apps", "service": "echo", "port": 1}, {"namespace": "apps", "service": "new", "port": 2}]
    view = View(state(), planned)
    assert [port["port"] for port in view.services[("apps", "echo")]["ports"]] == [9000]
    assert [port["port"] for port in view.services[("apps", "new")]["ports"]] == [2]
