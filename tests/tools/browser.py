#!/usr/bin/env python3
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring the headless browser that the report's test needs: Debian's Chromium and its driver, of one version.

Neither comes from a Python package: the distribution's are built for this machine, and updated with it. What is pinned
is that the two belong together, and that they are no older than the page needs.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

PACKAGES = {"chromium": "chromium", "chromedriver": "chromium-driver"}
# CSS of the page: "clip-path", ":focus-visible", "break-inside" and CSP hashes are all older than this.
OLDEST = 120


def version(program: str) -> str:
    """Return the version that a program says of itself, '' where there is no such program."""
    if shutil.which(program) is None:
        return ""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"\d+\.\d+\.\d+\.\d+", said)
    return found[0] if found else ""


def complaint(browser: str, driver: str) -> str:
    """Say what is wrong with a pair of versions, '' where nothing is."""
    for name, found in (("chromium", browser), ("chromedriver", driver)):
        if not found:
            return f"{name} is missing; as root: apt-get install {' '.join(PACKAGES.values())}"
    if browser.split(".")[0] != driver.split(".")[0]:
        return f"chromium is {browser} and chromedriver {driver}; they must be of one major version"
    if int(browser.split(".")[0]) < OLDEST:
        return f"chromium is {browser}; the test needs {OLDEST} or later"
    return ""


def main() -> int:
    """Install what is missing, where that can be done, and say what is there."""
    if complaint(version("chromium"), version("chromedriver")) and shutil.which("apt-get"):
        print(f"browser: installing {' and '.join(PACKAGES.values())} from the distribution", flush=True)
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES.values()]
        if subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode:
            # A fresh machine has no lists of packages yet.
            subprocess.run(["apt-get", "update", "-qq"], check=False)
            subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    wrong = complaint(version("chromium"), version("chromedriver"))
    print(f"browser: {wrong or 'chromium ' + version('chromium')}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
