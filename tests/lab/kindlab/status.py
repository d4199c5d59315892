# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`status` and `logs`: what a lab is and says."""

from __future__ import annotations

import json
from ipaddress import IPv4Network

from . import apionly, cluster, procfs, standins
from .addresses import addresses
from .commands import run
from .console import LabError
from .engine import Engine, init_processes
from .environment import current_engine, lab_env
from .health import health
from .paths import LabPaths
from .state import LabState


def describe(paths: LabPaths, state: LabState) -> tuple[bool, list[tuple[str, str]]]:
    """Whether the lab is ready, and everything worth knowing as (what, value)."""
    seen = health(paths, state)
    # Not one of the lab's own parts: an `up` mends them without taking the lab for broken.
    seen_parts = seen.parts | ({f"stand-ins {state.standins}": standins.run(paths, state)} if state.standins else {})
    ready = state.ready and all(seen_parts.values())
    parts = ", ".join(f"{name} {'works' if works else 'does not answer'}" for name, works in seen_parts.items())
    rows = [
        ("lab", f"{paths.name} ({state.mode}), {'ready' if ready else 'not ready'}, made {state.created}"),
        ("parts", parts),
    ]
    rows.append(("kubeconfig", str(paths.kubeconfig)))
    if paths.tcp_kubeconfig.exists():
        rows.append(("service account", str(paths.tcp_kubeconfig)))
    env = lab_env(paths, state.path)
    if state.mode == "kind" and state.slot >= 0:
        rows += _cluster_rows(state)
    if ready:
        rows += _live_rows(env)
    engine = current_engine(paths, state, env) if state.mode == "kind" else None
    if used := procfs.memory_bytes(_processes(paths, engine)):
        rows.append(("memory", f"{used / 1e9:.2f} GB"))
    return ready, rows


def _cluster_rows(state: LabState) -> list[tuple[str, str]]:
    plan = addresses(state.slot)
    return [
        ("docker", f"{state.engine}, images {state.images}, node image {state.node_image}"),
        ("nodes", f"{state.nodes} in {plan.nodes}"),
        ("load balancers", _span(plan.pool)),
        ("external IPs", f"{_span(plan.external)} (routed to the control plane's node)"),
    ]


def _span(network: IPv4Network) -> str:
    return f"{network[1]} to {network[-2]}"


def _live_rows(env: dict[str, str]) -> list[tuple[str, str]]:
    version = json.loads(run(["kubectl", "version", "--output=json"], env=env).stdout)
    pods = json.loads(run(["kubectl", "get", "pods", "--all-namespaces", "--output=json"], env=env).stdout)["items"]
    used = sorted({container["image"] for pod in pods for container in pod["spec"]["containers"]})
    server = run(
        ["kubectl", "config", "view", "--minify", "--output=jsonpath={.clusters[0].cluster.server}"], env=env
    ).stdout
    return [("API server", f"{server}, Kubernetes {version['serverVersion']['gitVersion']}")] + [
        ("image" if number == 0 else "", image) for number, image in enumerate(used)
    ]


def _processes(paths: LabPaths, engine: Engine | None) -> set[int]:
    """Every process of the lab as the host sees it."""
    beside = set(standins.processes(paths))
    if engine is None:
        return beside | set(apionly.processes(paths))
    if engine.kind == "own":
        return beside | procfs.descendants(init_processes(paths.id))
    nodes = cluster.containers(engine, paths.id)
    pids = engine.docker("inspect", "--format", "{{.State.Pid}}", *nodes).stdout.split() if nodes else []
    return beside | procfs.descendants(int(pid) for pid in pids if pid != "0")


def log_command(paths: LabPaths, state: LabState, component: str, target: str, lines: int) -> list[str]:
    """The command that prints the log of a part. Raises LabError for a part that this lab does not have."""
    node = cluster.control_plane(paths.id)
    tail = f"--tail={lines}"
    files = {"dockerd": "dockerd.log"} if state.mode == "kind" else {"etcd": "etcd.log", "apiserver": "apiserver.log"}
    files |= {f"standin-{name}": standins.log_file(paths, name).name for name in state.standins.split(",") if name}
    if component in files:
        return ["tail", "--lines", str(lines), str(paths.logs / files[component])]
    if state.mode == "kind":
        if component in ("apiserver", "etcd"):
            pod = f"{'kube-apiserver' if component == 'apiserver' else 'etcd'}-{node}"
            return ["kubectl", "logs", "--namespace=kube-system", pod, tail]
        if component in ("balancer", "kubelet", "containerd"):
            unit = "lab-balancer" if component == "balancer" else component
            return ["docker", "exec", node, "journalctl", "--no-pager", f"--unit={unit}", f"--lines={lines}"]
        if component == "istiod" and not state.bare:
            return ["kubectl", "logs", "--namespace=istio-system", "deployment/istiod", tail]
        if component == "gateway":
            namespace, slash, name = target.partition("/")
            if not (namespace and slash and name):
                raise LabError("Which gateway?", "Say it as NAMESPACE/NAME: lab logs gateway gateways/edge.")
            return ["kubectl", "logs", f"--namespace={namespace}", f"deployment/{name}", tail]
    known = (
        sorted(files)
        if state.mode != "kind"
        else sorted(
            [*files, "apiserver", "balancer", "containerd", "etcd", "gateway NAMESPACE/NAME", "istiod", "kubelet"]
        )
    )
    raise LabError(f"Lab '{paths.name}' has no log of '{component}'.", f"There are: {', '.join(known)}.")
