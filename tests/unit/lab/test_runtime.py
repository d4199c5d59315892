# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's runtime without a machine: command line, configurations, state, logs, kubeconfigs."""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path

import pytest
from kindlab import access, apionly, balancer, cli, cluster, engine, mesh, options, status
from kindlab.addresses import addresses
from kindlab.console import Console, LabError
from kindlab.lifecycle import up
from kindlab.paths import LabPaths, lab_paths
from kindlab.state import LabState, load_state, save_state


@pytest.fixture
def paths(tmp_path: Path) -> LabPaths:
    return lab_paths("lab", checkout=tmp_path)


@pytest.mark.parametrize("nodes", ["0", "17", "x"])
def test_nodes_out_of_range_are_refused(nodes: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        options.parse(["up", "--nodes", nodes])
    assert "--nodes" in capsys.readouterr().err


def test_exec_hands_on_what_follows_the_dashes() -> None:
    assert options.parse(["exec", "--name", "a", "--", "kubectl", "get", "-A", "pods"]).argv == [
        "kubectl",
        "get",
        "-A",
        "pods",
    ]


@pytest.mark.parametrize("name", ["", "Lab", "-a", "a-", "a/b", "..", "a" * 25])
def test_names_that_would_break_something_are_refused(name: str) -> None:
    with pytest.raises(LabError):
        lab_paths(name)


def test_two_checkouts_share_nothing(tmp_path: Path) -> None:
    one, other = lab_paths("lab", tmp_path / "a"), lab_paths("lab", tmp_path / "b")
    assert one.id != other.id
    assert not {one.run_dir, one.data_dir, one.state_dir} & {other.run_dir, other.data_dir, other.state_dir}


def test_the_socket_path_is_short_enough_for_the_kernel(tmp_path: Path) -> None:
    assert len(str(lab_paths("a" * 24, tmp_path / ("x" * 200)).docker_socket)) < 108


def test_parts_that_do_not_exist_are_refused(paths: LabPaths) -> None:
    wanted = options.parse(["up", "--with", "olm,nothing"])
    with pytest.raises(LabError, match="nothing: there is no such part"):
        up(paths, wanted, Console(io.StringIO()))
    assert not paths.state_dir.exists()


def test_status_of_no_lab_is_three(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", "--name", "never-made"]) == cli.DOWN
    assert "is down" in capsys.readouterr().out


def test_logs_of_no_lab_say_how_to_bring_it_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["logs", "istiod", "--name", "never-made"]) == 1
    assert "lab up --name never-made" in capsys.readouterr().err


def test_state_survives_and_half_a_file_is_no_state(paths: LabPaths) -> None:
    assert load_state(paths) is None
    state = LabState(engine="own", slot=3, ready=True)
    save_state(paths, state)
    assert load_state(paths) == state
    paths.state_file.write_text(paths.state_file.read_text()[:20])
    assert load_state(paths) is None


def test_state_of_another_version_is_read(paths: LabPaths) -> None:
    save_state(paths, LabState(slot=2))
    paths.state_file.write_text(json.dumps({**json.loads(paths.state_file.read_text()), "of_tomorrow": 1}))
    assert load_state(paths) == LabState(slot=2)


def test_kind_config_stays_in_the_slot() -> None:
    plan = addresses(5)
    config = cluster.kind_config(plan, 3, str(plan.lab_end), 6443, cgroup_v1=False)
    assert [node["role"] for node in config["nodes"]] == ["control-plane", "worker", "worker"]
    assert config["networking"]["podSubnet"] == str(plan.pods)
    assert config["networking"]["apiServerAddress"] == str(plan.lab_end)
    assert "kubeadmConfigPatches" not in config


def test_kubelet_is_told_of_cgroup_v1() -> None:
    (patch,) = cluster.kind_config(addresses(0), 1, "127.0.0.1", 1, cgroup_v1=True)["kubeadmConfigPatches"]
    assert json.loads(patch)["failCgroupV1"] is False


def test_dockerd_without_a_plan_has_no_network() -> None:
    config = engine.daemon_config(Path("/d"), Path("/s"), "c", None, lacks_resource=False)
    assert (config["bridge"], config["iptables"]) == ("none", False)
    assert "runtimes" not in config


def test_dockerd_reduces_capabilities_only_where_root_lacks_one() -> None:
    config = engine.daemon_config(Path("/d"), Path("/s"), "c", addresses(1), lacks_resource=True)
    assert config["runtimes"][config["default-runtime"]]["path"].startswith("/d/")
    assert config["bip"] == "198.18.59.1/24"


@pytest.mark.parametrize(("mask", "lacks"), [("000001ffffffffff", False), ("000001fffeffffff", True), ("0", True)])
def test_lacks_capability(mask: str, lacks: bool) -> None:
    assert engine.lacks_capability(f"CapInh:\t0\nCapEff:\t{mask}\n", engine.CAP_SYS_RESOURCE) is lacks


def test_only_built_images_switch_istios_filters_off() -> None:
    built, published = mesh.settings("h", "t", built=True), mesh.settings("h", "t", built=False)
    assert built.keys() - published.keys() == mesh.UPSTREAM_ENVOY.keys()
    assert published["hub"] == "h"


def test_the_balancer_gets_the_slots_pool() -> None:
    unit, _ = balancer.files(addresses(2))[f"etc/systemd/system/{balancer.UNIT}"]
    assert "balancer.sh 198.18.89\n" in unit
    assert "@" not in unit


def test_the_service_account_keeps_the_cluster_and_no_certificate() -> None:
    admin = {
        "clusters": [{"name": "kind-x", "cluster": {"server": "https://a"}}],
        "users": [{"name": "kind-x", "user": {"client-certificate-data": "secret"}}],
    }
    config = access.with_token(admin, "token", "servicemesh-tcp")
    assert config["clusters"] == admin["clusters"]
    assert config["users"] == [{"name": "servicemesh-tcp", "user": {"token": "token"}}]
    assert "secret" not in json.dumps(config)


def test_private_files_are_private_from_the_start(tmp_path: Path) -> None:
    access.write_private(tmp_path / "kubeconfig", "x")
    assert (tmp_path / "kubeconfig").stat().st_mode & 0o077 == 0


def test_processes_of_an_api_only_lab_carry_its_folders(paths: LabPaths) -> None:
    etcd = apionly.etcd_command(Path("/bin/etcd"), paths, 1, 2)
    server = apionly.apiserver_command(Path("/bin/kube-apiserver"), paths, 1, 3)
    assert f"--data-dir={paths.state_dir}/etcd" in etcd
    assert f"--cert-dir={paths.state_dir}/pki" in server


def _log(paths: LabPaths, component: str, target: str = "", **state: object) -> list[str]:
    return status.log_command(paths, LabState(**state), component, target, 9)


def test_log_commands(paths: LabPaths) -> None:
    assert _log(paths, "gateway", "gateways/edge")[2:4] == ["--namespace=gateways", "deployment/edge"]
    assert _log(paths, "apiserver")[-2] == f"kube-apiserver-{paths.id}-control-plane"
    assert _log(paths, "apiserver", mode="api-only")[-1] == str(paths.logs / "apiserver.log")
    assert "--unit=lab-balancer" in _log(paths, "balancer")


@pytest.mark.parametrize(
    ("component", "target", "state"),
    [
        ("nonsense", "", {}),
        ("gateway", "edge", {}),
        ("istiod", "", {"bare": True}),
        ("kubelet", "", {"mode": "api-only"}),
    ],
)
def test_logs_that_are_not_there(paths: LabPaths, component: str, target: str, state: dict[str, object]) -> None:
    with pytest.raises(LabError) as caught:
        _log(paths, component, target, **state)
    assert caught.value.remedy


def test_every_command_has_a_function() -> None:
    (commands,) = [action for action in options.parser()._actions if isinstance(action, argparse._SubParsersAction)]
    assert set(commands.choices) == set(cli.COMMANDS)
