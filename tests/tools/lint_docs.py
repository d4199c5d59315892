#!/usr/bin/env python3
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the documentation of every module, filter and role, and what it refers to, with antsibull-docs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from collection_tree import build, clean_environment, install


def main() -> int:
    """Check the collection as it is installed; kubernetes.core, whose documentation ours extends, is this Python's."""
    with tempfile.TemporaryDirectory(prefix="servicemesh-tcp-") as scratch:
        collections = Path(scratch) / "collections"
        folder = install(build(Path(scratch)), collections)
        command = ["antsibull-docs", "lint-collection-docs", "--plugin-docs"]
        # Not "all": that would read the manuals of every collection there is, for minutes.
        command += ["--validate-collection-refs=dependent", str(folder)]
        # antsibull-docs copies what ours depends on, and inside a git checkout only what git knows: nothing of .venv.
        environment = {**clean_environment(collections), "GIT_CEILING_DIRECTORIES": sys.prefix}
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
