# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Child processes that end with the lab, keep a log and fail with the end of that log."""

from __future__ import annotations

import ctypes
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .console import LabError

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """For ``preexec_fn``: the kernel kills the child when the lab is killed, so nothing builds on without the lock."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def tail(log: Path, lines: int = 12) -> str:
    """Return the last lines of a log, indented for an error message."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return "\n".join("    " + line for line in text.splitlines()[-lines:])


def failure(what: str, log: Path) -> LabError:
    """Return the error for a command that failed and wrote its output to ``log``."""
    return LabError(f"{what} failed. The end of its output:\n{tail(log)}", f"The whole output is in {log}.")


def run(
    argv: Sequence[str | Path],
    what: str,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    accept: Sequence[int] = (0,),
) -> None:
    """Run a command to its end, appending its output to ``log``; raise LabError for an exit code not in ``accept``."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        out.write(f"$ {' '.join(map(str, argv))}\n".encode())
        out.flush()
        done = subprocess.run(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env=env,
            cwd=cwd,
            preexec_fn=die_with_parent,
            check=False,
        )
    if done.returncode not in accept:
        raise failure(what, log)


def output(argv: Sequence[str | Path], what: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """Run a short command and return what it printed; raise LabError with its complaint when it fails."""
    done = subprocess.run(
        [str(word) for word in argv],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=env,
        cwd=cwd,
        preexec_fn=die_with_parent,
        check=False,
    )
    if done.returncode != 0:
        raise LabError(f"{what} failed: {done.stderr.strip()[-2000:]}", f"Run it by hand: {' '.join(map(str, argv))}")
    return done.stdout
