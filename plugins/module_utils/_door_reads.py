# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what only doors beside the gateway need of a cluster, and only where a record has such a door.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import _state
from ansible_collections.servicemesh.tcp.plugins.module_utils._doors import EXTERNAL_IP, ROUTE
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import collection_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._reader import Reader

if TYPE_CHECKING:
    from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api


def read_for_doors(api: Api, raw_ports: Iterable[Any], state: Mapping[str, Any]) -> dict[str, Any]:
    """Return C(external_ip_policy) and C(route_hosts) of OpenShift as records need them; what may not be read is not.

    The policy is that of Network.config.openshift.io, the others are everybody's Routes.
    """
    doors = {item.get("door") for item in raw_ports if isinstance(item, Mapping) and isinstance(item.get("door"), str)}
    if not state["cluster"]["openshift"]:
        return {}
    found: dict[str, Any] = {}
    reader = Reader(api, {})
    if EXTERNAL_IP in doors:
        network = reader.if_allowed(f"{collection_path('Network')}/cluster", api.find) or {}
        found["external_ip_policy"] = ((network.get("spec") or {}).get("externalIP") or {}).get("policy")
    if ROUTE in doors:
        routes = reader.if_allowed(collection_path("Route"), api.find) or {"items": []}
        found["route_hosts"] = [_state.route(item) for item in routes["items"]]
    return found
