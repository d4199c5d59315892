# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`up`: from nothing, or from whatever a killed `up` or a reboot left, to a lab that answers."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from typing import Any

from . import access, apionly, artifacts, balancer, cache, cluster, helm, images, mesh, network, preflight, standins
from .addresses import Addresses
from .clear import clear
from .console import Console, LabError
from .engine import Engine, host_docker_runs, own_engine, start_dockerd, wait_for_docker
from .environment import lab_env, search_path
from .health import Health, wait_until_healthy
from .paths import LabPaths
from .state import LabState, lab_lock, load_state, save_state
from .store import link_store


def up(paths: LabPaths, options: argparse.Namespace, console: Console) -> None:
    """Bring the lab up, or find that it already is."""
    standins.wanted(helm.split(options.extras)[1], "")  # a wrong name is told before anything is built
    with lab_lock(paths, console):
        state = load_state(paths)
        if state and state.ready:
            seen = wait_until_healthy(paths, state)
            if seen.ready:
                _keep(paths, state, options, console)
                return
            if seen.runs:
                raise _broken(paths, seen)
        machine = preflight.look()
        preflight.check(machine, options.api_only)
        if cleared := clear(paths):
            console.note(f"cleared what an earlier lab '{paths.name}' left: {', '.join(cleared)}")
        if options.api_only:
            _api_only(paths, options, console)
        else:
            _cluster(paths, options, machine, console)


def _broken(paths: LabPaths, seen: Health) -> LabError:
    """A lab that was ready and is not may hold somebody's work, so it is not made anew without being told to."""
    silent = ", ".join(name for name, answers in seen.parts.items() if not answers)
    return LabError(
        f"Lab '{paths.name}' runs, but this does not answer: {silent}.",
        f"See `lab logs` and `lab status --name {paths.name}`; to make it anew, `lab down --name {paths.name}` first.",
    )


def _keep(paths: LabPaths, state: LabState, options: argparse.Namespace, console: Console) -> None:
    """The lab runs: refuse what cannot be changed in place, add what can."""
    asked = (options.nodes or state.nodes, "api-only" if options.api_only else "kind")
    if asked != (state.nodes, state.mode):
        raise LabError(
            f"Lab '{paths.name}' already runs as {state.mode} with {state.nodes} node(s).",
            f"Take it down first (lab down --name {paths.name}), or choose another --name.",
        )
    env = lab_env(paths, state.path)
    if state.bare and not options.bare and state.mode == "kind":
        _add_mesh(paths, state, env, console)
    if access.digest() != state.rbac:
        state.rbac = access.grant(paths, env, console)
        save_state(paths, state)
    _extras(paths, state, options, env, console)
    console.note(f"lab '{paths.name}' already runs: KUBECONFIG={paths.kubeconfig}")


def _api_only(paths: LabPaths, options: argparse.Namespace, console: Console) -> None:
    names = ("etcd", "kube-apiserver", "kubectl")
    artifacts.announce(console, artifacts.program_parts(names))
    programs = artifacts.ensure_programs(console, names)
    state = LabState(mode="api-only", nodes=1, bare=True, created=_now())
    state.path = search_path(dict.fromkeys(program.parent for program in programs.values()))
    save_state(paths, state)
    env = lab_env(paths, state.path)
    with console.step("etcd and API server", "about 4 s"):
        state.api_port = apionly.start(paths, programs, env)
    _finish(paths, state, options, env, console)


def _cluster(paths: LabPaths, options: argparse.Namespace, machine: preflight.Machine, console: Console) -> None:
    state = LabState(nodes=options.nodes or 1, bare=options.bare, created=_now())
    state.engine = _choose_engine(options.engine, console)
    state.images = _choose_images(options.images, console)
    own, built = state.engine == "own", state.images == "built"
    names = ("kind", "kubectl") if options.bare else ("kind", "kubectl", "istioctl")
    artifacts.announce(console, _parts(own, built, options.bare, names))
    # A running docker may stand on a machine without `ip`; the lab's own docker has one beside it.
    folders = [artifacts.ensure_engine(console).bin] if own or not shutil.which("ip") else []
    # The addresses first: a taken range must show before anything is built.
    plan = network.take_slot(paths, options.slot, {**os.environ, "PATH": search_path(folders)})
    folders += dict.fromkeys(program.parent for program in artifacts.ensure_programs(console, names).values())
    state.slot, state.path = plan.slot, search_path(folders)
    state.external_ip = str(plan.external[10])
    save_state(paths, state)
    env = lab_env(paths, state.path)
    wanted = (images.built if built else images.pulled)(own, options.bare, env, console)
    state.node_image = wanted.node
    save_state(paths, state)

    network.fence(plan, env)
    engine = _start_engine(paths, plan, wanted, env, console) if own else Engine("host", env)
    with console.step("kind cluster", "about 20 s"):
        _make_cluster(paths, state, plan, engine, machine.cgroup_v1)
    if not options.bare:
        _mesh(paths, state, wanted, engine, env, console)
    with console.step("nodes ready"):
        _wait_for_nodes(state, env)
    _finish(paths, state, options, env, console)


def _parts(own: bool, built: bool, bare: bool, names: tuple[str, ...]) -> list[cache.Part]:
    """What this lab takes from the cache, to say beforehand what must be built."""
    parts = [*artifacts.program_parts(names)]
    parts += artifacts.engine_parts() if own else ()
    parts += artifacts.node_image_parts() if built else ()
    parts += artifacts.mesh_image_parts() if built and not bare else ()
    return parts


def _start_engine(
    paths: LabPaths, plan: Addresses, wanted: images.Images, env: dict[str, str], console: Console
) -> Engine:
    log = paths.logs / "dockerd.log"
    with console.step("own docker in its own namespaces", "about 3 s"):
        link_store(wanted.store, paths.data_dir / "docker")
        inner = start_dockerd(paths.id, paths.run_dir, paths.data_dir, log, plan, env)
        network.link(plan, inner, env)
        engine = own_engine(paths, env)
        if engine is None:
            raise LabError("The lab's own docker ended at once.", f"See {log}.")
        wait_for_docker(engine, paths.id, log)
    return engine


def _make_cluster(paths: LabPaths, state: LabState, plan: Addresses, engine: Engine, cgroup_v1: bool) -> None:
    own = engine.kind == "own"
    address = str(plan.lab_end) if own else "127.0.0.1"
    state.api_port = cluster.API_PORT if own else apionly.free_ports(1)[0]
    config = paths.state_dir / "kind.json"
    wanted = cluster.kind_config(plan, state.nodes, address, state.api_port, cgroup_v1)
    config.write_text(json.dumps(wanted, indent=1) + "\n")
    cluster.make_network(engine, paths.id, plan)
    cluster.create(engine, paths.id, config, state.node_image, paths.kubeconfig)
    node = cluster.control_plane(paths.id)
    network.route_to_node(
        [plan.pool, plan.external], cluster.node_address(engine, node), list(engine.enter), engine.env
    )
    balancer.install(engine, node, plan)


def _mesh(
    paths: LabPaths, state: LabState, wanted: images.Images, engine: Engine, env: dict[str, str], console: Console
) -> None:
    istioctl = artifacts.ensure_programs(console, ("istioctl",))["istioctl"]
    values = mesh.settings(wanted.mesh_hub, wanted.mesh_tag, wanted.source == "built")
    rendered = mesh.manifest(istioctl, values, env, console)
    with console.step("images into the nodes", "about 8 s"):
        cluster.load_images(engine, paths.id, wanted.archives)
    with console.step("Istio", "about 10 s"):
        mesh.install(rendered, env)
        mesh.wait(env)


def _add_mesh(paths: LabPaths, state: LabState, env: dict[str, str], console: Console) -> None:
    """A bare lab becomes one with Istio."""
    engine = own_engine(paths, env) or Engine("host", env)
    wanted = (images.built if state.images == "built" else images.pulled)(engine.kind == "own", False, env, console)
    _mesh(paths, state, wanted, engine, env, console)
    state.bare = False
    save_state(paths, state)


def _finish(
    paths: LabPaths, state: LabState, options: argparse.Namespace, env: dict[str, str], console: Console
) -> None:
    state.rbac = access.grant(paths, env, console)
    state.ready = True
    save_state(paths, state)
    _extras(paths, state, options, env, console)
    console.note(f"lab '{paths.name}' is ready: KUBECONFIG={paths.kubeconfig}")


def _extras(
    paths: LabPaths, state: LabState, options: argparse.Namespace, env: dict[str, str], console: Console
) -> None:
    """Bring Helm and the stand-ins to what was asked for, now or by an earlier `up`."""
    with_helm, others = helm.split(options.extras)
    if with_helm:
        helm.ensure(paths, state, console)
        if state.mode == "kind":
            helm.write_values(paths, _plane_settings(paths, state, env, console)["values"])
    state.standins = standins.wanted(others, state.standins)
    # Remembered first: where starting them fails, the next `up` tries again.
    save_state(paths, state)
    settings = {}
    if state.mode == "kind" and not standins.run(paths, state) and standins.bring_planes(state):
        settings = _plane_settings(paths, state, env, console)
    standins.ensure(paths, state, settings, env, console)


def _plane_settings(paths: LabPaths, state: LabState, env: dict[str, str], console: Console) -> dict[str, Any]:
    """What it takes to bring control planes; on a bare lab, Istio's images into the nodes first."""
    engine = own_engine(paths, env) or Engine("host", env)
    wanted = (images.built if state.images == "built" else images.pulled)(engine.kind == "own", False, env, console)
    if state.bare:
        with console.step("images into the nodes", "about 8 s"):
            cluster.load_images(engine, paths.id, wanted.archives)
    istioctl = artifacts.ensure_programs(console, ("istioctl",))["istioctl"]
    values = mesh.settings(wanted.mesh_hub, wanted.mesh_tag, wanted.source == "built")
    return {"istioctl": str(istioctl), "values": values}


def _wait_for_nodes(state: LabState, env: dict[str, str], seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not cluster.nodes_ready(env, state.nodes):
        if time.monotonic() > until:
            raise LabError(
                f"Not all of the {state.nodes} node(s) are ready after {seconds:.0f} s.", "See `lab logs kubelet`."
            )
        time.sleep(0.2)


def _choose_engine(asked: str, console: Console) -> str:
    runs = asked != "own" and host_docker_runs(dict(os.environ))
    if asked == "host" and not runs:
        raise LabError(
            "--engine host: no docker runs here (`docker info` fails).", "Start it, or leave the option out."
        )
    if asked != "auto":
        console.choice("docker", asked, "asked for with --engine")
    elif runs:
        console.choice("docker", "host", "`docker info` works")
    else:
        console.choice("docker", "own", "`docker info` does not work here")
    return "host" if runs else "own"


def _choose_images(asked: str, console: Console) -> str:
    if asked != "auto":
        console.choice("images", asked, "asked for with --images")
        return asked
    answers = images.registry_answers()
    console.choice("images", *(("pulled", "a registry answers") if answers else ("built", "no registry answers")))
    return "pulled" if answers else "built"


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
