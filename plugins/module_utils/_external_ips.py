# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenShift's policy on external IPs: which may be used (Network.config.openshift.io, spec.externalIP.policy).

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any


def against(address: str, policy: Mapping[str, Any]) -> str:
    """Say which part of a policy an address is against, '' where none; what is rejected counts before what is allowed.

    OpenShift, "Configuring ExternalIPs for services": with allowedCIDRs only what lies in them.
    """
    rejected, allowed = policy.get("rejectedCIDRs") or [], policy.get("allowedCIDRs") or []
    within = _within(address, rejected)
    if within:
        return f"it lies in {within}, which rejectedCIDRs has"
    if allowed and not _within(address, allowed):
        return f"it lies in none of allowedCIDRs ({', '.join(allowed)})"
    return ""


def _within(address: str, ranges: Iterable[str]) -> str:
    """Return the first of the ranges that an address lies in; one with host bits set is taken as OpenShift takes it."""
    found = ipaddress.ip_address(address)
    for item in ranges:
        network = ipaddress.ip_network(item, strict=False)
        if found.version == network.version and found in network:
            return item
    return ""
