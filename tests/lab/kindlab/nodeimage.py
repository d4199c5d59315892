# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kind's node image, put together from Debian packages, kind's own base files and the programs compiled here."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import cache, imagefiles, oci, pins, programs, rootfs, unpacked
from .console import Console
from .oci import Blob, File, Image
from .process import run

_FILES = Path(__file__).resolve().parent.parent / "node"
_KUBE_PROXY = f"registry.k8s.io/kube-proxy:{pins.KUBERNETES}"
_NODE_PROGRAMS = ("kubelet", "kubectl", "kubeadm")
_IMAGE_PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "etcd", "coredns")
_CNI_PLUGINS = ("host-local", "loopback", "portmap", "ptp")
# kind's Dockerfile clears the same: a container needs neither devices nor logins nor temporary files from systemd.
_UNWANTED_UNITS = (
    "lib/systemd/system/sysinit.target.wants/systemd-tmpfiles-setup.service",
    "lib/systemd/system/multi-user.target.wants/*",
    "etc/systemd/system/*.wants/*",
    "lib/systemd/system/local-fs.target.wants/*",
    "lib/systemd/system/sockets.target.wants/*udev*",
    "lib/systemd/system/sockets.target.wants/*initctl*",
    "lib/systemd/system/basic.target.wants/*",
)


@dataclass(frozen=True)
class NodeImage:
    """An archive for ``docker load`` and the reference that the image has afterwards."""

    archive: Path
    reference: str


def _images(layers: Path, found: dict[str, Path], tree: Path, engine: unpacked.Engine) -> list[Image]:
    """Write the layers of the cluster's own images and return the images, as kubeadm names them."""

    def layer(name: str, items: Sequence[oci.Item]) -> Blob:
        return oci.write_layer(layers / name, items)

    def image(reference: str, entrypoint: list[str], *blobs: Blob) -> Image:
        return Image(reference, blobs, {"Entrypoint": entrypoint, "Env": [imagefiles.PATH]})

    def single(reference: str, name: str, folder: str = "/usr/local/bin", lower: Sequence[Blob] = ()) -> Image:
        blob = layer(name, [*imagefiles.base(), File(f"{folder}/{name}", found[name])])
        return image(reference, [f"{folder}/{name}".replace("//", "/")], *lower, blob)

    registry = "registry.k8s.io"
    box = layer("busybox", [*imagefiles.base(), *imagefiles.busybox(engine)])
    tools = layer("network-tools", imagefiles.network_tools(tree))
    control_plane = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    return [
        *(single(f"{registry}/{name}:{pins.KUBERNETES}", name) for name in control_plane),
        single(_KUBE_PROXY, "kube-proxy", lower=(box, tools)),
        single(f"{registry}/etcd:{pins.ETCD_TAG}", "etcd"),
        single(f"{registry}/coredns/coredns:{pins.COREDNS_TAG}", "coredns", folder="/"),
        image(f"{registry}/pause:{pins.PAUSE_TAG}", ["/bin/busybox", "sleep", "2147483647"], box),
    ]


def _install(tree: Path, base: Path, found: dict[str, Path]) -> None:
    """Put kind's files, Kubernetes' programs and our manifests into the root file system."""
    shutil.copytree(base, tree, dirs_exist_ok=True, ignore=shutil.ignore_patterns("LICENSES", "clean-install"))
    for script in [*(tree / "usr/local/bin").iterdir(), *(tree / "kind/bin").iterdir()]:
        script.chmod(0o755)
    for pattern in _UNWANTED_UNITS:
        for unit in tree.glob(pattern):
            unit.unlink()
    with (tree / "etc/systemd/journald.conf").open("a") as journald:
        journald.write("ReadKMsg=no\n")
    (tree / "usr/sbin/init").unlink(missing_ok=True)
    (tree / "usr/sbin/init").symlink_to("/usr/lib/systemd/systemd")
    # Where root lacks CAP_SYS_RESOURCE nobody may lower an oom_score_adj, and runc dies of trying. Restricting it to
    # what the node itself has is harmless elsewhere: it orders victims within a lab only.
    containerd = tree / "etc/containerd/config.toml"
    setting = "restrict_oom_score_adj = "
    containerd.write_text(containerd.read_text().replace(f"{setting}false", f"{setting}true"))
    # kind's units and scripts expect these where its own build puts them.
    for name in ("containerd", "ctr", "containerd-shim-runc-v2"):
        (tree / "usr/local/bin" / name).symlink_to(f"/usr/bin/{name}")
    plugins = tree / "opt/cni/bin"
    plugins.mkdir(parents=True)
    for name in _CNI_PLUGINS:
        (tree / "usr/lib/cni" / name).rename(plugins / name)
    shutil.rmtree(tree / "usr/lib/cni")
    shutil.rmtree(tree / "etc/cni", ignore_errors=True)
    for name in ("containerd-stress", "ctd-decoder"):
        (tree / "usr/bin" / name).unlink(missing_ok=True)
    for name in _NODE_PROGRAMS:
        shutil.copy(found[name], tree / "usr/bin" / name)
    (tree / "etc/kubernetes/manifests").mkdir(parents=True)
    (tree / "kind/manifests").mkdir()
    (tree / "kind/version").write_text(pins.KUBERNETES)
    cni = (_FILES / "default-cni.yaml").read_text().replace("@KUBE_PROXY@", _KUBE_PROXY)
    (tree / "kind/manifests/default-cni.yaml").write_text(cni)
    shutil.copy(_FILES / "default-storage.yaml", tree / "kind/manifests")


def _build(folder: Path, log: Path, console: Console) -> None:
    engine, debian = unpacked.ensure(console), rootfs.ensure(console)
    found = programs.ensure([*_NODE_PROGRAMS, *_IMAGE_PROGRAMS], console)
    scratch, tree = folder / "scratch", folder / "scratch/tree"
    archives, layers = scratch / "archives", scratch / "layers"
    for needed in (archives, layers):
        needed.mkdir(parents=True)
    images = _images(layers, found, debian, engine)
    for number, image in enumerate(images):
        oci.write_archive(archives / f"{number}.tar", image)
    run(["cp", "--archive", debian, tree], "Copying the root file system", log)
    _install(tree, programs.files("kind", console) / "base", found)
    finish = [*rootfs.NAMESPACES, "--net", _FILES / "finish.sh", tree, archives]
    run(finish, "Finishing the node's root file system", log)
    config = {
        "Entrypoint": ["/usr/local/bin/entrypoint", "/sbin/init"],
        "Env": [imagefiles.PATH, "container=docker"],
        "StopSignal": "SIGRTMIN+3",
    }
    layer = oci.write_tree_layer(layers / "node", tree)
    oci.write_archive(folder / "node.tar", Image(_reference(), [layer], config))
    shutil.rmtree(scratch)


def part() -> cache.Part:
    """Return the node image as a part of the cache."""
    inputs = {
        "files": cache.file_digests(_FILES),
        "code": cache.code_digests("nodeimage.py", "imagefiles.py", "oci.py"),
        "tags": [pins.KUBERNETES, pins.ETCD_TAG, pins.COREDNS_TAG, pins.PAUSE_TAG],
    }
    needs = (unpacked.part(), rootfs.part(), *programs.parts([*_NODE_PROGRAMS, *_IMAGE_PROGRAMS, "kind"]))
    return cache.Part("node-image", "the node image", 30, inputs, _build, needs)


def _reference() -> str:
    # The key in the tag tells a node image that docker still has from one with other contents.
    return f"{pins.NODE_REPOSITORY}:{pins.KUBERNETES}-{part().key}"


def ensure(console: Console) -> NodeImage:
    """Return the node image, building it and what it is made of first when the cache has none."""
    return NodeImage(cache.entry(part(), console) / "node.tar", _reference())
