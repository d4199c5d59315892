# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rule of which VirtualService a server follows."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _istio_routes
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_merge import servers_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_routes import VirtualServices
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import service, service_port
from ansible_collections.servicemesh.tcp.tests.unit.plugins.istio_builders import (
    gateway,
    passthrough,
    routes,
    rule,
    server,
    sni_rule,
)


def route(*items, hosts=("*",), number=80, port=8080, services=None, **more):
    """Return VirtualService, rule and clusters of a TCP server of Gateway gateways/g, seen from that namespace."""
    [asked] = servers_of(gateway("g", server(number, hosts=hosts)))
    found = VirtualServices(items, services or {}, **more).tcp_route(asked, port, "gateways")
    return found and (found.virtual_service["name"], found.rule, found.clusters)


def chosen(*items, **more):
    """Return the VirtualService and the rule alone."""
    found = route(*items, **more)
    return found and found[:2]


def of(name, *tcp, **more):
    """Return a VirtualService for Gateway g."""
    return routes(name, *tcp, **{"gateways": ["gateways/g"], **more})


OTHER = {"match_gateways": [["gateways/other"]]}
HERE = {"match_gateways": [["g"]]}


@pytest.mark.parametrize(
    ("tcp", "found"),
    [
        ([], None),
        ([rule(80)], "tcp[0]"),
        ([rule(81)], None),
        # The number, not the port that is bound.
        ([rule(8080)], None),
        ([rule(81), rule(80), rule(80)], "tcp[1]"),
        ([rule(81, 80)], "tcp[0]"),
        # No match, and a match without a port, take every port.
        ([rule()], "tcp[0]"),
        ([rule(None)], "tcp[0]"),
        ([rule(81, None)], "tcp[0]"),
        ([rule(), rule(80)], "tcp[0]"),
        ([rule(80), rule()], "tcp[0]"),
        ([rule(81), rule()], "tcp[1]"),
        ([rule(80, **OTHER)], None),
        ([rule(80, **HERE)], "tcp[0]"),
        ([rule(80, match_gateways=[["gateways/other", "./g"]])], "tcp[0]"),
        ([rule(None, **OTHER), rule(80)], "tcp[1]"),
        ([rule(80, destinations=[]), rule(80)], "tcp[1]"),
    ],
)
def test_the_first_rule_that_matches(tcp, found):
    assert chosen(of("v", *tcp)) == (found and ("v", found))


@pytest.mark.parametrize(
    ("items", "found"),
    [
        ([of("young", rule(), created=2), of("old", rule(), created=1)], "old"),
        ([of("b", rule()), of("a", rule())], "a"),
        ([of("a", rule(), namespace="z"), of("a", rule(), namespace="b")], "a"),
        ([of("old", rule(81)), of("young", rule(80), created=2)], "young"),
        ([of("else", rule(), gateways=["gateways/other"])], None),
        ([of("mesh", rule(), gateways=["mesh"]), of("none", rule(), gateways=[])], None),
        ([of("part", rule(), hosts=[])], None),
        # Private ones before those that were exported to the namespace, before public ones.
        (
            [
                of("public", rule(), created=1),
                of("exported", rule(), created=2, namespace="apps", export_to=["gateways"]),
                of("private", rule(), created=3, export_to=["."]),
            ],
            "private",
        ),
        (
            [
                of("public", rule(), created=1),
                of("exported", rule(), created=2, namespace="apps", export_to=["gateways", "x"]),
            ],
            "exported",
        ),
        ([of("v", rule(), export_to=["gateways"]), of("a", rule(), created=2)], "v"),
        ([of("v", rule(), namespace="apps", export_to=["."])], None),
        ([of("v", rule(), export_to=["~"])], None),
        ([of("v", rule(), export_to=["x", "*"])], "v"),
        ([of("v", rule(), export_to=["apps"])], None),
    ],
)
def test_the_virtual_service_that_goes_first(items, found):
    chosen_one = chosen(*items)
    assert (chosen_one[0] if chosen_one else None) == found


@pytest.mark.parametrize(("export_to", "found"), [(["."], None), (["*"], ("v", "tcp[0]")), (["~"], None)])
def test_the_mesh_says_who_sees_one_that_does_not(export_to, found):
    assert chosen(of("v", rule(), namespace="apps"), export_to=export_to) == found


@pytest.mark.parametrize(
    ("servers", "virtual", "found"),
    [
        (["./*"], ["*"], True),
        (["apps/*"], ["*"], False),
        (["x.test"], ["y.test"], False),
        (["*.test"], ["y.test"], True),
        # A short host is completed before it is compared.
        (["db"], ["db"], False),
        (["*.gateways.svc.cluster.local"], ["db"], True),
    ],
)
def test_hosts_must_meet(servers, virtual, found):
    assert bool(chosen(of("v", rule(), hosts=virtual), hosts=[h.replace("./", "gateways/") for h in servers])) is found


SINGLE = service("single", "gateways", [service_port(7001)])
DOUBLE = service("double", "gateways", [service_port(7001), service_port(7002)])
ALIAS = service("alias", "gateways", [service_port(7009)], external_name="db.example")
SERVICES = {f"{item['name']}.gateways.svc.cluster.local": item for item in (SINGLE, DOUBLE, ALIAS)}


@pytest.mark.parametrize(
    ("to", "port", "more", "cluster"),
    [
        ("db.example", 5432, {}, "outbound|5432||db.example"),
        ("db.example", 5432, {"subset": "v1"}, "outbound|5432|v1|db.example"),
        ("single", None, {}, "outbound|7001||single.gateways.svc.cluster.local"),
        ("double", None, {}, "outbound|80||double.gateways.svc.cluster.local"),
        ("gone", None, {}, "outbound|80||gone.gateways.svc.cluster.local"),
        ("alias", None, {}, "outbound|7009||db.example"),
    ],
)
def test_the_cluster_of_a_destination(to, port, more, cluster):
    destinations = [{"host": to, "port": port, "subset": "", "weight": 0, **more}]
    assert route(of("v", rule(destinations=destinations)), services=SERVICES)[2] == (cluster,)


@pytest.mark.parametrize(("weights", "hosts"), [((0,), "a"), ((30, 70), "ab"), ((100, 0), "a"), ((0, 100), "b")])
def test_of_several_destinations_those_without_weight_get_nothing(weights, hosts):
    destinations = [
        {"host": f"{host}.test", "port": 1, "subset": "", "weight": weight}
        for host, weight in zip("ab", weights, strict=False)
    ]
    found = route(of("v", rule(destinations=destinations)))
    assert found[2] == tuple(f"outbound|1||{host}.test" for host in hosts)


def tls_routes(*items):
    """Return rule and names of each route of a passthrough server on port 443."""
    [asked] = servers_of(gateway("g", passthrough(443, "*.test")))
    found = VirtualServices(items, {}).tls_routes(asked, 8443, "gateways")
    return [(item.virtual_service["name"], item.rule, item.sni) for item in found]


def test_a_passthrough_server_follows_every_rule_that_matches():
    rules = [
        sni_rule("x.test"),
        sni_rule("y.test", port=443),
        sni_rule("z.test", port=8443),
        sni_rule("o.test", match_gateways=[["gateways/other"]]),
        sni_rule("e.test", destinations=[]),
    ]
    items = [
        of("young", tls=[sni_rule("x.test")], created=2),
        of("old", rule(), tls=rules),
        of("else", tls=rules, hosts=["x.other"]),
        of("plain", rule()),
    ]
    assert tls_routes(*items) == [
        ("old", "tls[0]", ("x.test",)),
        ("old", "tls[1]", ("y.test",)),
        ("young", "tls[0]", ("x.test",)),
    ]


def test_rules_are_read_once_whatever_the_number_of_ports(monkeypatch):
    read = []
    monkeypatch.setattr(_istio_routes, "names_gateway", lambda *given: read.append(given) or True)
    items = [of(f"v{number}", rule(number)) for number in range(1, 501)]
    virtual = VirtualServices(items, {})
    servers = servers_of(gateway("g", *range(1, 501)))
    assert all(virtual.tcp_route(item, item.number, "gateways") for item in servers)
    assert len(read) == 500
