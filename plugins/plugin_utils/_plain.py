# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take templated values into plain Python once, and name the argument that is not what it should be.

This plugin_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.servicemesh.tcp.plugins.module_utils._state import VERSION


def plain(value: Any) -> Any:
    """Return a copy made of plain dicts, lists and scalars; lazy and tagged containers are slow to walk twice."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, str):
        return str(value)
    return value


def plain_list(plugin: str, name: str, value: Any) -> list[Any]:
    """Return a list argument of a filter."""
    if not isinstance(value, (list, tuple)):
        raise AnsibleFilterError(f"servicemesh.tcp.{plugin}: {name} must be a list, not {type(value).__name__}")
    return plain(value)


def plain_map(plugin: str, value: Any) -> dict[str, Any]:
    """Return the port map that gateway_port_map made."""
    if not isinstance(value, Mapping) or not {"ports", "findings"} <= set(value):
        raise AnsibleFilterError(
            f"servicemesh.tcp.{plugin}: the input must be a port map, as servicemesh.tcp.gateway_port_map returns it"
        )
    return plain(value)


def plain_state(plugin: str, value: Any, part: str = "") -> dict[str, Any]:
    """Return the projection that mesh_state made; another version of it is refused, and one without a part."""
    if not isinstance(value, Mapping) or value.get("version") != VERSION:
        raise AnsibleFilterError(
            f"servicemesh.tcp.{plugin}: state must be what servicemesh.tcp.mesh_state returned as 'mesh'"
            f" (version {VERSION})"
        )
    if part and part not in value:
        raise AnsibleFilterError(
            f"servicemesh.tcp.{plugin}: state must have been read by servicemesh.tcp.mesh_state with parts: [{part}]"
        )
    return plain(value)
