# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change of TLS servers and rules does to the sessions of their port.

Envoy updates the filter chains of a listener in place: sessions of a chain that stays as it is live on.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# A chain: what of its server makes it, and where it leads.
Chain = tuple[Any, Any]


class Chains:
    """The TLS servers and rules of one gateway, gathered object by object."""

    def __init__(self) -> None:
        self._servers: dict[tuple[int, str], Mapping[str, Any]] = {}
        self._rules: dict[tuple[int, str], Any] = {}

    def add_server(self, port: int, server: Mapping[str, Any]) -> None:
        """Note a TLS server by its port and its names."""
        for host in server.get("hosts") or []:
            self._servers[(port, host.rpartition("/")[2])] = server.get("tls") or {}

    def add_rules(self, spec: Mapping[str, Any]) -> None:
        """Note the rules of a VirtualService by port and name."""
        for rule in spec.get("tls") or []:
            for match in rule.get("match") or []:
                for name in match.get("sniHosts") or []:
                    self._rules.setdefault((match.get("port"), name), rule.get("route") or [])
        for rule in spec.get("tcp") or []:
            for match in rule.get("match") or []:
                for name in spec.get("hosts") or []:
                    self._rules.setdefault((match.get("port"), name), rule.get("route") or [])

    def chains(self) -> dict[int, dict[str, Chain]]:
        """Return the chains of each port by name."""
        found: dict[int, dict[str, Chain]] = {}
        for (port, name), settings in self._servers.items():
            found.setdefault(port, {})[name] = (settings, self._rules.get((port, name)))
        return found


def compared(before: Mapping[str, Chain], after: Mapping[str, Chain]) -> Iterator[tuple[str, str]]:
    """Compare the chains of one port."""
    for name in sorted(before):
        if name not in after:
            yield "drains", f"its name {name} goes"
        elif before[name][0] != after[name][0]:
            yield "drains", f"what ends TLS for {name} changes"
        elif before[name][1] != after[name][1]:
            yield "drains", f"the destination of {name} changes"
    new = sorted(after.keys() - before.keys())
    if new:
        yield "opens", f"new is {new[0]}" if before else "new"
