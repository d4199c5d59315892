# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs at the same time on one gateway, and runs that die: every port is given once, and nobody waits for the dead.

That runs really meet is no matter of luck: the test holds the gateway's Lease until all of them have planned.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import kubernetes
import pytest
from counting_proxy import CountingProxy
from harness import Cluster, Exposure, Playbooks, Run, talk

# Generous: several ansible-playbook start at the same time.
MEET_SECONDS = 180
# How often a run looks at a Lease that it waits for.
LOOKS_PER_SECOND = 2
# What tcp_publish takes a Lease for.
LASTS = 30


class WatchedProxy(CountingProxy):
    """Knows when a run asks for a Lease, and can hold its next write up until the run is dead."""

    def __init__(self, kubeconfig: Path) -> None:
        super().__init__(kubeconfig)
        self.waits = threading.Event()
        self.stuck = threading.Event()
        self.dead = threading.Event()
        self.looks = 0

    def admit(self, method: str, path: str, body: bytes) -> bool:
        passes = super().admit(method, path, body)
        if method == "GET" and "/leases/" in path:
            self.looks += 1
            self.waits.set()
        if not passes:
            self.stuck.set()
            self.dead.wait(MEET_SECONDS)
        return passes


class Door:
    """The gateway's Lease, as the test plays somebody who has it."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.api = kubernetes.client.CoordinationV1Api(cluster.client())
        self.namespace = namespace

    def hold(self, holder: str, seconds: int) -> None:
        """Hold the Lease from now on, without renewing it; an empty holder gives it back."""
        lease = self.api.read_namespaced_lease("edge", self.namespace)
        lease.spec.holder_identity, lease.spec.lease_duration_seconds = holder, seconds
        self.api.replace_namespaced_lease("edge", self.namespace, lease)

    @property
    def holder(self) -> str:
        """Who has it."""
        return self.api.read_namespaced_lease("edge", self.namespace).spec.holder_identity or ""


@pytest.fixture(scope="module")
def door(exposure: Exposure, cluster: Cluster) -> Door:
    """Return the Lease of a gateway that has a pool, and on which one port is published already."""
    exposure.gateway["pool"] = ["21000-21007"]
    run = exposure.expose([exposure.record("first", 8000)])
    assert run.code == 0, run.output
    return Door(cluster, exposure.name)


class Team:
    """One of several owners that publish on the same gateway, each from a machine of its own."""

    def __init__(self, name: str, exposure: Exposure, cluster: Cluster, folder: Path) -> None:
        self.name = name
        self.exposure = exposure
        self.folder = folder / name
        self.folder.mkdir()
        self.playbooks = Playbooks(exposure.playbooks.root, cluster, self.folder)
        self.proxy = WatchedProxy(cluster.limited)

    def variables(self, ports: list[Any], **more: Any) -> dict[str, Any]:
        """Return what it publishes: a record for each of these ports, on the gateway as somebody else defined it."""
        records = [self.exposure.record(f"{self.name}-{index}", port) for index, port in enumerate(ports)]
        reference = {"name": "edge", "namespace": self.exposure.name}
        return self.exposure.variables(records, tcp_set=self.name, tcp_gateways=[reference], **more)

    def publish(self, ports: list[Any], **more: Any) -> Run:
        """Run expose_tcp through the proxy."""
        with self.proxy.serve() as address:
            through = {"tcp_host": address, "tcp_api_key": "the-proxy-has-its-own"}
            return self.playbooks.run("expose_tcp", self.variables(ports, **{**through, **more}))


@pytest.fixture
def team(exposure: Exposure, cluster: Cluster, tmp_path: Path) -> Iterator[Callable[[str], Team]]:
    """Return a maker of teams; what they have published is withdrawn afterwards."""
    made: list[Team] = []

    def make(name: str) -> Team:
        made.append(Team(name, exposure, cluster, tmp_path))
        return made[-1]

    yield make
    for one in made:
        one.playbooks.run("unexpose_tcp", {"tcp_set": one.name})


@contextmanager
def all_at_once(door: Door, teams: list[Team], ports: list[Any]) -> Iterator[list[Future[Run]]]:
    """Let teams publish; nobody may write before all of them have planned. Yield what will become of them."""
    with ThreadPoolExecutor(len(teams)) as pool, ExitStack() as stack:
        door.hold("the-test", 3600)
        stack.callback(door.hold, "", 1)
        futures = [pool.submit(one.publish, ports, tcp_lease_timeout=MEET_SECONDS) for one in teams]
        for one, future in zip(teams, futures, strict=True):
            assert one.proxy.waits.wait(MEET_SECONDS), future.result().output if future.done() else "it hangs"
            assert one.proxy.writes == []
        stack.close()
        yield futures


def test_every_auto_port_is_given_once(door: Door, team: Callable[[str], Team]) -> None:
    teams = [team(f"auto-{number}") for number in range(4)]
    with all_at_once(door, teams, ["auto", "auto"]) as futures:
        runs = [future.result() for future in futures]
    for run in runs:
        assert run.code == 0, run.output
        assert [item["proof"] for item in run.endpoints] == ["proven", "proven"]
    # All of the pool, each once.
    assert sorted(item["port"] for run in runs for item in run.endpoints) == list(range(21000, 21008))
    assert door.holder == ""
    # And they keep them.
    again = teams[0].publish(["auto", "auto"])
    assert (again.code, again.changed) == (0, 0), again.output
    assert [item["port"] for item in again.endpoints] == [item["port"] for item in runs[0].endpoints]


def test_of_two_that_want_one_port_one_gets_it(door: Door, team: Callable[[str], Team]) -> None:
    teams = [team("left"), team("right")]
    with all_at_once(door, teams, [8010]) as futures:
        runs = {one.name: future.result() for one, future in zip(teams, futures, strict=True)}
    (winner,) = [name for name, run in runs.items() if run.code == 0]
    (loser,) = [name for name in runs if name != winner]
    assert f"port 8010 on gateway edge is already held by set '{winner}'" in runs[loser].said
    assert "Nothing was written." in runs[loser].said
    assert [item["proof"] for item in runs[winner].endpoints] == ["proven"]
    # What the loser wrote is its Lease, taken and given back.
    (one,) = [one for one in teams if one.name == loser]
    assert [write.split()[0] for write in one.proxy.writes] == ["PUT", "PUT"]
    assert all("/leases/edge" in write for write in one.proxy.writes)


def test_who_may_not_wait_says_for_whom(door: Door, team: Callable[[str], Team]) -> None:
    one = team("hasty")
    door.hold("somebody-4711-abcdef01", 3600)
    run = one.publish([8011], tcp_lease_timeout=1)
    assert run.code != 0
    assert "LEASE_HELD gateway 'edge': another run (somebody-4711-abcdef01) has the gateway's Lease" in run.said
    assert one.proxy.writes == []
    door.hold("", 1)


def test_who_has_nothing_to_change_does_not_wait(exposure: Exposure, door: Door) -> None:
    door.hold("somebody-4711-abcdef01", 3600)
    run = exposure.expose([exposure.record("first", 8000)], tcp_lease_timeout=0)
    door.hold("", 1)
    assert (run.code, run.changed) == (0, 0), run.output


def test_the_lease_of_a_dead_run_is_waited_out_and_not_longer(door: Door, team: Callable[[str], Team]) -> None:
    one = team("patient")
    door.hold("dead-4711-abcdef01", 4)
    run = one.publish([8012], tcp_lease_timeout=MEET_SECONDS)
    assert run.code == 0, run.output
    assert door.holder == ""
    # Counted in looks, since a slow machine looks less often: not at once, and not after the time is over.
    assert 2 <= one.proxy.looks <= 4 * LOOKS_PER_SECOND + 2


@pytest.mark.parametrize(
    "writes", [3, pytest.param(1, marks=pytest.mark.slow), pytest.param(5, marks=pytest.mark.slow)]
)
def test_a_run_killed_between_two_writes(
    cluster: Cluster, door: Door, team: Callable[[str], Team], writes: int
) -> None:
    """SIGKILL, so that nothing is given back. The Lease says which process holds it."""
    neighbour, one = team("neighbour"), team("killed")
    run = neighbour.publish([8013])
    assert run.code == 0, run.output
    address = run.endpoints[0]["addresses"][0]
    one.proxy.writes_allowed = writes
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(one.publish, [8014])
        assert one.proxy.stuck.wait(MEET_SECONDS), "it never got that far"
        holder = door.holder
        os.kill(int(holder.rsplit("-", 2)[1]), signal.SIGKILL)
        one.proxy.dead.set()
        assert future.result().code != 0
    assert len(one.proxy.writes) == writes + 1
    assert "/leases/" in one.proxy.writes[0]
    assert door.holder == holder, "the dead do not give back"
    assert talk(address, 8013, "still there") == "echo still there"
    assert talk(address, 8000, "still there") == "echo still there"
    # The next run finishes it, and waits no longer than the Lease lasts.
    one.proxy = WatchedProxy(cluster.limited)
    run = one.publish([8014])
    assert run.code == 0, run.output
    assert [item["proof"] for item in run.endpoints] == ["proven"]
    assert one.proxy.looks <= LASTS * LOOKS_PER_SECOND + 2
    assert one.publish([8014]).changed == 0
    assert neighbour.publish([8013]).changed == 0
