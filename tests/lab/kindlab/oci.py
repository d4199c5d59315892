# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Container images written without a container engine; the same inputs give the same bytes.

An archive is an OCI layout that also carries docker's ``manifest.json``, so that ``docker load`` and
``ctr images import`` (which is what ``kind load image-archive`` runs) both take it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True)
class File:
    """A file of a layer, owned by root; the content is read from a path or given as bytes."""

    path: str
    source: Path | bytes
    mode: int = 0o755


@dataclass(frozen=True)
class Link:
    """A symbolic link of a layer."""

    path: str
    target: str


@dataclass(frozen=True)
class Folder:
    """A directory of a layer; those above every item are made without being named."""

    path: str
    mode: int = 0o755


Item = File | Link | Folder


@dataclass(frozen=True)
class Blob:
    """A layer's tar on disk."""

    path: Path
    digest: str
    size: int


@dataclass(frozen=True)
class Image:
    """An image: its full reference with a tag, its layers from the lowest up, and docker's ``config`` fields."""

    reference: str
    layers: Sequence[Blob]
    config: Mapping[str, Any] = field(default_factory=dict)


def _blob(path: Path) -> Blob:
    with path.open("rb") as data:
        return Blob(path, hashlib.file_digest(data, "sha256").hexdigest(), path.stat().st_size)


def _member(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode = kind, mode
    return member


def _with_parents(items: Iterable[Item]) -> dict[str, Item]:
    """Return the items by relative path, in the order of a tar, with the folders above them."""
    named = {item.path.strip("/"): item for item in items}
    for name in list(named):
        for parent in PurePosixPath(name).parents:
            if str(parent) != ".":
                named.setdefault(str(parent), Folder(str(parent)))
    return dict(sorted(named.items()))


def write_layer(target: Path, items: Iterable[Item]) -> Blob:
    """Write a layer from single items; a path given twice keeps its last item."""
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as tar:
        for name, item in _with_parents(items).items():
            if isinstance(item, Folder):
                tar.addfile(_member(name, tarfile.DIRTYPE, item.mode))
            elif isinstance(item, Link):
                member = _member(name, tarfile.SYMTYPE, 0o777)
                member.linkname = item.target
                tar.addfile(member)
            else:
                data = item.source.read_bytes() if isinstance(item.source, Path) else item.source
                member = _member(name, tarfile.REGTYPE, item.mode)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return _blob(target)


def write_tree_layer(target: Path, tree: Path) -> Blob:
    """Write a layer from a whole root file system, keeping owners and modes and dropping times."""

    def timeless(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.mtime, member.uname, member.gname = 0, "", ""
        return member

    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as tar:
        for folder, folders, files in os.walk(tree):
            folders.sort()
            links = [name for name in folders if Path(folder, name).is_symlink()]
            here = os.path.relpath(folder, tree)
            if here != ".":
                tar.add(folder, here, recursive=False, filter=timeless)
            for name in sorted(files + links):
                tar.add(Path(folder, name), os.path.normpath(f"{here}/{name}"), recursive=False, filter=timeless)
    return _blob(target)


def _encoded(document: Any) -> tuple[bytes, str]:
    data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    return data, hashlib.sha256(data).hexdigest()


def _described(media_type: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": size}


def write_archive(target: Path, image: Image) -> None:
    """Write an image as one archive for ``docker load`` and ``ctr images import``."""
    config, config_digest = _encoded(
        {
            "architecture": "amd64",
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": dict(image.config),
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.digest}" for layer in image.layers]},
            "history": [{"created": "1970-01-01T00:00:00Z"} for _ in image.layers],
        }
    )
    manifest, manifest_digest = _encoded(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": _described(_CONFIG, config_digest, len(config)),
            "layers": [_described(_LAYER, layer.digest, layer.size) for layer in image.layers],
        }
    )
    described = {
        **_described(_MANIFEST, manifest_digest, len(manifest)),
        "platform": {"architecture": "amd64", "os": "linux"},
        "annotations": {
            "io.containerd.image.name": image.reference,
            "org.opencontainers.image.ref.name": image.reference.rsplit(":", 1)[1],
        },
    }
    index, _ = _encoded({"schemaVersion": 2, "mediaType": _INDEX, "manifests": [described]})
    layout, _ = _encoded({"imageLayoutVersion": "1.0.0"})
    blobs = "blobs/sha256/"
    docker, _ = _encoded(
        [
            {
                "Config": blobs + config_digest,
                "RepoTags": [image.reference],
                "Layers": [blobs + layer.digest for layer in image.layers],
            }
        ]
    )
    small = {
        "oci-layout": layout,
        "index.json": index,
        "manifest.json": docker,
        blobs + config_digest: config,
        blobs + manifest_digest: manifest,
    }
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in small.items():
            member = _member(name, tarfile.REGTYPE, 0o644)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for layer in {layer.digest: layer for layer in image.layers}.values():
            member = _member(blobs + layer.digest, tarfile.REGTYPE, 0o644)
            member.size = layer.size
            with layer.path.open("rb") as data:
                tar.addfile(member, data)
