# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of a benchmark, for the terminal and for docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

Table = Sequence[Sequence[str]]

HEADS: Mapping[str, tuple[str, ...]] = {
    "planning": ("records", "foreign Gateways", "seconds", "per record, against the first row"),
    "publish": ("ports", "what", "way", "seconds", "times ours"),
    "audit": ("Services", "Gateways", "ports", "reading", "judging", "report", "whole playbook", "requests"),
    "doors": ("door", "open and be answered", "the slowest of 100", "ask and be answered", "echoed in one session"),
    "capacity": ("ports", "gateway pod", "istiod", "from the last write to the last port's answer"),
}


def markdown(head: Sequence[str], rows: Table) -> str:
    """Return a table with columns that line up."""
    lines = [head, ["-" * len(cell) for cell in head], *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    padded = [[cell.ljust(width, "-" if index == 1 else " ") for cell, width in zip(line, widths, strict=True)]
              for index, line in enumerate(lines)]  # fmt: skip
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def render(tables: Mapping[str, Table]) -> str:
    """Return the tables as text."""
    return "\n\n".join(markdown(HEADS[part], rows) for part, rows in tables.items())


def pace() -> float:
    """Return how many seconds Python takes here for ten million small steps: machines differ, and so do their days."""

    def once() -> float:
        started = time.perf_counter()
        sum(number & 1 for number in range(2_000_000))
        return (time.perf_counter() - started) * 5

    return min(once() for _attempt in range(5))


def write(path: Path, tables: Mapping[str, Table], date: str) -> None:
    """Put each table in the place that its marks keep for it; the words around them are people's."""
    text = path.read_text()
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {pace():.1f} s for ten million steps of Python"
    for part, rows in tables.items():
        made = f"Made by `make bench PARTS={part}` on {date}, {machine}."
        block = f"<!-- {part} -->\n{made}\n\n{markdown(HEADS[part], rows)}\n<!-- end {part} -->"
        text, places = re.subn(rf"<!-- {part} -->.*?<!-- end {part} -->", lambda _m, b=block: b, text, flags=re.DOTALL)
        if places != 1:
            raise SystemExit(f"{path.name} has no place for {part}")
    path.write_text(text)
