# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read names and end date out of an X.509 certificate (RFC 5280): Python tells neither of one it did not verify.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

COMMON_NAME = bytes.fromhex("550403")
ALTERNATIVE_NAMES = bytes.fromhex("551d11")
EMAIL, DNS, URI, IP = 0x81, 0x82, 0x86, 0x87
VERSION, EXTENSIONS = 0xA0, 0xA3
UTC_TIME = 0x17


def read_certificate(der: bytes) -> dict[str, Any]:
    """Return C({names, not_after}); raise ValueError where it cannot be read.

    Names are the alternative names, or the common name where there are none. The end is UTC, as RFC 3339 writes it.
    """
    try:
        _tag, certificate = next(_items(der))
        _tag, signed = next(_items(certificate))
        fields = list(_items(signed))
        if fields[0][0] == VERSION:
            fields = fields[1:]
        validity, subject = fields[3][1], fields[4][1]
        not_after = list(_items(validity))[1]
        extensions = next((content for tag, content in fields[5:] if tag == EXTENSIONS), b"")
        names = list(_alternative_names(extensions)) or list(_common_names(subject))
        return {"names": names, "not_after": _time(*not_after).isoformat().replace("+00:00", "Z")}
    except (StopIteration, IndexError, TypeError) as error:
        raise ValueError("not an X.509 certificate") from error


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Cut DER into its elements: tag and content."""
    at = 0
    while at < len(data):
        tag, length = data[at], data[at + 1]
        at += 2
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(data[at : at + count], "big")
            at += count
        if at + length > len(data):
            raise ValueError("a certificate that is cut off")
        yield tag, data[at : at + length]
        at += length


def _time(tag: int, content: bytes) -> datetime:
    """Read UTCTime (a year from 50 on is of the last century) or GeneralizedTime."""
    text = content.decode()
    if tag == UTC_TIME:
        text = ("19" if text >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=timezone.utc)


def _common_names(subject: bytes) -> Iterator[str]:
    """Return the common names of a subject."""
    for _tag, group in _items(subject):
        for _tag, attribute in _items(group):
            parts = [content for _tag, content in _items(attribute)]
            if parts[0] == COMMON_NAME:
                yield parts[-1].decode(errors="replace")


def _alternative_names(extensions: bytes) -> Iterator[str]:
    """Return the host names, addresses and URIs that a certificate holds for."""
    for _tag, sequence in _items(extensions):
        for _tag, extension in _items(sequence):
            # In between may stand whether it is critical.
            parts = [content for _tag, content in _items(extension)]
            if parts[0] != ALTERNATIVE_NAMES:
                continue
            for tag, name in (item for _tag, names in _items(parts[-1]) for item in _items(names)):
                if tag in (EMAIL, DNS, URI):
                    yield name.decode(errors="replace")
                elif tag == IP:
                    yield str(ipaddress.ip_address(name))
