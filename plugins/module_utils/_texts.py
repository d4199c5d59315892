# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How things are written in sentences.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def place_text(item: Mapping[str, Any]) -> str:
    """Write where something is: C(namespace/name) of a projected object, or of an object's metadata."""
    return f"{item['namespace']}/{item['name']}"


def host_port(host: str, port: int) -> str:
    """Write an address or a name with a port; one of IPv6 stands in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def some(items: Iterable[Any], most: int = 5) -> str:
    """Write a list, a long one with how many more there are."""
    given = [str(item) for item in items]
    return ", ".join(given[:most]) + (f" and {len(given) - most} more" if len(given) > most else "")
