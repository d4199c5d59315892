# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control planes on an API-only lab of its own, with the stand-ins for both operators (their heads say what lacks).

No pod runs there, so what is seen is what is written, what the operators say of it, and what the run makes of that.
The tests do in this process what the role's tasks do.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _client
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import errors, render
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import collection_path, object_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._planes import plane_plan
from ansible_collections.servicemesh.tcp.plugins.modules import mesh_state, tcp_apply
from ansible_collections.servicemesh.tcp.tests.unit.plugins.module_run import run_module

pytestmark = pytest.mark.own_lab
ROOT = Path(__file__).resolve().parents[3]
NAME = "planes-it"
SWITCHES = {"kind": "ConfigMap", "metadata": {"name": "standins", "namespace": "kube-system"}}
SMCP = {"provider": "ossm2", "namespace": "mesh-a", "namespace_state": "present", "version": "v2.6"}
SAIL = {"provider": "sail", "namespace": "mesh-b", "namespace_state": "present", "version": "v1.30.3"}
INGRESS = {"name": "istio-ingressgateway", "type": "LoadBalancer", "ports": [8081, 22]}


def lab(*arguments: str) -> None:
    """Run the lab's command."""
    command = [str(ROOT / "tests" / "lab" / "lab"), *arguments, "--name", NAME]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@dataclass
class Planes:
    """The cluster, with the role's way of writing to it."""

    kubeconfig: Path

    def api(self) -> _client.Api:
        """Connect, since discovery is remembered by a connection."""
        return _client.Api(SimpleNamespace(params={"kubeconfig": str(self.kubeconfig)}))

    def run(self, wanted: dict[str, Any], seconds: int = 60, **arguments: Any) -> tuple[str, bool]:
        """Do what the role's tasks do; return what it failed with, '' where it did not, and whether it changed."""
        mesh = run_module(mesh_state, self.api(), parts=["mesh", "planes"])["mesh"]
        plan = plane_plan(wanted, mesh, **arguments)
        if errors(plan["findings"]):
            return render(plan["findings"]), False
        done = run_module(tcp_apply, self.api(), steps=plan["steps"], wait_timeout=seconds)
        return (done["msg"] if done.get("failed") else ""), done.get("changed", False)

    def all(self, kind: str, namespace: str | None = None) -> dict[str, Any]:
        """Return the objects of a kind by name."""
        items = self.api().get(collection_path(kind, namespace))["items"]
        return {item["metadata"]["name"]: item for item in items}

    def switch(self, name: str, value: str) -> None:
        """Let something fail."""
        self.api().request(
            "PATCH",
            object_path(SWITCHES),
            body={"data": {name: value}},
            content_type="application/merge-patch+json",
        )

    def clear(self) -> None:
        """Take the switches back, and remove the control planes."""
        api = self.api()
        if api.find(object_path(SWITCHES)):
            api.request("DELETE", object_path(SWITCHES))
        api.request("POST", collection_path("ConfigMap", "kube-system"), body={"apiVersion": "v1", **SWITCHES})
        for wanted in (SMCP, SAIL):
            # No namespace ever goes where no controller runs.
            failed, _changed = self.run({**wanted, "namespace_state": "required"}, plane_state="absent")
            assert failed == ""


@pytest.fixture(scope="module")
def lab_of_planes() -> Iterator[Planes]:
    lab("up", "--api-only", "--with", "ossm2,sail")
    yield Planes(ROOT / ".lab" / NAME / "kubeconfig")
    lab("down")


@pytest.fixture
def planes(lab_of_planes: Planes) -> Planes:
    lab_of_planes.clear()
    return lab_of_planes


def test_an_smcp_is_made_once_with_the_ports_that_were_asked_for_and_removed(planes: Planes) -> None:
    assert planes.run({**SMCP, "gateways": [INGRESS]}) == ("", True)
    assert planes.run({**SMCP, "gateways": [INGRESS]}) == ("", False)
    service = planes.all("Service", "mesh-a")["istio-ingressgateway"]["spec"]
    assert service["type"] == "LoadBalancer"
    assert [(port["port"], port["targetPort"]) for port in service["ports"]] == [
        (15021, 15021),
        (80, 8080),
        (443, 8443),
        (8081, 8081),
        (22, 10022),
    ]
    assert planes.run({**SMCP, "namespace_state": "required"}, plane_state="absent") == ("", True)
    assert planes.all("ServiceMeshControlPlane") == {}


@pytest.mark.parametrize(
    ("switch", "value", "said"),
    [
        ("ossm2.silent", "mesh-a/", "its operator has not seen its newest form yet (does it run?)"),
        pytest.param(
            "ossm2.reconcile-error",
            "mesh-a/: ReconcileError: quota exceeded",
            "ReconcileError: quota exceeded",
            marks=pytest.mark.slow,
        ),
        pytest.param("ossm2.never-ready", "mesh-a/", "Ready is False (ComponentsNotReady", marks=pytest.mark.slow),
        ("ossm2.components-not-ready", "mesh-a/: istio-ingress", "components are ready, not istio-ingress"),
    ],
)
def test_what_the_operator_says_is_told(planes: Planes, switch: str, value: str, said: str) -> None:
    planes.switch(switch, value)
    failed, _changed = planes.run(SMCP, seconds=8)
    assert failed.startswith("Not ready after 8 s: ServiceMeshControlPlane mesh-a/basic: ")
    assert said in failed


def test_a_version_that_the_operator_does_not_serve_is_refused_before_anything_is_written(planes: Planes) -> None:
    failed, _changed = planes.run({**SMCP, "version": "v2.3"})
    assert "invalid version; must be one of: v2.4, v2.5, v2.6" in failed
    assert planes.all("ServiceMeshControlPlane") == {}


def test_an_istio_with_its_cni_and_a_tag(planes: Planes) -> None:
    wanted = {**SAIL, "cni": "enabled", "tag": "prod", "discovery_selectors": [{"matchLabels": {"mesh": "b"}}]}
    assert planes.run(wanted) == ("", True)
    assert planes.run(wanted) == ("", False)
    istio = planes.all("Istio")["default"]
    assert istio["spec"]["values"]["meshConfig"] == {"discoverySelectors": [{"matchLabels": {"mesh": "b"}}]}
    assert istio["status"]["activeRevisionName"] == "default"
    assert planes.all("IstioRevisionTag")["prod"]["status"]["istioRevision"] == "default"
    assert planes.run({**wanted, "namespace_state": "required"}, plane_state="absent") == ("", True)
    assert planes.all("Istio") == planes.all("IstioCNI") == planes.all("IstioRevisionTag") == {}


@pytest.mark.parametrize(("strategy", "revision"), [("InPlace", "default"), ("RevisionBased", "default-v1-31-0")])
def test_upgrades(planes: Planes, strategy: str, revision: str) -> None:
    wanted = {**SAIL, "update_strategy": strategy}
    assert planes.run(wanted) == ("", True)
    assert planes.run({**wanted, "version": "v1.31.0"}) == ("", True)
    assert planes.all("Istio")["default"]["status"]["activeRevisionName"] == revision
    assert planes.all("IstioRevision")[revision]["spec"]["version"] == "v1.31.0"


@pytest.mark.parametrize(
    ("switch", "value", "said"),
    [
        pytest.param(
            "sail.silent",
            "default",
            "its operator has not seen its newest form yet (does it run?)",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "sail.reconcile-error",
            "default: ReconcileError: no such chart",
            "ReconcileError: no such chart",
            marks=pytest.mark.slow,
        ),
        ("sail.never-healthy", "default: IstiodNotReady: image not found", "IstiodNotReady: image not found"),
        ("sail.cni-not-ready", "default", "IstioCNI default: its state is DaemonSetNotReady"),
    ],
)
def test_what_the_sail_operator_says_is_told(planes: Planes, switch: str, value: str, said: str) -> None:
    planes.switch(switch, value)
    failed, _changed = planes.run({**SAIL, "cni": "enabled"}, seconds=8)
    assert failed.startswith("Not ready after 8 s: ")
    assert said in failed
