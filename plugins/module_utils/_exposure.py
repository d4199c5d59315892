# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of a set on one gateway: its share of the front Service, Gateway, VirtualService, NetworkPolicy.

A listener here is one port of a set: C({gateway, namespace, service, port, port_name, target_port, node_port, host,
backend_port}), with C(service) the front Service that carries it. One that leads to more than one plain Service has
C(destinations), each C({host, port, subset, labels, weight}); C(host) and C(backend_port) are then those of the first.
Where it leads to servers outside of the cluster, it (or the destination) has them as C(external).
All objects are a pure function of the listeners.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import _http_objects, _tls_objects
from ansible_collections.servicemesh.tcp.plugins.module_utils._by_name import kind_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._doors import is_door
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import (
    SOURCE_ANNOTATION,
    gateway_selector,
    set_labels,
    set_object_name,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls_objects import RECORDS_ANNOTATION, rule_object_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import bare_object, new_object

Listeners = Sequence[Mapping[str, Any]]


def listener_of(port: Mapping[str, Any]) -> dict[str, Any]:
    """Return the listener that an entry of the port map asks for."""
    return {
        **{key: port[key] for key in ("gateway", "namespace", "service", "port", "port_name", "hash")},
        **{key: port[key] for key in ("target_port", "node_port")},
        "host": port["backend"]["host"],
        "backend_port": port["backend"]["port"],
        "adopts": port["adopts"],
        **_external_of(port["backend"]),
        **({"lent": True} if port.get("lent") else {}),
        **({"destinations": [_destination_of(item) for item in port["backends"]]} if "backends" in port else {}),
        **({kind: port[kind]} if (kind := kind_of(port)) else {}),
        **({"door": port["door"]} if is_door(port) else {}),
    }


def _destination_of(backend: Mapping[str, Any]) -> dict[str, Any]:
    """Return a backend of the port map as a destination."""
    subset = backend["subset"] or {"name": "", "labels": None}
    plain = {"host": backend["host"], "port": backend["port"], "weight": backend["weight"]}
    return {**plain, "subset": subset["name"], "labels": subset["labels"], **_external_of(backend)}


def _external_of(backend: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a backend outside of the cluster adds."""
    return {"external": backend["external"]} if backend.get("external") else {}


def destinations_of(listener: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return where a listener leads, C(host), C(port) and C(external) each, whether to one place or several."""
    plain = {"host": listener["host"], "port": listener["backend_port"], "external": listener.get("external")}
    return listener.get("destinations") or [plain]


def route_of(listener: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the route of a listener; a single destination gets all, so that it has no weight."""
    given = listener.get("destinations")
    if not given:
        return [{"destination": {"host": listener["host"], "port": {"number": listener["backend_port"]}}}]
    routes = []
    for item in given:
        destination = {"host": item["host"], "port": {"number": item["port"]}}
        if item["subset"]:
            destination["subset"] = item["subset"]
        routes.append({"destination": destination, **({"weight": item["weight"]} if len(given) > 1 else {})})
    return routes


def service_share(name: str, namespace: str, listeners: Listeners, uid: str | None) -> dict[str, Any]:
    """Return a set's share of a front Service.

    The uid keeps the API server from making a Service that somebody deleted since it was read.
    """
    share = bare_object("Service", name, namespace)
    if uid:
        share["metadata"]["uid"] = uid
    if listeners:
        share["spec"] = {"ports": [service_port(item) for item in listeners]}
    return share


def service_port(listener: Mapping[str, Any]) -> dict[str, Any]:
    """Return one port; its name begins with tcp, so that the mesh does not sniff (istio.io "Protocol Selection")."""
    port = {
        "name": listener["port_name"],
        "port": listener["port"],
        "targetPort": listener["target_port"],
        "protocol": "TCP",
    }
    if listener["node_port"]:
        port["nodePort"] = listener["node_port"]
    return port


def istio_gateway(
    gateway: str,
    namespace: str,
    set_name: str,
    listeners: Listeners,
    source: str,
    selector: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the Istio Gateway: one server per plain port; hosts './*' let only this namespace's rules bind."""
    name = set_object_name(gateway, set_name)
    result = new_object(
        "Gateway",
        name,
        namespace,
        set_labels(gateway, set_name),
        spec={
            "selector": dict(selector or gateway_selector(gateway, namespace)),
            "servers": [
                {
                    "port": {"number": item["port"], "name": item["port_name"], "protocol": "TCP"},
                    "hosts": ["./*"],
                }
                for item in listeners
                if not kind_of(item)
            ]
            + _tls_objects.servers(listeners)
            + _http_objects.servers(listeners),
        },
    )
    result["metadata"]["annotations"] = {SOURCE_ANNOTATION: source}
    return result


def virtual_services(gateway: str, namespace: str, set_name: str, listeners: Listeners) -> list[dict[str, Any]]:
    """Return all VirtualServices of a set on a gateway.

    The first is left out where it would have no rule, which Istio refuses. Each record for which the gateway ends TLS
    has one of its own, and so has each HTTP host.
    """
    found = [virtual_service(gateway, namespace, set_name, listeners)]
    if not any(rule in found[0]["spec"] for rule in ("tcp", "tls")):
        found = []
    for item in _tls_objects.ended_here(listeners):
        name = rule_object_name(gateway, set_name, item["port"], item["hash"])
        rules = {"tcp": [_tcp_rule(item)]}
        found.append(_virtual_service(name, gateway, namespace, set_name, item["tls"]["hosts"], rules))
    for host, rules in _http_objects.rules_by_host(listeners, route_of).items():
        name = _http_objects.host_object_name(gateway, set_name, host)
        found.append(_virtual_service(name, gateway, namespace, set_name, [host], {"http": rules}))
    return found


def virtual_service(gateway: str, namespace: str, set_name: str, listeners: Listeners) -> dict[str, Any]:
    """Return the VirtualService of all plain ports, and of all names that are passed through.

    It is visible in the gateway's namespace only.
    """
    plain = [_tcp_rule(item) for item in listeners if not kind_of(item)]
    passed = _tls_objects.rules(listeners, route_of)
    rules = {**({"tcp": plain} if plain else {}), **({"tls": passed} if passed else {})}
    result = _virtual_service(set_object_name(gateway, set_name), gateway, namespace, set_name, ["*"], rules)
    if passed:
        result["metadata"]["annotations"] = {RECORDS_ANNOTATION: _tls_objects.records_note(listeners)}
    return result


def _virtual_service(
    name: str, gateway: str, namespace: str, set_name: str, hosts: Sequence[str], rules: Mapping[str, Any]
) -> dict[str, Any]:
    """Return one VirtualService."""
    return new_object(
        "VirtualService",
        name,
        namespace,
        set_labels(gateway, set_name),
        spec={
            "hosts": list(hosts),
            "gateways": [set_object_name(gateway, set_name)],
            "exportTo": ["."],
            **rules,
        },
    )


def _tcp_rule(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rule of one port."""
    return {"match": [{"port": item["port"]}], "route": route_of(item)}


def network_policy(
    gateway: str, namespace: str, set_name: str, listeners: Listeners, selector: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the policy that lets clients reach the set's target ports."""
    targets = sorted({item["target_port"] for item in listeners})
    return new_object(
        "NetworkPolicy",
        set_object_name(gateway, set_name),
        namespace,
        set_labels(gateway, set_name),
        spec={
            "podSelector": {"matchLabels": dict(selector or gateway_selector(gateway, namespace))},
            "policyTypes": ["Ingress"],
            "ingress": [{"ports": [{"port": port, "protocol": "TCP"} for port in targets]}],
        },
    )
