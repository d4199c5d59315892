# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The failure switches: a ConfigMap, read at every reconcile. README.md lists them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NAMESPACE = "kube-system"
NAME = "standins"


@dataclass(frozen=True)
class Fault:
    """What a switch asks for; an empty reason or message stands for the switch's default."""

    reason: str = ""
    message: str = ""


class Switches:
    """The switches that are on."""

    def __init__(self, data: Mapping[str, str] | None = None) -> None:
        self._data = dict(data or {})

    def on(self, switch: str, namespace: str = "", *names: str) -> Fault | None:
        """The fault for the object that goes by these names in this namespace, or None.

        Each line of a switch is `TARGETS[: REASON[: MESSAGE]]`; a target is `true` or `*`, `namespace/name`,
        `namespace/`, or a name.
        """
        meant = {"true", "*", *names} | {f"{namespace}/{name}" for name in names}
        if namespace:
            meant.add(f"{namespace}/")
        for line in self._data.get(switch, "").splitlines():
            targets, _, rest = line.partition(":")
            if meant & {word.strip() for word in targets.split(",")}:
                reason, _, message = rest.partition(":")
                return Fault(reason.strip(), message.strip())
        return None

    def value(self, switch: str, default: str) -> str:
        """The value of a switch that is not a fault."""
        return self._data.get(switch, "").strip() or default
