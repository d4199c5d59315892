# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An audit as text: the table on the screen, CSV, and Markdown with a map for wikis.

Names come from other people's objects, so each form has its own way of making them harmless.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_owner import owner_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_rows import backend_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._report_map import COLUMNS, hop_map

Row = Mapping[str, Any]
STATE_ORDER = {"broken": 0, "unseen": 1, "complete": 2}
# What spreadsheets take for the beginning of a formula (OWASP, "CSV Injection").
FORMULA = ("=", "+", "-", "@")
CSV_COLUMNS = (
    "id",
    "door",
    "object",
    "addresses",
    "port",
    "service_port",
    "node_port",
    "protocol",
    "hosts",
    "gateway",
    "listener",
    "target_port",
    "route",
    "backends",
    "owner",
    "since",
    "open_to",
    "state",
    "why",
    "findings",
)
MARKDOWN_SPECIAL = re.compile(r"[^A-Za-z0-9 ,.;:/-]")
MERMAID_SPECIAL = re.compile(r"[^A-Za-z0-9 ,./:-]")
# GitHub makes links of bare addresses.
LINKED = re.compile(r"(?i)://|www\.")


def clean(value: Any) -> str:
    """Return a value on one line, without what steers a terminal."""
    text = str(value)
    if not text.isprintable():
        text = "".join(char if char.isprintable() else " " for char in text)
    return text.strip()


def worst_first(rows: Iterable[Row]) -> list[Row]:
    """Sort ways in: broken ones first, then those with findings, those from outside before those from inside."""
    return sorted(rows, key=lambda row: (STATE_ORDER[row["state"]], row["door"] == "inside", not row["findings"]))


def backends_text(row: Row) -> str:
    """Write what is behind a row, with the number of ready endpoints where it was seen."""
    texts = []
    for item in row["backends"]:
        ready = {"ready": f" ({item['ready']} ready)", "dead": " (none ready)", "missing": " (missing)"}
        texts.append(backend_text(item) + ready.get(item["state"], ""))
    return ", ".join(texts)


def place_text(row: Row) -> str:
    """Write the gateway of a row, or the object that opens the port where there is none."""
    return row["gateway"] or row["object"]


def state_text(row: Row) -> str:
    """Write the state of a row, with the hop where it is broken."""
    if row["state"] == "broken":
        return f"broken at the {row['broken_at']}: {row['why']}"
    return f"{row['state']}: {row['why']}" if row["why"] else row["state"]


def port_text(row: Row) -> str:
    """Write a row's port, with the names that it is for."""
    port = "?" if row["port"] is None else str(row["port"])
    return f"{port} {','.join(row['hosts'])}" if row["hosts"] else port


def table_lines(rows: Sequence[Row], most: int = 50) -> list[str]:
    """Return the table on the screen: the worst first, no more than so many rows."""
    ordered = worst_first(rows)
    lines = [("DOOR", "GATEWAY", "ADDRESS", "PORT", "BACKEND", "OWNER", "OPEN TO", "STATE")]
    for row in ordered[:most]:
        shown = (
            row["door"],
            place_text(row),
            ", ".join(row["addresses"]) or "-",
            port_text(row),
            backends_text(row) or "-",
            owner_text(row["owner"]),
            row["open_to"]["text"],
            state_text(row),
        )
        lines.append(tuple(clean(cell) for cell in shown))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]) - 1)]
    text = ["  ".join([*(line[i].ljust(width) for i, width in enumerate(widths)), line[-1]]) for line in lines]
    if len(ordered) > most:
        text.append(f"... and {len(ordered) - most} more; the report in tcp_report_dir has all of them")
    return text


def summary_lines(document: Mapping[str, Any]) -> list[str]:
    """Return what an audit says in a few lines."""
    found = document["summary"]
    severities = found["findings"]
    words = [f"{number} {name}{'s' if number != 1 else ''}" for name, number in severities.items() if number]
    lines = [
        f"{_count(found['ways_in'], 'way')} into cluster {clean(document['cluster']['name'])}:"
        f" {found['states'].get('broken', 0)} broken, {found['open_to'].get('world', 0)} open to the whole internet;"
        f" {', '.join(words) or 'no findings'}."
    ]
    changes = document["changes"]
    if changes:
        lines.append(
            f"Since {clean(changes['since'])}: {len(changes['came'])} came, {len(changes['went'])} went,"
            f" {len(changes['changed'])} changed."
        )
        lines += [f"  came: {clean(key)}" for key in changes["came"][:20]]
        lines += [f"  went: {clean(key)}" for key in changes["went"][:20]]
        lines += [
            clean(f"  changed: {item['id']}: {item['what']} was {item['before']}, is {item['after']}")
            for item in changes["changed"][:20]
        ]
    return lines


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def cell(value: Any) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    text = clean(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def to_csv(rows: Iterable[Row]) -> str:
    """Return all rows as CSV (RFC 4180), lists with spaces between."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(CSV_COLUMNS)
    for row in rows:
        values = {
            **row,
            "addresses": " ".join(row["addresses"]),
            "hosts": " ".join(row["hosts"]),
            "backends": backends_text(row),
            "owner": owner_text(row["owner"]),
            "open_to": row["open_to"]["text"],
            "findings": " ".join(row["findings"]),
        }
        writer.writerow([cell("" if values[key] is None else values[key]) for key in CSV_COLUMNS])
    return buffer.getvalue()


def markdown(value: Any) -> str:
    """Return text that Markdown shows as it is: everything that could mean something becomes an entity."""
    text = MARKDOWN_SPECIAL.sub(lambda match: f"&#{ord(match[0])};", clean(value))
    return LINKED.sub(lambda match: match[0].replace(":", "&#58;").replace(".", "&#46;"), text)


def mermaid(value: Any) -> str:
    """Return text for a label of Mermaid, in its own spelling of entities."""
    return MERMAID_SPECIAL.sub(lambda match: f"#{ord(match[0])};", clean(value))


def to_mermaid(rows: Sequence[Row], most: int = 30) -> str:
    """Return the map as a Mermaid flow chart; a broken hop is a dashed line with a cross, and red."""
    drawn = hop_map(worst_first([row for row in rows if row["door"] != "inside"]), most)
    lines = ["flowchart LR"]
    lines += [f'  n{node["id"]}["{mermaid(node["text"])}<br/>{mermaid(node["detail"])}"]' for node in drawn["nodes"]]
    red = []
    for index, edge in enumerate(drawn["edges"]):
        arrow = "-. broken .-x" if edge["broken"] else "-->"
        lines.append(f"  n{edge['from']} {arrow} n{edge['to']}")
        if edge["broken"]:
            red.append(str(index))
    if red:
        lines.append(f"  linkStyle {','.join(red)} stroke:#c62828,color:#c62828")
    return "\n".join(lines)


def to_markdown(document: Mapping[str, Any]) -> str:
    """Return the audit as a page for a wiki."""
    found, rows = document["summary"], document["rows"]
    lines = [
        f"# TCP into {markdown(document['cluster']['name'])}",
        "",
        *[markdown(line) for line in summary_lines(document)[:2]],
        f"Taken {markdown(document['taken'])}, Kubernetes {markdown(document['cluster']['kubernetes'])}.",
        "",
        "## Map",
        "",
        f"{' → '.join(COLUMNS)}; broken hops are dashed and red.",
        "",
        "```mermaid",
        to_mermaid(rows),
        "```",
        "",
        "## Findings",
        "",
    ]
    lines += [
        f"- **{item['severity']}** {markdown(item['code'])} {markdown(item['message'])} {markdown(item['remedy'])}"
        for item in document["findings"]
    ] or ["None."]
    lines += ["", "## Ways in", "", "| state | door | gateway | address | port | backend | owner | open to | since |"]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for row in worst_first(rows):
        cells = (
            state_text(row),
            row["door"],
            place_text(row),
            ", ".join(row["addresses"]),
            port_text(row),
            backends_text(row),
            owner_text(row["owner"]),
            row["open_to"]["text"],
            row["since"],
        )
        lines.append("| " + " | ".join(markdown(item) for item in cells) + " |")
    lines += ["", f"{_count(found['ways_in'], 'way')} in, {found['inside']} listeners inside only."]
    return "\n".join(lines) + "\n"
