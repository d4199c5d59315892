# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit: everything that lets TCP into a cluster, what is wrong with it, and what came and went.

A pure function of what was read and of the time, see _audit_read.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_declared import differences
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_doors import all_rows
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_findings import all_findings
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_mesh import Mesh
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_rows import counts
from ansible_collections.servicemesh.tcp.plugins.module_utils._garbage import uncollected

# Raised when a key of the document changes its meaning; docs/schemas/audit.json describes it.
VERSION = 1
SEVERITIES = ("error", "warning", "note")


@uncollected()
def audit(
    read: Mapping[str, Any],
    now: datetime,
    name: str = "",
    expiry_days: int = 30,
    declared: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the audit's document.

    C(now) is when it was read, C(name) what people call the cluster, C(expiry_days) how early the end of a certificate
    is told, C(declared) the C(ports), C(gateways) and C(set) of an inventory to hold the cluster against.
    """
    mesh = Mesh(read)
    rows = all_rows(read, mesh)
    findings = all_findings(read, mesh, rows, now, expiry_days)
    if declared and declared["ports"]:
        findings = _sorted([*findings, *differences(read["state"], **declared)])
    codes: dict[str, set[str]] = defaultdict(set)
    for item in findings:
        for row in item["rows"]:
            codes[row].add(item["code"])
    for row in rows:
        row["findings"] = sorted(codes[row["id"]])
    cluster = read["state"]["cluster"]
    return {
        "version": VERSION,
        "taken": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "cluster": {"name": name or cluster["host"], **cluster},
        "summary": summary(rows, findings),
        "rows": rows,
        "findings": findings,
        "changes": None,
    }


def _sorted(findings: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sort findings, the worst first."""
    return sorted(findings, key=lambda item: (SEVERITIES.index(item["severity"]), item["code"], item["message"]))


def summary(rows: Sequence[Mapping[str, Any]], findings: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Count what a manager asks for."""
    outside = [row for row in rows if row["door"] != "inside"]
    severities = [item["severity"] for item in findings]
    return {
        "ways_in": len(outside),
        "inside": len(rows) - len(outside),
        "doors": counts(rows, "door"),
        "states": counts(rows, "state"),
        "owners": counts([{"kind": row["owner"]["kind"]} for row in rows], "kind"),
        "open_to": counts([{"scope": row["open_to"]["scope"]} for row in outside], "scope"),
        "gateways": len({row["gateway"] for row in rows if row["gateway"]}),
        "findings": {name: severities.count(name) for name in SEVERITIES},
    }


def failing(findings: Iterable[Mapping[str, Any]], fail_on: Iterable[str]) -> list[Mapping[str, Any]]:
    """Return the findings that an audit fails for: of a severity or worse, or with one of the codes."""
    wanted = set(fail_on)
    levels = [SEVERITIES.index(word) for word in wanted if word in SEVERITIES]
    severities = set(SEVERITIES[: max(levels) + 1]) if levels else set()
    return [item for item in findings if item["severity"] in severities or item["code"] in wanted]
