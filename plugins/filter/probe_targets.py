# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import _endpoints
from ansible_collections.servicemesh.tcp.plugins.plugin_utils._plain import plain_list

NAME = "probe_targets"


def probe_targets(ports: Any, services: Any, nodes: Any = ()) -> dict[str, Any]:
    """Return what tcp_probe takes; see probe_targets.yml."""
    return _endpoints.probe_targets(
        plain_list(NAME, "the input", ports),
        plain_list(NAME, "services", services),
        plain_list(NAME, "nodes", nodes),
    )


class FilterModule:
    """Ansible filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {NAME: probe_targets}
