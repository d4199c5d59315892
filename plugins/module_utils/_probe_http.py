# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The request and the answer of an HTTP probe, as bytes (RFC 9112). Pure: no I/O.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from typing import NamedTuple


class Response(NamedTuple):
    """What came back."""

    status: int
    body: bytes


def request(path: str, host: str) -> bytes:
    """Return a request of which the server closes the session when it has answered."""
    host = f"[{host}]" if ":" in host and not host.startswith("[") and host.count(":") > 1 else host
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\nConnection: close\r\n\r\n".encode()


def parse(data: bytes, ended: bool = False) -> Response | None:
    """Return the answer, V(None) while it is not complete; raise ValueError where it is no HTTP."""
    # A first line that is still on its way is no mistake yet.
    if not data[:5] == b"HTTP/"[: len(data)]:
        raise ValueError("what came is no HTTP")
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    status = int(first.partition(" ")[2].partition(" ")[0])
    headers = {name.strip().lower(): value.strip() for name, _colon, value in (line.partition(":") for line in lines)}
    if status == 204 or status == 304:
        return Response(status, b"")
    if "chunked" in headers.get("transfer-encoding", ""):
        whole = _chunks(body)
        return Response(status, whole) if whole is not None else None
    if "content-length" in headers:
        length = int(headers["content-length"])
        return Response(status, body[:length]) if len(body) >= length else None
    return Response(status, body) if ended else None


def _chunks(data: bytes) -> bytes | None:
    """Put a chunked body together, V(None) while its end is missing."""
    whole = b""
    while True:
        size, end, data = data.partition(b"\r\n")
        if not end:
            return None
        length = int(size.split(b";")[0], 16)
        if length == 0:
            return whole
        if len(data) < length + 2:
            return None
        whole, data = whole + data[:length], data[length + 2 :]
