# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab could leave on a machine, as sets that are compared before `up` and after `down`.

Other things go on meanwhile: other labs, sessions, tests. So what belongs to another lab does not count, and of
processes and cgroups only those count that a container engine or a lab would leave.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from kindlab import cache, engine, procfs
from kindlab.addresses import SLOTS, addresses
from kindlab.network import SLOT_FOLDER
from kindlab.paths import MACHINE_RUN, LabPaths

NAMESPACES = ("mnt", "net", "pid")
# Names that a container engine, a kubelet or the lab give to their cgroups.
ENGINE_CGROUP = re.compile(r"servicemesh-tcp|docker|containerd|kube|buildkit")


@dataclass(frozen=True)
class Footprint:
    """Each field is a set of things as text."""

    processes: frozenset[str]
    mounts: frozenset[str]
    interfaces: frozenset[str]
    routes: frozenset[str]
    firewall: frozenset[str]
    cgroups: frozenset[str]
    files: frozenset[str]

    def more_than(self, before: Footprint) -> dict[str, list[str]]:
        """What is here and was not there before, by kind; empty when nothing is."""
        found = {field.name: sorted(getattr(self, field.name) - getattr(before, field.name)) for field in fields(self)}
        return {kind: things for kind, things in found.items() if things}


def take(paths: LabPaths, env: Mapping[str, str]) -> Footprint:
    """Look at the machine; `env` is the lab's environment, for its `ip` and `nft`."""
    foreign = _foreign_slots(paths)
    return Footprint(
        processes=frozenset(_processes(paths)),
        mounts=frozenset(line.split(" ", 4)[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()),
        interfaces=frozenset(link["ifname"] for link in _ip(env, "link"))
        - {addresses(slot).interface for slot in foreign},
        routes=frozenset(_routes(foreign, env)),
        firewall=frozenset(_firewall(env)),
        cgroups=frozenset(_cgroups(paths)),
        files=frozenset(_files(paths)),
    )


def _foreign_slots(paths: LabPaths) -> list[int]:
    files = {slot: SLOT_FOLDER / f"{slot}.json" for slot in range(SLOTS)}
    return [slot for slot, file in files.items() if file.exists() and json.loads(file.read_text())["id"] != paths.id]


def _processes(paths: LabPaths) -> list[str]:
    """Orphans in namespaces other than this test's, and processes that name the lab; other labs' are left out.

    What has a living parent outside (a build of somebody else, say) is held by that one and no leftover.
    """
    everything = list(procfs.command_lines())
    skipped = procfs.descendants(
        pid for pid, words in everything if str(engine.INIT) in words and paths.id not in words
    )
    parents = procfs.parents()
    own = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in NAMESPACES}
    found = []
    for pid, words in everything:
        if pid in skipped or not words:
            continue
        line = " ".join(words)
        top = pid
        while _apart(top, own) and _apart(parents.get(top, 0), own):
            top = parents[top]
        orphan = _apart(top, own) and _reaps(parents.get(top, 0))
        if orphan or paths.id in line or f"{paths.state_dir}/" in line:
            found.append(f"{pid} {line[:150]}")
    return found


def _apart(pid: int, own: Mapping[str, str]) -> bool:
    """Whether a process lives in a namespace of its own; one that has ended or is the machine's first does not."""
    if pid <= 1:
        return False
    try:
        return any(os.readlink(f"/proc/{pid}/ns/{kind}") != own[kind] for kind in NAMESPACES)
    except OSError:
        return False


def _reaps(pid: int) -> bool:
    """Whether this is a process to which orphans are given."""
    if pid <= 1:
        return True
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip() in ("systemd", "tini", "docker-init")
    except OSError:
        return False


def _ip(env: Mapping[str, str], *arguments: str) -> list[dict[str, str]]:
    done = subprocess.run(["ip", "-j", *arguments], env=dict(env), capture_output=True, check=True, text=True)
    return json.loads(done.stdout or "[]")


def _routes(foreign: list[int], env: Mapping[str, str]) -> list[str]:
    own = [json.dumps(route, sort_keys=True) for route in _ip(env, "-4", "route", "show", "table", "all")]
    ranges = tuple(f'"dst": "{addresses(slot).whole.network_address}'.rpartition(".")[0] for slot in foreign)
    names = [f'"dev": "{addresses(slot).interface}"' for slot in foreign]
    return [line for line in own if not any(part in line for part in (*ranges, *names))]


def _firewall(env: Mapping[str, str]) -> list[str]:
    done = subprocess.run(["nft", "list", "ruleset"], env=dict(env), capture_output=True, check=True, text=True)
    legacy = [Path("/proc/net/ip_tables_names"), Path("/proc/net/ip6_tables_names")]
    return done.stdout.splitlines() + [
        line for file in legacy if file.exists() for line in file.read_text().splitlines()
    ]


def _cgroups(paths: LabPaths) -> list[str]:
    folders = (folder for folder, _, _ in os.walk(engine.CGROUPS))
    mine = engine.cgroup_name(paths.id)
    return [
        folder
        for folder in folders
        if mine in folder or ("servicemesh-tcp" not in folder and ENGINE_CGROUP.search(folder))
    ]


def _files(paths: LabPaths) -> list[str]:
    looked = [Path("/run"), MACHINE_RUN, cache.root() / "run", paths.state_dir.parent]
    return [str(file) for folder in looked if folder.is_dir() for file in folder.iterdir() if _counts(file, paths)]


def _counts(file: Path, paths: LabPaths) -> bool:
    # Other labs' folders come and go; the folder of all labs on this machine stays, with the slots' lock.
    if file.parent == Path("/run"):
        return file != MACHINE_RUN
    return file in (paths.state_dir, paths.run_dir, paths.data_dir)
