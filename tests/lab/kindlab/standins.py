# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-ins of a lab (tests/lab/standins) as a process of the host: started, found, ended."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from . import cache, procfs
from .access import write_private
from .apionly import free_ports
from .commands import run as command
from .console import Console, LabError
from .paths import CHECKOUT, LabPaths
from .process import tail
from .state import LabState

NAMES = ("olm", "ossm2", "sail", "openshift")
OFF = "none"
CODE = CHECKOUT / "tests" / "lab" / "standins"
PYTHON = CHECKOUT / ".venv" / "bin" / "python"


def wanted(asked: Iterable[str], held: str) -> str:
    """The stand-ins to run, with commas: those that run already and those asked for; `none` ends all.

    Raises LabError for a name that is not one.
    """
    words = [word.strip() for option in asked for word in option.split(",") if word.strip()]
    if unknown := [word for word in words if word not in (*NAMES, OFF)]:
        raise LabError(f"--with {unknown[0]}: there is no such part.", f"There are: {', '.join(NAMES)}, and {OFF}.")
    if OFF in words:
        return ",".join(name for name in NAMES if name in words)
    return ",".join(name for name in NAMES if name in words or name in held.split(","))


def bring_planes(state: LabState) -> bool:
    """Whether one of them brings control planes."""
    return bool({"ossm2", "sail"} & set(state.standins.split(",")))


def processes(paths: LabPaths) -> list[int]:
    """The lab's stand-ins, found by the folder in their arguments."""
    return procfs.with_arguments(_lab_flag(paths))


def run(paths: LabPaths, state: LabState) -> bool:
    """Whether what should run does, and nothing else."""
    if not state.standins:
        return not processes(paths)
    return ready_file(paths).exists() and bool(procfs.with_arguments(*_flags(paths, state)))


def ensure(
    paths: LabPaths, state: LabState, settings: Mapping[str, object], env: Mapping[str, str], console: Console
) -> None:
    """Start the stand-ins that the state names, unless just these run; end others.

    `settings` is what they need to bring control planes; without it none is brought.
    """
    if run(paths, state):
        _route(paths, env)  # a new token of the service account comes with a kubeconfig of its own
        return
    end(paths)
    _route(paths, env)
    if not state.standins:
        console.note("stand-ins: ended")
        return
    if not PYTHON.exists():
        raise LabError("The stand-ins run in .venv, which is not there.", "Build it: make venv")
    proxy = {"proxy": {"port": free_ports(1)[0], "key": secrets.token_hex(16)}} if "ossm2" in state.standins else {}
    write_private(_settings_file(paths), json.dumps({**settings, **proxy}, indent=1) + "\n")
    with console.step(f"stand-ins {state.standins}", "about 2 s"):
        _start(paths, state, env)
    _route(paths, env)


def end(paths: LabPaths) -> None:
    """End the stand-ins."""
    procfs.end(processes(paths))
    ready_file(paths).unlink(missing_ok=True)
    _settings_file(paths).unlink(missing_ok=True)


def _settings_file(paths: LabPaths) -> Path:
    return paths.state_dir / "standins.json"


def _route(paths: LabPaths, env: Mapping[str, str]) -> None:
    """Let the lab's kubeconfigs lead through the proxy while there is one, and straight on otherwise."""
    settings = json.loads(_settings_file(paths).read_text()) if _settings_file(paths).exists() else {}
    kept = paths.state_dir / "kubeconfig-direct"
    proxy = settings.get("proxy")
    if proxy is None and not kept.exists():
        return
    if not kept.exists():
        write_private(kept, paths.kubeconfig.read_text())
    view = ["kubectl", "config", "view", "--raw", "--output=json", "--kubeconfig"]
    admin = json.loads(command([*view, str(kept)], env=env).stdout)
    tcp = json.loads(command([*view, str(paths.tcp_kubeconfig)], env=env).stdout)
    tcp["clusters"] = admin["clusters"]
    if proxy:
        authority = base64.b64encode((paths.state_dir / "proxy.pem").read_bytes().partition(b"-----BEGIN PRIV")[0])
        cluster = {"server": f"https://127.0.0.1:{proxy['port']}", "certificate-authority-data": authority.decode()}
        for config in (admin, tcp):
            config["clusters"] = [one | {"cluster": cluster} for one in config["clusters"]]
        admin["users"] = [one | {"user": {"token": proxy["key"]}} for one in admin["users"]]
    _write(paths.tcp_kubeconfig, tcp)
    if proxy:
        _write(paths.kubeconfig, admin)
    else:
        kept.replace(paths.kubeconfig)


def _write(path: Path, config: Mapping[str, object]) -> None:
    """Write a kubeconfig in one step, where it differs: somebody may be reading it."""
    text = json.dumps(config, indent=1) + "\n"
    if path.read_text() != text:
        draft = path.with_suffix(".new")
        write_private(draft, text)
        draft.replace(path)


def ready_file(paths: LabPaths) -> Path:
    """Written by the stand-ins when they watch."""
    return paths.state_dir / "standins.ready"


def log_file(paths: LabPaths, name: str) -> Path:
    """The log of one stand-in."""
    return paths.logs / f"standin-{name}.log"


def _lab_flag(paths: LabPaths) -> str:
    return f"--lab={paths.state_dir}"


def _flags(paths: LabPaths, state: LabState) -> list[str]:
    """The arguments by which the right process is known; changed code wants a new one."""
    code = "".join(str(digest) for digest in cache.file_digests(CODE).values())
    flags = [_lab_flag(paths), f"--with={state.standins}", f"--code={hashlib.sha256(code.encode()).hexdigest()[:12]}"]
    return [*flags, "--pods"] if state.mode == "kind" else flags


def _start(paths: LabPaths, state: LabState, env: Mapping[str, str], seconds: float = 60) -> None:
    words = [str(PYTHON), "-m", "standins", *_flags(paths, state)]
    log = paths.logs / "standins.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    here = {**env, "PYTHONPATH": str(CHECKOUT / "tests" / "lab"), "PYTHONDONTWRITEBYTECODE": "1"}
    with log.open("ab") as sink:
        process = subprocess.Popen(
            words, env=here, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True, cwd="/"
        )
    until = time.monotonic() + seconds
    while not ready_file(paths).exists():
        if process.poll() is not None or time.monotonic() > until:
            process.kill()
            raise LabError(f"The stand-ins do not start:\n{tail(log)}", f"The whole log is {log}.")
        time.sleep(0.05)
