# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the collection and install it into an empty folder, as a user receives it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def clean_environment(collections: Path) -> dict[str, str]:
    """Return an environment without Ansible settings of ours, in which collections are looked for in one folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    return {**kept, "ANSIBLE_COLLECTIONS_PATH": str(collections)}


def build(target: Path) -> Path:
    """Build the tarball into a folder and return its path."""
    command = ["ansible-galaxy", "collection", "build", "--force", "--output-path", str(target), str(ROOT)]
    # Not from the checkout: its ansible.cfg is not the user's.
    subprocess.run(command, env=clean_environment(target), cwd=target, stdout=subprocess.DEVNULL, check=True)
    (tarball,) = target.glob("*.tar.gz")
    return tarball


def install(tarball: Path, collections: Path) -> Path:
    """Install a tarball below ``collections``, without its dependencies, and return the collection's folder."""
    options = ["--offline", "--no-deps", "-p", str(collections)]
    command = ["ansible-galaxy", "collection", "install", *options, str(tarball)]
    environment = clean_environment(collections)
    subprocess.run(command, env=environment, cwd=tarball.parent, stdout=subprocess.DEVNULL, check=True)
    return collections / "ansible_collections" / "servicemesh" / "tcp"


def copy_dependency(collections: Path) -> None:
    """Copy the kubernetes.core that this Python has beside the collection, for tools that look nowhere else."""
    # Imported late: only an environment with the ansible package has it.
    import ansible_collections.kubernetes.core as dependency

    target = collections / "ansible_collections" / "kubernetes"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copytree(next(iter(dependency.__path__)), target / "core", symlinks=True)
