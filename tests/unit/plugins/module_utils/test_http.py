# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP records: what is refused, and whole runs of records and sets that share a port by host and path."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _apply
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_declared import differences
from ansible_collections.servicemesh.tcp.plugins.module_utils._endpoint_maps import endpoint_maps
from ansible_collections.servicemesh.tcp.plugins.module_utils._endpoints import endpoints
from ansible_collections.servicemesh.tcp.plugins.module_utils._hops_case import Case, Facts
from ansible_collections.servicemesh.tcp.plugins.module_utils._hops_gateway import gateway_server, listener
from ansible_collections.servicemesh.tcp.plugins.module_utils._http_objects import followed
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio import listener_tables
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import object_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._plan import withdrawal_plan
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.plugins.module_utils._records import read_records
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.plugins.modules import mesh_state
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import BACKEND, EDGE, messages, record, workload
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi
from ansible_collections.servicemesh.tcp.tests.unit.plugins.http_texts import served
from ansible_collections.servicemesh.tcp.tests.unit.plugins.whole_runs import mesh_cluster, publish, withdraw

INVALID = "VALUE_INVALID record 'a': "
PORT = 8080


def to(service: str) -> dict[str, Any]:
    """Return another backend than the usual one."""
    return {**BACKEND, "service": service}


def versions(**weights: int) -> dict[str, Any]:
    """Return a record's backends: versions of one Service by weight."""
    return {
        "backends": [
            {**to("shop"), "weight": weight, "subset": {"name": name, "labels": {"version": name}}}
            for name, weight in weights.items()
        ]
    }


def without_backend(raw: dict[str, Any]) -> dict[str, Any]:
    """Return a record whose backends stand elsewhere."""
    return {key: value for key, value in raw.items() if key != "backend"}


def web_cluster() -> FakeApi:
    """Return a cluster with backends beside the usual one, whose pods are of two versions."""
    api = mesh_cluster()
    for name in ("shop", "cart"):
        ports = [{"port": 9000, "protocol": "TCP"}]
        api.add(new_object("Service", name, "apps", {}, spec={"ports": ports, "selector": {"app": name}}))
    for version in ("v1", "v2"):
        api.add(new_object("Pod", f"shop-{version}", "apps", {"app": "shop", "version": version}))
    return api


def state_of(api: FakeApi) -> dict[str, Any]:
    """Return what is on a cluster, with the gateway's pods."""
    return {**mesh_state.read(api), "workloads": [workload()]}


def of_kind(api: FakeApi, kind: str) -> list[dict[str, Any]]:
    """Return all objects of a kind."""
    found = [stored.full() for stored in api.objects.values()]
    return [obj for obj in found if obj["kind"] == kind]


def routes(api: FakeApi) -> dict[str, list[str]]:
    """Return where each host's rules lead, in their order: C(8080 exact /x: service)."""
    found: dict[str, list[str]] = {}
    for obj in of_kind(api, "VirtualService"):
        (host,) = obj["spec"]["hosts"]
        for rule in obj["spec"].get("http", []):
            (match,) = rule["match"]
            ((kind, path),) = match["uri"].items()
            where = "/".join(route["destination"]["host"].split(".")[0] for route in rule["route"])
            found.setdefault(host, []).append(f"{match['port']} {kind} {path}: {where}")
    return found


def front_ports(api: FakeApi) -> list[str]:
    """Return the names of the front Service's ports."""
    return [item["name"] for item in api.object("Service", "edge", "gateways")["spec"]["ports"]]


# What a record may say


def test_defaults_take_every_request_and_prove_one():
    (found,), findings = read_records([served("a")])
    assert findings == []
    assert found["http"] == {"hosts": ["*"], "paths": [{"prefix": "/"}]}
    assert found["probe"] == {"mode": "http", "path": "/", "timeout": 5}


def test_paths_of_every_form():
    raw = served("a", "*.example.com", paths=["/api", {"exact": "/login"}, {"prefix": "/api"}], probe={"status": 204})
    (found,), findings = read_records([raw])
    assert findings == []
    assert found["http"]["paths"] == [{"prefix": "/api"}, {"exact": "/login"}]
    assert found["probe"] == {
        "mode": "http",
        "path": "/api",
        "host": "tcp-probe.example.com",
        "status": 204,
        "timeout": 5,
    }


def test_a_proof_of_versions_asks_until_each_has_answered():
    (found,), findings = read_records([without_backend(served("a", **versions(v1=70, v2=30)))])
    assert findings == []
    assert found["probe"]["calls"] == 13


PATH_RULE = "a path begins with '/', and has no query, fragment or blank"
REFUSED = [
    *(
        (
            served("a", bad),
            f"hosts: {bad!r} is not valid; it must be '*', or a host name of two labels or more in lower case, such as"
            " shop.example.com.",
        )
        for bad in ("shop", "A.example.com", "a.*.com", "http://a.b", "a.b:8080")
    ),
    (served("a", hosts=[]), "hosts: [] is not valid; give at least one host, or leave it out for every host."),
    (served("a", paths=[]), "paths: [] is not valid; give at least one path, or leave it out for every path."),
    *(
        (served("a", paths=[bad]), f"paths: {bad!r} is not valid; {PATH_RULE}.")
        for bad in ("api", "/a?b", "/a b", "/a#b", {"exact": "x"}, {"prefix": 1})
    ),
    (
        served("a", paths={"regex": "/.*"}),
        "paths: {'regex': '/.*'} is not valid; a path is a text, or one of {exact: text} and {prefix: text}.",
    ),
    (record(paths=["/"]), "paths: ['/'] is not valid; it needs protocol: http."),
    (
        {**served("a"), "port": "auto"},
        "port: 'auto' is not valid; records share a port of HTTP by their hosts, so each has to say which.",
    ),
    (
        served("a", probe={"mode": "connect"}),
        "probe.mode: 'connect' is not valid; with protocol http the proof is a request; use http or none.",
    ),
]


@pytest.mark.parametrize(("raw", "said"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be(raw, said):
    records, findings = read_records([raw])
    assert records == []
    assert messages(findings) == [INVALID + said]


def test_certificates_for_http_are_not_built():
    assert [item["code"] for item in read_records([served("a", tls={"mode": "terminate"})])[1]] == ["KEY_NOT_BUILT"]


# Whole runs


RECORDS = [
    record("plain", 8000),
    served("all"),
    served("shop", "shop.example.com", "www.example.com", backend=to("shop")),
    served("cart", "shop.example.com", paths=["/cart", {"exact": "/"}], backend=to("cart")),
    {**served("cart-2", "shop.example.com", paths=["/cart/v2"]), "target_port": 18080},
    {**served("elsewhere", "shop.example.com", backend=to("cart")), "port": 8090},
]


def test_many_hosts_and_paths_on_one_port():
    api = web_cluster()
    publish(api, RECORDS)
    assert routes(api) == {
        "*": ["8080 prefix /: echo"],
        "shop.example.com": [
            # The first that fits wins.
            "8080 exact /: cart",
            "8080 prefix /cart/v2: echo",
            "8080 prefix /cart: cart",
            "8080 prefix /: shop",
            "8090 prefix /: cart",
        ],
        "www.example.com": ["8080 prefix /: shop"],
    }
    assert front_ports(api)[2:] == ["http-8080", "http-8090"]
    found = listener_tables(state_of(api))
    assert found["lost"] == []
    rows = {row["number"]: row for row in found["tables"]["gateways/edge"]}
    hosts = {number: [host.rpartition("/")[2] for host in row["hosts"]] for number, row in rows.items()}
    # A wider host beside a narrower one would have its rules put among the other's.
    assert hosts[8080] == ["*"]
    assert hosts[8090] == ["shop.example.com"]
    # The audit follows the rules, as far as all hosts of a port are this collection's.
    seen = state_of(api)["virtual_services"]
    assert followed(rows[8090], seen).clusters == ["outbound|9000||cart.apps.svc.cluster.local"]
    assert len(followed(rows[8080], seen).virtual_services) == 3
    assert followed(rows[8080], seen).whole
    assert not followed({**rows[8080], "hosts": [*rows[8080]["hosts"], "shop/theirs.example.com"]}, seen).whole
    # What was written is read back as it was asked for, and nothing is written twice.
    assert differences(state_of(api), RECORDS, [EDGE], "default", "cluster.local") == []
    assert publish(api, RECORDS) == []


def test_versions_by_weight_are_read_back():
    api = web_cluster()
    canary = without_backend(served("canary", "shop.example.com", **versions(v1=70, v2=30)))
    publish(api, [canary])
    (rule,) = of_kind(api, "DestinationRule")
    assert [item["name"] for item in rule["spec"]["subsets"]] == ["v1", "v2"]
    assert publish(api, [canary]) == []
    moved = without_backend(served("canary", "shop.example.com", **versions(v1=0, v2=100)))
    told = differences(state_of(api), [moved], [EDGE], "default", "cluster.local")
    assert "to another backend than declared" in str(told)
    assert publish(api, [moved])
    assert differences(state_of(api), [moved], [EDGE], "default", "cluster.local") == []


def test_withdrawing_one_record_leaves_the_others():
    api = web_cluster()
    publish(api, RECORDS)
    withdraw(api, names=["cart", "all", "elsewhere"])
    assert routes(api) == {
        "shop.example.com": ["8080 prefix /cart/v2: echo", "8080 prefix /: shop"],
        "www.example.com": ["8080 prefix /: shop"],
    }
    assert front_ports(api)[2:] == ["http-8080"]
    withdraw(api)
    left = mesh_state.read(api)
    assert (left["gateways"], left["virtual_services"]) == ([], [])
    assert front_ports(api) == ["status-port"]


def test_a_run_without_pruning_keeps_rules_and_their_paths():
    api = web_cluster()
    publish(api, [served("shop", "shop.example.com")])
    publish(api, [served("cart", "shop.example.com", paths="/cart", backend=to("cart"))], prune=False)
    assert routes(api) == {"shop.example.com": ["8080 prefix /cart: cart", "8080 prefix /: echo"]}
    with pytest.raises(_apply.Refused) as refused:
        publish(api, [served("new", "shop.example.com")], prune=False)
    assert [item["code"] for item in refused.value.findings] == ["HTTP_PATH_TAKEN"]
    assert "a record that this run keeps" in str(refused.value.findings)


def test_two_sets_share_a_port_and_leave_it_one_by_one():
    api = web_cluster()
    publish(api, [served("a", "a.example.com")])
    theirs = [served("b", "b.example.com", backend=to("shop"))]
    assert publish(api, theirs, set_name="other")
    assert publish(api, theirs, set_name="other") == []
    assert publish(api, [served("a", "a.example.com")]) == []
    # Nobody finds a port closed on which another set answers.
    assert withdrawal_plan(state_of(api))["closed"] == []
    withdraw(api)
    assert routes(api) == {"b.example.com": ["8080 prefix /: shop"]}
    assert front_ports(api) == ["status-port", "http-8080"]
    withdraw(api, "other")
    assert front_ports(api) == ["status-port"]


@pytest.mark.parametrize(
    ("mine", "code"),
    [
        (served("b", "a.example.com", paths="/b"), "HTTP_HOST_TAKEN"),
        (served("b", "*.example.com"), "HTTP_HOST_TAKEN"),
        (served("b"), "HTTP_HOST_TAKEN"),
        (record("b", PORT), "PORT_TAKEN"),
        (record("b", PORT, protocol="tls", hosts=["b.example.com"]), "PORT_TAKEN"),
    ],
)
def test_what_another_set_has_is_not_taken(mine, code):
    api = web_cluster()
    publish(api, [served("a", "a.example.com")])
    with pytest.raises(_apply.Refused) as refused:
        publish(api, [mine], set_name="other")
    assert [item["code"] for item in refused.value.findings] == [code]
    if code == "HTTP_HOST_TAKEN":
        assert "meets 'a.example.com', which set 'default'" in str(refused.value.findings)


def test_clashes_within_a_set():
    def codes(*records):
        found = port_map(list(records), [EDGE])["findings"]
        return [(item["code"], item["subject"]) for item in found]

    a = served("a", "a.example.com", paths=["/x"])
    assert codes(a, served("b", "*.example.com", paths=["/x"])) == []
    assert codes(a, served("b", "a.example.com", paths={"exact": "/x"})) == []
    assert codes(a, served("b", "a.example.com", paths=["/y", "/x"])) == [("HTTP_PATH_TAKEN", "record 'b'")]
    assert codes(a, record("b", PORT)) == [("PORT_TAKEN", "record 'b'")]
    assert codes(a, record("b", PORT, protocol="tls", hosts=["b.c"])) == [("PORT_TAKEN", "record 'b'")]


def test_a_strangers_hosts_on_a_port_that_he_lends():
    """An HTTP server of somebody else's on his own front Service: further hosts may join it, his own are his."""
    api = web_cluster()
    selector = {"istio": "theirs"}
    port = {"name": "http2", "port": 80, "targetPort": 8080, "protocol": "TCP"}
    api.add(new_object("Service", "theirs", "apps", {}, spec={"selector": selector, "ports": [port]}))
    server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["shop.example.com"]}
    api.add(new_object("Gateway", "shop", "apps", {}, spec={"selector": selector, "servers": [server]}))
    gateways = [{"name": "theirs", "namespace": "apps", "owner": "existing"}]
    mine = {**served("a", "mine.example.com"), "gateway": "theirs", "port": 80}
    assert publish(api, [mine], gateways=gateways)
    assert publish(api, [mine], gateways=gateways) == []
    for bad in ("shop.example.com", "*"):
        with pytest.raises(_apply.Refused) as refused:
            publish(api, [{**mine, "hosts": [bad]}], gateways=gateways)
        assert [item["code"] for item in refused.value.findings] == ["HTTP_HOST_TAKEN"]
    withdraw(api)
    assert api.object("Service", "theirs", "apps")["spec"]["ports"] == [port]


def test_the_walk_along_the_hops_misses_a_record_s_rules():
    api = web_cluster()
    records = [served("a", "a.example.com"), served("b", "b.example.com")]
    publish(api, records)
    mapped = {item["name"]: item for item in port_map(records, [EDGE], state_of(api))["ports"]}

    def hops():
        facts = Facts(view=View(state_of(api)))
        cases = {name: Case(port, [], facts) for name, port in mapped.items()}
        found = {name: gateway_server(case) or listener(case) for name, case in cases.items()}
        return {name: verdict["code"] for name, verdict in found.items() if verdict}

    assert hops() == {}
    (rules,) = [obj for obj in of_kind(api, "VirtualService") if "b.example.com" in obj["spec"]["hosts"]]
    del api.objects[object_path(rules)]
    assert hops() == {"b": "HOP_HTTP_ROUTE"}


def test_an_endpoint_says_how_it_is_asked():
    records = [served("a"), {**served("b", "b.example.com", paths={"exact": "/x"}), "port": 8090}]
    services = [
        {
            "name": "edge",
            "namespace": "gateways",
            "type": "LoadBalancer",
            "addresses": ["198.18.0.1"],
            "external_ips": [],
        }
    ]
    ports = port_map(records, [EDGE])["ports"]
    found = endpoints(ports, services, planned=True)
    assert [item["client"]["curl"] for item in found] == [
        "curl http://198.18.0.1:8080/",
        "curl --connect-to b.example.com:8090:198.18.0.1:8090 http://b.example.com:8090/x",
    ]
    assert found[1]["http"] == {"hosts": ["b.example.com"], "paths": [{"exact": "/x"}]}
    # The same beside the backend.
    (_first, told) = endpoint_maps(ports, services, []).values()
    assert told["data"]["README.txt"].splitlines()[1:] == [
        "198.18.0.1 port 8090 (b.example.com=/x) leads to port 9000 of Service echo",
        f"  {found[1]['client']['curl']}",
    ]
