# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's life on a real machine: nothing stays after `down`, whatever was killed before. Needs root."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import footprint
import pytest
from kindlab import apionly, artifacts, engine, procfs
from kindlab.console import Console
from kindlab.environment import search_path
from kindlab.paths import CHECKOUT, LabPaths, lab_paths

pytestmark = [
    pytest.mark.own_lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab needs root"),
]
LAB = str(CHECKOUT / "tests" / "lab" / "lab")


def lab(*arguments: str, code: int = 0) -> str:
    done = subprocess.run([LAB, *arguments], capture_output=True, text=True, timeout=1200, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def tools() -> dict[str, str]:
    """An environment with the lab's own `ip` and `nft`."""
    return {**os.environ, "PATH": search_path([artifacts.ensure_engine(Console()).bin])}


@pytest.fixture
def one_lab() -> Iterator[Callable[[str], LabPaths]]:
    """Gives labs that do not exist yet, and takes them down after the test."""
    names: list[str] = []

    def give(name: str) -> LabPaths:
        lab("down", "--name", name)
        names.append(name)
        return lab_paths(name)

    yield give
    for name in names:
        lab("down", "--name", name)


def wait_until(seen: Callable[[], object], seconds: float = 900) -> None:
    until = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < until, "what the test waits for did not happen"
        time.sleep(0.1)


def test_every_kind_of_leftover_is_noticed(
    tools: dict[str, str], one_lab: Callable[[str], LabPaths], tmp_path: Path
) -> None:
    paths = one_lab("planted")
    before = footprint.take(paths, tools)
    hierarchy = next(file.parent for file in engine.CGROUPS.rglob("cgroup.procs"))
    cgroup = str(hierarchy / engine.cgroup_name(paths.id))
    route = ["unreachable", "198.19.255.0/24", "metric", "7"]
    planted = [
        (["mount", "-t", "tmpfs", "tmpfs", str(tmp_path)], ["umount", str(tmp_path)]),
        (
            ["ip", "link", "add", "planted0", "type", "veth", "peer", "name", "planted1"],
            ["ip", "link", "del", "planted0"],
        ),
        (["ip", "route", "add", *route], ["ip", "route", "del", *route]),
        (["nft", "add", "table", "inet", "planted"], ["nft", "delete", "table", "inet", "planted"]),
        (["mkdir", cgroup], ["rmdir", cgroup]),
        (["mkdir", "-p", str(paths.run_dir)], ["rmdir", str(paths.run_dir)]),
    ]
    # --fork: an orphan, as a forgotten container would be.
    subprocess.run(["setsid", "--fork", "unshare", "--net", "sleep", "313"], check=True)
    try:
        for plant, _ in planted:
            subprocess.run(plant, env=tools, check=True)
        wait_until(lambda: footprint.take(paths, tools).processes - before.processes, 5)
        found = footprint.take(paths, tools).more_than(before)
    finally:
        for _, uproot in planted:
            subprocess.run(uproot, env=tools, check=False)
        procfs.end(procfs.with_arguments("sleep", "313"))
    assert set(found) == {"processes", "mounts", "interfaces", "routes", "firewall", "cgroups", "files"}
    assert footprint.take(paths, tools).more_than(before) == {}


def test_a_cluster_leaves_nothing_behind(tools: dict[str, str], one_lab: Callable[[str], LabPaths]) -> None:
    paths = one_lab("short")
    before = footprint.take(paths, tools)
    lab("up", "--bare", "--name", "short")
    running = footprint.take(paths, tools).more_than(before)
    assert set(running) >= {"processes", "interfaces", "routes", "cgroups", "files"}
    lab("status", "--name", "short")
    lab("down", "--name", "short")
    assert footprint.take(paths, tools).more_than(before) == {}
    lab("status", "--name", "short", code=3)


def _engine_runs(paths: LabPaths) -> bool:
    return bool(engine.init_processes(paths.id))


def _node_boots(paths: LabPaths) -> bool:
    return any(f"{paths.id}-control-plane" in " ".join(words) for _, words in procfs.command_lines())


@pytest.mark.parametrize("moment", [_engine_runs, _node_boots])
def test_down_clears_a_killed_up(
    tools: dict[str, str], one_lab: Callable[[str], LabPaths], moment: Callable[[LabPaths], bool]
) -> None:
    paths = one_lab("killed")
    before = footprint.take(paths, tools)
    running = subprocess.Popen([LAB, "up", "--bare", "--name", "killed"], stdout=subprocess.DEVNULL)
    wait_until(lambda: moment(paths))
    running.kill()
    running.wait()
    assert footprint.take(paths, tools).more_than(before)
    lab("down", "--name", "killed")
    assert footprint.take(paths, tools).more_than(before) == {}


@pytest.mark.slow
def test_up_clears_what_a_killed_up_and_a_reboot_left(
    tools: dict[str, str], one_lab: Callable[[str], LabPaths]
) -> None:
    paths = one_lab("reborn")
    before = footprint.take(paths, tools)
    running = subprocess.Popen([LAB, "up", "--bare", "--name", "reborn"], stdout=subprocess.DEVNULL)
    wait_until(lambda: _node_boots(paths))
    running.kill()
    running.wait()
    assert "cleared what an earlier lab" in lab("up", "--bare", "--name", "reborn")
    # A reboot: the processes are gone, the state still says that the lab is ready.
    procfs.end(procfs.descendants(engine.init_processes(paths.id)))
    lab("status", "--name", "reborn", code=3)
    lab("up", "--bare", "--name", "reborn")
    lab("status", "--name", "reborn")
    lab("down", "--name", "reborn")
    assert footprint.take(paths, tools).more_than(before) == {}


def test_api_only_labs_side_by_side(tools: dict[str, str], one_lab: Callable[[str], LabPaths]) -> None:
    first, second = one_lab("api-a"), one_lab("api-b")
    before = footprint.take(first, tools)
    lab("up", "--api-only", "--name", "api-a")
    lab("up", "--api-only", "--name", "api-b")
    lab("exec", "--name", "api-a", "--", "kubectl", "create", "namespace", "only-in-a")
    lab("exec", "--name", "api-b", "--", "kubectl", "get", "namespace", "only-in-a", code=1)
    lab("down", "--name", "api-a")
    assert footprint.take(first, tools).more_than(before) == {}
    lab("status", "--name", "api-b")
    lab("down", "--name", "api-b")
    assert apionly.processes(second) == []


def test_api_only_lab_survives_a_reboot_by_being_made_anew(one_lab: Callable[[str], LabPaths]) -> None:
    paths = one_lab("api-c")
    lab("up", "--api-only", "--name", "api-c")
    procfs.end(apionly.processes(paths))
    lab("status", "--name", "api-c", code=3)
    lab("up", "--api-only", "--name", "api-c")
    lab("status", "--name", "api-c")


def test_two_up_at_once_make_one_lab(one_lab: Callable[[str], LabPaths]) -> None:
    paths = one_lab("api-d")
    command = [LAB, "up", "--api-only", "--name", "api-d"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [one.communicate(timeout=900)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert sorted("already runs" in text for text in said) == [False, True]
    assert len(apionly.processes(paths)) == 2


def test_a_taken_address_range_is_named_before_anything_starts(
    tools: dict[str, str], one_lab: Callable[[str], LabPaths]
) -> None:
    paths = one_lab("taken")
    route = ["unreachable", "198.19.224.0/20", "metric", "7"]
    subprocess.run(["ip", "route", "add", *route], env=tools, check=True)
    try:
        done = subprocess.run(
            [LAB, "up", "--bare", "--name", "taken", "--slot", "15"], capture_output=True, text=True, check=False
        )
    finally:
        subprocess.run(["ip", "route", "del", *route], env=tools, check=True)
    assert done.returncode == 1
    assert "198.19.224.0/20" in done.stderr
    assert engine.init_processes(paths.id) == []
