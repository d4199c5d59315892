# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy before the API server that hides versions which OSSM 2 does not serve (design 7, mesh-facts 1.2).

The lab's istiod watches `networking.istio.io/v1`, so the cluster must serve it; who comes through here sees a cluster
that does not: 404 below the hidden paths, and no word of them in discovery. Everything else passes unchanged, watches,
exec and port-forward included. One request per connection: that costs a handshake and saves parsing answers.

Who shows the proxy's own token is the admin, and goes on with the admin's certificate or token; everybody else goes on
with what they brought. What it does not do: hide the versions in `/openapi/v2`, or in CustomResourceDefinitions.
"""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import json
import logging
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

GROUPS = ("networking.istio.io", "security.istio.io")
VERSION = "v1"
HEAD_LIMIT = 1 << 20
log = logging.getLogger("proxy")


@dataclass(frozen=True)
class Upstream:
    """The API server, and how the admin goes there: with a certificate (`admin`) or with a token."""

    host: str
    port: int
    plain: ssl.SSLContext
    admin: ssl.SSLContext
    admin_token: str


def hidden(path: str) -> bool:
    """Whether a path belongs to a version that is not served."""
    plain = path.partition("?")[0].rstrip("/")
    roots = [f"{root}/apis/{group}/{VERSION}" for group in GROUPS for root in ("", "/openapi/v3")]
    return any(plain == root or plain.startswith(f"{root}/") for root in roots)


def is_discovery(path: str) -> bool:
    """Whether the answer lists versions."""
    plain = path.partition("?")[0].rstrip("/")
    return plain in ("/apis", "/openapi/v3", *(f"/apis/{group}" for group in GROUPS))


def filtered(body: dict[str, Any]) -> dict[str, Any]:
    """A discovery answer (list of groups, aggregated list, one group, or OpenAPI's index) without what is hidden."""
    kind = body.get("kind")
    if kind == "APIGroup":
        return _group(body) if body["name"] in GROUPS else body
    if kind == "APIGroupList":
        return body | {"groups": [_group(one) if one["name"] in GROUPS else one for one in body["groups"]]}
    if kind == "APIGroupDiscoveryList":
        return body | {"items": [_aggregated(one) for one in body["items"]]}
    if "paths" in body:
        return body | {"paths": {path: one for path, one in body["paths"].items() if not hidden(f"/{path}")}}
    return body


def _group(group: dict[str, Any]) -> dict[str, Any]:
    versions = [one for one in group["versions"] if one["version"] != VERSION]
    preferred = group.get("preferredVersion")
    if preferred and preferred["version"] == VERSION:
        preferred = versions[0]
    return group | {"versions": versions} | ({"preferredVersion": preferred} if preferred else {})


def _aggregated(group: dict[str, Any]) -> dict[str, Any]:
    if group["metadata"].get("name") not in GROUPS:
        return group
    return group | {"versions": [one for one in group["versions"] if one["version"] != VERSION]}


def certificate(folder: Path) -> Path:
    """A certificate and key of the proxy's own, for 127.0.0.1, in one file; kept while the lab is."""
    file = folder / "proxy.pem"
    if not file.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "standins")])
        now = datetime.datetime.now(datetime.UTC)
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        signed = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=365))
            .add_extension(names, critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        form = serialization.PrivateFormat.PKCS8
        secret = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        file.touch(mode=0o600)
        file.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + secret)
    return file


def serve(upstream: Upstream, pem: Path, port: int, admin_key: str) -> None:
    """Listen on loopback and serve in a thread of its own; raises OSError when the port is taken."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    context.set_alpn_protocols(["http/1.1"])
    loop = asyncio.new_event_loop()
    proxy = Proxy(upstream, admin_key)
    loop.run_until_complete(asyncio.start_server(proxy.handle, "127.0.0.1", port, ssl=context, limit=HEAD_LIMIT))
    threading.Thread(target=loop.run_forever, name="proxy", daemon=True).start()


class Proxy:
    """Hands on connections, one request each."""

    def __init__(self, upstream: Upstream, admin_key: str) -> None:
        self._upstream = upstream
        self._admin = f"Bearer {admin_key}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            request, *lines = head.decode("latin-1").split("\r\n")
            path = urlsplit(request.split(" ")[1])
            target = path.path + (f"?{path.query}" if path.query else "")
            if hidden(target):
                await _answer(writer, 404, {"kind": "Status", **NOT_FOUND})
            else:
                await self._pass_on(request, [line for line in lines if line], target, reader, writer)
        except (OSError, asyncio.IncompleteReadError, ssl.SSLError, IndexError) as error:
            log.debug("%s", error)
        finally:
            writer.close()

    async def _pass_on(
        self, request: str, lines: list[str], target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        fields = dict(_field(line) for line in lines)
        admin = fields.get("authorization") == self._admin
        discovery = is_discovery(target)
        upgrade = "upgrade" in fields
        dropped = {"host"} | ({"authorization"} if admin else set())
        dropped |= set() if upgrade else {"connection"}
        dropped |= {"accept-encoding", "if-none-match"} if discovery else set()
        kept = [line for line in lines if _field(line)[0] not in dropped]
        if discovery:
            kept = [_json_only(line) for line in kept]
        kept.append(f"Host: {self._upstream.host}:{self._upstream.port}")
        if not upgrade:
            kept.append("Connection: close")
        if admin and self._upstream.admin_token:
            kept.append(f"Authorization: Bearer {self._upstream.admin_token}")
        context = self._upstream.admin if admin else self._upstream.plain
        far_reader, far_writer = await asyncio.open_connection(
            self._upstream.host, self._upstream.port, ssl=context, limit=HEAD_LIMIT
        )
        try:
            far_writer.write("\r\n".join([request, *kept, "", ""]).encode("latin-1"))
            await far_writer.drain()
            if discovery:
                await _hand_back_filtered(far_reader, writer)
            else:
                # The client ends by closing; the API server, asked to, when it has answered.
                sending = asyncio.create_task(_pump(reader, far_writer))
                await _pump(far_reader, writer)
                sending.cancel()
        finally:
            far_writer.close()


NOT_FOUND = {
    "apiVersion": "v1",
    "metadata": {},
    "status": "Failure",
    "message": "the server could not find the requested resource",
    "reason": "NotFound",
    "details": {},
    "code": 404,
}


def _field(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip()


def _json_only(line: str) -> str:
    """Discovery must be readable here, so protobuf is not offered."""
    name, value = _field(line)
    if name != "accept":
        return line
    kinds = [one.strip() for one in value.split(",") if "protobuf" not in one]
    return f"Accept: {','.join(kinds) or 'application/json'}"


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(1 << 16):
        writer.write(piece)
        await writer.drain()


async def _hand_back_filtered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read a whole answer, filter it where it is JSON, and hand it back."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status, *lines = [line for line in head.split("\r\n") if line]
    fields = dict(_field(line) for line in lines)
    if fields.get("transfer-encoding", "") == "chunked":
        body = await _unchunk(reader)
    else:
        body = await reader.read(-1)
    code = int(status.split(" ")[1])
    if code == 200:
        body = json.dumps(filtered(json.loads(body))).encode()
    await _send(writer, status, fields.get("content-type", "application/json"), body)


async def _unchunk(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    return body


async def _answer(writer: asyncio.StreamWriter, code: int, body: dict[str, Any]) -> None:
    await _send(writer, f"HTTP/1.1 {code} Not Found", "application/json", json.dumps(body).encode())


async def _send(writer: asyncio.StreamWriter, status: str, content_type: str, body: bytes) -> None:
    head = f"{status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    writer.write(head.encode("latin-1") + body)
    await writer.drain()
