# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold what is wanted against the observed cluster, before anything is written.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._backends import as_given
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import (
    GATEWAY_LABEL,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._ownership import (
    check_definer,
    check_foreign,
    check_not_foreign,
    is_foreign,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._ranges import written
from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import suggestion
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls import one_per_port
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View


def check_mesh(view: View) -> list[dict[str, str]]:
    """Find out whether there is an Istio that can carry anything."""
    mesh = view.state["mesh"]
    subject = f"cluster {view.state['cluster']['host']}"
    if not mesh["served"]:
        return [finding("NO_ISTIO", subject, what="its API server does not know networking.istio.io/v1beta1")]
    if not mesh["control_planes"]:
        return [finding("NO_ISTIO", subject, what="no Deployment carries the label app=istiod")]
    if not any(item["ready"] for item in mesh["control_planes"]):
        names = ", ".join(f"{item['namespace']}/{item['name']}" for item in mesh["control_planes"])
        return [finding("NO_ISTIO", subject, what=f"istiod is there ({names}), but not ready")]
    return []


def pod_revision(gateway: Mapping[str, Any], view: View) -> tuple[str | None, list[dict[str, str]]]:
    """Return the revision label that a gateway's pods need, V(None) where the injector takes them without one.

    A namespace label decides first; without one, sidecar.istio.io/inject reaches the default revision only
    (Sail operator docs, "injection").
    """
    subject = f"gateway {gateway['name']!r}"
    revisions = view.state["mesh"]["revisions"]
    if gateway["mesh"]:
        if gateway["mesh"] not in revisions:
            found = ", ".join(revisions) or "none"
            return None, [finding("REVISION_UNKNOWN", subject, revision=gateway["mesh"], revisions=found)]
        return gateway["mesh"], []
    labels = view.namespaces.get(gateway["namespace"], {"labels": {}})["labels"]
    if labels.get("istio-injection") == "enabled" or "istio.io/rev" in labels or "default" in revisions:
        return None, []
    if len(revisions) > 1:
        return None, [finding("REVISION_UNCLEAR", subject, revisions=", ".join(revisions))]
    return (revisions[0] if revisions else None), []


def check_gateways(
    gateways: Iterable[Mapping[str, Any]], view: View, set_name: str, namespace_state: str
) -> list[dict[str, str]]:
    """Check that each gateway can be made, or that the one referred to is there."""
    findings = []
    for gateway in gateways:
        subject = f"gateway {gateway['name']!r}"
        if not view.has_namespace(gateway["namespace"]) and namespace_state != "present":
            findings.append(
                finding(
                    "NAMESPACE_MISSING",
                    subject,
                    namespace=gateway["namespace"],
                    argument="tcp_namespace_state",
                )
            )
            continue
        if is_foreign(gateway):
            findings += _check_front(gateway, view) or check_foreign(gateway, view, set_name)
            continue
        if gateway["refers"]:
            findings += check_not_foreign(gateway, view)
            if view.front_service(gateway) is None:
                findings.append(
                    finding("GATEWAY_MISSING", subject, name=gateway["name"], namespace=gateway["namespace"])
                )
            findings += _check_front(gateway, view)
            continue
        findings += check_owner(gateway, view, set_name)
        findings += pod_revision(gateway, view)[1]
    return findings


def check_owner(gateway: Mapping[str, Any], view: View, set_name: str) -> list[dict[str, str]]:
    """Check that nobody else made or defined what this gateway would be."""
    foreign = check_not_foreign(gateway, view)
    if foreign:
        return foreign
    taken = _check_front(gateway, view)
    if taken:
        return taken
    return check_definer(gateway, view, set_name)


def _check_front(gateway: Mapping[str, Any], view: View) -> list[dict[str, str]]:
    """Check that the Service of a gateway's name is not a further front Service of another gateway."""
    service = view.front_service(gateway)
    other = service["labels"].get(GATEWAY_LABEL, gateway["name"]) if service else gateway["name"]
    if other == gateway["name"]:
        return []
    subject = f"gateway {gateway['name']!r}"
    return [finding("FRONT_SERVICE_TAKEN", subject, namespace=gateway["namespace"], other=other)]


def check_backends(ports: Iterable[Mapping[str, Any]], view: View) -> list[dict[str, str]]:
    """Check that every backend Service is there and has the port; one finding for each record."""
    wanted: dict[tuple[str, str, str], list[int]] = {}
    for port in ports:
        for backend in as_given(port):
            if backend.get("external"):
                continue
            wanted.setdefault((port["name"], backend["namespace"], backend["service"]), []).append(backend["port"])
    findings = []
    for (name, namespace, service_name), asked in wanted.items():
        subject = f"record {name!r}"
        service = view.services.get((namespace, service_name))
        if service is None:
            findings.append(_backend_missing(namespace, service_name, subject, view))
            continue
        numbers = [item["port"] for item in service["ports"] if item["protocol"] == "TCP"]
        missing = set(asked) - set(numbers)
        if missing:
            findings.append(
                finding(
                    "BACKEND_PORT_MISSING",
                    subject,
                    namespace=namespace,
                    service=service_name,
                    port=written(missing),
                    has=written(numbers) or "none",
                )
            )
    return findings


def _backend_missing(namespace: str, service: str, subject: str, view: View) -> dict[str, str]:
    """Say which part of a backend's address is wrong, with the nearest name that is there."""
    if not view.has_namespace(namespace):
        hint = " (that namespace does not exist)"
    else:
        there = [name for place, name in view.services if place == namespace]
        meant = suggestion(service, there)
        hint = f" ({meant})" if meant else ""
    return finding("BACKEND_MISSING", subject, service=service, namespace=namespace, hint=hint)


def check_node_ports(ports: Iterable[Mapping[str, Any]], view: View) -> list[dict[str, str]]:
    """Check that no node port that is asked for is held by anybody else."""
    held: dict[int | None, tuple[tuple[str, str, int | None], str]] = {}
    for service in view.services.values():
        where = f"Service {service['namespace']}/{service['name']}"
        for item in service["ports"]:
            place = (service["namespace"], service["name"], item["port"])
            held[item["node_port"]] = (place, f"{where} port {item['port']}")
        # kube-proxy answers a load balancer's questions there.
        place = (service["namespace"], service["name"], None)
        held[service.get("health_check_node_port")] = (place, f"the health check of {where}")
    findings = []
    first: dict[int, str] = {}
    for port in one_per_port(ports):
        number = port["node_port"]
        if number is None:
            continue
        subject = f"record {port['name']!r}"
        holder = held.get(number)
        if number in first:
            findings.append(
                finding("NODE_PORT_TAKEN", subject, port=number, holder=f"record {first[number]!r} of the same set")
            )
        elif holder and holder[0] != (port["namespace"], port["service"], port["port"]):
            findings.append(finding("NODE_PORT_TAKEN", subject, port=number, holder=holder[1]))
        first.setdefault(number, port["name"])
    return findings
