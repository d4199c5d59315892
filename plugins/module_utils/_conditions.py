# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The conditions of objects and endpoints.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def condition(obj: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """Return a condition of an object's status by its type, empty where there is none."""
    conditions = (obj.get("status") or {}).get("conditions") or []
    return next((item for item in conditions if item.get("type") == kind), {})


def reason_text(item: Mapping[str, Any]) -> str:
    """Return a condition's reason and message as one text, whichever of them there are."""
    return ": ".join(str(part) for part in (item.get("reason"), item.get("message")) if part)


def is_ready(obj: Mapping[str, Any]) -> bool:
    """Tell whether an object, such as a pod, is ready."""
    return condition(obj, "Ready").get("status") == "True"


def is_serving(endpoint: Mapping[str, Any]) -> bool:
    """Tell whether an endpoint of an EndpointSlice gets traffic.

    Kubernetes API, EndpointSlice: an unknown readiness counts as ready.
    """
    return (endpoint.get("conditions") or {}).get("ready") is not False
