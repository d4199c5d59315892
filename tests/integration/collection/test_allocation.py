# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports from a pool, ranges, lists and renamed records, on the lab: one gateway, several runs."""

from __future__ import annotations

import subprocess
import uuid
from pathlib import Path

import kubernetes
import pytest
from harness import Exposure, Playbooks, talk

POOL = "20100-20109"


@pytest.fixture(scope="module")
def exposure(cluster, tmp_path_factory):
    """Return a gateway with a pool, and an echo server behind it; removed after the module."""
    name = f"al-{uuid.uuid4().hex[:6]}"
    found = Exposure(name, Playbooks(Path(__file__).resolve().parents[3], cluster, tmp_path_factory.mktemp(name)))
    found.gateway |= {"pool": [POOL], "reserved": 20101}
    found.make()
    yield found
    found.remove()


def ports_of(run) -> dict[str, list[int]]:
    """Return the ports of each record of a run in which every one was proven."""
    assert run.code == 0, run.output
    assert {item["proof"] for item in run.endpoints} == {"proven"}, run.endpoints
    found: dict[str, list[int]] = {}
    for item in run.endpoints:
        found.setdefault(item["name"], []).append(item["port"])
    return found


def wanted(exposure):
    """Return records of every form."""
    both = {"namespace": exposure.echo, "service": "echo", "port": "9000-9001"}
    return [
        exposure.record("first", 8000),
        exposure.record("picked", "auto"),
        exposure.record("range", "20200-20201", backend=both),
        exposure.record("list", [22, "auto", 20103]),
    ]


def test_every_form_of_port_is_published_kept_and_renamed(exposure):
    records = wanted(exposure)
    first = exposure.expose(records)
    ports = {"first": [8000], "list": [22, 20100, 20103], "picked": [20102], "range": [20200, 20201]}
    assert ports_of(first) == ports
    backends = {item["port"]: item["backend"]["port"] for item in first.endpoints if item["name"] == "range"}
    assert backends == {20200: 9000, 20201: 9001}

    again = exposure.expose(list(reversed(records)))
    assert (ports_of(again), again.changed) == (ports, 0)

    # A record in front of all others moves none of them, and a new name keeps its port.
    more = [exposure.record("a-new-one", "auto"), *records]
    more[2] = exposure.record("renamed", "auto", was="picked")
    renamed = ports_of(exposure.expose(more))
    assert renamed == {
        "a-new-one": [20104],
        "renamed": [20102],
        **{key: ports[key] for key in ("first", "list", "range")},
    }
    # As was stays in the inventory, it has to stay quiet, too.
    assert exposure.expose(more).changed == 0


@pytest.mark.slow
def test_another_set_is_served_from_the_stored_pool(exposure):
    reference = {"name": "edge", "namespace": exposure.name}
    taken = {port for ports in ports_of(exposure.expose(wanted(exposure))).values() for port in ports}
    try:
        other = exposure.expose([exposure.record("theirs", "auto")], tcp_set="al-other", tcp_gateways=[reference])
        (number,) = ports_of(other)["theirs"]
        # Neither the reserved one nor what the first set has is given out.
        assert number == min(set(range(20100, 20110)) - {20101} - taken)
        (address,) = other.endpoints[0]["addresses"]
        assert talk(address, number, "hello") == "echo hello"
        refused = exposure.expose(
            [exposure.record("theirs", [number, 20101])], tcp_set="al-other", tcp_gateways=[reference]
        )
        assert refused.code != 0
        assert "PORT_RESERVED_BY_GATEWAY record 'theirs': port 20101 is reserved on gateway edge" in refused.said
        full = [exposure.record("theirs", ["auto"] * 9)]
        refused = exposure.expose(full, tcp_set="al-other", tcp_gateways=[reference])
        assert "POOL_EXHAUSTED gateway 'edge': its pool 20100-20109 (10 ports) has no port left" in refused.said
        assert f"by set '{exposure.name}' (Service {exposure.name}/edge)" in refused.said
    finally:
        run = exposure.unexpose(tcp_set="al-other")
    assert run.code == 0, run.output


def test_a_port_that_is_withdrawn_leads_nowhere_else(exposure):
    records = wanted(exposure)
    before = exposure.expose(records)
    ports_of(before)
    core = kubernetes.client.CoreV1Api(exposure.playbooks.cluster.client())
    service = core.read_namespaced_service("edge", exposure.name)
    (target,) = [port.target_port for port in service.spec.ports if port.port == 22]
    # The listener of port 22 goes in the very run in which its number becomes a port of its own.
    records[3] = exposure.record("list", ["auto", 20103, target])
    after = ports_of(exposure.expose(records))
    before_list = {item["port"] for item in before.endpoints if item["name"] == "list"}
    assert set(after["list"]) == before_list - {22} | {target}
    shown = core.read_namespaced_service("edge", exposure.name)
    targets = {port.port: port.target_port for port in shown.spec.ports}
    assert 22 not in targets
    assert targets[target] != target
    with pytest.raises(subprocess.CalledProcessError):
        talk(before.endpoints[0]["addresses"][0], 22, "hello")
