# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ServiceEntries: servers outside of the cluster, as hosts that a gateway's routes can lead to.

Each set has one for each such backend of a gateway, with all ports that the set uses of it. Its host is one that nobody
else has: Istio knows a host of two ServiceEntries by the older one only (istio pilot/pkg/model/push_context.go,
initServiceRegistry), and so neither takes anybody else's place, nor does anybody's DestinationRule for the servers'
real name change what this gateway does. The servers' own addresses and names are its endpoints.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._exposure import destinations_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_names import is_address
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import (
    is_ours,
    set_labels,
    set_object_name,
    short_hash,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._of_sets import OfSets
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object

# The end of the hosts of ours; no resolver is ever asked for them.
DOMAIN = ".servicemesh-tcp.external"
# Reserved for ever (RFC 1112), and none that Istio itself gives out (240.240.0.0/16).
VIRTUAL = "241.0.0.0"

Entry = Mapping[str, Any]
Place = tuple[str, str]


def entry_name(gateway: str, set_name: str, external: Iterable[str]) -> str:
    """Return the name of a set's entry for servers outside."""
    return f"{set_object_name(gateway, set_name)}-{short_hash(*external)}"


def external_host(place: Place, set_name: str, external: Iterable[str]) -> str:
    """Return the host by which the gateway at a place (namespace, name) knows servers outside."""
    return f"{entry_name(place[1], set_name, external)}.{place[0]}{DOMAIN}"


def is_external(host: str) -> bool:
    """Tell whether a route's host is one of these."""
    return host.endswith(DOMAIN)


class Entries(OfSets):
    """This collection's ServiceEntries, found by host."""

    def __init__(self, items: Iterable[Entry] | None) -> None:
        """Take projected entries."""
        super().__init__(items)
        ours = [item for item in items or () if is_ours(item["labels"])]
        self._by_host = {host: item for item in ours for host in item["hosts"]}

    def of_host(self, host: str) -> Entry | None:
        """Return the entry of a route's host, V(None) where there is none."""
        return self._by_host.get(host)


def external_hosts(listeners: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the hosts outside that listeners lead to: C({external, ports}) by host.

    C(external) is V(None) where only the cluster knows it, as with what a run keeps that does not declare it.
    """
    found: dict[str, dict[str, Any]] = {}
    for item in listeners:
        for one in destinations_of(item):
            if is_external(one["host"]):
                host = found.setdefault(one["host"], {"external": None, "ports": set()})
                host["external"] = host["external"] or one.get("external")
                host["ports"].add(one["port"])
    return found


def entry_objects(
    place: Place, set_name: str, listeners: Iterable[Mapping[str, Any]], entries: Entries
) -> list[dict[str, Any]]:
    """Return the entries that a set needs on a gateway."""
    objects = []
    for host, wanted in sorted(external_hosts(listeners).items()):
        there = entries.of_host(host)
        external = wanted["external"] or (there["endpoints"] if there else None)
        if external:
            objects.append(_entry(place, set_name, host, external, wanted["ports"]))
    return objects


def _entry(place: Place, set_name: str, host: str, external: Sequence[str], ports: Iterable[int]) -> dict[str, Any]:
    """Return one entry."""
    namespace, gateway = place
    name = entry_name(gateway, set_name, external)
    spec = {
        "hosts": [host],
        # Without one, sidecars in this namespace would take all their traffic to these ports there.
        "addresses": [str(ipaddress.IPv4Address(VIRTUAL) + int(short_hash(host)[:6], 16))],
        "exportTo": ["."],
        "location": "MESH_EXTERNAL",
        "resolution": "STATIC" if all(map(is_address, external)) else "DNS",
        "ports": [{"number": port, "name": f"tcp-{port}", "protocol": "TCP"} for port in sorted(ports)],
        "endpoints": [{"address": address} for address in external],
    }
    return new_object("ServiceEntry", name, namespace, set_labels(gateway, set_name), spec=spec)


def with_former_ports(obj: Mapping[str, Any], observed: Iterable[Entry]) -> dict[str, Any]:
    """Return an entry that also has the ports that it has now: routes lead to them until they are written anew."""
    spec = obj["spec"]
    ports = {port["number"]: port for port in spec["ports"]}
    for item in observed:
        if item["name"] == obj["metadata"]["name"]:
            ports |= {
                number: {"number": number, "name": f"tcp-{number}", "protocol": "TCP"}
                for number in item["ports"]
                if number not in ports
            }
    return {**obj, "spec": {**spec, "ports": [ports[number] for number in sorted(ports)]}}
