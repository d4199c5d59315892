# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights and subsets on the lab: what comes back through each port, and what a step of a canary does."""

from __future__ import annotations

import socket
from typing import Any

import kubernetes
import pytest
from harness import Cluster, Exposure, Run, talk

ISTIO = ("networking.istio.io", "v1beta1")
# Of 100 sessions at 30 %, fewer or more come once in ten thousand runs.
SPLIT = range(13, 49)


def versions(exposure: Exposure, **weights: int) -> list[dict[str, Any]]:
    """Return backends that are versions of one Service."""
    plain = {"namespace": exposure.echo, "service": "shop", "port": 9000}
    return [
        {**plain, "weight": weight, "subset": {"name": name, "labels": {"version": name}}}
        for name, weight in weights.items()
    ]


def shop(exposure: Exposure, name: str, port: int, calls: int = 20, **weights: int) -> dict[str, Any]:
    """Return a record that leads to versions by weight, and counts which of them answered."""
    probe = {"mode": "send", "send": "hi\\n", "expect": "/shop-(v\\d) hi/", "calls": calls}
    return {"name": name, "gateway": "edge", "port": port, "backends": versions(exposure, **weights), "probe": probe}


def tally(run: Run, name: str) -> dict[str, int]:
    """Return what came back through a record's port."""
    (endpoint,) = [item for item in run.endpoints if item["name"] == name]
    assert endpoint["proof"] == "proven"
    return endpoint["tally"]


def rules(cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    """Return the DestinationRules of a namespace."""
    api = kubernetes.client.CustomObjectsApi(cluster.client())
    return api.list_namespaced_custom_object(*ISTIO, namespace, "destinationrules")["items"]


@pytest.fixture(scope="module")
def deployed(exposure: Exposure, cluster: Cluster) -> Exposure:
    """Return the gateway with two versions behind one Service, and a server that speaks first, on two pods."""
    core = kubernetes.client.CoreV1Api(cluster.client())
    (pod,) = core.list_namespaced_pod(exposure.name, label_selector="servicemesh.tcp/gateway=edge").items
    apps = [
        {"name": "shop", "namespace": exposure.echo, "ports": [9000], "versions": ["v1", "v2"]},
        {"name": "greet", "namespace": exposure.echo, "ports": [9000], "greets": True, "replicas": 2},
    ]
    image = pod.spec.containers[0].image
    run = exposure.playbooks.run("deploy_echo", {"echo_apps": apps, "echo_greeter_image": image})
    assert run.code == 0, run.output
    return exposure


def test_a_canary_from_its_first_step_to_its_withdrawal(deployed: Exposure, cluster: Cluster) -> None:
    greet = {"namespace": deployed.echo, "service": "greet", "port": 9000}
    kept = [
        deployed.record("first", 8000),
        shop(deployed, "v1", 31400, v1=1),
        shop(deployed, "v2", 31401, v2=1),
        {
            **deployed.record("greet", 31402, backend=greet),
            "probe": {
                "mode": "banner",
                "expect": f"/Pod (greet-\\S+)\\. In namespace {deployed.echo}\\./",
                "calls": 20,
            },
        },
        # Nobody is asked what answers: both backends must stand in the gateway's Envoy.
        {
            "name": "silent",
            "gateway": "edge",
            "port": 31403,
            "backends": [*versions(deployed, v2=1), {**greet, "weight": 2}],
        },
    ]
    run = deployed.expose([*kept, shop(deployed, "canary", 31404, 100, v1=70, v2=30)])
    assert run.code == 0, run.output
    assert [tally(run, "v1"), tally(run, "v2")] == [{"v1": 20}, {"v2": 20}]
    assert sum(tally(run, "canary").values()) == 100
    assert tally(run, "canary")["v2"] in SPLIT
    address = run.endpoints[0]["addresses"][0]
    assert [talk(address, port, "hello") for port in (31400, 31401)] == ["shop-v1 hello", "shop-v2 hello"]
    again = deployed.expose([*kept, shop(deployed, "canary", 31404, 100, v1=70, v2=30)])
    assert (again.code, again.changed) == (0, 0), again.output

    before = [line for line in cluster.snapshot() if f" {deployed.name}/" in line]
    refused = deployed.expose([*kept, shop(deployed, "canary", 31404, 100, v1=70, v3=30)])
    assert refused.code != 0
    assert "SUBSET_EMPTY record 'canary': no pod that Service" in refused.said
    assert [line for line in cluster.snapshot() if f" {deployed.name}/" in line] == before

    back = [*kept, shop(deployed, "canary", 31404, 100, v1=100, v2=0)]
    planned = deployed.expose(back, "--check")
    assert planned.code == 0, planned.output
    assert f"gateway {deployed.name}/edge: port 31404 drains (its destination changes)" in planned.said
    # One line for all ports that anything happens to.
    assert planned.said.count(f"gateway {deployed.name}/edge: port") == 1
    run = deployed.expose(back)
    assert run.code == 0, run.output
    assert tally(run, "canary") == {"v1": 100}

    assert [item["metadata"]["labels"]["servicemesh.tcp/set"] for item in rules(cluster, deployed.name)] == [
        deployed.name
    ]
    # Without its last record that leads to a version, the set has no rule.
    run = deployed.expose([deployed.record("first", 8000)], tcp_allow_withdraw="all")
    assert run.code == 0, run.output
    assert rules(cluster, deployed.name) == []
    with pytest.raises(OSError, match=r"refused|timed out|No route"):
        socket.create_connection((address, 31404), timeout=2)


def team_rule(exposure: Exposure) -> dict[str, Any]:
    """Return what the application's team says of the host: one connection at a time."""
    return {
        "apiVersion": "/".join(ISTIO),
        "kind": "DestinationRule",
        "metadata": {"name": "shop", "namespace": exposure.echo},
        "spec": {"host": "shop", "trafficPolicy": {"connectionPool": {"tcp": {"maxConnections": 1}}}},
    }


@pytest.mark.slow
def test_what_the_application_s_team_says_holds_at_the_gateway(deployed: Exposure, cluster: Cluster) -> None:
    api = kubernetes.client.CustomObjectsApi(cluster.client())
    api.create_namespaced_custom_object(*ISTIO, deployed.echo, "destinationrules", team_rule(deployed))
    run = deployed.expose([deployed.record("first", 8000), shop(deployed, "v1", 31400, 1, v1=1)])
    assert run.code == 0, run.output
    assert f"RULE_CARRIED set '{deployed.name}'" in run.said
    address = run.endpoints[0]["addresses"][0]
    with socket.create_connection((address, 31400), timeout=5) as first:
        first.sendall(b"a\n")
        assert first.recv(100) == b"shop-v1 a\n"
        with socket.create_connection((address, 31400), timeout=5) as second:
            # It is closed before it says anything; what it sends may meet a socket that is gone.
            try:
                second.sendall(b"b\n")
                assert second.recv(100) == b""
            except ConnectionError:
                pass
    api.delete_namespaced_custom_object(*ISTIO, deployed.echo, "destinationrules", "shop")


STRICT = {
    "apiVersion": "security.istio.io/v1",
    "kind": "PeerAuthentication",
    "metadata": {"name": "default"},
    "spec": {"mtls": {"mode": "STRICT"}},
}


def in_the_mesh(image: str) -> list[dict[str, Any]]:
    """Return a StatefulSet of two pods, each of which echoes its own name, and a server that speaks first."""
    own_name = [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    echo = {"name": "echo", "image": image, "args": ["9092", "$(POD_NAME)"], "env": own_name}
    template = {"metadata": {"labels": {"app": "broker"}}, "spec": {"containers": [echo]}}
    members = {"serviceName": "broker", "replicas": 2, "podManagementPolicy": "Parallel"}
    ports = [{"name": "tcp-9092", "port": 9092}]
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "broker"},
            "spec": {"clusterIP": "None", "selector": {"app": "broker"}, "ports": ports},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "broker"},
            "spec": {**members, "selector": {"matchLabels": {"app": "broker"}}, "template": template},
        },
    ]


@pytest.mark.slow
def test_members_one_by_one_behind_strict_mtls(deployed: Exposure, cluster: Cluster) -> None:
    client = cluster.client()
    core = kubernetes.client.CoreV1Api(client)
    (echo,) = core.list_namespaced_pod(deployed.echo, label_selector="app=shop,version=v1").items
    # From here on pods of that namespace get a sidecar, and those that speak first one that waits for HTTP.
    core.patch_namespace(deployed.echo, {"metadata": {"labels": {"istio-injection": "enabled"}}})
    cluster.apply(
        *(
            {**item, "metadata": {**item["metadata"], "namespace": deployed.echo}}
            for item in in_the_mesh(echo.spec.containers[0].image)
        )
    )
    core.create_namespaced_service(
        deployed.echo,
        {
            "metadata": {"name": "as-http"},
            "spec": {"selector": {"app": "greet"}, "ports": [{"name": "http-9000", "port": 9000}]},
        },
    )
    kubernetes.client.CustomObjectsApi(client).create_namespaced_custom_object(
        "security.istio.io", "v1", deployed.echo, "peerauthentications", STRICT
    )
    first = deployed.record("first", 8000)
    broker = {"namespace": deployed.echo, "service": "broker", "port": 9092}
    members = [
        {
            "name": f"broker-{number}",
            "gateway": "edge",
            "port": 9090 + number,
            "probe": {"mode": "send", "send": "x\\n", "expect": f"broker-{number} x", "calls": 10},
            "backends": [
                {
                    **broker,
                    "subset": {
                        "name": f"m{number}",
                        "labels": {"statefulset.kubernetes.io/pod-name": f"broker-{number}"},
                    },
                }
            ],
        }
        for number in (0, 1)
    ]
    run = deployed.expose([first, *members], tcp_probe_deadline=90)
    assert run.code == 0, run.output
    pods = core.list_namespaced_pod(deployed.echo, label_selector="app=broker,security.istio.io/tlsMode=istio").items
    assert sorted(pod.metadata.name for pod in pods) == ["broker-0", "broker-1"]

    greeting = {
        **deployed.record("greeting", 31402, backend={"namespace": deployed.echo, "service": "as-http", "port": 9000}),
        "probe": {"mode": "banner", "expect": "Pod greet-"},
    }
    # Without a sidecar the gateway passes all on, whatever the port is called.
    run = deployed.expose([first, greeting, *members])
    assert run.code == 0, run.output
    core.delete_collection_namespaced_pod(deployed.echo, label_selector="app=greet", grace_period_seconds=0)
    run = deployed.expose([first, greeting, *members])
    assert run.code != 0
    assert "BACKEND_PROTOCOL record 'greeting': port 9000 of backend Service" in run.said

    # What it is for: with that Service alone, the sidecar waits for a request that never comes.
    core.delete_namespaced_service("greet", deployed.echo)
    silent = deployed.expose([first, {**greeting, "probe": {"mode": "none"}}, *members])
    assert silent.code == 0, silent.output
    address = silent.endpoints[0]["addresses"][0]
    with socket.create_connection((address, 31402), timeout=3) as client_side, pytest.raises(TimeoutError):
        client_side.recv(1)

    def declared() -> str | None:
        return core.read_namespaced_service("as-http", deployed.echo).spec.ports[0].app_protocol

    mended = {**greeting, "fix_protocol": True}
    run = deployed.expose([first, mended, *members], tcp_probe_deadline=90)
    assert run.code == 0, run.output
    assert f"port 9000 of Service {deployed.echo}/as-http, WHICH IS SOMEBODY ELSE'S" in run.said
    assert declared() == "tcp"
    again = deployed.expose([first, mended, *members])
    assert (again.code, again.changed) == (0, 0), again.output
    assert "SOMEBODY ELSE" not in again.said
    run = deployed.expose([first, *members])
    assert run.code == 0, run.output
    assert declared() is None
