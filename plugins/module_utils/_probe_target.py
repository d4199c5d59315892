# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the prober is given and what it gives back: targets, probes (one address of a target) and results. Pure: no I/O.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import ipaddress
import math
import time
from asyncio import StreamReader, StreamWriter
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_session import client_context
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_talk import Talk, TalkError, read_talk

STATES = (
    "proven",
    "wrong_answer",
    "untrusted",
    "no_answer",
    "closed",
    "reset",
    "refused",
    "timeout",
    "unresolved",
    "unreachable",
    "no_upstream",
    "unseen",
)
# How a session ends that was open: the peer may have had a backend for it.
CUT = ("closed", "reset")
# Characters of an answer that are reported, and kinds of answers in a tally.
ANSWER_SHOWN = 200
KINDS_SHOWN = 20


class TargetError(ValueError):
    """A target that cannot be probed as it is written."""


@dataclass(frozen=True)
class Target:
    """One port to prove, on every address given for it. C(timeout) is seconds of one session."""

    name: str
    addresses: tuple[str, ...]
    port: int
    talk: Talk = field(default_factory=Talk)
    timeout: float = 5.0
    gateway: str | None = None
    clusters: frozenset[str] = frozenset()


def parse_target(record: Mapping[str, Any]) -> Target:
    """Make a target of a task's record; raise TargetError with what is wrong and how to mend it."""
    name = record["name"]
    timeout = record["timeout"] if record.get("timeout") is not None else 5.0
    if not record.get("addresses"):
        raise TargetError(f"target {name}: no address is given; name at least one IP address or host name")
    if not 1 <= record["port"] <= 65535:
        raise TargetError(f"target {name}: port {record['port']} is out of range; ports go from 1 to 65535")
    if not 0 < timeout < math.inf:
        raise TargetError(f"target {name}: timeout is {timeout}; give a number of seconds above 0")
    try:
        talk = read_talk(record)
    except TalkError as error:
        raise TargetError(f"target {name}: {error}") from error
    if talk.tls and talk.tls.cert:
        try:
            client_context(talk.tls.verify, talk.tls.ca, talk.tls.cert, talk.tls.key)
        except OSError as error:
            raise TargetError(f"target {name}: cert {talk.tls.cert} with key {talk.tls.key}: {error}") from error
    return Target(
        name=name,
        addresses=tuple(dict.fromkeys(record["addresses"])),
        port=record["port"],
        talk=talk,
        timeout=timeout,
        gateway=record.get("gateway"),
        clusters=frozenset(record.get("cluster") or ()),
    )


def is_address(host: str) -> bool:
    """Whether this is an IP address, not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@dataclass(eq=False)
class Probe:
    """One address of one target and how its last attempt went; C(ip) is None until the name resolves."""

    target: Target
    host: str
    ip: str | None = None
    attempts: int = 0
    state: str = ""
    started: float = 0.0
    connect_ms: float | None = None
    first_byte_ms: float | None = None
    answer: str = ""
    detail: str = ""
    retry: bool = True
    certificate: dict[str, Any] | None = None
    tally: Counter[str] = field(default_factory=Counter)
    session: tuple[StreamReader, StreamWriter] | None = field(default=None, repr=False)

    def begin(self) -> None:
        """Begin an attempt, which may be of several sessions."""
        self.attempts += 1
        self.tally.clear()
        self.begin_session()

    def begin_session(self) -> None:
        """Begin a session: start its clock and forget the last one's findings."""
        self.started = time.perf_counter()
        self.certificate = None
        self.connect_ms = self.first_byte_ms = None
        self.state = self.answer = self.detail = ""
        self.retry = True

    def elapsed_ms(self) -> float:
        """Return the milliseconds since the attempt began."""
        return round((time.perf_counter() - self.started) * 1000, 1)

    def heard(self, chunk: bytes) -> None:
        """Note what the peer said: when the first byte came, and the beginning of it all."""
        if self.first_byte_ms is None:
            self.first_byte_ms = self.elapsed_ms()
        if len(self.answer) < ANSWER_SHOWN:
            self.answer = (self.answer + chunk[:ANSWER_SHOWN].decode(errors="backslashreplace"))[:ANSWER_SHOWN]

    def end(self, state: str, detail: str = "", retry: bool = True) -> None:
        """Record how the attempt ended."""
        self.state, self.detail, self.retry = state, detail, retry

    def count(self, answer: bytes) -> None:
        """Count one more right answer of an attempt of several sessions: what its pattern's first group matched."""
        found = self.target.talk.expect.search(answer)
        kind = found[1] if found and found.re.groups and found[1] is not None else answer.strip()
        text = kind.decode(errors="backslashreplace")[:ANSWER_SHOWN]
        self.tally[text if text in self.tally or len(self.tally) < KINDS_SHOWN else "(others)"] += 1

    def hang_up(self) -> None:
        """Close the session at once, if there is one."""
        if self.session:
            self.session[1].transport.abort()
            self.session = None

    @property
    def done(self) -> bool:
        """Whether another attempt makes no sense."""
        return self.state == "proven" or not self.retry

    def result(self) -> dict[str, Any]:
        """Return what the module reports of it."""
        return {
            "name": self.target.name,
            "host": self.host,
            "address": self.ip or self.host,
            "port": self.target.port,
            "state": self.state,
            "connect_ms": self.connect_ms,
            "first_byte_ms": self.first_byte_ms,
            "attempts": self.attempts,
            "answer": self.answer,
            "tally": dict(self.tally),
            "certificate": self.certificate,
            "detail": self.detail,
        }


def summarize(results: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Count the results by state; every state is there, also with 0."""
    counts = Counter(result["state"] for result in results)
    return {"total": len(results), **{state: counts[state] for state in STATES}}
