#!/usr/bin/env python3
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build a virtual environment from a list of pins, unless one built from the same list is there.

usage: make_venv.py FOLDER PINS
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

SERVED_PYTHONS = ((3, 11), (3, 12))
STAMP = ".pins.sha256"
REPORT_EVERY = 20  # packages


class VenvError(Exception):
    """Something that the user has to mend; the text says what and how."""


def pinned(pins: Path) -> list[str]:
    """Return the lines of a list that name a package."""
    return [line for line in pins.read_text().splitlines() if line and not line.startswith("#")]


def stamp_of(pins: Path) -> str:
    """Return what identifies an environment: its pins and the minor version of Python."""
    return hashlib.sha256(repr((pinned(pins), sys.version_info[:2])).encode()).hexdigest()


def is_current(folder: Path, stamp: str) -> bool:
    """Tell whether the environment in ``folder`` is whole and made from the pins that ``stamp`` stands for."""
    try:
        return (folder / STAMP).read_text() == stamp and os.access(folder / "bin" / "python", os.X_OK)
    except FileNotFoundError:
        return False


def require_python() -> None:
    """Refuse a Python that the pinned versions were not chosen for."""
    if sys.version_info[:2] not in SERVED_PYTHONS:
        served = " or ".join(f"{major}.{minor}" for major, minor in SERVED_PYTHONS)
        raise VenvError(
            f"Python {sys.version_info[0]}.{sys.version_info[1]} is not served, the pinned versions need {served}.\n"
            "  Name one that is: make PYTHON=/path/to/python3.11"
        )


def require_ensurepip() -> None:
    """Make sure that ``python -m venv`` can put pip into an environment: Debian keeps that in a package of its own."""
    if importlib.util.find_spec("ensurepip"):
        return
    package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise VenvError(f"Python's venv module is not complete here.\n  Install it as root: apt-get install {package}")
    print(f"venv: installing the Debian package {package}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=environment, check=True)
    subprocess.run(["apt-get", "install", "-y", "-qq", package], env=environment, check=True)


def install(folder: Path, pins: Path) -> None:
    """Install the pinned packages, and nothing that is not in the list, into an environment."""
    total = len(pinned(pins))
    print(f"venv: installing {total} pinned packages into {folder.name}", flush=True)
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--no-deps", "--disable-pip-version-check"]
    command += ["--no-input", "--progress-bar=off", "-r", str(pins)]
    started, seen, lines = time.monotonic(), 0, []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        for line in pip.stdout or ():
            lines.append(line)
            if line.startswith("Collecting "):
                seen += 1
                if seen % REPORT_EVERY == 0:
                    print(f"venv: {seen} of {total} fetched, {time.monotonic() - started:.0f} s", flush=True)
            elif line.startswith("Installing collected"):
                print(f"venv: unpacking, {time.monotonic() - started:.0f} s", flush=True)
    if pip.returncode:
        sys.stderr.write("".join(lines[-25:]))
        raise VenvError(f"pip could not install {pins}: see above.\n  Is the package index reachable?")


def build(folder: Path, pins: Path) -> None:
    """Build the environment anew; the stamp is written last, so that an interrupted build is never taken for whole."""
    stamp = stamp_of(pins)
    if is_current(folder, stamp):
        return
    require_python()
    require_ensurepip()
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    install(folder, pins)
    (folder / STAMP).write_text(stamp)
    print(f"venv: {folder.name} is ready, {time.monotonic() - started:.0f} s", flush=True)


def main(arguments: list[str]) -> int:
    """Build under a lock: two ``make`` at once must not write one environment together."""
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    folder, pins = Path(arguments[0]).absolute(), Path(arguments[1])
    with open(folder.with_name(folder.name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            build(folder, pins)
        except VenvError as error:
            print(f"venv: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
