# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All doors of a backend at once: through the gateway and past it, until they leave without a trace."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import kubernetes
import pytest
from harness import Cluster, Exposure, Playbooks, talk

ROOT = Path(__file__).resolve().parents[3]
# Each lab has its own of the usual range; the highest ones are the last that Kubernetes would choose itself.
NODE_PORT = 32765


@pytest.fixture(scope="module")
def external_ip(cluster: Cluster) -> str:
    """Return an address that the lab routes to its node, for Services to name."""
    return str(json.loads(Path(cluster.admin).with_name("state.json").read_text())["external_ip"])


def past(exposure: Exposure, kind: str, **more: Any) -> dict[str, Any]:
    """Return a record that leads past the gateway."""
    record = exposure.record(kind, 0, door=kind)
    return {**{key: record[key] for key in record if key not in ("gateway", "port")}, **more}


def doors(exposure: Exposure, external_ip: str) -> list[dict[str, Any]]:
    """Return a record for each door; the gateway's is there already."""
    return [
        exposure.record("first", 8000),
        past(exposure, "node_port", node_port=NODE_PORT),
        past(exposure, "external_ip", port="7000-7001", service={"external_ips": [external_ip]}),
        past(exposure, "load_balancer", port=7000),
    ]


def refused(endpoint: dict[str, Any]) -> bool:
    """Tell whether nobody answers at an endpoint any more."""
    with socket.socket() as client:
        client.settimeout(2)
        return client.connect_ex((endpoint["addresses"][0], endpoint["port"])) != 0


def session(endpoint: dict[str, Any]) -> socket.socket:
    """Open a session that has reached the backend."""
    client = socket.create_connection((endpoint["addresses"][0], endpoint["port"]), timeout=5)
    client.sendall(b"hello\n")
    assert client.recv(100) == b"echo hello\n"
    return client


def services(exposure: Exposure, cluster: Cluster) -> list[str]:
    """Return the names of the Services beside the backend."""
    found = kubernetes.client.CoreV1Api(cluster.client()).list_namespaced_service(exposure.echo).items
    return [item.metadata.name for item in found]


def test_every_door_of_one_backend(exposure: Exposure, cluster: Cluster, external_ip: str) -> None:
    before = cluster.snapshot()
    records = doors(exposure, external_ip)
    foreseen = exposure.expose(records, "--check")
    assert foreseen.code == 0, foreseen.output
    assert services(exposure, cluster) == ["echo"]

    run = exposure.expose(records)
    assert run.code == 0, run.output
    assert {item["proof"] for item in run.endpoints} == {"proven"}
    found = {(item["door"], item["port"]): item for item in run.endpoints}
    assert sorted(found) == [
        ("external_ip", 7000),
        ("external_ip", 7001),
        ("gateway", 8000),
        ("load_balancer", 7000),
        ("node_port", NODE_PORT),
    ]
    nodes = kubernetes.client.CoreV1Api(cluster.client()).list_node().items
    inside = [item.address for node in nodes for item in node.status.addresses if item.type == "InternalIP"]
    assert found["node_port", NODE_PORT]["addresses"] == inside
    assert found["external_ip", 7001]["addresses"] == [external_ip]
    assert "EXTERNAL_IP_ALONE record 'external_ip'" in run.said
    # As any client would, and no other way than the endpoint says.
    for item in run.endpoints:
        assert talk(item["addresses"][0], item["port"], "from outside") == "echo from outside"

    again = exposure.expose(records)
    assert (again.code, again.changed) == (0, 0), again.output

    # Somebody else's set, which has neither the port nor the address.
    taken = [records[1], {**records[2], "port": 7001}]
    clash = exposure.expose(taken, tcp_set=f"{exposure.name}-b", tcp_gateways=[])
    assert clash.code != 0
    assert f"node port {NODE_PORT} is already held by Service {exposure.echo}/echo-tcp-" in clash.said
    assert f"port 7001 of external IP {external_ip} is already held by Service {exposure.echo}/echo-tcp-" in clash.said

    # Sessions past the gateway are held while their doors go: kube-proxy keeps what is connected.
    with ExitStack() as stack:
        held = [stack.enter_context(session(item)) for item in run.endpoints if item["door"] != "gateway"]
        moved = exposure.expose([records[0], *records[2:]])
        assert moved.code == 0, moved.output
        assert "sessions could not be seen" in moved.said
        assert refused(found["node_port", NODE_PORT])

        gone = exposure.unexpose(tcp_allow_drain=["all"])
        assert gone.code == 0, gone.output
        assert services(exposure, cluster) == ["echo"]
        assert all(refused(item) for item in run.endpoints)
        for client in held:
            client.sendall(b"still here\n")
            assert client.makefile().readline() == "echo still here\n"
    # The gateway's own Service has a port less than before.
    left = {line for line in cluster.snapshot() if f"{exposure.name}/edge " not in line} - set(before)
    assert left == set()


@pytest.fixture(scope="module")
def openshift() -> Iterator[Cluster]:
    """Return an API-only lab with the stand-in for OpenShift's Routes, which admits them; there is no router."""
    lab = [str(ROOT / "tests" / "lab" / "lab")]
    name = ["--name", "doors-it"]
    subprocess.run([*lab, "up", "--api-only", "--with", "openshift", *name], check=True, capture_output=True)
    folder = ROOT / ".lab" / "doors-it"
    yield Cluster(folder / "kubeconfig", folder / "kubeconfig-tcp")
    subprocess.run([*lab, "down", *name], check=True, capture_output=True)


@pytest.mark.slow
@pytest.mark.own_lab
def test_a_route_is_admitted_kept_and_removed(openshift: Cluster, tmp_path: Path) -> None:
    core = kubernetes.client.CoreV1Api(openshift.client())
    for space in ("mail", "other"):
        core.create_namespace({"metadata": {"name": space}})
        ports = [{"name": "imaps", "port": 993, "targetPort": 9993}]
        core.create_namespaced_service(
            space, {"metadata": {"name": "imap"}, "spec": {"selector": {"app": "imap"}, "ports": ports}}
        )
    before = openshift.snapshot()
    playbooks = Playbooks(ROOT, openshift, tmp_path)

    def route(space: str = "mail", **more: Any) -> dict[str, Any]:
        backend = {"namespace": space, "service": "imap", "port": 993}
        # Nobody can connect: an API-only lab has no pods, and the stand-in no router.
        return {
            "name": "mail",
            "door": "route",
            "hosts": "mail.apps.test",
            "backend": backend,
            "probe": {"mode": "none"},
            **more,
        }

    def expose(*records: dict[str, Any], **more: Any) -> Any:
        return playbooks.run("expose_tcp", {"tcp_ports": list(records), "tcp_wait_timeout": 30, **more})

    run = expose(route())
    assert run.code == 0, run.output
    (endpoint,) = run.endpoints
    assert (endpoint["door"], endpoint["addresses"], endpoint["port"], endpoint["proof"]) == (
        "route",
        ["mail.apps.test"],
        443,
        "unproven",
    )
    api = kubernetes.client.CustomObjectsApi(openshift.client())
    (made,) = api.list_cluster_custom_object("route.openshift.io", "v1", "routes")["items"]
    assert made["spec"]["port"] == {"targetPort": "imaps"}
    assert made["status"]["ingress"][0]["conditions"][0]["status"] == "True"
    again = expose(route())
    assert (again.code, again.changed) == (0, 0), again.output

    taken = expose(route("other"), tcp_set="other")
    assert taken.code != 0
    assert f"is already the name of Route mail/{made['metadata']['name']}" in taken.said
    # Without a router there is no proof, and the run does not say that there was one.
    unproven = expose(route(probe={}), tcp_probe_deadline=1)
    assert unproven.code != 0
    assert unproven.endpoints[0]["proof"] == "broken"

    gone = playbooks.run("unexpose_tcp", {})
    assert gone.code == 0, gone.output
    assert "its Route is gone; no router was asked" in gone.said
    assert set(openshift.snapshot()) == set(before)
