# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role namespaces with a member roll that others use too: an API server of its own, and the OSSM 2 stand-in.

It runs under docs/rbac.yaml alone.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
from harness import Cluster, Playbooks, Run

pytestmark = pytest.mark.own_lab
ROOT = Path(__file__).resolve().parents[3]
LAB = str(ROOT / "tests" / "lab" / "lab")
NAME = "it-namespaces"
GROUP = ("maistra.io", "v1", "istio-system", "servicemeshmemberrolls", "default")
SMCP = {
    "version": "v2.6",
    "tracing": {"type": "None"},
    "addons": {name: {"enabled": False} for name in ("kiali", "grafana", "prometheus")},
}
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
        namespaces_state: "{{ state | default('present') }}"
        namespaces_membership: "{{ membership | default('roll') }}"
        namespaces_wait_timeout: "{{ wait | default(120) }}"
"""


class Mesh:
    """A control plane of OSSM 2, a roll on which somebody else has a member, and namespaces that others made."""

    def __init__(self, cluster: Cluster) -> None:
        client = cluster.client()
        self.core = kubernetes.client.CoreV1Api(client)
        self.rbac = kubernetes.client.RbacAuthorizationV1Api(client)
        self.custom = kubernetes.client.CustomObjectsApi(client)
        for name in ("istio-system", "theirs", "shop"):
            self.make(name)
        smcp = {"apiVersion": "maistra.io/v2", "kind": "ServiceMeshControlPlane", "metadata": {"name": "basic"}}
        roll = {"apiVersion": "maistra.io/v1", "kind": "ServiceMeshMemberRoll", "metadata": {"name": "default"}}
        create = self.custom.create_namespaced_custom_object
        create("maistra.io", "v2", "istio-system", "servicemeshcontrolplanes", {**smcp, "spec": SMCP})
        create(*GROUP[:4], {**roll, "spec": {"members": ["theirs"]}})

    def make(self, name: str) -> None:
        """Make a namespace as somebody else would."""
        self.core.create_namespace({"metadata": {"name": name}})

    def roll(self) -> dict[str, Any]:
        """Return the member roll."""
        return self.custom.get_namespaced_custom_object(*GROUP)

    def members(self) -> list[str]:
        """Return the roll's own entries."""
        return self.roll()["spec"]["members"]

    def labels(self, name: str) -> dict[str, str]:
        """Return a namespace's labels."""
        return self.core.read_namespace(name).metadata.labels

    def bindings(self, name: str) -> list[str]:
        """Return the RoleBindings of a namespace."""
        return [item.metadata.name for item in self.rbac.list_namespaced_role_binding(name).items]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Return an API server of its own with the OSSM 2 stand-in; taken down after the module."""
    subprocess.run([LAB, "up", "--name", NAME, "--api-only", "--with", "ossm2"], check=True, capture_output=True)
    folder = ROOT / ".lab" / NAME
    yield Cluster(admin=folder / "kubeconfig", limited=folder / "kubeconfig-tcp")
    subprocess.run([LAB, "down", "--name", NAME], check=True, capture_output=True)


@pytest.fixture(scope="module")
def mesh(cluster: Cluster) -> Mesh:
    """Return the control plane with its roll."""
    return Mesh(cluster)


def onboard(playbooks: Playbooks, members: list[dict[str, Any]], **more: Any) -> Run:
    """Run the role."""
    playbook = playbooks.folder / "namespaces.yml"
    playbook.write_text(PLAYBOOK)
    return playbooks.run(str(playbook), {"members": members, **more})


SHOP = {"name": "shop", "rights": [{"role": "edit", "user": "user1"}]}
GATEWAYS = {"name": "gateways", "state": "present"}
COOLAPP = {"name": "coolapp"}


def test_namespaces_join_a_roll_beside_others_and_leave_it_so(playbooks: Playbooks, mesh: Mesh) -> None:
    # Seed 004 lists its project before it exists.
    members = [SHOP, GATEWAYS, COOLAPP, {"name": "theirs"}]
    run = onboard(playbooks, members)
    assert run.code == 0, run.output
    assert "MEMBER_PENDING namespace 'coolapp': it does not exist yet." in run.said
    assert sorted(mesh.members()) == ["coolapp", "gateways", "shop", "theirs"]
    assert sorted(mesh.roll()["status"]["configuredMembers"]) == ["gateways", "shop", "theirs"]
    assert mesh.labels("gateways")["maistra.io/member-of"] == "istio-system"
    assert mesh.bindings("shop") == ["servicemesh-tcp-edit"]

    mesh.make("coolapp")
    again = onboard(playbooks, members)
    assert (again.code, again.changed, "MEMBER_PENDING" in again.said) == (0, 0, False), again.output
    assert "coolapp" in mesh.roll()["status"]["configuredMembers"]

    # Without its controllers this cluster never gets rid of a namespace, so none is asked for.
    gone = onboard(playbooks, [{**member, "state": "required"} for member in members], state="absent")
    assert gone.code == 0, gone.output
    assert mesh.members() == ["theirs"]
    assert "annotations" not in mesh.roll()["metadata"]
    assert [name for name in ("shop", "coolapp") if "maistra.io/member-of" in mesh.labels(name)] == []
    assert mesh.bindings("shop") == []


def test_a_refused_member_is_named_with_the_operator_s_reason(playbooks: Playbooks, mesh: Mesh) -> None:
    switch = {"ossm2.member-refused": "shop: ReconcileError: quota exceeded"}
    mesh.core.create_namespaced_config_map("kube-system", {"metadata": {"name": "standins"}, "data": switch})
    try:
        run = onboard(playbooks, [{"name": "shop"}], wait=5)
    finally:
        mesh.core.delete_namespaced_config_map("standins", "kube-system")
    assert run.code != 0
    said = "namespace shop is not a member yet (ReconcileError: quota exceeded)"
    assert f"ServiceMeshMemberRoll istio-system/default: {said}" in run.said
    run = onboard(playbooks, [{"name": "shop"}], state="absent")
    assert run.code == 0, run.output


def test_a_servicemeshmember_does_the_same_without_a_hand_on_the_roll(playbooks: Playbooks, mesh: Mesh) -> None:
    run = onboard(playbooks, [{"name": "shop"}], membership="member")
    assert run.code == 0, run.output
    path = ("maistra.io", "v1", "shop", "servicemeshmembers", "default")
    assert mesh.custom.get_namespaced_custom_object(*path)["spec"]["controlPlaneRef"]["name"] == "basic"
    assert "shop" in mesh.roll()["status"]["configuredMembers"]
    again = onboard(playbooks, [{"name": "shop"}], membership="member")
    assert (again.code, again.changed) == (0, 0), again.output
    gone = onboard(playbooks, [{"name": "shop"}], membership="member", state="absent")
    assert gone.code == 0, gone.output
    until = time.monotonic() + 30
    with contextlib.suppress(kubernetes.client.exceptions.ApiException):
        while "shop" in mesh.roll()["status"]["configuredMembers"] and time.monotonic() < until:
            time.sleep(0.5)
    assert mesh.members() == ["theirs"]
