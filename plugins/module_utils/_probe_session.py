# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One probing session on asyncio streams: plain, within TLS, and what a PROXY protocol header says of it.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import functools
import ipaddress
import ssl
from asyncio import StreamReader, StreamWriter
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._certificate import read_certificate
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_talk import Tls

CHUNK = 65536
# The PROXY protocol specification (haproxy doc/proxy-protocol.txt), 2.2.
V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


class Session:
    """A plain session."""

    def __init__(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self) -> bytes:
        """Return what comes next, nothing at the end."""
        return await self._reader.read(CHUNK)

    def write(self, data: bytes) -> None:
        """Send."""
        self._writer.write(data)

    def end(self) -> None:
        """Say that nothing more is sent, and go on reading."""
        self._writer.write_eof()


class TlsSession:
    """A TLS session within a plain one.

    Not asyncio's own, which cannot begin in the middle of a session before Python 3.11 and hides why it failed.
    """

    def __init__(self, session: Session, tls: Tls, name: str) -> None:
        self._session = session
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = client_context(tls.verify, tls.ca, tls.cert, tls.key)
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)

    async def handshake(self) -> dict[str, Any] | None:
        """Shake hands, and return what the peer's certificate says; raise SSLError where that fails."""
        await self._until_done(self._ssl.do_handshake)
        self._flush()
        der = self._ssl.getpeercert(binary_form=True)
        return read_certificate(der) if der else None

    async def read(self) -> bytes:
        """Return what comes next, nothing at the end."""
        try:
            return await self._until_done(lambda: self._ssl.read(CHUNK))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def write(self, data: bytes) -> None:
        """Send."""
        self._ssl.write(data)
        self._flush()

    async def _until_done(self, step: Any) -> Any:
        """Call until no more bytes are wanted for it."""
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self._flush()
                if chunk := await self._session.read():
                    self._incoming.write(chunk)
                else:
                    self._incoming.write_eof()
            except ssl.SSLError:
                # The alert that says why goes to the peer.
                self._flush()
                raise

    def _flush(self) -> None:
        """Send what TLS has to say."""
        if data := self._outgoing.read():
            self._session.write(data)


@functools.lru_cache(maxsize=64)
def client_context(verify: bool, ca: str, cert: str = "", key: str = "") -> ssl.SSLContext:
    """Return a client's TLS settings; loading the system's authorities takes a while, so once for all."""
    if verify:
        context = ssl.create_default_context(cadata=ca or None)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if cert:
        # A key that wants a password would be asked for at a terminal that is not there.
        context.load_cert_chain(cert, key, password=lambda: "")
    return context


def proxy_header(version: str, writer: StreamWriter) -> bytes:
    """Return the PROXY protocol header that says of a session what its own ends are; nothing for no version."""
    if not version:
        return b""
    source, destination = writer.get_extra_info("sockname")[:2], writer.get_extra_info("peername")[:2]
    return header_of(version, source, destination)


def header_of(version: str, source: tuple[str, int], destination: tuple[str, int]) -> bytes:
    """Return the PROXY protocol header for two ends, addresses and ports."""
    # A zone (fe80::1%eth0) is known to this machine only.
    ends = [ipaddress.ip_address(address.partition("%")[0]) for address, _port in (source, destination)]
    family = ends[0].version
    if version == "v1":
        return f"PROXY TCP{family} {ends[0]} {ends[1]} {source[1]} {destination[1]}\r\n".encode()
    body = b"".join(end.packed for end in ends) + b"".join(end[1].to_bytes(2, "big") for end in (source, destination))
    return V2_SIGNATURE + bytes([0x21, 0x11 if family == 4 else 0x21]) + len(body).to_bytes(2, "big") + body
