# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment in which a lab's commands run, and the engine that an existing lab uses."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from . import cache
from .engine import Engine, host_docker_runs, own_engine
from .paths import LabPaths
from .state import LabState


def search_path(folders: Iterable[Path]) -> str:
    """PATH with these folders first; system folders last, since a user's PATH may lack /usr/sbin."""
    words = [str(folder) for folder in folders] + os.environ.get("PATH", "").split(":") + ["/usr/sbin", "/sbin"]
    return ":".join(dict.fromkeys(word for word in words if word))


def remembered_path(state: LabState | None) -> str:
    """PATH of an existing lab; without a state (a killed `up`) any engine of the cache serves to clear it."""
    if state and state.path:
        return state.path
    return search_path(sorted(cache.root().glob("engine-*/bin")))


def lab_env(paths: LabPaths, path: str) -> dict[str, str]:
    """The caller's environment with the lab's programs and its own kubeconfig, and discovery cached per lab."""
    return {
        **os.environ,
        "PATH": path,
        "KUBECONFIG": str(paths.direct_kubeconfig),
        # Two labs may have the same address one after the other; a shared cache would mix up what they serve.
        "KUBECACHEDIR": str(paths.state_dir / "kubecache"),
    }


def current_engine(paths: LabPaths, state: LabState | None, env: dict[str, str]) -> Engine | None:
    """The docker of an existing lab, or None when it does not run."""
    if own := own_engine(paths, env):
        return own
    if (state is None or state.engine != "own") and host_docker_runs(env):
        return Engine("host", env)
    return None
