# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports that somebody published by hand, as the seeds do it, are taken over while a session on them is open."""

from __future__ import annotations

import socket
import time
from typing import Any

import kubernetes
import pytest
from harness import Cluster, Exposure

PORTS = (8501, 8502)


def publish_by_hand(exposure: Exposure, cluster: Cluster) -> None:
    """Publish ports of the gateway with kubectl's means: Service ports, one Gateway, one VirtualService."""
    core = kubernetes.client.CoreV1Api(cluster.client())
    patch = [
        {"op": "add", "path": "/spec/ports/-", "value": {"name": f"by-hand-{port}", "port": port, "targetPort": port}}
        for port in PORTS
    ]
    core.patch_namespaced_service("edge", exposure.name, patch)
    selector = {"servicemesh.tcp/gateway": "edge", "servicemesh.tcp/gateway-namespace": exposure.name}
    servers = [{"port": {"number": port, "name": f"x-{port}", "protocol": "TCP"}, "hosts": ["*"]} for port in PORTS]
    host = f"echo.{exposure.echo}.svc.cluster.local"
    rules = [
        {"match": [{"port": port}], "route": [{"destination": {"host": host, "port": {"number": 9000}}}]}
        for port in PORTS
    ]
    custom = kubernetes.client.CustomObjectsApi(cluster.client())
    for plural, kind, spec in (
        ("gateways", "Gateway", {"selector": selector, "servers": servers}),
        ("virtualservices", "VirtualService", {"hosts": ["*"], "gateways": ["by-hand"], "tcp": rules}),
    ):
        body: dict[str, Any] = {
            "apiVersion": "networking.istio.io/v1beta1",
            "kind": kind,
            "metadata": {"name": "by-hand", "namespace": exposure.name},
            "spec": spec,
        }
        custom.create_namespaced_custom_object("networking.istio.io", "v1beta1", exposure.name, plural, body)


def connect(address: str, port: int) -> socket.socket:
    """Open a session that answers, as soon as the port does."""
    until = time.monotonic() + 30
    while True:
        try:
            session = socket.create_connection((address, port), timeout=5)
            assert says(session, "hello")
        except (OSError, AssertionError):
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
        else:
            return session


def declared(cluster: Cluster, exposure: Exposure) -> list[str]:
    """Return what is declared in the gateway's namespace."""
    return [line for line in cluster.snapshot() if f" {exposure.name}/" in line]


def says(session: socket.socket, text: str) -> bool:
    """Tell whether a session still answers."""
    session.sendall(f"{text}\n".encode())
    return text.encode() in session.recv(200)


# The adoption of a whole gateway (test_ownership) goes the same way, and is the sample of "make test".
@pytest.mark.slow
def test_hand_made_ports_are_adopted_without_cutting_a_session(exposure: Exposure, cluster: Cluster) -> None:
    first = exposure.record("first", 8000)
    wanted = [first, *(exposure.record(f"hand-{port}", port) for port in PORTS)]
    run = exposure.expose([first], tcp_allow_withdraw="all")
    address = run.endpoints[0]["addresses"][0]
    publish_by_hand(exposure, cluster)
    sessions = [connect(address, port) for port in PORTS]
    before = declared(cluster, exposure)
    run = exposure.expose(wanted)
    assert run.code != 0
    assert f"PORT_ADOPTABLE record 'hand-{PORTS[0]}'" in run.said
    assert f"-e tcp_adopt=hand-{PORTS[0]}" in run.said
    assert declared(cluster, exposure) == before
    # One first: the other one stays as it was made.
    run = exposure.expose(wanted[:2], tcp_adopt=f"hand-{PORTS[0]}")
    assert run.code == 0, run.output
    run = exposure.expose(wanted, tcp_adopt="all")
    assert run.code == 0, run.output
    assert [item["proof"] for item in run.endpoints] == ["proven"] * 3
    assert f"remove Gateway {exposure.name}/by-hand" in run.said
    run = exposure.expose(wanted)
    assert (run.code, run.changed) == (0, 0), run.output
    # Longer than the 45 s that a listener drains for.
    time.sleep(50)
    assert all(says(session, "still there") for session in sessions)
