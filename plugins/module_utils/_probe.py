# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe many TCP ports in one asyncio loop: talkative ones by their answer, silent ones by their gateway's word.

Knows neither Ansible nor Kubernetes: whoever calls hands in how a gateway's Envoy is asked (C(observe)).

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
import socket
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from ansible_collections.servicemesh.tcp.plugins.module_utils import _probe_http
from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy import Snapshot
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_groups import (
    Group,
    judge_group,
    make_groups,
    next_wave,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_session import Session, TlsSession, proxy_header
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_talk import Talk
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_target import Probe, Target, is_address

Value = TypeVar("Value")

# Asks one gateway's Envoys of these clusters; the third argument names the pods to ask again, None for all ready ones.
Observe = Callable[[str, Collection[str], "Sequence[str] | None"], Awaitable[Snapshot]]

# Opens a session to an IP address and port from inside the cluster.
Dial = Callable[[str, int], Awaitable["tuple[asyncio.StreamReader, asyncio.StreamWriter]"]]

# Seconds between two attempts: the first pause, its growth, the longest.
FIRST_PAUSE, PAUSE_GROWTH, LONGEST_PAUSE = 0.2, 1.5, 2.0
# Bytes within which the expected text must come.
ANSWER_LIMIT = 65536
# Descriptors left for the interpreter, the resolver and the API server's connections.
RESERVED_FILES = 128
MOST_FILES = 65536
# Python 3.10 still tells the two apart.
TIMEOUTS = (TimeoutError, asyncio.TimeoutError)


def sockets_allowed() -> int:
    """Raise the soft limit of open files towards the hard one; return how many sockets may be open at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    # Some kernels allow less than the hard limit says.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max((MOST_FILES if soft == resource.RLIM_INFINITY else min(soft, MOST_FILES)) - RESERVED_FILES, 1)


class Prober:
    """Proves targets until all are proven or the deadline is over."""

    def __init__(
        self,
        targets: Sequence[Target],
        observe: Observe,
        *,
        concurrency: int = 200,
        deadline: float = 60.0,
        hold: float = 1.0,
        sockets: int = 896,
        dial: Dial | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Take times in seconds; C(sockets) bounds open connections, C(concurrency) those being made or talked on.

        C(dial) is for the targets that are to be reached from inside the cluster.
        """
        self._roots = [
            Probe(target, host, host if is_address(host) else None) for target in targets for host in target.addresses
        ]
        self._observe = observe
        self._concurrency = max(1, min(concurrency, sockets // 2))
        self._held_at_once = max(1, sockets - self._concurrency)
        self._deadline = deadline
        self._hold_seconds = hold
        self._clock = clock
        self._sleep = sleep
        self._dial = dial
        self._leaves: dict[Probe, list[Probe]] = {}
        self._lookups: dict[str, asyncio.Future[list[str]]] = {}
        # Connections of talkative modes per cluster: they raise the very counters that prove silent ports.
        self._opened: Counter[str] = Counter()
        self._closed: Counter[str] = Counter()

    async def run(self) -> list[dict[str, Any]]:
        """Probe everything and return one result per address, in the order of the targets."""
        self._slots = asyncio.Semaphore(self._concurrency)
        self._end = self._clock() + self._deadline
        silent = [root for root in self._roots if root.target.talk.mode == "connect"]
        talkative = [root for root in self._roots if root.target.talk.mode != "connect"]
        await asyncio.gather(self._prove_silent(silent), *map(self._prove_talkative, talkative))
        return [leaf.result() for root in self._roots for leaf in self._leaves.get(root, [root])]

    async def _repeat(self, attempt: Callable[[], Awaitable[Value]]) -> Value:
        """Call until the outcome is true or the deadline would pass; return the last outcome."""
        pause = FIRST_PAUSE
        while not (outcome := await attempt()) and self._clock() + pause <= self._end:
            await self._sleep(pause)
            pause = min(pause * PAUSE_GROWTH, LONGEST_PAUSE)
        return outcome

    # Names

    async def _resolve(self, root: Probe) -> list[Probe]:
        """Return a probe per address of the root's name; none, and say so in the root, while it does not resolve."""
        if root.ip:
            return [root]
        try:
            addresses = await self._look_up(root.host)
        except (OSError, UnicodeError) as error:
            self._lookups.pop(root.host, None)
            root.begin()
            root.end("unresolved", f"the name {root.host} does not resolve: {error}")
            return []
        self._leaves[root] = [Probe(root.target, root.host, address) for address in addresses]
        return self._leaves[root]

    async def _look_up(self, host: str) -> list[str]:
        """Resolve a name once for all who ask; an address family that this machine has no address of is left out."""
        if host not in self._lookups:
            loop = asyncio.get_running_loop()
            self._lookups[host] = asyncio.ensure_future(
                loop.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
            )
        return sorted({info[4][0] for info in await self._lookups[host]})

    # One connection

    def _open(self, probe: Probe) -> Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Begin to open a connection from where the target wants it."""
        if probe.target.talk.inside and self._dial:
            return self._dial(probe.ip or probe.host, probe.target.port)
        return asyncio.open_connection(probe.ip, probe.target.port, limit=ANSWER_LIMIT)

    async def _connect(self, probe: Probe) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Open a connection and say whose it is; None, and say why in the probe, where that fails."""
        try:
            session = await asyncio.wait_for(self._open(probe), probe.target.timeout)
        except TIMEOUTS:
            seconds = f"{probe.target.timeout:g} s"
            probe.end("timeout", f"the connection request was not answered within {seconds}: dropped on the way?")
        except OSError as error:
            probe.end(*_connect_failure(error))
        else:
            probe.connect_ms = probe.elapsed_ms()
            # Also a port whose server stays silent: Envoy goes no further before it has the header.
            session[1].write(proxy_header(probe.target.talk.proxy_protocol, session[1]))
            return session
        return None

    # Talkative ports: the answer is the proof

    async def _prove_talkative(self, root: Probe) -> None:
        """Send to every address of the root and compare the answer, until it is right or the deadline is over."""
        leaves = await self._repeat(lambda: self._resolve(root))
        await asyncio.gather(*(self._repeat(lambda leaf=leaf: self._exchange(leaf)) for leaf in leaves))

    async def _exchange(self, probe: Probe) -> bool:
        """Make one attempt, of sessions that must all be right; return whether to stop."""
        for call in range(probe.target.talk.calls):
            async with self._slots:
                # Its clock does not run while it waits for a slot.
                probe.begin_session() if call else probe.begin()
                await self._talk(probe)
            if probe.state != "proven":
                break
        return probe.done

    async def _talk(self, probe: Probe) -> None:
        """Open a session, talk, and let the answer decide."""
        streams = await self._connect(probe)
        if streams is None:
            return
        self._opened.update(probe.target.clusters)
        answer = bytearray()
        ended = False
        try:
            left = max(probe.target.timeout - probe.elapsed_ms() / 1000, 0)
            await asyncio.wait_for(_converse(Session(*streams), probe, answer), left)
            ended = True
            probe.end("closed", "the session was closed before anything came back")
        except TIMEOUTS:
            probe.end("no_answer", f"connected, but nothing came back within {probe.target.timeout:g} s")
        except ssl.SSLError as error:
            probe.end(*_tls_failure(error))
        except OSError as error:
            word = "reset" if isinstance(error, ConnectionError) else "closed"
            probe.end(word, f"the session was cut before anything came back: {_strerror(error)}")
        finally:
            streams[1].transport.abort()
            self._closed.update(probe.target.clusters)
        judge_answer(probe, bytes(answer), ended)

    # Silent ports: the gateway's Envoy is the witness

    async def _prove_silent(self, roots: list[Probe]) -> None:
        """Hold sessions to all silent ports and compare what their gateways counted, until the deadline."""
        pending = list(roots)

        async def attempt() -> bool:
            nonlocal pending
            found = await asyncio.gather(*map(self._resolve, pending))
            unresolved = [root for root, leaves in zip(pending, found, strict=True) if not leaves]
            leaves = [leaf for leaves in found for leaf in leaves]
            await self._hold_in_waves(leaves)
            pending = unresolved + [leaf for leaf in leaves if not leaf.done]
            return not pending

        await self._repeat(attempt)

    async def _hold_in_waves(self, probes: list[Probe]) -> None:
        """Hold all probes once, as many at a time as descriptors and clean evidence allow."""
        groups = make_groups(probes, self._held_at_once)
        while groups:
            wave, groups = next_wave(groups, self._held_at_once)
            groups += await self._wave(wave)
            if self._clock() >= self._end:
                # Telling neighbours apart may end here, but everybody gets the one attempt.
                groups = [group for group in groups if not group.probes[0].attempts]

    async def _wave(self, groups: list[Group]) -> list[Group]:
        """Hold the sessions of disjoint groups at once, judge them, and return smaller groups where that is unclear."""
        wanted: dict[str, set[str]] = {}
        for group in groups:
            if group.gateway:
                wanted.setdefault(group.gateway, set()).update(group.clusters)
        closed = Counter(self._closed)
        before = await self._ask(wanted, {})
        probes = [probe for group in groups for probe in group.probes]
        try:
            await asyncio.gather(*map(self._hold, probes))
            held = {probe.target.gateway for probe in probes if probe.session}
            again = {name: wanted[name] for name in wanted if name in held and before[name].pods}
            after = {**dict.fromkeys(wanted, Snapshot()), **await self._ask(again, before)}
            # Whatever was open at any moment between the two readings may have been counted.
            return [part for group in groups for part in judge_group(group, before, after, self._opened - closed)]
        finally:
            for probe in probes:
                probe.hang_up()

    async def _ask(self, wanted: Mapping[str, set[str]], before: Mapping[str, Snapshot]) -> dict[str, Snapshot]:
        """Take a snapshot of every gateway; the second time, of the pods that answered the first time."""
        pods = {name: list(before[name].pods) if name in before else None for name in wanted}
        answers = await asyncio.gather(*(self._observe(name, wanted[name], pods[name]) for name in wanted))
        return dict(zip(wanted, answers, strict=True))

    async def _hold(self, probe: Probe) -> None:
        """Open a session and watch it; it stays in the probe if it is still open after C(hold) seconds."""
        async with self._slots:
            probe.begin()
            probe.session = await self._connect(probe)
        if probe.session is None:
            return
        session = await _silent_session(probe)
        try:
            if session is not None:
                await asyncio.wait_for(_watch(session, probe), self._hold_seconds)
                probe.end("closed", f"the session was closed after {probe.elapsed_ms():g} ms")
        except TIMEOUTS:
            return
        except OSError as error:
            probe.end("reset", f"the session was cut after {probe.elapsed_ms():g} ms: {_strerror(error)}")
        probe.hang_up()


def _tls_name(probe: Probe) -> str:
    """Return the name that TLS sends; an address goes into no SNI, but is what the certificate is verified against."""
    tls = probe.target.talk.tls
    return (tls.sni if tls else "") or probe.host


async def _within_tls(session: Session, probe: Probe) -> TlsSession:
    """Set TLS up within a session, and note the certificate."""
    found = TlsSession(session, probe.target.talk.tls, _tls_name(probe))
    probe.certificate = await found.handshake()
    return found


async def _silent_session(probe: Probe) -> Session | TlsSession | None:
    """Return the open session, within TLS where the target wants that; None, with the reason in the probe, if not."""
    session = Session(*probe.session)
    if not probe.target.talk.tls:
        return session
    try:
        return await asyncio.wait_for(_within_tls(session, probe), probe.target.timeout)
    except TIMEOUTS:
        probe.end("no_answer", f"connected, but no TLS session came about within {probe.target.timeout:g} s")
    except ssl.SSLError as error:
        probe.end(*_tls_failure(error))
    except OSError as error:
        probe.end("reset", f"the session was cut while TLS was being set up: {_strerror(error)}")
    return None


def _tls_failure(error: ssl.SSLError) -> tuple[str, str]:
    """Tell the state and the sentence for a TLS session that did not come about."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "untrusted", f"the server's certificate is not to be trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLEOFError):
        return "closed", "the session was closed while TLS was being set up"
    return "wrong_answer", f"no TLS session: {error.reason or error}"


async def _converse(session: Session | TlsSession, probe: Probe, answer: bytearray) -> None:
    """Say what is to be said, and collect the answer until it is complete, ends or grows too long."""
    talk = probe.target.talk
    if talk.tls:
        session = await _within_tls(session, probe)
    if talk.mode == "tls":
        return
    if said := _probe_http.request(talk.http.path, talk.http.host or _tls_name(probe)) if talk.http else talk.send:
        session.write(said)
    if talk.half_close:
        session.end()
    while len(answer) < ANSWER_LIMIT and (chunk := await session.read()):
        probe.heard(chunk)
        answer += chunk
        if _is_complete(talk, bytes(answer)):
            return


def _is_complete(talk: Talk, answer: bytes) -> bool:
    """Whether nothing more needs to be waited for."""
    if talk.http:
        try:
            return _probe_http.parse(answer) is not None
        except ValueError:
            return True
    # A peer that was told that nothing more comes must close its own side as well, so its end is waited for.
    return not talk.half_close and bool(talk.expect.search(answer))


def judge_answer(probe: Probe, answer: bytes, ended: bool) -> None:
    """Let an answer decide: right or wrong; without one, what C(end) said stays. C(ended): it came to its end."""
    talk = probe.target.talk
    if talk.mode == "tls":
        if probe.certificate is not None and ended:
            probe.end("proven")
        return
    if not answer:
        return
    body = answer
    if talk.http:
        try:
            response = _probe_http.parse(answer, ended)
        except ValueError as error:
            probe.end("wrong_answer", f"{error}")
            return
        if response is None:
            probe.end("wrong_answer", "an answer came, but not its end")
            return
        body = response.body
        if not (response.status == talk.http.status if talk.http.status else 200 <= response.status < 300):
            probe.end("wrong_answer", f"its status is {response.status}, not {talk.http.status or '200 to 299'}")
            return
    if not talk.expect.search(body):
        probe.end("wrong_answer", f"an answer came, but {talk.expected} is not in it")
    elif talk.half_close and not ended:
        probe.end("wrong_answer", "the right answer came, but no end of it after our side was closed")
    else:
        probe.end("proven")
        if talk.calls > 1:
            probe.count(body)


async def _watch(session: Session | TlsSession, probe: Probe) -> None:
    """Read a silent session until the peer closes it; what a server says unasked is kept for the report."""
    while chunk := await session.read():
        probe.heard(chunk)


def _connect_failure(error: OSError) -> tuple[str, str]:
    """Tell the state and the sentence for a connection that could not be made."""
    if error.errno == errno.ECONNREFUSED:
        return "refused", "the connection was refused: nothing listens there"
    if error.errno == errno.ETIMEDOUT:
        return "timeout", "the connection request was not answered: dropped on the way?"
    if error.errno == errno.ECONNRESET:
        return "closed", "the connection was reset while it was made"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "unreachable", "this machine has no file descriptor left: lower concurrency or raise ulimit -n"
    return "unreachable", f"no way to this address: {_strerror(error)}"


def _strerror(error: OSError) -> str:
    """Return the operating system's words without the address that asyncio adds."""
    return os.strerror(error.errno) if error.errno else str(error)
