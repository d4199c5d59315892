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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import describe
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import COLLECTION, GATEWAY_LABEL, manager_set

# A step of a path: the name of a field, or the keys of one item of a list.
Path = tuple["str | tuple[tuple[str, Any], ...]", ...]
MISSING = object()
# A value that takes more room than this is not shown.
SHOWN = 60


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


def value_at(obj: Any, path: Path) -> Any:
    """Return what is at a path of an object, MISSING where nothing is."""
    for step in path:
        if isinstance(step, str):
            obj = obj.get(step, MISSING) if isinstance(obj, Mapping) else MISSING
        else:
            items = obj if isinstance(obj, Sequence) and not isinstance(obj, str) else []
            # A key that an applied item leaves out is at its default (protocol: TCP).
            obj = next((item for item in items if all(item.get(key, value) == value for key, value in step)), MISSING)
        if obj is MISSING:
            return MISSING
    return obj


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
    for entry in entries:
        if is_collection_s(entry.get("manager", "")):
            continue
        for path in owned(entry):
            wanted = value_at(applied, path)
            if path not in mine and wanted is not MISSING and wanted != value_at(before, path):
                found.append(Held(path, entry["manager"], entry.get("operation") == "Update"))
    return found


def may_set_back(before: Mapping[str, Any], applied: Mapping[str, Any], manager: str) -> bool:
    """Tell whether a share may take back what was changed in it: written by hand, in items that the share still owns.

    A port that somebody else added is not ours to take, and neither is a field that somebody else applies.
    """
    held = held_by_others(before, applied, manager)
    entries = before["metadata"].get("managedFields") or []
    mine = [path for entry in entries if entry.get("manager") == manager for path in owned(entry)]
    return bool(held) and all(
        item.written and any(path[: len(item.path) - 1] == item.path[:-1] for path in mine) for item in held
    )


def drift(changes: Iterable[Any]) -> list[str]:
    """Return one line per field that somebody changed by hand and that these changes set back.

    Changes are those of C(_apply.plan): C(step), C(before) and C(after), the object as the API server would store it.
    """
    changes = list(changes)
    lines = []
    for change in changes:
        if change.action != "change":
            continue
        name, applied = describe(change.step["object"]), change.step["object"]
        for held in held_by_others(change.before, applied, change.step["manager"]):
            was, now = value_at(change.before, held.path), value_at(change.after, held.path)
            if was != now:
                lines.append(f"drift: {name} {_path_text(held.path)} {_what_happened(was, now, held.manager)}")
        lines += [
            f"drift: {name} port {port} was removed by hand; added again" for port in _removed_ports(change, changes)
        ]
    # A Service may be written twice in one run, first to open ports and later to close others.
    return list(dict.fromkeys(lines))


def _removed_ports(change: Any, changes: Iterable[Any]) -> list[int]:
    """Return the ports that a front Service lacks although the same set's Gateway has had a server for them.

    No run leaves that behind: a port opens on the Service before its server comes, and closes after the server went.
    """
    if change.step["object"]["kind"] != "Service":
        return []
    there = {port["port"] for port in change.before["spec"].get("ports") or []}
    served = {
        server["port"]["number"]
        for other in changes
        if other.before
        and other.before["kind"] == "Gateway"
        and other.step["manager"] == change.step["manager"]
        and (other.before["metadata"].get("labels") or {}).get(GATEWAY_LABEL) == change.before["metadata"]["name"]
        and other.before["metadata"]["namespace"] == change.before["metadata"]["namespace"]
        for server in other.before["spec"].get("servers") or []
    }
    wanted = [port["port"] for port in (change.step["object"].get("spec") or {}).get("ports") or []]
    return [port for port in wanted if port in served - there]


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
