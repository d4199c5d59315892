# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ports of a set a run takes away, as against those of records that only move or get another name.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._names import short_hash


def former_hashes(ports: Iterable[Mapping[str, Any]], set_name: str) -> dict[str, str]:
    """Return the hash that each renamed record of a port map had, with the one that it has now."""
    return {short_hash(set_name, port["was"]): port["hash"] for port in ports if port["was"] is not None}


def withdrawn_listeners(
    wanted: Sequence[Mapping[str, Any]], observed: Iterable[Mapping[str, Any]], former: Mapping[str, str]
) -> list[Mapping[str, Any]]:
    """Return which of the observed listeners are withdrawn; C(former) is what C(former_hashes) returned.

    A record that only moves to other ports, or to another gateway, has not withdrawn any; one that has fewer ports
    than before has withdrawn as many as it has less.
    """

    def key(item: Mapping[str, Any]) -> tuple[Any, ...]:
        return item["namespace"], item["gateway"], item["port"], former.get(item["hash"], item["hash"])

    stays = {key(item) for item in wanted}
    gone = [item for item in observed if key(item) not in stays]
    there = {key(item) for item in observed}
    new = Counter(item["hash"] for item in wanted if key(item) not in there)
    withdrawn = []
    for item in gone:
        digest = former.get(item["hash"], item["hash"])
        new[digest] -= 1
        if new[digest] < 0:
            withdrawn.append(item)
    return withdrawn
