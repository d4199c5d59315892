# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.servicemesh.tcp.plugins.module_utils._plan import exposure_plan
from ansible_collections.servicemesh.tcp.plugins.plugin_utils._plain import plain_list, plain_map, plain_state

NAME = "exposure_steps"


def exposure_steps(
    port_map: Any,
    state: Any,
    set: str = "default",
    prune: Any = True,
    allow_withdraw: Any = (),
    source: str = "",
) -> dict[str, Any]:
    """Plan a set's objects; see exposure_steps.yml."""
    return exposure_plan(
        plain_map(NAME, port_map),
        plain_state(NAME, state),
        set_name=str(set),
        prune=boolean(prune),
        allow_withdraw=[str(name) for name in plain_list(NAME, "allow_withdraw", allow_withdraw)],
        source=str(source),
    )


class FilterModule:
    """Ansible filter."""

    def filters(self) -> dict[str, Any]:
        """Return the filter by its name."""
        return {NAME: exposure_steps}
