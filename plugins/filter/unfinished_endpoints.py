# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._endpoints import unfinished
from ansible_collections.servicemesh.tcp.plugins.plugin_utils._plain import plain_list

NAME = "unfinished_endpoints"


def unfinished_endpoints(records: Any, findings: Any = ()) -> list[dict[str, Any]]:
    """Return what is known of records whose run failed early; see unfinished_endpoints.yml."""
    return unfinished(plain_list(NAME, "the input", records), plain_list(NAME, "findings", findings))


class FilterModule:
    """Ansible filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {NAME: unfinished_endpoints}
