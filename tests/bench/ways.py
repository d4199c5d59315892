# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways to publish ports that are compared: this collection, kubectl, kubernetes.core.

Each way is an object with C(first), C(again) and C(one_more): they return when every port has answered.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from harness import Exposure, Run

ROOT = Path(__file__).resolve().parents[2]
ISTIO = "networking.istio.io/v1beta1"
FIRST_PORT = 20000
# Ports that people publish by hand lie elsewhere, so that both can be on one gateway.
BY_HAND_PORT = 5000


def answers(address: str, port: int) -> bool:
    """Tell whether a port echoes; cheaper than the nc that people start, so that the comparison favours them."""
    try:
        with socket.create_connection((address, port), timeout=5) as connection:
            connection.sendall(b"hello\n")
            return b"hello" in connection.recv(100)
    except OSError:
        return False


def connect_to_each(address: str, numbers: Iterable[int]) -> None:
    """Connect to one port after the other until each has answered."""
    for number in numbers:
        until = time.monotonic() + 120
        while not answers(address, number):
            if time.monotonic() > until:
                sys.exit(f"port {number} never answered")


def kubectl(*arguments: str, document: Any = None) -> str:
    """Run the lab's kubectl with a document on its standard input."""
    command = [str(ROOT / "tests/lab/lab"), "exec", "--", "kubectl", *arguments]
    text = json.dumps(document) if document is not None else None
    return subprocess.run(command, input=text, text=True, check=True, stdout=subprocess.PIPE).stdout


def require(run: Run) -> Run:
    """Stop the benchmark where a run failed."""
    if run.code != 0:
        sys.exit(run.output[-3000:])
    return run


class Ours:
    """One record per port, one run of expose_tcp: planned, checked, applied, every port proven."""

    name = "expose_tcp"

    def __init__(self, exposure: Exposure, count: int) -> None:
        self.exposure = exposure
        self.count = count
        self.records = [exposure.record(f"port-{number}", FIRST_PORT + number) for number in range(count + 1)]

    def _run(self, records: list[dict[str, Any]]) -> None:
        require(self.exposure.expose(records, tcp_allow_withdraw="all"))

    def first(self) -> None:
        """Publish all ports."""
        self._run(self.records[: self.count])

    def again(self) -> None:
        """Publish them again."""
        self._run(self.records[: self.count])

    def one_more(self) -> None:
        """Publish one port more."""
        self._run(self.records)

    def clear(self) -> None:
        """Withdraw all ports but one, so that the set stays."""
        self._run(self.records[:1])


class ByHand:
    """One Gateway and one VirtualService per port, the Service's ports, one connection per port."""

    manager = "by-hand"

    def __init__(self, exposure: Exposure, count: int, address: str) -> None:
        self.exposure = exposure
        self.address = address
        self.numbers = range(BY_HAND_PORT, BY_HAND_PORT + count)

    def write(self, numbers: Iterable[int]) -> None:
        """Write the objects of some ports."""
        raise NotImplementedError

    def first(self) -> None:
        """Publish all ports."""
        self.write(self.numbers)
        connect_to_each(self.address, self.numbers)

    again = first

    def one_more(self) -> None:
        """Publish one port more, as people do: with the file that has them all."""
        numbers = range(BY_HAND_PORT, self.numbers.stop + 1)
        self.write(numbers)
        connect_to_each(self.address, numbers)

    def clear(self) -> None:
        """Take all of it away; one request per kind, since kubectl's own deletion of thousands takes minutes."""
        for plural in ("gateways", "virtualservices"):
            where = f"/apis/{ISTIO}/namespaces/{self.exposure.name}/{plural}?labelSelector=by%3Dhand"
            kubectl("delete", "--raw", where)
        service = self.service([])
        for manager in (self.manager, "kubernetes-core"):
            kubectl("apply", "--server-side", f"--field-manager={manager}", "-f", "-", document=service)

    def service(self, numbers: Iterable[int]) -> dict[str, Any]:
        """Return the share of the front Service."""
        meta = {"name": "edge", "namespace": self.exposure.name}
        ports = [
            {"name": f"tcp-{number}", "port": number, "targetPort": number, "protocol": "TCP"} for number in numbers
        ]
        spec = {"spec": {"ports": ports}} if ports else {}
        return {"apiVersion": "v1", "kind": "Service", "metadata": meta, **spec}

    def pair(self, number: int) -> list[dict[str, Any]]:
        """Return the Gateway and the VirtualService of one port."""
        name, namespace = f"hand-{number}", self.exposure.name
        meta = {"name": name, "namespace": namespace, "labels": {"by": "hand"}}
        selector = {"servicemesh.tcp/gateway": "edge", "servicemesh.tcp/gateway-namespace": namespace}
        server = {"port": {"number": number, "name": f"tcp-{number}", "protocol": "TCP"}, "hosts": ["*"]}
        host = f"echo.{self.exposure.echo}.svc.cluster.local"
        rule = {"match": [{"port": number}], "route": [{"destination": {"host": host, "port": {"number": 9000}}}]}
        return [
            {
                "apiVersion": ISTIO,
                "kind": "Gateway",
                "metadata": meta,
                "spec": {"selector": selector, "servers": [server]},
            },
            {
                "apiVersion": ISTIO,
                "kind": "VirtualService",
                "metadata": meta,
                "spec": {"hosts": ["*"], "gateways": [name], "tcp": [rule]},
            },
        ]

    def objects(self, numbers: Iterable[int]) -> list[dict[str, Any]]:
        """Return all objects of some ports, the Service first."""
        numbers = list(numbers)
        return [self.service(numbers), *(item for number in numbers for item in self.pair(number))]


class Kubectl(ByHand):
    """All objects in one C(kubectl apply --server-side)."""

    name = "kubectl apply --server-side"

    def write(self, numbers: Iterable[int]) -> None:
        """Apply one list."""
        document = {"apiVersion": "v1", "kind": "List", "items": self.objects(numbers)}
        kubectl("apply", "--server-side", f"--field-manager={self.manager}", "-f", "-", document=document)


class K8sModule(ByHand):
    """The module kubernetes.core.k8s: one task with a list, or a loop of tasks."""

    manager = "kubernetes-core"

    def __init__(self, exposure: Exposure, count: int, address: str, loop: bool) -> None:
        super().__init__(exposure, count, address)
        self.loop = loop
        self.name = "kubernetes.core.k8s in a loop" if loop else "one kubernetes.core.k8s with a list"

    def write(self, numbers: Iterable[int]) -> None:
        """Run a playbook."""
        task: dict[str, Any] = {
            "kubernetes.core.k8s": {
                "kubeconfig": str(self.exposure.playbooks.cluster.admin),
                "definition": "{{ item }}" if self.loop else "{{ objects }}",
                "apply": True,
                "server_side_apply": {"field_manager": self.manager},
            }
        }
        if self.loop:
            task |= {"loop": "{{ objects }}", "loop_control": {"label": "{{ item.metadata.name }}"}}
        play = {
            "hosts": "localhost",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
            "tasks": [task],
        }
        folder = self.exposure.playbooks.folder
        playbook, variables = folder / "by-k8s.yml", folder / "objects.json"
        playbook.write_text(yaml.safe_dump([play]))
        variables.write_text(json.dumps({"objects": self.objects(numbers)}))
        command = ["ansible-playbook", "-i", "localhost,", "-c", "local", str(playbook), "-e", f"@{variables}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit((done.stdout + done.stderr)[-3000:])
