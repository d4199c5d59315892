# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said before the first write, what stops a run, and how long a removal waits."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _apply
from ansible_collections.servicemesh.tcp.plugins.module_utils._announce import DrainWait, allowed_ports, announce
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import errors
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import gateway_labels
from ansible_collections.servicemesh.tcp.plugins.module_utils._sessions import Sessions
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import bare_object, new_object
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import messages

BLIND = Sessions(problems=("no right to list pods in namespace gateways",))


def front(*ports, name="edge"):
    """Return a gateway's front Service with these ports, given as numbers or as (port, target port)."""
    pairs = [port if isinstance(port, tuple) else (port, port) for port in ports]
    spec = {"ports": [{"port": port, "targetPort": target} for port, target in pairs]}
    return new_object("Service", name, "gateways", gateway_labels(name), spec=spec)


def change(before, after, **step):
    """Return what one step would do."""
    obj = before or after
    action = "change" if before and after else "create" if after else "remove"
    share = {"object": bare_object(obj["kind"], obj["metadata"]["name"], "gateways"), "manager": "servicemesh.tcp/x"}
    return _apply.Change({**share, **step}, action, before, after)


class Gateways:
    """Answers for the Envoys, and notes who was asked."""

    def __init__(self, *answers, **by_name):
        self.answers = list(answers)
        self.by_name = by_name
        self.asked = []

    def __call__(self, namespace, name):
        """Answer for one gateway: the next answer, the last one again and again."""
        self.asked.append(f"{namespace}/{name}")
        if self.by_name:
            return self.by_name[name]
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


OPEN = Sessions({8081: 2, 10022: 1}, (), 45.0, 5.0)
CLOSING = change(front(8081, 8082, (22, 10022)), front())


def test_a_run_that_cuts_nothing_asks_nobody():
    look = Gateways(OPEN)
    told = announce([change(front(8081), front(8081, 8082))], look)
    assert look.asked == []
    assert (told.lines, told.findings) == (
        ["change Service gateways/edge", "gateway gateways/edge: port 8082 opens"],
        [],
    )
    assert {(item["sessions"], item["unseen"], item["ends"]) for item in told.impacts} == {(None, "", None)}


def test_every_gateway_is_asked_once_whatever_the_number_of_ports():
    look = Gateways(OPEN)
    changes = [change(front(*range(8000, 9000)), front()), change(front(1, 2, name="door"), None)]
    told = announce(changes, look)
    assert sorted(look.asked) == ["gateways/door", "gateways/edge"]
    assert len(told.impacts) == 1002
    assert len(told.lines) == 4


def test_open_sessions_are_a_warning():
    told = announce([CLOSING], Gateways(OPEN))
    assert told.lines == [
        "change Service gateways/edge",
        "gateway gateways/edge: ports 22, 8081-8082 close (it is withdrawn); 3 open sessions (8081: 2, 22: 1), they end"
        " 45 s after the change",
    ]
    assert messages(told.findings) == [
        "SESSIONS_WOULD_END gateway 'edge': this run ends open sessions: ports 22, 8081 close (it is withdrawn); 3 open"
        " sessions (8081: 2, 22: 1), they end 45 s after the change."
    ]
    assert errors(told.findings) == []


def test_open_sessions_stop_a_run_that_is_to_refuse():
    told = announce([CLOSING], Gateways(OPEN), "refuse")
    assert [item["code"] for item in errors(told.findings)] == ["SESSIONS_WOULD_END"]


@pytest.mark.parametrize(
    ("allowed", "ports"),
    [
        (["8081"], "port 22 closes"),
        ([8081, "22"], None),
        (["8000-8099"], "port 22 closes"),
        (["1-65535"], None),
        (["all"], None),
        (["8082"], "ports 22, 8081 close"),
    ],
)
def test_ports_that_may_be_cut_stop_nothing(allowed, ports):
    told = announce([CLOSING], Gateways(OPEN), "refuse", allowed)
    assert [item["code"] for item in told.findings] == (["SESSIONS_WOULD_END"] if ports else [])
    assert not ports or f"open sessions: {ports} (" in told.findings[0]["message"]
    # They are told of all the same.
    assert "3 open sessions" in told.lines[1]


def test_ports_without_a_session_are_no_reason_to_stop():
    told = announce([CLOSING], Gateways(Sessions({}, (), 45.0, 5.0)), "refuse")
    assert told.findings == []
    assert told.lines[1].endswith("no session is open")


def test_one_finding_tells_all_that_ends_on_a_gateway():
    target = change(front(8081, (22, 10022)), front(8081, (22, 10023)))
    told = announce([target, change(front(8081, (22, 10023)), front((22, 10023)))], Gateways(OPEN))
    assert messages(told.findings) == [
        "SESSIONS_WOULD_END gateway 'edge': this run ends open sessions: port 8081 closes (it is withdrawn); 2 open"
        " sessions, they end 45 s after the change, and port 22 drains (its target port changes); 1 open session, it"
        " ends 45 s after the change."
    ]


def test_what_cannot_be_seen_is_said_and_stops_a_run_that_is_to_refuse():
    told = announce([CLOSING], Gateways(BLIND))
    assert messages(told.findings) == [
        "SESSIONS_UNSEEN gateway 'edge': this run cuts whatever is open on ports 22, 8081-8082, and what is open could"
        " not be seen: no right to list pods in namespace gateways."
    ]
    assert told.lines[1].endswith("open sessions could not be seen: no right to list pods in namespace gateways")
    assert errors(announce([CLOSING], Gateways(BLIND), "refuse").findings)
    assert announce([CLOSING], Gateways(BLIND), "refuse", ["all"]).findings == []


def test_what_is_seen_of_one_pod_counts_although_another_is_silent():
    told = announce([CLOSING], Gateways(Sessions({8081: 2}, ("pod b is gone",), 45.0, 5.0)))
    assert [item["code"] for item in told.findings] == ["SESSIONS_WOULD_END", "SESSIONS_UNSEEN"]
    counts = {item["port"]: item["sessions"] for item in told.impacts}
    assert counts == {22: None, 8081: 2, 8082: None}


def test_sessions_of_ports_that_live_on_are_not_counted():
    told = announce([change(front(8081, 8082, (22, 10022)), front(8081))], Gateways(OPEN))
    assert {item["port"]: (item["sessions"], item["ends"]) for item in told.impacts} == {
        22: (1, 45.0),
        8081: (None, None),
        8082: (0, 45.0),
    }


def test_a_rollout_ends_sessions_by_the_pods_own_time():
    def pods(image):
        spec = {"template": {"spec": {"image": image}}}
        return new_object("Deployment", "edge", "gateways", gateway_labels("edge"), spec=spec)

    changes = [change(front(8081), front(8081)), change(pods("a"), pods("b"))]
    told = announce(changes, Gateways(OPEN))
    assert [(item["impact"], item["sessions"], item["ends"]) for item in told.impacts] == [("restarts", 2, 5.0)]
    assert told.lines[-1].endswith("2 open sessions, they end 5 s after the pod is told to stop")


def test_gateways_have_findings_of_their_own():
    look = Gateways(edge=OPEN, door=BLIND)
    told = announce([CLOSING, change(front(1, name="door"), None)], look, "refuse")
    assert [(item["code"], item["subject"]) for item in told.findings] == [
        ("SESSIONS_UNSEEN", "gateway 'door'"),
        ("SESSIONS_WOULD_END", "gateway 'edge'"),
    ]


def test_an_object_that_is_written_twice_is_told_of_once():
    told = announce([change(front(1), front(1, 2)), change(front(1, 2), front(2))], Gateways(OPEN))
    assert told.lines.count("change Service gateways/edge") == 1


@pytest.mark.parametrize("text", ["http", "0", "65536", "2-1", "1-", "-1", "", "1-x", "1-2-3"])
def test_what_is_no_port_is_an_error(text):
    ports, findings = allowed_ports(["8081", text])
    assert ports == {8081}
    assert messages(findings) == [
        f"VALUE_INVALID tcp_allow_drain: entry: {text!r} is not valid; it is a port, a range such as 20000-20099 within"
        " 1 to 65535, or 'all'."
    ]
    assert errors(announce([], Gateways(), "warn", [text]).findings)


class Time:
    """A clock that only sleeping moves on."""

    def __init__(self):
        self.slept = 0.0
        self.ticks = 0

    def clock(self):
        """Return the seconds since some moment."""
        return 1000 + self.slept

    def sleep(self, seconds):
        """Let seconds pass."""
        assert seconds >= 0
        self.slept += seconds

    def tick(self):
        """Note that a look was taken."""
        self.ticks += 1

    def wait(self, look, seconds=300):
        """Return a wait that goes by this clock."""
        return DrainWait(look, seconds, self.tick, self.clock, self.sleep)


DRAINING = change(front(8081, (22, 10022)), front(), drain=[8081, 10022])


def test_a_removal_waits_until_the_sessions_have_ended():
    time, look = Time(), Gateways(OPEN, OPEN, Sessions({10022: 1}, (), 45.0), Sessions({9999: 1}, (), 45.0))
    time.wait(look)(DRAINING)
    assert (look.asked, time.slept, time.ticks) == (["gateways/edge"] * 4, 6.0, 3)


def test_a_removal_waits_no_longer_than_the_drain_time():
    time, look = Time(), Gateways(OPEN)
    time.wait(look)(DRAINING)
    # 45 s and the time that istiod and Envoy need for the change, by steps of 2 s.
    assert time.slept == 50


@pytest.mark.parametrize("seconds", [0, 1, 7])
def test_a_removal_waits_no_longer_than_the_run_may_wait(seconds):
    time = Time()
    wait = time.wait(Gateways(Sessions({8081: 1})), seconds)
    wait(DRAINING)
    assert time.slept == seconds
    # All removals of a run together.
    wait(DRAINING)
    assert time.slept == seconds


@pytest.mark.parametrize("seen", [Sessions({}, (), 45.0), Sessions({9999: 1}, (), 45.0), BLIND])
def test_nothing_is_waited_for_where_no_session_is_open_or_seen(seen):
    time, look = Time(), Gateways(seen)
    time.wait(look)(DRAINING)
    assert (look.asked, time.slept) == (["gateways/edge"], 0)


@pytest.mark.parametrize("harmless", [CLOSING, change(None, front(8081), drain=[8081])])
def test_a_write_that_drains_nothing_asks_nobody(harmless):
    time, look = Time(), Gateways(OPEN)
    time.wait(look)(harmless)
    assert (look.asked, time.slept) == ([], 0)


def test_a_front_service_says_itself_whose_it_is():
    look = Gateways(Sessions())
    second = front(8081)
    second["metadata"]["name"] = "edge-2"
    Time().wait(look)(change(second, None, drain=[8081]))
    assert look.asked == ["gateways/edge"]
