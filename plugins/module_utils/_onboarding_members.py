# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the namespaces that are to be part of a mesh, checked key by key, with defaults filled in.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import (
    Problems,
    check_keys,
    read_all,
    read_choice,
    read_dict,
    read_flag,
    read_label,
    words,
)

MEMBER_KEYS = words("name state injection mesh rights network_policy restart")
RIGHT_KEYS = words("role user group")
# Kubernetes' own roles for people (kubernetes.io "Using RBAC Authorization", user-facing roles).
ROLES = ("view", "edit", "admin")
STATES = ("required", "present", "absent")
INJECTIONS = ("pod", "enabled", "disabled")


def _read_right(problems: Problems, key: str, raw: Any) -> dict[str, str]:
    """Read one right: a role for a user or for a group."""
    right = read_dict(problems, key, raw)
    check_keys(problems, f"{key}.", right, RIGHT_KEYS, RIGHT_KEYS)
    role = read_choice(problems, f"{key}.role", right.get("role"), ROLES)
    named = {kind: right[kind] for kind in ("user", "group") if right.get(kind) is not None}
    if len(named) != 1 or not all(isinstance(name, str) and name for name in named.values()):
        problems.invalid(key, raw, "it names either a user or a group")
        return {"role": role, "kind": "", "name": ""}
    ((kind, name),) = named.items()
    return {"role": role, "kind": kind.capitalize(), "name": name}


def _read_list(problems: Problems, key: str, value: Any) -> list[Any]:
    """Read a list; anything else is a finding and empty."""
    if isinstance(value, list):
        return value
    problems.invalid(key, value, "it must be a list")
    return []


def _read_member(raw: Mapping[str, Any], subject: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Read one namespace."""
    problems = Problems(subject)
    check_keys(problems, "", raw, MEMBER_KEYS, MEMBER_KEYS)
    mesh = raw.get("mesh")
    if mesh is not None and (not isinstance(mesh, str) or not mesh):
        problems.invalid("mesh", mesh, "it must be the name of a mesh, a revision or a revision tag")
    rights = _read_list(problems, "rights", raw.get("rights", []))
    policies = _read_list(problems, "network_policy", raw.get("network_policy", []))
    member = {
        "name": read_label(problems, "name", raw.get("name")),
        "state": read_choice(problems, "state", raw.get("state", "required"), STATES),
        "injection": read_choice(problems, "injection", raw.get("injection", "pod"), INJECTIONS),
        "mesh": mesh,
        "rights": [_read_right(problems, f"rights[{index}]", right) for index, right in enumerate(rights)],
        "network_policy": sorted({read_label(problems, "network_policy", name) for name in policies}),
        "restart": read_flag(problems, "restart", raw.get("restart", False)),
    }
    return member, problems.findings


def read_members(raw_members: Iterable[Any]) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Read all namespaces: what is good, and the findings about what is not."""
    return read_all(raw_members, "namespace", "namespaces_members", _read_member, "a namespace is listed once")
