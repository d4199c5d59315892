# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rule of waiting takes and returns.

A rule is a function of one kind of object, (object, until, look) -> lack. It returns '' where the object is as wanted,
else what it still lacks as text. C(until) is the step's, C(look) finds further objects that the rule must see.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

# Finds an object by kind, name and namespace (V(None) for kinds without one); nothing there is V(None).
Look = Callable[[str, str, "str | None"], "Mapping[str, Any] | None"]
LackRule = Callable[[Mapping[str, Any], Mapping[str, Any], Look], str]


class Fatal(str):
    """A lack that no waiting cures: the wait ends with it, at once or when it has held for C(patience) seconds."""

    __slots__ = ("patience",)
    patience: float

    def __new__(cls, text: str, patience: float = 0.0) -> Fatal:
        """Make one; a patience is for controllers that try again by themselves."""
        made = super().__new__(cls, text)
        made.patience = patience
        return made
