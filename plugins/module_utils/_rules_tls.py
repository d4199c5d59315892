# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about TLS: names that clients ask for, and the Secrets with their certificates.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.servicemesh.tcp.plugins.module_utils._rule import Rule

RULES: Mapping[str, Rule] = {
    "SECRET_ENDS": Rule(
        "warning",
        "Secret {secret}: its certificate ends on {end}, in {days} days.",
        "Renew it before. Istio takes a new certificate from the Secret without a change here.",
    ),
    "SECRET_HOSTS": Rule(
        "error",
        "Secret {secret}: its certificate is for {names}, and not for {hosts}.",
        "Have a certificate made that holds for these names, or mend the record's hosts.",
    ),
    "SECRET_INVALID": Rule(
        "error",
        "Secret {secret} cannot serve as {role}: {why}.",
        "Istio would leave the port without a certificate, and close every connection. Put the right certificate, key"
        " or authority there.",
    ),
    "SECRET_MISSING": Rule(
        "error",
        "there is no Secret {secret}, which {role} is to come from.",
        "Create it in the gateway's own namespace: Istio reads it nowhere else.",
    ),
    "SECRET_UNSEEN": Rule(
        "warning",
        "there is no right to read Secret {secret}, so whether its certificate is right, and when it ends, is not"
        " known.",
        "Grant 'get' on Secrets in the gateway's namespace (docs/rbac.yaml), or look at it yourself.",
    ),
    "SNI_OVERLAP": Rule(
        "error",
        "{name!r} on port {port} of gateway {gateway} overlaps with {other!r} of record {record!r}, and both end TLS.",
        "Istio chooses the backend of a name that two rules fit by their age, so one of the two would lead astray. Use"
        " names that do not overlap, or another port.",
    ),
    "SNI_STARTTLS": Rule(
        "error",
        "a client of {protocol} ({seen}) begins in plain words and asks for TLS later, so it brings no name by which"
        " the gateway could tell whom it wants.",
        "Publish it with protocol tcp on a port of its own; or use its port that speaks TLS at once; or let the gateway"
        " end TLS (tls.mode terminate) for clients behind stunnel. Where this backend does take TLS at once, say so"
        " with probe.mode tls, which tries it.",
    ),
    "SNI_TAKEN": Rule(
        "error",
        "the name {name!r} on port {port} of gateway {gateway} meets {other!r}, which {holder} has.",
        "Choose another name or another port, or let the holder give it up: on one port a name leads to one backend.",
    ),
}
