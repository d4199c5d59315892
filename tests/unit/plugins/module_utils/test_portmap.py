# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The port map: what each record becomes, and who is in its way."""

from __future__ import annotations

import itertools
import json

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import gateway_selector, port_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import DESCRIBED, port_map
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import (
    EDGE,
    EDGE_REFERENCE,
    deployment,
    front,
    gateway_with,
    istio_gateway,
    messages,
    owned_front,
    record,
    service_port,
    state,
)

DOOR = {"name": "door", "namespace": "gateways", "service": {"type": "ClusterIP"}}


def targets(found) -> dict[str, int]:
    """Return the target port of each record of a port map without findings."""
    assert found["findings"] == []
    return {item["name"]: item["target_port"] for item in found["ports"]}


def says(found) -> list[str]:
    """Return what the findings of a port map say."""
    return messages(found["findings"])


def test_what_a_record_becomes():
    found = port_map([record("db", 5432, node_port=30432)], [EDGE], set_name="team-a", cluster_domain="corp.example")
    assert found == {
        "ports": [
            {
                "name": "db",
                "was": None,
                "set": "team-a",
                "hash": port_name(5432, "team-a", "db")[-8:],
                "gateway": "edge",
                "namespace": "gateways",
                "port": 5432,
                "target_port": 5432,
                "node_port": 30432,
                "port_name": port_name(5432, "team-a", "db"),
                "protocol": "tcp",
                "tls": None,
                "http": None,
                "backend": {
                    "namespace": "apps",
                    "service": "echo",
                    "port": 9000,
                    "host": "echo.apps.svc.corp.example",
                },
                "cluster": "outbound|9000||echo.apps.svc.corp.example",
                "probe": {"mode": "connect", "timeout": 5},
                "adopts": None,
                "lent": False,
                "service": "edge",
            }
        ],
        "gateways": [{key: gateway_with()[key] for key in DESCRIBED}],
        "findings": [],
    }


# Every target that a privileged port's search comes by.
THOUSANDS = [port for port in range(10005, 65536, 1000) if port != 15005 and not 32768 <= port <= 60999]


@pytest.mark.parametrize(
    ("records", "chosen"),
    [
        ([record("a", 1024)], {"a": 1024}),
        ([record("a", 1023)], {"a": 11023}),
        ([record("a", 22)], {"a": 10022}),
        ([record("a", 8081, target_port=9999)], {"a": 9999}),
        ([record("a", 22, target_port=2222)], {"a": 2222}),
        # Taken high ports are stepped over, by a record that comes with it or a target that was given.
        ([record("a", 22), record("b", 10022)], {"a": 11022, "b": 10022}),
        ([record("a", 22), record("b", 8081, target_port=10022)], {"a": 11022, "b": 10022}),
        # 10005 to 14005 are taken and 15005 is Istio's own: the next thousand is free.
        (
            [record("a", 5), *(record(str(port), port) for port in range(10005, 15005, 1000))],
            {"a": 16005, **{str(port): port for port in range(10005, 15005, 1000)}},
        ),
        # All thousands taken: any port that is free.
        (
            [record("a", 5), *(record(str(port), port) for port in THOUSANDS)],
            {"a": 1024, **{str(port): port for port in THOUSANDS}},
        ),
        # Where the pods' own connections take their ports from, no listener is put.
        ([record("a", 32767), record("b", 61000)], {"a": 32767, "b": 61000}),
        ([record("a", 32768), record("b", 60999)], {"a": 2768, "b": 30999}),
        ([record("a", 40000), record("b", 10000)], {"a": 11000, "b": 10000}),
    ],
)
def test_target_ports_without_a_cluster(records, chosen):
    assert targets(port_map(records, [EDGE])) == chosen


def test_gateways_do_not_share_ports():
    records = [record("a", 22), record("b", 22, gateway="door")]
    found = port_map(records, [EDGE, DOOR])
    assert [(item["gateway"], item["port"], item["target_port"]) for item in found["ports"]] == [
        ("door", 22, 10022),
        ("edge", 22, 10022),
    ]


SSH = record("ssh", 22)
SSH_SHOWN = state(owned_front(("ssh", 22, 12022)))


@pytest.mark.parametrize(
    ("records", "chosen"),
    [
        ([SSH], {"ssh": 12022}),
        # A given target wins over the one that is shown: somebody asked for the change.
        ([{**SSH, "target_port": 2222}], {"ssh": 2222}),
        # Whatever comes beside it goes out of its way.
        ([SSH, record("new", 12022)], {"ssh": 12022, "new": 22022}),
        ([SSH, record("new", 23)], {"ssh": 12022, "new": 10023}),
        # Another record on that port does not inherit the target.
        ([record("other", 22)], {"other": 10022}),
    ],
)
def test_a_target_port_that_is_shown_is_kept(records, chosen):
    assert targets(port_map(records, [EDGE], SSH_SHOWN)) == chosen


def test_a_target_port_that_is_shown_is_not_given_to_another_record():
    found = port_map([SSH, record("new", 8081, target_port=12022)], [EDGE], SSH_SHOWN)
    assert [item["name"] for item in found["ports"]] == ["ssh"]
    assert says(found) == [
        "PORT_TAKEN record 'new': target port 12022 on gateway edge is already held by record 'ssh' of the same set."
    ]


def test_a_target_port_that_is_shown_but_that_somebody_else_took_is_given_up():
    shown = state(owned_front(("ssh", 22, 12022)), gateways=[istio_gateway(("x", 12022), name="theirs", labels={})])
    assert targets(port_map([SSH], [EDGE], shown)) == {"ssh": 10022}


def test_a_target_port_by_name_or_too_low_is_not_kept():
    shown = front(
        [
            service_port(22, "http", port_name(22, "default", "ssh")),
            service_port(23, 23, port_name(23, "default", "t")),
        ],
        {"servicemesh.tcp/default": [22, 23]},
    )
    assert targets(port_map([SSH, record("t", 23)], [EDGE], state(shown))) == {"ssh": 10022, "t": 10023}


@pytest.mark.parametrize(
    ("records", "chosen"),
    [
        # The listener of a port that leaves is there until the end of the run: nobody else is let onto it.
        ([record("new", 12022)], {"new": 22022}),
        ([record("new", 12022), record("ssh", 23)], {"new": 22022, "ssh": 10023}),
        ([record("new", 22)], {"new": 10022}),
        ([record("new", 22, target_port=12022)], {"new": 12022}),
        # A renamed record keeps both of its ports.
        ([record("new", 22, was="ssh")], {"new": 12022}),
    ],
)
def test_a_target_port_that_leaves_in_this_run_is_still_held(records, chosen):
    assert targets(port_map(records, [EDGE], SSH_SHOWN)) == chosen


def test_a_given_target_port_that_leaves_in_this_run_is_refused():
    found = port_map([record("new", 8081, target_port=12022)], [EDGE], SSH_SHOWN)
    assert says(found) == [
        "TARGET_PORT_LEAVING record 'new': target port 12022 on gateway edge is still that of port 22, which this run"
        " closes or moves: clients of port 22 would reach the new backend for a moment."
    ]


def test_who_has_a_given_target_port_already_keeps_it():
    shown = state(owned_front(("b", 8081, 9000)))
    found = port_map([record("a", 7, target_port=9000), record("b", 8081, target_port=9000)], [EDGE], shown)
    assert says(found) == [
        "PORT_TAKEN record 'a': target port 9000 on gateway edge is already held by record 'b' of the same set."
    ]


@pytest.mark.parametrize(
    ("gateway", "chosen"),
    [
        ({**EDGE, "pool": "10000-10099"}, {"ssh": 11022, "telnet": 11023}),
        ({**EDGE, "pool": "10022-11022", "reserved": "12000-12999"}, {"ssh": 13022, "telnet": 11023}),
        # Where the pool is all there is, its end is no better than its beginning.
        ({**EDGE, "pool": "1024-65535"}, {"ssh": 1024, "telnet": 1025}),
        ({**EDGE, "pool": "1026-65535"}, {"ssh": 1024, "telnet": 1025}),
    ],
)
def test_a_privileged_port_keeps_away_from_ports_that_may_be_given_out(gateway, chosen):
    assert targets(port_map([record("ssh", 22), record("telnet", 23)], [gateway])) == chosen


@pytest.mark.parametrize(
    ("records", "said"),
    [
        (
            [record("b", 8081), record("a", 8081)],
            "record 'b': port 8081 on gateway edge is already held by record 'a' of the same set.",
        ),
        (
            [record("a", 8081, target_port=9000), record("b", 8082, target_port=9000)],
            "record 'b': target port 9000 on gateway edge is already held by record 'a' of the same set.",
        ),
    ],
)
def test_two_records_never_share_a_port(records, said):
    found = port_map(records, [EDGE])
    assert says(found) == [f"PORT_TAKEN {said}"]
    assert [item["name"] for item in found["ports"]] == ["a"]


FOREIGN = istio_gateway(
    ("x", 7001), name="theirs", namespace="elsewhere", labels={}, selector=gateway_selector("edge", "gateways")
)


@pytest.mark.parametrize(
    ("cluster", "wanted", "holder"),
    [
        (
            state(owned_front(("x", 7001), set_name="team-b")),
            record("a", 7001),
            "port 7001 on gateway edge is already held by set 'team-b' (Service gateways/edge).",
        ),
        (
            state(owned_front(("x", 23, 10023), set_name="team-b")),
            record("a", 8081, target_port=10023),
            "target port 10023 on gateway edge is already held by set 'team-b' (Service gateways/edge).",
        ),
        (
            state(front([service_port(7001)], {"kubectl": [7001]})),
            record("a", 7001),
            "port 7001 on gateway edge is already held by field manager 'kubectl' (Service gateways/edge).",
        ),
        (
            state(front([service_port(7001)])),
            record("a", 7001),
            "port 7001 on gateway edge is already held by a port that was added by hand (Service gateways/edge).",
        ),
        (
            state(gateways=[FOREIGN], deployments=[deployment()]),
            record("a", 7001),
            "port 7001 on gateway edge is already held by Gateway elsewhere/theirs.",
        ),
        (
            state(gateways=[FOREIGN]),
            record("a", 8081, target_port=7001),
            "target port 7001 on gateway edge is already held by Gateway elsewhere/theirs.",
        ),
        (
            # The Service sends 7001 to 7009 in the pods: that is where the foreign server listens.
            state(front([service_port(7001, 7009)], {"kubectl": [7001]}), gateways=[FOREIGN]),
            record("a", 8081, target_port=7009),
            "target port 7009 on gateway edge is already held by field manager 'kubectl' (Service gateways/edge).",
        ),
        (
            state(gateways=[{**FOREIGN, "selector": {}}]),
            record("a", 7001),
            "port 7001 on gateway edge is already held by Gateway elsewhere/theirs.",
        ),
    ],
)
def test_a_port_that_somebody_else_holds(cluster, wanted, holder):
    found = port_map([wanted, record("free", 8090)], [EDGE], cluster)
    assert says(found) == [f"PORT_TAKEN record 'a': {holder}"]
    assert [item["name"] for item in found["ports"]] == ["free"]


def test_the_number_of_a_server_that_the_service_translates_is_free_in_the_pods():
    cluster = state(front([service_port(7001, 7009)], {"kubectl": [7001]}), gateways=[FOREIGN])
    assert targets(port_map([record("a", 8081, target_port=7001)], [EDGE], cluster)) == {"a": 7001}


@pytest.mark.parametrize(
    "cluster",
    [
        state(owned_front(("a", 7001)), gateways=[istio_gateway(("a", 7001))]),
        state(front([service_port(7001, protocol="UDP")])),
        state(gateways=[{**FOREIGN, "selector": gateway_selector("edge", "other-namespace")}]),
        state(gateways=[{**FOREIGN, "selector": {"istio": "ingressgateway"}}]),
    ],
    ids=["the set itself", "UDP", "a gateway of that name elsewhere", "another workload"],
)
def test_what_is_not_in_the_way(cluster):
    assert targets(port_map([record("a", 7001)], [EDGE], cluster)) == {"a": 7001}


def test_a_target_that_somebody_else_holds_is_stepped_over():
    cluster = state(owned_front(("x", 22, 10022), set_name="team-b"))
    found = port_map([record("ssh", 23, gateway="edge"), record("b", 10022)], [EDGE_REFERENCE], cluster)
    assert targets(found) == {"ssh": 10023, "b": 20022}


@pytest.mark.parametrize(
    ("gateways", "said"),
    [
        ([], "gateway 'edge' is not defined; defined are none."),
        ([{**EDGE, "name": "egde"}, DOOR], "gateway 'edge' is not defined; defined are door, egde."),
    ],
)
def test_a_gateway_that_nobody_defined(gateways, said):
    assert says(port_map([record()], gateways)) == [f"GATEWAY_UNKNOWN record 'a': {said}"]


@pytest.mark.parametrize("broken", [{"replicas": 0}, {"namespace": 5}])
def test_a_gateway_that_is_refused_gives_one_finding_only(broken):
    found = port_map([record()], [{**EDGE, **broken}])
    assert [item["subject"] for item in found["findings"]] == ["gateway 'edge'"]


@pytest.mark.parametrize("name", [["edge"], {"a": 1}, None, 5])
def test_a_gateway_without_a_readable_name_is_a_finding(name):
    found = port_map([], [{"name": name, "namespace": "gateways"}])
    assert [item["code"] for item in found["findings"]] == ["VALUE_INVALID"]


@pytest.mark.parametrize("set_name", ["Team_A", "", "a" * 64, "-a"])
def test_a_set_is_a_label(set_name):
    found = port_map([], [], set_name=set_name)
    assert says(found) == [
        f"VALUE_INVALID set {set_name!r}: tcp_set: {set_name!r} is not valid; it must be 1 to 63 lower-case letters,"
        " digits or '-', and begin and end with a letter or digit."
    ]


def test_all_that_is_wrong_is_told_at_once():
    cluster = state(mesh={"served": False, "control_planes": [], "revisions": []}, services=[])
    found = port_map([record("a"), record("b", 0), record("c", 8082, gateway="door")], [EDGE], cluster)
    assert sorted(item["code"] for item in found["findings"]) == [
        "BACKEND_MISSING",
        "GATEWAY_UNKNOWN",
        "NO_ISTIO",
        "PORT_OUT_OF_RANGE",
    ]


def test_a_backend_that_check_mode_did_not_make_counts_as_there():
    planned = [{"namespace": "new", "service": "echo", "port": 9000}]
    raw = record(backend={"namespace": "new", "service": "echo", "port": 9000})
    assert says(port_map([raw], [EDGE], state(), planned_services=planned)) == []
    assert len(says(port_map([raw], [EDGE], state()))) == 1


def test_the_order_of_records_does_not_matter():
    records = [record("a", 22), record("b", 10022), record("c", 23), record("d", 8081, target_port=11022)]
    results = {json.dumps(port_map(list(order), [EDGE], SSH_SHOWN)) for order in itertools.permutations(records)}
    assert len(results) == 1
