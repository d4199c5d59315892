# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a gateway's Envoys through the API server, with a stand-in for its two calls."""

from __future__ import annotations

import json
from collections import Counter
from types import SimpleNamespace

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _portforward
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy import Endpoint
from ansible_collections.servicemesh.tcp.plugins.module_utils._portforward import EnvoyReader, Gateway
from ansible_collections.servicemesh.tcp.plugins.module_utils._sessions import STATS_PATH, Sessions
from websocket import ABNF, WebSocketBadStatusException, WebSocketConnectionClosedException

EDGE = Gateway("edge", "gateways", {"istio": "edge", "app": "gw"})
PODS = "wss://198.18.24.2:6443/api/v1/namespaces/gateways/pods/"
# 15000 in the byte order in which both channels begin.
PORT = b"\x98\x3a"
BODY = json.dumps(
    {
        "cluster_statuses": [
            {
                "name": "c",
                "host_statuses": [
                    {
                        "address": {"socket_address": {"address": "10.0.0.7", "port_value": 80}},
                        "stats": [{"name": "rq_total", "value": "4"}],
                    }
                ],
            }
        ]
    }
).encode()
WHOLE = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)


class Forward:
    """A forwarded port: its websocket gives these frames, then the end (or raises what is given)."""

    def __init__(self, *frames):
        self.frames = [b"\0" + PORT, b"\1" + PORT, *frames]
        self.sent = []
        self.closed = False

    def settimeout(self, seconds):
        """Accept a time-out."""

    def send(self, data, opcode):
        """Note what is sent."""
        self.sent.append((opcode, data))

    def recv_data(self):
        """Give the next frame."""
        frame = self.frames.pop(0) if self.frames else (ABNF.OPCODE_CLOSE, b"")
        if isinstance(frame, Exception):
            raise frame
        return frame if isinstance(frame, tuple) else (ABNF.OPCODE_BINARY, frame)

    def shutdown(self):
        """Note that it was closed."""
        self.closed = True


def pod(name, ready="True", **metadata):
    """Return a pod as the API server lists it."""
    return {"metadata": {"name": name, **metadata}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


class FakeApi:
    """An API connection with these pods, that refuses to list them with the given status."""

    def __init__(self, *pods, status=None):
        self.requests = Counter()
        self.pods = pods
        self.status = status
        configuration = SimpleNamespace(
            host="https://198.18.24.2:6443",
            auth_settings=lambda: {"BearerToken": {"value": "Bearer secret"}},
        )
        rest = SimpleNamespace(configuration=configuration, default_headers={"User-Agent": "test"})
        self.client = rest

    def get(self, path, **query):
        """List the pods."""
        self.requests["GET"] += 1
        assert path == "/api/v1/namespaces/gateways/pods"
        assert query == {"labelSelector": "app=gw,istio=edge"}
        if self.status:
            raise ApiError(self.status, "Forbidden", "pods is forbidden", "GET", path)
        return {"items": list(self.pods)}


@pytest.fixture
def forwards(monkeypatch):
    """What the pods' forwarded ports give, by pod; an exception is raised while opening."""
    by_pod = {}

    def create_websocket(_configuration, url, headers):
        assert headers["authorization"] == "Bearer secret"
        path, pod_name, rest = url[: len(PODS)], url[len(PODS)], url[len(PODS) + 1 :]
        assert (path, rest) == (PODS, "/portforward?ports=15000")
        if isinstance(by_pod[pod_name], Exception):
            raise by_pod[pod_name]
        return by_pod[pod_name]

    monkeypatch.setattr(_portforward, "create_websocket", create_websocket)
    return by_pod


def test_all_ready_pods_are_read(forwards):
    forwards.update({"a": Forward(b"\0" + WHOLE[:50], b"\0" + WHOLE[50:]), "b": Forward(b"\0" + WHOLE)})
    api = FakeApi(pod("b"), pod("a"), pod("new", ready="False"), pod("old", deletionTimestamp="2026-11-21T00:00:00Z"))
    snapshot = EnvoyReader(api).snapshot(EDGE, {"c"})
    clusters = {"c": {"10.0.0.7:80": Endpoint(4, True)}}
    assert snapshot.pods == {"a": clusters, "b": clusters}
    assert snapshot.problems == ()
    assert sum(api.requests.values()) == 3
    assert all(forward.closed for forward in forwards.values())
    ((opcode, request),) = forwards["a"].sent
    assert opcode == ABNF.OPCODE_BINARY
    assert request.startswith(b"\0GET /clusters?format=json HTTP/1.1\r\n")


def test_the_second_reading_asks_the_same_pods_without_listing_them(forwards):
    forwards["a"] = Forward(b"\0" + WHOLE)
    api = FakeApi(status=500)
    assert list(EnvoyReader(api).snapshot(EDGE, {"c"}, ["a"]).pods) == ["a"]
    assert sum(api.requests.values()) == 1


def test_the_answer_is_read_to_its_end_not_to_the_end_of_the_connection(forwards):
    forwards["a"] = Forward(b"\0" + WHOLE, AssertionError("read on after the end"))
    assert EnvoyReader(FakeApi(pod("a"))).snapshot(EDGE, {"c"}).problems == ()


@pytest.mark.parametrize(
    ("status", "words", "retry"),
    [(403, "no right to list pods in namespace gateways", False), (500, "pods is forbidden", True)],
)
def test_pods_that_cannot_be_listed(status, words, retry):
    snapshot = EnvoyReader(FakeApi(status=status)).snapshot(EDGE, {"c"})
    assert words in snapshot.problems[0]
    assert snapshot.retry is retry


def test_a_gateway_without_a_ready_pod():
    snapshot = EnvoyReader(FakeApi(pod("a", ready="False"))).snapshot(EDGE, {"c"})
    assert snapshot.problems == ("gateway edge has no ready pod in namespace gateways",)
    assert snapshot.retry


@pytest.mark.parametrize(
    ("outcome", "words", "retry"),
    [
        (
            WebSocketBadStatusException("Handshake status 403 Forbidden -+-+- {...}", 403),
            "no right to get and create pods/portforward in namespace gateways",
            False,
        ),
        (WebSocketBadStatusException("Handshake status 404 Not Found", 404), "pod gateways/a is gone", True),
        (WebSocketBadStatusException("Handshake status 500 -+-+- {...}", 500), "forwarded: Handshake status 500", True),
        (ConnectionRefusedError("refused"), "forwarded: refused", True),
        (Forward(), "no usable answer", True),
        (Forward(b"\xff\0", AssertionError("read on after the end of the channel")), "no usable answer", True),
        (Forward(b"\1cannot connect: refused"), "cannot connect: refused", True),
        (Forward(b"\0" + WHOLE[:-40]), "no usable answer", True),
        (Forward(b"\0HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"), "HTTP 503 Busy", True),
        (Forward(WebSocketConnectionClosedException("gone")), "gone", True),
        (Forward(TimeoutError("timed out")), "timed out", True),
    ],
)
def test_what_goes_wrong_is_told_and_the_other_pods_are_read(forwards, outcome, words, retry):
    forwards.update({"a": outcome, "b": Forward(b"\0" + WHOLE)})
    snapshot = EnvoyReader(FakeApi(pod("a"), pod("b"))).snapshot(EDGE, {"c"})
    assert list(snapshot.pods) == ["b"]
    assert words in snapshot.problems[0]
    assert snapshot.retry is retry


STATS = b"listener.0.0.0.0_15021.downstream_cx_active: 0\nlistener.0.0.0.0_8081.downstream_cx_active: 3\n"
INFO = json.dumps(
    {
        "command_line_options": {"drain_time": "45s"},
        "node": {"metadata": {"PROXY_CONFIG": {"terminationDrainDuration": "5s"}}},
    }
).encode()


def answer(body):
    """Return an answer of Envoy's as one frame."""
    return b"\0HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


def test_sessions_and_drain_times_come_over_one_connection_per_pod(forwards):
    forwards.update({"a": Forward(answer(STATS), answer(INFO)), "b": Forward(answer(STATS), answer(INFO))})
    api = FakeApi(pod("a"), pod("b"), pod("new", ready="False"))
    assert EnvoyReader(api).sessions(EDGE) == Sessions({8081: 6}, (), 45.0, 5.0)
    # The list of pods, and one port forwarding for each.
    assert sum(api.requests.values()) == 3
    requests = [request.split(b" ")[1] for _opcode, request in forwards["a"].sent]
    assert requests == [STATS_PATH.encode(), b"/server_info"]
    assert forwards["a"].closed


def test_a_gateway_without_a_ready_pod_has_no_sessions(forwards):
    assert EnvoyReader(FakeApi(pod("a", ready="False"))).sessions(EDGE) == Sessions()


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (WebSocketBadStatusException("Handshake status 403", 403), "no right to get and create pods/portforward"),
        (Forward(answer(b""), answer(INFO)), "it does not count the sessions of its listeners"),
        (Forward(answer(STATS), b"\0HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"), "HTTP 503 Busy"),
    ],
)
def test_pods_whose_sessions_cannot_be_seen_are_told(forwards, outcome, words):
    forwards.update({"a": outcome, "b": Forward(answer(STATS), answer(INFO))})
    seen = EnvoyReader(FakeApi(pod("a"), pod("b"))).sessions(EDGE)
    assert seen.open == {8081: 3}
    assert words in seen.problems[0]


def test_a_pod_that_does_not_count_says_for_how_long_it_drains_all_the_same(forwards):
    forwards.update({"a": Forward(answer(b""), answer(INFO))})
    counted = {"b": Forward(answer(STATS), answer(INFO))}
    seen = EnvoyReader(FakeApi(pod("a"))).sessions(EDGE)
    forwards.update(counted)
    assert seen.problems
    assert seen.listener_drain == EnvoyReader(FakeApi(pod("b"))).sessions(EDGE).listener_drain == 45.0


def test_pods_that_may_not_be_listed_hide_their_sessions():
    assert EnvoyReader(FakeApi(status=403)).sessions(EDGE) == Sessions(
        problems=("no right to list pods in namespace gateways",)
    )


def test_ports_that_pods_listen_on_are_told_and_pods_that_do_not_say(forwards):
    bound = [{"local_address": {"socket_address": {"port_value": port}}} for port in (15021, 8081)]
    forwards["a"] = Forward(answer(json.dumps({"listener_statuses": bound}).encode()))
    forwards["b"] = WebSocketBadStatusException("Handshake status 403", 403)
    ports, problems = EnvoyReader(FakeApi(pod("a"), pod("b"), pod("new", ready="False"))).listeners(EDGE)
    assert ports == {"a": {15021, 8081}}
    assert "no right to get and create pods/portforward" in problems[0]
    assert EnvoyReader(FakeApi(status=403)).listeners(EDGE) == ({}, ["no right to list pods in namespace gateways"])
