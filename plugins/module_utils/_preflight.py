# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a preflight makes of what it saw: one table for people, and findings with remedies.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._conditions import condition, reason_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding

MAX_NAMED = 5


def node(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Project a node: C(trouble) says why it is not ready."""
    ready = condition(obj, "Ready")
    well = ready.get("status") == "True"
    return {"name": obj["metadata"]["name"], "trouble": "" if well else reason_text(ready) or "it says nothing"}


def cluster_operator(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Project an OpenShift ClusterOperator: it is unwell where it is not available, or degraded."""
    available, degraded = condition(obj, "Available"), condition(obj, "Degraded")
    troubles = []
    if available.get("status") != "True":
        troubles.append(f"not available ({reason_text(available) or 'it says nothing'})")
    if degraded.get("status") == "True":
        troubles.append(f"degraded ({reason_text(degraded)})")
    return {"name": obj["metadata"]["name"], "trouble": " and ".join(troubles)}


def report(seen: Mapping[str, Any]) -> dict[str, Any]:
    """Return C(table), one line per check, and C(findings)."""
    rows = [
        ("user", seen["user"] or "the API server does not tell", ""),
        ("rights", "as needed", f"lacking {_rights_text(seen['denied'])}" if seen["denied"] else ""),
        ("kubernetes", seen["kubernetes"], ""),
        ("openshift", seen["openshift"] or "no", ""),
        ("OLM", "served" if seen["olm"] else "not served", ""),
        _row("nodes", "ready", seen["nodes"], _unread(seen, "/nodes")),
    ]
    if seen["cluster_operators"] or _unread(seen, "/clusteroperators"):
        rows.append(_row("cluster operators", "well", seen["cluster_operators"], _unread(seen, "/clusteroperators")))
    if seen["olm"]:
        rows.append(_row("catalogues", "ready", catalogs(seen), _unread(seen, "/catalogsources")))
    width = max(len(name) for name, _good, _bad in rows)
    table = [f"{'!!' if bad else 'ok'}  {name:{width}}  {bad or good}" for name, good, bad in rows]
    return {"table": table, "findings": _findings(seen)}


def catalogs(seen: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the catalogues with their troubles."""
    return [
        {
            "name": f"{item['namespace']}/{item['name']}",
            "trouble": "" if item["state"] == "READY" else item["state"] or "not known",
        }
        for item in seen["catalogs"]
    ]


def _unread(seen: Mapping[str, Any], ending: str) -> bool:
    """Tell whether there was no right to read something."""
    return any(path.endswith(ending) for path in seen["unread"])


def _row(name: str, well: str, items: list[dict[str, str]], unread: bool) -> tuple[str, str, str]:
    """Return a row that counts items, and names those with a trouble."""
    if unread:
        return name, "", "no right to read them"
    bad = [f"{item['name']}: {item['trouble']}" for item in items if item["trouble"]]
    good = f"{len(items) - len(bad)} of {len(items)} {well}"
    more = f"; and {len(bad) - MAX_NAMED} more" if len(bad) > MAX_NAMED else ""
    return name, good, f"{good}; {'; '.join(bad[:MAX_NAMED])}{more}" if bad else ""


def _rights_text(denied: Iterable[tuple[str, str, str]]) -> str:
    """Name missing rights: the verbs of a resource together."""
    verbs = defaultdict(list)
    for group, resource, verb in denied:
        verbs[f"{resource}.{group}" if group else resource].append(verb)
    parts = [f"{name} ({', '.join(lacking)})" for name, lacking in verbs.items()]
    return ", ".join(parts)


def _findings(seen: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return what is worth a word beyond the table."""
    findings = []
    user = f"user {seen['user']!r}" if seen["user"] else "user"
    if seen["denied"]:
        findings.append(finding("RIGHT_MISSING", user, rights=_rights_text(seen["denied"])))
    for item in seen["cluster_operators"]:
        if item["trouble"]:
            subject = f"ClusterOperator {item['name']}"
            findings.append(finding("CLUSTER_OPERATOR_UNWELL", subject, trouble=item["trouble"]))
    for item in seen["nodes"]:
        if item["trouble"]:
            findings.append(finding("NODE_NOT_READY", f"node {item['name']}", trouble=item["trouble"]))
    for item in catalogs(seen):
        if item["trouble"]:
            values = {"catalog": item["name"], "state": item["trouble"]}
            findings.append(finding("CATALOG_NOT_READY", "cluster", **values))
    return findings
