# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as one self-contained HTML page: nothing is fetched, and nothing that a name says is executed.

Its templates, style and script are files of the role audit. Jinja escapes every value; the page's own Content Security
Policy lets in this very style and script by their hashes, and nothing else.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_owner import owner_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._report_map import BOX, hop_map
from ansible_collections.servicemesh.tcp.plugins.module_utils._report_text import (
    backends_text,
    clean,
    place_text,
    worst_first,
)

# ansible-core needs it too, so it is there wherever the controller runs the module.
with contextlib.suppress(ImportError):
    import jinja2

# Chains that the map shows; the table has all of them.
MAP_ROWS = 40
VERDICTS = {"unread": "not read", "bad": "broken", "fair": "needs a look", "good": "good"}
WORDS = {"complete": "complete", "broken": "broken", "unseen": "not fully seen"}


def _source_hash(text: str) -> str:
    """Return what a Content Security Policy knows an inline style or script by (W3C CSP3, hash-source)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


class Page:
    """The templates of the report, read once."""

    def __init__(self, folder: str) -> None:
        """Read the files of the role audit."""
        self._css = (Path(folder) / "report.css").read_text(encoding="utf-8")
        self._js = (Path(folder) / "report.js").read_text(encoding="utf-8")
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(folder),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def render(self, template: str, **values: Any) -> str:
        """Fill in a template."""
        # Not a sandbox: the templates are ours, only the values are other people's, and those are escaped.
        return self._environment.get_template(template).render(
            css=jinja2.utils.markupsafe.Markup(self._css),
            js=jinja2.utils.markupsafe.Markup(self._js),
            policy=f"default-src 'none'; style-src {_source_hash(self._css)}; script-src {_source_hash(self._js)};"
            " base-uri 'none'; form-action 'none'",
            **values,
        )


def to_html(document: Mapping[str, Any], folder: str, fleet: str = "") -> str:
    """Return the report of one cluster; C(fleet) is the name of the fleet's page beside it, '' for none."""
    ordered = worst_first(document["rows"])
    anchors = {row["id"]: f"way-{number}" for number, row in enumerate(ordered, 1)}
    rows = [
        {
            "anchor": anchors[row["id"]],
            "state": row["state"],
            "state_text": WORDS[row["state"]],
            "why": f"at the {row['broken_at']}: {row['why']}" if row["broken_at"] else row["why"],
            "door": row["door"],
            "place": place_text(row),
            "detail": row["object"] if row["gateway"] else "",
            "address": ", ".join(row["addresses"]),
            "port": "?" if row["port"] is None else row["port"],
            "hosts": ", ".join(row["hosts"]),
            "sort_port": row["port"] or 0,
            "backend": backends_text(row),
            "owner": owner_text(row["owner"]),
            "by": row["owner"]["by"],
            "open_to": row["open_to"]["text"],
            "scope": row["open_to"]["scope"],
            "policies": ", ".join(row["open_to"]["policies"]),
            "since": row["since"],
            "findings": row["findings"],
        }
        for row in ordered
    ]
    return Page(folder).render(
        "report.html.j2",
        document=document,
        title=f"TCP into {clean(document['cluster']['name'])}",
        verdict=verdict(document["summary"]),
        rows=rows,
        findings=[
            {**item, "links": [(key, anchors[key]) for key in item["rows"] if key in anchors]}
            for item in document["findings"]
        ],
        map=hop_map([row for row in ordered if row["door"] != "inside"], MAP_ROWS),
        box=BOX,
        anchors=anchors,
        fleet=fleet,
    )


def verdict(summary: Mapping[str, Any]) -> tuple[str, str]:
    """Return how a cluster stands, as a word for the style and as a sentence."""
    errors, warnings = summary["findings"]["error"], summary["findings"]["warning"]
    if errors or summary["states"].get("broken"):
        return "bad", "Something that clients use is broken."
    if warnings:
        return "fair", "Nothing is known to be broken, but some things need a look."
    return "good", "Every way in that could be followed is complete."


def to_fleet_html(clusters: Iterable[Mapping[str, Any]], folder: str, taken: str) -> str:
    """Return the page of a fleet, a row for each cluster: C({name, file, summary, taken}), no summary if unread."""
    rows = []
    for item in clusters:
        summary = item.get("summary")
        word, sentence = verdict(summary) if summary else ("unread", item.get("why") or "It was not read.")
        rows.append({**item, "word": word, "label": VERDICTS[word], "sentence": sentence, "summary": summary})
    order = {"unread": 0, "bad": 1, "fair": 2, "good": 3}
    rows.sort(key=lambda row: (order[row["word"]], row["name"]))
    return Page(folder).render("fleet.html.j2", title="TCP into the fleet", rows=rows, taken=taken)
