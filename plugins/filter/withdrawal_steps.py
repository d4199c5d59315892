# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._plan import withdrawal_plan
from ansible_collections.servicemesh.tcp.plugins.plugin_utils._plain import plain_list, plain_state

NAME = "withdrawal_steps"


def withdrawal_steps(
    state: Any,
    set: str = "default",
    names: Any = (),
) -> dict[str, Any]:
    """Plan the withdrawal of a set or of some of its records; see withdrawal_steps.yml."""
    return withdrawal_plan(
        plain_state(NAME, state), set_name=str(set), names=[str(name) for name in plain_list(NAME, "names", names)]
    )


class FilterModule:
    """Ansible filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {NAME: withdrawal_steps}
