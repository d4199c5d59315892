# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.servicemesh.tcp.plugins.module_utils._onboarding import onboarding_plan, restart_plan
from ansible_collections.servicemesh.tcp.plugins.plugin_utils._plain import plain, plain_list, plain_state

NAME = "namespace_steps"


def namespace_steps(
    members: Any,
    state: Any,
    namespaces_state: str = "present",
    membership: str = "roll",
    phase: str = "join",
    mesh_coming: Any = None,
) -> dict[str, Any]:
    """Plan namespaces' way into a mesh, or out of it; see namespace_steps.yml."""
    wanted, seen = plain_list(NAME, "the input", members), plain_state(NAME, state)
    if "members" not in seen:
        raise AnsibleFilterError(
            f"servicemesh.tcp.{NAME}: state must be read with the part 'members' of servicemesh.tcp.mesh_state"
        )
    if phase == "restart":
        return restart_plan(wanted, seen)
    return onboarding_plan(
        wanted,
        seen,
        namespaces_state=str(namespaces_state),
        membership=str(membership),
        coming=plain(mesh_coming or {}),
    )


class FilterModule:
    """Ansible filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {NAME: namespace_steps}
