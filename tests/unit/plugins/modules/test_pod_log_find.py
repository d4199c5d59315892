# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding texts in the logs of pods."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.plugins.modules import pod_log_find
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi
from ansible_collections.servicemesh.tcp.tests.unit.plugins.module_run import run_module


class Cluster(FakeApi):
    """A cluster whose pods have logs; an exception stands for a log that cannot be read."""

    def __init__(self, **logs) -> None:
        super().__init__()
        self.logs = {f"/api/v1/namespaces/echo/pods/{name}/log": log for name, log in logs.items()}
        self.asked = []
        for name in logs:
            self.add(new_object("Pod", name, "echo", {"app": name[0], "tier": "x"}))

    def text(self, path, **query):
        """Read a log."""
        self.asked.append((path, query))
        log = self.logs[path]
        if isinstance(log, Exception):
            raise log
        return log


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """A clock that only sleeping moves; what is to happen at a time happens then."""
    now = SimpleNamespace(seconds=0.0, events=[])

    def sleep(seconds):
        now.seconds += seconds
        for event in now.events:
            event(now.seconds)

    monkeypatch.setattr(pod_log_find, "time", SimpleNamespace(monotonic=lambda: now.seconds, sleep=sleep))
    return now


def search(text, app="a", name="s"):
    """Return one search."""
    return {"name": name, "namespace": "echo", "selector": {"app": app, "tier": "x"}, "text": text}


def test_the_pod_that_has_the_text_is_named():
    api = Cluster(a1="one", a2="two hello", b1="hello")
    found = run_module(pod_log_find, api, searches=[search("hello")], tail_lines=7)
    assert (found["failed"], found["changed"]) == (False, False)
    assert found["results"] == [{"name": "s", "found": True, "pod": "a2", "pods": ["a1", "a2"]}]
    assert {query["tailLines"] for _path, query in api.asked} == {7}
    assert found["api_requests"] == {"GET": 1}


def test_results_come_in_the_order_of_the_searches():
    api = Cluster(a1="one", b1="two")
    searches = [search("two", "b", "second"), search("one", "a", "first")]
    found = run_module(pod_log_find, api, searches=searches)
    assert [(item["name"], item["pod"]) for item in found["results"]] == [("second", "b1"), ("first", "a1")]


def test_a_text_that_comes_late_is_found_and_the_others_are_not_sought_again(clock):
    api = Cluster(a1="", b1="two")
    clock.events.append(lambda now: api.logs.update({"/api/v1/namespaces/echo/pods/a1/log": "one"} if now >= 1 else {}))
    found = run_module(pod_log_find, api, searches=[search("one"), search("two", "b")])
    assert [item["found"] for item in found["results"]] == [True, True]
    assert clock.seconds == 1.0
    assert [path.rsplit("/", 2)[1] for path, _query in api.asked] == ["a1", "b1", "a1", "a1"]


def test_a_text_that_never_comes_is_not_found_at_the_deadline(clock):
    found = run_module(pod_log_find, Cluster(a1="x"), searches=[search("one")], deadline=3)
    assert found["results"] == [{"name": "s", "found": False, "pod": None, "pods": ["a1"]}]
    assert clock.seconds == 3.0


def test_a_deadline_of_0_is_one_look(clock):
    api = Cluster(a1="x")
    run_module(pod_log_find, api, searches=[search("one")], deadline=0)
    assert clock.seconds == 0
    assert len(api.asked) == 1


def test_where_no_pod_is_nothing_is_found():
    found = run_module(pod_log_find, Cluster(), searches=[search("one")], deadline=0)
    assert found["results"] == [{"name": "s", "found": False, "pod": None, "pods": []}]


@pytest.mark.parametrize("status", [400, 404])
def test_a_pod_without_a_log_yet_is_passed_over(status):
    none_yet = ApiError(status, "", "container is creating", "GET", "/log")
    found = run_module(pod_log_find, Cluster(a1=none_yet, a2="one"), searches=[search("one")])
    assert found["results"][0]["pod"] == "a2"


def test_a_log_that_may_not_be_read_fails():
    forbidden = ApiError(403, "Forbidden", "pods/log is forbidden", "GET", "/log")
    found = run_module(pod_log_find, Cluster(a1=forbidden), searches=[search("one")])
    assert found["failed"]
    assert found["msg"].startswith("FORBIDDEN /log: the API server refuses to read: pods/log is forbidden. ")
