# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show on screen what a module waits for while it runs, since a module can say nothing before it ends.

The module writes a line to a file every now and then, and a thread beside the task shows it. The module runs once and
its result is its own. Where it runs on another machine or as another user, nothing is shown.

This plugin_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from typing import IO, Any

from ansible import constants as C
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

POLL_SECONDS = 1.0


class ProgressAction(ActionBase):
    """Runs the module of the task, with a file for its progress."""

    _supports_async = True

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module once."""
        result = super().run(tmp, task_vars)
        in_background = bool(self._task.async_val) and not self._connection.has_native_async
        args = dict(self._task.args)
        seen_from_here = self._connection.transport == "local" and not self._task.become
        if in_background or not seen_from_here or "progress_file" in args:
            result.update(self._execute_module(module_args=args, task_vars=task_vars, wrap_async=in_background))
        else:
            host = (task_vars or {}).get("inventory_hostname", "")
            with tempfile.NamedTemporaryFile("r", dir=C.DEFAULT_LOCAL_TMP, encoding="utf-8") as progress:
                args["progress_file"] = progress.name
                with Shown(progress, lambda line: Display().display(f"[{host}] {line}")):
                    result.update(self._execute_module(module_args=args, task_vars=task_vars))
        if not in_background:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result


class Shown:
    """Shows the lines that come into a file, as long as the block runs."""

    def __init__(self, progress: IO[str], show: Callable[[str], None]) -> None:
        self._progress, self._show = progress, show
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        """Show line by line; the module writes each at once."""
        while not self._over.wait(POLL_SECONDS):
            for line in self._progress.read().splitlines():
                self._show(line)
