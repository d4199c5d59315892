# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the examples in the filters' manuals, and hold the manuals against the filters' own arguments."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import port_name, set_object_name
from ansible_collections.servicemesh.tcp.tests.unit.plugins import builders

ROOT = Path(__file__).resolve().parents[2]
FILTERS = ROOT / "plugins" / "filter"
NAMES = sorted(path.stem for path in FILTERS.glob("*.py"))


def manual(name: str) -> dict[str, Any]:
    """Read a filter's manual."""
    return yaml.safe_load((FILTERS / f"{name}.yml").read_text())


def observed() -> dict[str, Any]:
    """Return the cluster that the examples talk of: the set 'default' has port 8081 of the gateway 'edge'."""
    ours = {"app.kubernetes.io/managed-by": "servicemesh.tcp", "servicemesh.tcp/gateway": "edge"}
    set_labels = {**ours, "servicemesh.tcp/set": "default"}
    selector = {"servicemesh.tcp/gateway": "edge", "servicemesh.tcp/gateway-namespace": "gateways"}
    listener = port_name(8081, "default", "echo-8081")
    common = {"name": set_object_name("edge", "default"), "namespace": "gateways", "uid": "", "created": ""}
    front = builders.service(
        "edge",
        "gateways",
        [builders.service_port(8081, name=listener)],
        labels=ours,
        type="LoadBalancer",
        addresses=["198.18.25.1"],
        managers={"servicemesh.tcp/default": [8081]},
    )
    backends = [
        builders.service(f"echo-{port}", "echo", [builders.service_port(port, name="tcp")]) for port in (8081, 8082)
    ]
    istio_gateway = {
        "source": "",
        "selector": selector,
        "servers": [{"port": 8081, "name": listener, "protocol": "TCP", "bind": "", "hosts": ["./*"]}],
    }
    rule = {"ports": [8081], "destinations": [{"host": "echo-8081.echo.svc.cluster.local", "port": 8081}]}
    virtual_service = {"hosts": ["*"], "gateways": [common["name"]], "tcp": [rule]}
    deployment = {"name": "edge", "namespace": "gateways", "uid": "", "created": "", "replicas": 1, "available": 1}
    control_plane = {"name": "istiod", "namespace": "istio-system", "revision": "default", "version": "1.31.0"}
    control_plane |= {"member_roll": False, "config": None}
    return {
        "mesh": {
            "version": 2,
            "cluster": {"host": "https://198.18.0.1:6443", "kubernetes": "v1.34.4", "openshift": False},
            "mesh": {
                "served": True,
                "revisions": ["default"],
                "control_planes": [{**control_plane, "ready": True}],
                "unread": [],
            },
            "namespaces": {
                name: {"labels": {}, "terminating": False} for name in ("gateways", "echo", "openshift-operators")
            },
            "services": [front, *backends],
            "gateways": [{**common, "labels": set_labels, **istio_gateway}],
            "virtual_services": [{**common, "labels": set_labels, **virtual_service}],
            "deployments": [{**deployment, "labels": {**ours, "servicemesh.tcp/defined-by": "default"}}],
            "nodes": [],
            "workloads": [],
            "planes": {
                **{key: [] for key in ("smcps", "istios", "cnis", "revisions", "tags", "releases")},
                "served": ["ServiceMeshControlPlane"],
            },
            "operators": operators(),
            "members": {"control_planes": [], "rolls": [], "members": []},
        }
    }


def operators() -> dict[str, Any]:
    """Return an OpenShift's OLM without any operator."""
    catalog = {"name": "redhat-operators", "namespace": "openshift-marketplace", "state": "READY"}
    group = {"name": "global-operators", "namespace": "openshift-operators", "labels": {}, "everywhere": True}
    nothing: dict[str, list[Any]] = {
        key: [] for key in ("groups", "subscriptions", "csvs", "install_plans", "deployments", "unread")
    }
    return {"olm": True, "openshift": "4.18.22", **nothing, "operator_groups": [group], "catalogs": [catalog]}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Run all examples in one ansible-playbook, with one host per filter, so that the recap tells them apart."""
    folder = tmp_path_factory.mktemp("examples")
    # An ignored failure is in the recap, and lets the other filters have their turn.
    common = {"gather_facts": False, "ignore_errors": True}
    plays = [{"hosts": name, **common, "tasks": yaml.safe_load(manual(name)["EXAMPLES"])} for name in NAMES]
    playbook, variables = folder / "examples.yml", folder / "observed.yml"
    playbook.write_text(yaml.safe_dump(plays))
    variables.write_text(yaml.safe_dump({"observed": observed(), "ansible_connection": "local"}))
    command = [sys.executable, "-m", "ansible", "playbook", "-i", ",".join(NAMES), "-e", f"@{variables}", str(playbook)]
    environment = {
        **os.environ,
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "playbooks/collections"),
    }
    return subprocess.run(command, env=environment, cwd=folder, text=True, capture_output=True, check=False).stdout


@pytest.mark.parametrize("name", NAMES)
def test_examples_run_and_hold(run: str, name: str) -> None:
    """Each example is a task that asserts what it shows."""
    tasks = yaml.safe_load(manual(name)["EXAMPLES"])
    assert all("ansible.builtin.assert" in task for task in tasks)
    recap = re.search(rf"^{name} +: ok=(\d+) .*ignored=(\d+)", run, re.MULTILINE)
    assert recap, run
    assert recap.groups() == (str(len(tasks)), "0"), run


@pytest.mark.parametrize("name", NAMES)
def test_options_are_those_of_the_filter(name: str) -> None:
    """Every argument is documented with its own default, and none besides."""
    function = importlib.import_module(f"ansible_collections.servicemesh.tcp.plugins.filter.{name}").FilterModule()
    first, *rest = inspect.signature(function.filters()[name]).parameters.values()
    documented = manual(name)["DOCUMENTATION"]["options"]
    assert first.default is inspect.Parameter.empty
    assert documented.pop("_input")["required"] is True
    actual = {
        # An empty tuple stands for an empty list, which would be mutable.
        item.name: [] if item.default == () else item.default
        for item in rest
        if item.default not in (inspect.Parameter.empty, None)
    }
    assert {option: entry["default"] for option, entry in documented.items() if "default" in entry} == actual
    required = {item.name for item in rest if item.default is inspect.Parameter.empty}
    assert {option for option, entry in documented.items() if entry.get("required")} == required
    assert list(documented) == [item.name for item in rest]
