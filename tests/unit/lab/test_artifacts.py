# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is built from what: versions agree, keys follow pins, names and wrappers are as the runtime expects them."""

from __future__ import annotations

import io
import os
import re
import subprocess
from pathlib import Path

import pytest
from kindlab import artifacts, cache, imagefiles, meshimages, nodeimage, pins, process, programs, rootfs, unpacked
from kindlab.console import Console, LabError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCP_LAB_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("family", "module", "version"),
    [
        ("kind", "sigs.k8s.io/kind", pins.KIND),
        ("kubernetes", "k8s.io/kubernetes", pins.KUBERNETES),
        ("etcd", "go.etcd.io/etcd/server/v3", "v" + pins.ETCD_TAG.rsplit("-", 1)[0]),
        ("helm", "helm.sh/helm/v3", pins.HELM),
    ],
)
def test_pins_agree_with_go_mod(family: str, module: str, version: str) -> None:
    text = (programs.MODULES / family / "go.mod").read_text()
    assert re.search(rf"^\s*(?:require )?{re.escape(module)} (\S+)", text, re.MULTILINE)[1] == version


@pytest.mark.parametrize("family", programs.FAMILIES, ids=lambda family: family.name)
def test_every_program_is_a_tool_of_its_go_mod(family: programs.Family) -> None:
    text = (programs.MODULES / family.name / "go.mod").read_text()
    tools = re.findall(r"^(?:tool|\t)\s*([a-z][^\s(]*)$", text, re.MULTILINE)
    assert sorted(family.programs.values()) == sorted(tools)


def test_names_that_go_gives_to_programs() -> None:
    assert programs.built_name("go.etcd.io/etcd/server/v3") == "server"
    assert programs.built_name("istio.io/istio/samples/tcp-echo/src") == "src"


def test_programs_of_one_family_are_one_part_and_api_only_needs_no_istio() -> None:
    names = ["etcd", "kube-apiserver", "kubectl"]
    assert [part.name for part in artifacts.program_parts(names)] == ["programs-kubernetes", "programs-etcd"]


def test_linker_flags_carry_the_version() -> None:
    flags = programs.FAMILY_OF["kubelet"].linker_flags
    assert flags.startswith("-s -w ")
    assert f"version.gitVersion={pins.KUBERNETES}" in flags
    assert "version.gitMinor=34" in flags


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.1 linux/amd64", (1, 26)),
        ("go version go1.27rc1 linux/amd64", (1, 27)),
        ("go version devel +abc", (0, 0)),
    ],
)
def test_go_version(text: str, version: tuple[int, int]) -> None:
    assert programs.parse_go_version(text) == version


def test_a_changed_go_sum_rebuilds_its_family_and_what_is_made_of_it_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for family in programs.FAMILIES:
        (tmp_path / "go" / family.name).mkdir(parents=True)
        (tmp_path / "go" / family.name / "go.sum").write_text("one")
    monkeypatch.setattr(programs, "MODULES", tmp_path / "go")

    def keys() -> dict[str, str]:
        parts = [*map(programs.part, programs.FAMILIES), rootfs.part(), nodeimage.part(), meshimages.part()]
        return {part.name: part.key for part in parts}

    before = keys()
    (tmp_path / "go/coredns/go.sum").write_text("two")
    after = keys()
    assert {name for name in before if before[name] != after[name]} == {"programs-coredns", "node-image"}


def test_another_engine_leaves_the_root_file_system_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    before = rootfs.part().key, unpacked.part().key
    monkeypatch.setattr(pins, "ENGINE_PACKAGES", (*pins.ENGINE_PACKAGES, "another"))
    assert rootfs.part().key == before[0]
    assert unpacked.part().key != before[1]


def test_another_node_package_rebuilds_the_root_file_system_and_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    def keys() -> list[str]:
        return [rootfs.part().key, nodeimage.part().key, meshimages.part().key]

    before = keys()
    monkeypatch.setattr(pins, "NODE_PACKAGES", (*pins.NODE_PACKAGES, "another"))
    assert not set(before) & set(keys())


def test_the_node_reference_changes_with_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodeimage.cache, "entry", lambda part, console: part.place)
    console = Console(io.StringIO())
    before = nodeimage.ensure(console).reference
    monkeypatch.setattr(pins, "ETCD_TAG", "3.6.5-1")
    after = nodeimage.ensure(console).reference
    assert before != after
    assert before.startswith(f"{pins.NODE_REPOSITORY}:{pins.KUBERNETES}-")


def test_announce_counts_what_is_cold_with_what_it_needs() -> None:
    said = io.StringIO()
    cold = artifacts.announce(Console(said), [*artifacts.mesh_image_parts(), *artifacts.mesh_image_parts()])
    names = [part.name for part in cold]
    assert names[-1] == "mesh-images"
    assert {"engine", "rootfs", "programs-istio", "envoy"} <= set(names)
    assert len(names) == len(set(names))
    assert f"{len(cold)} parts to build once" in said.getvalue()


def test_announce_says_nothing_when_all_is_there() -> None:
    said = io.StringIO()
    artifacts.engine_parts()[0].place.mkdir(parents=True)
    assert artifacts.announce(Console(said), artifacts.engine_parts()) == []
    assert said.getvalue() == ""


def test_another_architecture_is_refused_with_a_way_out() -> None:
    artifacts.check_architecture("x86_64")
    with pytest.raises(LabError, match="This machine is aarch64") as caught:
        artifacts.check_architecture("aarch64")
    assert "TCP_LAB=existing" in caught.value.remedy


def test_a_wrapper_starts_the_program_of_its_own_tree(tmp_path: Path) -> None:
    (tmp_path / "root/usr/bin").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    program, wrapper = tmp_path / "root/usr/bin/p", tmp_path / "bin/w"
    program.write_text('#!/bin/sh\necho "$LD_LIBRARY_PATH|$*"\n')
    wrapper.write_text(unpacked.wrapper("usr/bin/p first"))
    for script in (program, wrapper):
        script.chmod(0o755)
    environment = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    said = subprocess.check_output(["w", "second arg"], text=True, env=environment, cwd="/").strip()
    libraries, arguments = said.split("|")
    assert libraries.split(":")[0] == f"{tmp_path}/root/usr/lib/x86_64-linux-gnu"
    assert arguments == "first second arg"


def test_paths_are_resolved_inside_the_tree(tmp_path: Path) -> None:
    (tmp_path / "usr/lib").mkdir(parents=True)
    (tmp_path / "usr/lib/real.so.1").touch()
    (tmp_path / "usr/lib/a.so").symlink_to("real.so.1")
    (tmp_path / "lib").symlink_to("usr/lib")
    (tmp_path / "absolute").symlink_to("/lib/a.so")
    (tmp_path / "usr/up").symlink_to("../../../lib/a.so")
    for path in ("/lib/a.so", "absolute", "/usr/up"):
        assert rootfs.inside(tmp_path, path) == tmp_path / "usr/lib/real.so.1"


def test_ldd_output_of_several_programs() -> None:
    text = (
        "/usr/sbin/nft:\n\tlinux-vdso.so.1 (0x1)\n\tlibm.so.6 => /lib/libm.so.6 (0x2)\n\t/lib64/ld.so.2 (0x3)\n"
        "/bin/ip:\n\tlibm.so.6 => /lib/libm.so.6 (0x4)\n"
    )
    assert rootfs.parse_ldd(text) == {"/lib/libm.so.6", "/lib64/ld.so.2"}


def test_a_missing_library_is_named() -> None:
    with pytest.raises(LabError, match=r"libm\.so\.6 => not found"):
        rootfs.parse_ldd("\tlibm.so.6 => not found\n")


def test_all_names_of_iptables() -> None:
    names = imagefiles.iptables_names()
    assert len(names) == 12
    assert {"iptables", "ip6tables-save", "iptables-nft-restore"} <= set(names)


def test_a_failed_command_shows_the_end_of_its_output_and_its_log(tmp_path: Path) -> None:
    log = tmp_path / "logs/x.log"
    with pytest.raises(LabError, match="Making x failed") as caught:
        process.run(["sh", "-c", "seq 100; echo broken >&2; exit 3"], "Making x", log)
    assert caught.value.message.endswith("    100\n    broken")
    assert "    50\n" not in caught.value.message
    assert str(log) in caught.value.remedy


def test_the_manifest_of_the_pod_network_keeps_the_phrases_that_kind_looks_for() -> None:
    text = (Path(nodeimage.__file__).parent.parent / "node/default-cni.yaml").read_text()
    assert "would you kindly template this file" in text
    assert "would you kindly patch this file" in text
    # kind runs the whole file through Go's templates, so any other pair of braces would break it.
    assert re.findall(r"\{\{.*?\}\}", text) == ["{{ .PodSubnet }}"]
    assert text.count("@KUBE_PROXY@") == 2


def test_the_estimate_of_a_cold_build_is_within_the_budget() -> None:
    # Helm is built only where it is asked for.
    families = [family for family in programs.FAMILIES if family.name != "helm"]
    everything = [nodeimage.part(), meshimages.part(), *map(programs.part, families)]
    assert 10 * 60 < sum(part.seconds for part in cache.cold(everything)) <= 15 * 60
