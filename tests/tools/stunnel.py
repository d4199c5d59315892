#!/usr/bin/env python3
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the stunnel that proves the configuration which clients of a TLS door are given: Debian's, of any version.

The settings that are handed out ("checkHost", "verifyChain") are in every stunnel since 5.43.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

PACKAGE = "stunnel4"
OLDEST = (5, 43)


def version() -> str:
    """Return the version that stunnel says of itself, '' where there is none."""
    if shutil.which("stunnel") is None:
        return ""
    said = subprocess.run(["stunnel", "-version"], capture_output=True, text=True, check=False)
    found = re.search(r"stunnel (\d+\.\d+)", said.stdout + said.stderr)
    return found[1] if found else ""


def complaint(found: str) -> str:
    """Say what is wrong with a version, '' where nothing is."""
    if not found:
        return f"stunnel is missing; as root: apt-get install {PACKAGE}"
    if tuple(map(int, found.split("."))) < OLDEST:
        return f"stunnel is {found}; the test needs {'.'.join(map(str, OLDEST))} or later"
    return ""


def main() -> int:
    """Install it where it is missing and can be installed, and say what is there."""
    if complaint(version()) and shutil.which("apt-get"):
        print(f"stunnel: installing {PACKAGE} from the distribution", flush=True)
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", PACKAGE]
        if subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode:
            # A fresh machine has no lists of packages yet.
            subprocess.run(["apt-get", "update", "-qq"], check=False)
            subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    wrong = complaint(version())
    print(f"stunnel: {wrong or version()}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
