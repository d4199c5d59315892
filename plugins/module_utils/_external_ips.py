# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenShift's policy on external IPs: who may use which (Network.config.openshift.io, spec.externalIP.policy).

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._doors import EXTERNAL_IP
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import collection_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._reader import Reader

if TYPE_CHECKING:
    from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api


def read_policy(api: Api, raw_ports: Iterable[Any], state: Mapping[str, Any]) -> dict[str, Any]:
    """Return C({external_ip_policy}) where a record asks for such an address on OpenShift; V(None) where unread."""
    asked = any(isinstance(item, Mapping) and item.get("door") == EXTERNAL_IP for item in raw_ports)
    if not (asked and state["cluster"]["openshift"]):
        return {}
    found = Reader(api, {}).if_allowed(f"{collection_path('Network')}/cluster", api.find) or {}
    return {"external_ip_policy": ((found.get("spec") or {}).get("externalIP") or {}).get("policy")}


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
