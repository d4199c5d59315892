# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates that sign themselves, and Secrets that hold them."""

from __future__ import annotations

import base64
import datetime
import functools
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PEM = serialization.Encoding.PEM
NOW = datetime.datetime(2026, 11, 21, 12, tzinfo=datetime.UTC)


@functools.cache
def pair(*names: str, end: datetime.datetime | None = None) -> tuple[str, str]:
    """Return a certificate for names and its key, in PEM; it ends ten years after NOW unless told."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - datetime.timedelta(days=3650))
        .not_valid_after(end or NOW + datetime.timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(item) for item in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    text = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(PEM).decode(), text.decode()


def encoded(**data: str) -> dict[str, str]:
    """Return a Secret's data; C(tls_crt) stands for C(tls.crt)."""
    return {key.replace("_", "."): base64.b64encode(text.encode()).decode() for key, text in data.items()}


def secret(name: str, namespace: str, *names: str, **more: str) -> dict[str, Any]:
    """Return a Secret with a certificate for names."""
    certificate, key = pair(*names)
    return new_object("Secret", name, namespace, {}, data=encoded(tls_crt=certificate, tls_key=key, **more))
