# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports on a gateway of a ServiceMeshControlPlane: whose is which entry of its list, and the patches that change it.

The operator replaces the whole list of the Service when a render changes it, so that the control plane's own list is
the only place where a port lasts (mesh-facts of OpenShift Service Mesh 2: helm/patch.go, MergePatch). The list has no
owners inside it, so that server-side apply cannot keep them apart. Every patch tests what was read, so that the API
server takes it only on that; a run that comes too late reads and plans again.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._names import record_hash, set_manager
from ansible_collections.servicemesh.tcp.plugins.module_utils._state_smcp import (
    NOTE_PREFIX,
    SETTINGS_PREFIX,
    written_note,
    written_settings,
)

# What the operator renders where a control plane has no list; a list replaces all of it (maistra istio-operator,
# resources/helm/v2.5/gateways/istio-ingress/values.yaml).
DEFAULT_PORTS: Sequence[Mapping[str, Any]] = (
    {"name": "status-port", "port": 15021, "targetPort": 15021, "protocol": "TCP"},
    {"name": "http2", "port": 80, "targetPort": 8080, "protocol": "TCP"},
    {"name": "https", "port": 443, "targetPort": 8443, "protocol": "TCP"},
)
Operations = list[dict[str, Any]]
MISSING = object()


def at(tree: Any, path: Sequence[str]) -> Any:
    """Return what is at a path, MISSING where nothing is."""
    for key in path:
        if not isinstance(tree, Mapping) or tree.get(key) is None:
            return MISSING
        tree = tree[key]
    return tree


def ports_of(plane: Mapping[str, Any], gateway: str) -> Sequence[Mapping[str, Any]] | None:
    """Return the list of ports of a gateway as it stands in the control plane, V(None) where it has none."""
    found = at(plane["tree"], [*plane["gateways"][gateway]["path"], "service", "ports"])
    return None if found is MISSING else found


def owners(plane: Mapping[str, Any], gateway: str, served: Mapping[str, Mapping[int, str]]) -> dict[str, list[int]]:
    """Return which ports of a gateway are which set's.

    The control plane's annotation says so, or else the set's own Istio Gateway, given as C(served): port and name of
    each server. An entry that does not have the name of a record's port any more is nobody's.
    """
    noted = plane["gateways"][gateway]["sets"]
    named = {
        item["port"]: item["name"]
        for item in ports_of(plane, gateway) or ()
        if record_hash(item.get("name")) is not None
    }
    found = {}
    for name in sorted({*noted, *served}):
        ports = {port for port in noted.get(name, ()) if port in named}
        ports |= {port for port, text in served.get(name, {}).items() if named.get(port) == text}
        if ports:
            found[name] = sorted(ports)
    return found


def as_front(
    service: Mapping[str, Any], plane: Mapping[str, Any], served: Mapping[str, Mapping[int, str]]
) -> dict[str, Any]:
    """Return a control plane's front Service as it is, or soon will be: with the ports and owners of the list.

    C(borrowed) are ports of the Service that the list does not know, and that go with the next render.
    """
    gateway = service["name"]
    listed = ports_of(plane, gateway)
    observed = {(item["port"], item["protocol"]): item for item in service["ports"]}
    ports = []
    for entry in DEFAULT_PORTS if listed is None else listed:
        there = observed.pop((entry["port"], entry.get("protocol", "TCP")), None)
        ports.append(
            {
                "name": entry.get("name", ""),
                "port": entry["port"],
                "target_port": entry.get("targetPort", entry["port"]),
                "node_port": entry.get("nodePort") or (there or {}).get("node_port"),
                "protocol": entry.get("protocol", "TCP"),
                "app_protocol": entry.get("appProtocol", ""),
            }
        )
    sets = {set_manager(name): numbers for name, numbers in owners(plane, gateway, served).items()}
    return {
        **service,
        "ports": [*ports, *observed.values()],
        "managers": {**service["managers"], **sets},
        "borrowed": sorted(port for port, protocol in observed if protocol == "TCP"),
    }


def pointer(path: Iterable[Any]) -> str:
    """Return a path as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in path)


def _test(path: Iterable[Any], value: Any) -> dict[str, Any]:
    """Return the operation that lets a patch through only where a value is still the one that was read."""
    return {"op": "test", "path": pointer(path), "value": value}


def _remove(path: Iterable[Any]) -> dict[str, Any]:
    """Return the operation that takes a value out."""
    return {"op": "remove", "path": pointer(path)}


def put(plane: Mapping[str, Any], path: Sequence[str], value: Any) -> Operations:
    """Return the operations that set a value, nothing where it is so already.

    What is not there yet is made at the very resource version that was read: somebody may have made it since.
    """
    found = at(plane["tree"], path)
    if found == value:
        return []
    if found is not MISSING:
        return [_test(path, found), {"op": "replace", "path": pointer(path), "value": value}]
    depth = next(length for length in range(len(path)) if at(plane["tree"], path[: length + 1]) is MISSING)
    for key in reversed(path[depth + 1 :]):
        value = {key: value}
    made = {"op": "add", "path": pointer(path[: depth + 1]), "value": value}
    return [_test(["metadata", "resourceVersion"], plane["version"]), made]


def entry_of(listener: Mapping[str, Any]) -> dict[str, Any]:
    """Return a listener's entry of the list; the chart takes every key as it is."""
    entry = {
        "name": listener["port_name"],
        "port": listener["port"],
        "targetPort": listener["target_port"],
        "protocol": "TCP",
    }
    return {**entry, "nodePort": listener["node_port"]} if listener["node_port"] else entry


def opening(
    plane: Mapping[str, Any], gateway: str, set_name: str, entries: Sequence[Mapping[str, Any]], own: Iterable[int]
) -> Operations:
    """Return the operations that make entries of a set part of a gateway's list, all others untouched.

    C(own) are the ports that the set has there already; those that leave stay noted until C(closing).
    """
    section = plane["gateways"][gateway]
    path = [*section["path"], "service", "ports"]
    listed = ports_of(plane, gateway)
    note = _note(plane, gateway, set_name, {*own, *(item["port"] for item in entries)}, began=listed is None)
    if listed is None:
        return [*put(plane, path, [*map(dict, DEFAULT_PORTS), *entries]), *note] if entries else []
    places = {(item["port"], item.get("protocol", "TCP")): index for index, item in enumerate(listed)}
    changes: Operations = []
    for entry in entries:
        index = places.get((entry["port"], "TCP"))
        if index is None:
            changes.append({"op": "add", "path": pointer([*path, "-"]), "value": entry})
        elif {**listed[index], **entry} != listed[index]:
            # Keys that somebody gave to the entry beside ours stay.
            value = {**listed[index], **entry}
            changes.append({"op": "replace", "path": pointer([*path, index]), "value": value})
    return [_test(path, listed), *changes, *note] if changes else note


def closing(
    plane: Mapping[str, Any], gateway: str, set_name: str, leaving: Iterable[int], staying: Iterable[int], opened: bool
) -> Operations:
    """Return the operations that take a set's ports out of a gateway's list.

    With C(opened) an earlier patch of the same run added to the list, or changed entries of it: then only entries are
    tested, which that one left in their places.
    """
    section = plane["gateways"][gateway]
    path = [*section["path"], "service", "ports"]
    listed = ports_of(plane, gateway) or ()
    gone = {*leaving}
    indexes = [
        index for index, item in enumerate(listed) if item["port"] in gone and item.get("protocol", "TCP") == "TCP"
    ]
    rest = [item for index, item in enumerate(listed) if index not in indexes]
    note = _note(plane, gateway, set_name, staying, began=False, tested=not opened)
    if indexes and section["began"] and not opened and rest == list(DEFAULT_PORTS):
        # The list was ours, and says what the operator does without one.
        return [_test(path, list(listed)), _remove(path), *note]
    changes: Operations = []
    for index in reversed(indexes):
        changes += [
            _test([*path, index, "name"], listed[index].get("name")),
            _remove([*path, index]),
        ]
    return [*changes, *note]


def _note(
    plane: Mapping[str, Any], gateway: str, set_name: str, ports: Iterable[int], began: bool, tested: bool = True
) -> Operations:
    """Return the operations that note a set's ports beside those of others."""
    section = plane["gateways"][gateway]
    text = written_note({**section["sets"], set_name: sorted(ports)}, section["began"] or began)
    path = ["metadata", "annotations", NOTE_PREFIX + gateway]
    if not tested:
        there = at(plane["tree"], path[:-1]) is not MISSING
        # Without annotations the earlier patch made them, and what it noted too much the next run takes back.
        return [{"op": "add", "path": pointer(path), "value": text}] if there and text is not None else []
    if text is not None:
        return put(plane, path, text)
    found = at(plane["tree"], path)
    return [] if found is MISSING else [_test(path, found), _remove(path)]


def settings(plane: Mapping[str, Any], gateway: str, service: Mapping[str, Any]) -> Operations:
    """Return the operations for the type and the annotations of a gateway's Service that its record names.

    What it does not name any more is given back: what was there before comes back, unless somebody changed it since.
    """
    section = plane["gateways"][gateway]
    base = [*section["path"], "service"]
    noted = {tuple(item["path"]): item for item in section["settings"]}
    wanted = {("metadata", "annotations", key): value for key, value in sorted(service["annotations"].items())}
    if service["type"]:
        wanted = {("type",): service["type"], **wanted}
    # Each operation starts from where the one before leaves the object.
    draft = {**plane, "tree": copy.deepcopy(plane["tree"])}
    operations: Operations = []
    kept = []
    for path, value in wanted.items():
        found, note = at(draft["tree"], [*base, *path]), noted.get(path)
        if note and found == note["ours"]:
            kept.append({**note, "ours": value})
        elif found != value:
            kept.append({"path": [*path], "ours": value, "before": None if found is MISSING else found})
        operations += _change(draft, [*base, *path], value)
    for path, note in noted.items():
        if path not in wanted and at(draft["tree"], [*base, *path]) == note["ours"]:
            operations += _change(draft, [*base, *path], note["before"])
    # What is left empty of what was made for a setting goes, as far as all of it was read.
    made = [[*base, "metadata", "annotations"], *([] if section["more"] else [[*base, "metadata"], base])]
    for path in made if noted else ():
        operations += _change(draft, path, None) if at(draft["tree"], path) == {} else []
    text = written_settings(kept)
    return operations + _change(draft, ["metadata", "annotations", SETTINGS_PREFIX + gateway], text)


def _change(draft: Mapping[str, Any], path: Sequence[str], value: Any) -> Operations:
    """Return the operations that set a value, or with V(None) take it out, and do so in the draft."""
    found = at(draft["tree"], path)
    if value is None and found is MISSING:
        return []
    operations = put(draft, path, value) if value is not None else [_test(path, found), _remove(path)]
    tree = draft["tree"]
    for key in path[:-1]:
        if tree.get(key) is None:
            tree[key] = {}
        tree = tree[key]
    if value is None:
        del tree[path[-1]]
    else:
        tree[path[-1]] = value
    return operations
