# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a member roll, or a ServiceMeshMember, still lacks, in the words of the operator's own status.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._conditions import is_ready, reason_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._lack import LackRule, Look

UNSEEN = "its operator has not seen it yet"


def no_roll_lacks(until: Mapping[str, Any]) -> str:
    """Return what lacks where there is no roll: nothing, if it went with its last member."""
    joined = until.get("joined", [])
    return f"there is no member roll for {', '.join(joined)}" if joined else ""


def roll_lacks(obj: Mapping[str, Any], until: Mapping[str, Any], _look: Look) -> str:
    """Return which namespaces a roll has not configured, or not let go of yet, each with the operator's reason.

    Namespaces that do not exist yet are not among those that it waits for.
    """
    status = obj.get("status") or {}
    if status.get("observedGeneration", 0) < obj["metadata"].get("generation", 0):
        return f"{UNSEEN}{_condition(status, 'Ready')}"
    configured = status.get("configuredMembers") or []
    told = {item.get("namespace"): item for item in status.get("memberStatuses") or []}
    joined, left = until.get("joined", []), until.get("left", [])
    lacking = [f"namespace {name} is not a member yet{_condition(told.get(name, {}))}" for name in joined]
    lacking = [text for name, text in zip(joined, lacking, strict=True) if name not in configured]
    lacking += [
        f"namespace {name} is still a member{_condition(told.get(name, {}))}" for name in left if name in configured
    ]
    if not lacking:
        return ""
    return "; ".join(lacking) + _condition(status, "Ready")


def member_lacks(obj: Mapping[str, Any], _until: Mapping[str, Any], _look: Look) -> str:
    """Return what keeps a ServiceMeshMember from being ready."""
    status = obj.get("status") or {}
    if status.get("observedGeneration", 0) < obj["metadata"].get("generation", 0):
        return UNSEEN
    if is_ready(obj):
        return ""
    return f"its namespace is not a member yet{_condition(status)}"


def _condition(status: Mapping[str, Any], kind: str | None = None) -> str:
    """Return the reasons of conditions that do not hold, in brackets; '' where there are none."""
    conditions = [item for item in status.get("conditions") or [] if kind is None or item.get("type") == kind]
    texts = []
    for item in conditions:
        if item.get("status") != "True":
            texts.append(reason_text(item) or item.get("type", ""))
    return f" ({'; '.join(dict.fromkeys(texts))})" if texts else ""


RULES: Mapping[str, LackRule] = {"ServiceMeshMember": member_lacks, "ServiceMeshMemberRoll": roll_lacks}
