# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module that publishes a set: its result, its requests, and how it fails."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import yaml
from ansible_collections.servicemesh.tcp.plugins.module_utils import _settle
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import gateway_labels, set_object_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.plugins.modules import tcp_publish
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import EDGE, EDGE_REFERENCE, record
from ansible_collections.servicemesh.tcp.tests.unit.plugins.module_run import run_module
from ansible_collections.servicemesh.tcp.tests.unit.plugins.whole_runs import mesh_cluster

NAME = set_object_name("edge", "default")
LEASE = new_object("Lease", "edge", "gateways", gateway_labels("edge"))
MADE = [
    "change Service gateways/edge",
    *(f"create {kind} gateways/{NAME}" for kind in ("NetworkPolicy", "Gateway", "VirtualService")),
]


@pytest.fixture
def api():
    """A cluster with a gateway and a backend."""
    return mesh_cluster(gateways=[EDGE])


def published(api, *records, **options):
    """Run the module for the default set."""
    return run_module(tcp_publish, api, ports=list(records), gateways=[EDGE_REFERENCE], **options)


def methods(api, begun=0):
    """Return the methods of what was asked, without reads."""
    return [f"{method} {path.rpartition('/')[2]}" for method, path in api.log[begun:] if method != "GET"]


def test_a_run_that_writes(api):
    begun = len(api.log)
    found = published(api, record("a", 8081))
    assert (found["failed"], found["changed"], found["planned"]) == (False, True, False)
    assert found["changes"] == MADE
    assert [(item["name"], item["port"]) for item in found["ports"]] == [("a", 8081)]
    assert (found["findings"], found["withdrawn"], found["nodes"]) == ([], [], [])
    (service,) = [item for item in found["services"] if item["name"] == "edge"]
    assert [port["port"] for port in service["ports"]] == [15021, 8081], "as it is afterwards"
    assert [item["before_header"] for item in found["diff"]] == [line.split(" ", 1)[1] for line in MADE]
    tried = [f"PATCH dry {path}" for path in ("edge", NAME, NAME, NAME)]
    # The Lease does not change what was planned, so that nothing is tried twice.
    assert methods(api, begun) == [*tried, "POST leases", *(line.replace(" dry", "") for line in tried), "PUT edge"]


def test_the_nodes_of_a_gateway_that_the_run_itself_makes_are_read():
    api = mesh_cluster(gateways=())
    api.add(
        {**new_object("Node", "n", None, {}), "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]}}
    )
    gateway = {**EDGE, "service": {"type": "NodePort"}}
    options = {"gateways": [gateway], "gateways_state": "present"}
    found = run_module(tcp_publish, api, ports=[record("a", 8081)], **options)
    assert found["nodes"] == [{"name": "n", "addresses": ["10.0.0.1"], "provider": ""}]
    assert run_module(tcp_publish, api, ports=[record("a", 8081)], **options)["nodes"] == found["nodes"]


def test_a_second_run_reads_once_and_takes_no_lease(api):
    published(api, record("a", 8081))
    before, begun = api.snapshot(), len(api.log)
    found = published(api, record("a", 8081))
    assert (found["changed"], found["changes"], found["diff"]) == (False, [], [])
    assert api.snapshot() == before
    asked = api.log[begun:]
    assert not [path for _method, path in asked if "leases" in path]
    assert [path for _method, path in asked].count("/version") == 1


@pytest.mark.parametrize("count", [1, 50])
def test_a_second_run_costs_the_same_for_any_number_of_ports(api, count):
    records = [record(f"r{port}", port) for port in range(20000, 20000 + count)]
    published(api, *records)
    begun = len(api.log)
    published(api, *records)
    assert len(api.log) - begun == 22


def test_check_mode_writes_nothing_and_takes_no_lease(api):
    before = api.snapshot()
    found = published(api, record("a", 8081), check_mode=True)
    assert (found["failed"], found["changed"], found["planned"]) == (False, True, True)
    assert found["changes"] == MADE
    assert api.snapshot() == before
    assert api.object("Lease", "edge", "gateways") is None


def test_check_mode_shows_what_would_be_in_a_namespace_that_is_missing(api):
    elsewhere = {**EDGE, "namespace": "later"}
    options = {"gateways_state": "present", "namespace_state": "present", "check_mode": True}
    found = run_module(tcp_publish, api, ports=[record("a", 8081)], gateways=[elsewhere], **options)
    assert not found["failed"]
    assert found["changes"][0] == "create Namespace later"
    assert f"create Gateway later/{NAME}" in found["changes"]
    assert api.object("Namespace", "later") is None


def test_a_set_is_withdrawn(api):
    published(api, record("a", 8081), record("b", 8082))
    found = run_module(tcp_publish, api, state="absent", withdraw=["a"])
    assert found["withdrawn"] == [{"namespace": "gateways", "gateway": "edge", "port": 8081}]
    found = run_module(tcp_publish, api, state="absent")
    assert found["changes"][0] == f"remove Gateway gateways/{NAME}"
    assert found["ports"] == []
    assert run_module(tcp_publish, api, state="absent")["changed"] is False


def test_all_findings_are_in_one_message(api):
    before = api.snapshot()
    found = published(api, record("a", 15021), record("b", 8081, gateway="nowhere"))
    assert found["failed"]
    assert {item["code"] for item in found["findings"]} == {"PORT_RESERVED", "GATEWAY_UNKNOWN"}
    assert found["msg"].splitlines()[-1] == "Nothing was written."
    assert api.snapshot() == before


def test_warnings_are_handed_on(api):
    found = run_module(tcp_publish, api, state="absent", withdraw=["no-such-record"])
    assert (found["failed"], found["changed"]) == (False, False)
    assert [item["code"] for item in found["findings"]] == ["WITHDRAW_UNKNOWN"]


def test_a_lease_that_somebody_has_is_named(api):
    api.request("POST", "/apis/coordination.k8s.io/v1/namespaces/gateways/leases", body=held())
    begun = len(api.log)
    found = published(api, record("a", 8081), lease_timeout=0)
    assert found["failed"]
    assert [item["code"] for item in found["findings"]] == ["LEASE_HELD"]
    assert "another run (ops-1-abc) has the gateway's Lease" in found["msg"]
    assert not [line for line in methods(api, begun) if " dry " not in line]


def held():
    """Return the Lease as another run holds it."""
    return {**LEASE, "spec": {"holderIdentity": "ops-1-abc", "leaseDurationSeconds": 3600}}


def test_a_right_that_lacks_is_told(api):
    path = "/apis/coordination.k8s.io/v1/namespaces/gateways/leases"
    api.refusals[("POST", path)] = tcp_publish.ApiError(403, "Forbidden", "leases is forbidden", "POST", path)
    found = published(api, record("a", 8081))
    assert found["failed"]
    assert "leases is forbidden" in found["msg"]


def test_a_wait_that_is_over_says_what_lacks(api, monkeypatch):
    monkeypatch.setattr(_settle, "lacks", lambda _state, _obj, _until, _look: "it has no address")
    passed = iter(range(100))
    ticking = SimpleNamespace(monotonic=lambda: next(passed), sleep=lambda _seconds: None)
    monkeypatch.setattr(_settle, "time", ticking)
    third = {**EDGE, "name": "third"}
    found = run_module(
        tcp_publish, api, ports=[record("a", 8081)], gateways=[EDGE, third], gateways_state="present", wait_timeout=1
    )
    assert found["failed"]
    assert found["msg"].startswith("Not ready after 1 s: ")
    assert "Service gateways/third: it has no address" in found["msg"]
    # The next run does not wait for this one.
    assert api.object("Lease", "third", "gateways")["spec"]["holderIdentity"] == ""


def test_options_and_manual_say_the_same():
    manual = yaml.safe_load(tcp_publish.DOCUMENTATION)["options"]
    assert set(manual) == set(tcp_publish.ARGUMENTS)
    for name, option in tcp_publish.ARGUMENTS.items():
        assert manual[name]["type"] == option["type"], name
        assert manual[name].get("default") == option.get("default"), name
        assert list(manual[name].get("choices") or []) == option.get("choices", []), name
