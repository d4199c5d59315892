# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a probe's keys mean, and which of them are refused."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_talk import (
    KEYS_OF,
    MODES,
    PRESETS,
    TalkError,
    read_talk,
    unescape,
)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a\\n\\r\\t\\0\\\\", b"a\n\r\t\0\\"),
        ("\\x00\\xFfz", b"\x00\xffz"),
        ("\\\\n", b"\\n"),
        ("gr\u00fc\u00df", "gr\u00fc\u00df".encode()),
        ("hex:00 fF 0a", b"\x00\xff\n"),
        ("\\x68ex:00", b"hex:00"),
    ],
)
def test_unescape(text, data):
    assert unescape(text) == data


@pytest.mark.parametrize("text", ["\\q", "end\\", "\\x1", "\\\u00fc"])
def test_unknown_escapes_are_refused(text):
    with pytest.raises(ValueError, match="no escape"):
        unescape(text)


def test_every_mode_has_its_keys_and_its_words():
    assert set(KEYS_OF) == set(MODES)
    assert set(PRESETS) < set(MODES)


@pytest.mark.parametrize(
    ("mode", "greeting", "other"),
    [
        ("ssh", b"hello\r\nSSH-2.0-OpenSSH_9.2\r\n", b"220 SSH-2.0-x\r\n"),
        ("smtp", b"220 mail.example ESMTP\r\n", b"554 no\r\n"),
        ("ftp", b"220-welcome\r\n", b"421 busy\r\n"),
        ("mysql", b"\x4a\x00\x00\x00\x0a8.0.30\x00", b"220 x\r\n"),
        ("mysql", b"\x45\x00\x00\x00\xff\x6a\x04Host", b"\x00\x00\x00\x01\x0a"),
        ("postgres", b"S", b"SSH-2.0-x\r\n"),
        ("postgres", b"N", b"E"),
        ("redis", b"+PONG\r\n", b"-ERR unknown command\r\n"),
        ("redis", b"-NOAUTH Authentication required.\r\n", b"-DENIED Redis is running in protected mode"),
    ],
)
def test_a_preset_knows_its_server(mode, greeting, other):
    expect = read_talk({"mode": mode}).expect
    assert expect.search(greeting)
    assert not expect.search(other)


@pytest.mark.parametrize(
    ("raw", "key", "words"),
    [
        ({"mode": "shout"}, "mode", "it must be one of connect, send, banner"),
        ({"mode": "postgres", "send": "x"}, "send", "no meaning with mode 'postgres'"),
        ({"mode": "ssh", "tls": True}, "tls", "no meaning"),
        ({"mode": "connect", "sni": "a.example"}, "sni", "it needs tls: true"),
        ({"mode": "tls", "cert": "a.pem"}, "key", "go together"),
        ({"mode": "tls", "cert": 1, "key": "a.key"}, "cert", "the path of a file"),
        ({"mode": "send"}, "send", "needs the text"),
        ({"send": "x", "expect": "/(/"}, "", "no regular expression"),
        ({"send": "hex:0"}, "", "no row of bytes"),
        ({"send": "\\n"}, "", "say what must come back"),
        ({"send": "x", "sni": "a.example"}, "sni", "it needs tls: true"),
        ({"mode": "tls", "sni": "a b"}, "sni", "host name"),
        ({"mode": "tls", "ca": "x"}, "ca", "verify: true"),
        ({"mode": "tls", "verify": True, "ca": "x"}, "ca", "PEM"),
        ({"mode": "tls", "verify": "maybe"}, "verify", "true or false"),
        ({"mode": "http", "path": "x"}, "path", "begins with '/'"),
        ({"mode": "http", "path": "/a b"}, "path", "no white space"),
        ({"mode": "http", "host": "a\r\nX: y"}, "host", "host name"),
        ({"mode": "http", "status": 99}, "status", "from 100 to 599"),
        ({"mode": "redis", "calls": 0}, "calls", "from 1 to 1000"),
        ({"mode": "redis", "proxy_protocol": "v3"}, "proxy_protocol", "v1 or v2"),
        ({"send": "x", "tls": True, "half_close": True}, "half_close", "TLS closes both"),
    ],
)
def test_a_key_that_cannot_be_is_named(raw, key, words):
    with pytest.raises(TalkError, match=words) as caught:
        read_talk(raw)
    assert caught.value.key == key


def test_numbers_and_flags_may_be_text():
    talk = read_talk({"mode": "http", "calls": "10", "status": "204", "tls": "yes"})
    assert (talk.calls, talk.http.status, talk.tls is None) == (10, 204, False)
