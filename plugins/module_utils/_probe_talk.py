# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said in a probing session, and what must come back: one reading for records and for tasks. Pure: no I/O.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import to_port

ESCAPES = {"n": b"\n", "r": b"\r", "t": b"\t", "0": b"\0", "\\": b"\\"}
HEX = "hex:"
MOST_CALLS = 1000


class Preset(NamedTuple):
    """A protocol's first words: what is sent, what comes back from every such server, and that in plain words."""

    send: bytes
    expect: re.Pattern[bytes]
    expected: str


PRESETS: Mapping[str, Preset] = {
    # RFC 4253, 4.2: lines of other text may come before the version.
    "ssh": Preset(b"", re.compile(rb"^SSH-(?:2\.0|1\.99)-", re.MULTILINE), "the version of an SSH server"),
    # RFC 5321, 4.2.
    "smtp": Preset(b"", re.compile(rb"\A220[ -]"), "the greeting of an SMTP server (220)"),
    # RFC 959, 5.4.
    "ftp": Preset(b"", re.compile(rb"\A220[ -]"), "the greeting of an FTP server (220)"),
    # MySQL, "Protocol::HandshakeV10", or the ERR packet of a server that refuses the client's host.
    "mysql": Preset(b"", re.compile(rb"\A...\x00[\x0a\xff]", re.DOTALL), "the greeting of a MySQL server"),
    # PostgreSQL, "SSLRequest": one byte says whether TLS is spoken.
    "postgres": Preset(
        bytes.fromhex("0000000804d2162f"), re.compile(rb"\A[SN]\Z"), "a PostgreSQL server's answer to SSLRequest"
    ),
    # A server that wants a password first has answered, too.
    "redis": Preset(b"PING\r\n", re.compile(rb"\A(?:\+PONG|-NOAUTH)"), "a Redis server's answer to PING"),
}
MODES = ("connect", "send", "banner", "http", "tls", *PRESETS)
# Modes in which the server speaks first, and those whose words are surely no HTTP.
SERVER_FIRST = ("banner", "ssh", "smtp", "ftp", "mysql")
NO_HTTP = (*SERVER_FIRST, "postgres", "redis")

# What a TLS session takes, and how it is asked for where it is a choice.
_TLS_SETTINGS = ("sni", "verify", "ca", "cert", "key")
_TLS = ("tls", *_TLS_SETTINGS)
# Which keys mean something with a mode; proxy_protocol does with all of them.
KEYS_OF: Mapping[str, tuple[str, ...]] = {
    "connect": _TLS,
    "send": ("send", "expect", "calls", "half_close", *_TLS),
    "banner": ("expect", "calls", *_TLS),
    "http": ("path", "host", "status", "expect", "calls", *_TLS),
    "tls": _TLS_SETTINGS,
    "ssh": ("calls",),
    "smtp": ("calls", *_TLS),
    "ftp": ("calls", *_TLS),
    "mysql": ("calls",),
    "postgres": ("calls",),
    "redis": ("calls", *_TLS),
}
# Where sessions come from: where Ansible runs, or a pod of the cluster.
ORIGINS = ("controller", "cluster")
ANY_MODE = ("proxy_protocol", "from")
TALK_KEYS = tuple(dict.fromkeys([*ANY_MODE, *(key for keys in KEYS_OF.values() for key in keys)]))


class TalkError(ValueError):
    """A key that cannot be as it is written."""

    def __init__(self, key: str, value: Any, rule: str) -> None:
        super().__init__(f"{key} is {value!r}; {rule}" if key else rule)
        self.key, self.value, self.rule = key, value, rule


@dataclass(frozen=True)
class Tls:
    """A TLS session: its server name ('' for the host's own), by which authorities (PEM, '' the system's), and as whom.

    C(cert) and C(key) are paths, '' for a client without a certificate.
    """

    sni: str = ""
    verify: bool = False
    ca: str = ""
    cert: str = ""
    key: str = ""


@dataclass(frozen=True)
class Http:
    """A request; a status of V(None) is any from 200 to 299."""

    path: str = "/"
    host: str = ""
    status: int | None = None


@dataclass(frozen=True)
class Talk:
    """One session: what goes first, what is sent, what must be in the answer, and that in plain words."""

    mode: str = "connect"
    send: bytes = b""
    expect: re.Pattern[bytes] | None = None
    expected: str = ""
    # V(v1), V(v2) or ''.
    proxy_protocol: str = ""
    half_close: bool = False
    tls: Tls | None = None
    http: Http | None = None
    calls: int = 1
    # Whether it comes from inside the cluster.
    inside: bool = False


def read_talk(raw: Mapping[str, Any]) -> Talk:
    """Read a probe's keys, of which those that are V(None) count as left out; raise TalkError for the first mistake."""
    given = {key: raw[key] for key in TALK_KEYS if raw.get(key) is not None}
    mode = raw.get("mode") or ("send" if "send" in given else "connect")
    if mode not in MODES:
        raise TalkError("mode", mode, f"it must be one of {', '.join(MODES)}")
    for key in given:
        if key not in ANY_MODE and key not in KEYS_OF[mode]:
            raise TalkError(key, given[key], f"it has no meaning with mode {mode!r}")
    proxy = given.get("proxy_protocol", "")
    if proxy not in ("", "v1", "v2"):
        raise TalkError("proxy_protocol", proxy, "it must be v1 or v2")
    tls = _tls(given, mode)
    half_close = _flag(given, "half_close")
    if half_close and tls:
        raise TalkError("half_close", True, "TLS closes both sides of a session at once")
    origin = given.get("from", "controller")
    if origin not in ORIGINS:
        raise TalkError("from", origin, f"it must be one of {', '.join(ORIGINS)}")
    # The way in is a tunnel, which has no half-open end, and ends of its own.
    for key in ("half_close", "proxy_protocol"):
        if origin == "cluster" and given.get(key):
            raise TalkError(key, given[key], "it is not possible with from: cluster")
    send, expect, expected = _words(given, mode)
    return Talk(
        mode=mode,
        send=send,
        expect=expect,
        expected=expected,
        proxy_protocol=proxy,
        half_close=half_close,
        tls=tls,
        http=_http(given) if mode == "http" else None,
        calls=_number(given, "calls", 1, MOST_CALLS) or 1,
        inside=origin == "cluster",
    )


def _words(given: Mapping[str, Any], mode: str) -> tuple[bytes, re.Pattern[bytes] | None, str]:
    """Return what is sent, what must be in the answer, and that in plain words."""
    if mode in PRESETS:
        return PRESETS[mode]
    sent, expect = given.get("send", ""), given.get("expect", "")
    if mode == "send" and (not isinstance(sent, str) or not sent):
        raise TalkError("send", given.get("send"), "mode 'send' needs the text to send")
    if not isinstance(expect, str):
        raise TalkError("expect", expect, "it must be a text, or a pattern between slashes")
    try:
        data = unescape(sent)
        if expect or mode == "send":
            return data, pattern_of(expect, data), expect or sent.strip()
    except ValueError as error:
        raise TalkError("", given, str(error)) from error
    # Whatever a server says unasked, it was a server that said it.
    return b"", re.compile(b"") if mode == "http" else re.compile(b"(?s)."), "anything"


def _tls(given: Mapping[str, Any], mode: str) -> Tls | None:
    """Read the TLS session of a mode, V(None) for a plain one."""
    if not (mode == "tls" or _flag(given, "tls")):
        for key in _TLS_SETTINGS:
            if key in given:
                raise TalkError(key, given[key], "it needs tls: true")
        return None
    sni, ca = given.get("sni", ""), given.get("ca", "")
    if not isinstance(sni, str) or not re.fullmatch(r"[A-Za-z0-9._-]{0,253}", sni):
        raise TalkError("sni", sni, "it must be a host name")
    verify = _flag(given, "verify")
    if ca and not verify:
        raise TalkError("ca", "(a text)", "it is used with verify: true only")
    if ca:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=ca)
        except (TypeError, ValueError, ssl.SSLError) as error:
            raise TalkError("ca", "(a text)", f"it must be certificates in PEM: {error}") from error
    pair = {key: given.get(key, "") for key in ("cert", "key")}
    for key, path in pair.items():
        if not isinstance(path, str):
            raise TalkError(key, path, "it must be the path of a file in PEM")
        if not path and any(pair.values()):
            raise TalkError(key, None, "a certificate and its key go together")
    return Tls(sni, verify, ca, **pair)


def _http(given: Mapping[str, Any]) -> Http:
    """Read the request of mode C(http)."""
    path, host = given.get("path", "/"), given.get("host", "")
    if not isinstance(path, str) or not re.fullmatch(r"/[\x21-\x7e]*", path):
        raise TalkError("path", path, "it begins with '/' and has no white space")
    if not isinstance(host, str) or not re.fullmatch(r"[\x21-\x7e]*", host):
        raise TalkError("host", host, "it must be a host name")
    return Http(path, host, _number(given, "status", 100, 599))


def _number(given: Mapping[str, Any], key: str, low: int, high: int) -> int | None:
    """Read a whole number within bounds, V(None) where it is not given."""
    if key not in given:
        return None
    number = to_port(given[key])
    if number is None or not low <= number <= high:
        raise TalkError(key, given[key], f"it must be a whole number from {low} to {high}")
    return number


def _flag(given: Mapping[str, Any], key: str) -> bool:
    """Read a yes or no, also as text; no where it is not given."""
    flag = {"true": True, "yes": True, "false": False, "no": False}.get(str(given.get(key, False)).lower())
    if flag is None:
        raise TalkError(key, given[key], "it must be true or false")
    return flag


def unescape(text: str) -> bytes:
    r"""Turn C(hex:00 ff) or C(\n \r \t \0 \\ \xNN) into bytes, the rest into UTF-8; raise ValueError for others."""
    if text.startswith(HEX):
        try:
            return bytes.fromhex(text[len(HEX) :])
        except ValueError as error:
            raise ValueError(f"{text} is no row of bytes; write two hexadecimal digits for each") from error

    def replace(match: re.Match[bytes]) -> bytes:
        code = match[1].decode(errors="replace")
        if code in ESCAPES:
            return ESCAPES[code]
        if len(code) == 3:
            return bytes.fromhex(code[1:])
        raise ValueError(f"\\{code} is no escape; known are \\n \\r \\t \\0 \\\\ and \\xNN")

    return re.sub(rb"\\(x[0-9a-fA-F]{2}|.|$)", replace, text.encode(), flags=re.DOTALL)


def pattern_of(expect: str, sent: bytes) -> re.Pattern[bytes]:
    """Compile what must be within the answer: C(/regular expression/), text, or what was sent."""
    if len(expect) > 2 and expect.startswith("/") and expect.endswith("/"):
        try:
            return re.compile(expect[1:-1].encode())
        except re.error as error:
            raise ValueError(f"expect {expect} is no regular expression: {error}") from error
    wanted = unescape(expect) if expect else sent.strip()
    if not wanted:
        raise ValueError("the text sent is only white space, so say what must come back (expect)")
    return re.compile(re.escape(wanted))
