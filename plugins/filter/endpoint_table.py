# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._endpoints import report_lines
from ansible_collections.servicemesh.tcp.plugins.plugin_utils._plain import plain_list

NAME = "endpoint_table"


def endpoint_table(endpoints: Any) -> list[str]:
    """Return endpoints as the lines of a table; see endpoint_table.yml."""
    return report_lines(plain_list(NAME, "the input", endpoints))


class FilterModule:
    """Ansible filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {NAME: endpoint_table}
