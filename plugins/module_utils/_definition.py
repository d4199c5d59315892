# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a gateway's definition says of the ports that may be published on it.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._ranges import read_ports
from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import (
    Problems,
    check_keys,
    read_dict,
    to_number,
    words,
)

DRAIN_KEYS = words("listener pod")
SECONDS = re.compile(r"\s*(\d+(?:\.\d+)?)\s*s?\s*")


def read_rules(problems: Problems, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Read C(pool), C(strict_pool), C(reserved) and C(drain) of a gateway: sets of ports, and seconds."""
    pool = frozenset(_ports(problems, "pool", raw.get("pool")))
    strict = raw.get("strict_pool", False)
    if not isinstance(strict, bool):
        problems.invalid("strict_pool", strict, "it must be true or false")
    elif strict and not raw.get("pool"):
        problems.invalid("strict_pool", strict, "a gateway without a pool has nothing to be strict about")
    return {
        "pool": pool,
        "strict_pool": strict is True,
        "reserved": frozenset(_ports(problems, "reserved", raw.get("reserved"))),
        "drain": _read_drain(problems, raw.get("drain", {})),
    }


def _ports(problems: Problems, key: str, value: Any) -> list[int]:
    """Read ports and ranges; none where the key is not given."""
    if value is None or value == []:
        return []
    return [number for number in read_ports(problems, key, value) if number is not None]


def _read_drain(problems: Problems, raw: Any) -> dict[str, float]:
    """Read how long sessions may go on, in seconds: C(listener) when a port changes, C(pod) when a pod is replaced."""
    given = read_dict(problems, "drain", raw)
    check_keys(problems, "drain.", given, DRAIN_KEYS, DRAIN_KEYS)
    drain = {}
    for key in sorted(DRAIN_KEYS & set(given)):
        match = SECONDS.fullmatch(given[key]) if isinstance(given[key], str) else None
        seconds = to_number(match.group(1) if match else given[key])
        if seconds is None:
            problems.invalid(f"drain.{key}", given[key], "it must be a number of seconds above 0, such as 45 or 45s")
        else:
            drain[key] = seconds
    return drain
