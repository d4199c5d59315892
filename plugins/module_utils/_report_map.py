# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The map of an audit: from clients over load balancer, gateway, listener and Service to pods, as boxes and lines.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

COLUMNS = ("clients", "load balancer", "gateway", "listener", "Service", "pods")
# Pixels of a box, and between boxes.
BOX = (176, 40)
GAP = (38, 12)
MARGIN = 8
TOP = 28
# Before which column a chain breaks.
BROKEN_BEFORE = {"address": 1, "gateway": 2, "listener": 3, "route": 4, "backend": 5}
# Letters that fit into a box of this width, in the two sizes of text.
FITS = (22, 25)


class _Map:
    """Boxes and lines while they are gathered."""

    def __init__(self) -> None:
        self.boxes: dict[tuple[Any, ...], dict[str, Any]] = {}
        self.lines: dict[tuple[int, int], dict[str, Any]] = {}

    def box(self, column: int, key: tuple[Any, ...], text: str, detail: str, line: int, row: str = "") -> int:
        """Add a line of the map to a box, and return the box's number."""
        found = self.boxes.setdefault(
            (column, *key),
            {
                "id": len(self.boxes),
                "column": column,
                "text": text,
                "detail": detail,
                "at": [],
                "row": row,
                "bad": False,
            },
        )
        found["at"].append(line)
        return found["id"]

    def connect(self, one: int, other: int, broken: bool) -> None:
        """Add a line between two boxes; it is broken only if every chain over it is."""
        found = self.lines.setdefault((one, other), {"from": one, "to": other, "broken": True})
        found["broken"] = found["broken"] and broken


def hop_map(rows: Sequence[Mapping[str, Any]], most: int) -> dict[str, Any]:
    """Return C({nodes, edges, width, height, shown, all}) for the first so many rows.

    A node has C(id), C(column), C(x), C(y), C(text), C(detail), C(row) (the id of the row that it leads to, or '') and
    C(bad); an edge C(from), C(to), C(broken) and its curve as C(path).
    """
    # What shares a box side by side, so that lines do not cross and boxes do not meet.
    chosen = sorted(
        rows[:most],
        key=lambda row: (row["object"], row["gateway"], row["open_to"]["text"], row["port"] or 0, row["id"]),
    )
    drawn = _Map()
    line = 0
    for row in chosen:
        line += _draw(drawn, row, line)
    nodes = list(drawn.boxes.values())
    for node in nodes:
        middle = (min(node["at"]) + max(node["at"])) / 2
        node["x"] = MARGIN + node["column"] * (BOX[0] + GAP[0])
        node["y"] = round(TOP + middle * (BOX[1] + GAP[1]), 1)
        node["short"] = [_cut(node["text"], FITS[0]), _cut(node["detail"], FITS[1])]
        del node["at"]
    edges = list(drawn.lines.values())
    for edge in edges:
        edge["path"], edge["middle"] = _curve(nodes[edge["from"]], nodes[edge["to"]])
    return {
        "columns": [{"text": text, "x": MARGIN + index * (BOX[0] + GAP[0])} for index, text in enumerate(COLUMNS)],
        "nodes": nodes,
        "edges": edges,
        "width": 2 * MARGIN + len(COLUMNS) * BOX[0] + (len(COLUMNS) - 1) * GAP[0],
        "height": TOP + max(line, 1) * (BOX[1] + GAP[1]),
        "shown": len(chosen),
        "all": len(rows),
    }


def _draw(drawn: _Map, row: Mapping[str, Any], line: int) -> int:
    """Draw one row; return how many lines of the map it takes, one for each backend."""
    breaks = BROKEN_BEFORE.get(row["broken_at"], len(COLUMNS))
    size = max(len(row["backends"]), 1)
    way: list[int] = []
    for column, key, text, detail in _before_backends(row):
        for step in range(size):
            number = drawn.box(column, key, text, detail, line + step, row["id"] if column == 3 else "")
        if way:
            drawn.connect(way[-1], number, column == breaks)
        way.append(number)
        if column == breaks:
            drawn.boxes[(column, *key)]["bad"] = True
            return size
    if not row["backends"]:
        if breaks == 4:
            missing = drawn.box(4, ("none", row["id"]), "no route", row["why"], line)
            drawn.connect(way[-1], missing, True)
            drawn.boxes[(4, "none", row["id"])]["bad"] = True
        return size
    for step, backend in enumerate(row["backends"]):
        missing = backend["state"] == "missing"
        place = f"{backend['namespace']}/{backend['service']}" if backend["namespace"] else backend["service"]
        detail = "does not exist" if missing else f"port {backend['port']}"
        service = drawn.box(4, (row["id"], step), place, detail, line + step)
        drawn.connect(way[-1], service, missing or breaks == 4)
        if missing:
            drawn.boxes[(4, row["id"], step)]["bad"] = True
            continue
        ready = {"ready": f"{backend['ready']} ready", "dead": "none ready", "outside": "outside of the cluster"}
        pods = drawn.box(5, (row["id"], step), ready.get(backend["state"], "not seen"), "endpoints", line + step)
        drawn.connect(service, pods, backend["state"] == "dead")
        drawn.boxes[(5, row["id"], step)]["bad"] = backend["state"] == "dead"
    return size


def _before_backends(row: Mapping[str, Any]) -> Iterable[tuple[int, tuple[Any, ...], str, str]]:
    """Return the boxes that a row has before its backends: column, key, text, detail."""
    yield 0, (row["object"], row["open_to"]["text"]), row["open_to"]["text"], "may connect"
    addresses = ", ".join(row["addresses"]) or "no address"
    yield 1, (row["object"],), row["object"].rpartition(" ")[2], f"{row['door']} {addresses}"
    if row["gateway"]:
        yield 2, (row["object"], row["gateway"]), row["gateway"], "gateway pods"
    port = "port not declared" if row["port"] is None else f"port {row['port']}"
    yield 3, (row["id"],), port, ", ".join(row["hosts"]) or row["listener"] or row["protocol"]


def _curve(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, tuple[float, float]]:
    """Return a line from one box to another as an SVG path, and its middle."""
    x1, y1 = one["x"] + BOX[0], one["y"] + BOX[1] / 2
    x2, y2 = other["x"], other["y"] + BOX[1] / 2
    bend = (x1 + x2) / 2
    return f"M{x1} {y1}C{bend} {y1} {bend} {y2} {x2} {y2}", (bend, (y1 + y2) / 2)


def _cut(text: str, letters: int) -> str:
    """Shorten a text in its middle: names often differ at their end."""
    if len(text) <= letters:
        return text
    half = (letters - 1) // 2
    return f"{text[: letters - 1 - half]}…{text[-half:]}"
