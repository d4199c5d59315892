# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Istio's images and a toolbox, for clusters that reach no registry; archives for ``kind load image-archive``."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from . import cache, imagefiles, oci, pins, programs, rootfs, unpacked
from .console import Console
from .oci import File, Folder, Image, Item
from .process import output

_PROGRAMS = ("pilot-discovery", "pilot-agent", "tcp-echo")
PILOT = f"{pins.MESH_HUB}/pilot:{pins.MESH_TAG}"
PROXY = f"{pins.MESH_HUB}/proxyv2:{pins.MESH_TAG}"
# Reference -> archive name, in the order in which they are needed.
_ARCHIVES = {
    PILOT: "pilot.tar",
    PROXY: "proxyv2.tar",
    pins.ECHO_IMAGE: "tcp-echo.tar",
    pins.TOOLBOX_IMAGE: "toolbox.tar",
}
_ISTIO_USER = "1337:1337"
# What the Envoy wheel says it was linked to; all of them are glibc's.
_ENVOY_LIBRARIES = ("libm.so.6", "librt.so.1", "libdl.so.2", "libpthread.so.0", "libc.so.6")


def _envoy_part() -> cache.Part:
    def build(folder: Path, log: Path, console: Console) -> None:
        unpacked.install_wheel(pins.ENVOY_WHEEL, folder, log, console)

    inputs = {"wheel": pins.ENVOY_WHEEL}
    return cache.Part("envoy", f"Envoy, {pins.ENVOY_WHEEL}", 10, inputs, build, tools=(unpacked.part(),))


def _glibc(tree: Path) -> list[Item]:
    libraries = [f"lib/x86_64-linux-gnu/{name}" for name in _ENVOY_LIBRARIES]
    return [File(path, rootfs.inside(tree, path)) for path in ("lib64/ld-linux-x86-64.so.2", *libraries)]


def _items(console: Console) -> dict[str, tuple[list[Item], dict[str, object]]]:
    """Return for each reference the files of its image and its configuration."""
    engine, tree = unpacked.ensure(console), rootfs.ensure(console)
    found = programs.ensure(_PROGRAMS, console)
    envoy = cache.entry(_envoy_part(), console) / "envoy/_bin/envoy"
    bootstrap = programs.files("istio", console) / "envoy_bootstrap.json"
    shell = [*imagefiles.base(), *imagefiles.busybox(engine)]
    applets = output([engine.bin / "busybox", "--list"], "busybox --list").split()
    applets.remove("busybox")

    def program(name: str) -> File:
        return File(f"usr/local/bin/{name}", found[name])

    def configuration(entrypoint: str, *arguments: str, user: str = "", env: Sequence[str] = ()) -> dict[str, object]:
        return {"Entrypoint": [entrypoint, *arguments], "User": user, "Env": [imagefiles.PATH, *env]}

    proxy = [
        *shell,
        *imagefiles.network_tools(tree),
        *_glibc(tree),
        program("pilot-agent"),
        File("usr/local/bin/envoy", envoy),
        File("var/lib/istio/envoy/envoy_bootstrap_tmpl.json", bootstrap, 0o644),
        Folder("var/lib/istio/data", 0o777),
        Folder("etc/istio/proxy", 0o777),
    ]
    version = f"ISTIO_META_ISTIO_VERSION={pins.ISTIO}"
    return {
        PILOT: (
            [*shell, program("pilot-discovery")],
            configuration("/usr/local/bin/pilot-discovery", user=_ISTIO_USER),
        ),
        PROXY: (proxy, configuration("/usr/local/bin/pilot-agent", user=_ISTIO_USER, env=[version])),
        pins.ECHO_IMAGE: ([*shell, File("bin/tcp-echo", found["tcp-echo"])], configuration("/bin/tcp-echo")),
        pins.TOOLBOX_IMAGE: (
            [*imagefiles.base(), *imagefiles.busybox(engine, applets)],
            configuration("/bin/busybox", "sleep", "2147483647"),
        ),
    }


def _build(folder: Path, log: Path, console: Console) -> None:
    scratch = folder / "scratch"
    scratch.mkdir()
    for reference, (items, configuration) in _items(console).items():
        layer = oci.write_layer(scratch / "layer", items)
        oci.write_archive(folder / _ARCHIVES[reference], Image(reference, [layer], configuration))
    shutil.rmtree(scratch)


def part() -> cache.Part:
    """Return the mesh images as a part of the cache."""
    inputs = {
        "code": cache.code_digests("meshimages.py", "imagefiles.py", "oci.py"),
        "references": _ARCHIVES,
        "version": pins.ISTIO,
    }
    needs = (unpacked.part(), rootfs.part(), *programs.parts(_PROGRAMS), _envoy_part())
    return cache.Part("mesh-images", "Istio's images", 10, inputs, _build, needs)


def ensure(console: Console) -> list[tuple[str, Path]]:
    """Return (reference, archive) of every image, building them and what they are made of first when missing."""
    folder = cache.entry(part(), console)
    return [(reference, folder / name) for reference, name in _ARCHIVES.items()]
