# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP records with real requests: by host and path each to its own backend, by weight, and until they leave."""

from __future__ import annotations

import http.client
import re
import time
from collections import Counter
from typing import Any

import kubernetes
import pytest
from harness import Cluster, Exposure

PORT = 8080
# Of 100 requests at 30 %, fewer or more come once in ten thousand runs.
SPLIT = range(13, 49)
SHOP = "catalog.example.com"


@pytest.fixture(scope="module")
def deployed(exposure: Exposure, cluster: Cluster) -> Exposure:
    """Return the gateway with two versions of a server of HTTP, and another server."""
    core = kubernetes.client.CoreV1Api(cluster.client())
    (pod,) = core.list_namespaced_pod(exposure.name, label_selector="servicemesh.tcp/gateway=edge").items
    apps = [
        {"name": "catalog", "namespace": exposure.echo, "ports": [8080], "versions": ["v1", "v2"], "http": True},
        {"name": "gateway", "namespace": exposure.echo, "ports": [8080], "http": True},
    ]
    image = pod.spec.containers[0].image
    run = exposure.playbooks.run("deploy_echo", {"echo_apps": apps, "echo_greeter_image": image})
    assert run.code == 0, run.output
    return exposure


def served(exposure: Exposure, name: str, **more: Any) -> dict[str, Any]:
    """Return an HTTP record of the shared port."""
    backend = (
        {} if "backends" in more else {"backend": {"namespace": exposure.echo, "service": "gateway", "port": 8080}}
    )
    return {"name": name, "gateway": "edge", "port": PORT, "protocol": "http", **backend, **more}


def catalog(exposure: Exposure, **weights: int) -> dict[str, Any]:
    """Return a record that leads to versions by weight."""
    plain = {"namespace": exposure.echo, "service": "catalog", "port": 8080}
    backends = [
        {**plain, "weight": weight, "subset": {"name": name, "labels": {"version": name}}}
        for name, weight in weights.items()
    ]
    probe = {"expect": "/I am catalog-(v\\d)/", "calls": 100}
    return served(exposure, "catalog", hosts=[SHOP], backends=backends, probe=probe)


def records(exposure: Exposure, **weights: int) -> list[dict[str, Any]]:
    """Return a plain record, and HTTP records of one port."""
    return [
        exposure.record("first", 8000),
        catalog(exposure, **weights),
        served(exposure, "status", hosts=[SHOP], paths=[{"exact": "/status"}, "/health"]),
        served(exposure, "only", hosts=["only.test"], paths=["/only"]),
        served(exposure, "else", paths=[{"exact": "/"}]),
        # One host has other backends on another port.
        {**served(exposure, "elsewhere", hosts=[SHOP]), "port": 80},
    ]


def ask(session: http.client.HTTPConnection, host: str, path: str) -> str:
    """Return who answers a request: its name, or the status where nobody does."""
    session.request("GET", path, headers={"Host": host})
    answer = session.getresponse()
    found = re.search(r"I am ([\w-]+)\.", answer.read().decode())
    return found.group(1) if answer.status == 200 and found else str(answer.status)


def test_hosts_paths_and_weights_on_one_port(deployed: Exposure, cluster: Cluster) -> None:
    run = deployed.expose(records(deployed, v1=70, v2=30))
    assert run.code == 0, run.output
    assert {item["name"]: item["proof"] for item in run.endpoints} == dict.fromkeys(
        ["first", "catalog", "status", "only", "else", "elsewhere"], "proven"
    )
    by_name = {item["name"]: item for item in run.endpoints}
    assert sum(by_name["catalog"]["tally"].values()) == 100
    assert by_name["catalog"]["tally"]["v2"] in SPLIT
    again = deployed.expose(records(deployed, v1=70, v2=30))
    assert (again.code, again.changed) == (0, 0), again.output

    address = by_name["catalog"]["addresses"][0]
    session = http.client.HTTPConnection(address, PORT, timeout=10)
    session.connect()
    kept = session.sock
    assert [ask(session, *request) for request in ((SHOP, "/status"), (SHOP, "/health/a"), ("x.test", "/"))] == [
        "gateway"
    ] * 3
    assert ask(session, f"{SHOP}:{PORT}", "/").startswith("catalog-v")
    # A host that has records goes to these only.
    assert [ask(session, "only.test", path) for path in ("/only/a", "/")] == ["gateway", "404"]
    # Neither part of a whole path, nor what nobody has.
    assert ask(session, SHOP, "/status/x").startswith("catalog-v")
    assert ask(session, "x.test", "/x") == "404"
    elsewhere = http.client.HTTPConnection(address, 80, timeout=10)
    assert [ask(elsewhere, SHOP, "/"), ask(elsewhere, "x.test", "/")] == ["gateway", "404"]

    # A step of the canary: the connection stays, its next requests go where the rules lead now.
    planned = deployed.expose(records(deployed, v1=0, v2=1), "--check")
    assert planned.code == 0, planned.output
    assert f"gateway {deployed.name}/edge: port" not in planned.said
    run = deployed.expose(records(deployed, v1=0, v2=1))
    assert run.code == 0, run.output
    assert Counter(ask(session, SHOP, "/") for _call in range(20)) == {"catalog-v2": 20}
    # One record leaves, and the others stay.
    run = deployed.unexpose(tcp_names=["status"])
    assert run.code == 0, run.output
    until = time.monotonic() + 20
    while ask(session, SHOP, "/status") != "catalog-v2" and time.monotonic() < until:
        time.sleep(0.5)
    assert ask(session, SHOP, "/status") == "catalog-v2"
    assert session.sock is kept

    gone = deployed.unexpose(tcp_allow_drain=["all"])
    assert gone.code == 0, gone.output
    assert left(deployed, cluster) == ["port 15021 status-port"]


def left(exposure: Exposure, cluster: Cluster) -> list[str]:
    """Return the Istio objects in the gateway's namespace, and the ports of its front Service."""
    api = kubernetes.client.CustomObjectsApi(cluster.client())
    found = []
    for plural in ("gateways", "virtualservices", "destinationrules"):
        items = api.list_namespaced_custom_object("networking.istio.io", "v1beta1", exposure.name, plural)["items"]
        found += [f"{plural} {item['metadata']['name']}" for item in items]
    core = kubernetes.client.CoreV1Api(cluster.client())
    ports = core.read_namespaced_service("edge", exposure.name).spec.ports
    return [*found, *(f"port {item.port} {item.name}" for item in ports)]
