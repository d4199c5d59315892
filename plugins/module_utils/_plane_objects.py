# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the providers of control planes share: objects of ours, merging, differences.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.servicemesh.tcp.plugins.module_utils._names import COLLECTION, MANAGED_BY_LABEL
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object

OURS = {MANAGED_BY_LABEL: COLLECTION}


class Planned(NamedTuple):
    """What a provider wants: objects in their order, each with what is there of it; releases are those of Helm."""

    objects: list[tuple[dict[str, Any], Mapping[str, Any] | None]]
    findings: list[dict[str, str]]
    releases: Mapping[str, Any] | None = None


def own_object(kind: str, name: str, namespace: str | None, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object of ours."""
    return new_object(kind, name, namespace, OURS, spec=dict(spec))


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping with another one laid over it, mapping by mapping; lists are replaced as a whole."""
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def differences(wanted: Mapping[str, Any], there: Mapping[str, Any], above: str = "spec") -> Iterator[str]:
    """Say where an object differs from what is wanted; what only the object says is no difference."""
    for key in sorted(wanted):
        where, value, has = f"{above}.{key}", wanted[key], there.get(key)
        if isinstance(value, Mapping) and isinstance(has, Mapping):
            yield from differences(value, has, where)
        elif value != has and value != {}:
            yield f"{where} is {has!r}, wanted {value!r}"
