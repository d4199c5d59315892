# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where clients reach a port, how that is judged, and how people read it."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _endpoints
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import BACKEND, EDGE, front, own_port, record

NODES = [{"name": "a", "addresses": ["10.0.0.1", "10.0.0.2"]}, {"name": "b", "addresses": ["10.0.0.3"]}]


def mapped(*records):
    """Return the port map of records."""
    return port_map(records or [record()], [EDGE])["ports"]


def result(state="proven", first_byte=12.4, connect=3.2, **more):
    """Return one result of tcp_probe."""
    return {
        "name": "a",
        "address": "198.18.0.1",
        "port": 8081,
        "state": state,
        "first_byte_ms": first_byte,
        "connect_ms": connect,
        "detail": "why",
        **more,
    }


BALANCED = front(type="LoadBalancer", addresses=["198.18.0.1", "198.18.0.2"])


@pytest.mark.parametrize(
    ("service", "addresses", "port"),
    [
        (None, [], 8081),
        (BALANCED, ["198.18.0.1", "198.18.0.2"], 8081),
        (
            front(type="LoadBalancer", external_ips=["198.18.0.9"], addresses=["lb.example"]),
            ["lb.example", "198.18.0.9"],
            8081,
        ),
        # Without an address there is none: its cluster address is nobody's way in.
        (front(type="LoadBalancer"), [], 8081),
        (front(external_ips=["198.18.0.9"]), ["198.18.0.9"], 8081),
        (front(), ["10.96.0.1"], 8081),
        (
            front([{**own_port("a", 8081), "node_port": 30001}], type="NodePort"),
            ["10.0.0.1", "10.0.0.2", "10.0.0.3"],
            30001,
        ),
        (front(type="NodePort"), ["10.0.0.1", "10.0.0.2", "10.0.0.3"], 8081),
    ],
)
def test_where_clients_reach_a_port(service, addresses, port):
    assert _endpoints.reachable_at(mapped()[0], service, NODES) == (addresses, port)


def test_an_endpoint_to_the_leaf():
    assert _endpoints.endpoints(mapped(), [BALANCED], results=[result()], cluster="lab") == [
        {
            "cluster": "lab",
            "set": "default",
            "name": "a",
            "gateway": "edge",
            "door": "gateway",
            "addresses": ["198.18.0.1", "198.18.0.2"],
            "port": 8081,
            "sni": None,
            "http": None,
            "client": None,
            "backend": {"namespace": "apps", "service": "echo", "port": 9000},
            "proof": "proven",
            "milliseconds": 12.4,
            "detail": "",
            "hop": None,
        }
    ]


SILENT = result(first_byte=None)
OFF = record(probe={"mode": "none"})


@pytest.mark.parametrize(
    ("raw", "service", "results", "arguments", "proof", "detail", "milliseconds"),
    [
        (record(), BALANCED, [result()], {}, "proven", "", 12.4),
        # Servers that keep silent are timed by their connection.
        (record(), BALANCED, [SILENT], {}, "proven", "", 3.2),
        (record(), BALANCED, [result(), result(first_byte=40.0)], {}, "proven", "", 40.0),
        # Every address has to answer.
        (
            record(),
            BALANCED,
            [result(), result("refused", None, None, address="198.18.0.2")],
            {},
            "broken",
            "198.18.0.2:8081: the connection is refused (why)",
            12.4,
        ),
        (record(), BALANCED, [result("new_state")], {}, "broken", "198.18.0.1:8081: new_state (why)", 12.4),
        (record(), BALANCED, [], {}, "broken", "it was not probed", None),
        (record(), BALANCED, [result(name="b")], {}, "broken", "it was not probed", None),
        (record(), front(type="LoadBalancer"), [], {}, "broken", "its load balancer has no address", None),
        (record(), BALANCED, [], {"probed": False}, "unproven", "probing is turned off", None),
        (OFF, BALANCED, [], {}, "unproven", "probing is turned off for this record", None),
        (record(), None, [], {"planned": True}, "planned", "", None),
        (record(), None, [], {"planned": True, "probed": False}, "planned", "", None),
    ],
)
def test_how_a_port_is_judged(raw, service, results, arguments, proof, detail, milliseconds):
    (found,) = _endpoints.endpoints(mapped(raw), [service] if service else [], results=results, **arguments)
    assert (found["proof"], found["detail"], found["milliseconds"]) == (proof, detail, milliseconds)


def test_each_port_of_a_record_is_judged_by_its_own_results():
    ports = mapped(record("a", "8081-8083"))
    results = [result(port=8081), result("refused", port=8082)]
    found = _endpoints.endpoints(ports, [BALANCED], results=results)
    assert [(item["name"], item["port"], item["proof"]) for item in found] == [
        ("a", 8081, "proven"),
        ("a", 8082, "broken"),
        ("a", 8083, "broken"),
    ]
    assert [item["detail"] for item in found[1:]] == [
        "198.18.0.1:8082: the connection is refused (why)",
        "it was not probed",
    ]


def test_results_are_found_by_the_node_port_where_that_was_probed():
    shown = [{**own_port("a", port), "node_port": port + 22000} for port in (8081, 8082)]
    ports, service = mapped(record("a", "8081-8082")), front(shown, type="NodePort")
    assert [item["port"] for item in _endpoints.probe_targets(ports, [service], NODES)["targets"]] == [30081, 30082]
    results = [result(port=30081), result("refused", port=30082)]
    found = _endpoints.endpoints(ports, [service], NODES, results=results)
    assert [(item["port"], item["proof"]) for item in found] == [(30081, "proven"), (30082, "broken")]


def test_every_state_that_is_not_proven_has_words():
    for state, words in _endpoints.STATES.items():
        (found,) = _endpoints.endpoints(mapped(), [BALANCED], results=[result(state)])
        assert found["proof"] == "broken"
        assert found["detail"] == f"198.18.0.1:8081: {words} (why)"


def test_what_is_probed():
    records = [
        record("a", 8081),
        record("b", 22, probe={"send": "hi", "timeout": 2}),
        record("c", 8083, probe={"send": "hi", "expect": "/x/"}),
        record("d", 8084, probe={"mode": "none"}),
    ]
    found = _endpoints.probe_targets(mapped(*records), [BALANCED])
    base = {
        "addresses": ["198.18.0.1", "198.18.0.2"],
        "gateway": "edge",
        "cluster": ["outbound|9000||echo.apps.svc.cluster.local"],
    }
    assert found == {
        "targets": [
            {"name": "b", "port": 22, "mode": "send", "timeout": 2, "send": "hi", **base},
            {"name": "a", "port": 8081, "mode": "connect", "timeout": 5, **base},
            {"name": "c", "port": 8083, "mode": "send", "timeout": 5, "send": "hi", "expect": "/x/", **base},
        ],
        "gateways": [
            {
                "name": "edge",
                "namespace": "gateways",
                "selector": {"servicemesh.tcp/gateway": "edge", "servicemesh.tcp/gateway-namespace": "gateways"},
            }
        ],
    }


def test_the_pods_of_somebody_else_s_gateway_are_those_that_its_service_selects():
    found = _endpoints.probe_targets(mapped(record()), [{**BALANCED, "selector": {"app": "theirs"}}])
    assert [item["selector"] for item in found["gateways"]] == [{"app": "theirs"}]


def test_without_an_address_nothing_is_probed():
    assert _endpoints.probe_targets(mapped(), [front(type="LoadBalancer")]) == {"targets": [], "gateways": []}


def test_the_table():
    report = _endpoints.endpoints(mapped(record("a", 22)), [BALANCED], results=[result(first_byte=12.6, port=22)])
    report += _endpoints.endpoints(mapped(record("b", 8081)), [])
    assert _endpoints.report_lines(report) == [
        "GATEWAY  ADDRESS                 PORT  BACKEND         PROOF",
        "edge     198.18.0.1, 198.18.0.2  22    apps/echo:9000  proven in 13 ms",
        "edge     -                       8081  apps/echo:9000  broken: its load balancer has no address",
    ]


def test_the_table_names_the_names_that_share_a_port():
    records = [record("a", 8443, protocol="tls", hosts=["a.test"]), record("b", 8443, protocol="tls", hosts=["b.test"])]
    lines = _endpoints.report_lines(_endpoints.endpoints(mapped(*records), [BALANCED], planned=True))
    assert [line.split()[3:5] for line in lines[1:]] == [["8443", "a.test"], ["8443", "b.test"]]


def test_the_table_names_the_broken_hop():
    (item,) = _endpoints.endpoints(mapped(), [BALANCED], results=[result("refused")])
    item["hop"] = {"code": "HOP_PODS_MISSING", "message": "record 'a': gateway gateways/edge has no pod: why."}
    assert _endpoints.report_lines([item])[1].endswith(
        "apps/echo:9000  broken at HOP_PODS_MISSING: record 'a': gateway gateways/edge has no pod: why."
    )


def test_the_table_of_nothing_has_its_head():
    assert _endpoints.report_lines([]) == ["GATEWAY  ADDRESS  PORT  BACKEND  PROOF"]


def test_records_that_were_never_planned_stand_in_the_table_as_they_are_written():
    whole = record("taken", backend={"namespace": "apps", "service": "db", "port": 5432})
    findings = [
        {"code": "PORT_TAKEN", "severity": "error", "subject": "record 'taken'"},
        {"code": "PORTS_KEPT", "severity": "note", "subject": "record 'odd'"},
    ]
    odd = {"name": "odd", "gateway": None, "port": ["auto", "1-2"], "backend": "db"}
    rows = _endpoints.unfinished([whole, odd, {}, "old"], findings)
    assert _endpoints.report_lines(rows) == [
        "GATEWAY  ADDRESS  PORT       BACKEND       PROOF",
        "edge     -        8081       apps/db:5432  refused: PORT_TAKEN",
        "-        -        auto, 1-2  -             unproven: the run failed before it came to that",
        "-        -        -          -             unproven: the run failed before it came to that",
        "-        -        -          -             unproven: old: the run failed before it came to that",
    ]


def test_several_backends_have_their_shares_and_what_came_back():
    subset = {"name": "v1", "labels": {"version": "v1"}}
    backends = [{**BACKEND, "subset": subset, "weight": 70}, {**BACKEND, "service": "other", "weight": 30}]
    ports = mapped({**{key: value for key, value in record().items() if key != "backend"}, "backends": backends})
    hosts = [f"{name}.apps.svc.cluster.local" for name in ("echo", "other")]
    (target,) = _endpoints.probe_targets(ports, [BALANCED])["targets"]
    assert target["cluster"] == [f"outbound|9000|v1|{hosts[0]}", f"outbound|9000||{hosts[1]}"]
    seen = [result(tally={"b": 2, "a": 1}), result(address="198.18.0.2", tally={"a": 1})]
    (found,) = _endpoints.endpoints(ports, [BALANCED], results=seen)
    assert found["tally"] == {"a": 2, "b": 2}
    assert [(item["service"], item["subset"], item["weight"]) for item in found["backends"]] == [
        ("echo", "v1", 70),
        ("other", None, 30),
    ]
    assert "apps/echo:9000 v1 70%, apps/other:9000 30%" in _endpoints.report_lines([found])[1]
