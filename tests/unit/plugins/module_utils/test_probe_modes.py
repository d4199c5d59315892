# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modes of the prober that talk, each against a server on the loopback that speaks the protocol or does not."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import socket
import ssl

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _probe_http
from ansible_collections.servicemesh.tcp.plugins.module_utils._certificate import read_certificate
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe import Prober
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_session import header_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_target import TargetError, parse_target
from ansible_collections.servicemesh.tcp.tests.unit.plugins.certificates import pair as self_signed
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HOME = "127.0.0.1"
NAME = "db.example.com"


def prove(behaviour, on=HOME, context=None, **more):
    """Serve a behaviour (a coroutine function of reader and writer), probe it once, and return the result."""

    async def serve(reader, writer):
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await behaviour(reader, writer)
        writer.close()

    async def main():
        server = await asyncio.start_server(serve, on, 0, ssl=context)
        record = {"name": "a", "addresses": [on], "port": server.sockets[0].getsockname()[1], "timeout": 20.0, **more}
        results = await Prober([parse_target(record)], None, deadline=0.0).run()
        server.close()
        return results

    (result,) = asyncio.run(main())
    return result


def says(data, wait_for=b""):
    """Make a server that says something, at once or after it heard something."""

    async def speak(reader, writer):
        heard = b""
        while wait_for not in heard and (chunk := await reader.read(4096)):
            heard += chunk
        writer.write(data)
        await reader.read(1)

    return speak


async def echo(reader, writer):
    """Send back what comes."""
    while data := await reader.read(4096):
        writer.write(data)


def page(body, status="200 OK", head="Content-Length: {}"):
    """Make an HTTP server."""
    head = head.format(len(body))
    return says(f"HTTP/1.1 {status}\r\n{head}\r\n\r\n{body}".encode(), wait_for=b"\r\n\r\n")


@pytest.mark.parametrize(
    ("server", "more", "state", "words"),
    [
        (says(b"SSH-2.0-x\r\n"), {"mode": "ssh"}, "proven", ""),
        (
            says(b"220 x\r\n"),
            {"mode": "ssh", "timeout": 2.0},
            "wrong_answer",
            "the version of an SSH server is not in it",
        ),
        (says(b"S", wait_for=bytes.fromhex("0000000804d2162f")), {"mode": "postgres"}, "proven", ""),
        (says(b"+PONG\r\n", wait_for=b"PING\r\n"), {"mode": "redis"}, "proven", ""),
        (says(b"anything"), {"mode": "banner"}, "proven", ""),
        (says(b"* OK IMAP4rev1\r\n"), {"mode": "banner", "expect": "* OK"}, "proven", ""),
        (says(b"", wait_for=b"never"), {"mode": "banner", "timeout": 0.3}, "no_answer", "within 0.3 s"),
        (says(b"\x00\xff", wait_for=b"\x01"), {"send": "hex:01", "expect": "hex:00ff"}, "proven", ""),
        (page("ok"), {"mode": "http"}, "proven", ""),
        (page("ok"), {"mode": "http", "expect": "nok"}, "wrong_answer", "nok is not in it"),
        (page("no", "503 Unavailable"), {"mode": "http"}, "wrong_answer", "status is 503, not 200 to 299"),
        (page("no", "503 Unavailable"), {"mode": "http", "status": 503}, "proven", ""),
        (page("x" * 10, head="Content-Length: 99"), {"mode": "http", "timeout": 2.0}, "wrong_answer", "not its end"),
        (says(b"SSH-2.0-x\r\n"), {"mode": "http"}, "wrong_answer", "no HTTP"),
        # The greeting of a server that is no TLS server, as OpenSSL says it.
        (says(b"220 hello\r\n"), {"mode": "tls"}, "wrong_answer", "no TLS session"),
    ],
)
def test_a_mode_tells_right_from_wrong(server, more, state, words):
    result = prove(server, **more)
    assert result["state"] == state, result
    assert words in result["detail"]


def test_the_request_names_path_and_host():
    async def mirror(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + head)

    result = prove(
        mirror, mode="http", path="/a?b=c", host=NAME, expect="/GET /a\\?b=c HTTP/1.1\r\nHost: db.example.com/"
    )
    assert result["state"] == "proven", result
    assert "Host: 127.0.0.1\r\n" in prove(mirror, mode="http")["answer"]


def test_a_tally_of_weighted_backends():
    calls = iter(range(10))

    async def weighted(reader, writer):
        word = await reader.readline()
        writer.write((b"v2 " if next(calls) % 10 >= 7 else b"v1 ") + word)

    result = prove(weighted, send="hello\\n", expect="/(v[12]) hello/", calls=10)
    assert (result["state"], result["tally"], result["attempts"]) == ("proven", {"v1": 7, "v2": 3}, 1)


def test_one_wrong_answer_of_several_is_wrong():
    answers = iter([b"right", b"right", b"wrong"])

    async def fickle(reader, writer):
        writer.write(next(answers))

    result = prove(fickle, mode="banner", expect="right", calls=5)
    assert (result["state"], result["tally"]) == ("wrong_answer", {"right": 2})


@pytest.mark.parametrize(("closes", "state"), [(True, "proven"), (False, "wrong_answer")])
def test_half_close(closes, state):
    async def count(reader, writer):
        size = len(await reader.read(-1))
        writer.write(f"{size} bytes".encode())
        if not closes:
            await writer.drain()
            await asyncio.sleep(60)

    result = prove(count, send="hello", expect="5 bytes", half_close=True, timeout=2.0)
    assert result["state"] == state, result


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_proxy_header_comes_first_with_the_real_ends(version):
    async def server(reader, writer):
        source, destination = (writer.get_extra_info(name) for name in ("peername", "sockname"))
        wanted = header_of(version, source, destination) + b"hi"
        writer.write(b"same" if await reader.readexactly(len(wanted)) == wanted else b"other")

    assert prove(server, send="hi", expect="same", proxy_protocol=version)["state"] == "proven"


@pytest.mark.parametrize(
    ("version", "source", "destination", "header"),
    [
        ("v1", ("10.0.0.1", 5), ("10.0.0.2", 80), b"PROXY TCP4 10.0.0.1 10.0.0.2 5 80\r\n"),
        ("v1", ("fe80::1%eth0", 5), ("fe80::2", 80), b"PROXY TCP6 fe80::1 fe80::2 5 80\r\n"),
        (
            "v2",
            ("10.0.0.1", 5),
            ("10.0.0.2", 80),
            bytes.fromhex("0d0a0d0a000d0a515549540a 21 11 000c 0a000001 0a000002 0005 0050"),
        ),
        (
            "v2",
            ("::1", 5),
            ("::2", 80),
            bytes.fromhex("0d0a0d0a000d0a515549540a 21 21 0024" + "00" * 15 + "01" + "00" * 15 + "02" + "0005 0050"),
        ),
    ],
)
def test_proxy_headers_are_those_of_the_specification(version, source, destination, header):
    assert header_of(version, source, destination) == header


def test_ipv6():
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        result = prove(echo, on="::1", send="x")
        assert (result["state"], result["address"]) == ("proven", "::1")
        return
    pytest.skip("this machine has no IPv6 loopback")


# HTTP


@pytest.mark.parametrize(
    ("data", "ended", "parsed"),
    [
        (b"HT", False, None),
        (b"HTTP/1.1 200 OK\r\n", False, None),
        (b"HTTP/1.1 200 OK\r\n\r\nab", False, None),
        (b"HTTP/1.1 200 OK\r\n\r\nab", True, (200, b"ab")),
        (b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 2\r\n\r\nabc", False, (200, b"ab")),
        (b"HTTP/1.1 204 No\r\n\r\n", False, (204, b"")),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\n\r\n",
            False,
            (200, b"abc"),
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", True, None),
    ],
)
def test_http_answers(data, ended, parsed):
    assert _probe_http.parse(data, ended) == parsed


@pytest.mark.parametrize("data", [b"SSH", b"HTTP/1.1 x\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"])
def test_what_is_no_http(data):
    with pytest.raises(ValueError, match=r"no HTTP|invalid literal"):
        _probe_http.parse(data)


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate that signs itself, as a server's settings, as PEM text and as it goes over the wire."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "common")])
    names = [x509.DNSName(NAME), x509.DNSName("*.example.org"), x509.IPAddress(ipaddress.ip_address("::1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(5)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(datetime.datetime(2051, 2, 3, 4, 5, 6))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    pem = made.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(pem + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, pem.decode(), made.public_bytes(serialization.Encoding.DER)


SEEN = {"names": [NAME, "*.example.org", "::1"], "not_after": "2051-02-03T04:05:06Z"}


@pytest.mark.parametrize(
    ("more", "state", "words"),
    [
        ({"mode": "tls"}, "proven", ""),
        ({"mode": "tls", "sni": "other.example"}, "proven", ""),
        ({"mode": "tls", "verify": True, "sni": NAME}, "untrusted", "self"),
        ({"mode": "tls", "verify": True, "sni": NAME, "ca": True}, "proven", ""),
        ({"mode": "tls", "verify": True, "sni": "other.example", "ca": True}, "untrusted", "other.example"),
        # Its own address is what a host without a name is verified against.
        ({"mode": "tls", "verify": True, "ca": True}, "untrusted", "127.0.0.1"),
        ({"tls": True, "send": "hello"}, "proven", ""),
        ({"tls": True, "send": "hello", "expect": "bye", "timeout": 2.0}, "wrong_answer", "bye is not in it"),
    ],
)
def test_tls(certificate, more, state, words):
    context, pem, _der = certificate
    result = prove(echo, context=context, **{**more, **({"ca": pem} if more.get("ca") else {})})
    assert result["state"] == state, result
    assert words in result["detail"]
    if state != "untrusted":
        assert result["certificate"] == SEEN


def test_the_server_name_is_sent(certificate):
    context, _pem, _der = certificate
    asked = []
    context.sni_callback = lambda _session, name, _context: asked.append(name)
    assert prove(echo, context=context, mode="tls", sni="one.example")["state"] == "proven"
    assert prove(echo, context=context, mode="tls")["state"] == "proven"
    context.sni_callback = None
    assert asked == ["one.example", None]


@pytest.mark.parametrize("mode", ["tls", "connect"])
def test_a_client_s_own_certificate(tmp_path, mode):
    file = tmp_path / "both.pem"
    file.write_text("".join(self_signed("client.example")))
    strict = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    strict.load_cert_chain(file)
    strict.verify_mode = ssl.CERT_REQUIRED
    strict.load_verify_locations(file)
    # With TLS 1.3 a client learns of it only when it reads, which mode tls does not.
    strict.maximum_version = ssl.TLSVersion.TLSv1_2
    pair = {"cert": str(file), "key": str(file)}
    within = {"tls": True} if mode == "connect" else {}
    # A silent session that nobody witnesses stays unseen; it was open, though.
    good = {"tls": "proven", "connect": "unseen"}[mode]
    assert prove(echo, context=strict, mode=mode, **within, **pair)["state"] == good
    assert prove(echo, context=strict, mode=mode, **within)["state"] in ("wrong_answer", "closed", "reset")


def test_files_that_are_no_certificate(tmp_path):
    (tmp_path / "a.pem").write_text("nothing")
    for path in (tmp_path / "a.pem", tmp_path / "none.pem"):
        with pytest.raises(TargetError, match=r"target a: cert .*pem"):
            prove(echo, mode="tls", cert=str(path), key=str(path))


def test_a_server_that_hangs_up_on_tls():
    async def hang_up(reader, writer):
        await reader.read(1)

    assert prove(hang_up, mode="tls")["state"] in ("closed", "reset")


def test_a_certificate_that_is_cut_off(certificate):
    _context, _pem, der = certificate
    assert read_certificate(der) == SEEN
    for size in range(0, len(der), 7):
        with pytest.raises(ValueError, match=r"cut off|not an X.509|unpack"):
            read_certificate(der[:size])
