# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries in a list that others write to: nobody else's is lost, also when both write at once."""

from __future__ import annotations

import json

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _apply
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._onboarding_roll import roll_steps
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import complete
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi

MESH = {"namespace": "istio-system"}
ENTRIES = "servicemesh.tcp/entries"


def roll(*members, labels=None, ours=None, **spec):
    """Return a member roll; ours are the entries that are recorded as this collection's."""
    obj = new_object(
        "ServiceMeshMemberRoll", "default", "istio-system", labels or {}, spec={"members": list(members), **spec}
    )
    if ours:
        obj["metadata"]["annotations"] = {ENTRIES: json.dumps(ours), "theirs": "x"}
    return obj


def cluster(obj=None):
    """Return a cluster with the roll's namespace, and a roll if one is given."""
    api = FakeApi()
    api.add(new_object("Namespace", "istio-system", None, {}))
    if obj:
        api.add(obj)
    return api


def carry_out(api, add=(), remove=()):
    """Write a roll's step, and return what was done."""
    steps = [complete(step) for step in roll_steps(MESH, add, (), remove, ())]
    return [change.action for change in _apply.write(api, _apply.plan(api, steps, lenient=False))]


def written(api):
    """Return the roll's members and which are recorded as ours, V(None) for no roll."""
    obj = api.object("ServiceMeshMemberRoll", "default", "istio-system")
    if obj is None:
        return None
    recorded = obj["metadata"].get("annotations", {}).get(ENTRIES)
    return obj["spec"]["members"], json.loads(recorded) if recorded else None


@pytest.mark.parametrize(
    ("before", "add", "remove", "after", "actions"),
    [
        (None, ["b", "a"], [], (["a", "b"], ["a", "b"]), ["create"]),
        (roll("x"), ["a"], [], (["x", "a"], ["a"]), ["change"]),
        (roll("x", "a", ours=["a"]), ["a"], [], (["x", "a"], ["a"]), []),
        # Somebody else's entry is not made ours by being wanted too, and is not taken away.
        (roll("x"), ["x"], [], (["x"], None), []),
        (roll("x"), [], ["x"], (["x"], None), []),
        (roll("x", "a", "b", ours=["a", "b"]), [], ["a"], (["x", "b"], ["b"]), ["change"]),
        (roll("x", "a", ours=["a"]), [], ["a"], (["x"], None), ["change"]),
        # What somebody took out by hand comes back.
        (roll("x", ours=["a"]), ["a"], [], (["x", "a"], ["a"]), ["change"]),
        (None, [], ["a"], None, []),
    ],
)
def test_entries(before, add, remove, after, actions):
    api = cluster(before)
    assert carry_out(api, add, remove) == actions
    assert written(api) == after
    assert carry_out(api, add, remove) == []


OURS = {"app.kubernetes.io/managed-by": "servicemesh.tcp"}


@pytest.mark.parametrize(
    ("before", "stays"),
    [
        (roll("a", ours=["a"], labels=OURS), False),
        (roll("a", "x", ours=["a"], labels=OURS), True),
        (roll("a", ours=["a"], labels=OURS, memberSelectors=[{"matchLabels": {"x": "y"}}]), True),
        # Somebody else's empty roll is theirs.
        (roll("a", ours=["a"]), True),
    ],
)
def test_a_roll_that_we_made_goes_with_its_last_member(before, stays):
    api = cluster(before)
    assert carry_out(api, remove=["a"]) == ["change" if stays else "remove"]
    assert (written(api) is not None) is stays


def test_other_annotations_stay():
    api = cluster(roll("x", "a", ours=["a"]))
    carry_out(api, remove=["a"])
    assert api.object("ServiceMeshMemberRoll", "default", "istio-system")["metadata"]["annotations"] == {"theirs": "x"}


class Busy(FakeApi):
    """A cluster on which somebody else changes the roll just before our write, a number of times."""

    def __init__(self, times, what):
        super().__init__()
        self.times, self.what = times, what

    def request(self, method, path, body=None, query=None, content_type=None, accept=None):
        real = (query or {}).get("dryRun") is None and (body or {}).get("dryRun") != ["All"]
        if method in ("PATCH", "POST", "DELETE") and "memberrolls" in path and real and self.times:
            self.times -= 1
            self.what(self)
        return super().request(method, path, body, query, content_type, accept)


def interfere(*members, **more):
    """Return what replaces the roll by one with these members."""

    def act(api):
        api.add(roll(*members, **more))
        for stored in api.objects.values():
            stored.version += 1

    return act


@pytest.mark.parametrize(
    ("before", "what", "add", "remove", "after"),
    [
        (roll("x"), interfere("x", "y"), ["a"], [], (["x", "y", "a"], ["a"])),
        # Somebody makes the roll at the same time.
        (None, interfere("y"), ["a"], [], (["y", "a"], ["a"])),
        # The last member leaves while another team joins: the roll stays.
        (
            roll("a", ours=["a"], labels=OURS),
            interfere("a", "y", ours=["a"], labels=OURS),
            [],
            ["a"],
            (["y"], None),
        ),
    ],
)
@pytest.mark.parametrize("times", [1, 3])
def test_who_writes_at_the_same_time_loses_nothing(before, what, add, remove, after, times):
    api = Busy(times, what)
    api.objects = cluster(before).objects
    carry_out(api, add, remove)
    assert written(api) == after


def test_a_roll_that_changes_while_it_is_tried_is_written_all_the_same():
    api = cluster(roll("x"))
    path = "/apis/maistra.io/v1/namespaces/istio-system/servicemeshmemberrolls/default"
    busy = ApiError(409, "Conflict", "the object has been modified", "PATCH", path)
    api.refusals[("PATCH", path)] = busy
    (step,) = (complete(step) for step in roll_steps(MESH, ["a"], (), (), ()))
    changes = _apply.plan(api, [step], lenient=False)
    api.refusals.clear()
    _apply.write(api, changes)
    assert written(api) == (["x", "a"], ["a"])


def test_where_the_control_plane_s_namespace_is_still_to_come_check_mode_shows_a_roll_that_would_be_made():
    (step,) = (complete(step) for step in roll_steps(MESH, ["a"], (), (), ()))
    (change,) = _apply.plan(FakeApi(), [step], lenient=True)
    assert change.action == "create"
    with pytest.raises(_apply.Refused):
        _apply.plan(FakeApi(), [step], lenient=False)


def test_a_roll_that_never_holds_still_ends_the_run():
    api = Busy(99, interfere("x", "y"))
    api.objects = cluster(roll("x")).objects
    with pytest.raises(ApiError, match="has been modified"):
        carry_out(api, ["a"])
