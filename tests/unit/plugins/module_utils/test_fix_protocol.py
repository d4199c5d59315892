# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole runs with fix_protocol: what is written into somebody else's Service, and that all of it is taken back."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _apply
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_owner import owner_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.plugins.modules import mesh_state
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import EDGE, EDGE_REFERENCE
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi
from ansible_collections.servicemesh.tcp.tests.unit.plugins.whole_runs import mesh_cluster, publish, withdraw

PORTS = {9000: {"name": "http-a"}, 9001: {}, 9002: {"name": "tcp-c"}, 9003: {"name": "x", "appProtocol": "mysql"}}


def shop(**more: Any) -> FakeApi:
    """Return a cluster with somebody's Service that declares its ports in every way."""
    api = mesh_cluster()
    ports = [{"port": number, "protocol": "TCP", **PORTS[number]} for number in PORTS]
    ports.append({"port": 9004, "protocol": "TCP", "name": "z", **more})
    api.add(new_object("Service", "db", "apps", {"app": "db"}, spec={"ports": ports}))
    return api


def record(number: int, name: str = "", fix: bool = True) -> dict[str, Any]:
    """Return a record for one of its ports."""
    backend = {"namespace": "apps", "service": "db", "port": number}
    return {"name": name or f"p{number}", "gateway": "edge", "port": number, "backend": backend, "fix_protocol": fix}


def said(api: FakeApi) -> dict[int, str]:
    """Return what is said of each port's protocol."""
    ports = api.object("Service", "db", "apps")["spec"]["ports"]
    return {port["port"]: port["appProtocol"] for port in ports if "appProtocol" in port}


def test_only_what_is_not_declared_as_tcp_is_written_and_all_is_taken_back():
    api = shop()
    before = api.object("Service", "db", "apps")["spec"]
    records = [record(number) for number in PORTS]
    lines = publish(api, records)
    assert lines[0] == "change Service apps/db"
    assert said(api) == {9000: "tcp", 9001: "tcp", 9003: "mysql"}
    assert publish(api, records) == []
    # Another set wants one of them as well, and so it stays when the first leaves.
    other = {**record(9000, "other"), "port": 19000}
    publish(api, [other], "other")
    withdraw(api, names=["p9001"])
    assert said(api) == {9000: "tcp", 9003: "mysql"}
    publish(api, [record(9000, fix=False)], allow_withdraw=["all"])
    assert said(api) == {9000: "tcp", 9003: "mysql"}
    assert withdraw(api, "other")[-1] == "change Service apps/db"
    assert api.object("Service", "db", "apps")["spec"] == before


def test_what_a_run_keeps_stays_mended():
    api = shop()
    publish(api, [record(9000), record(9001)])
    publish(api, [record(9001)], prune=False)
    assert said(api) == {9000: "tcp", 9001: "tcp", 9003: "mysql"}
    publish(api, [record(9001, fix=False)], prune=False)
    assert said(api) == {9000: "tcp", 9003: "mysql"}


def test_what_somebody_else_says_is_left_alone():
    for given in ("http", "example.com/db"):
        api = shop(appProtocol=given)
        before = api.snapshot()
        with pytest.raises(_apply.Refused) as refused:
            publish(api, [record(9004)])
        assert [item["code"] for item in refused.value.findings] == ["PROTOCOL_HELD"]
        assert api.snapshot() == before
    # Also where it was said after ours was written.
    api = shop()
    publish(api, [record(9004)])
    api.add(new_object("Service", "db", "apps", {}, spec={"ports": [{"port": 9004, "appProtocol": "grpc"}]}), "argocd")
    with pytest.raises(_apply.Refused):
        publish(api, [record(9004)])


def test_it_says_so_once():
    api = shop()
    planned = port_map([record(9000)], [EDGE_REFERENCE], mesh_state.read(api))["findings"]
    assert [(item["code"], item["severity"]) for item in planned] == [("PROTOCOL_WRITTEN", "warning")]
    publish(api, [record(9000)])
    assert port_map([record(9000)], [EDGE_REFERENCE], mesh_state.read(api))["findings"] == []


def test_it_makes_nobody_the_owner_of_the_service():
    api = shop()
    before = owner_of(api.object("Service", "db", "apps")["metadata"])
    publish(api, [record(9000)])
    assert owner_of(api.object("Service", "db", "apps")["metadata"]) == before


def test_a_server_outside_has_no_service_to_mend():
    wanted = {**record(9000), "backend": {"host": "db.example.com", "port": 5432}}
    (found,) = port_map([wanted], [EDGE])["findings"]
    assert (found["code"], "fix_protocol: True" in found["message"]) == ("VALUE_INVALID", True)
