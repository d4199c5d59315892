# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import render
from ansible_collections.servicemesh.tcp.plugins.plugin_utils._plain import plain_list

NAME = "findings_text"


def findings_text(findings: Any) -> str:
    """Return findings as people read them; see findings_text.yml."""
    return render(plain_list(NAME, "the input", findings))


class FilterModule:
    """Ansible filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {NAME: findings_text}
