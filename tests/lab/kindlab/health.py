# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a lab works, by asking it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from . import apionly, cluster, mesh
from .commands import run
from .environment import current_engine, lab_env
from .network import held_slots
from .paths import LabPaths
from .state import LabState


@dataclass(frozen=True)
class Health:
    """What was seen: whether the lab's processes run at all, and which parts answer."""

    runs: bool
    parts: dict[str, bool]

    @property
    def ready(self) -> bool:
        """Whether every part works."""
        return all(self.parts.values())


def health(paths: LabPaths, state: LabState) -> Health:
    """Ask every part of the lab; takes less than a second when all answer."""
    env = lab_env(paths, state.path)
    if state.mode == "api-only":
        runs = len(apionly.processes(paths)) == 2
        return Health(runs, {"etcd and API server": runs and api_answers(env)})
    # The engine first: without it every further question would wait for a time-out.
    if current_engine(paths, state, env) is None:
        return Health(False, {"docker": False})
    # After a reboot a running docker may start the nodes again, but the host's routes are gone.
    if state.slot not in held_slots(paths):
        return Health(False, {"docker": True, "routes": False})
    parts = {"docker": True, "nodes": cluster.nodes_ready(env, state.nodes)}
    if not state.bare:
        parts["istiod"] = parts["nodes"] and mesh.ready(env)
    return Health(True, parts)


def api_answers(env: dict[str, str]) -> bool:
    """Whether the API server says that it is ready."""
    command = ["kubectl", "get", "--raw", "/readyz", "--request-timeout=3s"]
    return run(command, env=env, check=False, timeout=10).returncode == 0


def wait_until_healthy(paths: LabPaths, state: LabState, seconds: float = 60) -> Health:
    """Ask until all answer: a busy machine or a restart of istiod is no reason to think a lab dead."""
    until = time.monotonic() + seconds
    while (seen := health(paths, state)).runs and not seen.ready and time.monotonic() < until:
        time.sleep(1)
    return seen
