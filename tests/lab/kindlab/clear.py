# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clearing a lab: by looking for what is there, so that a killed `up` or a reboot is cleared like a whole lab."""

from __future__ import annotations

import os
import shutil

from . import apionly, cluster, network, procfs, standins, store
from .console import LabError
from .engine import cgroup_name, init_processes, remove_cgroups, stop_dockerd
from .environment import current_engine, lab_env, remembered_path
from .paths import LabPaths
from .state import LabState, load_state


def clear(paths: LabPaths) -> list[str]:
    """End and remove everything that belongs to the lab; return what there was, in words."""
    state = load_state(paths)
    env = lab_env(paths, remembered_path(state))
    cleared = []
    if standins.processes(paths):
        standins.end(paths)
        cleared.append("stand-ins")
    if servers := apionly.processes(paths):
        procfs.end(servers)
        cleared.append("API server")
    if os.geteuid() == 0:
        cleared += _clear_cluster(paths, env, state)
    for folder, what in ((paths.data_dir, "docker's data"), (paths.run_dir, "sockets"), (paths.state_dir, "state")):
        if folder.exists():
            shutil.rmtree(folder)
            cleared.append(what)
    return cleared


def _clear_cluster(paths: LabPaths, env: dict[str, str], state: LabState | None) -> list[str]:
    cleared = []
    if init_processes(paths.id):
        stop_dockerd(paths.id)
        cleared.append("docker and cluster")
    else:
        engine = current_engine(paths, state, env)
        if engine is None and state and state.engine == "host":
            raise LabError(
                f"The docker that carries lab '{paths.name}' does not run, so its containers cannot be removed.",
                "Start docker, then run the command again.",
            )
        if engine and (cluster.containers(engine, paths.id) or cluster.network_exists(engine, paths.id)):
            cluster.remove(engine, paths.id)
            cleared.append("cluster")
    remove_cgroups(cgroup_name(paths.id))
    store.clear_stale()
    if network.held_slots(paths):
        network.release_slot(paths, env)
        cleared.append("links and routes")
    return cleared
