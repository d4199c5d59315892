# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._echo import echo_plan
from ansible_collections.servicemesh.tcp.plugins.plugin_utils._plain import plain_list, plain_state

NAME = "echo_server_steps"


def echo_server_steps(
    apps: Any,
    state: Any,
    image: str,
    image_pull_policy: str = "IfNotPresent",
    echo_state: str = "present",
    namespace_state: str = "present",
    greeter_image: str = "",
) -> dict[str, Any]:
    """Plan echo servers; see echo_server_steps.yml."""
    return echo_plan(
        plain_list(NAME, "the input", apps),
        plain_state(NAME, state),
        image=str(image),
        pull_policy=str(image_pull_policy),
        echo_state=str(echo_state),
        namespace_state=str(namespace_state),
        greeter_image=str(greeter_image),
    )


class FilterModule:
    """Ansible filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {NAME: echo_server_steps}
