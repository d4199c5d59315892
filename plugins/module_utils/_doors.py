# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Doors of a record beside the mesh's gateway: what each can do, and how a record with one is read.

Such a door is a Service of our own in the backend's namespace that selects the backend's pods, one for each record; or
a Route of OpenShift that passes TLS on to the backend's own Service. So nothing that the gateway's proxy does for a
port is there, and whatever a record asks of it is refused.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._ranges import read_ports
from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import (
    Problems,
    check_keys,
    read_annotations,
    read_choice,
    read_dict,
    read_strings,
    words,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls import MODES, PASSTHROUGH, read_tls

GATEWAY, NODE_PORT, EXTERNAL_IP, LOAD_BALANCER = "gateway", "node_port", "external_ip", "load_balancer"
ROUTE = "route"
# Where OpenShift's routers listen for TLS.
ROUTE_PORT = 443
# The type of the Service that each door is.
SERVICE_TYPES: Mapping[str, str] = {
    NODE_PORT: "NodePort",
    EXTERNAL_IP: "ClusterIP",
    LOAD_BALANCER: "LoadBalancer",
}
DOORS = (GATEWAY, *SERVICE_TYPES, ROUTE)
# Doors of the design that nobody can choose yet.
PLANNED_DOORS = ("mesh",)

# What a record may say beside these is for a gateway's proxy to do. A list of what is good, so that a key that comes to
# gateways later is refused here until somebody has thought of it.
COMMON_KEYS = words("name door port backend protocol probe service")
DOOR_KEYS: Mapping[str, frozenset[str]] = {
    NODE_PORT: COMMON_KEYS | words("node_port"),
    EXTERNAL_IP: COMMON_KEYS,
    LOAD_BALANCER: COMMON_KEYS | words("node_port"),
    ROUTE: words("name door backend protocol probe hosts tls"),
}
SERVICE_KEYS = words("annotations class external_ips external_traffic_policy source_ranges scope address")
SERVICE_BUILT = SERVICE_KEYS - words("scope address")
DOOR_SERVICE_KEYS: Mapping[str, frozenset[str]] = {
    NODE_PORT: words("annotations external_traffic_policy"),
    EXTERNAL_IP: words("annotations external_ips external_traffic_policy"),
    LOAD_BALANCER: words("annotations class external_traffic_policy source_ranges"),
}
# Why a door cannot do what a key asks for; the others are the proxy's.
WHY: Mapping[str, str] = {
    "adopt": "what was made by hand is taken over on gateways only",
    "backends": "it selects the pods of one Service, and weights and subsets are the gateway's",
    "gateway": "it leads past every gateway",
    "fix_protocol": "no mesh is on the way that would look into what is sent",
    "host": "it leads to pods of this cluster",
    "hosts": "it leads by address and port, and the name that a client asks for is not read",
    "node_port": "clients come to an address of their own",
    "port": "the router listens for all Routes on the same port",
    "service": "it leads to the backend's own Service",
    "target_port": "it leads to the pods' own port, which the backend Service names",
    "tls": "nobody on the way ends TLS; a backend that does is reached with protocol tcp",
    "was": "its Service goes by the record's name, so that a renamed record is another door",
}
PROXY_WHY = "it is the gateway's proxy that does this"
PROTOCOL_WHY = "it carries bytes as they are, with TLS in them or not; say tcp"
UDP_WHY = "the collection has no proof for UDP, and publishes nothing that it cannot prove"
ROUTE_WHY = "the router passes on TLS only, by the name that the client asks for; say tls"
ENDED_WHY = "the router leads to the backend's own TLS; to have a gateway end it, publish the record there"
WILD_WHY = "a Route is for one whole name"
AUTO_WHY = "'auto' is a port of a gateway's pool; without 'port' the door has the backend's own"
CLUSTER_WHY = "the pod from which is proven is made beside a gateway"


def is_door(item: Mapping[str, Any]) -> bool:
    """Tell whether an entry of the port map, or a listener, is reached past the gateway."""
    return item.get("door", GATEWAY) != GATEWAY


def read_door(problems: Problems, raw: Mapping[str, Any]) -> str | None:
    """Read by which door a record is reached; V(None) where that is not known, and with it what the rest means."""
    door = raw.get("door", GATEWAY)
    if door in PLANNED_DOORS:
        problems.add("KEY_NOT_BUILT", key=f"door: {door}")
        return None
    read_choice(problems, "door", door, DOORS)
    return door if door in DOORS else None


def narrow(problems: Problems, door: str, raw: Mapping[str, Any], built: Collection[str]) -> dict[str, Any]:
    """Return what of a record is for its door, with a finding for each key that is built and not for it."""
    for key in raw:
        if key in built and key not in DOOR_KEYS[door]:
            cannot(problems, door, key, WHY.get(key, PROXY_WHY))
    own = "tls" if door == ROUTE else "tcp"
    protocol = raw.get("protocol", own)
    if protocol != own:
        why = ROUTE_WHY if door == ROUTE else PROTOCOL_WHY
        cannot(problems, door, f"protocol: {protocol}", UDP_WHY if protocol == "udp" else why)
    probe = raw.get("probe")
    if isinstance(probe, Mapping) and probe.get("from") == "cluster":
        cannot(problems, door, "probe.from: cluster", CLUSTER_WHY)
    return {key: raw[key] for key in raw if key in DOOR_KEYS[door] and key != "protocol"}


def cannot(problems: Problems, door: str, key: str, why: str) -> None:
    """Say what a door cannot do."""
    problems.add("DOOR_CANNOT", door=door, key=key, why=why)


def check_proof(problems: Problems, door: str, mode: str) -> None:
    """Refuse a silent proof: whoever accepts a session in front of a backend need not be the backend."""
    if mode == "connect":
        problems.add("DOOR_SILENT", door=door)


def read_door_tls(problems: Problems, door: str, raw: Mapping[str, Any]) -> dict[str, Any] | None:
    """Read the name that a Route is for; V(None) for every other door."""
    if door != ROUTE:
        return None
    tls = read_tls(problems, raw, "tls")
    if tls and tls["mode"] in MODES and tls["mode"] != PASSTHROUGH:
        cannot(problems, door, f"tls.mode: {tls['mode']}", ENDED_WHY)
    elif tls and (len(tls["hosts"]) > 1 or any(host.startswith("*") for host in tls["hosts"])):
        cannot(problems, door, f"hosts: {', '.join(tls['hosts'])}", WILD_WHY)
    return tls


def read_door_ports(problems: Problems, door: str, raw: Mapping[str, Any]) -> list[int | None]:
    """Read the ports of a door's Service; without any they are the backend's own."""
    if door == ROUTE:
        return [ROUTE_PORT]
    if "port" in raw:
        items = raw["port"] if isinstance(raw["port"], list) else [raw["port"]]
        if "auto" in items:
            cannot(problems, door, "port: auto", AUTO_WHY)
            return []
        return read_ports(problems, "port", raw["port"])
    backend = raw.get("backend")
    if not isinstance(backend, Mapping) or "port" not in backend:
        return []
    # What is wrong with them is said where the backend is read.
    return read_ports(Problems(""), "port", backend.get("port"), repeated=True)


def read_door_service(problems: Problems, door: str, raw: Any) -> dict[str, Any]:
    """Read what kind of Service a door is, beside its type."""
    if door == ROUTE:
        return {}
    service = read_dict(problems, "service", raw)
    check_keys(problems, "service.", service, SERVICE_KEYS, SERVICE_BUILT)
    for key in sorted(set(service) & SERVICE_BUILT - DOOR_SERVICE_KEYS[door]):
        cannot(problems, door, f"service.{key}", f"a Service of type {SERVICE_TYPES[door]} has no use for it here")
    addresses = read_strings(problems, "service.external_ips", service.get("external_ips", []))
    for address in addresses:
        _check_address(problems, address)
    if door == EXTERNAL_IP and not addresses:
        problems.invalid("service.external_ips", addresses, "door external_ip needs the addresses that clients use")
    policy = service.get("external_traffic_policy")
    if policy is not None:
        read_choice(problems, "service.external_traffic_policy", policy, ("Cluster", "Local"))
    return {
        "annotations": read_annotations(problems, "service.annotations", service.get("annotations", {})),
        "class": service.get("class"),
        "source_ranges": read_strings(problems, "service.source_ranges", service.get("source_ranges", [])),
        "external_ips": addresses,
        "external_traffic_policy": policy,
    }


def _check_address(problems: Problems, address: str) -> None:
    """Refuse what is no address that a node could be reached at."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        problems.invalid("service.external_ips", address, "it must be an IP address")
        return
    # kubernetes, pkg/apis/core/validation, ValidateNonSpecialIP.
    if found.is_unspecified or found.is_loopback or found.is_link_local or found.is_multicast:
        problems.invalid("service.external_ips", address, "Kubernetes takes no unspecified, loopback or link-local one")
