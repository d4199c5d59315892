# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP records as Istio objects, and back.

All hosts of a port share one server, since Istio merges HTTP servers and tells hosts apart in their routes. The server
names the widest hosts only: beside a narrower one, the rules of a VirtualService for the wider would be put among those
of the narrower (seen on the lab; istio pilot/pkg/networking/core/gateway.go, pickMatchingGatewayHosts). A host has a
VirtualService of its own, with one rule for each record, port and path: the first rule that fits wins, so whole paths
stand before beginnings, and longer beginnings before shorter ones (istio.io, VirtualService). Whose a rule is that is
told by its name.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.servicemesh.tcp.plugins.module_utils._by_name import shared_port_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._http import EXACT
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import (
    LABEL_MAX,
    outbound_cluster,
    set_object_name,
    short_hash,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls import wildcards_of

RULE_NAME = re.compile(r"http-(\d+)-([0-9a-f]{8})")

Listeners = Sequence[Mapping[str, Any]]


def rule_name(port: int, digest: str) -> str:
    """Return the name of a record's rules on a port."""
    return f"{shared_port_name('http', port)}-{digest}"


def host_object_name(gateway: str, set_name: str, host: str) -> str:
    """Return the name of a set's VirtualService for one host."""
    suffix = f"-h-{short_hash(host)}"
    return set_object_name(gateway, set_name)[: LABEL_MAX - len(suffix)].rstrip("-") + suffix


def of_http(listeners: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return those that speak HTTP."""
    return [item for item in listeners if item.get("http")]


def servers(listeners: Listeners) -> list[dict[str, Any]]:
    """Return the servers of HTTP listeners, one for each port; only rules of their own namespace bind to them."""
    hosts: dict[int, set[str]] = defaultdict(set)
    for item in of_http(listeners):
        hosts[item["port"]].update(item["http"]["hosts"])
    return [
        {
            "port": {"number": port, "name": shared_port_name("http", port), "protocol": "HTTP"},
            "hosts": [f"./{host}" for host in sorted(found) if not found & {*wildcards_of(host)}],
        }
        for port, found in hosts.items()
    ]


def rules_by_host(listeners: Listeners, route_of: Any) -> dict[str, list[dict[str, Any]]]:
    """Return the rules of each host in the order in which they are tried; C(route_of) writes a destination."""
    found: dict[str, list[tuple[Any, dict[str, Any]]]] = defaultdict(list)
    for item in of_http(listeners):
        name, route = rule_name(item["port"], item["hash"]), route_of(item)
        for path in item["http"]["paths"]:
            ((kind, text),) = path.items()
            rule = {"name": name, "match": [{"port": item["port"], "uri": dict(path)}], "route": route}
            for host in item["http"]["hosts"]:
                found[host].append(((item["port"], kind != EXACT, -len(text), text, item["hash"]), rule))
    return {
        host: [rule for _key, rule in sorted(rules, key=lambda one: one[0])] for host, rules in sorted(found.items())
    }


def project(rules: Iterable[Mapping[str, Any]], destinations_of: Any) -> list[dict[str, Any]]:
    """Project the HTTP rules that this collection writes: C({name, ports, paths, destinations}) each."""
    return [
        {
            "name": rule.get("name", ""),
            "ports": [match["port"] for match in rule.get("match") or [] if match.get("port")],
            "paths": [match["uri"] for match in rule.get("match") or [] if match.get("uri")],
            "destinations": destinations_of(rule),
        }
        for rule in rules
    ]


def observed(virtual_services: Iterable[Mapping[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    """Read records back from a set's projected VirtualServices by port: C({hash, http, destinations}) each."""
    found: dict[int, dict[str, dict[str, Any]]] = defaultdict(dict)
    for item in virtual_services:
        for rule in item.get("routes") or ():
            match = RULE_NAME.fullmatch(rule["name"])
            if match is None:
                continue
            port, digest = int(match.group(1)), match.group(2)
            new = {"hash": digest, "http": {"hosts": [], "paths": []}, "destinations": rule["destinations"]}
            http = found[port].setdefault(digest, new)["http"]
            for key, values in (("hosts", item["hosts"]), ("paths", rule["paths"])):
                http[key] += [value for value in values if value not in http[key]]
    return {port: list(records.values()) for port, records in found.items()}


class Followed(NamedTuple):
    """What rules of this collection make of an HTTP listener."""

    virtual_services: Sequence[str] = ()
    # Envoy's clusters.
    clusters: Sequence[str] = ()
    # Whether all hosts of the listener are such rules' own.
    whole: bool = False


def followed(chain: Mapping[str, Any], virtual_services: Iterable[Mapping[str, Any]]) -> Followed:
    """Follow an HTTP row of the listener table (_istio.listener_tables) through the rules of this collection."""
    names, clusters, hosts = [], [], set()
    for item in virtual_services:
        rules = [rule for rule in item.get("routes") or () if chain["number"] in rule["ports"]]
        mine = {f"{item['namespace']}/{name}" for host in item["hosts"] for name in [host, *wildcards_of(host)]} & {
            *chain["hosts"]
        }
        if mine and rules:
            names.append(f"{item['namespace']}/{item['name']}")
            hosts |= mine
            clusters += [
                outbound_cluster(leads["host"], leads["port"], leads["subset"])
                for rule in rules
                for leads in rule["destinations"]
            ]
    return Followed(names, list(dict.fromkeys(clusters)), hosts == {*chain["hosts"]})


def same_http(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Tell whether two have the same hosts and paths."""
    if not one or not other:
        return not one and not other
    return sorted(one["hosts"]) == sorted(other["hosts"]) and _texts(one["paths"]) == _texts(other["paths"])


def _texts(paths: Iterable[Mapping[str, str]]) -> list[tuple[str, str]]:
    """Return paths so that they can be sorted."""
    return sorted(pair for path in paths for pair in path.items())
