# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the part C(planes): what operators make control planes from.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import KINDS
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import COLLECTION, MANAGED_BY_LABEL, PLANE_LABEL
from ansible_collections.servicemesh.tcp.plugins.module_utils._reader import Reader
from ansible_collections.servicemesh.tcp.plugins.module_utils._state_planes import (
    PROJECTED,
    plane_object,
    release,
)


def read_planes(reader: Reader) -> dict[str, Any]:
    """Return the projection's key C(planes)."""
    found: dict[str, Any] = {key: [plane_object(obj) for obj in reader.items(kind)] for kind, key in PROJECTED.items()}
    found["served"] = sorted(kind for kind in PROJECTED if reader.serves(KINDS[kind].api_version))
    markers = reader.items("ConfigMap", f"{MANAGED_BY_LABEL}={COLLECTION},{PLANE_LABEL}")
    found["releases"] = [release(obj) for obj in markers]
    return {"planes": {**found, "unread": reader.unread}}
