# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The projection: what the planner needs of the cluster's objects, as small plain dicts.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._definition import read_stored
from ansible_collections.servicemesh.tcp.plugins.module_utils._http_objects import project
from ansible_collections.servicemesh.tcp.plugins.module_utils._in_charge import in_charge
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import (
    DEFINITION_ANNOTATION,
    ONBOARDING_MANAGER,
    SOURCE_ANNOTATION,
    is_ours,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._providers import load_balancer_annotations
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls_objects import RECORDS_ANNOTATION, read_note

# Raised when a key of the projection changes its meaning.
VERSION = 2


def identity(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Return what every projected object has: name, namespace, uid, labels, creation time."""
    metadata = obj["metadata"]
    return {
        "name": metadata["name"],
        "namespace": metadata.get("namespace", ""),
        "uid": metadata.get("uid", ""),
        "labels": metadata.get("labels") or {},
        "created": metadata.get("creationTimestamp", ""),
    }


def port_managers(obj: Mapping[str, Any], operation: str = "Apply") -> dict[str, list[int]]:
    """Return who owns which of a Service's TCP ports, from its managedFields, by server-side apply unless told."""
    managers: dict[str, set[int]] = {}
    for entry in obj["metadata"].get("managedFields") or []:
        if entry.get("operation") != operation:
            continue
        for key in entry.get("fieldsV1", {}).get("f:spec", {}).get("f:ports", {}):
            if not key.startswith("k:"):
                continue
            port = json.loads(key[2:])
            if port.get("protocol", "TCP") == "TCP":
                managers.setdefault(entry["manager"], set()).add(port["port"])
    return {manager: sorted(ports) for manager, ports in sorted(managers.items())}


def service(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Project a Service."""
    spec = obj.get("spec", {})
    ingress = obj.get("status", {}).get("loadBalancer", {}).get("ingress") or []
    annotations = obj["metadata"].get("annotations") or {}
    return {
        **identity(obj),
        "type": spec.get("type", "ClusterIP"),
        "class": spec.get("loadBalancerClass", ""),
        "annotations": load_balancer_annotations(annotations),
        "definition": read_stored(annotations.get(DEFINITION_ANNOTATION)),
        "in_charge": in_charge(obj),
        "source": annotations.get(SOURCE_ANNOTATION, ""),
        "selector": spec.get("selector") or {},
        "ports": [
            {
                "name": port.get("name", ""),
                "port": port["port"],
                "target_port": port.get("targetPort", port["port"]),
                "node_port": port.get("nodePort"),
                "protocol": port.get("protocol", "TCP"),
                "app_protocol": port.get("appProtocol", ""),
            }
            for port in spec.get("ports") or []
        ],
        "external_name": spec.get("externalName", "") if spec.get("type") == "ExternalName" else "",
        "health_check_node_port": spec.get("healthCheckNodePort"),
        "cluster_ip": spec.get("clusterIP", ""),
        "external_ips": spec.get("externalIPs") or [],
        # AWS gives a host name, most others an IP address.
        "addresses": [item.get("ip") or item.get("hostname") for item in ingress],
        "managers": port_managers(obj),
        "edited": sorted({port for ports in port_managers(obj, "Update").values() for port in ports}),
    }


def route(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Project a Route of OpenShift."""
    spec = obj.get("spec", {})
    return {
        **identity(obj),
        "source": (obj["metadata"].get("annotations") or {}).get(SOURCE_ANNOTATION, ""),
        "host": spec.get("host", ""),
        "service": spec.get("to", {}).get("name", ""),
        "target_port": (spec.get("port") or {}).get("targetPort"),
    }


def gateway(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Project an Istio Gateway; C(tls) is a server's mode, '' for a server without TLS settings."""
    spec = obj.get("spec", {})
    return {
        **identity(obj),
        "source": (obj["metadata"].get("annotations") or {}).get(SOURCE_ANNOTATION, ""),
        "selector": spec.get("selector") or {},
        "servers": [
            {
                "port": server.get("port", {}).get("number"),
                "name": server.get("port", {}).get("name", ""),
                "protocol": server.get("port", {}).get("protocol", ""),
                "bind": server.get("bind", ""),
                "hosts": server.get("hosts") or [],
                # Istio's API: the mode SIMPLE is the zero value and may be left out.
                "tls": server["tls"].get("mode", "SIMPLE") if server.get("tls") is not None else "",
                "credential": (server.get("tls") or {}).get("credentialName", ""),
                "min_version": (server.get("tls") or {}).get("minProtocolVersion", ""),
            }
            for server in spec.get("servers") or []
        ],
    }


def virtual_service(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Project an Istio VirtualService: TCP and TLS rules with their destinations, and whether it has HTTP rules.

    C(routes) are the HTTP rules of this collection's own; those of others may be many, and nothing is asked of them.
    """
    spec = obj.get("spec", {})
    known = identity(obj)
    return {
        **known,
        "hosts": spec.get("hosts") or [],
        "gateways": spec.get("gateways") or [],
        "export_to": spec.get("exportTo") or [],
        "records": read_note((obj["metadata"].get("annotations") or {}).get(RECORDS_ANNOTATION)),
        "tcp": [_rule(rule) for rule in spec.get("tcp") or []],
        "tls": [
            {**_rule(rule), "sni": [match.get("sniHosts") or [] for match in rule.get("match") or []]}
            for rule in spec.get("tls") or []
        ],
        "http": bool(spec.get("http")),
        "routes": project(spec.get("http") or [], _destinations) if is_ours(known["labels"]) else [],
    }


def _rule(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Project a TCP or TLS rule.

    C(ports) and C(match_gateways) have one entry per match; a port of V(None) is any port, no gateways are any.
    """
    matches = rule.get("match") or []
    return {
        "ports": [match.get("port") or None for match in matches],
        "match_gateways": [match.get("gateways") or [] for match in matches],
        "destinations": _destinations(rule),
    }


def _destinations(rule: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Project where a rule leads."""
    return [
        {
            "host": route.get("destination", {}).get("host", ""),
            "port": route.get("destination", {}).get("port", {}).get("number"),
            "subset": route.get("destination", {}).get("subset", ""),
            "weight": route.get("weight", 0),
        }
        for route in rule.get("route") or []
    ]


def destination_rule(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Project an Istio DestinationRule; C(selects): it is for some workloads of its namespace only."""
    spec = obj.get("spec", {})
    return {
        **identity(obj),
        "host": spec.get("host", ""),
        "export_to": spec.get("exportTo") or [],
        "selects": spec.get("workloadSelector") is not None,
        "traffic_policy": spec.get("trafficPolicy") or None,
        "subsets": [{**subset, "labels": subset.get("labels") or {}} for subset in spec.get("subsets") or []],
    }


def service_entry(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Project an Istio ServiceEntry; C(endpoints) are the addresses of those that it names itself."""
    spec = obj.get("spec", {})
    return {
        **identity(obj),
        "hosts": spec.get("hosts") or [],
        "ports": [port.get("number") for port in spec.get("ports") or []],
        "endpoints": [endpoint.get("address", "") for endpoint in spec.get("endpoints") or []],
    }


def revisions(webhooks: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the revisions and revision tags that inject: the labels of the injector's webhooks."""
    found = set()
    for webhook in webhooks:
        labels = webhook["metadata"].get("labels") or {}
        found.add(labels.get("istio.io/tag") or labels.get("istio.io/rev") or "default")
    return sorted(found)


def tags(webhooks: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return which revision each revision tag stands for, from the labels of the tags' webhooks."""
    labels = [webhook["metadata"].get("labels") or {} for webhook in webhooks]
    return {item["istio.io/tag"]: item.get("istio.io/rev", "default") for item in labels if "istio.io/tag" in item}


def deployment(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Project a gateway's Deployment."""
    return {
        **identity(obj),
        "replicas": obj.get("spec", {}).get("replicas", 1),
        "available": obj.get("status", {}).get("availableReplicas", 0),
    }


def namespace(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Project a namespace; one that is on its way out counts as not there.

    C(applied) are the labels that onboarding put there (server-side apply's record of it).
    """
    return {
        "labels": obj["metadata"].get("labels") or {},
        "applied": applied_labels(obj, ONBOARDING_MANAGER),
        "terminating": "deletionTimestamp" in obj["metadata"],
    }


def applied_labels(obj: Mapping[str, Any], manager: str) -> list[str]:
    """Return the labels that a field manager applied, from an object's managedFields."""
    found = {
        key[2:]
        for entry in obj["metadata"].get("managedFields") or []
        if entry.get("operation") == "Apply" and entry.get("manager") == manager
        for key in entry.get("fieldsV1", {}).get("f:metadata", {}).get("f:labels", {})
        if key.startswith("f:")
    }
    return sorted(found)


def node(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Project a node: its addresses, external ones first, and the cloud that its providerID begins with."""
    addresses = obj.get("status", {}).get("addresses") or []
    external = [item["address"] for item in addresses if item["type"] == "ExternalIP"]
    internal = [item["address"] for item in addresses if item["type"] == "InternalIP"]
    provider = obj.get("spec", {}).get("providerID", "").partition("://")[0]
    return {"name": obj["metadata"]["name"], "addresses": external or internal, "provider": provider}
