# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Debian root file system that the node is made of and from which the images take their shared libraries."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from . import cache, debs, pins, unpacked
from .console import Console, LabError
from .process import output, run

# Mounts that a command makes end with it, also when the lab is killed.
NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child")
_DROPPED = (
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "var/cache/apt",
    "var/lib/apt/lists",
)


def _environment(bin_folder: Path) -> dict[str, str]:
    """debootstrap fetches with wget, which knows the proxy of the environment but not that of apt."""
    environment = {**os.environ, "LC_ALL": "C", "PATH": f"{bin_folder}:/usr/sbin:/usr/bin:/sbin:/bin"}
    for scheme in ("http", "https"):
        setting = output(["apt-config", "shell", "proxy", f"Acquire::{scheme}::Proxy"], "apt-config").strip()
        if setting and setting != "proxy='DIRECT'":
            environment.setdefault(f"{scheme}_proxy", setting.removeprefix("proxy='").removesuffix("'"))
    return environment


def _build(folder: Path, log: Path, console: Console) -> None:
    if os.geteuid() != 0:
        raise LabError("Building the node image needs root: it makes a root file system.", "Run this as root.")
    engine = unpacked.ensure(console)
    source = debs.mirror(debs.machine_sources())
    signed = debs.keyring(source, folder)
    packages = cache.root() / "debs"
    packages.mkdir(exist_ok=True)
    include = ",".join(pins.NODE_PACKAGES)
    options = ["--variant=minbase", "--merged-usr", f"--include={include}", f"--cache-dir={packages}"]
    options += [f"--keyring={signed}"] if signed else []
    options += ["--no-check-gpg"] if source.trusted else []
    command = ["nice", "-n", "10", *NAMESPACES, engine.bin / "debootstrap", *options, pins.SUITE, folder / "tree"]
    run([*command, source.uri], "debootstrap", log, env=_environment(engine.bin))
    for dropped in _DROPPED:
        shutil.rmtree(folder / "tree" / dropped, ignore_errors=True)


def part() -> cache.Part:
    """Return the root file system as a part of the cache."""
    inputs = {"suite": pins.SUITE, "packages": sorted(pins.NODE_PACKAGES), "dropped": _DROPPED}
    return cache.Part("rootfs", "the node's Debian, by debootstrap", 60, inputs, _build, tools=(unpacked.part(),))


def ensure(console: Console) -> Path:
    """Return the root file system's folder, which nobody may write to."""
    return cache.entry(part(), console) / "tree"


def inside(tree: Path, path: str) -> Path:
    """Return the real file behind ``path`` as a process rooted in ``tree`` would see it."""
    seen = tree
    words = path.strip("/").split("/")
    while words:
        word = words.pop(0)
        if word == "..":
            seen = seen.parent if seen != tree else tree
        elif (seen / word).is_symlink():
            target = os.readlink(seen / word)
            words = target.strip("/").split("/") + words
            seen = tree if target.startswith("/") else seen
        else:
            seen = seen / word
    return seen


def parse_ldd(text: str) -> set[str]:
    """Return the paths of the libraries and the loader that ``ldd`` names; raise LabError for one that is missing."""
    missing = [line.strip() for line in text.splitlines() if "not found" in line]
    if missing:
        raise LabError(f"A program of the node lacks a library: {missing[0]}", "Add its package to pins.NODE_PACKAGES.")
    words = text.split()
    return {word for word in words if word.startswith("/") and not word.endswith(":")}


def closure(tree: Path, programs: Iterable[str]) -> set[str]:
    """Return every shared library, loader included, that the programs of the tree need, as paths in the tree."""
    return parse_ldd(output(["chroot", tree, "ldd", *programs], "ldd in the node's root file system"))
