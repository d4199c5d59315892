# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the node image and Istio's images come from: pulled where a registry answers, otherwise built."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import artifacts, cache, pins
from .console import Console
from .engine import Engine
from .store import prepared_store

# kind's own default for this version of kind, by digest.
PULLED_NODE = "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"
PULLED_MESH_TAG = "1.31.1"
REGISTRY = "https://registry-1.docker.io/v2/"


@dataclass(frozen=True)
class Images:
    """What the cluster runs: `source` is `pulled` or `built`; `store` is the prepared data-root of an own engine."""

    source: str
    node: str
    mesh_hub: str
    mesh_tag: str
    archives: tuple[Path, ...]
    store: Path | None


def registry_answers(url: str = REGISTRY, seconds: float = 4) -> bool:
    """Whether the registry of the published images speaks to this machine (it asks for a login, and that will do)."""
    try:
        urllib.request.urlopen(url, timeout=seconds).close()
    except urllib.error.HTTPError as answer:
        return answer.code == 401
    except (OSError, ValueError):
        return False
    return True


def built(own_engine: bool, bare: bool, env: Mapping[str, str], console: Console) -> Images:
    """Build what is not in the cache; an own engine also gets a store with the node image in it."""
    node = artifacts.ensure_node_image(console)
    mesh = () if bare else tuple(path for _, path in artifacts.ensure_mesh_images(console))

    def fill(engine: Engine, _folder: Path, _console: Console) -> None:
        engine.docker("load", "--quiet", "--input", str(node.archive), timeout=600)

    def images(docker: Path | None) -> Images:
        return Images("built", node.reference, pins.MESH_HUB, pins.MESH_TAG, mesh, docker)

    console.expect(0)  # what was announced is built; what follows is of this machine's docker
    if own_engine:
        store = prepared_store("image-store", {"archive": str(node.archive)}, 20, fill, env)
        return images(cache.entry(store, console) / "docker")
    running = Engine("host", env)
    # The tag carries the key of all inputs, so an image of that name is that image.
    if running.docker("image", "inspect", node.reference, check=False).returncode != 0:
        with console.step("the node image into docker", "about 10 s"):
            fill(running, node.archive.parent, console)
    return images(None)


def pulled(own_engine: bool, bare: bool, env: Mapping[str, str], console: Console) -> Images:
    """Pull what is not there; Istio's images become archives, so that every node gets them the same way."""
    mesh = [] if bare else [f"{pins.MESH_HUB}/{name}:{PULLED_MESH_TAG}" for name in ("pilot", "proxyv2")]
    wanted = [PULLED_NODE, *mesh] + ([] if bare else [pins.ECHO_IMAGE])

    def fetch(engine: Engine, folder: Path, console: Console) -> None:
        for number, image in enumerate(wanted):
            console.progress("pulling", number + 1, len(wanted), image)
            engine.docker("pull", "--quiet", image, timeout=1800)
            if image != PULLED_NODE:
                engine.docker("save", "--output", str(folder / f"{number}.tar"), image)

    inputs = {"images": wanted}
    if own_engine:
        part = prepared_store("pulled-store", inputs, 120, fetch, env)
    else:
        running = Engine("host", env)
        part = cache.Part(
            "pulled-images", "published images", 120, inputs, lambda folder, _, console: fetch(running, folder, console)
        )
    folder = cache.entry(part, console)
    archives = tuple(sorted(folder.glob("*.tar")))
    return Images(
        "pulled", PULLED_NODE, pins.MESH_HUB, PULLED_MESH_TAG, archives, folder / "docker" if own_engine else None
    )
