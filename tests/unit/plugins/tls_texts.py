# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every finding about TLS, provoked once, with its whole text."""

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls_secrets import check_secrets
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import BACKEND, EDGE, record

GOOD = {"wrong": "", "names": ["a.test"], "end": "2026-12-24", "days": 99, "authority": False}


def named(name: str, host: str, **more: Any) -> dict[str, Any]:
    """Return a TLS record."""
    return record(name, 8443, protocol="tls", hosts=[host], **more)


def mapped(*records: dict[str, Any]) -> list[dict[str, str]]:
    """Return what is told of records without a cluster."""
    return port_map(list(records), [EDGE])["findings"]


def read(secret: dict[str, Any] | None) -> list[dict[str, str]]:
    """Return what is told of a record's Secret, as it was read."""
    tls = {"mode": "terminate", "hosts": ["a.test"], "secret": "cert", "ca": None, "min_version": None}
    return check_secrets([{"name": "a", "namespace": "gateways", "tls": tls}], {"gateways/cert": secret})


ENDING = {"tls": {"mode": "terminate", "secret": "cert"}}

TEXTS = {
    "SECRET_ENDS": (
        lambda: read({**GOOD, "days": 3}),
        "record 'a': Secret gateways/cert: its certificate ends on 2026-12-24, in 3 days."
        " Renew it before. Istio takes a new certificate from the Secret without a change here.",
    ),
    "SECRET_HOSTS": (
        lambda: read({**GOOD, "names": ["b.test"]}),
        "record 'a': Secret gateways/cert: its certificate is for b.test, and not for a.test."
        " Have a certificate made that holds for these names, or mend the record's hosts.",
    ),
    "SECRET_INVALID": (
        lambda: read({**GOOD, "wrong": "it has no tls.key"}),
        "record 'a': Secret gateways/cert cannot serve as certificate: it has no tls.key."
        " Istio would leave the port without a certificate, and close every connection. Put the right certificate, key"
        " or authority there.",
    ),
    "SECRET_MISSING": (
        lambda: read(None),
        "record 'a': there is no Secret gateways/cert, which the certificate is to come from."
        " Create it in the gateway's own namespace: Istio reads it nowhere else.",
    ),
    "SECRET_UNSEEN": (
        lambda: read({"unseen": True}),
        "record 'a': there is no right to read Secret gateways/cert, so whether its certificate is right, and when it"
        " ends, is not known."
        " Grant 'get' on Secrets in the gateway's namespace (docs/rbac.yaml), or look at it yourself.",
    ),
    "SNI_OVERLAP": (
        lambda: mapped(named("a", "x.test.com", **ENDING), named("b", "*.test.com", **ENDING)),
        "record 'a': 'x.test.com' on port 8443 of gateway edge overlaps with '*.test.com' of record 'b', and both end"
        " TLS."
        " Istio chooses the backend of a name that two rules fit by their age, so one of the two would lead astray. Use"
        " names that do not overlap, or another port.",
    ),
    "SNI_STARTTLS": (
        lambda: mapped(named("a", "a.test", backend={**BACKEND, "port": 5432})),
        "record 'a': a client of PostgreSQL (backend port 5432) begins in plain words and asks for TLS later, so it"
        " brings no name by which the gateway could tell whom it wants."
        " Publish it with protocol tcp on a port of its own; or use its port that speaks TLS at once; or let the"
        " gateway end TLS (tls.mode terminate) for clients behind stunnel. Where this backend does take TLS at once,"
        " say so with probe.mode tls, which tries it.",
    ),
    "SNI_TAKEN": (
        lambda: mapped(named("a", "a.test"), named("b", "a.test")),
        "record 'b': the name 'a.test' on port 8443 of gateway edge meets 'a.test', which record 'a' of the same set"
        " has."
        " Choose another name or another port, or let the holder give it up: on one port a name leads to one backend.",
    ),
}
