# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image store of an own dockerd, with the node image in it: filled once, then linked into each new lab."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import cache
from .commands import run
from .console import Console
from .engine import Engine, start_dockerd, stop_dockerd, wait_for_docker
from .paths import MACHINE_RUN

Fill = Callable[[Engine, Path, Console], None]


PREFIX = "store-"  # of the folder in which a store's dockerd has its socket; the builder's process number follows


def prepared_store(
    name: str, inputs: Mapping[str, Any], seconds: int, fill: Fill, env: Mapping[str, str]
) -> cache.Part:
    """Describe a cache entry whose folder `docker` is a data-root into which `fill` loads images.

    The dockerd that fills it has the host's network, so it can also pull.
    """

    def build(folder: Path, log: Path, console: Console) -> None:
        store_id = f"{PREFIX}{os.getpid()}"
        run_dir = MACHINE_RUN / store_id
        try:
            start_dockerd(store_id, run_dir, folder, log, None, env)
            engine = Engine("own", {**env, "DOCKER_HOST": f"unix://{run_dir}/docker.sock"})
            wait_for_docker(engine, store_id, log)
            fill(engine, folder, console)
            stop_dockerd(store_id, gently=True)
        finally:
            stop_dockerd(store_id)
            shutil.rmtree(run_dir, ignore_errors=True)

    return cache.Part(name, "image store of the lab's docker", seconds, inputs, build)


def link_store(store: Path, target: Path) -> None:
    """Make a data-root from a prepared one in about a second: layers, never written to again, as hard links."""
    target.mkdir(parents=True, mode=0o710)
    for child in sorted(store.iterdir()):
        link = ["--link"] if child.name == "overlay2" else []
        run(["cp", "--archive", *link, str(child), str(target)])


def clear_stale() -> None:
    """Remove the sockets of store builders that were killed; their dockerd has died with them."""
    for folder in MACHINE_RUN.glob(f"{PREFIX}*"):
        if not Path("/proc", folder.name.removeprefix(PREFIX)).exists():
            shutil.rmtree(folder, ignore_errors=True)
