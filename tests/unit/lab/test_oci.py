# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Image archives: every digest is true, both kinds of readers find their way, equal inputs give equal bytes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from kindlab import oci
from kindlab.oci import Blob, File, Folder, Image, Link


@pytest.fixture
def layers(tmp_path: Path) -> list[Blob]:
    (tmp_path / "program").write_bytes(b"#!program")
    lower = oci.write_layer(tmp_path / "lower", [File("etc/motd", b"hello", 0o644), Folder("tmp", 0o1777)])
    upper = oci.write_layer(tmp_path / "upper", [File("/bin/p", tmp_path / "program"), Link("bin/q", "p")])
    return [lower, upper]


@pytest.fixture
def archive(tmp_path: Path, layers: list[Blob]) -> dict[str, bytes]:
    target = tmp_path / "image.tar"
    oci.write_archive(target, Image("registry.example/a/b:1.2", layers, {"StopSignal": "SIGRTMIN+3"}))
    return _contents(target)


def _contents(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}


def _members(blob: Blob) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(blob.path) as tar:
        return {member.name: member for member in tar}


def _follow(archive: dict[str, bytes], described: dict) -> bytes:
    data = archive["blobs/sha256/" + described["digest"].removeprefix("sha256:")]
    assert len(data) == described["size"]
    return data


def test_every_blob_is_named_by_its_digest(archive: dict[str, bytes]) -> None:
    blobs = {name: data for name, data in archive.items() if name.startswith("blobs/")}
    assert len(blobs) == 4
    for name, data in blobs.items():
        assert name == "blobs/sha256/" + hashlib.sha256(data).hexdigest()


def test_an_oci_reader_gets_from_the_index_to_the_layers(archive: dict[str, bytes]) -> None:
    assert json.loads(archive["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (described,) = json.loads(archive["index.json"])["manifests"]
    assert described["annotations"]["io.containerd.image.name"] == "registry.example/a/b:1.2"
    manifest = json.loads(_follow(archive, described))
    config = json.loads(_follow(archive, manifest["config"]))
    assert config["config"]["StopSignal"] == "SIGRTMIN+3"
    assert (config["architecture"], config["os"]) == ("amd64", "linux")
    # The layers are not compressed, so their digests are the diff ids, in the same order.
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]
    names = []
    for layer in manifest["layers"]:
        with tarfile.open(fileobj=io.BytesIO(_follow(archive, layer))) as tar:
            names.append(tar.getnames())
    assert "etc/motd" in names[0]
    assert "bin/p" in names[1]


def test_docker_finds_the_same_configuration_and_layers(archive: dict[str, bytes]) -> None:
    (image,) = json.loads(archive["manifest.json"])
    config = json.loads(archive[image["Config"]])
    assert image["RepoTags"] == ["registry.example/a/b:1.2"]
    digests = ["sha256:" + hashlib.sha256(archive[layer]).hexdigest() for layer in image["Layers"]]
    assert digests == config["rootfs"]["diff_ids"]


def test_a_layer_used_twice_is_stored_once(tmp_path: Path, layers: list[Blob]) -> None:
    oci.write_archive(tmp_path / "twice.tar", Image("a:1", [layers[0], layers[1], layers[0]]))
    with tarfile.open(tmp_path / "twice.tar") as tar:
        names = tar.getnames()
    assert len(names) == len(set(names))


def test_items_keep_modes_and_get_their_parents(layers: list[Blob]) -> None:
    lower, upper = map(_members, layers)
    assert list(lower) == ["etc", "etc/motd", "tmp"]
    assert lower["etc"].isdir()
    assert lower["etc"].mode == 0o755
    assert lower["etc/motd"].mode == 0o644
    assert lower["tmp"].mode == 0o1777
    assert upper["bin/p"].mode == 0o755
    assert upper["bin/q"].issym()
    assert upper["bin/q"].linkname == "p"


def test_the_last_of_two_items_with_one_path_wins(tmp_path: Path) -> None:
    blob = oci.write_layer(tmp_path / "layer", [File("a", b"old"), File("/a", b"newer")])
    assert [(name, member.size) for name, member in _members(blob).items()] == [("a", 5)]


def test_equal_items_in_another_order_give_equal_bytes(tmp_path: Path) -> None:
    items = [File("b/x", b"1"), File("a", b"2"), Link("c", "a")]
    one = oci.write_layer(tmp_path / "one", items)
    two = oci.write_layer(tmp_path / "two", items[::-1])
    assert one.digest == two.digest
    assert one.digest == hashlib.sha256((tmp_path / "one").read_bytes()).hexdigest()


def _tree(root: Path) -> Path:
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/p").write_text("p")
    (root / "usr/bin/p").chmod(0o750)
    (root / "bin").symlink_to("usr/bin")
    os.link(root / "usr/bin/p", root / "usr/bin/same")
    return root


def test_a_tree_keeps_modes_links_and_no_times(tmp_path: Path) -> None:
    members = _members(oci.write_tree_layer(tmp_path / "layer", _tree(tmp_path / "tree")))
    assert list(members) == ["bin", "usr", "usr/bin", "usr/bin/p", "usr/bin/same"]
    assert members["bin"].issym()
    assert members["usr/bin/p"].mode == 0o750
    assert members["usr/bin/same"].islnk()
    assert {member.mtime for member in members.values()} == {0}
    assert {(member.uname, member.gname) for member in members.values()} == {("", "")}


def test_equal_trees_of_other_times_give_equal_bytes(tmp_path: Path) -> None:
    one, two = _tree(tmp_path / "one"), _tree(tmp_path / "two")
    os.utime(two / "usr/bin/p", (1, 1))
    assert oci.write_tree_layer(tmp_path / "a", one).digest == oci.write_tree_layer(tmp_path / "b", two).digest
