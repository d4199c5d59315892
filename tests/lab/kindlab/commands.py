# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a command of the host and getting its output, or an error with the last lines it printed."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from .console import LabError
from .process import die_with_parent


def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    feed: str | bytes | Path = b"",
    check: bool = True,
    timeout: float = 600,
) -> subprocess.CompletedProcess[str]:
    """Run a command, with `feed` (text, bytes, or a file) as its input, and return its output.

    Raises LabError with the last lines it printed when it fails and `check` is set, when it is missing, or when it
    takes longer than `timeout` seconds.
    """
    with feed.open("rb") if isinstance(feed, Path) else nullcontext() as file:
        given = {"stdin": file} if file else {"input": feed.encode() if isinstance(feed, str) else feed}
        try:
            done = subprocess.run(
                list(command),
                env=dict(env) if env is not None else None,
                **given,
                capture_output=True,
                timeout=timeout,
                preexec_fn=die_with_parent,
                check=False,
            )
        except FileNotFoundError:
            raise LabError(
                f"The program {command[0]} is missing.", "Install it, or run `lab up`, which unpacks it."
            ) from None
        except subprocess.TimeoutExpired:
            what = f"`{brief(command)}` did not end within {timeout:.0f} s."
            raise LabError(what, "See `lab status` and `lab logs`.") from None
    out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    if check and done.returncode != 0:
        tail = "\n    ".join((err or out).strip().splitlines()[-12:])
        what = f"`{brief(command)}` failed with exit code {done.returncode}:\n    {tail}"
        raise LabError(what, "Run it by hand with `lab exec -- ...`; `lab logs` shows what the lab's parts say.")
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def brief(command: Sequence[str], width: int = 100) -> str:
    """A command as one short line for messages."""
    line = " ".join(str(word) for word in command)
    return line if len(line) <= width else line[: width - 3] + "..."
