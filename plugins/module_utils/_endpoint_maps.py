# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ConfigMaps beside the backends, from which application teams learn where clients reach their Services.

One per record, since a record may be withdrawn without the others being known. That a set has any stands on its Istio
Gateways (ENDPOINTS_LABEL), so that they go with their records also where a run was not told of them.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._door_plan import all_listeners, services_of_set
from ansible_collections.servicemesh.tcp.plugins.module_utils._doors import is_door
from ansible_collections.servicemesh.tcp.plugins.module_utils._endpoints import endpoints
from ansible_collections.servicemesh.tcp.plugins.module_utils._http import routes_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import (
    BACKEND_LABEL,
    COLLECTION,
    DOOR_LABEL,
    MANAGED_BY_LABEL,
    SET_LABEL,
    is_of_set,
    set_manager,
    short_hash,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import Step, apply_step, remove_step
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View
from ansible_collections.servicemesh.tcp.plugins.module_utils._withdrawn import backend_of, former_hashes
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import bare_object, new_object

# On a set's Istio Gateway: whether its endpoints are published beside the backends.
ENDPOINTS_LABEL = "servicemesh.tcp/endpoints"
# What a client of each kind of server is called with; the others can only be connected to.
CLIENTS: Mapping[str, str] = {
    "ftp": "ftp {host} {port}",
    "http": "curl {scheme}://{host}:{port}{path}",
    "mysql": "mysql --host={host} --port={port} --protocol=tcp",
    "postgres": "psql --host={host} --port={port}",
    "redis": "redis-cli -h {host} -p {port}",
    "ssh": "ssh -p {port} {host}",
    "tls": "openssl s_client -connect {host}:{port}",
}
ANY_CLIENT = "nc {host} {port}"

# Namespace and Service of the backend, and the hash of set and record.
Key = tuple[str, str, str]


def map_name(service: str, digest: str) -> str:
    """Return the name of a record's ConfigMap, which sorts beside its Service's name."""
    return f"{service}.tcp-{digest}"


def client_line(probe: Mapping[str, Any], address: str, number: int) -> str:
    """Return the command of a client for an endpoint without TLS at the gateway; the proof tells the protocol."""
    host = f"[{address}]" if ":" in address and probe["mode"] in ("http", "tls") else address
    scheme = "https" if str(probe.get("tls", False)).lower() in ("true", "yes") else "http"
    line = CLIENTS.get(probe["mode"], ANY_CLIENT)
    return line.format(host=host, port=number, scheme=scheme, path=probe.get("path") or "/")


def endpoint_maps(
    ports: Sequence[Mapping[str, Any]],
    services: Iterable[Mapping[str, Any]],
    nodes: Sequence[Mapping[str, Any]],
) -> dict[Key, dict[str, Any]]:
    """Return the ConfigMap of each record of a port map; it says nothing that changes by itself, such as proofs."""
    entries: dict[Key, list[dict[str, Any]]] = {}
    records: dict[Key, Mapping[str, Any]] = {}
    for port, found in zip(ports, endpoints(ports, services, nodes, planned=True), strict=True):
        key = (port["backend"]["namespace"], port["backend"]["service"], port["hash"])
        if not key[0]:
            # What is outside of the cluster has no namespace to be told in.
            continue
        entry = {name: found[name] for name in ("gateway", "addresses", "port", "sni", "backend")}
        if is_door(port):
            entry["door"] = port["door"]
        if found["http"]:
            entry |= {"http": found["http"], "client": list((found["client"] or {}).values())}
        elif found["client"]:
            entry |= {"client": [found["client"]["openssl"]], "stunnel": found["client"]["stunnel"]}
        else:
            entry["client"] = [client_line(port["probe"], address, found["port"]) for address in found["addresses"]]
        entries.setdefault(key, []).append(entry)
        records[key] = port
    return {key: _endpoint_map(key, records[key], found) for key, found in sorted(entries.items())}


def _endpoint_map(key: Key, record: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one ConfigMap: a document for programs, and lines for people."""
    namespace, service, digest = key
    labels = {MANAGED_BY_LABEL: COLLECTION, SET_LABEL: record["set"], BACKEND_LABEL: service}
    document = {"set": record["set"], "name": record["name"], "endpoints": list(entries)}
    lines = [f"record {record['name']} of set {record['set']}"]
    for entry in entries:
        where = ", ".join(entry["addresses"]) or "(no address yet)"
        names = f" (TLS server name {entry['sni']})" if entry["sni"] else ""
        if entry.get("http"):
            names = f" ({routes_text(entry['http'])})"
        lines.append(
            f"{where} port {entry['port']}{names} leads to port {entry['backend']['port']} of Service {service}"
        )
        lines += [f"  {line}" for line in entry["client"]]
    data = {
        "endpoints.json": json.dumps(document, indent=2, sort_keys=True) + "\n",
        "README.txt": "\n".join(lines) + "\n",
    }
    return new_object("ConfigMap", map_name(service, digest), namespace, labels, data=data)


def with_endpoint_maps(plan: Mapping[str, Any], wanted: Mapping[str, Any], view: View) -> dict[str, Any]:
    """Return a plan with the steps for its set's ConfigMaps: those that go before all else, the others at the end.

    Their addresses are those that are known before the run.
    """
    set_name, publishes = wanted["set"], wanted["publish_endpoints"] and wanted["state"] == "present"
    marked = [
        *(item for item in view.gateways if is_of_set(item["labels"], set_name)),
        *services_of_set(view, set_name),
    ]
    told = any(item["labels"].get(ENDPOINTS_LABEL) for item in marked)
    if not told and not publishes:
        return dict(plan)
    maps = endpoint_maps(plan["ports"], view.services.values(), view.state["nodes"]) if publishes else {}
    stale = _stale(plan, wanted, view, set(maps)) if told else []
    removals = [remove_step(bare_object("ConfigMap", map_name(key[1], key[2]), key[0])) for key in stale]
    steps = [_marked(step) if publishes or wanted["state"] == "absent" else step for step in plan["steps"]]
    return {**plan, "steps": [*removals, *steps, *map_steps(maps, set_name)]}


def map_steps(maps: Mapping[Key, Mapping[str, Any]], set_name: str) -> list[Step]:
    """Return the steps that write ConfigMaps."""
    return [apply_step(obj, set_manager(set_name)) for obj in maps.values()]


def _stale(plan: Mapping[str, Any], wanted: Mapping[str, Any], view: View, stays: set[Key]) -> list[Key]:
    """Return which ConfigMaps of a set that has some are no longer wanted."""
    had = set()
    for item in all_listeners(view, wanted["set"]):
        backend = backend_of(item, view)
        if backend and backend["namespace"] and item["hash"]:
            had.add((backend["namespace"], backend["service"], item["hash"]))
    if wanted["state"] == "absent":
        named = {short_hash(wanted["set"], name) for name in wanted["withdraw"]}
        return sorted(key for key in had if not named or key[2] in named)
    if wanted["publish_endpoints"] and not wanted["prune"]:
        # Records that are not declared stay, and what is said of them.
        declared = {port["hash"] for port in plan["ports"]} | set(former_hashes(plan["ports"], wanted["set"]))
        had = {key for key in had if key[2] in declared}
    return sorted(had - stays)


def _marked(step: Step) -> Step:
    """Return a step that notes on a set's Istio Gateway, or on the Service of a door, that there are ConfigMaps."""
    obj = step["object"]
    marked = obj["kind"] == "Gateway" or DOOR_LABEL in obj["metadata"].get("labels", {})
    if not marked or step["state"] != "present":
        return step
    metadata = {**obj["metadata"], "labels": {**obj["metadata"]["labels"], ENDPOINTS_LABEL: "published"}}
    return {**step, "object": {**obj, "metadata": metadata}}
