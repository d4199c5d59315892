# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on the lab: what is proven, what a second run costs, what an interrupted one leaves, what is withdrawn."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import kubernetes
import pytest
from counting_proxy import CountingProxy
from harness import Cluster, Exposure, Playbooks, talk


def scale(cluster: Cluster, exposure: Exposure, replicas: int) -> None:
    """Give the echo server a number of pods, as its owner would, and wait until its endpoints say so."""
    client = cluster.client()
    apps = kubernetes.client.AppsV1Api(client)
    apps.patch_namespaced_deployment_scale("echo", exposure.echo, {"spec": {"replicas": replicas}})
    discovery = kubernetes.client.DiscoveryV1Api(client)
    for _attempt in range(120):
        slices = discovery.list_namespaced_endpoint_slice(exposure.echo).items
        ready = [end for item in slices for end in item.endpoints or [] if end.conditions.ready]
        if len(ready) == replicas:
            return
        time.sleep(0.5)
    pytest.fail(f"the echo server did not get to {replicas} pods")


@pytest.mark.slow
def test_no_proof_without_a_backend(exposure: Exposure, cluster: Cluster) -> None:
    """Envoy accepts connections without a backend; both ways of proof must notice."""
    silent = exposure.record("silent", 8002, probe={"mode": "connect"})
    records = [exposure.record("first", 8000), silent]
    run = exposure.expose(records)
    assert run.code == 0, run.output
    assert [item["proof"] for item in run.endpoints] == ["proven", "proven"]
    scale(cluster, exposure, 0)
    try:
        run = exposure.expose(records, tcp_probe_deadline=5)
    finally:
        scale(cluster, exposure, 1)
    assert run.code != 0
    assert [item["proof"] for item in run.endpoints] == ["broken", "broken"]
    assert "These ports are written, but not proven:" in run.output
    run = exposure.expose(records)
    assert run.code == 0, run.output


@pytest.fixture
def one_port(exposure: Exposure) -> Exposure:
    """Return the exposure with just its first port published, whatever the test before left."""
    run = exposure.expose([exposure.record("first", 8000)], tcp_allow_withdraw="all")
    assert run.code == 0, run.output
    return exposure


def requests_of_second_run(exposure: Exposure, cluster: Cluster, count: int) -> Counter[str]:
    """Publish a number of ports, publish them again through a counting proxy, and return its counts by method."""
    records = [exposure.record(f"port-{number}", 20000 + number) for number in range(count)]
    run = exposure.expose(records, tcp_allow_withdraw="all")
    assert run.code == 0, run.output[-3000:]
    proxy = CountingProxy(cluster.limited)
    with proxy.serve() as address:
        run = exposure.expose(records, tcp_host=address, tcp_api_key="the-proxy-has-its-own")
    assert run.code == 0, run.output[-3000:]
    assert run.changed == 0
    assert proxy.writes == []
    return Counter(proxy.requests)


def test_second_run_costs_the_same_for_any_number_of_ports(exposure: Exposure, cluster: Cluster) -> None:
    few = requests_of_second_run(exposure, cluster, 10)
    many = requests_of_second_run(exposure, cluster, 200)
    assert few == many
    assert sum(few.values()) < 60


@pytest.mark.slow
def test_interrupted_run_is_finished_by_the_next(one_port: Exposure, cluster: Cluster) -> None:
    """After every single write in turn the run dies; the port of before answers on, and the next run finishes."""
    exposure = one_port
    first, second = exposure.record("first", 8000), exposure.record("second", 8003)
    first_address = exposure.expose([first]).endpoints[0]["addresses"][0]
    leases = kubernetes.client.CoordinationV1Api(cluster.client())
    # The Lease is taken; Service, NetworkPolicy, Gateway, VirtualService; it is given back. The last one is no loss.
    for writes in range(5):
        proxy = CountingProxy(cluster.limited)
        proxy.writes_allowed = writes
        with proxy.serve() as address:
            run = exposure.expose([first, second], tcp_host=address, tcp_api_key="the-proxy-has-its-own")
        assert run.code != 0, f"the run was not interrupted after {writes} writes"
        assert "CLUSTER_UNREACHABLE" in run.output
        assert talk(first_address, 8000, "still there") == "echo still there"
        # That the next run waits for it is test_concurrency's.
        leases.delete_namespaced_lease("edge", exposure.name)
        run = exposure.expose([first, second])
        assert run.code == 0, run.output
        assert run.changed == 1
        assert [item["proof"] for item in run.endpoints] == ["proven", "proven"]
        run = exposure.unexpose(tcp_names=["second"])
        assert run.code == 0, run.output


def test_check_mode_on_a_cluster_that_lacks_everything(playbooks: Playbooks, cluster: Cluster) -> None:
    """The demo's plan is shown although its namespaces, servers and gateways are still to be made."""
    # "make demo" may have left it on the same lab.
    run = playbooks.run("demo", {"demo_state": "absent"})
    assert run.code == 0, run.output
    before = cluster.snapshot()
    run = playbooks.run("demo", {}, "--check")
    # The namespaces, the echo servers, and gateways and ports in one.
    assert (run.code, run.changed) == (0, 3), run.output
    assert run.output.count("planned") == 6
    assert cluster.snapshot() == before


def test_check_mode_withdraws_nothing(one_port: Exposure, cluster: Cluster) -> None:
    """A dry run of a deletion is asked for in another way than that of a write, so it is looked at on its own."""
    before = cluster.snapshot()
    run = one_port.unexpose("--check")
    assert (run.code, run.changed) == (0, 1), run.output
    assert "remove Gateway" in run.output
    assert "planned: it would be withdrawn" in run.output
    assert cluster.snapshot() == before


def test_sets_do_not_touch_each_other(one_port: Exposure, cluster: Cluster) -> None:
    """A second set publishes on the same gateway, loses its clashes, shrinks only when told, and leaves alone."""
    exposure = one_port
    reference = {"name": "edge", "namespace": exposure.name}
    mine = exposure.record("first", 8000)

    def other(records: list[dict[str, Any]], **more: Any) -> Any:
        return exposure.expose(records, tcp_set="other", tcp_gateways=[reference], **more)

    run = other([exposure.record("theirs", 8004), exposure.record("more", 8005), exposure.record("third", 8006)])
    assert run.code == 0, run.output
    before = cluster.snapshot()
    run = other([exposure.record("theirs", 8004), exposure.record("thief", 8000)])
    assert f"port 8000 on gateway edge is already held by set {exposure.name!r}" in run.said
    # The table ends a run that was refused, too.
    assert "PROOF" in run.output.rpartition("TASK")[2]
    assert "refused: PORT_TAKEN" in run.output.rpartition("TASK")[2]
    run = other([exposure.record("theirs", 8004)])
    assert "SET_SHRINKS set 'other': this run would withdraw 2 of the 3 ports" in run.said
    run = other([])
    assert "and it declares no port at all" in run.said
    assert cluster.snapshot() == before
    run = exposure.unexpose(tcp_set="other", tcp_names=["more"])
    assert run.code == 0, run.output
    run = other([exposure.record("theirs", 8004)], tcp_allow_withdraw=["third"])
    assert run.code == 0, run.output
    assert [item["port"] for item in run.endpoints] == [8004]
    run = exposure.expose([mine])
    assert (run.code, run.changed) == (0, 0), run.output
    run = exposure.unexpose(tcp_set="other")
    assert run.code == 0, run.output
    run = exposure.expose([mine])
    assert (run.code, run.changed) == (0, 0), run.output
    assert [item["proof"] for item in run.endpoints] == ["proven"]


def test_a_withdrawn_port_must_fall_silent(one_port: Exposure, cluster: Cluster) -> None:
    """While somebody else serves the very same address and port the withdrawal fails, and says so in its table."""
    exposure = one_port
    core = kubernetes.client.CoreV1Api(cluster.client())
    address = core.read_namespaced_service("edge", exposure.name).status.load_balancer.ingress[0].ip
    spec = {"selector": {"app": "echo"}, "externalIPs": [address], "ports": [{"port": 8000, "targetPort": 9000}]}
    other = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "other"}, "spec": spec}
    core.create_namespaced_service(exposure.echo, other)
    run = exposure.unexpose(tcp_probe_deadline=3)
    core.delete_namespaced_service("other", exposure.echo)
    assert run.code != 0
    assert "PORT_ANSWERS" in run.said
    last = run.output.rpartition("TASK")[2]
    assert f"answers at PORT_ANSWERS: gateway {exposure.name}/edge: port 8000" in " ".join(last.split())
    run = exposure.expose([exposure.record("first", 8000)])
    assert run.code == 0, run.output
    run = exposure.unexpose()
    assert run.code == 0, run.output
    assert f"{exposure.echo}/echo:9000  withdrawn: " in run.output.rpartition("TASK")[2]
