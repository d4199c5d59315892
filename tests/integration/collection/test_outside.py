# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers outside of the cluster on the lab: this machine is one, and the gateway leads to it."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import kubernetes
import pytest
from harness import Cluster, Exposure, talk


class Answer(socketserver.StreamRequestHandler):
    """Sends each line back with a word before it."""

    def handle(self) -> None:
        """Talk with one client."""
        for line in self.rfile:
            self.wfile.write(b"outside " + line)


class Outside(NamedTuple):
    """A server on this machine, and where the gateway's pods reach it."""

    server: socketserver.ThreadingTCPServer
    host: str
    name: str

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self.server.server_address[1]


@pytest.fixture
def outside(exposure: Exposure, cluster: Cluster) -> Iterator[Outside]:
    """Run a server on this machine's address in the lab, and give it a name in the cluster's DNS."""
    core = kubernetes.client.CoreV1Api(cluster.client())
    front = core.read_namespaced_service("edge", exposure.name)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.connect((front.status.load_balancer.ingress[0].ip, 9))
        host = way.getsockname()[0]
    metadata = {"name": "db", "namespace": exposure.echo, "labels": {"kubernetes.io/service-name": "db"}}
    cluster.apply(
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"clusterIP": "None"}},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": metadata,
            "addressType": "IPv4",
            "endpoints": [{"addresses": [host], "conditions": {"ready": True}}],
        },
    )
    with socketserver.ThreadingTCPServer((host, 0), Answer) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        # The search list of the gateway's pods completes it.
        yield Outside(server, host, f"db.{exposure.echo}")
        server.shutdown()
        thread.join()


def entries(exposure: Exposure, cluster: Cluster) -> dict[str, str]:
    """Return the resolution of each ServiceEntry beside the gateway by the server that it names."""
    api = kubernetes.client.CustomObjectsApi(cluster.client())
    found = api.list_namespaced_custom_object("networking.istio.io", "v1", exposure.name, "serviceentries")["items"]
    return {item["spec"]["endpoints"][0]["address"]: item["spec"]["resolution"] for item in found}


def test_from_the_first_session_to_the_withdrawal(exposure: Exposure, cluster: Cluster, outside: Outside) -> None:
    def record(name: str, port: int, host: Any, to: int = outside.port, **more: Any) -> dict[str, Any]:
        probe = {"mode": "send", "send": "hi\\n", "expect": "outside hi"}
        return {
            "name": name,
            "gateway": "edge",
            "port": port,
            "backend": {"host": host, "port": to},
            "probe": probe,
        } | more

    first = exposure.record("first", 8000)
    by_weight = record("moving", 9002, None)
    backends = [{**by_weight.pop("backend"), "host": outside.host, "weight": 1}, {**first["backend"], "weight": 1}]
    probe = {"mode": "send", "send": "hi\\n", "expect": "/(outside|echo) hi/", "calls": 40}
    records = [
        first,
        record("address", 9000, outside.host),
        record("name", 9001, outside.name),
        {**by_weight, "backends": backends, "probe": probe},
    ]
    run = exposure.expose(records)
    assert run.code == 0, run.output
    found = {item["name"]: item for item in run.endpoints}
    assert {item["proof"] for item in found.values()} == {"proven"}
    assert set(found["moving"]["tally"]) == {"outside", "echo"}
    address = found["address"]["addresses"][0]
    assert [talk(address, port, "hello") for port in (9000, 9001)] == ["outside hello"] * 2
    assert entries(exposure, cluster) == {outside.host: "STATIC", outside.name: "DNS"}
    again = exposure.expose(records)
    assert (again.code, again.changed) == (0, 0), again.output

    before = [line for line in cluster.snapshot() if f" {exposure.name}/" in line]
    core = kubernetes.client.CoreV1Api(cluster.client())
    inside = core.read_namespaced_service("echo", exposure.echo).spec.cluster_ip
    refused = exposure.expose([*records, record("inside", 9003, inside, 9000)])
    assert (
        f"EXTERNAL_INSIDE record 'inside': backend host {inside} is an address of Service {exposure.echo}/echo"
        in refused.said
    )
    assert [line for line in cluster.snapshot() if f" {exposure.name}/" in line] == before

    # Nobody listens there.
    with socket.socket() as closed:
        closed.bind((outside.host, 0))
        broken = exposure.expose(
            [*records, record("nobody", 9003, outside.host, closed.getsockname()[1])], tcp_probe_deadline=3
        )
    assert broken.code != 0
    assert f"HOP_EXTERNAL_REFUSES record 'nobody': the gateway's connection to {outside.host}:" in broken.said
    run = exposure.expose([first], tcp_allow_withdraw="all")
    assert run.code == 0, run.output
    assert entries(exposure, cluster) == {}
    with pytest.raises(OSError, match=r"refused|timed out|No route"):
        socket.create_connection((address, 9000), timeout=2)
