# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the things of one lab lie."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from . import cache
from .console import LabError

CHECKOUT = Path(__file__).resolve().parents[3]
CLUSTER_FILES = Path(__file__).resolve().parents[1] / "cluster"
# Sockets lie here: a unix socket's path must stay below 108 characters, and a checkout may lie anywhere.
MACHINE_RUN = Path("/run/servicemesh-tcp-lab")
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,22}[a-z0-9])?")


@dataclass(frozen=True)
class LabPaths:
    """Paths of the lab `name`; `id` also carries the checkout, so that two checkouts can both have a lab `lab`."""

    name: str
    id: str
    state_dir: Path
    run_dir: Path
    data_dir: Path

    @property
    def state_file(self) -> Path:
        return self.state_dir / "state.json"

    @property
    def kubeconfig(self) -> Path:
        return self.state_dir / "kubeconfig"

    @property
    def direct_kubeconfig(self) -> Path:
        """The admin's way to the API server, also while `kubeconfig` leads through the proxy of the stand-ins."""
        kept = self.state_dir / "kubeconfig-direct"
        return kept if kept.exists() else self.kubeconfig

    @property
    def tcp_kubeconfig(self) -> Path:
        return self.state_dir / "kubeconfig-tcp"

    @property
    def logs(self) -> Path:
        return self.state_dir / "logs"

    @property
    def lock_file(self) -> Path:
        # Beside the lab's folder, not in it: `down` removes the folder while it holds the lock.
        return self.state_dir.parent / ".locks" / self.name

    @property
    def docker_socket(self) -> Path:
        return self.run_dir / "docker.sock"


def lab_paths(name: str, checkout: Path = CHECKOUT) -> LabPaths:
    """Paths of a lab of this checkout. Raises LabError for a name that Kubernetes or the kernel would refuse."""
    if not NAME.fullmatch(name):
        raise LabError(
            f"'{name}' cannot be a lab's name",
            "use 1 to 24 small letters, digits and dashes, with a letter or digit first and last",
        )
    lab_id = f"{name}-{hashlib.sha256(str(checkout).encode()).hexdigest()[:6]}"
    return LabPaths(
        name=name,
        id=lab_id,
        state_dir=checkout / ".lab" / name,
        run_dir=MACHINE_RUN / lab_id,
        data_dir=cache.root() / "run" / lab_id,
    )
