# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hops within the gateway: server, listener, route, cluster, and who is let in.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._authorization import denied_by
from ansible_collections.servicemesh.tcp.plugins.module_utils._backends import clusters_of, place_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._by_name import shared_port_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy import Snapshot, lacks
from ansible_collections.servicemesh.tcp.plugins.module_utils._hops_case import CUT, SHUT, Case, end_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._http import routes_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._http_objects import same_http
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_holders import own_gateway, pods_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import set_object_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._network_policies import End, blocking, in_ranges
from ansible_collections.servicemesh.tcp.plugins.module_utils._texts import some
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls_objects import server_name

Verdict = "dict[str, str] | None"
# Why a server gets no listener although nobody else has its port (_istio.listener_tables).
LOST = {
    "route": "HOP_ROUTE_MISSING",
    "privileged": "HOP_LISTENER_PRIVILEGED",
    "reserved": "HOP_LISTENER_RESERVED",
}


def gateway_server(case: Case) -> Verdict:
    """The server in the set's Istio Gateway, and that the mesh applies it to the gateway's pods."""
    view, port = case.facts.view, case.port
    gateway = case.gateway
    place = f"{port['namespace']}/{set_object_name(port['gateway'], port['set'])}"
    own = own_gateway(view.world, gateway, port["set"])
    servers = [server for server in own["servers"] if _is_server_of(server, port)] if own else []
    if own is None or not servers:
        return case.found("HOP_SERVER_MISSING", object=f"Gateway {place}")
    for server in servers:
        credential = server["credential"]
        if credential and case.facts.secrets.get((port["namespace"], credential)) is False:
            return case.found(
                "HOP_SECRET_MISSING", secret=f"{port['namespace']}/{credential}", object=f"Gateway {place}"
            )
    for workload in pods_of(view.world, gateway):
        if own not in view.world.gateways_of(workload):
            return case.found("HOP_GATEWAY_UNSEEN", object=f"Gateway {place}", plane=_plane(case.plane))
    return None


def listener(case: Case) -> Verdict:
    """The listener: what Istio makes of all Gateways and VirtualServices, then what Envoy has."""
    view, port = case.facts.view, case.port
    gateway = case.gateway
    place = f"{port['namespace']}/{set_object_name(port['gateway'], port['set'])}"
    for workload in pods_of(view.world, gateway):
        rows, lost = case.facts.table(workload)
        for row in lost.get((place, port["port"]), ()):
            if is_about(row["server"], port):
                return _lost(case, row, place)
        own = [row for row in rows.get((place, port["port"]), ()) if _serves(row, port)]
        for row in own:
            found = _row(case, row, place)
            if found:
                return found
        if port.get("tls") and not own:
            return case.found("HOP_ROUTE_MISSING", object=place, target=case.target)
    return _http_rules(case, place) or _envoy_listener(case)


def _http_rules(case: Case, place: str) -> Verdict:
    """Check that an HTTP record's rules are there and lead to its backends; without them the gateway answers 404."""
    port = case.port
    if not port.get("http"):
        return None
    there = case.facts.view.http_records(case.place, port["set"], port["port"])
    if any(item["hash"] == port["hash"] and same_http(item["http"], port["http"]) for item in there):
        return None
    return case.found("HOP_HTTP_ROUTE", object=place, routes=routes_text(port["http"]))


def _is_server_of(server: Mapping[str, Any], port: Mapping[str, Any]) -> bool:
    """Tell whether a server of the set's Gateway is that of a record."""
    return server["port"] == port["port"] and is_about(server["name"], port)


def is_about(name: str, port: Mapping[str, Any]) -> bool:
    """Tell whether a server of a record's port, by its name, is the record's own: names share a port."""
    if port.get("http"):
        return name == shared_port_name("http", port["port"])
    return not port.get("tls") or name == server_name(port["port"], port["hash"], port["tls"]["mode"])


def _serves(row: Mapping[str, Any], port: Mapping[str, Any]) -> bool:
    """Tell whether a filter chain of a record's port is the record's."""
    if port.get("http"):
        return is_about(row["server"], port)
    if not port.get("tls"):
        return True
    return is_about(row["server"], port) and bool(set(row["sni"]) & set(port["tls"]["hosts"]))


def _lost(case: Case, row: Mapping[str, Any], place: str) -> Verdict:
    """Say why Istio gives our server no listener."""
    if row["reason"] in LOST:
        return case.found(LOST[row["reason"]], object=place, target=row["port"])
    if row["reason"] == "refused":
        words = next(
            (view.refused[row["port"]] for view in case.looks.after.values() if row["port"] in view.refused),
            "its filter chains match the same connections",
        )
        return case.found("HOP_LISTENER_REJECTED", target=row["port"], pods="all", seen=words)
    winner = next(
        (item for item in case.facts.view.gateways if f"{item['namespace']}/{item['name']}" == row["winner"]), None
    )
    since = f", created {winner['created']}," if winner and winner["created"] else ""
    return case.found("HOP_LISTENER_LOST", target=row["port"], winner=f"Gateway {row['winner']}{since}")


def _row(case: Case, row: Mapping[str, Any], place: str) -> Verdict:
    """Check where a listener is bound, and where it leads."""
    target = next((item["target_port"] for item in case.front["ports"] if item["port"] == case.port["port"]), None)
    if target != row["port"]:
        return case.found(
            "HOP_FRONT_TARGET",
            service=f"{case.port['namespace']}/{case.port['service']}",
            target=target,
            listener=row["port"],
        )
    if row["clusters"] and not set(clusters_of(case.port)) <= set(row["clusters"]):
        return case.found(
            "HOP_ROUTE_TAKEN",
            route=f"VirtualService {row['virtual_service']} {row['rule']}",
            cluster=some(row["clusters"]),
            own=f"VirtualService {place}",
        )
    return None


def _envoy_listener(case: Case) -> Verdict:
    """Check that every pod's Envoy has the listener."""
    target, views = case.target, case.views
    refused = {name: view.refused[target] for name, view in views.items() if target in view.refused}
    if refused:
        return case.found(
            "HOP_LISTENER_REJECTED", target=target, pods=some(sorted(refused)), seen=next(iter(refused.values()))
        )
    without = sorted(name for name, view in views.items() if target not in view.listeners)
    if without:
        return case.found("HOP_LISTENER_MISSING", target=target, pods=some(without), plane=_plane(case.plane))
    return None


def _plane(plane: Mapping[str, Any]) -> str:
    """Name a control plane."""
    return f"{plane['namespace']}/{plane['name']}"


def let_in(case: Case) -> Verdict:
    """AuthorizationPolicies, source ranges and NetworkPolicies in front of the gateway's pods."""
    if not case.ready_pods:
        return None
    return _authorized(case) or _in_source_ranges(case) or _network_policy(case)


def _authorized(case: Case) -> Verdict:
    """Check AuthorizationPolicies.

    Envoy closes what they deny at its first byte, when it has a connection to the backend already (its RBAC filter,
    ONE_TIME_ON_FIRST_BYTE). The client may arrive with its own address or with that of a node.
    """
    if case.state in SHUT or not case.was_cut:
        return None
    root, namespace = case.plane["namespace"], case.port["namespace"]
    policies = [
        item for place in dict.fromkeys((root, namespace)) for item in case.facts.authorizations.get(place) or []
    ]
    labels = case.ready_pods[0]["metadata"].get("labels") or {}
    hosts = [pod.get("status", {}).get("hostIP", "") for pod in case.ready_pods]
    for client in filter(None, dict.fromkeys([case.client, *hosts])):
        named, _certain = denied_by(policies, root, namespace, labels, case.target, client)
        if named:
            return case.found("HOP_DENIED", policies=some(named), target=case.target, client=_client(case))
    return None


def _in_source_ranges(case: Case) -> Verdict:
    """Check the source ranges of the front Service; whoever enforces them drops the rest."""
    service = (case.port["namespace"], case.port["service"])
    ranges = case.facts.source_ranges.get(service) or []
    if case.arrived is not True and ranges and case.client and not in_ranges(ranges, case.client):
        return case.found("HOP_SOURCE_RANGE", service="/".join(service), ranges=some(ranges), client=_client(case))
    return None


def _network_policy(case: Case) -> Verdict:
    """Check NetworkPolicies about the gateway's pods; what they keep out is dropped."""
    if case.arrived is True or case.state in CUT:
        return None
    policies = case.facts.network_policies.get(case.port["namespace"]) or []
    for pod in case.ready_pods:
        end = end_of(pod, case.facts.view.namespaces)
        client = End(ip=case.client, translated=True)
        named, _certain = blocking(policies, "ingress", end, client, case.target)
        if named:
            source = f"clients ({_client(case)})"
            return case.kept_out(case.port["namespace"], named, source, f"the gateway's port {case.target}")
    return None


def _client(case: Case) -> str:
    """Name this machine as its packets leave it."""
    return f"from here {case.client}" if case.client else "from here"


def cluster(case: Case) -> Verdict:
    """The backend's cluster in every Envoy, with endpoints; the backend's Service was found in order."""
    views = case.views
    if not views:
        return None
    name = case.port["cluster"]
    without = sorted(pod for pod, view in views.items() if name not in view.clusters)
    if without:
        return case.found("HOP_CLUSTER_UNKNOWN", cluster=name, pods=some(without), plane=_plane(case.plane))
    if why := lacks(Snapshot({pod: view.clusters for pod, view in views.items()}), [name]):
        if case.external:
            return case.found("HOP_EXTERNAL_EMPTY", servers=place_of(case.port["backend"]), seen=why)
        return case.found("HOP_CLUSTER_EMPTY", cluster=name, seen=why, plane=_plane(case.plane))
    return None
