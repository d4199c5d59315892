# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wait ends when all is as wanted, when time is up, and where no waiting helps; and says in between what lacks."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _settle
from ansible_collections.servicemesh.tcp.plugins.module_utils._lack import Fatal
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import complete
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import bare_object, new_object
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi

pytestmark = pytest.mark.usefixtures("settle_clock")


def steps(*names, **more):
    """Return steps that wait for objects by name."""
    return [complete({"wait": True, "object": new_object("Pod", name, "apps", {}), **more}) for name in names]


def waiting(monkeypatch, rule):
    """Let a rule of the tests say what a pod lacks."""
    monkeypatch.setattr(_settle, "lacks", rule)
    api = FakeApi()
    for name in ("a", "b", "c", "d"):
        api.add(new_object("Pod", name, "apps", {}))
    return api


def test_a_fatal_lack_ends_the_wait_at_once_and_only_it_is_told(monkeypatch, settle_clock):
    lacks = {"a": "not yet", "b": Fatal("it can never be")}
    api = waiting(monkeypatch, lambda _state, obj, _until, _look: lacks[obj["metadata"]["name"]])
    said = _settle.wait_for(api, steps("a", "b"), 300)
    assert said == "Waiting longer is of no use: Pod apps/b: it can never be"
    assert settle_clock.seconds == 0


def test_a_fatal_lack_with_patience_must_hold_that_long(monkeypatch, settle_clock):
    def rule(_state, _obj, _until, _look):
        # Fails, is tried again at 5 s, and fails for good.
        return "tried again" if settle_clock.seconds == 5 else Fatal("failed", 10)

    said = _settle.wait_for(waiting(monkeypatch, rule), steps("a"), 300)
    assert said == "Waiting longer is of no use: Pod apps/a: failed"
    assert settle_clock.seconds == 15.5


def test_the_rule_gets_what_the_step_says_and_can_look_further(monkeypatch):
    def rule(_state, _obj, until, look):
        return "" if look("Pod", until["other"], "apps") and not look("Pod", "x", "apps") else "no"

    api = waiting(monkeypatch, rule)
    assert _settle.wait_for(api, steps("a", until={"other": "b"}), 300) == ""
    assert _settle.wait_for(api, steps("a", until={"other": "x"}), 1) == "Not ready after 1 s: Pod apps/a: no"


@pytest.mark.parametrize(
    ("rendered", "said"),
    [
        ([15021, 8081], ""),
        (
            [15021],
            "Not ready after 1 s: ServiceMeshControlPlane cp/basic: its Service edge does not have 8081 yet; "
            "Reconciled is False (Failed: no chart)",
        ),
    ],
)
def test_ports_that_a_control_plane_opens_are_waited_for_on_the_front_service(rendered, said):
    api = FakeApi()
    plane = bare_object("ServiceMeshControlPlane", "basic", "cp")
    condition = {"type": "Reconciled", "status": "False", "reason": "Failed", "message": "no chart"}
    api.add({**plane, "status": {"conditions": [condition]}})
    api.add(new_object("Service", "edge", "gateways", {}, spec={"ports": [{"port": port} for port in rendered]}))
    gateway = {"namespace": "gateways", "name": "edge"}
    step = complete({"object": plane, "wait": True, "gateway": gateway, "until": {"ports": [8081]}})
    assert _settle.wait_for(api, [step], 1) == said
    # Without ports it is the control plane itself.
    assert _settle.path_to_watch({**step, "until": {"ports": []}}).endswith("/servicemeshcontrolplanes/basic")


def test_every_ten_seconds_it_says_what_lacks(monkeypatch, settle_clock):
    told = []

    def rule(_state, _obj, _until, _look):
        return "" if settle_clock.seconds >= 25 else f"{settle_clock.seconds:.0f}/25"

    api = waiting(monkeypatch, rule)
    assert _settle.wait_for(api, steps("a", "b", "c", "d"), 300, told.append) == ""
    assert [text[:14] for text in told] == ["waiting, 10 s:", "waiting, 20 s:"]
    assert told[0].endswith("Pod apps/a: 10/25 | Pod apps/b: 10/25 | Pod apps/c: 10/25 | and 1 more")


def test_what_is_told_goes_to_the_file_line_by_line(tmp_path):
    progress = tmp_path / "progress"
    _settle.teller(str(progress))("one")
    _settle.teller(str(progress))("two")
    assert progress.read_text() == "one\ntwo\n"


@pytest.mark.parametrize("path", [None, "/nowhere/progress"])
def test_nobody_listening_is_no_error(path):
    _settle.teller(path)("one")
