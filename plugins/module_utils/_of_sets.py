# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of this collection beside its Gateways, by their sets and the gateways that they are for.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._names import GATEWAY_LABEL, SET_LABEL, is_ours

Item = Mapping[str, Any]
Place = tuple[str, str]


class OfSets:
    """Projected objects of one kind. C(known) is false where they may not be read."""

    def __init__(self, items: Iterable[Item] | None) -> None:
        """Take all of them, in the order in which C(of_set) returns them."""
        self.known = items is not None
        self._of_sets: dict[str, dict[Place, list[Item]]] = defaultdict(lambda: defaultdict(list))
        for item in items or ():
            labels = item["labels"]
            if is_ours(labels):
                self._of_sets[labels.get(SET_LABEL, "")][item["namespace"], labels.get(GATEWAY_LABEL, "")].append(item)

    def of_set(self, place: Place, set_name: str) -> list[Item]:
        """Return a set's own for the gateway at a place (namespace, name)."""
        return self._of_sets.get(set_name, {}).get(place, [])

    def places(self, set_name: str) -> set[Place]:
        """Return the gateways, by namespace and name, for which a set has any."""
        return set(self._of_sets.get(set_name, ()))
