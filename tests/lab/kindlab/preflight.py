# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machine must have, judged before anything starts. Looking and judging are apart, for the tests."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from . import cache, pins
from .console import LabError
from .engine import CGROUPS

CONTROLLERS = ("cpu", "cpuset", "memory", "pids")
CLUSTER_MEMORY, API_MEMORY = 3.0, 0.7
COLD_DISK, WARM_DISK = 8.0, 3.0
# Programs of the host that are not unpacked into the cache -> the Debian package that has them.
PROGRAMS = {
    "bash": "bash",
    "cp": "coreutils",
    "mount": "mount",
    "nsenter": "util-linux",
    "unshare": "util-linux",
}


@dataclass(frozen=True)
class Machine:
    """What was seen. Sizes in GB."""

    system: str
    architecture: str
    root: bool
    programs: frozenset[str]
    controllers: frozenset[str]
    cgroup_v1: bool
    free_memory: float
    free_disk: float
    warm: bool


def look() -> Machine:
    """Look at this machine."""
    v1 = not (CGROUPS / "cgroup.controllers").exists()
    existing = next(folder for folder in (cache.root(), *cache.root().parents) if os.access(folder, os.R_OK))
    return Machine(
        system=platform.system(),
        architecture=platform.machine(),
        root=os.geteuid() == 0,
        programs=frozenset(name for name in PROGRAMS if shutil.which(name)),
        controllers=frozenset(_controllers_v1() if v1 else (CGROUPS / "cgroup.controllers").read_text().split()),
        cgroup_v1=v1,
        free_memory=_available(Path("/proc/meminfo").read_text()),
        free_disk=shutil.disk_usage(existing).free / 1e9,
        warm=any(cache.root().glob("image-store-*")) or any(cache.root().glob("pulled-*")),
    )


def _controllers_v1() -> Iterable[str]:
    for folder in CGROUPS.iterdir() if CGROUPS.is_dir() else ():
        if (folder / "cgroup.procs").exists():
            yield from folder.name.split(",")


def _available(meminfo: str) -> float:
    lines = dict(line.split(":", 1) for line in meminfo.splitlines() if ":" in line)
    return int(lines.get("MemAvailable", "0 kB").split()[0]) * 1024 / 1e9


def judge(machine: Machine, api_only: bool) -> list[tuple[str, str]]:
    """What stands in the way of `lab up`: (what is wrong, how to mend it). Empty when nothing does."""
    found = []
    if machine.system != "Linux" or machine.architecture != pins.ARCHITECTURE:
        what = f"The lab is not served on {machine.system} {machine.architecture}."
        found.append((what, f"Run it on Linux {pins.ARCHITECTURE}, or use another cluster: TCP_LAB=existing."))
    least = API_MEMORY if api_only else CLUSTER_MEMORY
    if machine.free_memory < least:
        what = f"Only {machine.free_memory:.1f} GB of memory are free, the lab needs {least:.1f} GB."
        found.append((what, "End other programs or labs (`lab status --name ...`), or give the machine more memory."))
    disk = WARM_DISK if machine.warm or api_only else COLD_DISK
    if machine.free_disk < disk:
        what = f"Only {machine.free_disk:.1f} GB of disk are free below {cache.root()}, the lab needs {disk:.0f} GB."
        found.append((what, "Make room, or set TCP_LAB_CACHE to a folder on a larger disk."))
    return found if api_only else found + _judge_cluster(machine)


def _judge_cluster(machine: Machine) -> list[tuple[str, str]]:
    found = []
    if not machine.root:
        what = "A cluster needs root: it makes network links, routes and namespaces."
        found.append((what, "Run it as root (sudo tests/lab/lab up), or use `lab up --api-only`, which needs no root."))
    if missing := sorted({PROGRAMS[name] for name in PROGRAMS if name not in machine.programs}):
        right = "" if machine.root else ", as root"
        what = f"These Debian packages are missing: {', '.join(missing)}."
        found.append((what, f"Install them{right}: apt-get install {' '.join(missing)}."))
    if missing := [name for name in CONTROLLERS if name not in machine.controllers]:
        what = f"The kernel offers no cgroup controllers {', '.join(missing)} below {CGROUPS}."
        found.append(
            (what, "Mount them (cgroup2 with these controllers, or the cgroup v1 ones); in a container: --privileged.")
        )
    return found


def check(machine: Machine, api_only: bool) -> None:
    """Raise LabError with everything that stands in the way."""
    found = judge(machine, api_only)
    if found:
        raise LabError(" ".join(what for what, _ in found), " ".join(remedy for _, remedy in found))
