# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Provider C(ossm2): the ServiceMeshControlPlane of OpenShift Service Mesh 2.

Sources: maistra/istio-operator, pkg/apis/maistra/v2, and resources/helm/v2.5 for what its charts make of it.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import DEFINITION_ANNOTATION
from ansible_collections.servicemesh.tcp.plugins.module_utils._plane_objects import Planned, merged, own_object
from ansible_collections.servicemesh.tcp.plugins.module_utils._smcp_v1 import as_text, convert, is_v1

KIND = "ServiceMeshControlPlane"
NEWEST = "v2.6"
ADDONS = ("kiali", "grafana", "prometheus")
# A list of ports replaces the chart's own (gateways/istio-ingress/values.yaml), and without the first the load
# balancer's health checks fail.
KEPT_PORTS: Mapping[str, tuple[tuple[str, int, int], ...]] = {
    "ingress": (("status-port", 15021, 15021), ("http2", 80, 8080), ("https", 443, 8443)),
    "egress": (("http2", 80, 8080), ("https", 443, 8443)),
}
# The schema takes these, and the charts ignore them (gateways/istio-ingress/templates/service.yaml).
IGNORED = (
    "loadBalancerClass",
    "allocateLoadBalancerNodePorts",
    "ipFamilies",
    "healthCheckNodePort",
    "sessionAffinity",
    "selector",
)


def plan(plane: Mapping[str, Any], observed: Mapping[str, Any]) -> Planned:
    """Return the SMCP that is wanted."""
    subject = f"control plane {plane['name']!r}"
    definition = plane["definition"]
    if definition and is_v1(definition):
        form, notes = convert(definition, plane["version"] or NEWEST)
        text = as_text(form) + "".join(f"# {note}\n" for note in notes)
        return Planned([], [finding("SMCP_V1", subject, form=text)])
    if definition and definition.get("kind", KIND) != KIND:
        rule = f"for provider ossm2 it must be a {KIND}"
        return Planned(
            [], [finding("VALUE_INVALID", subject, key="definition.kind", value=definition["kind"], rule=rule)]
        )
    others = [
        item["name"]
        for item in observed["smcps"]
        if item["namespace"] == plane["namespace"] and item["name"] != plane["name"]
    ]
    findings = []
    if others:
        findings.append(finding("PLANE_SECOND", subject, namespace=plane["namespace"], other=", ".join(sorted(others))))
    existing = next(
        (
            item
            for item in observed["smcps"]
            if (item["namespace"], item["name"]) == (plane["namespace"], plane["name"])
        ),
        None,
    )
    spec = merged(definition.get("spec") or {}, _arguments(plane, definition.get("spec") or {}))
    spec = merged(spec, {"gateways": _gateways(plane, existing)}) if plane["gateways"] else spec
    findings += [
        finding("SMCP_FIELD_IGNORED", subject, field=f"{where}.service.{key}")
        for where, gateway in _gateways_in(spec)
        for key in IGNORED
        if key in (gateway.get("service") or {})
    ]
    smcp = own_object(KIND, plane["name"], plane["namespace"], spec)
    listed = {item["name"]: [port["port"] for port in item["ports"]] for item in plane["gateways"] if item["ports"]}
    if listed:
        smcp["metadata"]["annotations"] = {DEFINITION_ANNOTATION: json.dumps({"ports": listed}, sort_keys=True)}
    return Planned([(smcp, existing)], findings)


def _arguments(plane: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the arguments say, and what is off unless the definition or an argument asks for it.

    An SMCP that asks for Jaeger or Kiali where their operators are not there never becomes ready
    (DependencyMissingError), so they are off by default.
    """
    spec: dict[str, Any] = {}
    if plane["version"]:
        spec["version"] = plane["version"]
    if plane["mode"]:
        spec["mode"] = plane["mode"]
    if plane["identity"]:
        spec["security"] = {"identity": {"type": plane["identity"]}}
    # True is the operator's own default, and a definition may say otherwise.
    if not plane["manage_network_policy"]:
        spec.setdefault("security", {})["manageNetworkPolicy"] = False
    if plane["tracing"] or "type" not in (given.get("tracing") or {}):
        spec["tracing"] = {"type": plane["tracing"] or "None"}
    addons = given.get("addons") or {}
    spec["addons"] = {
        name: {"enabled": name in plane["addons"]}
        for name in ADDONS
        if name in plane["addons"] or "enabled" not in (addons.get(name) or {})
    }
    return {key: value for key, value in spec.items() if value != {}}


def _gateways(plane: Mapping[str, Any], existing: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return C(spec.gateways) for the gateways that are named; the others stay as they are."""
    gateways: dict[str, Any] = {}
    for gateway in plane["gateways"]:
        direction, name = gateway["direction"], gateway["name"]
        form = _gateway(gateway, existing)
        if gateway["additional"]:
            gateways.setdefault(f"additional{direction.capitalize()}", {})[name] = form
        else:
            gateways[direction] = form
    return gateways


def _gateway(gateway: Mapping[str, Any], existing: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return one gateway; an additional one without C(enabled) would be skipped."""
    service: dict[str, Any] = {}
    for key, field in (
        ("type", "type"),
        ("load_balancer_ip", "loadBalancerIP"),
        ("source_ranges", "loadBalancerSourceRanges"),
        ("external_traffic_policy", "externalTrafficPolicy"),
    ):
        if gateway.get(key):
            service[field] = gateway[key]
    if gateway["ports"]:
        service["ports"] = _ports(gateway, existing)
    labels = dict(gateway.get("labels") or {})
    if gateway["additional"]:
        # The chart gives its pods 'istio: ingressgateway' too, and then every Gateway for that lands on them as well.
        labels.setdefault("istio", gateway["name"])
    metadata = {
        key: {str(name): str(value) for name, value in values.items()}
        for key, values in (("annotations", gateway.get("annotations") or {}), ("labels", labels))
        if values
    }
    if metadata:
        service["metadata"] = metadata
    form: dict[str, Any] = {"enabled": gateway.get("enabled", True)}
    if gateway.get("namespace"):
        form["namespace"] = gateway["namespace"]
    if service:
        form["service"] = service
    if gateway.get("runtime"):
        form["runtime"] = gateway["runtime"]
    return form


def _ports(gateway: Mapping[str, Any], existing: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return the ports: those that every gateway keeps, those that are named, and those that others added since.

    The list has no owners inside it. What this role wrote is noted on the SMCP, so that what else stands there is known
    to be somebody else's (ports that were published on this gateway), and stays.
    """
    ports = {
        number: {"name": name, "port": number, "targetPort": target, "protocol": "TCP"}
        for name, number, target in KEPT_PORTS[gateway["direction"]]
    }
    ports.update({port["port"]: port for port in gateway["ports"]})
    for port in _listed(gateway, existing):
        if port["port"] not in _written(gateway["name"], existing):
            ports.setdefault(port["port"], port)
    return list(ports.values())


def _listed(gateway: Mapping[str, Any], existing: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Return the ports that an SMCP has for a gateway."""
    for name, form in _named_gateways((existing or {}).get("spec") or {}):
        if name == gateway["name"]:
            return list((form.get("service") or {}).get("ports") or [])
    return []


def _written(name: str, existing: Mapping[str, Any] | None) -> list[int]:
    """Return the ports that this role wrote for a gateway before."""
    try:
        stored = json.loads((existing or {}).get("stored") or "{}")
        return list(stored["ports"][name])
    except (ValueError, KeyError, TypeError):
        return []


def _named_gateways(spec: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Yield the gateways of an SMCP by the names of their Services."""
    gateways = spec.get("gateways") or {}
    yield "istio-ingressgateway", gateways.get("ingress") or {}
    yield "istio-egressgateway", gateways.get("egress") or {}
    for key in ("additionalIngress", "additionalEgress"):
        yield from ((name, form or {}) for name, form in (gateways.get(key) or {}).items())


def _gateways_in(spec: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Yield the gateways of an SMCP that say something, with their names."""
    return ((name, form) for name, form in _named_gateways(spec) if form)
