# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module that writes: its result, its waits, and what check mode leaves alone."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _announce
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import gateway_labels
from ansible_collections.servicemesh.tcp.plugins.module_utils._sessions import Sessions
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import bare_object, new_object
from ansible_collections.servicemesh.tcp.plugins.modules import tcp_apply
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi
from ansible_collections.servicemesh.tcp.tests.unit.plugins.module_run import run_module

OURS = {"app.kubernetes.io/managed-by": "servicemesh.tcp"}
NAMESPACE = new_object("Namespace", "gateways", None, OURS)
SERVICE = new_object("Service", "edge", "gateways", OURS, spec={"type": "LoadBalancer", "ports": [{"port": 15021}]})
DEPLOYMENT = new_object("Deployment", "edge", "gateways", OURS, spec={"selector": {"matchLabels": {"app": "edge"}}})
SERVICE_PATH = "/api/v1/namespaces/gateways/services/edge"

pytestmark = pytest.mark.usefixtures("settle_clock")


@pytest.fixture
def api():
    """A cluster with the namespace only."""
    found = FakeApi()
    found.add(NAMESPACE)
    return found


class Late(FakeApi):
    """A cluster whose Deployment is ready, and whose load balancer has an address, only after some reads."""

    def __init__(self, reads: int) -> None:
        super().__init__()
        self.add(NAMESPACE)
        self.reads = reads
        self.writing = False

    def request(self, method, path, body=None, query=None, content_type=None):
        answer = super().request(method, path, body, query, content_type)
        if (
            method == "GET"
            and self.writing
            and path in (SERVICE_PATH, "/apis/apps/v1/namespaces/gateways/deployments/edge")
        ):
            self.reads -= 1
            if self.reads > 0:
                answer.pop("status")
        self.writing |= method == "PATCH" and not (query or {}).get("dryRun")
        return answer


def test_a_run_that_writes(api):
    found = run_module(tcp_apply, api, steps=[{"object": SERVICE, "force": True, "wait": True}])
    assert (found["failed"], found["changed"]) == (False, True)
    assert found["changes"] == ["create Service gateways/edge"]
    assert [(item["name"], item["addresses"]) for item in found["services"]] == [("edge", ["198.18.0.100"])]
    (diff,) = found["diff"]
    assert (diff["before_header"], diff["before"]) == ("Service gateways/edge", {})
    assert diff["after"]["spec"]["ports"] == [{"port": 15021}]
    # Read, tried and written once; read once to wait and once to show.
    assert found["api_requests"] == {"GET": 3, "PATCH": 2}


def test_a_second_run_changes_nothing(api):
    steps = [
        {"object": SERVICE, "force": True, "wait": True},
        {"state": "absent", "object": bare_object("Role", "x", "gateways")},
    ]
    run_module(tcp_apply, api, steps=steps)
    before, asked = api.snapshot(), len(api.log)
    found = run_module(tcp_apply, api, steps=steps)
    assert (found["changed"], found["changes"], found["diff"]) == (False, [], [])
    assert api.snapshot() == before
    assert [method for method, _path in api.log[asked:]] == ["GET", "PATCH dry", "GET", "GET", "GET"]


def test_check_mode_writes_nothing(api):
    before = api.snapshot()
    steps = [{"object": SERVICE, "wait": True}, {"object": new_object("Role", "x", "later", OURS)}]
    found = run_module(tcp_apply, api, check_mode=True, steps=steps)
    assert found["changes"] == ["create Service gateways/edge", "create Role later/x"]
    assert found["changed"]
    assert found["services"] == []
    assert api.snapshot() == before
    assert {method for method, _path in api.log} == {"GET", "PATCH dry"}


def test_a_removal_is_shown_as_one(api):
    api.add(SERVICE)
    found = run_module(
        tcp_apply, api, steps=[{"state": "absent", "object": bare_object("Service", "edge", "gateways"), "wait": True}]
    )
    assert found["changes"] == ["remove Service gateways/edge"]
    assert found["diff"][0]["after"] == {}
    assert found["services"] == []
    assert api.object("Service", "edge", "gateways") is None


def test_all_refusals_are_in_one_message(api):
    api.add(new_object("Role", "theirs", "gateways", {}, rules=[1]))
    api.refuse("PATCH", SERVICE, 422, "Invalid", "spec.type: not known")
    steps = [{"object": SERVICE}, {"object": new_object("Role", "theirs", "gateways", OURS, rules=[]), "force": True}]
    found = run_module(tcp_apply, api, steps=steps)
    assert found["failed"]
    assert found["msg"].splitlines() == [
        "NOT_OURS Role gateways/theirs: Role gateways/theirs exists and was not made by this collection (no label"
        " app.kubernetes.io/managed-by=servicemesh.tcp). Rename the gateway or the set, or remove that object by hand.",
        "The API server refuses Service gateways/edge: 422 Invalid: spec.type: not known",
        "Nothing was written.",
    ]
    assert [item["code"] for item in found["findings"]] == ["NOT_OURS"]


def test_an_error_while_writing_is_told(api):
    write = api.request

    def request(method, path, body=None, query=None, content_type=None):
        if method == "PATCH" and not query["dryRun"]:
            api.refuse("PATCH", SERVICE, 500, "InternalError", "etcd is full")
        return write(method, path, body, query, content_type)

    api.request = request
    found = run_module(tcp_apply, api, steps=[{"object": SERVICE}])
    assert found["failed"]
    assert found["msg"] == f"the API server answered 500 InternalError to PATCH {SERVICE_PATH}: etcd is full"


def test_it_waits_until_all_is_as_wanted(settle_clock):
    steps = [{"object": SERVICE, "wait": True}, {"object": DEPLOYMENT, "wait": True}]
    found = run_module(tcp_apply, Late(reads=5), steps=steps, wait_timeout=10)
    assert not found["failed"]
    # Two reads a round, both late; then the two that are left.
    assert settle_clock.seconds == 1.0


def test_it_does_not_wait_for_what_nobody_waits_for(settle_clock):
    found = run_module(tcp_apply, Late(reads=99), steps=[{"object": SERVICE}, {"object": DEPLOYMENT}])
    assert not found["failed"]
    assert settle_clock.seconds == 0


def test_with_0_seconds_nothing_is_waited_for(settle_clock):
    found = run_module(tcp_apply, Late(reads=99), steps=[{"object": SERVICE, "wait": True}], wait_timeout=0)
    assert not found["failed"]
    assert settle_clock.seconds == 0


def test_a_wait_that_is_over_says_what_lacks_and_why():
    api = Late(reads=99)
    pod = new_object("Pod", "edge-1", "gateways", {"app": "edge"}, spec={"containers": [{"image": "auto"}]})
    api.add(pod)
    api.add(new_object("Pod", "other", "gateways", {"app": "x"}, spec={"containers": [{"image": "auto"}]}))
    steps = [{"object": SERVICE, "wait": True}, {"object": DEPLOYMENT, "wait": True}]
    found = run_module(tcp_apply, api, steps=steps, wait_timeout=2)
    assert found["failed"]
    assert found["findings"] == []
    assert found["msg"] == (
        "Not ready after 2 s: Service gateways/edge: the cluster's load balancer has given it no address"
        " | Deployment gateways/edge: its controller has not seen it yet; pod edge-1: its image is still 'auto', so the"
        " mesh's injector did not see it (is the namespace part of the mesh, is istiod ready?)"
    )


def test_pods_that_may_not_be_read_are_said_to_be_so():
    api = Late(reads=99)
    read = api.request

    def request(method, path, body=None, query=None, content_type=None):
        if path.endswith("/pods"):
            raise tcp_apply.ApiError(403, "Forbidden", "pods is forbidden", method, path)
        return read(method, path, body, query, content_type)

    api.request = request
    found = run_module(tcp_apply, api, steps=[{"object": DEPLOYMENT, "wait": True}], wait_timeout=1)
    assert found["msg"].endswith("its controller has not seen it yet; its pods could not be read (pods is forbidden)")


FRONT = new_object("Service", "edge", "gateways", gateway_labels("edge"), spec={"ports": [{"port": 15021}]})
SET = "servicemesh.tcp/default"


def share(*ports):
    """Return a set's share of the front Service."""
    spec = {"spec": {"ports": [{"port": port, "protocol": "TCP"} for port in ports]}} if ports else {}
    return {**bare_object("Service", "edge", "gateways"), **spec}


@pytest.fixture
def edge(api):
    """A gateway on which a set publishes one port."""
    api.add(FRONT, manager="servicemesh.tcp")
    api.add(share(8081), manager=SET)
    return api


@pytest.fixture
def envoys(monkeypatch):
    """What the Envoys of all gateways say, and who was asked; waiting takes no time."""
    said = SimpleNamespace(seen=[Sessions({8081: 2}, (), 45.0, 5.0)], asked=[], slept=[])

    def look(namespace, gateway):
        said.asked.append(f"{namespace}/{gateway}")
        return said.seen.pop(0) if len(said.seen) > 1 else said.seen[0]

    monkeypatch.setattr(tcp_apply, "look_of", lambda _api: look)
    wait = _announce.DrainWait
    monkeypatch.setattr(
        tcp_apply,
        "DrainWait",
        lambda look, seconds: wait(look, seconds, clock=lambda: sum(said.slept), sleep=said.slept.append),
    )
    return said


CLOSE = {"object": share(), "manager": SET, "existing": True, "drain": [8081]}


def test_sessions_that_would_end_are_said_and_waited_for(edge, envoys):
    envoys.seen += [Sessions({8081: 1}, (), 45.0, 5.0), Sessions({}, (), 45.0, 5.0)]
    found = run_module(tcp_apply, edge, steps=[CLOSE])
    assert found["plan"] == [
        "change Service gateways/edge",
        "gateway gateways/edge: port 8081 closes (it is withdrawn); 2 open sessions, they end 45 s after the change",
    ]
    assert [item["code"] for item in found["findings"]] == ["SESSIONS_WOULD_END"]
    assert [(item["port"], item["impact"], item["sessions"]) for item in found["impacts"]] == [(8081, "closes", 2)]
    # Asked for the plan once, then until the sessions have ended.
    assert (envoys.asked, envoys.slept) == (["gateways/edge"] * 3, [2.0])
    assert [port["port"] for port in edge.object("Service", "edge", "gateways")["spec"]["ports"]] == [15021]


def test_a_run_that_is_to_refuse_stops_before_the_first_write(edge, envoys):
    for check_mode in (True, False):
        found = run_module(tcp_apply, edge, check_mode=check_mode, steps=[CLOSE], session_policy="refuse")
        assert found["failed"]
        assert found["msg"].startswith(
            "SESSIONS_WOULD_END gateway 'edge': this run ends open sessions: port 8081 closes"
        )
        assert found["msg"].endswith("\nNothing was written.")
        assert found["plan"][0] == "change Service gateways/edge"
        # A failed result is printed as a whole.
        assert "impacts" not in found
    assert {method for method, _path in edge.log} == {"GET", "PATCH dry"}


def test_ports_that_may_be_cut_do_not_stop_it(edge, envoys):
    found = run_module(
        tcp_apply, edge, steps=[CLOSE], session_policy="refuse", allow_drain=["8000-8099"], wait_timeout=0
    )
    assert (found["failed"], found["changed"], found["findings"]) == (False, True, [])


def test_what_is_no_port_stops_a_run(edge, envoys):
    found = run_module(tcp_apply, edge, steps=[], allow_drain=["http"])
    assert found["msg"].startswith("VALUE_INVALID tcp_allow_drain: entry: 'http' is not valid;")


def test_check_mode_counts_sessions_and_does_not_wait(edge, envoys):
    found = run_module(tcp_apply, edge, check_mode=True, steps=[CLOSE])
    assert (found["failed"], envoys.slept, len(envoys.asked)) == (False, [], 1)


def test_a_run_that_cuts_nothing_asks_no_envoy(edge, envoys):
    found = run_module(tcp_apply, edge, steps=[{"object": share(8081, 8082), "manager": SET, "existing": True}])
    assert found["plan"] == ["change Service gateways/edge", "gateway gateways/edge: port 8082 opens"]
    assert envoys.asked == []


def test_the_envoys_are_asked_through_the_api_server(edge):
    """Without pods there are no sessions; the list of the gateway's pods is the one request more."""
    found = run_module(tcp_apply, edge, check_mode=True, steps=[CLOSE])
    assert found["plan"][1].endswith("no session is open")
    assert ("GET", "/api/v1/namespaces/gateways/pods") in edge.log
