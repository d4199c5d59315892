# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the doors beside the gateway: entries of the port map, what a set has of them, and the steps that write them.

An entry's C(gateway) is the name of the door's Service, so that each port of each door has a place of its own
(C(port_place)); C(door) tells it from a gateway's.

No Lease is taken for a door: a record's Service is written by its own set only, and it is the API server that gives a
node port to one Service.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._backends import backend_mapping
from ansible_collections.servicemesh.tcp.plugins.module_utils._doors import (
    EXTERNAL_IP,
    LOAD_BALANCER,
    NODE_PORT,
    ROUTE,
    ROUTE_PORT,
    SERVICE_TYPES,
    is_door,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._exposure import service_port
from ansible_collections.servicemesh.tcp.plugins.module_utils._external_ips import against
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import (
    BACKEND_LABEL,
    COLLECTION,
    DOOR_LABEL,
    MANAGED_BY_LABEL,
    RECORD_LABEL,
    SET_LABEL,
    SOURCE_ANNOTATION,
    door_name,
    host_of,
    is_of_set,
    port_name,
    record_hash,
    set_manager,
    short_hash,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._records import entries
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import Step, apply_step, remove_step
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import bare_object, new_object, service_fields

Place = tuple[str, str]


def door_ports(
    records: Iterable[Mapping[str, Any]], view: View | None, set_name: str, cluster_domain: str
) -> list[dict[str, Any]]:
    """Return the entries of the port map for records that are reached past the gateway."""
    return [
        _mapping(entry, view, set_name, cluster_domain)
        for record in sorted(records, key=lambda item: item["name"])
        for entry in entries(record)
    ]


def _mapping(entry: Mapping[str, Any], view: View | None, set_name: str, cluster_domain: str) -> dict[str, Any]:
    """Return the entry of the port map for one port of a door."""
    backend = entry["backend"]
    behind = view.services.get((backend["namespace"], backend["service"])) if view else None
    port = next((item for item in behind["ports"] if item["port"] == backend["port"]), None) if behind else None
    name = door_name(backend["service"], set_name, entry["name"], entry["door"])
    return {
        "name": entry["name"],
        "was": None,
        "set": set_name,
        "hash": short_hash(set_name, entry["name"]),
        "gateway": name,
        "door": entry["door"],
        "namespace": backend["namespace"],
        "service": name,
        "port": entry["port"],
        "target_port": _target(entry["door"], port or {}, backend["port"]),
        "node_port": entry["node_port"],
        "port_name": port_name(entry["port"], set_name, entry["name"]),
        "protocol": entry["protocol"],
        "tls": entry["tls"],
        # Where clients come to a Route is known before it is there.
        **({"addresses": list(entry["tls"]["hosts"])} if entry["door"] == ROUTE else {}),
        **backend_mapping(entry, cluster_domain),
        "probe": entry["probe"],
        "options": entry["service"],
        "selector": dict((behind or {}).get("selector") or {}),
        "adopts": None,
        "lent": False,
    }


def _target(door: str, port: Mapping[str, Any], number: int) -> int | str | None:
    """Return where a door leads; only a Service that is still to be made (check mode) says nothing of its pods' ports.

    A router looks in the endpoints: for the name of the Service's port, or for the number that the pods listen on. A
    port without a name is its Service's only one, so that none has to be said (OpenShift's API, RoutePort).
    """
    target = port.get("target_port")
    if door != ROUTE:
        return target or number
    return port.get("name") or (target if isinstance(target, int) else None)


def route(port: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return the Route of one record, which passes TLS on to the backend's own Service."""
    labels = {**_labels(port), RECORD_LABEL: port["hash"]}
    spec = {
        "host": port["tls"]["hosts"][0],
        "to": {"kind": "Service", "name": port["backend"]["service"], "weight": 100},
        **({"port": {"targetPort": port["target_port"]}} if port["target_port"] else {}),
        "tls": {"termination": "passthrough", "insecureEdgeTerminationPolicy": "None"},
        "wildcardPolicy": "None",
    }
    made = new_object("Route", port["service"], port["namespace"], labels, spec=spec)
    made["metadata"]["annotations"] = {SOURCE_ANNOTATION: source}
    return made


def _labels(port: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels of what a record's door is made of."""
    return {
        MANAGED_BY_LABEL: COLLECTION,
        SET_LABEL: port["set"],
        DOOR_LABEL: port["door"],
        BACKEND_LABEL: port["backend"]["service"],
    }


def door_service(ports: Sequence[Mapping[str, Any]], source: str) -> dict[str, Any]:
    """Return the Service of one record's door; the first port says what all have in common."""
    first = ports[0]
    wanted = first["options"]
    spec: dict[str, Any] = {
        "type": SERVICE_TYPES[first["door"]],
        "selector": first["selector"],
        "ports": [service_port(port) for port in ports],
    }
    spec |= service_fields(wanted)
    service = new_object("Service", first["service"], first["namespace"], _labels(first), spec=spec)
    service["metadata"]["annotations"] = {**wanted["annotations"], SOURCE_ANNOTATION: source}
    return service


def services_of_set(view: View, set_name: str) -> list[Mapping[str, Any]]:
    """Return the Services that are doors of a set."""
    doors = (item for item in view.services.values() if DOOR_LABEL in item["labels"])
    return [item for item in doors if is_of_set(item["labels"], set_name)]


def routes_of_set(view: View, set_name: str) -> list[Mapping[str, Any]]:
    """Return the Routes that are doors of a set."""
    return [item for item in view.state.get("routes") or () if is_of_set(item["labels"], set_name)]


def door_listeners(view: View, set_name: str) -> list[dict[str, Any]]:
    """Return what a set has of doors on the cluster, as listeners, in the order of their places."""
    found = []
    for service in services_of_set(view, set_name):
        behind = view.services.get((service["namespace"], service["labels"].get(BACKEND_LABEL, "")), {"ports": ()})
        ports = {item["target_port"]: item["port"] for item in reversed(behind["ports"])}
        for port in service["ports"]:
            found.append(
                {
                    "gateway": service["name"],
                    "door": service["labels"][DOOR_LABEL],
                    "namespace": service["namespace"],
                    "service": service["name"],
                    "port": port["port"],
                    "port_name": port["name"],
                    "hash": record_hash(port["name"]),
                    "target_port": port["target_port"],
                    "node_port": port["node_port"],
                    # Of the host only Service and namespace are read, so that no domain has to be known.
                    "host": host_of(service["labels"].get(BACKEND_LABEL, ""), service["namespace"], ""),
                    "backend_port": ports.get(port["target_port"], port["port"]),
                }
            )
    found += [_route_listener(item, view) for item in routes_of_set(view, set_name)]
    return sorted(found, key=lambda item: (item["namespace"], item["service"], item["port"]))


def all_listeners(view: View, set_name: str) -> list[dict[str, Any]]:
    """Return all that a set has on the cluster: what it has on gateways, and its doors past them."""
    return [*view.listeners(set_name), *door_listeners(view, set_name)]


def _route_listener(item: Mapping[str, Any], view: View) -> dict[str, Any]:
    """Return a Route of a set as a listener."""
    behind = view.services.get((item["namespace"], item["service"]), {"ports": ()})
    port = next((one for one in behind["ports"] if item["target_port"] in (one["name"], one["target_port"])), None)
    port = port or next(iter(behind["ports"]), {"port": ROUTE_PORT})
    return {
        "gateway": item["name"],
        "door": ROUTE,
        "namespace": item["namespace"],
        "service": item["name"],
        "port": ROUTE_PORT,
        "port_name": "",
        "hash": item["labels"].get(RECORD_LABEL),
        "target_port": item["target_port"],
        "node_port": None,
        "addresses": [item["host"]],
        "tls": {"mode": "passthrough", "hosts": [item["host"]], "secret": None, "ca": None, "min_version": None},
        "host": host_of(item["service"], item["namespace"], ""),
        "backend_port": port["port"],
    }


def door_steps(
    ports: Sequence[Mapping[str, Any]],
    kept: Iterable[Mapping[str, Any]],
    view: View,
    set_name: str,
    source: str,
) -> tuple[list[Step], list[Step]]:
    """Return the steps that open a set's doors as C(ports) say, and those that take all others away but C(kept) ones.

    A record whose door changes is reached by the new one before the old one goes.
    """
    groups: dict[Place, list[Mapping[str, Any]]] = defaultdict(list)
    for port in ports:
        groups[(port["namespace"], port["service"])].append(port)
    stays = {*groups, *((item["namespace"], item["service"]) for item in kept)}
    manager = set_manager(set_name)
    opening = [
        apply_step(route(group[0], source), manager, wait=True)
        if group[0]["door"] == ROUTE
        else apply_step(door_service(group, source), manager, wait=group[0]["door"] == LOAD_BALANCER)
        for _place, group in sorted(groups.items())
    ]
    closing = [
        remove_step(bare_object("Service", item["name"], item["namespace"]), wait=item["type"] == "LoadBalancer")
        for item in sorted(services_of_set(view, set_name), key=lambda item: (item["namespace"], item["name"]))
        if (item["namespace"], item["name"]) not in stays
    ]
    closing += [
        remove_step(bare_object("Route", item["name"], item["namespace"]))
        for item in routes_of_set(view, set_name)
        if (item["namespace"], item["name"]) not in stays
    ]
    return opening, closing


def check_doors(
    ports: Sequence[Mapping[str, Any]],
    gateways: Iterable[Mapping[str, Any]],
    published: Iterable[Mapping[str, Any]],
    view: View,
) -> list[dict[str, str]]:
    """Hold doors against the cluster; C(published) are the run's ports on C(gateways)."""
    if not ports:
        return []
    findings = []
    records = {port["name"]: port for port in ports}
    hosts: dict[str, str] = {}
    for name, port in records.items():
        host = port["tls"]["hosts"][0] if port["door"] == ROUTE else ""
        first = hosts.setdefault(host, name)
        if host and first != name:
            findings.append(finding("ROUTE_HOST_TAKEN", f"record {name!r}", host=host, holder=f"record {first!r}"))
    for name, port in records.items():
        backend = port["backend"]
        service = view.services.get((backend["namespace"], backend["service"]))
        if port["door"] == ROUTE:
            findings += _check_route(port, view)
            continue
        # A Service that is still to be made has no selector to show yet.
        if service is not None and "selector" in service and not service["selector"]:
            kind = "ExternalName" if service["external_name"] else "its endpoints are kept by somebody else"
            findings.append(
                finding(
                    "DOOR_NO_SELECTOR",
                    f"record {name!r}",
                    service=f"{backend['namespace']}/{backend['service']}",
                    kind=kind,
                )
            )
        addresses = port["options"]["external_ips"]
        if addresses:
            one = len(addresses) == 1
            findings.append(
                finding(
                    "EXTERNAL_IP_ALONE",
                    f"record {name!r}",
                    addresses=f"external IP{'' if one else 's'} {', '.join(addresses)}",
                    reaches="reaches" if one else "reach",
                    them="it" if one else "them",
                )
            )
    by_service = [port for port in ports if port["door"] != ROUTE]
    asked = {port["name"]: port for port in by_service}.values()
    return findings + _address_clashes(by_service, gateways, published, view) + _against_policy(asked, view)


def _check_route(port: Mapping[str, Any], view: View) -> list[dict[str, str]]:
    """Check that there are Routes, and that no other one has the name: of two, routers serve the older."""
    subject = f"record {port['name']!r}"
    if view.state.get("routes") is None:
        why = (
            "there is no right to list Routes (docs/rbac.yaml, servicemesh-tcp-doors)"
            if view.state["cluster"]["openshift"]
            else "the API server does not know route.openshift.io/v1"
        )
        return [finding("ROUTE_UNAVAILABLE", subject, why=why)]
    host = port["tls"]["hosts"][0]
    place = (port["namespace"], port["service"])
    return [
        finding("ROUTE_HOST_TAKEN", subject, host=host, holder=f"Route {item['namespace']}/{item['name']}")
        for item in view.state.get("route_hosts") or ()
        if item["host"] == host and (item["namespace"], item["name"]) != place
    ]


def _address_clashes(
    ports: Iterable[Mapping[str, Any]],
    gateways: Iterable[Mapping[str, Any]],
    published: Iterable[Mapping[str, Any]],
    view: View,
) -> list[dict[str, str]]:
    """Find external IPs whose port somebody else has: another Service, or another record of the run."""
    held: dict[tuple[str, int], tuple[Place, str]] = {}
    for service in view.services.values():
        place = (service["namespace"], service["name"])
        for address in (*service.get("external_ips", ()), *service.get("addresses", ())):
            for item in service["ports"]:
                if item["protocol"] == "TCP":
                    held.setdefault((address, item["port"]), (place, f"Service {place[0]}/{place[1]}"))
    shared = {gateway["name"]: gateway["service"]["external_ips"] for gateway in gateways}
    for port in published:
        for address in shared.get(port["gateway"], ()):
            place = (port["namespace"], port["service"])
            held.setdefault((address, port["port"]), (place, f"record {port['name']!r} of the same set"))
    findings = []
    for port in ports:
        place = (port["namespace"], port["service"])
        for address in port["options"]["external_ips"]:
            holder = held.setdefault((address, port["port"]), (place, f"record {port['name']!r} of the same set"))
            if holder[0] != place:
                findings.append(
                    finding(
                        "EXTERNAL_IP_TAKEN",
                        f"record {port['name']!r}",
                        port=port["port"],
                        address=address,
                        holder=holder[1],
                    )
                )
    return findings


def _against_policy(records: Iterable[Mapping[str, Any]], view: View) -> list[dict[str, str]]:
    """Find external IPs that OpenShift's policy does not allow, where it was read.

    Without ranges to hold them against, whether they are allowed differs between versions (their own documentation
    says both), and the API server's dry run tells.
    """
    policy = view.state.get("external_ip_policy") or {}
    return [
        finding("EXTERNAL_IP_POLICY", f"record {port['name']!r}", address=address, why=why)
        for port in records
        for address in port["options"]["external_ips"]
        if (why := against(address, policy))
    ]


def closed_at(item: Mapping[str, Any], view: View) -> dict[str, Any]:
    """Return by which door, and at which addresses, a listener that goes was reached: its Service cannot tell then."""
    if not is_door(item):
        return {}
    service = view.services.get((item["namespace"], item["service"]), {})
    if item["door"] == ROUTE:
        addresses = item["addresses"]
    elif item["door"] == NODE_PORT:
        addresses = [address for node in view.state["nodes"] for address in node["addresses"]]
    elif item["door"] == EXTERNAL_IP:
        addresses = service.get("external_ips", [])
    else:
        addresses = service.get("addresses", [])
    return {"door": item["door"], "addresses": list(addresses)}
