# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the README and the modules' manuals show is run as it stands there."""

from __future__ import annotations

import importlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from collection_tree import build, clean_environment, install
from harness import Cluster, talk

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = "ansible_collections.servicemesh.tcp.plugins.modules"
REMOVE = """
- hosts: clusters
  gather_facts: false
  module_defaults:
    group/servicemesh.tcp.tcp: {kubeconfig: "{{ tcp_kubeconfig }}"}
  tasks:
    - ansible.builtin.include_role:
        name: servicemesh.tcp.gateways
      vars:
        gateways_state: absent
        gateways_definitions: "{{ tcp_gateways }}"
        gateways_namespace_state: present
"""


class Checkout:
    """Runs ansible-playbook as the README says, under the documented rights."""

    def __init__(self, cluster: Cluster, scratch: Path) -> None:
        self.cluster = cluster
        self.scratch = scratch

    def run(self, playbook: str, *options: str, root: Path = ROOT) -> str:
        """Run one playbook with the lab's inventory; return what it printed."""
        limited = ["-e", f"tcp_kubeconfig={self.cluster.limited}"]
        command = ["ansible-playbook", "-i", "inventories/lab", playbook, *limited, *options]
        environment = {**os.environ, "ANSIBLE_NOCOLOR": "1"}
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def run_text(self, text: str, *options: str) -> str:
        """Run a playbook given as text."""
        playbook = self.scratch / "play.yml"
        playbook.write_text(text)
        return self.run(str(playbook), *options)


@pytest.fixture(scope="module")
def checkout(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """Return a checkout whose README's example was just run; it is taken away again."""
    runner = Checkout(cluster, tmp_path_factory.mktemp("examples"))
    runner.run("playbooks/deploy_echo.yml")
    runner.run("playbooks/expose-tcp.yml", "-e", f"tcp_report_dir={runner.scratch}")
    yield runner
    runner.run("playbooks/unexpose_tcp.yml")
    runner.run_text(REMOVE)
    runner.run("playbooks/deploy_echo.yml", "-e", "echo_state=absent")


@pytest.fixture(scope="module")
def address(checkout: Checkout) -> str:
    """Return where the clients of the example's gateway connect to."""
    endpoints = yaml.safe_load((checkout.scratch / "lab-default.json").read_text())
    assert [item["proof"] for item in endpoints] == ["proven", "proven"]
    return endpoints[0]["addresses"][0]


def test_readme_says_what_the_inventory_holds() -> None:
    inventory = yaml.safe_load((ROOT / "inventories/lab/group_vars/clusters.yml").read_text())
    shown = (ROOT / "README.md").read_text().split("```yaml\n")[1].split("```")[0]
    assert yaml.safe_load(shown) == inventory


def test_readme_example_answers(address: str) -> None:
    assert talk(address, 22, "hello") == "sftp hello"
    assert talk(address, 5432, "hello") == "postgres hello"


MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("[a-z]*.py"))
# What an example's comment says to be there already.
BEFORE = {
    "tcp_audit_fleet": """
- servicemesh.tcp.tcp_audit:
  register: audited
""",
    "tcp_prove": """
- servicemesh.tcp.tcp_publish:
    ports: "{{ tcp_ports }}"
    gateways: "{{ tcp_gateways }}"
  check_mode: true
  register: published
""",
}
# What shows that an example did what its names say.
AFTER = {
    "tcp_audit": "audited.changes.came == [] and audited.changes.went == []",
    "tcp_gone": "gone.endpoints | map(attribute='proof') == ['withdrawn']",
    "tcp_prove": "proved.endpoints | map(attribute='proof') == ['proven', 'proven']",
}


@pytest.mark.parametrize("module", MODULES)
def test_examples_of_a_module(checkout: Checkout, address: str, module: str) -> None:
    talk(address, 22, "hello")
    after = {"ansible.builtin.assert": {"that": AFTER.get(module, True)}}
    tasks = [
        *yaml.safe_load(BEFORE.get(module, "[]")),
        *yaml.safe_load(importlib.import_module(f"{PACKAGE}.{module}").EXAMPLES),
        after,
    ]
    play = {
        "hosts": "clusters",
        "gather_facts": False,
        "module_defaults": {"group/servicemesh.tcp.tcp": {"kubeconfig": "{{ tcp_kubeconfig }}"}},
        "vars": {"edge_address": address, "report_templates": str(ROOT / "roles/audit/files/report")},
        "tasks": tasks,
    }
    checkout.run_text(yaml.safe_dump([play]))
    if module == "tcp_gone":
        # It has withdrawn a record, which the next test wants.
        checkout.run("playbooks/expose-tcp.yml")


def test_installed_from_the_tarball(checkout: Checkout, address: str, tmp_path: Path) -> None:
    """What a user installs runs from an empty folder, and changes nothing more than the checkout did."""
    collections, empty = tmp_path / "collections", tmp_path / "empty"
    install(build(tmp_path), collections)
    empty.mkdir()
    command = ["ansible-playbook", "-i", str(ROOT / "inventories/lab"), "servicemesh.tcp.expose_tcp"]
    command += ["-e", f"tcp_kubeconfig={checkout.cluster.limited}"]
    environment = {**clean_environment(collections), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(command, cwd=empty, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "changed=0" in done.stdout
    assert done.stdout.count("proven in") == 2


def test_folder_of_any_name(checkout: Checkout, address: str, tmp_path: Path) -> None:
    """Another checkout, in a folder with another name, finds itself by path and by FQCN, and changes nothing."""
    other = tmp_path / "some other name"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, tracked.split("\0")):
        target = other / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_symlink():
            target.symlink_to(os.readlink(ROOT / name))
        else:
            target.write_bytes((ROOT / name).read_bytes())
    for playbook in ("playbooks/expose-tcp.yml", "servicemesh.tcp.expose_tcp"):
        printed = checkout.run(playbook, root=other)
        assert "changed=0" in printed
        assert f"edge     {address}  22    files/sftp:2222       proven" in printed
