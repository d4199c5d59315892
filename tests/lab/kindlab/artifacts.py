# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab's runtime takes from the cache, built first where it is missing."""

from __future__ import annotations

import platform
from collections.abc import Collection, Iterable
from pathlib import Path

from . import cache, meshimages, nodeimage, pins, programs, unpacked
from .cache import Part
from .console import Console, LabError
from .nodeimage import NodeImage
from .unpacked import Engine


def check_architecture(machine: str) -> None:
    """Raise LabError for an architecture (as ``uname -m`` names it) on which nothing here was ever seen to work."""
    if machine != pins.ARCHITECTURE:
        raise LabError(
            f"This machine is {machine}; the lab is built for {pins.ARCHITECTURE} only.",
            f"Use a machine with {pins.ARCHITECTURE}, or point the tests at a cluster that you have: TCP_LAB=existing.",
        )


def engine_parts() -> tuple[Part, ...]:
    """The parts behind ``ensure_engine``, for ``announce``."""
    return (unpacked.part(),)


def program_parts(names: Collection[str]) -> tuple[Part, ...]:
    """The parts behind ``ensure_programs``, for ``announce``."""
    return programs.parts(names)


def node_image_parts() -> tuple[Part, ...]:
    """The parts behind ``ensure_node_image``, for ``announce``."""
    return (nodeimage.part(),)


def mesh_image_parts() -> tuple[Part, ...]:
    """The parts behind ``ensure_mesh_images``, for ``announce``."""
    return (meshimages.part(),)


def announce(console: Console, parts: Iterable[Part]) -> list[Part]:
    """Print which of these parts, with what they need, must be built and about how long that takes; return those."""
    cold = cache.cold(parts)
    if cold:
        minutes = max(1, round(sum(part.seconds for part in cold) / 60))
        names = ", ".join(part.name for part in cold)
        console.note(f"{len(cold)} parts to build once, about {minutes} min on two cores: {names}")
        console.note(f"They are kept in {cache.root()}; an interrupted build goes on with the part that it was at")
        console.expect(len(cold))
    return cold


def ensure_engine(console: Console) -> Engine:
    """Return an unpacked docker with its helpers; put its ``bin`` first on PATH."""
    check_architecture(platform.machine())
    return unpacked.ensure(console)


def ensure_programs(console: Console, names: Iterable[str]) -> dict[str, Path]:
    """Return the paths of Go programs (kind, kubectl, etcd, istioctl, ...), compiling only the families they are of."""
    check_architecture(platform.machine())
    return programs.ensure(names, console)


def ensure_node_image(console: Console) -> NodeImage:
    """Return kind's node image as an archive for ``docker load``, and its reference."""
    check_architecture(platform.machine())
    return nodeimage.ensure(console)


def ensure_mesh_images(console: Console) -> list[tuple[str, Path]]:
    """Return (reference, archive for ``kind load image-archive``) of Istio's images, the echo server and a toolbox."""
    check_architecture(platform.machine())
    return meshimages.ensure(console)
