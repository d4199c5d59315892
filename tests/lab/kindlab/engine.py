# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The docker that carries the lab: the one that runs on this machine, or an own one in namespaces of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from . import procfs
from .addresses import Addresses
from .commands import run
from .console import LabError
from .paths import CLUSTER_FILES, LabPaths
from .process import die_with_parent

INIT = CLUSTER_FILES / "engine-init.sh"
CAP_SYS_RESOURCE = 24
CGROUPS = Path("/sys/fs/cgroup")

# Debian's runc asks for every capability that a privileged container may have and fails where root lacks one.
RUNC_WRAPPER = """#!/bin/sh
# Takes CAP_SYS_RESOURCE out of what dockerd asks for, because root of this machine does not have it.
file= ; previous=
for word in "$@"; do
    case "$previous" in
        --bundle|-b) file=$word/config.json ;;
        --process|-p) file=$word ;;
    esac
    previous=$word
done
[ ! -f "$file" ] || sed -i 's/"CAP_SYS_RESOURCE",//g; s/,"CAP_SYS_RESOURCE"//g' "$file"
exec runc "$@"
"""


@dataclass(frozen=True)
class Engine:
    """A docker to talk to, `host` or `own`; `enter` is the command prefix that enters its network namespace."""

    kind: str
    env: Mapping[str, str]
    enter: tuple[str, ...] = ()

    def docker(self, *arguments: str, check: bool = True, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a docker command."""
        return run(["docker", *arguments], env=self.env, check=check, timeout=timeout)


def host_docker_runs(env: Mapping[str, str]) -> bool:
    """Whether `docker info` reaches a docker of this machine."""
    if not shutil.which("docker", path=env.get("PATH")):
        return False
    try:
        done = subprocess.run(
            ["docker", "info"], env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, timeout=15
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def daemon_config(
    data: Path, socket: Path, cgroup: str, plan: Addresses | None, lacks_resource: bool
) -> dict[str, object]:
    """The configuration of an own dockerd. Without a plan it has no network at all: it only fills an image store."""
    config: dict[str, object] = {
        "data-root": str(data / "docker"),
        "exec-root": "/run/docker",
        "pidfile": "/run/docker.pid",
        "hosts": [f"unix://{socket}"],
        "group": "root",
        "ipv6": False,
        "cgroup-parent": f"/{cgroup}",
        "storage-driver": "overlay2",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "userland-proxy": False,
    }
    if plan:
        config["bip"] = f"{plan.docker_bridge[1]}/24"
        config["default-address-pools"] = [{"base": str(plan.docker_spare), "size": 24}]
    else:
        config |= {"bridge": "none", "iptables": False, "ip-forward": False}
    if lacks_resource:
        config |= {
            "runtimes": {"runc-reduced": {"path": str(data / "runc-reduced")}},
            "default-runtime": "runc-reduced",
        }
    return config


def lacks_capability(status: str, bit: int) -> bool:
    """Whether the effective set in the text of /proc/PID/status lacks a capability."""
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return not int(line.split()[1], 16) >> bit & 1
    return False


def cgroup_name(lab_id: str) -> str:
    """Name of the cgroup under which the own dockerd puts its containers."""
    return f"servicemesh-tcp-{lab_id}"


def start_dockerd(
    lab_id: str, run_dir: Path, data: Path, log: Path, plan: Addresses | None, env: Mapping[str, str]
) -> int:
    """Start an own dockerd; return the PID of the first process in its namespaces.

    With a plan it carries a lab and outlives this program; without, it fills an image store and ends with it.
    """
    run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    data.mkdir(parents=True, exist_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    lacks = lacks_capability(Path("/proc/self/status").read_text(), CAP_SYS_RESOURCE)
    if lacks:
        (data / "runc-reduced").write_text(RUNC_WRAPPER)
        (data / "runc-reduced").chmod(0o755)
    config = data / "daemon.json"
    config.write_text(
        json.dumps(daemon_config(data, run_dir / "docker.sock", cgroup_name(lab_id), plan, lacks), indent=1)
    )
    net = ["--net"] if plan else []
    address = [f"{plan.lab_end}/30"] if plan else []
    with open(log, "ab") as sink:
        outer = subprocess.Popen(
            [
                *("unshare", *net, "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
                *("bash", str(INIT), lab_id, str(run_dir), str(config), *address),
            ],
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
            preexec_fn=None if plan else die_with_parent,
            cwd="/",
        )
    until = time.monotonic() + 10
    while time.monotonic() < until and outer.poll() is None:
        inner = [pid for pid in init_processes(lab_id) if pid != outer.pid]
        if inner:
            return inner[0]
        time.sleep(0.02)
    raise LabError("the lab's own docker could not get namespaces of its own", f"See {log}.")


def wait_for_docker(engine: Engine, lab_id: str, log: Path, seconds: float = 30) -> None:
    """Wait until the own dockerd answers. Raises LabError when it has ended or takes too long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if engine.docker("version", check=False, timeout=10).returncode == 0:
            return
        if not init_processes(lab_id):
            break
        time.sleep(0.05)
    tail = "\n    ".join(log.read_text(errors="replace").splitlines()[-8:])
    raise LabError(f"the lab's own docker does not start:\n    {tail}", f"The whole log is {log}.")


def init_processes(lab_id: str) -> list[int]:
    """The processes that hold an own engine: `unshare` and the first process inside, found by their arguments."""
    return procfs.with_arguments(str(INIT), lab_id)


def own_engine(paths: LabPaths, env: Mapping[str, str]) -> Engine | None:
    """The lab's own engine if it runs."""
    inner = inner_process(paths.id)
    if not inner:
        return None
    lab_env = {**env, "DOCKER_HOST": f"unix://{paths.docker_socket}"}
    return Engine("own", lab_env, enter=("nsenter", f"--net=/proc/{inner}/ns/net"))


def inner_process(lab_id: str) -> int:
    """The first process inside the own engine's namespaces as the host numbers it; 0 when none runs."""
    holders = init_processes(lab_id)
    up = procfs.parents()
    return next((pid for pid in holders if up.get(pid) in holders), 0)


def stop_dockerd(lab_id: str, gently: bool = False) -> None:
    """End an own engine. Everything in its namespaces dies with their first process; its cgroups are then removed."""
    inner = inner_process(lab_id)
    if gently and inner:
        daemons = [pid for pid, parent in procfs.parents().items() if parent == inner]
        procfs.end(daemons, sig=signal.SIGTERM)
    everything = procfs.descendants(init_processes(lab_id))
    # util-linux' unshare ignores SIGTERM; SIGKILL of the first process is what takes the namespace down.
    procfs.end(everything)
    remove_cgroups(cgroup_name(lab_id))


def remove_cgroups(name: str, seconds: float = 10) -> None:
    """Remove a cgroup with everything below it in every hierarchy; the kernel needs a moment after the last process."""
    tops = [CGROUPS / name, *CGROUPS.glob(f"*/{name}")]
    until = time.monotonic() + seconds
    for top in tops:
        while top.is_dir():
            for folder, _, _ in os.walk(top, topdown=False):
                with suppress(OSError):
                    os.rmdir(folder)
            if time.monotonic() > until:
                raise LabError(
                    f"the cgroup {top} cannot be removed", "A process still lives in it: see its cgroup.procs."
                )
            time.sleep(0.02)
