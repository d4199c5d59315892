# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of `lab`: each returns its exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from . import status
from .clear import clear
from .console import Console, LabError
from .environment import current_engine, lab_env
from .lifecycle import up
from .options import parse
from .paths import LabPaths, lab_paths
from .state import LabState, lab_lock, load_state

DOWN = 3  # exit code of commands that need a lab which is not there


def main(arguments: Sequence[str]) -> int:
    """Run one command; 0 is success, 1 an error, 2 a wrong command line, 3 a lab that is not up."""
    options = parse(arguments)
    try:
        return COMMANDS[options.command](lab_paths(options.name), options)
    except LabError as error:
        print(f"lab: {error.message}\n  {error.remedy}", file=sys.stderr)
        return 1
    except PermissionError as error:
        print(f"lab: {error.filename} is not open to this user.\n  Run it as root or as its owner.", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader (`head`, say) has gone; without this Python complains again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("lab: stopped. `lab up` goes on or starts anew, `lab down` clears what there is.", file=sys.stderr)
        return 130


def _up(paths: LabPaths, options: argparse.Namespace) -> int:
    up(paths, options, Console())
    return 0


def _down(paths: LabPaths, options: argparse.Namespace) -> int:
    console = Console()
    with lab_lock(paths, console):
        cleared = clear(paths)
    console.note(
        f"lab '{paths.name}' is down: " + (f"removed {', '.join(cleared)}" if cleared else "there was nothing")
    )
    return 0


def _status(paths: LabPaths, options: argparse.Namespace) -> int:
    state = load_state(paths)
    if state is None:
        print(f"lab '{paths.name}' is down")
        return DOWN
    ready, rows = status.describe(paths, state)
    for what, value in rows:
        print(f"{what:16}{value}")
    return 0 if ready else DOWN


def _kubeconfig(paths: LabPaths, options: argparse.Namespace) -> int:
    _state_of(paths)
    print(paths.kubeconfig)
    return 0


def _logs(paths: LabPaths, options: argparse.Namespace) -> int:
    state = _state_of(paths)
    _become(paths, state, status.log_command(paths, state, options.component, options.target, options.lines))


def _exec(paths: LabPaths, options: argparse.Namespace) -> int:
    if not options.argv:
        raise LabError("Which command?", "lab exec -- kubectl get pods --all-namespaces")
    _become(paths, _state_of(paths), options.argv, KUBECONFIG=str(paths.kubeconfig))


def _state_of(paths: LabPaths) -> LabState:
    state = load_state(paths)
    if state is None:
        raise LabError(f"Lab '{paths.name}' is down.", f"Bring it up: tests/lab/lab up --name {paths.name}")
    return state


def _become(paths: LabPaths, state: LabState, argv: Sequence[str], **variables: str) -> NoReturn:
    """Replace this program by a command in the lab's environment, with these variables instead of its own."""
    env = lab_env(paths, state.path)
    engine = current_engine(paths, state, env) if state.mode == "kind" else None
    try:
        os.execvpe(argv[0], list(argv), dict(engine.env if engine else env) | variables)
    except FileNotFoundError:
        raise LabError(
            f"There is no program {argv[0]}.", "The lab's own are kubectl, kind, istioctl and docker."
        ) from None


COMMANDS = {"up": _up, "down": _down, "status": _status, "kubeconfig": _kubeconfig, "logs": _logs, "exec": _exec}
