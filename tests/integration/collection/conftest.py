# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for tests that run the playbooks against the lab under the documented rights."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import Cluster, Exposure, Playbooks

ROOT = Path(__file__).resolve().parents[3]
# The ansible-playbook beside this Python, also where the virtual environment is not activated.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """Return the running lab, which TCP_LAB_NAME names if it is another one than make lab's; there must be one."""
    folder = ROOT / ".lab" / os.environ.get("TCP_LAB_NAME", "lab")
    if not (folder / "kubeconfig-tcp").exists():
        pytest.fail("the lab is not up: run 'make lab' first")
    return Cluster(admin=folder / "kubeconfig", limited=folder / "kubeconfig-tcp")


@pytest.fixture
def playbooks(cluster: Cluster, tmp_path: Path) -> Playbooks:
    """Return a runner of the collection's playbooks under the limited service account."""
    return Playbooks(ROOT, cluster, tmp_path)


@pytest.fixture(scope="module")
def exposure(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Exposure]]:
    """Return a namespace pair with one echo server and one running gateway; removed after the module."""
    name = f"it-{uuid.uuid4().hex[:6]}"
    runner = Playbooks(ROOT, cluster, tmp_path_factory.mktemp(name))
    made = Exposure(name, runner)
    made.make()
    yield made
    made.remove()
