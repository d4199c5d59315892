# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Lease of a gateway: who gets it, when it runs out, and what a run does that lost it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import Stopped
from ansible_collections.servicemesh.tcp.plugins.module_utils._lease import Lease, Leases, holder_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import gateway_labels
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi

DURATION = 30
PATH = "/apis/coordination.k8s.io/v1/namespaces/gateways/leases/edge"


class Clock:
    """A clock that only sleeping moves; something may happen at each sleep."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.at_sleep: Callable[[], None] = lambda: None

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Pass time."""
        self.seconds += seconds
        self.at_sleep()


@pytest.fixture
def api() -> FakeApi:
    """A cluster with the gateway's namespace."""
    found = FakeApi()
    found.add(new_object("Namespace", "gateways", None, {}))
    return found


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


def lease(api: FakeApi, clock: Clock, holder: str = "me") -> Lease:
    """Return the Lease of gateway edge for one run."""
    return Lease(api, "gateways", "edge", DURATION, holder, clock, clock.sleep)


def shown(api: FakeApi) -> dict:
    """Return the Lease as it is on the cluster."""
    return api.object("Lease", "edge", "gateways")


def test_the_first_makes_it_and_gives_it_back(api, clock):
    mine = lease(api, clock)
    mine.take(0)
    assert shown(api)["spec"]["holderIdentity"] == "me"
    assert shown(api)["spec"]["leaseDurationSeconds"] == DURATION
    assert shown(api)["metadata"]["labels"]["servicemesh.tcp/gateway"] == "edge"
    mine.release()
    assert shown(api)["spec"]["holderIdentity"] == ""
    lease(api, clock, "another").take(0)
    assert shown(api)["spec"]["holderIdentity"] == "another"


def test_a_create_that_is_answered_409_is_no_success(api, clock, monkeypatch):
    """Both saw that there is none, and both create it: one gets it, and the other waits."""
    theirs, mine = lease(api, clock, "another"), lease(api, clock)
    theirs.take(0)
    find, answers = api.find, [None]
    monkeypatch.setattr(api, "find", lambda path: answers.pop() if answers else find(path))
    with pytest.raises(Stopped):
        mine.take(5)
    assert ("POST", "/apis/coordination.k8s.io/v1/namespaces/gateways/leases") in api.log
    assert shown(api)["spec"]["holderIdentity"] == "another"


def test_an_update_that_is_answered_409_is_no_success(api, clock, monkeypatch):
    """Both saw that it is free, and both take it."""
    first = lease(api, clock, "first")
    first.take(0)
    first.release()
    free = shown(api)
    lease(api, clock, "another").take(0)
    find, answers = api.find, [free]
    monkeypatch.setattr(api, "find", lambda path: answers.pop() if answers else find(path))
    with pytest.raises(Stopped):
        lease(api, clock).take(5)
    assert shown(api)["spec"]["holderIdentity"] == "another"


def test_who_waits_too_long_is_told_who_has_it(api, clock):
    lease(api, clock, "ops-host-4711-abc").take(0)
    with pytest.raises(Stopped) as stopped:
        lease(api, clock).take(10)
    assert stopped.value.finding["code"] == "LEASE_HELD"
    assert stopped.value.finding["message"] == (
        "gateway 'edge': another run (ops-host-4711-abc) has the gateway's Lease, unchanged for 10 s; this run waited"
        " 10 s for it."
    )
    assert clock.seconds == 10


def test_the_lease_of_a_dead_run_is_taken_when_its_time_is_over_and_not_before(api, clock):
    lease(api, clock, "dead").take(0)
    lease(api, clock).take(60)
    assert clock.seconds == DURATION
    assert shown(api)["spec"]["holderIdentity"] == "me"


def test_the_lease_lasts_as_long_as_its_holder_said(api, clock):
    Lease(api, "gateways", "edge", 5, "dead", clock, clock.sleep).take(0)
    lease(api, clock).take(60)
    assert clock.seconds == 5


def test_a_lease_that_is_renewed_is_not_taken(api, clock):
    theirs = lease(api, clock, "busy")
    theirs.take(0)
    clock.at_sleep = theirs.check
    with pytest.raises(Stopped) as stopped:
        lease(api, clock).take(100)
    # Renewed after each third of its time, for the last time just now.
    assert "unchanged for 0 s; this run waited 100 s for it" in stopped.value.finding["message"]


def test_a_clock_that_is_wrong_by_years_does_not_matter(api, clock):
    lease(api, clock, "another").take(0)
    api.objects["/apis/coordination.k8s.io/v1/namespaces/gateways/leases/edge"].shares["kubectl-edit"]["spec"][
        "renewTime"
    ] = "1999-01-01T00:00:00.000000Z"
    with pytest.raises(Stopped):
        lease(api, clock).take(DURATION - 1)


def test_it_is_renewed_before_a_write_when_a_third_of_its_time_has_passed(api, clock):
    mine = lease(api, clock)
    mine.take(0)
    version = shown(api)["metadata"]["resourceVersion"]
    clock.seconds = DURATION / 3 - 1
    mine.check()
    assert shown(api)["metadata"]["resourceVersion"] == version
    clock.seconds = DURATION / 3
    mine.check()
    assert shown(api)["metadata"]["resourceVersion"] != version
    clock.seconds += DURATION - 1
    mine.check()


def test_a_run_that_slept_too_long_stops_and_leaves_the_lease_alone(api, clock):
    mine = lease(api, clock)
    mine.take(0)
    clock.seconds = DURATION
    before = shown(api)
    with pytest.raises(Stopped) as stopped:
        mine.check()
    assert stopped.value.finding["code"] == "LEASE_LOST"
    mine.release()
    assert shown(api) == before


def test_a_run_whose_lease_another_one_has_taken_stops(api, clock):
    mine = lease(api, clock)
    mine.take(0)
    other = Clock()
    other.seconds = 0
    Lease(api, "gateways", "edge", DURATION, "another", other, other.sleep).take(60)
    clock.seconds = DURATION / 2
    with pytest.raises(Stopped) as stopped:
        mine.check()
    assert stopped.value.finding["message"] == (
        "gateway 'edge': this run renewed the gateway's Lease 15 s ago and lost it since; another one may be writing by"
        " now."
    )
    mine.release()
    assert shown(api)["spec"]["holderIdentity"] == "another"


def test_an_api_server_that_is_gone_does_not_keep_a_run_from_ending(api, clock):
    mine = lease(api, clock)
    mine.take(0)
    api.refuse(
        "PUT", {"kind": "Lease", "metadata": {"name": "edge", "namespace": "gateways"}}, 0, "Unreachable", "gone"
    )
    mine.release()


def test_other_answers_are_errors(api, clock):
    body = {"kind": "Lease", "metadata": {"name": "edge", "namespace": "elsewhere"}}
    with pytest.raises(ApiError):
        Lease(api, "elsewhere", "edge", DURATION, "me", clock, clock.sleep).take(5)
    assert api.object(body["kind"], "edge", "elsewhere") is None


def test_several_are_taken_in_one_order_and_all_given_back(api, clock):
    api.add(new_object("Namespace", "abc", None, {}))
    with Leases(api, [("gateways", "edge"), ("abc", "edge"), ("gateways", "door")], DURATION, clock=clock) as leases:
        leases.take(0)
        leases.check()
        posts = [path for method, path in api.log if method == "POST"]
        assert [path.split("/")[5] for path in posts] == ["abc", "gateways", "gateways"]
        assert api.object("Lease", "door", "gateways")["spec"]["holderIdentity"]
    for namespace, name in (("abc", "edge"), ("gateways", "door"), ("gateways", "edge")):
        assert api.object("Lease", name, namespace)["spec"]["holderIdentity"] == ""


def test_those_that_are_held_are_kept_while_the_next_is_waited_for(api, clock):
    lease(api, clock, "dead").take(0)
    with Leases(api, [("gateways", "edge"), ("gateways", "door")], DURATION, clock=clock, sleep=clock.sleep) as leases:
        leases.take(60)
        assert clock.seconds == DURATION
        leases.check()


def test_no_two_runs_are_the_same_holder():
    assert holder_name() != holder_name()


def test_one_that_went_with_its_gateway_is_not_made_anew(api, clock):
    """Kubernetes makes a Lease anew that an update finds gone, unless the update carries the uid that was read."""
    mine = lease(api, clock)
    mine.take(0)
    bare = {**new_object("Lease", "edge", "gateways", {}), "metadata": dict(shown(api)["metadata"])}
    del api.objects[PATH]
    clock.seconds = DURATION / 2
    with pytest.raises(Stopped) as stopped:
        mine.check()
    assert stopped.value.finding["code"] == "LEASE_LOST"
    assert shown(api) is None
    # The cluster in memory does make it without one.
    del bare["metadata"]["uid"]
    api.request("PUT", PATH, body=bare)
    assert shown(api)


def test_giving_back_one_that_went_with_its_gateway_leaves_nothing(api, clock):
    mine = lease(api, clock)
    mine.take(0)
    del api.objects[PATH]
    mine.release()
    assert shown(api) is None


def test_a_lease_of_somebody_else_s_is_left_alone(api, clock):
    """Another program's leader election may go by the gateway's name."""
    theirs = new_object("Lease", "edge", "gateways", {"app": "x"}, spec={"holderIdentity": "", "leaseTransitions": 3})
    api.request("POST", PATH.rpartition("/")[0], body=theirs)
    before = shown(api)
    with pytest.raises(Stopped) as stopped:
        lease(api, clock).take(60)
    assert stopped.value.finding["code"] == "NOT_OURS"
    assert stopped.value.finding["message"].startswith("gateway 'edge': Lease gateways/edge exists")
    assert shown(api) == before


def test_a_lease_without_a_spec_is_free(api, clock):
    api.request("POST", PATH.rpartition("/")[0], body=new_object("Lease", "edge", "gateways", gateway_labels("edge")))
    lease(api, clock).take(0)
    assert shown(api)["spec"]["holderIdentity"] == "me"
