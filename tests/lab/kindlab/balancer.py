# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Load-balancer addresses: a unit inside the control plane's node, so that it lives and dies with the cluster."""

from __future__ import annotations

import io
import tarfile

from .addresses import Addresses
from .commands import run
from .engine import Engine
from .paths import CLUSTER_FILES

FOLDER = "usr/local/lib/lab"
UNIT = "lab-balancer.service"


def files(plan: Addresses) -> dict[str, tuple[str, int]]:
    """What goes into the node: path -> text and mode."""
    pool = str(plan.pool.network_address).rpartition(".")[0]
    unit = (CLUSTER_FILES / "balancer.service").read_text().replace("@POOL@", pool)
    return {
        f"{FOLDER}/balancer.sh": ((CLUSTER_FILES / "balancer.sh").read_text(), 0o755),
        f"{FOLDER}/balancer.jq": ((CLUSTER_FILES / "balancer.jq").read_text(), 0o644),
        f"etc/systemd/system/{UNIT}": (unit, 0o644),
    }


def archive(contents: dict[str, tuple[str, int]]) -> bytes:
    """These files as a tar stream."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, (text, mode) in contents.items():
            data = text.encode()
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(data), mode
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def install(engine: Engine, node: str, plan: Addresses) -> None:
    """Put the balancer into the node and start it."""
    run(
        ["docker", "exec", "--interactive", node, "tar", "-C", "/", "-xf", "-"],
        env=engine.env,
        feed=archive(files(plan)),
    )
    engine.docker("exec", node, "systemctl", "enable", "--now", "--quiet", UNIT)
