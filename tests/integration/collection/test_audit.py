# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit on the lab: a set's port and somebody else's beside it, as they are on a real mesh."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kubernetes
import pytest
from harness import Cluster, Exposure, Run

ISTIO = "networking.istio.io/v1beta1"


def on_gateway(exposure: Exposure, kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Return an object of Istio that somebody else has in another namespace, about the exposure's gateway."""
    return {
        "apiVersion": ISTIO,
        "kind": kind,
        "metadata": {"name": name, "namespace": exposure.echo},
        "spec": spec,
    }


@pytest.fixture(scope="module")
def audited(
    exposure: Exposure, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Run, dict[str, Any]]:
    """Return a run of the playbook, and its document, with two Gateways that somebody made by hand."""
    selector = {"servicemesh.tcp/gateway": "edge", "servicemesh.tcp/gateway-namespace": exposure.name}
    api = kubernetes.client.CustomObjectsApi(cluster.client())
    group, version = ISTIO.split("/")
    for name, port in (("theirs", 8000), ("roadless", 8555)):
        server = {"port": {"number": port, "name": f"tcp-{port}", "protocol": "TCP"}, "hosts": ["*"]}
        made = on_gateway(exposure, "Gateway", name, {"selector": selector, "servers": [server]})
        api.create_namespaced_custom_object(
            group, version, exposure.echo, "gateways", made, field_validation="Strict", field_manager="kubectl-create"
        )
    folder = tmp_path_factory.mktemp("audit")
    before = cluster.snapshot()
    variables = {
        **exposure.variables([exposure.record("first", 8000)]),
        "tcp_report_dir": str(folder),
        "tcp_audit_fail_on": ["CLASH_ELSEWHERE"],
    }
    run = exposure.playbooks.run("audit_tcp", variables)
    changed = [line for line in set(cluster.snapshot()) ^ set(before) if exposure.name in line]
    assert changed == []
    return run, json.loads(Path(folder, "lab.audit.json").read_text())


def test_the_set_s_port_is_complete_and_has_its_owner(exposure: Exposure, audited: tuple[Run, dict[str, Any]]) -> None:
    [row] = [row for row in audited[1]["rows"] if row["id"] == f"Service {exposure.name}/edge 8000"]
    assert (row["state"], row["door"]) == ("complete", "LoadBalancer")
    assert (row["owner"]["kind"], row["owner"]["name"]) == ("set", exposure.name)
    assert [(item["service"], item["port"], item["ready"]) for item in row["backends"]] == [("echo", 9000, 1)]
    assert len(row["addresses"]) == 1


def test_what_istio_drops_without_a_word_is_told_and_the_run_fails_for_it(
    exposure: Exposure, audited: tuple[Run, dict[str, Any]]
) -> None:
    run, document = audited
    here = [(item["code"], item["subject"]) for item in document["findings"] if exposure.name in item["message"]]
    assert any(code == "CLASH_ELSEWHERE" and f"{exposure.echo}/theirs" in subject for code, subject in here)
    assert ("LISTENER_WITHOUT_ROUTE", f"Gateway {exposure.echo}/roadless") in here
    # What the set declares is what it has.
    assert not [code for code, _subject in here if code.startswith("SET_")]
    assert run.code != 0
    assert "The audit found:" in run.said
    assert f"CLASH_ELSEWHERE Gateway {exposure.echo}/theirs" in run.said
    assert "ways into cluster lab:" in run.said


def test_nothing_of_the_lab_is_hidden_from_the_documented_rights(audited: tuple[Run, dict[str, Any]]) -> None:
    assert [item["message"] for item in audited[1]["findings"] if item["code"] == "AUDIT_UNSEEN"] == []
