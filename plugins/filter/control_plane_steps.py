# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.servicemesh.tcp.plugins.module_utils._planes import plane_plan
from ansible_collections.servicemesh.tcp.plugins.plugin_utils._plain import plain, plain_state

NAME = "control_plane_steps"


def control_plane_steps(
    wanted: Any, state: Any, plane_state: str = "present", operator_coming: bool = False
) -> dict[str, Any]:
    """Plan a control plane; see control_plane_steps.yml."""
    if not isinstance(wanted, Mapping):
        raise AnsibleFilterError(f"servicemesh.tcp.{NAME}: the input must be a mapping, not {type(wanted).__name__}")
    observed = plain_state(NAME, state)
    if not {"mesh", "planes"} <= set(observed):
        raise AnsibleFilterError(f"servicemesh.tcp.{NAME}: state must hold the parts 'mesh' and 'planes'")
    return plane_plan(plain(wanted), observed, plane_state=str(plane_state), operator_coming=bool(operator_coming))


class FilterModule:
    """Ansible filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {NAME: control_plane_steps}
