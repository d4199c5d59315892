# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kind cluster: made, filled with images, asked how it is, removed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address
from pathlib import Path

from .addresses import Addresses
from .commands import run
from .engine import Engine

API_PORT = 6443


def kind_config(plan: Addresses, nodes: int, api_address: str, api_port: int, cgroup_v1: bool) -> dict[str, object]:
    """kind's configuration: one control plane and `nodes - 1` workers in the lab's own ranges."""
    config: dict[str, object] = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {
            "ipFamily": "ipv4",
            "podSubnet": str(plan.pods),
            "serviceSubnet": str(plan.services),
            "apiServerAddress": api_address,
            "apiServerPort": api_port,
        },
        "nodes": [{"role": "control-plane"}] + [{"role": "worker"}] * (nodes - 1),
    }
    if cgroup_v1:
        # From Kubernetes 1.35 the kubelet refuses cgroup v1 unless told otherwise; before, the default is the same.
        patch = {"kind": "KubeletConfiguration", "apiVersion": "kubelet.config.k8s.io/v1beta1", "failCgroupV1": False}
        config["kubeadmConfigPatches"] = [json.dumps(patch)]
    return config


def control_plane(lab_id: str) -> str:
    """Name of the node that carries the control plane, as a container and in Kubernetes."""
    return f"{lab_id}-control-plane"


def kind_env(engine: Engine, lab_id: str) -> Mapping[str, str]:
    """kind joins its nodes to the network of this name; each lab has its own."""
    return {**engine.env, "KIND_EXPERIMENTAL_DOCKER_NETWORK": lab_id}


def make_network(engine: Engine, lab_id: str, plan: Addresses) -> None:
    """Make the network of the nodes beforehand, so that it lies in the lab's range."""
    engine.docker(
        *("network", "create", "--driver", "bridge", "--subnet", str(plan.nodes), "--gateway", str(plan.nodes[1])),
        *("--opt", f"com.docker.network.bridge.name={plan.interface}", lab_id),
    )


def create(engine: Engine, lab_id: str, config: Path, image: str, kubeconfig: Path) -> None:
    """Make the cluster and return when its API server answers; the node becomes ready while images are loaded."""
    command = ["kind", "create", "cluster", "--quiet", "--retain", "--name", lab_id, "--image", image]
    run([*command, "--config", str(config), "--kubeconfig", str(kubeconfig)], env=kind_env(engine, lab_id))


def load_images(engine: Engine, lab_id: str, archives: Iterable[Path]) -> None:
    """Import image archives into every node: what `kind load image-archive` does, in half the time."""
    ctr = (
        "ctr",
        "--namespace=k8s.io",
        "images",
        "import",
        "--all-platforms",
        "--digests",
        "--snapshotter=overlayfs",
        "-",
    )
    for node in containers(engine, lab_id):
        for archive in archives:
            run(["docker", "exec", "--interactive", node, *ctr], env=engine.env, feed=archive)


def node_address(engine: Engine, node: str) -> IPv4Address:
    """The address of a node's container on the lab's network."""
    template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return IPv4Address(engine.docker("inspect", "--format", template, node).stdout.strip())


def containers(engine: Engine, lab_id: str) -> list[str]:
    """Containers of the cluster's nodes, running or not."""
    found = engine.docker("ps", "--all", "--quiet", "--filter", f"label=io.x-k8s.kind.cluster={lab_id}", check=False)
    return found.stdout.split()


def network_exists(engine: Engine, lab_id: str) -> bool:
    """Whether the lab's network is there."""
    return bool(engine.docker("network", "ls", "--quiet", "--filter", f"name=^{lab_id}$", check=False).stdout.strip())


def remove(engine: Engine, lab_id: str) -> None:
    """Remove the nodes with their volumes, and their network; needs no kind, so it also clears half a cluster."""
    if nodes := containers(engine, lab_id):
        engine.docker("rm", "--force", "--volumes", *nodes)
    if network_exists(engine, lab_id):
        engine.docker("network", "rm", lab_id)


def nodes_ready(env: Mapping[str, str], wanted: int) -> bool:
    """Whether all nodes are there and ready, by one short request."""
    jsonpath = '{range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}'
    command = ["kubectl", "get", "nodes", "--request-timeout=3s", "--output", f"jsonpath={jsonpath}"]
    done = run(command, env=env, check=False, timeout=10)
    return done.returncode == 0 and done.stdout.split() == ["True"] * wanted
