# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes label selectors (apimachinery pkg/apis/meta/v1, LabelSelector).

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str] | None) -> bool:
    """Tell whether a LabelSelector matches labels; an empty one matches all, none at all nothing."""
    if selector is None:
        return False
    labels = labels or {}
    wanted = selector.get("matchLabels") or {}
    if not wanted.items() <= labels.items():
        return False
    return all(meets(item, labels) for item in selector.get("matchExpressions") or [])


def meets(item: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Tell whether labels meet one expression; NotIn and DoesNotExist hold for a label that is not there."""
    key, values = item["key"], item.get("values") or []
    return {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }.get(item["operator"], False)


def labels_text(labels: Mapping[str, str], between: str = ",") -> str:
    """Return labels as kubectl and the API server's labelSelector write them."""
    return between.join(f"{key}={value}" for key, value in sorted(labels.items()))


def selector_text(selector: Mapping[str, Any]) -> str:
    """Return a label selector as kubectl writes it."""
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for term in selector.get("matchExpressions") or []:
        key, operator, values = term["key"], term["operator"], ",".join(term.get("values") or [])
        shown = {"Exists": key, "DoesNotExist": f"!{key}"}
        parts.append(shown.get(operator, f"{key} {operator.lower()} ({values})"))
    return ",".join(parts) or "everything"
