# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the model says of worlds, in the form in which Envoy's configuration can be held against it."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import _istio, _state
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_mesh import plane_of
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import control_plane

from istio.places import DISCOVERED, NAMESPACES, PODS, SCOPED_REVISION, backend_services, namespace_labels
from istio.worlds import World, draw_world

# An address, and the chains behind it: names, and the clusters or the hosts that they lead to.
Chain = tuple[tuple[str, ...], str, tuple[str, ...]]
Listeners = dict[tuple[str, int], tuple[Chain, ...]]
# A listener that Envoy refuses.
REFUSED: tuple[Chain, ...] = ((("refused",), "", ()),)
PROJECTIONS = {"Gateway": _state.gateway, "VirtualService": _state.virtual_service, "Service": _state.service}
LISTS = {"Gateway": "gateways", "VirtualService": "virtual_services", "Service": "services"}


def make_world(seed: int) -> World:
    """Return the first world of a seed in which something clashes; where nothing does, nothing is decided."""
    worlds = (draw_world(seed, turn) for turn in itertools.count())
    return next(world for world in worlds if clashes(imagined([world]), world))


def imagined(worlds: Iterable[World]) -> dict[str, Any]:
    """Return the state that a cluster would have with these worlds: each wave is a second."""
    return state_with(created(obj, wave + 1) for world in worlds for wave, obj in world.objects)


def state_with(objects: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the state of a cluster with some objects beside what all worlds share."""
    state = shared_state()
    for obj in itertools.chain((created(obj, 0) for obj in backend_services()), objects):
        state[LISTS[obj["kind"]]].append(PROJECTIONS[obj["kind"]](obj))
    return state


def created(obj: Mapping[str, Any], second: int) -> dict[str, Any]:
    """Return an object as the API server shows it, made at a second."""
    return {**obj, "metadata": {**obj["metadata"], "creationTimestamp": f"2026-01-01T00:00:{second:02}Z"}}


def shared_state() -> dict[str, Any]:
    """Return the state of a cluster with the worlds' namespaces, pods and control planes alone."""
    selectors = [{"matchLabels": DISCOVERED}]
    scoped = control_plane(revision=SCOPED_REVISION, name=SCOPED_REVISION, scoped=True)
    scoped["config"] = {**scoped["config"], "discovery_selectors": selectors}
    names = [name for namespaces in NAMESPACES.values() for name in namespaces]
    return {
        "mesh": {"control_planes": [control_plane(), scoped]},
        "namespaces": {name: {"labels": namespace_labels(name), "terminating": False} for name in names},
        "services": [],
        "gateways": [],
        "virtual_services": [],
        "workloads": [
            {
                "name": pod.name,
                "namespace": pod.namespace,
                "labels": pod.labels,
                "revision": pod.revision,
                "gateway": True,
                "unprivileged": pod.unprivileged,
            }
            for pod in PODS
        ],
    }


def predicted(state: Mapping[str, Any]) -> dict[str, Listeners]:
    """Return the listeners that the model expects on each of the worlds' pods."""
    world = _istio.World(state)
    workloads = world.workloads()
    result: dict[str, Listeners] = {}
    for pod in PODS:
        rows, lost = world.table(workloads[pod.key]) if pod.key in workloads else ([], [])
        chains: dict[tuple[str, int], list[Chain]] = {}
        for row in rows:
            served = served_hosts(world, workloads[pod.key], row) if is_http(row) else ()
            chains.setdefault((row["address"], row["port"]), []).append(chain_of(row, served))
        result[pod.key] = {address: tuple(sorted(items)) for address, items in chains.items()}
        result[pod.key] |= {(row["address"], row["port"]): REFUSED for row in lost if row["reason"] == "refused"}
    return result


def is_http(row: Mapping[str, Any]) -> bool:
    """Tell whether a chain's routes are read by Envoy: plain HTTP, or HTTPS that ends there."""
    return row["protocol"].lower() in ("http", "http2", "https") and row["tls"] != "PASSTHROUGH"


def served_hosts(world: _istio.World, workload: Mapping[str, Any], row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the hosts of an HTTP chain that a VirtualService has routes for; a host stands for one Gateway here."""
    virtual = world.virtual_services(plane_of(workload, world.state))
    return tuple(
        host
        for host in row["hosts"]
        if any(host in item["hosts"] for item in virtual.of("/".join(host.split(".")[:2]), workload["namespace"]))
    )


def chain_of(row: Mapping[str, Any], served: tuple[str, ...]) -> Chain:
    """Return a row of the table as a chain; HTTP is judged by its hosts, everything else by its clusters."""
    sni = () if "*" in row["sni"] else tuple(row["sni"])
    if is_http(row):
        return (sni, "http", () if row["protocol"] == "HTTPS" else served)
    return (sni, "tcp", tuple(row["clusters"]))


def of_world(listeners: Mapping[str, Listeners], world: World) -> dict[str, Listeners]:
    """Return the part of a prediction or an observation that is a world's own."""
    return on_ports(listeners, world.ports)


def on_ports(listeners: Mapping[str, Listeners], ports: Collection[int]) -> dict[str, Listeners]:
    """Return the listeners on some ports."""
    return {
        key: {address: chains for address, chains in table.items() if address[1] in ports}
        for key, table in listeners.items()
    }


def clashes(state: Mapping[str, Any], world: World) -> bool:
    """Tell whether in a world at least two servers want one port of one pod."""
    wanted: dict[tuple[str, int], set[str]] = {}
    found = _istio.listener_tables(state)
    rows = [{"workload": key, **row} for key, table in found["tables"].items() for row in table]
    for row in rows + found["lost"]:
        if row["port"] in world.ports:
            wanted.setdefault((row["workload"], row["port"]), set()).add(f"{row['gateway']} {row['server']}")
    return any(len(servers) > 1 for servers in wanted.values())
