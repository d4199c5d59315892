# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts and paths of an HTTP port are free.

Envoy takes the nearest of several hosts that fit, and then that host's rules only. Istio puts the rules of several
VirtualServices for one host together in an order that nobody promises (istio.io "Split large virtual services"), so a
host is one set's alone, and a path of it one record's.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls_share import Shared, met

Entry = Mapping[str, Any]
KEPT = "a record that this run keeps"


def check_routes(
    gateway: Mapping[str, Any], entries: Iterable[Entry], shared: Mapping[int, Shared], kept: Iterable[Entry] = ()
) -> list[dict[str, str]]:
    """Find hosts that others have, and paths that two records have. C(kept) are listeners that this run leaves."""
    findings: list[dict[str, str]] = []
    by_port: dict[int, list[Entry]] = defaultdict(list)
    for entry in sorted((entry for entry in entries if entry.get("http")), key=lambda item: item["name"]):
        by_port[entry["port"]].append(entry)
    staying: dict[int, dict[tuple[str, str, str], str]] = defaultdict(dict)
    for item in kept:
        staying[item["port"]].update(dict.fromkeys(_routes(item), KEPT))
    for port, group in sorted(by_port.items()):
        values = {"port": port, "gateway": gateway["name"]}
        findings += met("http", group, shared[port].names if port in shared else {}, values)
        findings += _equal(group, staying[port], values)
    return findings


def _routes(entry: Entry) -> list[tuple[str, str, str]]:
    """Return what a record has: host, how the path is compared, and the path."""
    http = entry.get("http") or {"hosts": (), "paths": ()}
    return [(host, kind, text) for host in http["hosts"] for path in http["paths"] for kind, text in path.items()]


def _equal(
    group: Iterable[Entry], staying: Mapping[tuple[str, str, str], str], values: Mapping[str, Any]
) -> list[dict[str, str]]:
    """Find paths of one host that two records of the set have."""
    findings = []
    first = dict(staying)
    for entry in group:
        own = f"record {entry['name']!r} of the same set"
        for route in _routes(entry):
            holder = first.setdefault(route, own)
            if holder != own:
                host, kind, text = route
                held = {**values, "host": host, "kind": kind, "path": text, "holder": holder}
                findings.append(finding("HTTP_PATH_TAKEN", f"record {entry['name']!r}", **held))
    return findings
