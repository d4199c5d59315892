# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports on a gateway of a ServiceMeshControlPlane, whose operator is the lab's stand-in (lab up --with ossm2).

The control plane lies beside the lab's own istiod, which then serves it, and has its gateway in a namespace apart.
"""

from __future__ import annotations

import copy
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import kubernetes
import pytest
from chain import ROOT
from harness import Cluster, Exposure, Playbooks, talk

GROUP = ("maistra.io", "v2", "istio-system", "servicemeshcontrolplanes")
HEALTH = {"name": "status-port", "port": 15021, "targetPort": 15021, "protocol": "TCP"}
OTHERS = {"name": "x-7000", "port": 7000, "targetPort": 7000, "protocol": "TCP"}
PORTS = (22, 8081, 8082, 8083, 9091, 9092)


def control_plane(cluster: Cluster, name: str) -> dict[str, Any]:
    """Return a control plane as it is."""
    return kubernetes.client.CustomObjectsApi(cluster.client()).get_namespaced_custom_object(*GROUP, name)


def wait_until(what: Callable[[], bool], lack: str) -> None:
    """Wait for something that a controller does."""
    until = time.monotonic() + 90
    while not what():
        assert time.monotonic() < until, lack
        time.sleep(1)


@pytest.fixture(scope="module", autouse=True)
def operator(cluster: Cluster) -> Iterator[None]:
    """Switch the stand-in of the operator on, and afterwards off again with what it brought."""
    lab = [str(ROOT / "tests" / "lab" / "lab"), "up", "--with"]
    subprocess.run([*lab, "ossm2"], check=True)
    yield
    subprocess.run([*lab, "none"], check=True)
    definitions = kubernetes.client.ApiextensionsV1Api(cluster.client())
    for item in definitions.list_custom_resource_definition().items:
        if item.spec.group == GROUP[0]:
            definitions.delete_custom_resource_definition(item.metadata.name)


@pytest.fixture
def gateway(cluster: Cluster, playbooks: Playbooks) -> Iterator[Exposure]:
    """Return a gateway that a control plane of the same name has made, with somebody else's port in its list."""
    client = cluster.client()
    exposure = Exposure(f"smcp-{uuid.uuid4().hex[:6]}", playbooks)
    run = playbooks.run("deploy_echo", {"echo_apps": exposure.apps})
    assert run.code == 0, run.output
    core, custom = kubernetes.client.CoreV1Api(client), kubernetes.client.CustomObjectsApi(client)
    core.create_namespace({"metadata": {"name": exposure.name}})
    section = {"enabled": True, "namespace": exposure.name, "service": {"ports": [HEALTH, OTHERS]}}
    gateways = {"ingress": {"enabled": False}, "egress": {"enabled": False}, "additionalIngress": {"edge": section}}
    body = {
        "apiVersion": "maistra.io/v2",
        "kind": "ServiceMeshControlPlane",
        "metadata": {"name": exposure.name, "namespace": "istio-system"},
        "spec": {
            "version": "v2.6",
            "gateways": gateways,
            # Their operators are not there, and an SMCP that asks for them gets no gateway.
            "tracing": {"type": "None"},
            "addons": {"kiali": {"enabled": False}},
        },
    }
    custom.create_namespaced_custom_object(*GROUP, body)
    try:
        wait_until(
            lambda: any(item.metadata.name == "edge" for item in core.list_namespaced_service(exposure.name).items),
            "the operator has made no Service",
        )
        yield exposure
    finally:
        custom.delete_namespaced_custom_object(*GROUP, exposure.name)
        exposure.remove()


def test_six_ports_through_a_control_plane_s_gateway(gateway: Exposure, cluster: Cluster) -> None:
    core = kubernetes.client.CoreV1Api(cluster.client())
    before = copy.deepcopy(control_plane(cluster, gateway.name))
    plane = {"name": gateway.name, "namespace": "istio-system"}
    edge = {"name": "edge", "namespace": gateway.name, "owner": "smcp", "control_plane": plane}
    variables = {"tcp_gateways": [{**edge, "service": {"type": "LoadBalancer"}}], "tcp_probe_deadline": 90}
    records = [gateway.record(f"r-{port}", port) for port in PORTS]
    run = gateway.expose(records, **variables)
    assert run.code == 0, run.output
    assert [item["proof"] for item in run.endpoints] == ["proven"] * len(PORTS)
    assert talk(run.endpoints[0]["addresses"][0], 22, "secure") == "echo secure"
    service = control_plane(cluster, gateway.name)["spec"]["gateways"]["additionalIngress"]["edge"]["service"]
    assert service["ports"][:2] == [HEALTH, OTHERS]
    assert {item["port"]: item["targetPort"] for item in service["ports"][2:]} == {
        port: port if port >= 1024 else port + 10000 for port in PORTS
    }
    run = gateway.expose(records, **variables)
    assert (run.code, run.changed) == (0, 0), run.output

    # Somebody adds a port to the Service alone; the next change of the list takes it away again.
    core.patch_namespaced_service(
        "edge", gateway.name, [{"op": "add", "path": "/spec/ports/-", "value": {"name": "hand", "port": 9999}}]
    )
    run = gateway.expose(records[:5], tcp_allow_drain="all", **variables)
    assert run.code == 0, run.output
    assert "PORTS_BORROWED" in run.said
    ports = lambda: {item.port for item in core.read_namespaced_service("edge", gateway.name).spec.ports}  # noqa: E731
    wait_until(lambda: ports() == {15021, 7000, *PORTS[:5]}, "the operator has not rendered the Service anew")

    assert gateway.unexpose(tcp_allow_drain="all").code == 0
    run = gateway.remove_gateway(**variables)
    assert run.code == 0, run.output
    after = control_plane(cluster, gateway.name)
    service = after["spec"]["gateways"]["additionalIngress"]["edge"]["service"]
    assert service == before["spec"]["gateways"]["additionalIngress"]["edge"]["service"]
    assert after["metadata"].get("annotations") == before["metadata"].get("annotations")
    wait_until(lambda: ports() == {15021, 7000}, "the operator has not rendered the Service anew")
