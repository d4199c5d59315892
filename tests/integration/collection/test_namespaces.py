# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role namespaces on the lab's real istiod: labels, sidecars, a restart, and the way back."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
from harness import Cluster, Playbooks, Run

PLAYBOOK = """
- hosts: clusters
  gather_facts: false
  module_defaults:
    group/servicemesh.tcp.tcp: {kubeconfig: "{{ tcp_kubeconfig }}"}
  tasks:
    - ansible.builtin.include_role:
        name: servicemesh.tcp.namespaces
      vars:
        namespaces_members: "{{ members }}"
        namespaces_state: "{{ state }}"
"""
INJECTED = "sidecar.istio.io/status"


class Shop:
    """A namespace that somebody else made, with an echo server in it."""

    def __init__(self, name: str, playbooks: Playbooks, cluster: Cluster) -> None:
        self.name, self.playbooks = name, playbooks
        self.core = kubernetes.client.CoreV1Api(cluster.client())
        cluster.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"theirs": "yes"}}}
        )
        run = playbooks.run("deploy_echo", {"echo_apps": [{"name": "echo", "namespace": name, "ports": [9000]}]})
        assert run.code == 0, run.output

    def join(self, *options: str, state: str = "present", **member: Any) -> Run:
        """Run the role for this namespace."""
        playbook = self.playbooks.folder / "namespaces.yml"
        playbook.write_text(PLAYBOOK)
        variables = {"members": [{"name": self.name, **member}], "state": state}
        return self.playbooks.run(str(playbook), variables, *options)

    def labels(self) -> dict[str, str]:
        """Return the namespace's labels but for the one that the API server puts there."""
        found = dict(self.core.read_namespace(self.name).metadata.labels)
        del found["kubernetes.io/metadata.name"]
        return found

    def pods(self) -> dict[str, bool]:
        """Return the echo server's pods that stay, and whether each has a sidecar."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            pods = self.core.list_namespaced_pod(self.name).items
            if all(pod.metadata.deletion_timestamp is None for pod in pods):
                break
            time.sleep(0.5)
        return {pod.metadata.name: INJECTED in (pod.metadata.annotations or {}) for pod in pods}

    def remove(self) -> None:
        """Remove the namespace and wait."""
        gone = kubernetes.client.exceptions.NotFoundException
        with contextlib.suppress(gone):
            self.core.delete_namespace(self.name)
            until = time.monotonic() + 120
            while time.monotonic() < until:
                self.core.read_namespace(self.name)
                time.sleep(0.5)


@pytest.fixture
def shop(playbooks: Playbooks, cluster: Cluster) -> Iterator[Shop]:
    """Return a namespace of somebody else's with an echo server; removed after the test."""
    found = Shop(f"namespaces-{uuid.uuid4().hex[:6]}", playbooks, cluster)
    yield found
    found.remove()


def test_a_namespace_s_pods_get_their_sidecars_once_and_it_leaves_as_it_was(shop: Shop, tmp_path: Path) -> None:
    wanted = {"injection": "enabled", "restart": True}
    assert list(shop.pods().values()) == [False]
    planned = shop.join("--check", **wanted)
    assert planned.code == 0, planned.output
    assert shop.labels() == {"theirs": "yes"}

    run = shop.join(**wanted)
    assert run.code == 0, run.output
    assert shop.labels() == {"theirs": "yes", "istio-injection": "enabled"}
    restarted = shop.pods()
    assert list(restarted.values()) == [True]

    again = shop.join(**wanted)
    assert (again.code, again.changed) == (0, 0), again.output
    assert shop.pods() == restarted

    gone = shop.join(state="absent")
    assert gone.code == 0, gone.output
    assert shop.labels() == {"theirs": "yes"}
    assert (shop.join(state="absent").changed, shop.pods()) == (0, restarted)


def test_somebody_else_s_label_is_kept_and_what_it_stands_against_is_refused(shop: Shop) -> None:
    shop.core.patch_namespace(shop.name, {"metadata": {"labels": {"istio-injection": "disabled"}}})
    run = shop.join(injection="enabled")
    assert run.code != 0
    said = "somebody else's label istio-injection=disabled decides on its sidecars (istio-injection wins over"
    assert f"INJECTION_LABEL_TAKEN namespace '{shop.name}': {said}" in run.said
    kept = {"theirs": "yes", "istio-injection": "disabled"}
    assert shop.labels() == kept
    # The same label by our own wish is theirs all the same.
    for state in ("present", "absent"):
        run = shop.join(injection="disabled", state=state)
        assert (run.code, run.changed, shop.labels()) == (0, 0, kept), run.output
