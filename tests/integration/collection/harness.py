# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests on the lab share: a cluster, a runner of playbooks, a gateway with an echo server behind it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kubernetes
import yaml

RECAP = re.compile(r"^lab\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


REMOVE_GATEWAYS = """
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
        gateways_set: "{{ tcp_set }}"
"""
TOOLS = Path(__file__).resolve().parents[2] / "tools"


def talk(address: str, port: int, text: str) -> str:
    """Send one line as a plain client from outside, and return the line that comes back."""
    command = [sys.executable, str(TOOLS / "talk.py"), address, str(port), text]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@dataclass(frozen=True)
class Cluster:
    """One cluster with two ways in: everything, and only what docs/rbac.yaml grants."""

    admin: Path
    limited: Path

    def client(self) -> kubernetes.client.ApiClient:
        """Return a client with all rights, for looking and for playing other people."""
        return kubernetes.config.new_client_from_config(str(self.admin))

    def apply(self, *objects: dict[str, Any]) -> None:
        """Make objects as somebody else would."""
        kubernetes.utils.create_from_yaml(self.client(), yaml_objects=list(objects))

    def snapshot(self) -> list[str]:
        """Return what is declared on the cluster, see tests/tools/cluster_snapshot.py."""
        command = [sys.executable, str(TOOLS / "cluster_snapshot.py"), str(self.admin)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


@dataclass(frozen=True)
class Run:
    """What became of one ansible-playbook."""

    code: int
    output: str
    endpoints: list[dict[str, Any]]

    @property
    def said(self) -> str:
        """The output as one line, without the quoting and the line breaks of the callback."""
        return " ".join(self.output.replace("''", "'").split())

    @property
    def changed(self) -> int:
        """How many tasks changed something."""
        match = RECAP.search(self.output)
        assert match, self.output
        return int(match.group(2))


class Playbooks:
    """Runs playbooks as users do, with one host that is the lab."""

    def __init__(self, root: Path, cluster: Cluster, folder: Path) -> None:
        self.root = root
        self.cluster = cluster
        self.folder = folder

    def run(self, playbook: str, variables: dict[str, Any], *options: str) -> Run:
        """Run one playbook of the collection, or one given by its path; variables beat the inventory's."""
        inventory = self.folder / "hosts.yml"
        host = {"tcp_kubeconfig": str(self.cluster.limited)}
        common = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
        inventory.write_text(yaml.safe_dump({"clusters": {"hosts": {"lab": host}, "vars": common}}))
        extra = self.folder / "extra.json"
        extra.write_text(json.dumps({"tcp_report_dir": str(self.folder), **variables}))
        report = self.folder / f"lab-{variables.get('tcp_set', 'default')}.json"
        report.unlink(missing_ok=True)
        target = playbook if "/" in playbook else f"servicemesh.tcp.{playbook}"
        command = ["ansible-playbook", "-i", str(inventory), target, "-e", f"@{extra}", *options]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(self.root / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)
        endpoints = json.loads(report.read_text()) if report.exists() else []
        return Run(done.returncode, done.stdout + done.stderr, endpoints)


class Exposure:
    """An echo server and a gateway of its own, in namespaces of its own."""

    def __init__(self, name: str, playbooks: Playbooks) -> None:
        self.name = name
        self.echo = f"{name}-echo"
        self.playbooks = playbooks
        self.gateway = {"name": "edge", "namespace": name, "service": {"type": "LoadBalancer"}}
        self.apps = [{"name": "echo", "namespace": self.echo, "ports": [9000, 9001]}]

    def record(self, name: str, port: int, **more: Any) -> dict[str, Any]:
        """Return a port record that is proven by what the echo server sends back."""
        record = {
            "name": name,
            "gateway": "edge",
            "port": port,
            "backend": {"namespace": self.echo, "service": "echo", "port": 9000},
            "probe": {"mode": "send", "send": f"{name}\\n", "expect": f"echo {name}"},
        }
        return {**record, **more}

    def variables(self, records: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        """Return the variables of expose_tcp for these records."""
        return {
            # Not the default set: somebody may be trying the README's example on the same lab.
            "tcp_set": self.name,
            "tcp_ports": records,
            "tcp_gateways": [self.gateway],
            "tcp_namespace_state": "present",
            "tcp_probe_deadline": 30,
            **more,
        }

    def expose(self, records: list[dict[str, Any]], *options: str, **more: Any) -> Run:
        """Run expose_tcp."""
        return self.playbooks.run("expose_tcp", self.variables(records, **more), *options)

    def unexpose(self, *options: str, **more: Any) -> Run:
        """Run unexpose_tcp."""
        return self.playbooks.run("unexpose_tcp", {"tcp_set": self.name, **more}, *options)

    def remove_gateway(self, **more: Any) -> Run:
        """Run the role gateways with state absent."""
        playbook = self.playbooks.folder / "remove.yml"
        playbook.write_text(REMOVE_GATEWAYS)
        return self.playbooks.run(str(playbook), self.variables([], **more))

    def make(self) -> None:
        """Run the echo server, and the gateway by publishing one port on it."""
        run = self.playbooks.run("deploy_echo", {"echo_apps": self.apps})
        assert run.code == 0, run.output
        run = self.expose([self.record("first", 8000)])
        assert run.code == 0, run.output

    def remove(self) -> None:
        """Remove both namespaces with all that is in them, and wait: the next test may look at the whole cluster."""
        client = self.playbooks.cluster.client()
        core, apps = kubernetes.client.CoreV1Api(client), kubernetes.client.AppsV1Api(client)
        missing = kubernetes.client.exceptions.NotFoundException
        for namespace in (self.name, self.echo):
            # Pods that are gone at once: the namespace's controller comes back only after the longest grace it saw.
            apps.delete_collection_namespaced_deployment(namespace, propagation_policy="Background")
            apps.delete_collection_namespaced_replica_set(namespace, propagation_policy="Background")
            core.delete_collection_namespaced_pod(namespace, grace_period_seconds=0)
            with contextlib.suppress(missing):
                core.delete_namespace(namespace)
        until = time.monotonic() + 120
        for namespace in (self.name, self.echo):
            with contextlib.suppress(missing):
                while time.monotonic() < until:
                    core.read_namespace(namespace)
                    time.sleep(0.5)
