# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what a record says of HTTP: the hosts and paths that it has on its port.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import Problems
from ansible_collections.servicemesh.tcp.plugins.module_utils._texts import host_port
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls import ANY, HOST, name_to_ask_for

# How a path is compared: as a whole, or its beginning as text (istio.io, VirtualService, StringMatch).
EXACT, PREFIX = "exact", "prefix"
# A request target's path without its query (RFC 9112, 3.2.1).
PATH = re.compile(r"/[!$-;=@-~]*")


def read_http(problems: Problems, raw: Mapping[str, Any], protocol: str) -> dict[str, Any] | None:
    """Read C(hosts) and C(paths) of a record: C({hosts, paths}), V(None) where it does not speak HTTP."""
    if protocol != "http":
        if "paths" in raw and protocol in ("tcp", "tls"):
            problems.invalid("paths", raw["paths"], "it needs protocol: http")
        return None
    if "tls" in raw:
        problems.add("KEY_NOT_BUILT", key="tls with protocol: http")
    if raw.get("port") == "auto" or (isinstance(raw.get("port"), list) and "auto" in raw["port"]):
        problems.invalid("port", raw["port"], "records share a port of HTTP by their hosts, so each has to say which")
    return {"hosts": _hosts(problems, raw.get("hosts", [ANY])), "paths": _paths(problems, raw.get("paths", ["/"]))}


def _hosts(problems: Problems, value: Any) -> list[str]:
    """Read the hosts; '*' takes every host that nobody else has."""
    hosts = [value] if isinstance(value, str) else value
    if not isinstance(hosts, list) or not hosts:
        problems.invalid("hosts", value, "give at least one host, or leave it out for every host")
        return []
    for host in hosts:
        if host != ANY and not (isinstance(host, str) and HOST.fullmatch(host) and len(host) <= 253):
            rule = "it must be '*', or a host name of two labels or more in lower case, such as shop.example.com"
            problems.invalid("hosts", host, rule)
    return list(dict.fromkeys(host for host in hosts if isinstance(host, str)))


def _paths(problems: Problems, value: Any) -> list[dict[str, str]]:
    """Read the paths, each C({exact: text}) or C({prefix: text}); a text alone is a prefix."""
    paths = [value] if isinstance(value, (str, Mapping)) else value
    if not isinstance(paths, list) or not paths:
        problems.invalid("paths", value, "give at least one path, or leave it out for every path")
        return []
    found: list[dict[str, str]] = []
    for item in paths:
        path = {PREFIX: item} if isinstance(item, str) else item
        if not isinstance(path, Mapping) or len(path) != 1 or not {*path} <= {EXACT, PREFIX}:
            problems.invalid("paths", item, "a path is a text, or one of {exact: text} and {prefix: text}")
            continue
        ((kind, text),) = path.items()
        if not isinstance(text, str) or not PATH.fullmatch(text):
            problems.invalid("paths", item, "a path begins with '/', and has no query, fragment or blank")
        elif {kind: text} not in found:
            found.append({kind: text})
    return found


def host_to_ask_for(http: Mapping[str, Any]) -> str:
    """Return a host that the record has, '' where any is."""
    return name_to_ask_for(http["hosts"])


def path_to_ask_for(http: Mapping[str, Any]) -> str:
    """Return a path that the record has: the first."""
    return next((text for path in http["paths"] for text in path.values()), "/")


def probe_with_http(raw: Any, http: Mapping[str, Any] | None) -> Any:
    """Add to a record's probe what its HTTP makes of it: a request for its first host and path."""
    if http is None or not isinstance(raw, Mapping) or raw.get("mode", "http") != "http":
        return raw
    host = host_to_ask_for(http)
    return {"mode": "http", "path": path_to_ask_for(http), **({"host": host} if host else {}), **raw}


def check_request(problems: Problems, http: Mapping[str, Any] | None, mode: str) -> None:
    """Refuse proofs that say no request: the gateway asks its backend nothing before it has one."""
    if http is not None and mode not in ("http", "none"):
        problems.invalid("probe.mode", mode, "with protocol http the proof is a request; use http or none")


def client_of(port: Mapping[str, Any], addresses: Sequence[str], number: int) -> dict[str, str] | None:
    """Return the command of a client for an HTTP port, V(None) for others and while there is no address."""
    http = port.get("http")
    if not http or not addresses:
        return None
    host, there = host_to_ask_for(http), host_port(addresses[0], number)
    via = f"--connect-to {host}:{number}:{there} " if host else ""
    return {"curl": f"curl {via}http://{f'{host}:{number}' if host else there}{path_to_ask_for(http)}"}


def routes_text(http: Mapping[str, Any]) -> str:
    """Write what a record has: C(shop.example.com/api, shop.example.com=/login); '=' marks a whole path."""
    return ", ".join(
        f"{host}{'=' if kind == EXACT else ''}{text}"
        for host in http["hosts"]
        for path in http["paths"]
        for kind, text in path.items()
    )
