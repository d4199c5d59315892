# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The prober against real sockets on the loopback, with a stand-in for what the gateway's Envoy counts."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections import Counter

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _probe
from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy import Endpoint, Snapshot
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe import Prober, sockets_allowed
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_target import (
    STATES,
    TargetError,
    parse_target,
    summarize,
)

HOME = "127.0.0.1"


class Lab:
    """Listening ports that behave like ports of one gateway, and the counters its Envoy would show."""

    def __init__(self):
        self.accepted = Counter()
        self.endpoints = {}
        self.problems = ()
        self.problems_retry = True
        self.asked = 0
        self.servers = []

    async def listen(self, behaviour, port=0):
        """Serve a behaviour (a coroutine function of reader and writer) and return the port."""

        async def serve(reader, writer):
            try:
                await behaviour(reader, writer)
            except ConnectionError:
                pass
            finally:
                writer.transport.abort()

        server = await asyncio.start_server(serve, HOME, port, backlog=1024)
        self.servers.append(server)
        return server.sockets[0].getsockname()[1]

    async def gateway_port(self, cluster, reaches=True, healthy=True):
        """Listen as Envoy does: accept at once, and count only what a backend accepted."""
        self.endpoints[cluster] = healthy

        async def forward(reader, writer):
            self.accepted[cluster] += reaches
            await reader.read()

        return await self.listen(forward)

    async def observe(self, gateway, wanted, pods):
        """Answer as the gateway's only pod would."""
        self.asked += 1
        if self.problems:
            return Snapshot(problems=self.problems, retry=self.problems_retry)
        clusters = {
            name: {"10.0.0.7:80": Endpoint(self.accepted[name], self.endpoints[name])}
            for name in wanted
            if name in self.endpoints
        }
        return Snapshot({"pod": clusters})


async def echo(reader, writer):
    """Send back what comes."""
    while data := await reader.read(4096):
        writer.write(data)


def say(data):
    """Make a server that sends the same to everybody and then waits."""

    async def speak(reader, writer):
        writer.write(data)
        await reader.read()

    return speak


async def hang_up(reader, writer):
    """Close as soon as something comes."""
    await reader.read(1)


async def hang_up_at_once(reader, writer):
    """Close without a word."""
    writer.close()
    await writer.wait_closed()


async def reset(reader, writer):
    """Cut the connection with RST."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def record(port, **more):
    """Return a target as a task writes it."""
    return {"name": f"port-{port}", "addresses": [HOME], "port": port, "timeout": 5.0, **more}


def run(scenario):
    """Run a coroutine function that gets a lab."""

    async def main():
        return await scenario(Lab())

    return asyncio.run(main())


async def probe(lab, *records, **options):
    """Probe the targets once, unless the options say otherwise."""
    options = {"deadline": 0.0, "hold": 0.1, **options}
    return await Prober([parse_target(entry) for entry in records], lab.observe, **options).run()


def free_port():
    """Return a port of the loopback that refuses."""
    with socket.socket() as taken:
        taken.bind((HOME, 0))
        return taken.getsockname()[1]


# Mode send


@pytest.mark.parametrize(
    ("server", "more", "state"),
    [
        (echo, {"send": "hello\\n"}, "proven"),
        (echo, {"send": "hello\\n", "expect": "HELLO"}, "wrong_answer"),
        (say(b"+PONG\r\n"), {"send": "PING\\r\\n", "expect": "+PONG\\r\\n"}, "proven"),
        (say(b"SSH-2.0-x\r\n"), {"send": "x", "expect": "/^SSH-2/"}, "proven"),
        (say(b"x SSH-2.0-x\r\n"), {"send": "x", "expect": "/^SSH-2/"}, "wrong_answer"),
        (say(b"\xff\x00\x01"), {"send": "x", "expect": "\\xff\\0"}, "proven"),
        (hang_up, {"send": "hello"}, "closed"),
        (reset, {"send": "hello"}, "reset"),
        (say(b""), {"send": "hello"}, "no_answer"),
    ],
)
def test_send_tells_the_states_apart(server, more, state):
    async def scenario(lab):
        return await probe(lab, record(await lab.listen(server), mode="send", timeout=0.5, **more))

    (result,) = run(scenario)
    assert result["state"] == state
    assert result["attempts"] == 1
    assert result["connect_ms"] >= 0
    assert bool(result["detail"]) is (state != "proven")


def test_an_answer_in_pieces_is_put_together():
    async def pieces(reader, writer):
        for piece in (b"hel", b"lo", b" world"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        await reader.read()

    async def scenario(lab):
        return await probe(lab, record(await lab.listen(pieces), mode="send", send="x", expect="hello world"))

    (result,) = run(scenario)
    assert result["state"] == "proven"
    assert result["answer"] == "hello world"
    assert result["first_byte_ms"] >= result["connect_ms"]


def test_an_endless_answer_ends_and_is_reported_short():
    async def flood(reader, writer):
        while True:
            writer.write(b"a" * 65536)
            await writer.drain()

    async def scenario(lab):
        return await probe(lab, record(await lab.listen(flood), mode="send", send="x", expect="b"))

    (result,) = run(scenario)
    assert result["state"] == "wrong_answer"
    assert result["answer"] == "a" * 200


def test_a_refused_connection():
    (result,) = run(lambda lab: probe(lab, record(free_port(), mode="send", send="x")))
    assert result["state"] == "refused"
    assert result["connect_ms"] is None


def test_a_listener_that_never_accepts_gives_no_answer():
    with socket.create_server((HOME, 0)) as listener:
        port = listener.getsockname()[1]
        (result,) = run(lambda lab: probe(lab, record(port, mode="send", send="x", timeout=0.2)))
    assert result["state"] == "no_answer"


def test_a_connection_request_without_an_answer_is_a_timeout():
    # With its queue full, Linux drops further requests: a black hole on the loopback.
    with socket.create_server((HOME, 0), backlog=0) as listener:
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        port = listener.getsockname()[1]
        (result,) = run(lambda lab: probe(lab, record(port, mode="send", send="x", timeout=0.2)))
        for filler in fillers:
            filler.close()
    assert result["state"] == "timeout"
    assert "0.2 s" in result["detail"]


@pytest.mark.parametrize(
    ("number", "state"),
    [
        (errno.ECONNREFUSED, "refused"),
        (errno.ETIMEDOUT, "timeout"),
        (errno.ECONNRESET, "closed"),
        (errno.EHOSTUNREACH, "unreachable"),
        (errno.ENETUNREACH, "unreachable"),
        (errno.EMFILE, "unreachable"),
    ],
)
def test_errors_of_connecting(number, state):
    found, detail = _probe._connect_failure(OSError(number, "x"))
    assert found == state
    assert detail


# Names and addresses


def test_every_address_of_a_name_is_tried(monkeypatch):
    asked = []

    def look_up(host, *_args, **_kwargs):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 0)) for ip in ("127.0.0.2", HOME)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)

    async def scenario(lab):
        port = await lab.listen(echo)
        target = {**record(port, mode="send", send="x"), "addresses": ["two.example"]}
        return await probe(lab, target, {**target, "name": "again"})

    results = run(scenario)
    assert [(item["name"][:5], item["address"], item["state"]) for item in results] == [
        ("port-", HOME, "proven"),
        ("port-", "127.0.0.2", "refused"),
        ("again", HOME, "proven"),
        ("again", "127.0.0.2", "refused"),
    ]
    assert {item["host"] for item in results} == {"two.example"}
    assert asked == ["two.example"]


@pytest.mark.parametrize("more", [{"mode": "send", "send": "x"}, {"gateway": "edge", "cluster": ["c"]}])
def test_a_name_that_resolves_later(monkeypatch, more):
    pauses = []

    def look_up(*_args, **_kwargs):
        if len(pauses) < 2:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (HOME, 0))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)

    async def pause(seconds):
        pauses.append(seconds)

    async def scenario(lab):
        port = await (lab.gateway_port("c") if "gateway" in more else lab.listen(echo))
        target = {**record(port, **more), "addresses": ["late.example"]}
        never = await probe(lab, target)
        later = await probe(lab, target, deadline=60.0, sleep=pause)
        return never + later

    never, later = run(scenario)
    assert (never["state"], never["address"], never["attempts"]) == ("unresolved", "late.example", 1)
    assert (later["state"], later["address"]) == ("proven", HOME)


# The deadline


def test_unanswered_ports_are_tried_until_they_answer():
    port, pauses = free_port(), []

    async def scenario(lab):
        async def pause(seconds):
            pauses.append(seconds)
            if len(pauses) == 3:
                await lab.listen(echo, port)

        return await probe(lab, record(port, mode="send", send="x"), deadline=60.0, sleep=pause)

    (result,) = run(scenario)
    assert (result["state"], result["attempts"]) == ("proven", 4)
    assert pauses == sorted(pauses)


def test_the_deadline_ends_the_attempts():
    now = 1000.0

    def clock():
        return now

    async def pause(seconds):
        nonlocal now
        now += seconds

    records = [record(free_port(), mode="send", send="x"), record(free_port(), gateway="edge", cluster=["c"])]
    results = run(lambda lab: probe(lab, *records, deadline=5.0, clock=clock, sleep=pause))
    assert [result["state"] for result in results] == ["refused", "refused"]
    assert min(result["attempts"] for result in results) > 1
    assert now <= 1010.0


# Mode connect


def silent(port, cluster="c", **more):
    """Return a silent target behind the gateway."""
    return record(port, gateway="edge", cluster=[cluster], **more)


def test_a_silent_port_is_proven_by_its_gateway():
    async def scenario(lab):
        results = await probe(lab, silent(await lab.gateway_port("c")))
        return results, lab.asked

    (result,), asked = run(scenario)
    assert (result["state"], result["detail"], result["first_byte_ms"]) == ("proven", "", None)
    assert asked == 2


@pytest.mark.parametrize(
    ("port_of", "state", "words"),
    [
        (lambda lab: lab.gateway_port("c", reaches=False), "no_upstream", "none accepted a connection"),
        (lambda lab: lab.gateway_port("c", healthy=False), "no_upstream", "healthy"),
        (lambda lab: lab.gateway_port("elsewhere"), "no_upstream", "does not know cluster c"),
        (lambda lab: lab.listen(reset), "reset", "does not know cluster c"),
        (lambda lab: lab.listen(hang_up_at_once), "closed", "does not know cluster c"),
    ],
)
def test_an_open_silent_port_alone_proves_nothing(port_of, state, words):
    async def scenario(lab):
        return await probe(lab, silent(await port_of(lab)))

    (result,) = run(scenario)
    assert result["state"] == state
    assert words in result["detail"]


def test_what_a_server_says_unasked_is_reported():
    async def scenario(lab):
        lab.endpoints["c"] = True

        async def banner(reader, writer):
            lab.accepted["c"] += 1
            writer.write(b"220 ready\r\n")
            await reader.read()

        return await probe(lab, silent(await lab.listen(banner)))

    (result,) = run(scenario)
    assert (result["state"], result["answer"]) == ("proven", "220 ready\r\n")


def test_a_missing_right_is_named_and_not_waited_for():
    async def scenario(lab):
        lab.problems, lab.problems_retry = ("no right to create of pods/portforward",), False
        results = await probe(lab, silent(await lab.gateway_port("c")), deadline=60.0)
        return results, lab.asked

    (result,), asked = run(scenario)
    assert (result["state"], result["attempts"], asked) == ("unseen", 1, 1)
    assert result["detail"] == "no right to create of pods/portforward"


def test_a_gateway_that_cannot_be_asked_yet_is_asked_again():
    async def scenario(lab):
        async def pause(_seconds):
            lab.problems = ()

        lab.problems = ("gateway edge has no ready pod in namespace gateways",)
        return await probe(lab, silent(await lab.gateway_port("c")), deadline=60.0, sleep=pause)

    (result,) = run(scenario)
    assert (result["state"], result["attempts"]) == ("proven", 2)


def test_without_a_gateway_an_open_session_is_unseen():
    async def scenario(lab):
        results = await probe(lab, record(await lab.gateway_port("c")), deadline=60.0)
        return results, lab.asked

    (result,), asked = run(scenario)
    assert (result["state"], result["attempts"], asked) == ("unseen", 1, 0)


@pytest.mark.parametrize(("there", "state"), [(True, "proven"), (False, "no_upstream")])
def test_of_several_clusters_each_has_a_backend(there, state):
    async def scenario(lab):
        await lab.gateway_port("other", healthy=there)
        return await probe(lab, silent(await lab.gateway_port("c")) | {"cluster": ["c", "other"]})

    (result,) = run(scenario)
    assert result["state"] == state
    assert there or "takes none of the 1 endpoint(s) of cluster other for healthy" in result["detail"]


def test_ports_that_share_a_cluster_are_proven_together():
    async def scenario(lab):
        ports = [await lab.gateway_port("c") for _ in range(3)]
        return await probe(lab, *(silent(port) for port in ports))

    results = run(scenario)
    assert {result["state"] for result in results} == {"proven"}
    assert all("collective evidence: 3 sessions" in result["detail"] for result in results)


def test_the_broken_one_among_ports_that_share_a_cluster_is_found():
    now = 0.0

    async def end_after_one_round(_seconds):
        nonlocal now
        now = 100.0

    async def scenario(lab):
        ports = [await lab.gateway_port("c", reaches=number != 5) for number in range(8)]
        options = {"deadline": 60.0, "clock": lambda: now, "sleep": end_after_one_round}
        return await probe(lab, *(silent(port) for port in ports), **options)

    results = run(scenario)
    assert [result["state"] for result in results] == ["proven"] * 5 + ["no_upstream"] + ["proven"] * 2


def test_a_session_that_was_closed_does_not_prove_its_neighbour():
    async def scenario(lab):
        async def accept_and_close(reader, writer):
            lab.accepted["c"] += 1

        closed = await lab.listen(accept_and_close)
        return await probe(lab, silent(closed), silent(await lab.gateway_port("c", reaches=False)))

    assert [result["state"] for result in run(scenario)] == ["closed", "no_upstream"]


def test_our_own_talk_on_a_cluster_does_not_prove_a_silent_port():
    async def scenario(lab):
        async def slow(reader, writer):
            await asyncio.sleep(0.05)
            lab.accepted["c"] += 1
            await reader.read()

        talk = {**record(await lab.listen(slow), mode="send", send="x", timeout=0.3), "cluster": ["c"]}
        return await probe(lab, talk, silent(await lab.gateway_port("c", reaches=False)))

    assert [result["state"] for result in run(scenario)] == ["no_answer", "no_upstream"]


def test_our_own_talk_that_is_over_does_not_count_against_a_silent_port():
    async def scenario(lab):
        # It answers itself, so the session that it might have caused is missing in the first round.
        talk = {**record(await lab.listen(echo), mode="send", send="x"), "cluster": ["c"]}
        return await probe(lab, talk, silent(await lab.gateway_port("c")), deadline=5.0)

    assert [result["state"] for result in run(scenario)] == ["proven", "proven"]


def test_a_port_that_was_closed_at_first_is_proven_when_it_stays_open():
    async def scenario(lab):
        async def starting(reader, writer):
            if lab.asked > 1:
                lab.accepted["c"] += 1
                await reader.read()

        lab.endpoints["c"] = True
        return await probe(lab, silent(await lab.listen(starting)), deadline=60.0)

    (result,) = run(scenario)
    assert (result["state"], result["attempts"]) == ("proven", 2)


# Many at once


def test_open_sessions_are_kept_within_the_sockets_allowed():
    most = 0

    async def scenario(lab):
        async def forward(reader, writer):
            nonlocal most
            here.add(writer)
            most = max(most, len(here))
            lab.accepted.update(lab.endpoints)
            await reader.read()
            here.discard(writer)

        here = set()
        lab.endpoints = dict.fromkeys("abcde", True)
        port = await lab.listen(forward)
        return await probe(lab, *(silent(port, cluster) for cluster in "abcde"), sockets=4, concurrency=1)

    assert {result["state"] for result in run(scenario)} == {"proven"}
    assert most == 3


@pytest.mark.parametrize("mode", ["send", "connect"])
def test_two_thousand_targets_in_one_go(mode):
    # Client and server ends both count against this process.
    sockets = min(sockets_allowed() // 2, 1500)

    async def scenario(lab):
        if mode == "send":
            port, more = await lab.listen(echo), {"mode": "send", "send": "hello"}
        else:
            port, more = await lab.gateway_port("c"), {"gateway": "edge", "cluster": ["c"]}
        records = [{**record(port, **more), "name": f"target-{number}"} for number in range(2000)]
        return await probe(lab, *records, sockets=sockets, concurrency=300), lab.asked

    results, asked = run(scenario)
    assert [result["name"] for result in results] == [f"target-{number}" for number in range(2000)]
    assert summarize(results) == {"total": 2000, **dict.fromkeys(STATES, 0), "proven": 2000}
    # Two readings a wave, whatever the number of ports; at least half of the sockets are in a wave.
    assert asked <= (0 if mode == "send" else 2 * -(-2000 // (sockets // 2)))


# Records


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"addresses": []}, "no address"),
        ({"port": 0}, "port 0 is out of range"),
        ({"port": 65536}, "out of range"),
        ({"timeout": 0}, "timeout is 0"),
        ({"timeout": float("nan")}, "timeout is nan"),
        ({"mode": "shout"}, "mode is 'shout'; it must be one of connect, send"),
        ({"mode": "connect", "send": "x"}, "send is 'x'; it has no meaning with mode 'connect'"),
        ({"mode": "send"}, "needs the text to send"),
        ({"mode": "send", "send": "\\n"}, "say what must come back"),
        ({"mode": "send", "send": "x", "expect": "/(/"}, "no regular expression"),
        ({"mode": "send", "send": "\\q"}, "no escape"),
    ],
)
def test_wrong_records_are_refused_by_name(wrong, words):
    with pytest.raises(TargetError, match=r"^target web: ") as caught:
        parse_target({"name": "web", "addresses": [HOME], "port": 80, **wrong})
    assert words in str(caught.value)


def test_an_address_given_twice_is_probed_once():
    assert parse_target({"name": "web", "addresses": [HOME, HOME], "port": 80}).addresses == (HOME,)
