# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which port each record gets on a gateway: what it has already, what it asks for, or the lowest free one of the pool.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._backends import namespaces_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._by_name import kind_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._claims import Claims
from ansible_collections.servicemesh.tcp.plugins.module_utils._conflicts import Conflicts
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import names_of, short_hash
from ansible_collections.servicemesh.tcp.plugins.module_utils._ranges import AUTO, as_written, written
from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import is_reserved

Entry = dict[str, Any]
THIS_RUN = "records of this run"
# Names and holders that a finding shows.
SHOWN = 10


def hashes_of(entry: Mapping[str, Any], set_name: str) -> list[str]:
    """Return under which hashes a record's ports are on the cluster: its own, and that of its former name."""
    return [short_hash(set_name, name) for name in names_of(entry)]


def allocate(
    gateway: Mapping[str, Any],
    entries: Iterable[Mapping[str, Any]],
    foreign: Mapping[int, str],
    listeners: Iterable[Mapping[str, Any]],
    set_name: str,
    prune: bool = True,
) -> tuple[list[Entry], list[dict[str, str]]]:
    """Return the entries that get a port, sorted by it, and the findings about the others.

    C(foreign) are ports that others hold on the gateway, with who holds them; C(listeners) are the set's own there.
    What C(auto) has found before is kept, and goes before what a record asks for by number; so nothing is ever moved.
    """
    conflicts = Conflicts()
    claims = Claims(gateway, set_name)
    placed: dict[int, Entry] = {}
    # Records that share a port with the one that was placed there first.
    beside: list[Entry] = []
    asking = [{**entry, "auto": entry["port"] is None} for entry in entries]
    explicit = {entry["port"] for entry in asking}
    _keep(asking, listeners, gateway["pool"], set_name)
    # Kept ones first, then by number: of two that ask for one port the first name gets it.
    for entry in sorted(asking, key=lambda item: (not item["auto"], item["port"] or 0, item["name"])):
        if entry["port"] is not None and _may_have(gateway, entry, foreign, placed, claims, conflicts):
            if entry["port"] in placed:
                beside.append(entry)
            placed.setdefault(entry["port"], entry)
            claims.count(entry["name"], namespaces_of(entry), entry["port"])
    seeking = sorted((entry for entry in asking if entry["port"] is None), key=lambda item: item["name"])
    own = {item["port"] for item in listeners}
    claims.offer(list(_free_ports(gateway, {*foreign, *explicit, *placed}, own, prune)))
    unserved = []
    unclaimed: dict[str, str] = {}
    for entry in seeking:
        namespace = entry["backend"]["namespace"]
        number = claims.pick(namespace, placed)
        closed = claims.closed_to(namespaces_of(entry), number) if number is not None else None
        if closed is not None:
            conflicts.add("CLAIM_MISSING", entry["name"], number, **claims.missing(closed))
        elif number is not None:
            placed[number] = {**entry, "port": number}
            claims.count(entry["name"], namespaces_of(entry), number)
        elif claims.given(namespace) == "none":
            unclaimed.setdefault(entry["name"], namespace)
        else:
            unserved.append(entry)
    findings = conflicts.findings() + claims.findings()
    for name, namespace in unclaimed.items():
        findings.append(finding("CLAIM_MISSING", f"record {name!r}", port=AUTO, **claims.missing(namespace)))
    if unserved:
        findings.append(_unserved(gateway, unserved, foreign, {*explicit, *placed}, own, claims))
    return sorted([*placed.values(), *beside], key=lambda item: (item["port"], item["name"])), findings


def _keep(
    entries: Iterable[Entry], listeners: Iterable[Mapping[str, Any]], pool: Collection[int], set_name: str
) -> None:
    """Give the entries that ask for C(auto) the ports that their records have on the cluster, those of the pool first.

    A record with both numbers and C(auto) that loses a number keeps what C(auto) had found, as far as the pool tells.
    """
    shown: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for item in sorted(listeners, key=lambda found: (found["port"] not in pool, found["port"])):
        shown[item["hash"]].append(item)
    records: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        records[entry["name"]].append(entry)
    for group in records.values():
        asked = {entry["port"] for entry in group}
        had = [item for digest in hashes_of(group[0], set_name) for item in shown[digest] if item["port"] not in asked]
        _keep_record([entry for entry in group if entry["port"] is None], had)


def _keep_record(entries: Sequence[Entry], had: Sequence[Mapping[str, Any]]) -> None:
    """Give one record's C(auto) ports back: each to the backend that it leads to, what is left in their order."""
    by_backend: dict[Any, list[int]] = defaultdict(list)
    for item in had:
        by_backend[item["backend_port"]].append(item["port"])
    for entry in entries:
        numbers = by_backend[entry["backend"]["port"]]
        if numbers:
            entry["port"] = numbers.pop(0)
    unused = {number for numbers in by_backend.values() for number in numbers}
    left = (item["port"] for item in had if item["port"] in unused)
    for entry in entries:
        if entry["port"] is None:
            entry["port"] = next(left, None)


def _may_have(
    gateway: Mapping[str, Any],
    entry: Mapping[str, Any],
    foreign: Mapping[int, str],
    placed: Mapping[int, Entry],
    claims: Claims,
    conflicts: Conflicts,
) -> bool:
    """Tell whether a record may have the port that it asks for or has; note what stands in its way."""
    name, number = entry["name"], entry["port"]
    values: dict[str, Any] = {"key": "port", "gateway": gateway["name"]}
    if number in foreign and not entry.get("joins"):
        conflicts.add_taken(name, number, **values, holder=foreign[number])
    elif number in placed and not (kind_of(entry) and kind_of(entry) == kind_of(placed[number])):
        holder = f"record {placed[number]['name']!r} of the same set"
        conflicts.add_taken(name, number, **values, holder=holder)
    elif number in gateway["reserved"]:
        conflicts.add("PORT_RESERVED_BY_GATEWAY", name, number, **values, reserved=written(gateway["reserved"]))
    elif gateway["strict_pool"] and number not in gateway["pool"]:
        conflicts.add("PORT_OUTSIDE_POOL", name, number, **values, pool=written(gateway["pool"]))
    elif (closed := claims.closed_to(namespaces_of(entry), number)) is not None:
        conflicts.add("CLAIM_MISSING", name, number, **claims.missing(closed))
    else:
        return True
    return False


def _free_ports(gateway: Mapping[str, Any], held: set[int], own: set[int], prune: bool) -> Iterator[int]:
    """Yield the free ports of a gateway's pool, lowest first; those that this run withdraws come last.

    Without pruning nothing is withdrawn, so those are not free.
    """
    pool = sorted(gateway["pool"])
    usable = [port for port in pool if port not in held and port not in gateway["reserved"] and not is_reserved(port)]
    yield from (port for port in usable if port not in own)
    if prune:
        yield from (port for port in usable if port in own)


def _unserved(
    gateway: Mapping[str, Any],
    entries: Sequence[Entry],
    foreign: Mapping[int, str],
    ours: set[int],
    own: set[int],
    claims: Claims,
) -> dict[str, str]:
    """Say why there is no port for records that ask for C(auto), and who has those of the pool."""
    names = list(dict.fromkeys(entry["name"] for entry in entries))
    more = ", ..." if len(names) > SHOWN else ""
    records = ("records " if len(names) > 1 else "record ") + ", ".join(map(repr, names[:SHOWN])) + more
    if not gateway["pool"]:
        return finding(
            "POOL_MISSING", f"gateway {gateway['name']!r}", records=records, verb="s" if len(names) == 1 else ""
        )
    holders: Counter[str] = Counter()
    namespaces = {entry["backend"]["namespace"] for entry in entries}
    for port in gateway["pool"]:
        if port in foreign:
            holders[foreign[port]] += 1
        elif port in ours:
            holders[THIS_RUN] += 1
        elif port in gateway["reserved"]:
            holders["the gateway's reservations"] += 1
        elif is_reserved(port):
            holders["Istio itself"] += 1
        elif port in own:
            holders["records that this run keeps"] += 1
        elif not any(claims.has_room(namespace, port) for namespace in namespaces):
            holders["the gateway's claims"] += 1
    most = sorted(holders.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]
    return finding(
        "POOL_EXHAUSTED",
        f"gateway {gateway['name']!r}",
        pool=", ".join(map(str, as_written(gateway["pool"]))),
        size=len(gateway["pool"]),
        count=len(entries),
        records=records,
        holders=", ".join(f"{count} by {holder}" for holder, count in most),
    )
