# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a port that was taken away counts as gone, with real connections on the loopback."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _gone
from ansible_collections.servicemesh.tcp.plugins.module_utils._gone import Inside, Watch, closed_endpoints, judge
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi

GONE, THERE = Inside(served=False), Inside(served=True, listening=("edge-1",))
LENT, BLINDFOLD = Inside(served=True), Inside(served=True, unseen=("no right to list pods",))
PORT = {"namespace": "gateways", "gateway": "edge", "service": "edge", "target_port": 18081, "node_port": None}
PORT |= {"name": "a", "backend": {"namespace": "echo", "service": "echo", "port": 1}}


def ended(state, answer=""):
    """Return how a connection ended."""
    return {"address": "198.18.0.1", "port": 8081, "state": state, "answer": answer}


@pytest.mark.parametrize(
    ("results", "inside", "gone", "words"),
    [
        ([ended("refused")], GONE, True, "the connection is refused"),
        ([ended("closed")], GONE, True, "closed again"),
        # Somebody else's Service keeps its port, and only the listener goes.
        ([ended("refused")], LENT, True, "the connection is refused"),
        ([ended("timeout")], GONE, True, "the front Service no longer has it"),
        ([ended("timeout")], LENT, True, "no pod of the gateway listens"),
        ([], GONE, True, "it has no address, and the front Service no longer has it"),
        # Out of reach from here, and open inside.
        (
            [ended("timeout")],
            THERE,
            False,
            "the front Service still has the port, and gateway pod edge-1 still listens",
        ),
        ([ended("refused")], THERE, False, "edge-1 still listens"),
        ([ended("timeout")], BLINDFOLD, False, "no right to list pods"),
        ([ended("refused")], BLINDFOLD, True, "refused"),
        # One address of several is enough.
        ([ended("refused"), ended("unseen")], GONE, False, "keeps it open; no pod of the gateway listens, so it is"),
        ([ended("unseen")], THERE, False, "keeps it open; gateway pod edge-1 still listens"),
        ([ended("closed", "SSH-2.0")], GONE, False, "198.18.0.1:8081 answers"),
    ],
)
def test_what_counts_as_gone(results, inside, gone, words):
    found, detail = judge(results, inside)

    assert found is gone
    assert words in detail


@contextlib.contextmanager
def server():
    """Accept sessions on a port of the loopback and keep them open; yields the port and what ends it."""
    listener = socket.create_server(("127.0.0.1", 0))
    held = []

    def accept():
        with contextlib.suppress(OSError):
            while True:
                held.append(listener.accept()[0])

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()

    def stop():
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()

    yield listener.getsockname()[1], stop
    stop()
    for item in held:
        item.close()


@pytest.fixture
def api(monkeypatch):
    """Return a cluster whose front Service 'edge' has an external IP on the loopback, and ports as a test adds them."""
    monkeypatch.setattr(_gone, "HOLD", 0.1)
    fake = FakeApi()
    metadata = {"name": "edge", "namespace": "gateways"}
    fake.add({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"externalIPs": ["127.0.0.1"]}})
    return fake


def test_a_port_is_watched_until_it_is_gone(api):
    """One is gone at once, the other when its listener stops; then nobody looks any more."""
    asked = []

    def listeners(gateway):
        asked.append((gateway.namespace, gateway.name))
        return {"edge-1": {15021}}, []

    with server() as (port, stop), server() as (other, stop_other):
        stop_other()
        watch = Watch(api, listeners, clock=lambda: float(len(asked)), sleep=lambda _seconds: stop())
        found = watch.until_gone([{**PORT, "port": port}, {**PORT, "port": other}], deadline=60)

    assert found == [(True, "the connection is refused")] * 2
    assert asked == [("gateways", "edge")] * 2


def test_a_port_that_stays_is_told_when_the_deadline_is_over(api):
    with server() as (port, _stop):
        watch = Watch(api, lambda _gateway: ({"edge-1": {18081}}, []))
        ports = [{**PORT, "port": port}]
        verdicts = watch.until_gone(ports, deadline=0)
        [row] = closed_endpoints(ports, watch.fronts, [], verdicts, "lab", "mine")

    assert (row["proof"], row["addresses"], row["hop"]["code"]) == ("answers", ["127.0.0.1"], "PORT_ANSWERS")
    assert f"127.0.0.1:{port} accepts a session and keeps it open; gateway pod edge-1" in row["hop"]["message"]


def test_nothing_is_called_gone_that_nobody_looked_at(api):
    ports = [{**PORT, "port": 8081}]
    [planned] = closed_endpoints(ports, {}, [], None, planned=True)
    [unproven] = closed_endpoints(ports, {}, [], None)

    assert (planned["proof"], unproven["proof"]) == ("planned", "unproven")


def test_a_node_port_is_looked_for_where_it_was():
    """The Service has it no longer, so the port itself tells."""
    front = {"type": "NodePort", "ports": []}
    ports = [{**PORT, "port": 22, "node_port": 30022}]
    nodes = [{"name": "n", "addresses": ["10.0.0.1"]}]

    [row] = closed_endpoints(ports, {("gateways", "edge"): front}, nodes, None)

    assert (row["addresses"], row["port"]) == (["10.0.0.1"], 30022)
