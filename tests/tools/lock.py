#!/usr/bin/env python3
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write tests/requirements*.txt, every package at one version, from the short lists in tests/requirements*.in."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
LICENCE = "".join(Path(__file__).read_text().splitlines(keepends=True)[1:3])
# ansible 11.0.0 carries kubernetes.core 5.0.0, the oldest served, but asks for a newer ansible-core than 2.16:
# pip would refuse the two together, and make_venv.py installs a list as it is.
CARRIERS = {"requirements-2.16": ["ansible==11.0.0"]}


def freeze(wanted: Path) -> list[str]:
    """Install a short list into an empty environment and return every package that came with it."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [f"{folder}/bin/python", "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--quiet", "-r", str(wanted)], check=True)
        return subprocess.run([*pip, "freeze"], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()


def main() -> None:
    """Write both lists."""
    for wanted in sorted(TESTS.glob("requirements*.in")):
        print(f"lock: {wanted.name}", flush=True)
        packages = freeze(wanted) + CARRIERS.get(wanted.stem, [])
        packages.sort(key=lambda line: line.partition("==")[0].lower())
        text = f'{LICENCE}# Written by "make lock" from tests/{wanted.name}, for Python 3.11.\n' + "\n".join(packages)
        wanted.with_suffix(".txt").write_text(f"{text}\n")


if __name__ == "__main__":
    main()
