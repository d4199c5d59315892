# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which port each listener binds in a gateway's pods.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._by_name import kind_of, shared_port_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._conflicts import Conflicts
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import names_of, port_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import is_reserved

# A pod's own outgoing connections take their ports from here (Linux, net.ipv4.ip_local_port_range). Envoy cannot bind
# one that is taken, and nobody tries again: the port stays dead until the next push (seen on the lab).
EPHEMERAL = range(32768, 61000)
PRIVILEGED_END = 1024
# A listener that cannot bind its own port binds it shifted, or the next thousand that is free.
PRIVILEGED_SHIFT = 10000
EPHEMERAL_SHIFT = -30000
STEP = 1000


def port_names(entry: Mapping[str, Any], set_name: str) -> list[str]:
    """Return the names that a record's port may have on the cluster: by its own name, and by its former one."""
    if kind_of(entry):
        return [shared_port_name(kind_of(entry), entry["port"])]
    return [port_name(entry["port"], set_name, name) for name in names_of(entry)]


def first_choice(port: int) -> int:
    """Return the target port that a port gets where nobody holds it."""
    if port < PRIVILEGED_END:
        return port + PRIVILEGED_SHIFT
    return port + EPHEMERAL_SHIFT if port in EPHEMERAL else port


class Targets:
    """The target ports of one gateway: who holds which, and which are free."""

    def __init__(
        self,
        gateway: Mapping[str, Any],
        taken: Mapping[int, str],
        observed: Mapping[str, int],
        listeners: Iterable[Mapping[str, Any]],
        set_name: str,
    ) -> None:
        """Begin with what others hold (C(taken)) and what each named port of the front Services shows (C(observed)).

        A target of the set's own C(listeners) stays that port's until the run is over, also where it leaves.
        """
        self.gateway = gateway
        self.observed = observed
        self.set_name = set_name
        self.held = dict(taken)
        self.present = {item["target_port"]: item["port"] for item in listeners}
        self.conflicts = Conflicts()
        self._chosen: dict[int, int] = {}
        # Ports that the gateway may publish next are left to those: a straight target is easier to read.
        self._avoided = gateway["pool"] | gateway["reserved"]
        numbers = [*range(PRIVILEGED_END, EPHEMERAL.start), *range(EPHEMERAL.stop, 65536)]
        self._anywhere = itertools.chain(
            (port for port in numbers if port not in self._avoided),
            (port for port in numbers if port in self._avoided),
            EPHEMERAL,
        )

    def choose(self, entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the entries with the target port of each, without those for which there is none.

        What the cluster already shows is kept, since a change of it would cut sessions; given ones have no choice;
        a port takes its own number where it can be bound, and otherwise another that collides with nothing.
        """
        free = [entry for entry in entries if entry["target_port"] is None]
        for entry in free:
            if entry["port"] in self._chosen:
                continue
            shown = (self.observed.get(name) for name in port_names(entry, self.set_name))
            kept = next((target for target in shown if target is not None), None)
            if kept is not None and kept >= PRIVILEGED_END and self._is_free(kept, entry["port"]):
                self._take(entry, kept)
        given = [entry for entry in entries if entry["target_port"] is not None]
        # Those that have it already come before those that want it.
        for entry in sorted(given, key=lambda item: self.present.get(item["target_port"]) != item["port"]):
            self._take_given(entry)
        # Straight ones first: one that is shifted can go anywhere.
        for entry in sorted(free, key=lambda item: first_choice(item["port"]) != item["port"]):
            port = entry["port"]
            if port not in self._chosen:
                straight = first_choice(port) == port and self._is_free(port, port)
                self._take(entry, port if straight else self._other_port(port))
        return [
            {**entry, "target_port": self._chosen[entry["port"]]} for entry in entries if entry["port"] in self._chosen
        ]

    def _is_free(self, target: int, port: int) -> bool:
        """Tell whether a port may have a target: nobody holds it, and no other port of the set did until now."""
        return target not in self.held and self.present.get(target, port) == port

    def _take(self, entry: Mapping[str, Any], target: int) -> None:
        """Give a target to a record's port."""
        if target in EPHEMERAL:
            self.conflicts.add("TARGET_PORT_EPHEMERAL", entry["name"], target, gateway=self.gateway["name"])
        self.held[target] = f"record {entry['name']!r} of the same set"
        self._chosen[entry["port"]] = target

    def _take_given(self, entry: Mapping[str, Any]) -> None:
        """Give a record the target that it asks for, or note what stands in its way."""
        target, gateway = entry["target_port"], self.gateway["name"]
        if kind_of(entry) and self._chosen.get(entry["port"]) == target:
            return
        if target in self.held:
            self.conflicts.add_taken(entry["name"], target, "target port", gateway, self.held[target])
        elif not self._is_free(target, entry["port"]):
            self.conflicts.add(
                "TARGET_PORT_LEAVING", entry["name"], self.present[target], target=target, gateway=gateway
            )
        else:
            self._take(entry, target)

    def _other_port(self, port: int) -> int:
        """Return a free target port: the port shifted, further thousands up, or any that is free."""
        shifted = first_choice(port)
        for target in range(port + PRIVILEGED_SHIFT if shifted == port else shifted, 65536, STEP):
            avoided = target in self._avoided or target in EPHEMERAL or is_reserved(target)
            if not avoided and self._is_free(target, port):
                return target
        return next(
            target
            for target in self._anywhere
            if target not in self.held and target not in self.present and not is_reserved(target)
        )
