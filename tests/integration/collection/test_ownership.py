# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A gateway that somebody made by hand, as seed 000 does: published on as it is, and taken over with a session open."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Iterator
from typing import Any

import kubernetes
import pytest
from harness import Cluster, Exposure, Playbooks, talk

PODS = {"app": "by-hand", "istio": "by-hand"}
PORT = 8501


def workload(namespace: str) -> list[dict[str, Any]]:
    """Return the gateway's Deployment and front Service, which one port is on already."""
    labels = {**PODS, "sidecar.istio.io/inject": "true"}
    annotations = {
        "inject.istio.io/templates": "gateway",
        # So that a withdrawal need not wait for sessions that nobody has.
        "sidecar.istio.io/statsInclusionSuffixes": "downstream_cx_active",
    }
    container = {
        "name": "istio-proxy",
        "image": "auto",
        "imagePullPolicy": "IfNotPresent",
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
    }
    ports = [{"name": f"x-{port}", "port": port, "targetPort": port} for port in (15021, PORT)]
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "by-hand", "namespace": namespace},
            "spec": {
                "selector": {"matchLabels": PODS},
                "template": {
                    "metadata": {"labels": labels, "annotations": annotations},
                    "spec": {"containers": [container]},
                },
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "edge", "namespace": namespace, "labels": {"team": "by-hand"}},
            "spec": {"type": "LoadBalancer", "selector": PODS, "ports": ports},
        },
    ]


def routes(namespace: str, host: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the Gateway and the VirtualService of the port."""
    server = {"port": {"number": PORT, "name": "x", "protocol": "TCP"}, "hosts": ["*"]}
    rule = {"match": [{"port": PORT}], "route": [{"destination": {"host": host, "port": {"number": 9000}}}]}
    specs = {
        "Gateway": {"selector": PODS, "servers": [server]},
        "VirtualService": {"hosts": ["*"], "gateways": ["by-hand"], "tcp": [rule]},
    }
    return [
        (
            kind,
            {
                "apiVersion": "networking.istio.io/v1beta1",
                "kind": kind,
                "metadata": {"name": "by-hand", "namespace": namespace},
                "spec": spec,
            },
        )
        for kind, spec in specs.items()
    ]


def declared(cluster: Cluster, exposure: Exposure) -> list[str]:
    """Return what is declared in the gateway's namespace; Leases are not among it."""
    return [line for line in cluster.snapshot() if f" {exposure.name}/" in line]


@pytest.fixture
def by_hand(cluster: Cluster, playbooks: Playbooks) -> Iterator[Exposure]:
    """Return a gateway edge that nobody but people made, with one port published on it."""
    exposure = Exposure(f"ownership-{uuid.uuid4().hex[:6]}", playbooks)
    run = playbooks.run("deploy_echo", {"echo_apps": exposure.apps})
    assert run.code == 0, run.output
    client = cluster.client()
    kubernetes.client.CoreV1Api(client).create_namespace({"metadata": {"name": exposure.name}})
    cluster.apply(*workload(exposure.name))
    custom = kubernetes.client.CustomObjectsApi(client)
    for kind, body in routes(exposure.name, f"echo.{exposure.echo}.svc.cluster.local"):
        custom.create_namespaced_custom_object(
            "networking.istio.io", "v1beta1", exposure.name, f"{kind.lower()}s", body
        )
    yield exposure
    exposure.remove()


def address_of(cluster: Cluster, exposure: Exposure) -> str:
    """Return where the port answers, as soon as it does."""
    core = kubernetes.client.CoreV1Api(cluster.client())
    until = time.monotonic() + 90
    while True:
        ingress = core.read_namespaced_service("edge", exposure.name).status.load_balancer.ingress
        try:
            address = ingress[0].ip
            with socket.create_connection((address, PORT), timeout=5) as session:
                session.sendall(b"hello\n")
                assert b"hello" in session.recv(200)
        except (AssertionError, OSError, TypeError):
            assert time.monotonic() < until, "the port that was published by hand does not answer"
            time.sleep(1)
        else:
            return address


@pytest.mark.slow
def test_somebody_else_s_gateway_is_published_on_and_left_as_it_was(by_hand: Exposure, cluster: Cluster) -> None:
    address = address_of(cluster, by_hand)
    before = declared(cluster, by_hand)
    reference = {"name": "edge", "namespace": by_hand.name}
    records = [by_hand.record("first", 8601), by_hand.record("ssh", 22)]
    run = by_hand.expose(records, tcp_gateways=[reference])
    assert run.code != 0
    assert "GATEWAY_ADOPTABLE gateway 'edge'" in run.said
    assert declared(cluster, by_hand) == before

    existing = {**reference, "owner": "existing"}
    with socket.create_connection((address, PORT), timeout=10) as session:
        run = by_hand.expose(records, tcp_gateways=[existing])
        assert run.code == 0, run.output
        assert [(item["addresses"], item["proof"]) for item in run.endpoints] == [([address], "proven")] * 2
        run = by_hand.expose(records, tcp_gateways=[existing])
        assert (run.code, run.changed) == (0, 0), run.output
        session.sendall(b"still there\n")
        assert b"still there" in session.recv(200)
    assert talk(address, 22, "secure") == "echo secure"
    run = by_hand.unexpose()
    assert run.code == 0, run.output
    run = by_hand.remove_gateway(tcp_gateways=[existing])
    assert run.code == 0, run.output
    assert declared(cluster, by_hand) == before


def test_a_gateway_made_by_hand_is_adopted_with_a_session_open_and_given_back(
    by_hand: Exposure, cluster: Cluster
) -> None:
    address = address_of(cluster, by_hand)
    adopted = {"name": "edge", "namespace": by_hand.name, "adopt": True}
    records = [by_hand.record("first", 8601), by_hand.record("hand", PORT)]
    pods = [line for line in declared(cluster, by_hand) if line.startswith("deployments")]
    with socket.create_connection((address, PORT), timeout=10) as session:
        run = by_hand.expose(records, tcp_gateways=[adopted])
        assert run.code == 0, run.output
        adoption = time.monotonic()
        assert [item["proof"] for item in run.endpoints] == ["proven"] * 2
        assert f"remove Gateway {by_hand.name}/by-hand" in run.said
        run = by_hand.expose(records, tcp_gateways=[adopted])
        assert (run.code, run.changed) == (0, 0), run.output
        # Longer than the 45 s that a listener drains for.
        time.sleep(max(0.0, adoption + 50 - time.monotonic()))
        session.sendall(b"still there\n")
        assert b"still there" in session.recv(200)
    assert by_hand.unexpose().code == 0
    run = by_hand.remove_gateway(tcp_gateways=[adopted])
    assert run.code == 0, run.output
    assert [line for line in declared(cluster, by_hand) if line.startswith("deployments")] == pods
    core = kubernetes.client.CoreV1Api(cluster.client())
    given = core.read_namespaced_service("edge", by_hand.name)
    assert (given.metadata.labels, given.spec.selector) == ({"team": "by-hand"}, PODS)
    assert not any("servicemesh.tcp" in key for key in given.metadata.annotations or {})
