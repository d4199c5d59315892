#!/usr/bin/env python3
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ansible-test sanity over the collection as a user receives it: built, and installed into a folder.

Arguments are handed to ansible-test, for example: sanity.py --test validate-modules
"""

from __future__ import annotations

import contextlib
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

from ansible_test._internal.python_requirements import get_venv_packages
from collection_tree import build, clean_environment, copy_dependency, install

# Only the Python that runs this: others may lie on PATH as stubs that do not start.
PYTHON = ".".join(platform.python_version_tuple()[:2])
BOOTSTRAP = Path(__file__).with_name("bootstrap_pip.py")


def bootstrap_path() -> Path:
    """Return where ansible-test looks for the script that puts pip into its environments, before it fetches one."""
    version = get_venv_packages(SimpleNamespace(version=PYTHON))["pip"].replace(".", "_")
    return Path.home() / ".ansible" / "test" / "cache" / f"get_pip_{version}.py"


@contextlib.contextmanager
def bootstrap_in_place() -> Iterator[None]:
    """Lend ansible-test a script that needs no fetching, unless it has one already."""
    path = bootstrap_path()
    if path.exists():
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(BOOTSTRAP, path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def main() -> int:
    """Build, install, run; return what ansible-test returns."""
    with tempfile.TemporaryDirectory(prefix="servicemesh-tcp-") as scratch, bootstrap_in_place():
        collections = Path(scratch) / "collections"
        folder = install(build(Path(scratch)), collections)
        copy_dependency(collections)
        command = ["ansible-test", "sanity", "--color", "no", "--truncate", "0", "--python", PYTHON, *sys.argv[1:]]
        return subprocess.run(command, cwd=folder, env=clean_environment(collections), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
