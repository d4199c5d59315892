# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an Envoy says of its clusters, and what it proves."""

from __future__ import annotations

import json

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy import (
    Endpoint,
    Snapshot,
    Verdict,
    gained,
    judge,
    lacks,
    parse_clusters,
)

ECHO = "outbound|8081||echo.ns.svc.cluster.local"
OTHER = "outbound|8082||other.ns.svc.cluster.local"
UP = "10.0.0.7:8081"


def clusters_answer() -> str:
    """Return an answer in Envoy's form: counters as text, zeros and false flags left out."""
    host = {
        "address": {"socket_address": {"address": "10.0.0.7", "port_value": 8081}},
        "stats": [
            {"name": "cx_connect_fail"},
            {"name": "cx_total", "value": "9"},
            {"name": "rq_total", "value": "3"},
            {"name": "rq_active", "value": "1", "type": "GAUGE"},
        ],
        "health_status": {"eds_health_status": "HEALTHY"},
        "weight": 1,
    }
    fresh = {
        "address": {"socket_address": {"address": "10.0.0.8", "port_value": 8081}},
        "stats": [{"name": "rq_total"}],
    }
    return json.dumps(
        {
            "cluster_statuses": [
                {"name": ECHO, "host_statuses": [host, fresh]},
                {"name": OTHER},
                {"name": "unasked", "host_statuses": [host]},
            ]
        }
    )


def gateway(*counts: int, healthy: bool = True, cluster: str = ECHO) -> Snapshot:
    """Return a snapshot of one pod per count, each with one endpoint of the cluster."""
    return Snapshot({f"pod-{number}": {cluster: {UP: Endpoint(count, healthy)}} for number, count in enumerate(counts)})


def test_parse_keeps_only_what_was_asked_for():
    assert parse_clusters(clusters_answer(), {ECHO, OTHER}) == {
        ECHO: {UP: Endpoint(3, True, 9), "10.0.0.8:8081": Endpoint(0, True)},
        OTHER: {},
    }


@pytest.mark.parametrize(
    ("health", "healthy"),
    [
        ({}, True),
        ({"eds_health_status": "HEALTHY"}, True),
        ({"eds_health_status": "DEGRADED"}, True),
        ({"eds_health_status": "UNHEALTHY"}, False),
        ({"eds_health_status": "DRAINING"}, False),
        ({"eds_health_status": "HEALTHY", "failed_outlier_check": True}, False),
        ({"eds_health_status": "HEALTHY", "failed_active_health_check": True}, False),
    ],
)
def test_parse_health(health, healthy):
    answer = {"cluster_statuses": [{"name": ECHO, "host_statuses": [{"health_status": health}]}]}
    (endpoint,) = parse_clusters(json.dumps(answer), {ECHO})[ECHO].values()
    assert endpoint.healthy is healthy


@pytest.mark.parametrize("text", ["", "[]", "Forbidden"])
def test_parse_refuses_other_documents(text):
    with pytest.raises(ValueError, match=r".+"):
        parse_clusters(text, {ECHO})


def test_gained_adds_up_pods_and_ignores_a_pod_without_a_first_reading():
    assert gained(gateway(5, 10), gateway(6, 12, 100), [ECHO]) == 3


def test_gained_takes_a_new_endpoint_and_a_counter_that_began_anew_as_they_are():
    before = Snapshot({"pod": {ECHO: {UP: Endpoint(50, True)}}})
    after = Snapshot({"pod": {ECHO: {UP: Endpoint(1, True), "10.0.0.9:8081": Endpoint(2, True)}}})
    assert gained(before, after, [ECHO]) == 3


@pytest.mark.parametrize(
    ("seen", "sessions", "others", "verdict"),
    [
        (0, 1, 0, Verdict.NONE),
        (1, 1, 0, Verdict.PROVEN),
        (2, 3, 0, Verdict.SOME),
        (3, 3, 0, Verdict.PROVEN),
        (1, 1, 1, Verdict.SOME),
        (2, 1, 1, Verdict.PROVEN),
    ],
)
def test_judge_counts_sessions(seen, sessions, others, verdict):
    assert judge(gateway(7), gateway(7 + seen), {ECHO}, sessions, others).verdict is verdict


def test_a_backend_that_is_not_healthy_proves_nothing():
    evidence = judge(gateway(0), gateway(1, healthy=False), {ECHO}, 1)
    assert evidence.verdict is Verdict.NONE
    assert "healthy" in evidence.detail


def test_weighted_backends_count_together():
    before = Snapshot({"pod": {ECHO: {UP: Endpoint(0, True)}, OTHER: {UP: Endpoint(0, True)}}})
    after = Snapshot({"pod": {ECHO: {UP: Endpoint(1, True)}, OTHER: {UP: Endpoint(1, True)}}})
    assert judge(before, after, {ECHO, OTHER}, 2).verdict is Verdict.PROVEN


def test_judge_says_how_strong_the_proof_is():
    assert judge(gateway(0), gateway(1), {ECHO}, 1).detail == ""
    assert "collective evidence: 2 sessions" in judge(gateway(0), gateway(2), {ECHO}, 2).detail
    assert "3 other connection(s)" in judge(gateway(0), gateway(4), {ECHO}, 1).detail


def test_a_pod_that_could_not_be_asked_makes_a_missing_proof_unseen():
    blind = Snapshot(
        gateway(0).pods, ("no right to get, create of pods/portforward in namespace gateways",), retry=False
    )
    evidence = judge(blind, gateway(0), {ECHO}, 1)
    assert (evidence.verdict, evidence.retry) == (Verdict.UNSEEN, False)
    assert "pods/portforward" in evidence.detail


def test_a_pod_that_could_not_be_asked_does_not_undo_a_proof():
    blind = Snapshot(gateway(0).pods, ("pod gateways/edge-2 is gone",))
    assert judge(blind, gateway(1), {ECHO}, 1).verdict is Verdict.PROVEN


@pytest.mark.parametrize(
    ("snapshot", "words"),
    [
        (gateway(0), ""),
        (Snapshot(problems=("not asked",)), ""),
        (gateway(0, healthy=False), "takes none of the 1 endpoint(s)"),
        (Snapshot({"pod": {ECHO: {}}}), "has no endpoint"),
        (gateway(0, cluster=OTHER), "does not know"),
    ],
)
def test_lacks_names_what_is_missing(snapshot, words):
    assert words in (found := lacks(snapshot, {ECHO}))
    assert bool(found) is bool(words)
