# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host names and references of Istio's configuration, as istiod reads them.

Sources are files of istio.io/istio as the lab runs it (v0.0.0-20260827, 1.31-dev).

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any


def overlap(one: str, other: str) -> bool:
    """Tell whether two host names, each with a leading '*' or without, have a name in common.

    C(*.a.b) does not have C(a.b) (pkg/config/host/name.go, Matches).
    """
    if one.startswith("*") and other.startswith("*"):
        short, long = sorted((one, other), key=len)
        return long[1:].endswith(short[1:])
    if one.startswith("*"):
        return other.endswith(one[1:])
    if other.startswith("*"):
        return one.endswith(other[1:])
    return one == other


def full_host(host: str, namespace: str, domain: str) -> str:
    """Complete a host name without a dot with the namespace of the object that it stands in.

    pilot/pkg/model/config.go, ResolveShortnameToFQDN; an address or a name with a dot stays.
    """
    if not host or host == "*" or "." in host or is_address(host):
        return host
    return f"{host}.{namespace}.svc.{domain}"


def is_address(host: str) -> bool:
    """Tell whether a host is written as an IP address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def full_gateway(name: str, namespace: str) -> str:
    """Return C(namespace/name) of a Gateway that a VirtualService names; C(mesh) stays.

    Short names and C(./name) are of the same namespace; C(name.namespace.svc...) is an old way of writing
    (pilot/pkg/model/config.go, resolveGatewayName).
    """
    if name == "mesh":
        return name
    if "/" in name:
        before, _slash, after = name.partition("/")
        return f"{namespace}/{after}" if before == "." else name
    if "." in name:
        parts = name.split(".")
        return f"{parts[1]}/{parts[0]}"
    return f"{namespace}/{name}"


def server_hosts(hosts: Iterable[str], namespace: str) -> list[str]:
    """Return a server's hosts with C(./) and C(*/) resolved (pilot/pkg/model/gateway.go, sanitizeServerHostNamespace).

    C(*/*) makes the server one for every host.
    """
    result = []
    for host in hosts:
        before, slash, after = host.partition("/")
        if not slash:
            result.append(host)
        elif before == ".":
            result.append(f"{namespace}/{after}")
        elif before != "*":
            result.append(host)
        elif after == "*":
            return ["*"]
        else:
            result.append(after)
    return result


def sni_hosts(hosts: Iterable[str]) -> list[str]:
    """Return the names that a TLS server's filter chain matches: its hosts without their namespaces, each once.

    pilot/pkg/model/gateway.go, GetSNIHostsForServer.
    """
    return sorted({host.rpartition("/")[2] for host in hosts})


def may_bind(host: str, namespace: str) -> bool:
    """Tell whether a server's host, C(host) or C(namespace/host), lets VirtualServices of a namespace bind.

    pilot/pkg/networking/core/gateway.go, pickMatchingGatewayHosts.
    """
    before, slash, _after = host.partition("/")
    return not slash or before == namespace


def hosts_match(servers: Iterable[str], virtual: Iterable[str], namespace: str) -> bool:
    """Tell whether any host of a VirtualService of a namespace is one of a server's.

    pilot/pkg/networking/core/gateway.go, pickMatchingGatewayHosts.
    """
    open_to = [host.rpartition("/")[2] for host in servers if may_bind(host, namespace)]
    return any(overlap(host, wanted) for wanted in virtual for host in open_to)


def age_key(item: Mapping[str, Any]) -> tuple[str, str, str]:
    """Sort oldest first; creation times have seconds only, so ties go by name, then namespace.

    pilot/pkg/model/config.go, configCompareByCreationTime.
    """
    return (item["created"], item["name"], item["namespace"])
