# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the lab's processes by looking at /proc, measuring and ending them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from .console import LabError


def command_lines() -> Iterable[tuple[int, list[str]]]:
    """Every process of the machine with its arguments."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                yield int(folder.name), (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
            except OSError:
                continue  # ended meanwhile


def with_arguments(*wanted: str) -> list[int]:
    """Processes whose arguments hold all the wanted words: how a lab finds its own without remembering numbers."""
    return [pid for pid, words in command_lines() if all(word in words for word in wanted)]


def parents() -> dict[int, int]:
    """Process -> parent process, for the whole machine."""
    result = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            result[int(folder.name)] = int(fields[1])
    return result


def descendants(roots: Iterable[int]) -> set[int]:
    """The given processes and everything below them."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents().items():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    todo = list(roots)
    while todo:
        pid = todo.pop()
        if pid not in found:
            found.add(pid)
            todo.extend(children.get(pid, ()))
    return found


def memory_bytes(pids: Iterable[int]) -> int:
    """Memory of these processes in bytes, shared pages counted once (proportional set size)."""
    total = 0
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        for line in rollup.splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def end(pids: Iterable[int], sig: int = signal.SIGKILL, wait: float = 20) -> None:
    """Send a signal to the processes and wait until they are gone. Raises LabError for one that stays."""
    left = {pid for pid in pids if pid != os.getpid()}
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, sig)
    until = time.monotonic() + wait
    while left := {pid for pid in left if _alive(pid)}:
        if time.monotonic() > until:
            raise LabError(
                f"processes {sorted(left)} do not end", "end them by hand (kill -9), then run `lab down` again"
            )
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return stat[0] not in "ZX"
