# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections from inside the cluster: the real prober through a stand-in for the pod's Envoy and its port."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _relay
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy import Gateway, Snapshot
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe import Prober
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_target import parse_target
from ansible_collections.servicemesh.tcp.plugins.module_utils._relay import Relay, Unrelayed, relay, relay_job
from websocket import ABNF

EDGE = Gateway("edge", "gateways", {"istio": "edge"})
# What Envoy says to CONNECT (seen with 1.40).
REFUSED = b"upstream connect error or disconnect/reset before headers. reset reason: remote connection failure"
LATE = b"upstream connect error or disconnect/reset before headers. reset reason: connection timeout"


class Wire:
    """A forwarded port's websocket, with each frame after its length."""

    def __init__(self, sock):
        self.sock = sock

    def send(self, data, opcode):
        """Send a frame."""
        assert opcode == ABNF.OPCODE_BINARY
        self.sock.sendall(struct.pack("!I", len(data)) + data)

    def recv_data(self):
        """Receive a frame, or the end."""
        head = self._exactly(4)
        if not head:
            return ABNF.OPCODE_CLOSE, b""
        return ABNF.OPCODE_BINARY, self._exactly(*struct.unpack("!I", head))

    def _exactly(self, size):
        data = b""
        while len(data) < size and (part := self.sock.recv(size - len(data))):
            data += part
        return data

    def shutdown(self):
        """Close it, also for whoever waits at the other end."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


class Pod:
    """Stands for the pod, whose Envoy relays; C(answers) are its words for ports that it does not reach."""

    def __init__(self, answers=()):
        self.answers = dict(answers)
        self.wires = []

    def forward(self, namespace, pod, port):
        """Open a forwarded port."""
        assert (namespace, pod, port) == ("gateways", "relay", _relay.RELAY_PORT)
        ours, theirs = socket.socketpair()
        threading.Thread(target=self._serve, args=(Wire(theirs),), daemon=True).start()
        self.wires.append(Wire(ours))
        return self.wires[-1]

    def _serve(self, wire):
        for channel in (b"\0", b"\1"):
            wire.send(channel + struct.pack("<H", _relay.RELAY_PORT), ABNF.OPCODE_BINARY)
        asked = wire.recv_data()[1]
        place = asked.split(b" ")[1]
        assert b"\r\nx-envoy-original-dst-host: " + place + b"\r\n" in asked
        host, port = place.decode().rsplit(":", 1)
        said = self.answers.get(int(port))
        if said:
            wire.send(b"\0HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\r\n" + said, ABNF.OPCODE_BINARY)
            wire.shutdown()
            return
        with socket.create_connection((host.strip("[]"), int(port))) as there:
            wire.send(b"\0HTTP/1.1 200 OK\r\nserver: envoy\r\n\r\n", ABNF.OPCODE_BINARY)
            thread = threading.Thread(target=self._back, args=(there, wire), daemon=True)
            thread.start()
            # A prober that has seen enough closes the session under it.
            with contextlib.suppress(OSError):
                while (frame := wire.recv_data()[1]) and frame[0] == 0:
                    there.sendall(frame[1:])
                there.shutdown(socket.SHUT_RDWR)
            thread.join()

    @staticmethod
    def _back(there, wire):
        with contextlib.suppress(OSError):
            while data := there.recv(4096):
                wire.send(b"\0" + data, ABNF.OPCODE_BINARY)
        wire.shutdown()


def found(pod, *records, **servers):
    """Probe targets through a pod, each by the name of the server that its port is."""

    async def main():
        ports = {}
        for name, behaviour in servers.items():
            server = await asyncio.start_server(behaviour, "127.0.0.1", 0)
            ports[name] = server.sockets[0].getsockname()[1]
        targets = [
            parse_target(
                {"name": "t", "addresses": ["127.0.0.1"], "from": "cluster", "timeout": 2, **record}
                | {"port": ports.get(record["port"], record["port"])}
            )
            for record in records
        ]
        way = Relay(pod, "gateways", "relay")
        return await Prober(targets, nobody, deadline=0, hold=0.2, dial=way.dial).run()

    async def nobody(_gateway, _wanted, _pods):
        return Snapshot()

    return asyncio.run(main())


async def echo(reader, writer):
    while data := await reader.read(4096):
        writer.write(data)
    writer.close()


async def hang_up(_reader, writer):
    writer.close()


async def listen_and_hang_up(reader, writer):
    await reader.read(4096)
    writer.close()


def test_what_comes_back_through_the_pod_decides():
    pod = Pod({1: REFUSED, 2: LATE, 3: b"no such route"})
    send = {"mode": "send", "send": "hello"}
    results = found(
        pod,
        {**send, "port": "echo"},
        {**send, "port": "echo", "expect": "other"},
        {**send, "port": "listen_and_hang_up"},
        {**send, "port": 1},
        {**send, "port": 2},
        {**send, "port": 3},
        {"mode": "connect", "port": "echo"},
        {"mode": "connect", "port": "hang_up"},
        echo=echo,
        hang_up=hang_up,
        listen_and_hang_up=listen_and_hang_up,
    )
    states = ["proven", "wrong_answer", "closed", "refused", "timeout", "unreachable", "unseen", "closed"]
    assert [item["state"] for item in results] == states
    assert results[0]["answer"] == "hello"
    assert "answered 503: no such route" in results[5]["detail"]
    assert len(pod.wires) == 8


class Deaf(Pod):
    """A pod to which no port may be forwarded."""

    def forward(self, _namespace, _pod, _port):
        """Refuse, in the words of the websocket's library."""
        raise OSError("Handshake status 403 -+-+- headers and all")


def test_nothing_is_reached_from_here_when_it_is_to_come_from_inside():
    """The server answers, but the pod's Envoy does not reach it."""
    [result] = found(Deaf(), {"mode": "send", "send": "x", "port": "echo"}, echo=echo)
    assert (result["state"], result["connect_ms"]) == ("unreachable", None)
    assert "no port of pod gateways/relay could be forwarded: Handshake status 403" in result["detail"]


GATEWAY_POD = {
    "metadata": {"name": "edge-1"},
    "spec": {
        "serviceAccountName": "edge",
        "imagePullSecrets": [{"name": "pull"}],
        "securityContext": {"runAsUser": 1000650000, "fsGroup": 5, "sysctls": [{"name": "x", "value": "0"}]},
        "containers": [
            {"name": "other", "image": "other"},
            {"name": "istio-proxy", "image": "mesh/proxyv2:1", "securityContext": {"runAsGroup": 7}},
        ],
    },
    "status": {"phase": "Running"},
}


def test_the_relay_runs_as_the_gateway_may_and_ends_by_itself():
    job = relay_job("tcp-probe-1", "gateways", GATEWAY_POD)
    spec = job["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["image"] == "mesh/proxyv2:1"
    assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == ("edge", False)
    assert spec["imagePullSecrets"] == [{"name": "pull"}]
    assert container["securityContext"]["runAsUser"] == 1000650000
    assert container["securityContext"]["runAsGroup"] == 7
    assert job["spec"]["activeDeadlineSeconds"] > 0 < job["spec"]["ttlSecondsAfterFinished"]
    assert job["spec"]["template"]["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"
    # Nobody else in the cluster is to connect through it.
    assert '"address": "127.0.0.1"' in container["command"][2]


class FakeApi:
    """An API server with a gateway's pod, and one for each Job that is made (or a refusal)."""

    def __init__(self, phase="Running", status=None):
        self.log = []
        self.jobs = {}
        self.phase, self.status = phase, status

    def get(self, path, labelSelector):
        assert path == "/api/v1/namespaces/gateways/pods"
        if labelSelector == "istio=edge":
            return {"items": [GATEWAY_POD]}
        ours = {"metadata": {"name": "relay"}, "status": {"phase": self.phase, "podIP": "10.0.0.9"}}
        return {"items": [{**ours, "spec": {"containers": [{"image": "auto"}]}}] if self.jobs else []}

    def request(self, method, path, body, query=None):
        self.log.append((method, path))
        if self.status:
            raise ApiError(self.status, "Forbidden", "jobs is forbidden", method, path)
        self.jobs[path] = body
        return {}


@pytest.fixture
def listening(monkeypatch):
    """Let the relay's own port be one that is open here, so that the first tunnel to itself ends well."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(_relay, "RELAY_PORT", server.getsockname()[1])
        yield


def test_a_relay_is_removed_whatever_happens(listening):
    api = FakeApi()

    def interrupted():
        with relay(api, Pod(), EDGE) as way:
            assert way.address == "10.0.0.9"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    (made, jobs), (removed, job) = api.log
    assert (made, removed) == ("POST", "DELETE")
    assert job.startswith(f"{jobs}/tcp-probe-")


@pytest.mark.parametrize(
    ("api", "words", "methods"),
    [
        (FakeApi(status=403), "jobs is forbidden (ClusterRole servicemesh-tcp-probe of docs/rbac.yaml)", ["POST"]),
        (FakeApi(phase="Pending"), "did not start in 60 s: pod relay: its image is still 'auto'", ["POST", "DELETE"]),
    ],
)
def test_why_there_is_no_relay_is_told(api, words, methods):
    now = [0.0]

    def sleep(_seconds):
        now[0] += 10

    async def dial(way):
        await way.dial("127.0.0.1", 1)

    with relay(api, Pod(), EDGE, clock=lambda: now[0], sleep=sleep) as way:
        with pytest.raises(Unrelayed) as caught:
            asyncio.run(dial(way))
        assert words in str(caught.value)
        assert way.why == str(caught.value)
    assert [method for method, _path in api.log] == methods
