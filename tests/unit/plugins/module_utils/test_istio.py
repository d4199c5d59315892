# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The listener table of a workload."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio import listener_tables
from ansible_collections.servicemesh.tcp.tests.unit.plugins.istio_builders import (
    door,
    ended,
    gateway,
    passthrough,
    pods,
    routes,
    rule,
    server,
    sni_rule,
    world,
)

WORKLOAD = "gateways/ingress"


def table(*items, **more):
    """Return C(address:port Gateway sni > clusters) of each chain, and who lost on which port for which reason."""
    found = listener_tables(world(*items, **more))
    chains = [
        f"{row['address']}:{row['port']} {row['gateway'].partition('/')[2]}"
        f" {','.join(row['sni'])}>{','.join(cluster.split('|')[3] for cluster in row['clusters'])}"
        for row in found["tables"].get(WORKLOAD, [])
    ]
    return chains, [f"{row['gateway'].partition('/')[2]}:{row['port']} {row['reason']}" for row in found["lost"]]


@pytest.mark.parametrize(
    ("items", "chains", "lost"),
    [
        ([gateway("g", 7001), routes("g", rule(to="a.b"))], ["0.0.0.0:7001 g >a.b"], []),
        ([gateway("g", 7001)], [], ["g:7001 route"]),
        ([gateway("g", 7001), routes("g", tls=[sni_rule("x.test")])], [], ["g:7001 route"]),
        # A server that has no route keeps its port nevertheless.
        ([gateway("a", 7001), gateway("b", 7001), routes("b", rule())], [], ["b:7001 port", "a:7001 route"]),
        ([gateway("g", 22), door("d", (22, 10022)), routes("g", rule(22, to="a.b"))], ["0.0.0.0:10022 g >a.b"], []),
        ([gateway("g", server(7001, "HTTP"))], ["0.0.0.0:7001 g >"], []),
        ([gateway("g", server(7001, "HTTPS", "SIMPLE", ["x.test"]))], ["0.0.0.0:7001 g x.test>"], []),
        (
            [gateway("g", server(7001, bind="10.0.0.1")), routes("g", rule(to="a.b"))],
            ["10.0.0.1:7001 g >a.b"],
            [],
        ),
        ([gateway("g", ended(7001, "./x.test")), routes("g", rule(to="a.b"))], ["0.0.0.0:7001 g x.test>a.b"], []),
        ([gateway("g", ended(7001, "x.test"))], [], ["g:7001 route"]),
        (
            [gateway("g", passthrough(7001, "*.test")), routes("g", tls=[sni_rule("x.test", to="a.b")])],
            ["0.0.0.0:7001 g x.test>a.b"],
            [],
        ),
        # Raw TCP rules do not serve a passthrough server.
        ([gateway("g", passthrough(7001, "*.test")), routes("g", rule())], [], ["g:7001 route"]),
        (
            [gateway("g", server(7001, "TLS", "AUTO_PASSTHROUGH", ["*.local"]))],
            ["0.0.0.0:7001 g *.local>"],
            [],
        ),
        # Ports that the proxy itself has.
        (
            [gateway("g", 15000, 15006, 15020, 15021, 15053, 15090), routes("g", rule(to="a.b"))],
            ["0.0.0.0:15006 g >a.b", "0.0.0.0:15053 g >a.b"],
            ["g:15000 reserved", "g:15020 reserved", "g:15021 reserved", "g:15090 reserved"],
        ),
    ],
)
def test_listeners(items, chains, lost):
    assert table(*items) == (chains, lost)


NAME_TWICE = routes("g", tls=[sni_rule("x.test", to="a.b"), sni_rule("x.test", to="c.d"), sni_rule("y.test", to="e.f")])


def test_a_name_that_a_passthrough_rule_has_is_not_given_twice():
    chains, lost = table(gateway("g", passthrough(7001, "*.test")), NAME_TWICE)
    assert chains == ["0.0.0.0:7001 g x.test>a.b", "0.0.0.0:7001 g y.test>e.f"]
    assert lost == ["g:7001 sni"]
    [row] = listener_tables(world(gateway("g", passthrough(7001, "*.test")), NAME_TWICE))["lost"]
    assert (row["rule"], row["winner"]) == ("gateways/g tls[1]", "gateways/g")


BOTH = [routes("a", rule()), routes("b", rule())]
BOTH_REFUSED = ["a:7001 refused", "b:7001 refused"]


@pytest.mark.parametrize(
    ("items", "lost"),
    [
        # The same name, of two namespaces.
        ([gateway("a", ended(7001, "gateways/x.test")), gateway("b", ended(7001, "x.test")), *BOTH], BOTH_REFUSED),
        # A name that is everything, beside a plain server.
        ([gateway("a", ended(7001, "*")), gateway("b", 7001), *BOTH], BOTH_REFUSED),
        # Two ways to write one address.
        ([gateway("a", 7001), gateway("b", server(7001, bind="0.0.0.0")), *BOTH], BOTH_REFUSED),
        # A third server that slipped through.
        (
            [gateway("a", 7001), gateway("c", server(7001, bind="10.0.0.1")), gateway("b", 7001, created=2), *BOTH],
            ["c:7001 route", *BOTH_REFUSED],
        ),
        # Without a route there is nothing to overlap.
        ([gateway("a", ended(7001, "*")), gateway("b", 7001), routes("a", rule())], ["b:7001 route"]),
    ],
)
def test_envoy_refuses_a_listener_whose_chains_overlap(items, lost):
    assert table(*items)[1] == lost


def test_the_one_that_overlaps_is_named():
    found = listener_tables(
        world(gateway("a", ended(7001, "*")), gateway("b", 7001), routes("a", rule()), routes("b", rule()))
    )
    assert [(row["gateway"], row["winner"]) for row in found["lost"]] == [
        ("gateways/a", "gateways/b"),
        ("gateways/b", "gateways/a"),
    ]


LOW = [gateway("g", 22, 80, 7001), door("d", (80, 8080)), routes("g", rule(to="a.b"))]
HIGH = ["0.0.0.0:7001 g >a.b", "0.0.0.0:8080 g >a.b"]


@pytest.mark.parametrize(
    ("more", "chains", "lost"),
    [
        ({}, ["0.0.0.0:22 g >a.b", *HIGH], []),
        ({"workloads": [pods(unprivileged=True)]}, HIGH, ["g:22 privileged"]),
        ({"plane": {"config": {"unprivileged": True}}}, HIGH, ["g:22 privileged"]),
    ],
)
def test_ports_below_1024(more, chains, lost):
    assert table(*LOW, **more) == (chains, lost)


def test_services_that_the_mesh_does_not_see_translate_nothing():
    plane = {"enhanced": False, "config": {"discovery_selectors": [{"matchLabels": {"mesh": "a"}}]}}
    assert table(*LOW, plane=plane)[0] == ["0.0.0.0:22 g >a.b", "0.0.0.0:80 g >a.b", "0.0.0.0:7001 g >a.b"]


def test_http_servers_of_a_port_are_one_chain():
    items = [
        gateway(name, server(7001, kind, hosts=[f"{name}.test"])) for name, kind in (("a", "HTTP"), ("b", "HTTP2"))
    ]
    [row] = listener_tables(world(*items))["tables"][WORKLOAD]
    assert row["hosts"] == ["a.test", "b.test"]


@pytest.mark.parametrize(
    ("workloads", "found"),
    [
        ([pods(labels={}, gateway=True)], ["gateways/ingress"]),
        ([pods(labels={}, gateway=False)], []),
        ([pods(gateway=False)], ["gateways/ingress"]),
        ([pods(), pods(labels={"istio": "ingress", "x": "y"})], ["gateways/ingress", "gateways/ingress#2"]),
        ([pods(), pods(namespace="b")], ["b/ingress", "gateways/ingress"]),
    ],
)
def test_which_pods_are_gateways(workloads, found):
    assert sorted(listener_tables(world(gateway("g", 7001), workloads=workloads))["tables"]) == found


def test_a_row_says_where_everything_is_from():
    found = listener_tables(world(gateway("g", server(7001, hosts=["./*"])), routes("g", rule(7001))))
    assert found == {
        "tables": {
            WORKLOAD: [
                {
                    "address": "0.0.0.0",
                    "port": 7001,
                    "number": 7001,
                    "protocol": "TCP",
                    "tls": "",
                    "gateway": "gateways/g",
                    "server": "tcp-7001",
                    "hosts": ["gateways/*"],
                    "sni": [],
                    "clusters": ["outbound|5432||db.apps.svc.cluster.local"],
                    "virtual_service": "gateways/g",
                    "rule": "tcp[0]",
                }
            ]
        },
        "lost": [],
    }
