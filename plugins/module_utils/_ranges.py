# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read port numbers as people write them (C(5432), C("30100-30120"), C(auto), a list of these), and write them back.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import Problems, is_reserved, to_port

AUTO = "auto"
RANGE = re.compile(r"\s*(\d{1,9})\s*-\s*(\d{1,9})\s*")
PORTS_RULE = "a port is a whole number, a range such as 30100-30120, or a list of these"
AUTO_RULE = "a port is a whole number, a range such as 30100-30120, 'auto', or a list of these"
HIGHEST = 65535


def read_ports(
    problems: Problems,
    key: str,
    value: Any,
    low: int = 1,
    auto: bool = False,
    proxied: bool = False,
    repeated: bool = False,
) -> list[int | None]:
    """Read ports in the order in which they are written, each C(auto) as V(None); one finding per mistake.

    C(proxied) ports are those of the gateway's proxy: none of Istio's own may be among them. C(repeated) ones may stand
    in it more than once.
    """
    items = value if isinstance(value, list) else [value]
    if not items:
        problems.invalid(key, value, "an empty list has no port")
    numbers: list[int | None] = []
    for item in items:
        numbers += [None] if auto and item == AUTO else _read_item(problems, key, item, low, auto, proxied)
    twice = _twice(numbers) if len(numbers) > 1 and not repeated else []
    if twice:
        problems.invalid(key, value, f"{written(twice)} stands in it more than once")
    return numbers


def read_beside(problems: Problems, key: str, value: Any, count: int, **rules: Any) -> list[int | None]:
    """Read as many ports as a record has, with the rules of read_ports."""
    before = len(problems.findings)
    numbers = read_ports(problems, key, value, **rules)
    # Where either was refused already, their lengths say nothing.
    if count and len(problems.findings) == before and len(numbers) != count:
        problems.invalid(key, value, f"the record has {count} ports and this has {len(numbers)}")
    return numbers


def _read_item(problems: Problems, key: str, item: Any, low: int, auto: bool, proxied: bool) -> Sequence[int]:
    """Read one number or one range; empty where it is neither."""
    first, last = ends(item)
    if first is None or last is None:
        problems.invalid(key, item, AUTO_RULE if auto else PORTS_RULE)
        return []
    if first > last:
        problems.invalid(key, item, "a range goes from its lowest port to its highest")
        return []
    if not low <= first <= last <= HIGHEST:
        problems.add("PORT_OUT_OF_RANGE", key=key, port=_shown(item), allowed=f"{low} to {HIGHEST}")
        return []
    own = next((number for number in range(first, last + 1) if is_reserved(number)), None) if proxied else None
    if own is not None:
        problems.add("PORT_RESERVED", key=key, port=own if first == last else f"{own} of {first}-{last}")
        return []
    return range(first, last + 1)


def ends(item: Any) -> tuple[int | None, int | None]:
    """Return the first and the last port of a number or a range as it is written, V(None) where it is neither."""
    match = RANGE.fullmatch(item) if isinstance(item, str) else None
    if match:
        return int(match[1]), int(match[2])
    number = to_port(item)
    return number, number


def _shown(item: Any) -> Any:
    """Return a number or a range without the white space round it."""
    return item.strip() if isinstance(item, str) else item


def _twice(numbers: Iterable[int | None]) -> list[int]:
    """Return the numbers that come more than once."""
    seen: set[int] = set()
    twice: set[int] = set()
    for number in numbers:
        if number is not None:
            (twice if number in seen else seen).add(number)
    return sorted(twice)


def spans(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Return the first and last number of each unbroken row of numbers, lowest first."""
    found: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def as_written(numbers: Iterable[int]) -> list[int | str]:
    """Return numbers as people write them in a list: C([22, "30100-30120"])."""
    return [first if first == last else f"{first}-{last}" for first, last in spans(numbers)]


def written(numbers: Iterable[int], most: int = 10) -> str:
    """Return numbers as a short text: C(22, 30100-30120), no more than so many parts."""
    parts = [str(part) for part in as_written(numbers)]
    return ", ".join(parts[:most]) + (", ..." if len(parts) > most else "")
