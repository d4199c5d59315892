# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module in this process, with options that its own specification validates and a cluster in memory."""

from __future__ import annotations

from types import ModuleType
from typing import Any
from unittest import mock

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator


class Exit(Exception):
    """How the module ended."""


def run_module(
    module: ModuleType, api: Any, check_mode: bool = False, warnings: list[str] | None = None, **options: Any
) -> dict[str, Any]:
    """Run a module's main and return its result; what it warns of goes into a list, if there is one."""

    class Module:
        """As much of AnsibleModule as the modules use."""

        def __init__(self, argument_spec: dict[str, Any], supports_check_mode: bool) -> None:
            assert supports_check_mode
            validated = ArgumentSpecValidator(argument_spec).validate(options)
            assert not validated.error_messages, validated.error_messages
            self.params = validated.validated_parameters
            self.check_mode = check_mode
            self._diff = True

        def warn(self, text: str) -> None:
            assert warnings is not None, text
            warnings.append(text)

        def exit_json(self, **result: Any) -> None:
            raise Exit({"failed": False, **result})

        def fail_json(self, **result: Any) -> None:
            raise Exit({"failed": True, **result})

    with mock.patch.object(module, "AnsibleModule", Module), mock.patch.object(module, "Api", return_value=api):
        try:
            module.main()
        except Exit as ended:
            return ended.args[0]
    raise AssertionError("the module neither exits nor fails")
