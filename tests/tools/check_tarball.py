#!/usr/bin/env python3
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the tarball, check that it holds what users need and nothing else, install it into an empty folder, use it."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from collection_tree import build, clean_environment, install

SERVED = re.compile(
    r"""
    (README|CHANGELOG)\.md | LICENSE | (MANIFEST|FILES)\.json
    | meta/(runtime|execution-environment)\.yml | meta/ee-requirements\.txt
    | changelogs/(config|changelog)\.yaml
    | docs/.+\.(json|md|yaml|yml)
    | inventories/(?!lab/).+\.(md|yml)
    | playbooks/[a-z_-]+\.(yml|md) | playbooks/(tasks|templates|vars)/.+
    | plugins/(action|doc_fragments|filter|module_utils|modules|plugin_utils)/[a-z0-9_]+\.(py|yml)
    | roles/[a-z_]+/(README\.md | (defaults|files|handlers|meta|tasks|templates|vars)/.+)
    | tests/config\.yml | tests/sanity/ignore-[0-9.]+\.txt
    """,
    re.VERBOSE,
)
NEEDED = ("README.md", "LICENSE", "meta/runtime.yml", "meta/execution-environment.yml", "playbooks/expose_tcp.yml")


def complaints(members: list[str]) -> list[str]:
    """Return what is wrong with a list of files: those that no user needs, and needed ones that are missing."""
    extra = [
        f"{member}: no user needs it; add it to build_ignore" for member in members if not SERVED.fullmatch(member)
    ]
    missing = [f"{name}: it is missing" for name in NEEDED if name not in members]
    return extra + missing


def callable_playbooks(folder: Path) -> list[str]:
    """Return the playbooks that have a name by FQCN: a dash cannot be in one."""
    return sorted(path.stem for path in (folder / "playbooks").glob("*.yml") if "-" not in path.stem)


def check_syntax(playbook: str, collections: Path) -> bool:
    """Let Ansible parse an installed playbook and the roles that it names, from an empty folder."""
    command = ["ansible-playbook", "-i", "localhost,", "--syntax-check", f"servicemesh.tcp.{playbook}"]
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run(
            command, cwd=empty, env=clean_environment(collections), capture_output=True, text=True, check=False
        )
    print(f"tarball: servicemesh.tcp.{playbook}: {'ok' if done.returncode == 0 else 'does not parse'}", flush=True)
    if done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
    return done.returncode == 0


def main() -> int:
    """Run the checks, all of them, and return 1 when one failed."""
    with tempfile.TemporaryDirectory(prefix="servicemesh-tcp-") as scratch:
        tarball = build(Path(scratch))
        with tarfile.open(tarball) as archive:
            members = [member.name for member in archive.getmembers() if not member.isdir()]
        wrong = complaints(members)
        print(f"tarball: {tarball.name}, {len(members)} files, {tarball.stat().st_size // 1024} KiB", flush=True)
        for line in wrong:
            print(f"tarball: {line}", file=sys.stderr)
        collections = Path(scratch) / "collections"
        parsed = [check_syntax(name, collections) for name in callable_playbooks(install(tarball, collections))]
    return 0 if all(parsed) and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
