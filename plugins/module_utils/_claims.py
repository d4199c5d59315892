# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Claims of a gateway: which sets and backend namespaces may publish on it, which ports, and how many.

A claim is C({sets, namespaces, ports, max}); a key that is not given stands for any. The first claim that matches a
port is the one that it counts against, so that a port does not go from one to another when records come or leave.
They bind those who publish with this collection; what an account may write at all is the API server's to say.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._ranges import as_written, read_ports, written
from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import (
    Problems,
    check_keys,
    read_count,
    read_dict,
    read_label,
    words,
)

CLAIM_KEYS = words("sets namespaces ports max")
# Records that a finding names.
SHOWN = 10


def read_claims(problems: Problems, raw: Any) -> list[dict[str, Any]] | None:
    """Read the claims of a gateway; V(None) where none are given, and then everybody may publish."""
    if raw is None:
        return None
    if not isinstance(raw, list) or not raw:
        problems.invalid("claims", raw, "it must be a list of claims; leave it out to let everybody publish")
        return None
    return [_read_claim(problems, f"claims[{index}]", item) for index, item in enumerate(raw)]


def _read_claim(problems: Problems, where: str, raw: Any) -> dict[str, Any]:
    """Read one claim: names as sorted lists, ports as a set of numbers; V(None) stands for any."""
    claim = read_dict(problems, where, raw)
    check_keys(problems, f"{where}.", claim, CLAIM_KEYS, CLAIM_KEYS)
    ports = claim.get("ports")
    return {
        "sets": _names(problems, f"{where}.sets", claim.get("sets")),
        "namespaces": _names(problems, f"{where}.namespaces", claim.get("namespaces")),
        "ports": None if ports is None else frozenset(read_ports(problems, f"{where}.ports", ports)),
        "max": None if claim.get("max") is None else read_count(problems, f"{where}.max", claim["max"]),
    }


def _names(problems: Problems, key: str, value: Any) -> list[str] | None:
    """Read one name or a list of them."""
    if value is None:
        return None
    names = value if isinstance(value, list) else [value]
    if not names:
        problems.invalid(key, value, "an empty list opens nothing; leave it out to mean any")
    return sorted({read_label(problems, key, name) for name in names})


def claims_as_written(claims: Iterable[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    """Return claims as people write them, without what is left open; empty where none were given."""
    return [
        {
            key: as_written(value) if key == "ports" else value
            for key, value in sorted(claim.items())
            if value is not None
        }
        for claim in claims or ()
    ]


class Claims:
    """What the claims of one gateway open to one set. Without claims everything is open."""

    def __init__(self, gateway: Mapping[str, Any], set_name: str) -> None:
        self.gateway = gateway["name"]
        self.claims: Sequence[Mapping[str, Any]] | None = gateway["claims"]
        self.set_name = set_name
        self._of_namespace: dict[str, tuple[int, ...]] = {}
        self._free: Mapping[int, int] = {}
        self._seeking: dict[tuple[int, ...], Iterator[int]] = {}
        self._users: dict[int, list[str]] = defaultdict(list)

    def matching(self, namespace: str) -> tuple[int, ...]:
        """Return which claims open anything to the set for backends in a namespace, by their place in the list."""
        if namespace not in self._of_namespace:
            self._of_namespace[namespace] = tuple(
                index
                for index, claim in enumerate(self.claims or ())
                if (claim["sets"] is None or self.set_name in claim["sets"])
                and (claim["namespaces"] is None or namespace in claim["namespaces"])
            )
        return self._of_namespace[namespace]

    def claim_of(self, namespace: str, port: int) -> int | None:
        """Return the first claim that opens a port, V(None) where none does."""
        for index in self.matching(namespace):
            ports = (self.claims or ())[index]["ports"]
            if ports is None or port in ports:
                return index
        return None

    def open_to(self, namespace: str, port: int) -> bool:
        """Tell whether a port is open to the set for backends in a namespace, whatever the number of its ports."""
        return self.claims is None or self.claim_of(namespace, port) is not None

    def closed_to(self, namespaces: Iterable[str], port: int) -> str | None:
        """Return the first of these namespaces to whose backends a port is not open, V(None) where it is to all."""
        if self.claims is None:
            return None
        return next((namespace for namespace in namespaces if not self.open_to(namespace, port)), None)

    def count(self, record: str, namespaces: Iterable[str], port: int) -> None:
        """Count a port that a record has been given, once for each claim by which it reaches its backends."""
        if self.claims is None:
            return
        for index in sorted({self.claim_of(namespace, port) for namespace in namespaces} - {None}):
            self._users[index].append(record)

    def offer(self, free: Sequence[int]) -> None:
        """Say which ports C(pick) chooses from, the best one first."""
        self._free = {port: rank for rank, port in enumerate(free)}

    def pick(self, namespace: str, taken: Collection[int]) -> int | None:
        """Return the next free port that is open for a namespace and whose claim has room; V(None) when none is left.

        Namespaces with the same claims go through the ports together, and through those only that their claims open.
        """
        key = self.matching(namespace)
        if key not in self._seeking:
            self._seeking[key] = iter(self._candidates(key))
        return next((port for port in self._seeking[key] if port not in taken and self.has_room(namespace, port)), None)

    def _candidates(self, key: tuple[int, ...]) -> Iterable[int]:
        """Return the free ports that claims open, in the order in which they were offered."""
        if self.claims is None:
            return self._free
        ports = [self.claims[index]["ports"] for index in key]
        if None in ports:
            return self._free
        return sorted(self._free.keys() & set().union(*ports), key=self._free.__getitem__)

    def has_room(self, namespace: str, port: int) -> bool:
        """Tell whether the claim of a port lets the set have one more; one that is full stays so for the run."""
        if self.claims is None:
            return True
        index = self.claim_of(namespace, port)
        if index is None:
            return False
        most = self.claims[index]["max"]
        return most is None or len(self._users[index]) < most

    def given(self, namespace: str) -> str:
        """Say which ports are open to the set for backends in a namespace."""
        if self.claims is None:
            return "all"
        if not self.matching(namespace):
            return "none"
        ports = [claim["ports"] for index, claim in enumerate(self.claims) if index in self.matching(namespace)]
        return "all" if None in ports else written(frozenset().union(*ports))

    def missing(self, namespace: str) -> dict[str, str]:
        """Return what C(CLAIM_MISSING) says of ports that no claim opens for a namespace, but for the port."""
        where = f"in namespace {namespace!r}" if namespace else "outside of the cluster"
        values = {"key": "port", "gateway": self.gateway, "set": self.set_name, "where": where}
        return {**values, "given": self.given(namespace)}

    def findings(self) -> list[dict[str, str]]:
        """Return a finding for each claim under which the set has more ports than it lets one set have."""
        found = []
        for index, claim in enumerate(self.claims or ()):
            users, most = self._users[index], claim["max"]
            if most is None or len(users) <= most:
                continue
            names = sorted(set(users))
            records = ", ".join(map(repr, names[:SHOWN])) + (", ..." if len(names) > SHOWN else "")
            values = {"claim": f"claims[{index}]", "set": self.set_name, "max": most, "count": len(users)}
            found.append(finding("CLAIM_EXCEEDED", f"gateway {self.gateway!r}", **values, records=records))
        return found
