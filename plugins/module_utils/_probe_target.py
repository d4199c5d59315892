# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the prober is given and what it gives back: targets, probes (one address of a target) and results. Pure: no I/O.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import ipaddress
import math
import re
import time
from asyncio import StreamReader, StreamWriter
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MODES = ("connect", "send")
STATES = (
    "proven",
    "wrong_answer",
    "no_answer",
    "closed",
    "refused",
    "timeout",
    "unresolved",
    "unreachable",
    "no_upstream",
    "unseen",
)
# Characters of an answer that are reported.
ANSWER_SHOWN = 200
ESCAPES = {"n": b"\n", "r": b"\r", "t": b"\t", "0": b"\0", "\\": b"\\"}


class TargetError(ValueError):
    """A target that cannot be probed as it is written."""


@dataclass(frozen=True)
class Target:
    """One port to prove, on every address given for it. C(timeout) is seconds of one attempt."""

    name: str
    addresses: tuple[str, ...]
    port: int
    mode: str = "connect"
    send: bytes = b""
    expect: re.Pattern[bytes] | None = None
    # The expectation as people wrote it, for messages.
    expected: str = ""
    timeout: float = 5.0
    gateway: str | None = None
    clusters: frozenset[str] = frozenset()


def parse_target(record: Mapping[str, Any]) -> Target:
    """Make a target of a task's record; raise TargetError with what is wrong and how to mend it."""
    name = record["name"]
    mode = record.get("mode") or "connect"
    sent, expect = record.get("send"), record.get("expect")
    timeout = record["timeout"] if record.get("timeout") is not None else 5.0
    if mode not in MODES:
        raise TargetError(f"target {name}: mode {mode!r} is not one of {', '.join(MODES)}")
    if not record.get("addresses"):
        raise TargetError(f"target {name}: no address is given; name at least one IP address or host name")
    if not 1 <= record["port"] <= 65535:
        raise TargetError(f"target {name}: port {record['port']} is out of range; ports go from 1 to 65535")
    if not 0 < timeout < math.inf:
        raise TargetError(f"target {name}: timeout is {timeout}; give a number of seconds above 0")
    if mode == "connect" and (sent or expect):
        raise TargetError(f"target {name}: send and expect need mode: send")
    if mode == "send" and not sent:
        raise TargetError(f"target {name}: mode send needs the text to send (send)")
    try:
        data = unescape(sent or "")
        pattern = pattern_of(expect, data) if mode == "send" else None
    except ValueError as error:
        raise TargetError(f"target {name}: {error}") from error
    return Target(
        name=name,
        addresses=tuple(dict.fromkeys(record["addresses"])),
        port=record["port"],
        mode=mode,
        send=data,
        expect=pattern,
        expected=expect or (sent or "").strip(),
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


def unescape(text: str) -> bytes:
    r"""Turn C(\n \r \t \0 \\ \xNN) into the bytes they stand for, the rest into UTF-8; raise ValueError for others."""

    def replace(match: re.Match[bytes]) -> bytes:
        code = match[1].decode(errors="replace")
        if code in ESCAPES:
            return ESCAPES[code]
        if len(code) == 3:
            return bytes.fromhex(code[1:])
        raise ValueError(f"\\{code} is no escape; known are \\n \\r \\t \\0 \\\\ and \\xNN")

    return re.sub(rb"\\(x[0-9a-fA-F]{2}|.|$)", replace, text.encode(), flags=re.DOTALL)


def pattern_of(expect: str | None, sent: bytes) -> re.Pattern[bytes]:
    """Compile what must be within the answer: C(/regular expression/), text, or what was sent."""
    if expect and len(expect) > 2 and expect.startswith("/") and expect.endswith("/"):
        try:
            return re.compile(expect[1:-1].encode())
        except re.error as error:
            raise ValueError(f"expect {expect} is no regular expression: {error}") from error
    wanted = unescape(expect) if expect else sent.strip()
    if not wanted:
        raise ValueError("the text sent is only white space, so say what must come back (expect)")
    return re.compile(re.escape(wanted))


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
    session: tuple[StreamReader, StreamWriter] | None = field(default=None, repr=False)

    def begin(self) -> None:
        """Begin an attempt: start its clock and forget the last one's findings."""
        self.attempts += 1
        self.started = time.perf_counter()
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

    def judge_answer(self, answer: bytes) -> None:
        """Let an answer decide: right or wrong; without one, what C(end) said stays."""
        if self.target.expect.search(answer):
            self.end("proven")
        elif answer:
            self.end("wrong_answer", f"an answer came, but {self.target.expected} is not in it")

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
            "detail": self.detail,
        }


def summarize(results: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Count the results by state; every state is there, also with 0."""
    counts = Counter(result["state"] for result in results)
    return {"total": len(results), **{state: counts[state] for state in STATES}}
