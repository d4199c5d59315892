# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody changed by hand in our objects, read from the API server's own record of who wrote which field.

Server-side apply keeps in C(metadata.managedFields) who owns each field (kubernetes.io "Server-Side Apply"). A field
that we apply, that somebody else owns instead of us and that this run sets back is drift. What others added beside
stays and is none. A field that was taken away has no owner any more, so that this is seen of a front Service's ports
only, where the set's Gateway still has the server.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import describe
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import COLLECTION, GATEWAY_LABEL, manager_set
from ansible_collections.servicemesh.tcp.plugins.module_utils._plan_text import ports_text

# A step of a path: the name of a field, or the keys of one item of a list.
Path = tuple["str | tuple[tuple[str, Any], ...]", ...]
MISSING = object()
# A value that takes more room than this is not shown, and of each object no more fields than this.
SHOWN = 60
MOST_FIELDS = 5
# Keys of list items that people leave to their default.
DEFAULTED = ("protocol",)


class Held(NamedTuple):
    """A field of an applied object that somebody else owns."""

    path: Path
    manager: str
    # Whether it was written by hand or by a controller, and not applied as somebody's own share.
    written: bool


def is_collection_s(manager: str) -> bool:
    """Tell whether a field manager is this collection's, in whatever set."""
    return manager == COLLECTION or manager_set(manager) is not None


def owned(entry: Mapping[str, Any]) -> Iterator[Path]:
    """Return the leaves of one entry of managedFields, as paths."""
    yield from _leaves(entry.get("fieldsV1") or {}, ())


def _leaves(fields: Mapping[str, Any], path: Path) -> Iterator[Path]:
    """Walk a fieldsV1 (structured-merge-diff, fieldpath: f: is a field, k: an item by its keys, v: one by value)."""
    for key, below in fields.items():
        kind, _colon, text = key.partition(":")
        if kind == "f":
            step: Any = text
        elif kind == "k":
            step = tuple(sorted(json.loads(text).items()))
        else:
            # "." is the item itself, whose fields follow; items by value stand in sets, which we apply none of.
            continue
        if below:
            yield from _leaves(below, (*path, step))
        else:
            yield (*path, step)


class Values:
    """Look-ups by path in one object; a list is indexed once, however many of its items are asked for."""

    def __init__(self, obj: Any) -> None:
        self._obj = obj
        self._indexes: dict[tuple[int, tuple[str, ...]], dict[tuple[Any, ...], Any]] = {}

    def at(self, path: Path) -> Any:
        """Return what is at a path, MISSING where nothing is."""
        found = self._obj
        for step in path:
            if isinstance(step, str):
                found = found.get(step, MISSING) if isinstance(found, Mapping) else MISSING
            else:
                found = self._item(found, step)
            if found is MISSING:
                return MISSING
        return found

    def _item(self, items: Any, step: tuple[tuple[str, Any], ...]) -> Any:
        """Return the item of a list with these keys; one that leaves a key out is at its default (protocol: TCP)."""
        if not isinstance(items, list):
            return MISSING
        names = tuple(name for name, _value in step)
        index = self._indexes.get((id(items), names))
        if index is None:
            index = {tuple(item.get(name) for name in names): item for item in items}
            self._indexes[(id(items), names)] = index
        wanted = tuple(value for _name, value in step)
        # All keys, then with the defaults left out; of a Service's port that is the protocol.
        bare = tuple(None if name in DEFAULTED else value for name, value in step)
        return index.get(wanted, index.get(bare, MISSING))


def held_by_others(before: Mapping[str, Any], applied: Mapping[str, Any], manager: str) -> list[Held]:
    """Return the fields that a manager applies with another value than they have, and that only others own."""
    entries = before["metadata"].get("managedFields") or []
    mine = {
        path
        for entry in entries
        if entry.get("manager") == manager and entry.get("operation") == "Apply"
        for path in owned(entry)
    }
    found = []
    there, asked = Values(before), Values(applied)
    for entry in entries:
        if is_collection_s(entry.get("manager", "")):
            continue
        for path in owned(entry):
            wanted = asked.at(path)
            if path not in mine and wanted is not MISSING and wanted != there.at(path):
                found.append(Held(path, entry["manager"], entry.get("operation") == "Update"))
    return found


def may_set_back(before: Mapping[str, Any], applied: Mapping[str, Any], manager: str) -> bool:
    """Tell whether a share may take back what was changed in it: written by hand, in items that the share still owns.

    A port that somebody else added is not ours to take, and neither is a field that somebody else applies.
    """
    held = held_by_others(before, applied, manager)
    entries = before["metadata"].get("managedFields") or []
    mine = [path for entry in entries if entry.get("manager") == manager for path in owned(entry)]
    parts = {path[:length] for path in mine for length in range(len(path))}
    return bool(held) and all(item.written and item.path[:-1] in parts for item in held)


def drift(changes: Iterable[Any]) -> list[str]:
    """Return one line per field that somebody changed by hand and that these changes set back, few for each object.

    Changes are those of C(_apply.plan): C(step), C(before) and C(after), the object as the API server would store it.
    """
    changes = [change for change in changes if change.before]
    lines: list[str] = []
    for change in changes:
        if change.action == "change":
            lines += _fields_set_back(change) + _ports_put_back(change, changes)
    # A Service may be written twice in one run, first to open ports and later to close others.
    return list(dict.fromkeys(lines))


def _fields_set_back(change: Any) -> list[str]:
    """Return the lines of one object's fields."""
    name, before, after = describe(change.step["object"]), Values(change.before), Values(change.after)
    held = held_by_others(change.before, change.step["object"], change.step["manager"])
    changed = [item for item in held if before.at(item.path) != after.at(item.path)]
    lines = [
        f"drift: {name} {_path_text(item.path)}"
        f" {_what_happened(before.at(item.path), after.at(item.path), item.manager)}"
        for item in changed[:MOST_FIELDS]
    ]
    if len(changed) > MOST_FIELDS:
        managers = ", ".join(sorted({item.manager for item in changed[MOST_FIELDS:]}))
        more = len(changed) - MOST_FIELDS
        lines.append(f"drift: {name} {more} more field{'s' * (more > 1)} changed by {managers}; set back")
    return lines


def _ports_put_back(change: Any, changes: Iterable[Any]) -> list[str]:
    """Return the line of the ports that a gateway's Services lack although the set's Gateway has had servers for them.

    No run leaves that behind: a port opens on the Service before its server comes, and closes after the server went.
    """
    if change.step["object"]["kind"] != "Service":
        return []
    beside = [other for other in changes if _gateway_of(other.before) == _gateway_of(change.before)]
    there = {
        port["port"]
        for other in beside
        if other.before["kind"] == "Service"
        for port in other.before["spec"].get("ports") or []
    }
    served = {
        server["port"]["number"]
        for other in beside
        if other.before["kind"] == "Gateway" and other.step["manager"] == change.step["manager"]
        for server in other.before["spec"].get("servers") or []
    }
    wanted = {port["port"] for port in (change.step["object"].get("spec") or {}).get("ports") or []}
    gone = wanted & served - there
    if not gone:
        return []
    was = "was" if len(gone) == 1 else "were"
    return [f"drift: {describe(change.step['object'])} {ports_text(gone)} {was} removed by hand; added again"]


def _gateway_of(obj: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return namespace and name of the gateway that an object belongs to."""
    metadata = obj["metadata"]
    return metadata.get("namespace"), (metadata.get("labels") or {}).get(GATEWAY_LABEL)


def _what_happened(was: Any, now: Any, manager: str) -> str:
    """Say what a field was set to, by whom, and what becomes of it; long values are not shown."""
    shown = [json.dumps(value, sort_keys=True) for value in (was, now) if value is not MISSING]
    if was is MISSING or now is MISSING or any(len(text) > SHOWN for text in shown):
        return f"was changed by {manager}; set back"
    return f"was set to {shown[0]} by {manager}; set back to {shown[1]}"


def _path_text(path: Path) -> str:
    """Write a path as people do: C(spec.ports[8081].targetPort)."""
    text = ""
    for step in path:
        if isinstance(step, str):
            # Names of labels and annotations hold dots of their own.
            text += f"[{step}]" if "." in step or "/" in step else f".{step}"
        else:
            keys = dict(step)
            text += f"[{next((keys[key] for key in ('port', 'containerPort', 'name', 'type') if key in keys), keys)}]"
    return text.lstrip(".")
