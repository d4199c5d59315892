# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A row of an audit: one way in, from where clients connect to what is behind it.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_parts import Endpoints
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_subsets import Members
from ansible_collections.servicemesh.tcp.plugins.module_utils._destination_rules import Rules
from ansible_collections.servicemesh.tcp.plugins.module_utils._service_entries import Entries, is_external

# Where a chain can break, in the order in which a connection meets it.
HOPS = ("address", "gateway", "listener", "route", "backend")


def new_row(door: str, where: str, port: int | None, **more: Any) -> dict[str, Any]:
    """Return a row with every key; C(where) is the object that opens the port.

    C(state): V(complete) where every object of the chain was seen and agrees, V(broken) with C(broken_at) the first hop
    that does not, V(unseen) where part of it was not looked at. An audit opens no connection.
    """
    row: dict[str, Any] = {
        "id": "",
        "door": door,
        "object": where,
        "addresses": [],
        "port": port,
        "service_port": None,
        "node_port": None,
        "protocol": "TCP",
        "hosts": [],
        "gateway": "",
        "listener": "",
        "target_port": None,
        "route": "",
        "backends": [],
        "owner": {"kind": "unknown", "name": "", "by": ""},
        "since": "",
        "open_to": {"scope": "network", "ranges": [], "policies": [], "text": "whoever reaches it"},
        "state": "complete",
        "broken_at": "",
        "why": "",
        "findings": [],
        **more,
    }
    row["id"] = row["id"] or row_id(row)
    return row


def row_id(row: Mapping[str, Any]) -> str:
    """Return what a row is known by from one audit to the next."""
    port = "?" if row["port"] is None else row["port"]
    hosts = f" {','.join(row['hosts'])}" if row["hosts"] else ""
    return f"{row['object']} {port}{hosts}"


def break_at(row: dict[str, Any], hop: str, why: str) -> None:
    """Note where a chain breaks, unless it broke before."""
    if row["state"] != "broken":
        row.update(state="broken", broken_at=hop, why=why)


def unseen(row: dict[str, Any], why: str) -> None:
    """Note what of a chain was not looked at, unless it is known to be broken."""
    if row["state"] == "complete":
        row.update(state="unseen", why=why)


class Backends:
    """Looks up what is behind a port: Services and their ready endpoints."""

    def __init__(
        self,
        services: Iterable[Mapping[str, Any]],
        endpoints: Endpoints | None,
        rules: Rules,
        members: Members,
        entries: Entries,
    ) -> None:
        self.services = {(item["namespace"], item["name"]): item for item in services}
        self._endpoints = endpoints
        self._rules = rules
        self._members = members
        self._entries = entries

    def service(self, namespace: str, name: str, port: Any) -> dict[str, Any]:
        """Return a backend with its number of ready endpoints and its state.

        C(state): V(ready), V(dead) (no endpoint is ready), V(missing) (no such Service, or it lacks the port),
        V(outside) (a name outside of the cluster), V(unseen).
        """
        found = {"namespace": namespace, "service": name, "port": port, "subset": "", "ready": None, "state": "unseen"}
        item = self.services.get((namespace, name))
        if item is None:
            return {**found, "state": "missing"}
        if item["external_name"]:
            return {**found, "state": "outside"}
        entry = next(
            (one for one in item["ports"] if port in (one["port"], one["name"]) and one["protocol"] == "TCP"), None
        )
        if entry is None:
            return {**found, "state": "missing"}
        found["port"] = entry["port"]
        if self._endpoints is None:
            return found
        ready = self._endpoints.get((namespace, name), {}).get(entry["name"], 0)
        return {**found, "ready": ready, "state": "ready" if ready else "dead"}

    def cluster(self, name: str, client: str) -> dict[str, Any]:
        """Return the backend behind the name of an Envoy cluster: C(outbound|5432||db.apps.svc.cluster.local).

        C(client) is the namespace of the gateway, whose DestinationRules say what a subset is.
        """
        _direction, port, subset, host = name.split("|", 3)
        service, _dot, rest = host.partition(".")
        namespace, _dot, kind = rest.partition(".")
        number = int(port) if port.isdecimal() else port
        if kind.partition(".")[0] != "svc":
            outside = {"namespace": "", "service": host, "port": number, "subset": subset, "ready": None}
            entry = self._entries.of_host(host)
            if entry:
                outside["service"] = ",".join(entry["endpoints"])
            # Hosts of this collection have a ServiceEntry of it; of others nobody looks for theirs.
            gone = is_external(host) and self._entries.known and (entry is None or number not in entry["ports"])
            return {**outside, "state": "missing" if gone else "outside"}
        found = {**self.service(namespace, service, number), "subset": subset}
        return self._of_subset(found, host, client) if subset and found["state"] in ("ready", "dead") else found

    def _of_subset(self, found: dict[str, Any], host: str, client: str) -> dict[str, Any]:
        """Return a backend as far as its subset goes: it is missing where no DestinationRule has it."""
        namespace, service = found["namespace"], found["service"]
        entry = next(one for one in self.services[namespace, service]["ports"] if one["port"] == found["port"])
        rule = self._rules.in_force(host, client).subsets.get(found["subset"])
        if self._rules.known and rule is None:
            return {**found, "ready": None, "state": "missing"}
        members = self._members.get(namespace)
        if rule is None or members is None:
            return {**found, "ready": None, "state": "unseen"}
        behind = members.get((service, entry["name"]), ())
        ready = sum(1 for labels in behind if rule["labels"].items() <= labels.items())
        return {**found, "ready": ready, "state": "ready" if ready else "dead"}


def judge_backends(row: dict[str, Any]) -> None:
    """Break a row whose backends cannot answer; one of several that can is enough for a chain."""
    states = {item["state"] for item in row["backends"]}
    if not states:
        return
    if states <= {"missing", "dead"}:
        break_at(row, "backend", "; ".join(dict.fromkeys(map(backend_trouble, row["backends"]))))
    elif states <= {"unseen", "missing", "dead"}:
        unseen(row, "whether its backend has a ready endpoint was not seen")
    elif states <= {"outside", "missing", "dead"}:
        unseen(row, "its backend is outside of the cluster")


def backend_text(item: Mapping[str, Any]) -> str:
    """Write a backend: C(apps/db:5432)."""
    place = "/".join(filter(None, (item["namespace"], item["service"])))
    return f"{place}:{item['port']}" + (f" subset {item['subset']}" if item["subset"] else "")


def backend_trouble(item: Mapping[str, Any]) -> str:
    """Say what is wrong with a backend."""
    if item["state"] == "missing":
        return f"there is no {backend_text(item)}"
    return f"{backend_text(item)} has no ready endpoint"


def youngest(*times: str) -> str:
    """Return the latest of several creation times: a way in cannot be older than any part of it."""
    return max((time for time in times if time), default="")


def sort_rows(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows in one order for ever, with ids that are unique."""
    ordered = sorted(rows, key=lambda row: (row["door"], row["object"], row["port"] or 0, row["id"]))
    seen: dict[str, int] = {}
    for row in ordered:
        seen[row["id"]] = seen.get(row["id"], 0) + 1
        if seen[row["id"]] > 1:
            row["id"] = f"{row['id']} ({seen[row['id']]})"
    return ordered


def counts(rows: Sequence[Mapping[str, Any]], key: str) -> dict[str, int]:
    """Count rows by one of their keys."""
    found: dict[str, int] = {}
    for row in rows:
        found[row[key]] = found.get(row[key], 0) + 1
    return dict(sorted(found.items()))
