# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every door of a cluster: Services that open ports, host ports of pods, passthrough Routes, the Gateway API.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_access import is_internal, open_to, source_ranges
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_mesh import Mesh, front_rows, inner_rows
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_owner import owner_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_rows import (
    Backends,
    break_at,
    judge_backends,
    new_row,
    sort_rows,
    unseen,
    youngest,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._destination_rules import rules_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._service_entries import Entries
from ansible_collections.servicemesh.tcp.plugins.module_utils._state import node as project_node

# The label by which implementations mark the Service of a Gateway (GEP-1762).
GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
ROUTE_PORT = 443


def all_rows(read: Mapping[str, Any], mesh: Mesh) -> list[dict[str, Any]]:
    """Return every way in, sorted."""
    state = read["state"]
    entries = Entries(state.get("service_entries", ()))
    found = Backends(state["services"], read["endpoints"], rules_of(state), read["members"], entries)
    by_node = {item["metadata"]["name"]: project_node(item)["addresses"] for item in read["nodes"]}
    nodes = [address for addresses in by_node.values() for address in addresses]
    fronts = _gateway_api_fronts(state["services"])
    rows: list[dict[str, Any]] = []
    reached: dict[str, set[int]] = defaultdict(set)
    for raw, service in zip(read["services"], state["services"], strict=True):
        place = (service["namespace"], service["name"])
        if service["labels"].get(GATEWAY_NAME) and read["listeners"]:
            continue
        door = door_of(service)
        workload = mesh.workload_behind(place)
        if door is None:
            continue
        for port in service["ports"]:
            if port["protocol"] != "TCP":
                continue
            base = _service_base(raw, service, port, door, nodes)
            if workload:
                rows += front_rows(base, service, port, workload, mesh, found)
                for key in mesh.behind[place]:
                    reached[key].add(port["target_port"])
            else:
                rows.append(_plain_row(base, service, port, found))
    rows += inner_rows(mesh, reached, found)
    rows += [_pod_row(item, by_node) for item in read["pods"]]
    rows += route_rows(read["routes"], found)
    rows += listener_rows(read, fronts, found)
    return sort_rows(rows)


def door_of(service: Mapping[str, Any]) -> str | None:
    """Return how a Service lets traffic in from outside, V(None) where it does not."""
    if service["type"] in ("LoadBalancer", "NodePort"):
        return service["type"]
    return "externalIPs" if service["external_ips"] else None


def _service_base(
    raw: Mapping[str, Any], service: Mapping[str, Any], port: Mapping[str, Any], door: str, nodes: Sequence[str]
) -> dict[str, Any]:
    """Return what every row of a Service's port has."""
    addresses = [*service["addresses"], *service["external_ips"]]
    number = port["port"]
    if door == "NodePort":
        addresses, number = [*nodes, *service["external_ips"]], port["node_port"] or number
    ranges, internal = source_ranges(raw), is_internal(raw)
    return {
        "door": door,
        "where": f"Service {service['namespace']}/{service['name']}",
        "port": number,
        "service_port": port["port"],
        "node_port": port["node_port"],
        "addresses": addresses,
        "internal": internal,
        "owner": owner_of(raw["metadata"]),
        "since": service["created"],
        "open_to": open_to(addresses, ranges, internal, None),
        "state": "broken" if door == "LoadBalancer" and not addresses else "complete",
        "broken_at": "address" if door == "LoadBalancer" and not addresses else "",
        "why": "its load balancer has no address" if door == "LoadBalancer" and not addresses else "",
    }


def _plain_row(
    base: Mapping[str, Any], service: Mapping[str, Any], port: Mapping[str, Any], found: Backends
) -> dict[str, Any]:
    """Return the row of a Service that leads to its own pods."""
    values = {key: value for key, value in base.items() if key not in ("port", "internal")}
    backend = found.service(service["namespace"], service["name"], port["port"])
    row = new_row(port=base["port"], **values, target_port=port["target_port"], backends=[backend])
    judge_backends(row)
    return row


def _pod_row(item: Mapping[str, Any], by_node: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return the row of a port that pods have on their nodes."""
    door = "hostNetwork" if item["host_network"] else "hostPort"
    addresses = sorted({address for name in item["nodes"] for address in by_node.get(name, [])})
    row = new_row(
        door,
        f"Pods {item['namespace']}/{item['name']}",
        item["port"],
        addresses=addresses,
        target_port=item["port"],
        owner=owner_of(item["metadata"]),
        since=item["metadata"].get("creationTimestamp", ""),
        open_to=open_to(addresses, [], False, None),
    )
    if item["port"] is None:
        unseen(row, "the pods declare no port, so what they listen on was not seen")
    return row


def route_rows(routes: Iterable[Mapping[str, Any]], found: Backends) -> list[dict[str, Any]]:
    """Return the rows of OpenShift's passthrough Routes; other Routes speak HTTP."""
    rows = []
    for item in routes:
        spec, metadata = item["spec"], item["metadata"]
        if (spec.get("tls") or {}).get("termination") != "passthrough":
            continue
        targets = [spec["to"], *(spec.get("alternateBackends") or [])]
        wanted = (spec.get("port") or {}).get("targetPort")
        backends = [_route_backend(found, metadata["namespace"], one["name"], wanted) for one in targets]
        ingress = (item.get("status") or {}).get("ingress") or []
        admitted = [
            one
            for one in ingress
            if any(state["type"] == "Admitted" and state["status"] == "True" for state in one.get("conditions") or [])
        ]
        row = new_row(
            "Route",
            f"Route {metadata['namespace']}/{metadata['name']}",
            ROUTE_PORT,
            protocol="TLS",
            hosts=[spec["host"]] if spec.get("host") else [],
            addresses=sorted({one.get("routerCanonicalHostname") or one.get("host", "") for one in admitted} - {""}),
            backends=backends,
            owner=owner_of(metadata),
            since=metadata.get("creationTimestamp", ""),
        )
        row["open_to"] = open_to(row["addresses"], _annotated_ranges(metadata), False, None)
        if not admitted:
            break_at(row, "address", _refusal(ingress) or "no router has admitted it")
        judge_backends(row)
        rows.append(row)
    return rows


def _route_backend(found: Backends, namespace: str, name: str, wanted: Any) -> dict[str, Any]:
    """Return a Route's backend; its port is a target port or the name of one, or the Service's only one."""
    service = found.services.get((namespace, name))
    ports = [port for port in service["ports"] if port["protocol"] == "TCP"] if service else []
    port = next(
        (one for one in ports if wanted in (one["name"], one["target_port"], one["port"])),
        ports[0] if wanted is None and ports else None,
    )
    return found.service(namespace, name, port["port"] if port else wanted)


def _annotated_ranges(metadata: Mapping[str, Any]) -> list[str]:
    """Return a Route's allow list (OpenShift "Route-specific annotations", with the older spelling)."""
    annotations = metadata.get("annotations") or {}
    for key in ("haproxy.router.openshift.io/ip_allowlist", "haproxy.router.openshift.io/ip_whitelist"):
        if annotations.get(key):
            return annotations[key].split()
    return []


def _refusal(ingress: Iterable[Mapping[str, Any]]) -> str:
    """Return a router's own words on why it does not serve a Route."""
    for one in ingress:
        for state in one.get("conditions") or []:
            if state["type"] == "Admitted" and state["status"] != "True":
                return f"not admitted: {state.get('message') or state.get('reason') or 'no reason given'}"
    return ""


def _gateway_api_fronts(services: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return the Services that implementations made for Gateways of the Gateway API, by the Gateway's place."""
    return {
        (item["namespace"], item["labels"][GATEWAY_NAME]): item for item in services if item["labels"].get(GATEWAY_NAME)
    }


def listener_rows(
    read: Mapping[str, Any], fronts: Mapping[tuple[str, str], Mapping[str, Any]], found: Backends
) -> list[dict[str, Any]]:
    """Return the rows of the Gateway API's listeners, with the TCPRoute or TLSRoute that each leads to."""
    rows = []
    attached = attached_routes(read)
    for item in read["listeners"]:
        metadata = item["metadata"]
        place = (metadata["namespace"], metadata["name"])
        addresses = [one["value"] for one in (item.get("status") or {}).get("addresses") or []]
        front = fronts.get(place)
        for listener in item["spec"].get("listeners") or []:
            row = new_row(
                "GatewayAPI",
                f"Gateway (Gateway API) {place[0]}/{place[1]}",
                listener["port"],
                protocol=listener["protocol"],
                hosts=[listener["hostname"]] if listener.get("hostname") else [],
                addresses=addresses,
                listener=listener["name"],
                owner=owner_of(metadata),
                since=metadata.get("creationTimestamp", ""),
                open_to=open_to(addresses, [], False, None),
                id=f"Gateway (Gateway API) {place[0]}/{place[1]} {listener['port']} {listener['name']}",
            )
            if not addresses:
                break_at(row, "address", "it has no address")
            if front and listener["port"] not in {port["port"] for port in front["ports"]}:
                break_at(row, "gateway", f"Service {front['namespace']}/{front['name']} lacks the port")
            _follow(row, listener, attached.get((*place, listener["name"]), []), found)
            rows.append(row)
    return rows


def _follow(
    row: dict[str, Any], listener: Mapping[str, Any], routes: Sequence[Mapping[str, Any]], found: Backends
) -> None:
    """Fill in what is behind a listener: of several TCPRoutes only the oldest carries traffic (GEP-2644)."""
    if listener["protocol"] not in ("TCP", "TLS"):
        unseen(row, "HTTP routes are not followed")
        return
    if not routes:
        break_at(row, "route", "no TCPRoute or TLSRoute is attached to it")
        return
    first = routes[0]
    row["route"] = route_name(first)
    row["since"] = youngest(row["since"], first["metadata"].get("creationTimestamp", ""))
    taken = routes[:1] if first["kind"] == "TCPRoute" else routes
    for route in taken:
        for rule in route["spec"].get("rules") or []:
            for one in rule.get("backendRefs") or []:
                if one.get("kind", "Service") == "Service":
                    namespace = one.get("namespace") or route["metadata"]["namespace"]
                    row["backends"].append(found.service(namespace, one["name"], one.get("port")))
    judge_backends(row)


def attached_routes(read: Mapping[str, Any]) -> dict[tuple[str, str, str], list[dict[str, Any]]]:
    """Return the TCPRoutes and TLSRoutes of each listener, oldest first."""
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    gateways = {(item["metadata"]["namespace"], item["metadata"]["name"]): item for item in read["listeners"]}
    routes = [
        {**item, "kind": kind}
        for kind, items in (("TCPRoute", read["tcp_routes"]), ("TLSRoute", read["tls_routes"]))
        for item in items
    ]
    routes.sort(key=lambda item: (item["metadata"].get("creationTimestamp", ""), route_name(item)))
    protocols = {"TCPRoute": ("TCP",), "TLSRoute": ("TLS",)}
    for route in routes:
        for parent in route["spec"].get("parentRefs") or []:
            place = (parent.get("namespace") or route["metadata"]["namespace"], parent["name"])
            for listener in gateways.get(place, {"spec": {}})["spec"].get("listeners") or []:
                if parent.get("sectionName") not in (None, listener["name"]):
                    continue
                if parent.get("port") not in (None, listener["port"]):
                    continue
                if listener["protocol"] in protocols[route["kind"]]:
                    found[(*place, listener["name"])].append(route)
    return found


def route_name(route: Mapping[str, Any]) -> str:
    """Name a route of the Gateway API."""
    return f"{route['kind']} {route['metadata']['namespace']}/{route['metadata']['name']}"
