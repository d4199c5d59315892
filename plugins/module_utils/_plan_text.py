# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan as people read it at three in the morning: a line per object, per kind of impact, per drifted field.

How long it is does not depend on how many ports there are.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._impact import CUTTING, IMPACTS
from ansible_collections.servicemesh.tcp.plugins.module_utils._ranges import as_written, spans

# Ranges, and ports with their counts, that one line shows.
MOST_RANGES = 10
MOST_COUNTS = 5

VERBS = {
    "opens": ("opens", "open"),
    "drains": ("drains", "drain"),
    "closes": ("closes", "close"),
    "restarts": ("restarts", "restart"),
}

Impact = Mapping[str, Any]


def port_ranges(ports: Iterable[int]) -> str:
    """Write ports for a sentence, neighbours as a range: C(22, 20000-20099)."""
    numbers = set(ports)
    shown = [str(part) for part in as_written(numbers)[:MOST_RANGES]]
    hidden = sum(last - first + 1 for first, last in spans(numbers)[MOST_RANGES:])
    return ", ".join([*shown, *([f"and {hidden} more"] if hidden else [])])


def ports_text(ports: Iterable[int]) -> str:
    """Write ports with their noun: C(port 22), C(ports 22, 20000-20099)."""
    ports = set(ports)
    return f"port{'s' if len(ports) > 1 else ''} {port_ranges(ports)}"


def plan_lines(changes: Iterable[str], impacts: Iterable[Impact], drift: Iterable[str]) -> list[str]:
    """Return the plan: what becomes of each object, then of the ports, the worst first, then what was drift."""
    return [*changes, *impact_lines(impacts), *drift]


def impact_lines(impacts: Iterable[Impact]) -> list[str]:
    """Return one line per gateway and kind of impact, the worst first; ports that nothing happens to have none."""
    lines = []
    for group in groups(item for item in impacts if item["impact"] != "none"):
        first = group[0]
        what = cut_text(group) if first["impact"] in CUTTING else _what(group)
        noun = "door" if "door" in first else "gateway"
        lines.append(f"{noun} {first['namespace']}/{first['gateway']}: {what}")
    return lines


def groups(impacts: Iterable[Impact]) -> list[list[Impact]]:
    """Put together what is told in one sentence: the same happens to them, for the same reason, at the same time."""

    def key(item: Impact) -> tuple[Any, ...]:
        severity = -IMPACTS.index(item["impact"])
        return item["namespace"], item["gateway"], severity, item["why"], item["unseen"], str(item["ends"])

    return [list(items) for _key, items in groupby(sorted(impacts, key=key), key)]


def _what(group: Sequence[Impact]) -> str:
    """Say what happens to which ports, and why."""
    impact, why = group[0]["impact"], group[0]["why"]
    text = f"{ports_text(item['port'] for item in group)} {VERBS[impact][len(group) > 1]}"
    return text if impact == "opens" else f"{text} ({why})"


def cut_text(group: Sequence[Impact]) -> str:
    """Say what cuts which ports, how many sessions are open there, and when they end."""
    return f"{_what(group)}; {_sessions_text(group)}"


def _sessions_text(group: Sequence[Impact]) -> str:
    """Say how many sessions are open on ports that are cut alike, and when they end."""
    count = sum(item["sessions"] or 0 for item in group)
    unseen = group[0]["unseen"]
    if unseen and not count:
        return f"open sessions could not be seen: {unseen}"
    if not count:
        return "no session is open"
    text = f"{count} open session{'s' if count > 1 else ''}"
    if len(group) > 1:
        busy = sorted((item for item in group if item["sessions"]), key=lambda item: (-item["sessions"], item["port"]))
        shown = [f"{item['port']}: {item['sessions']}" for item in busy[:MOST_COUNTS]]
        text += f" ({', '.join([*shown, *(['...'] if len(busy) > MOST_COUNTS else [])])})"
    text += f", {'they end' if count > 1 else 'it ends'} {_ending_text(group[0])}"
    return f"{text}; not all could be seen: {unseen}" if unseen else text


def _ending_text(impact: Impact) -> str:
    """Say when the sessions of a port end."""
    moment = "the pod is told to stop" if impact["impact"] == "restarts" else "the change"
    if impact["ends"] is None:
        return f"some time after {moment} (the gateway's drain time could not be read)"
    return f"{impact['ends']:g} s after {moment}"
