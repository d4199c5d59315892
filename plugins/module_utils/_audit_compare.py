# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two audits held against each other: which ways in came, went, and changed.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._audit import VERSION
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_owner import owner_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_rows import backend_text

# What of a row counts as a change, as people read it; numbers of ready endpoints come and go.
COMPARED: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "addresses": lambda row: ", ".join(row["addresses"]) or "none",
    "target port": lambda row: str(row["target_port"]),
    "listener": lambda row: row["listener"] or "none",
    "backends": lambda row: ", ".join(map(backend_text, row["backends"])) or "none",
    "owner": lambda row: owner_text(row["owner"]),
    "open to": lambda row: row["open_to"]["text"],
    "state": lambda row: row["state"],
}


def readable(document: Any) -> bool:
    """Tell whether something is an audit that this version can compare with."""
    return (
        isinstance(document, Mapping) and document.get("version") == VERSION and isinstance(document.get("rows"), list)
    )


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return C({since, came, went, changed, findings}).

    C(came) and C(went) are ids of rows, C(changed) a list of C({id, what, before, after}), C(findings) the messages
    that are new and those that are gone.
    """
    old = {row["id"]: row for row in before["rows"]}
    new = {row["id"]: row for row in after["rows"]}
    said, says = ({item["message"] for item in document["findings"]} for document in (before, after))
    changed = [
        {"id": key, "what": what, "before": text(old[key]), "after": text(row)}
        for key, row in new.items()
        if key in old
        for what, text in COMPARED.items()
        if text(old[key]) != text(row)
    ]
    return {
        "since": before["taken"],
        "came": [key for key in new if key not in old],
        "went": [key for key in old if key not in new],
        "changed": changed,
        "findings": {"new": sorted(says - said), "gone": sorted(said - says)},
    }
