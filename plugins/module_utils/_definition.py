# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a gateway's definition says of the ports that may be published on it, and how it is stored beside the gateway.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._claims import claims_as_written
from ansible_collections.servicemesh.tcp.plugins.module_utils._ranges import as_written, read_ports
from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import (
    Problems,
    check_keys,
    read_dict,
    to_number,
    words,
)

DRAIN_KEYS = words("listener pod")
# What a gateway that this collection makes is where its definition does not say.
WORKLOAD_DEFAULTS: Mapping[str, Any] = {
    "mesh": None,
    "replicas": 1,
    "autoscale": None,
    "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}},
    "image": "auto",
    "image_pull_policy": "IfNotPresent",
}
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


def stored_definition(gateway: Mapping[str, Any], set_name: str | None = None) -> str:
    """Return the part of a gateway's definition that every set goes by, as the text of an annotation.

    Of a gateway that is not ours it says by C(set) who defined it, which on ours the Deployment does.
    """
    definition = {**_as_written(gateway), **({"set": set_name} if set_name else {})}
    return json.dumps(definition, sort_keys=True, separators=(",", ":"))


def differing(gateway: Mapping[str, Any], stored: Any) -> list[str]:
    """Return the keys in which a gateway differs from the definition that is stored; all of its own for none."""
    known = {key: value for key, value in stored.items() if key != "set"} if isinstance(stored, Mapping) else {}
    wanted = json.loads(json.dumps(_as_written(gateway)))
    return sorted(key for key in {*known, *wanted} if known.get(key) != wanted.get(key))


def _as_written(gateway: Mapping[str, Any]) -> dict[str, Any]:
    """Return a gateway's definition as people write it, so that the same rules read it; what is a default is left out.

    The whole C(service) is among it, because any set may have to make a further front Service.
    """
    service = {key: value for key, value in gateway["service"].items() if value not in (None, [], {})}
    if service.get("allocate_node_ports"):
        del service["allocate_node_ports"]
    if "node_ports" in service.get("limits", {}):
        first, last = service["limits"]["node_ports"]
        service["limits"] = {**service["limits"], "node_ports": f"{first}-{last}"}
    definition = {
        "pool": as_written(gateway["pool"]),
        "strict_pool": gateway["strict_pool"],
        "reserved": as_written(gateway["reserved"]),
        "claims": claims_as_written(gateway["claims"]),
        "drain": gateway["drain"],
        "service": service,
        "owner": None if gateway["owner"] == "injection" else gateway["owner"],
        **{key: gateway[key] for key in ("adopt", "selector", "ports", "control_plane")},
    }
    pods = {key: gateway[key] for key, usual in WORKLOAD_DEFAULTS.items() if gateway[key] != usual}
    return {**{key: value for key, value in definition.items() if value}, **pods}


def read_stored(text: str | None) -> dict[str, Any] | str | None:
    """Read the annotation back, V(None) where there is none; a text that is no definition is returned as it is."""
    if text is None:
        return None
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, dict) else text
