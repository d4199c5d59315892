# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input gives one clear error, and nothing is written."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import Cluster, Exposure, Playbooks

ROOT = Path(__file__).resolve().parents[3]


def refuses(exposure: Exposure, record: dict[str, Any], **more: Any) -> str:
    """Run with one bad record beside the good one; return what was said."""
    before = exposure.playbooks.cluster.snapshot()
    run = exposure.expose([exposure.record("first", 8000), record], **more)
    assert run.code != 0
    assert run.changed == 0
    assert exposure.playbooks.cluster.snapshot() == before
    return run.said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"backend": {"namespace": "ECHO", "service": "ech", "port": 9000}},
            "BACKEND_MISSING record 'bad': there is no Service 'ech' in namespace 'ECHO'. Create the Service, or mend"
            " the record's backend. (did you mean 'echo'?)",
        ),
        (
            {"backend": {"namespace": "ECHO", "service": "echo", "port": 9999}},
            "BACKEND_PORT_MISSING record 'bad': Service ECHO/echo has no TCP port 9999; it has 9000-9001.",
        ),
        ({"port": 8000}, "port 8000 on gateway edge is already held by record 'bad' of the same set."),
        ({"port": 70000}, "PORT_OUT_OF_RANGE record 'bad': port 70000 is out of range; allowed is 1 to 65535."),
        ({"port": 15021}, "PORT_RESERVED record 'bad': port 15021 lies within 15000-15099"),
        ({"bakend": {}}, "KEY_UNKNOWN record 'bad': 'bakend' is not a known key; did you mean 'backend'?"),
        ({"allow_from": ["10.0.0.0/8"]}, "KEY_NOT_BUILT record 'bad': 'allow_from'"),
        ({"gateway": "egde"}, "GATEWAY_UNKNOWN record 'bad': gateway 'egde' is not defined; defined are edge."),
    ],
    ids=lambda value: None if isinstance(value, str) else "-".join(value),
)
def test_bad_record(exposure: Exposure, changes: dict[str, Any], said: str) -> None:
    text = yaml.safe_dump(exposure.record("bad", **{"port": 8001, **changes})).replace("ECHO", exposure.echo)
    output = refuses(exposure, yaml.safe_load(text))
    assert said.replace("ECHO", exposure.echo) in output


def test_missing_namespace(exposure: Exposure) -> None:
    gateway = {**exposure.gateway, "name": "lost", "namespace": "nowhere"}
    output = refuses(
        exposure, exposure.record("bad", 8001), tcp_gateways=[exposure.gateway, gateway], tcp_namespace_state="required"
    )
    assert "NAMESPACE_MISSING gateway 'lost': namespace 'nowhere' does not exist" in output


def test_unreachable_cluster(exposure: Exposure) -> None:
    output = refuses(exposure, exposure.record("more", 8001), tcp_host="https://127.0.0.1:1", tcp_api_key="none")
    assert "CLUSTER_UNREACHABLE cluster: the API server does not answer:" in output


def test_missing_rights(exposure: Exposure, cluster: Cluster, tmp_path: Path) -> None:
    """Somebody who may read everything, and write nothing, is told which verb on which resource is missing."""
    name = f"{exposure.name}-reader"
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": exposure.name}}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "servicemesh-tcp-read"},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": exposure.name}],
    }
    cluster.apply(account, binding)
    command = ["kubectl", "--kubeconfig", str(cluster.admin), "-n", exposure.name, "create", "token", name]
    lab = [str(ROOT / "tests/lab/lab"), "exec", "--", *command]
    token = subprocess.run(lab, check=True, capture_output=True, text=True).stdout.strip()
    config = yaml.safe_load(cluster.limited.read_text())
    config["users"][0]["user"] = {"token": token}
    kubeconfig = tmp_path / "reader"
    kubeconfig.write_text(yaml.safe_dump(config))
    try:
        output = refuses(exposure, exposure.record("more", 8001), tcp_kubeconfig=str(kubeconfig))
    finally:
        subprocess.run(
            [*lab[:3], "kubectl", "--kubeconfig", str(cluster.admin), "delete", "clusterrolebinding", name], check=True
        )
    assert "FORBIDDEN" in output
    assert f'cannot get resource "serviceaccounts" in API group "" in the namespace "{exposure.name}"' in output
    assert "docs/rbac.yaml holds all that publishing needs" in output
    assert "Nothing was written." in output


@pytest.fixture
def cluster_without_istio() -> Iterator[Path]:
    """Return the kubeconfig of an API server that never heard of Istio."""
    lab = str(ROOT / "tests/lab/lab")
    subprocess.run([lab, "up", "--api-only", "--name", "no-istio"], check=True)
    try:
        yield ROOT / ".lab" / "no-istio" / "kubeconfig"
    finally:
        subprocess.run([lab, "down", "--name", "no-istio"], check=True)


def test_no_istio(cluster_without_istio: Path, playbooks: Playbooks) -> None:
    record = {"name": "one", "gateway": "edge", "port": 8001, "backend": {"namespace": "a", "service": "b", "port": 1}}
    run = playbooks.run(
        "expose_tcp",
        {
            "tcp_kubeconfig": str(cluster_without_istio),
            "tcp_ports": [record],
            "tcp_gateways": [{"name": "edge", "namespace": "default", "replicas": 1}],
        },
    )
    assert run.code != 0
    assert run.changed == 0
    assert "NO_ISTIO cluster" in run.said
    assert "its API server does not know networking.istio.io/v1beta1" in run.said
