# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._operators import operator_plan
from ansible_collections.servicemesh.tcp.plugins.plugin_utils._plain import plain_list, plain_state

NAME = "operator_steps"


def operator_steps(
    wanted: Any,
    state: Any,
    operators_state: str = "present",
    namespace_state: str = "required",
    crd_state: str = "kept",
    phase: str = "subscribe",
) -> dict[str, Any]:
    """Plan operators; see operator_steps.yml."""
    return operator_plan(
        plain_list(NAME, "the input", wanted),
        plain_state(NAME, state, "operators"),
        operators_state=str(operators_state),
        namespace_state=str(namespace_state),
        crd_state=str(crd_state),
        phase=str(phase),
    )


class FilterModule:
    """Ansible filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {NAME: operator_steps}
