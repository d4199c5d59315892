# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets that a gateway's certificates come from: which a run needs, what of them is kept, and whether they will do.

Nothing of a Secret leaves C(project) but what its certificate says of itself.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import ssl
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._certificate import read_certificate
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import collection_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls import ANY, PASSTHROUGH

if TYPE_CHECKING:
    from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api

Place = tuple[str, str]
# How early the end of a certificate is told, in days.
WARN_DAYS = 30
# Where Istio looks (pilot/pkg/credentials/kube/secrets.go, ExtractCertInfo and extractRoot).
PAIRS = (("tls.crt", "tls.key"), ("cert", "key"))
AUTHORITIES = ("ca.crt", "cacert")


def wanted_secrets(raw_ports: Iterable[Any], raw_gateways: Iterable[Any]) -> list[Place]:
    """Return namespace and name of the Secrets that records, as people write them, may need."""
    namespaces = {item.get("name"): item.get("namespace") for item in raw_gateways if isinstance(item, Mapping)}
    found = set()
    for record in raw_ports:
        tls = record.get("tls") if isinstance(record, Mapping) else None
        secret = tls.get("secret") if isinstance(tls, Mapping) else None
        namespace = namespaces.get(record["gateway"]) if secret and isinstance(record.get("gateway"), str) else None
        if isinstance(secret, str) and isinstance(namespace, str):
            found.add((namespace, secret))
            if tls.get("mode") == "mutual":
                found.add((namespace, f"{secret}-cacert"))
    return sorted(found)


def read_secrets(api: Api, places: Iterable[Place]) -> dict[str, dict[str, Any] | None]:
    """Read Secrets by C(namespace/name): what C(project) keeps of them, V(None) for those that are not there.

    One that may not be read is C({unseen: true}).
    """
    now = datetime.now(timezone.utc)
    found: dict[str, dict[str, Any] | None] = {}
    for namespace, name in places:
        try:
            obj = api.find(f"{collection_path('Secret', namespace)}/{name}")
        except ApiError as error:
            if error.status != 403:
                raise
            found[f"{namespace}/{name}"] = {"unseen": True}
        else:
            found[f"{namespace}/{name}"] = project(obj.get("data") or {}, now) if obj else None
    return found


def project(data: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """Return C({wrong, names, end, days, authority}) of a Secret's C(data).

    C(wrong) says why it is no certificate with its key, '' where it is one; C(authority) whether it holds one. Whole
    days, so that what is read twice in a run is equal.
    """
    pair = next((both for both in PAIRS if both[0] in data), PAIRS[0])
    found = {"wrong": "", "names": [], "end": "", "days": None, "authority": _has_authority(data)}
    missing = [key for key in pair if not data.get(key)]
    if missing:
        return {**found, "wrong": f"it has no {' and no '.join(missing)}"}
    try:
        certificate, key = (base64.b64decode(data[name]) for name in pair)
        read = _first_certificate(certificate)
    except (binascii.Error, ValueError):
        return {**found, "wrong": f"its {pair[0]} is no certificate in PEM"}
    end = datetime.fromisoformat(read["not_after"].replace("Z", "+00:00"))
    kept = {"names": read["names"], "end": f"{end:%Y-%m-%d}", "days": (end - now).days}
    return {**found, **kept, "wrong": _pair_is_wrong(certificate, key, pair)}


def _first_certificate(pem: bytes) -> dict[str, Any]:
    """Read the first certificate of a chain; raise ValueError where there is none."""
    text = pem.decode("ascii", errors="replace")
    begin = text.find("-----BEGIN CERTIFICATE-----")
    end = text.find("-----END CERTIFICATE-----", begin)
    if begin < 0 or end < 0:
        raise ValueError("no certificate")
    first = text[begin : end + len("-----END CERTIFICATE-----")] + "\n"
    return read_certificate(ssl.PEM_cert_to_DER_cert(first))


def _has_authority(data: Mapping[str, str]) -> bool:
    """Tell whether a Secret holds the certificate of an authority."""
    for name in AUTHORITIES:
        with contextlib.suppress(binascii.Error, ValueError):
            if data.get(name) and _first_certificate(base64.b64decode(data[name])):
                return True
    return False


def _pair_is_wrong(certificate: bytes, key: bytes, names: Sequence[str]) -> str:
    """Say why a key is not that of a certificate, '' where it is. OpenSSL reads files, so these are in memory only."""
    if b"PRIVATE KEY-----" not in key:
        return f"its {names[1]} is no private key in PEM"
    if not hasattr(os, "memfd_create"):
        return ""
    with contextlib.ExitStack() as stack:
        paths = []
        for content in (certificate, key):
            descriptor = os.memfd_create("pem")
            stack.callback(os.close, descriptor)
            os.write(descriptor, content)
            paths.append(f"/proc/self/fd/{descriptor}")
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(*paths, password=lambda: "")
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                return f"its {names[1]} is not the key of its {names[0]}"
            return f"its {names[0]} and {names[1]} cannot be loaded ({error.reason or 'not PEM'})"
        except OSError:
            return ""
    return ""


def check_secrets(ports: Iterable[Mapping[str, Any]], secrets: Mapping[str, Any] | None) -> list[dict[str, str]]:
    """Hold the Secrets that the records name against what was read of them; nothing where nothing was read."""
    if secrets is None:
        return []
    findings = []
    told = set()
    for port in ports:
        tls = port["tls"]
        if not tls or tls["mode"] == PASSTHROUGH or (port["name"], port["namespace"]) in told:
            continue
        told.add((port["name"], port["namespace"]))
        subject, place = f"record {port['name']!r}", f"{port['namespace']}/{tls['secret']}"
        findings += _check_pair(subject, place, secrets.get(place), tls["hosts"])
        if tls["mode"] == "mutual" and secrets.get(place):
            findings += _check_authority(subject, place, tls["ca"], secrets)
    return findings


def _check_pair(
    subject: str, place: str, secret: Mapping[str, Any] | None, hosts: Sequence[str]
) -> list[dict[str, str]]:
    """Check a certificate: that it is there, is one with its key, holds for the names, and for some time."""
    if secret is None:
        return [finding("SECRET_MISSING", subject, secret=place, role="the certificate")]
    if secret.get("unseen"):
        return [finding("SECRET_UNSEEN", subject, secret=place)]
    if secret["wrong"]:
        return [finding("SECRET_INVALID", subject, secret=place, role="certificate", why=secret["wrong"])]
    findings = []
    missed = [host for host in hosts if host != ANY and not holds_for(secret["names"], host)]
    if missed:
        names = ", ".join(secret["names"]) or "no name"
        findings.append(finding("SECRET_HOSTS", subject, secret=place, names=names, hosts=", ".join(missed)))
    if secret["days"] < 0:
        why = f"its certificate ended on {secret['end']}"
        findings.append(finding("SECRET_INVALID", subject, secret=place, role="certificate", why=why))
    elif secret["days"] < WARN_DAYS:
        findings.append(finding("SECRET_ENDS", subject, secret=place, end=secret["end"], days=secret["days"]))
    return findings


def _check_authority(subject: str, place: str, ca: str | None, secrets: Mapping[str, Any]) -> list[dict[str, str]]:
    """Check where the authorities of clients come from: the Secret that the record names, or either of the two.

    Istio takes the one beside it only where it is there (pilot/pkg/credentials/kube/secrets.go, GetCaCert).
    """
    namespace = place.partition("/")[0]
    beside = f"{place}-cacert"
    places = [f"{namespace}/{ca}"] if ca else [place, beside]
    read = [secrets.get(item) for item in places]
    if any(item and item.get("authority") for item in read):
        return []
    if any(item and item.get("unseen") for item in read):
        return [finding("SECRET_UNSEEN", subject, secret=places[0])]
    if ca and read[0] is None:
        return [finding("SECRET_MISSING", subject, secret=places[0], role="the clients' authority")]
    why = f"there is no ca.crt with a certificate in it{'' if ca else f', nor a Secret {beside} with one'}"
    return [finding("SECRET_INVALID", subject, secret=places[0], role="authority for clients", why=why)]


def holds_for(names: Iterable[str], host: str) -> bool:
    """Tell whether a certificate's names hold for a host: a wildcard is one label, the first (RFC 6125, 6.4.3)."""
    wild = f"*.{host.partition('.')[2]}"
    return any(name.lower() in (host, wild) for name in names)
