# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about many ports of one record, gathered so that each reason is told once.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_holders import Holder
from ansible_collections.servicemesh.tcp.plugins.module_utils._ranges import written


class Conflicts:
    """Ports of records that cannot be had: one finding for each record and reason, however many ports it has."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[Any, ...], list[int]] = {}

    def add(self, code: str, record: str, number: int, **values: Any) -> None:
        """Note one port; C(values) are those of the finding, but for C(port)."""
        self._numbers.setdefault((code, record, *values.items()), []).append(number)

    def add_taken(self, record: str, number: int, key: str, gateway: str, holder: str) -> None:
        """Note a port that somebody else holds, and that he would keep or, if ours is older, lose."""
        values = {"key": key, "gateway": gateway, "holder": holder}
        adoption = holder.adoption if isinstance(holder, Holder) else None
        if adoption == "":
            self.add("PORT_ADOPTABLE", record, number, name=record, **values)
        elif adoption:
            self.add("ADOPTION_DIFFERS", record, number, difference=adoption, **values)
        elif isinstance(holder, Holder) and holder.loses_to:
            self.add("PORT_KILLS", record, number, owner=holder.loses_to, **values)
        else:
            self.add("PORT_TAKEN", record, number, **values)

    def findings(self) -> list[dict[str, str]]:
        """Return the findings, sorted."""
        return [
            finding(code, f"record {record!r}", port=written(numbers), **dict(values))
            for (code, record, *values), numbers in sorted(self._numbers.items(), key=lambda item: str(item[0]))
        ]
