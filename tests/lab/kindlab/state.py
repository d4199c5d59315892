# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one lab remembers between commands, and the lock that keeps two commands on one lab apart."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields

from .console import Console
from .paths import LabPaths


@dataclass
class LabState:
    """Facts that cannot be had by looking. `ready` is set last, so a killed `up` leaves it false.

    `path` is the PATH with the lab's programs first; `rbac` a digest of the docs/rbac.yaml that was applied;
    `standins` names the stand-ins that run, with commas; `external_ip` is one of the addresses that a Service may name
    in its externalIPs.
    """

    mode: str = "kind"
    ready: bool = False
    engine: str = ""
    images: str = ""
    node_image: str = ""
    nodes: int = 1
    bare: bool = False
    slot: int = -1
    external_ip: str = ""
    api_port: int = 0
    rbac: str = ""
    created: str = ""
    path: str = ""
    standins: str = ""


def load_state(paths: LabPaths) -> LabState | None:
    """The lab's state, or None where there is none (or where it cannot be read: the lab is then made anew)."""
    try:
        raw = json.loads(paths.state_file.read_text())
    except (OSError, ValueError):
        return None
    known = {field.name for field in fields(LabState)}
    return LabState(**{key: value for key, value in raw.items() if key in known})


def save_state(paths: LabPaths, state: LabState) -> None:
    """Write the state in one step, so that a kill never leaves half a file."""
    paths.state_dir.mkdir(parents=True, exist_ok=True)
    draft = paths.state_file.with_suffix(".new")
    draft.write_text(json.dumps(asdict(state), indent=1) + "\n")
    draft.replace(paths.state_file)


@contextmanager
def lab_lock(paths: LabPaths, console: Console) -> Iterator[None]:
    """Hold the lab's lock; wait, and say for whom, while another command of the same lab works."""
    paths.lock_file.parent.mkdir(parents=True, exist_ok=True)
    with open(paths.lock_file, "a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            console.note(
                f"another command works on lab '{paths.name}' (process {handle.read().strip() or '?'}): waiting"
            )
            fcntl.flock(handle, fcntl.LOCK_EX)
        handle.seek(0)
        handle.truncate()
        handle.write(str(os.getpid()))
        handle.flush()
        yield
