# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits on the lab: a gateway spread over several front Services, ports without node ports, what is refused."""

from __future__ import annotations

from typing import Any

import kubernetes
import pytest
from harness import Cluster, Exposure, talk

PORTS = range(8100, 8107)


def front_services(exposure: Exposure, cluster: Cluster) -> dict[str, Any]:
    """Return the gateway's front Services by name."""
    core = kubernetes.client.CoreV1Api(cluster.client())
    return {item.metadata.name: item for item in core.list_namespaced_service(exposure.name).items}


def in_namespace(exposure: Exposure, cluster: Cluster) -> list[str]:
    """Return what is declared in the gateway's namespace; elsewhere on the lab others may be at work."""
    return [line for line in cluster.snapshot() if f" {exposure.name}/" in line]


def numbers(service: Any) -> list[int]:
    """Return the ports of a Service in their order."""
    return [port.port for port in service.spec.ports]


def published(exposure: Exposure, cluster: Cluster) -> dict[str, set[int]]:
    """Return the ports of each front Service, the health port left out."""
    return {name: set(numbers(service)) - {15021} for name, service in front_services(exposure, cluster).items()}


@pytest.fixture(scope="module")
def spread(exposure: Exposure) -> Exposure:
    """Return the exposure with at most four ports to a front Service, the health port among them."""
    exposure.gateway = {**exposure.gateway, "service": {"type": "LoadBalancer", "max_ports": 4}}
    run = exposure.unexpose()
    assert run.code == 0, run.output
    return exposure


def records(exposure: Exposure, ports: Any = PORTS) -> list[dict[str, Any]]:
    """Return one record a port."""
    return [exposure.record(f"r{port}", port) for port in ports]


def test_seven_ports_on_three_load_balancers(spread: Exposure, cluster: Cluster) -> None:
    """Each port is proven at the address that it stands on, and nowhere else; a second run changes nothing."""
    run = spread.expose(records(spread), "--check")
    assert run.code == 0, run.output
    assert set(front_services(spread, cluster)) == {"edge"}
    run = spread.expose(records(spread))
    assert run.code == 0, run.output
    assert [item["proof"] for item in run.endpoints] == ["proven"] * 7
    services = front_services(spread, cluster)
    assert {name: numbers(service) for name, service in services.items()} == {
        "edge": [15021, 8100, 8101, 8102],
        "edge-2": [15021, 8103, 8104, 8105],
        "edge-3": [15021, 8106],
    }
    addresses = {name: service.status.load_balancer.ingress[0].ip for name, service in services.items()}
    assert len(set(addresses.values())) == 3
    places = {port: name for name, service in services.items() for port in numbers(service)}
    assert {item["port"]: item["addresses"] for item in run.endpoints} == {
        port: [addresses[places[port]]] for port in PORTS
    }
    assert talk(addresses["edge-3"], 8106, "r8106") == "echo r8106"
    run = spread.expose(records(spread))
    assert (run.code, run.changed) == (0, 0), run.output


def test_a_port_stays_and_another_fills_the_room(spread: Exposure, cluster: Cluster) -> None:
    """Whatever comes and goes, no port changes its Service."""
    run = spread.expose(records(spread, [8100, 8102, 8103, 8104, 8105, 8106]))
    assert run.code == 0, run.output
    run = spread.expose(records(spread, [8100, 8102, 8103, 8104, 8105, 8106, 8099, 8107]))
    assert run.code == 0, run.output
    assert published(spread, cluster) == {
        "edge": {8100, 8102, 8099},
        "edge-2": {8103, 8104, 8105},
        "edge-3": {8106, 8107},
    }


def test_a_set_that_only_refers_to_the_gateway(spread: Exposure, cluster: Cluster) -> None:
    """It goes by the stored definition: it fills the room that is left, makes the next Service, and leaves cleanly."""
    own = records(spread)
    run = spread.expose(own, tcp_allow_withdraw="all")
    assert run.code == 0, run.output
    before = published(spread, cluster)
    reference = {"name": "edge", "namespace": spread.name}
    other = {"tcp_set": f"{spread.name}-other", "tcp_gateways": [reference]}
    # One port more than there is room for on the Services that are there.
    theirs = range(8200, 8201 + sum(3 - len(ports) for ports in before.values()))
    run = spread.expose(records(spread, theirs), **other)
    assert run.code == 0, run.output
    assert {item["proof"] for item in run.endpoints} == {"proven"}
    after = published(spread, cluster)
    assert all(ports <= after[name] for name, ports in before.items())
    (made,) = set(after) - set(before)
    assert after[made] == {theirs[-1]}
    assert all(len(after[name]) == 3 for name in before)
    run = spread.expose(records(spread, theirs), **other)
    assert (run.code, run.changed) == (0, 0), run.output
    run = spread.unexpose(tcp_set=other["tcp_set"])
    assert run.code == 0, run.output
    assert published(spread, cluster) == {**before, made: set()}


def test_the_definition_holds_for_all_of_them(spread: Exposure, cluster: Cluster) -> None:
    """A changed definition is written to every front Service; a lowered bound moves nothing and says so."""
    before = published(spread, cluster)
    service = {"type": "LoadBalancer", "max_ports": 3, "source_ranges": ["198.18.0.0/15"]}
    wanted = records(spread, sorted(port for ports in before.values() for port in ports))
    run = spread.expose(wanted, tcp_gateways=[{**spread.gateway, "service": service}])
    assert run.code == 0, run.output
    services = front_services(spread, cluster)
    assert published(spread, cluster) == before
    assert [item.spec.load_balancer_source_ranges for item in services.values()] == [["198.18.0.0/15"]] * len(before)
    run = spread.expose(wanted)
    assert run.code == 0, run.output
    services = front_services(spread, cluster)
    assert [item.spec.load_balancer_source_ranges for item in services.values()] == [None] * len(before)


def test_a_limit_stops_a_run_before_anything_is_written(spread: Exposure, cluster: Cluster) -> None:
    """A number that somebody gives is held like a provider's own."""
    before = in_namespace(spread, cluster)
    service = {"type": "LoadBalancer", "provider": "metallb", "limits": {"listeners": 5}}
    gateway = {**spread.gateway, "service": service}
    wanted = records(spread, [*range(8099, 8108), 8108, 8109])
    run = spread.expose(wanted, tcp_gateways=[gateway], tcp_allow_withdraw="all")
    assert run.code != 0
    assert "LB_LIMIT Service" in run.said
    assert "are too many for the MetalLB: it takes 5 (service.limits.listeners)" in run.said
    assert in_namespace(spread, cluster) == before


def test_removal_is_clean(spread: Exposure, cluster: Cluster) -> None:
    """The role gateways takes all front Services with it."""
    run = spread.unexpose()
    assert run.code == 0, run.output
    assert len(front_services(spread, cluster)) > 1
    run = spread.remove_gateway()
    assert run.code == 0, run.output
    assert front_services(spread, cluster) == {}


# The gateway comes into a namespace that is there already, which the limited account has to be able to as well.
def test_ports_without_node_ports(spread: Exposure, cluster: Cluster) -> None:
    """Where the load balancer does without, a port takes none of the cluster's node ports, and is proven as well."""
    service = {"type": "LoadBalancer", "allocate_node_ports": False}
    gateway = {**spread.gateway, "service": service}
    run = spread.expose(records(spread, [8100, 8101]), tcp_gateways=[gateway])
    assert run.code == 0, run.output
    assert [item["proof"] for item in run.endpoints] == ["proven", "proven"]
    (found,) = front_services(spread, cluster).values()
    assert [port.node_port for port in found.spec.ports] == [None, None, None]
    run = spread.expose(records(spread, [8100, 8101]), tcp_gateways=[gateway])
    assert (run.code, run.changed) == (0, 0), run.output
