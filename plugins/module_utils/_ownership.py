# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a gateway is, and what follows from it: its pods, its front Service, and who may write ports where.

A gateway of C(owner=injection) is ours as a whole. Of the others only ports are ours: those of C(owner=existing) are on
a Service that somebody else keeps, those of C(owner=smcp) in a ServiceMeshControlPlane, and one with C(adopt) was made
by hand and is run on as it is. Their front Service has the gateway's name, their pods are those that it selects, and
nothing else of them is touched.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import _smcp
from ansible_collections.servicemesh.tcp.plugins.module_utils._definition import differing, stored_definition
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._in_charge import where_to_edit, whose
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import (
    COLLECTION,
    DEFINED_BY_LABEL,
    DEFINITION_ANNOTATION,
    GATEWAY_LABEL,
    gateway_selector,
    is_ours,
    set_manager,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._selectors import labels_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import Step, patch_step, share_step
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls import one_per_port
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import bare_object

Gateway = Mapping[str, Any]
Findings = list[dict[str, str]]


def is_foreign(gateway: Gateway) -> bool:
    """Tell whether a gateway's workload is somebody else's, or was until it was adopted."""
    return gateway.get("owner", "injection") != "injection" or bool(gateway.get("adopt"))


def resolved(gateway: Gateway, view: View) -> dict[str, Any]:
    """Return a gateway with what the cluster says of one that is not ours: its pods' labels and its Service's type."""
    service = view.front_service(gateway)
    if not is_foreign(gateway) or service is None:
        return dict(gateway)
    wanted = gateway["service"]
    return {
        **gateway,
        "selector": gateway["selector"] or service["selector"],
        "service": {**wanted, "type": wanted["type"] or service["type"]},
    }


def at_place(place: tuple[str, str], view: View, set_name: str, stored: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what a withdrawal knows of a gateway: its stored definition, and the pods of the set's own Gateway."""
    namespace, name = place
    own = view.own_gateway(place, set_name)
    service = view.services.get(place)
    foreign = service is not None and not is_ours(service["labels"])
    known = stored or {}
    # A Service that its operator made anew has lost what was noted on it.
    plane = view.plane_at(place) if foreign and not known else None
    return {
        "namespace": namespace,
        "name": name,
        "owner": known.get("owner", "smcp" if plane else "existing" if foreign and not known else "injection"),
        "adopt": known.get("adopt", False),
        "selector": own["selector"] if own and foreign else None,
        "control_plane": known.get("control_plane") or plane,
    }


def mark_steps(gateway: Gateway, view: View, set_name: str) -> list[Step]:
    """Return the steps that note on somebody else's front Service that ports are published on its gateway.

    That is a label, by which every run finds the Service, and an annotation with the definition, which every set reads.
    Both are fields of our own; an operator that renders the Service leaves alone what it did not render before.
    """
    if not writes_ports(gateway, view):
        return []
    obj = _bare_front(gateway, view)
    obj["metadata"]["labels"] = {GATEWAY_LABEL: gateway["name"]}
    obj["metadata"]["annotations"] = {DEFINITION_ANNOTATION: stored_definition(gateway, set_name)}
    return [share_step(obj, COLLECTION, force=True, adopt=True), *_settings_steps(gateway, view, gateway["service"])]


def unmark_steps(gateway: Gateway, view: View) -> list[Step]:
    """Return the steps that give a gateway back: nothing of it is removed but our marks and settings."""
    service = view.front_service(gateway)
    if service is None or service["definition"] is None:
        return []
    # The mark last: by it a removal that was stopped is found again.
    nothing = {"type": None, "annotations": {}}
    return [*_settings_steps(gateway, view, nothing), share_step(_bare_front(gateway, view), COLLECTION, adopt=True)]


def _settings_steps(gateway: Gateway, view: View, service: Mapping[str, Any]) -> list[Step]:
    """Return the step that brings a control plane to what a gateway's record says of its Service."""
    plane = view.plane_of(gateway)
    if plane is None:
        return []
    operations = _smcp.settings(plane, gateway["name"], service)
    place = (gateway["namespace"], gateway["name"])
    return [_plane_step(plane, place, operations)] if operations else []


def _bare_front(gateway: Gateway, view: View) -> dict[str, Any]:
    """Return just enough of a front Service to apply a share of it."""
    obj = bare_object("Service", gateway["name"], gateway["namespace"])
    obj["metadata"]["uid"] = view.services[(gateway["namespace"], gateway["name"])]["uid"]
    return obj


def smcp_steps(
    gateway: Gateway,
    listeners: Sequence[Mapping[str, Any]],
    leaving: Iterable[Mapping[str, Any]],
    view: View,
    set_name: str,
) -> tuple[list[Step], list[Step]]:
    """Return the steps that make a set's ports part of a control plane's list, and those that take out what leaves."""
    place = (gateway["namespace"], gateway["name"])
    plane = view.plane_of(gateway)
    if plane is None or place not in view.services:
        return [], []
    own = view.services[place]["managers"].get(set_manager(set_name), [])
    wanted = [item for item in listeners if not item.get("lent")]
    opened = _smcp.opening(plane, place[1], set_name, [_smcp.entry_of(item) for item in wanted], own)
    # Also where the list has them already: the operator may not have come round to the Service yet.
    until = {"ports": sorted(item["port"] for item in wanted)}
    opening = [_plane_step(plane, place, opened, wait=True, until=until)] if wanted or opened else []
    gone = [item for item in leaving if item["port"] in own]
    if not gone:
        return opening, []
    staying = [item["port"] for item in wanted]
    closed = _smcp.closing(plane, place[1], set_name, [item["port"] for item in gone], staying, bool(opened))
    return opening, [_plane_step(plane, place, closed, drain=sorted(item["target_port"] for item in gone))]


def _plane_step(
    plane: Mapping[str, Any], place: tuple[str, str], operations: Iterable[Mapping[str, Any]], **more: Any
) -> Step:
    """Return the step of a patch of a control plane, for the gateway at a place (namespace and name)."""
    obj = bare_object("ServiceMeshControlPlane", plane["name"], plane["namespace"])
    gateway = {"namespace": place[0], "name": place[1]}
    return patch_step(obj, plane["uid"], operations, gateway=gateway, **more)


# What the owner of a gateway means for writing.


def keeper(gateway: Gateway, view: View) -> Mapping[str, str] | None:
    """Return who keeps the object on which a gateway's ports stand, V(None) where nobody would change them back."""
    if gateway["owner"] == "smcp":
        plane = view.plane_of(gateway)
        return plane["in_charge"] if plane else None
    service = view.front_service(gateway)
    return service["in_charge"] if service else None


def writes_ports(gateway: Gateway, view: View) -> bool:
    """Tell whether ports are added to a gateway's list: never with C(ports=own), always with C(ports=patch).

    Without a word they are where nobody keeps that list who would undo it.
    """
    if gateway["ports"] is not None:
        return gateway["ports"] == "patch"
    return keeper(gateway, view) is None


# Checks.


def check_foreign(gateway: Gateway, view: View, set_name: str) -> Findings:
    """Check that a gateway that is somebody else's is as its record says, and that the record may say so."""
    subject = f"gateway {gateway['name']!r}"
    place = f"{gateway['namespace']}/{gateway['name']}"
    findings = _check_plane(gateway, view, subject) if gateway["owner"] == "smcp" else []
    service = view.front_service(gateway)
    if service is None:
        return findings or [finding("FRONT_MISSING", subject, service=place)]
    if is_ours(service["labels"]):
        key = "adopt" if gateway["adopt"] else "owner"
        rule = "this collection made that gateway itself; leave it out"
        return [finding("VALUE_INVALID", subject, key=key, value=gateway[key], rule=rule)]
    if not gateway["refers"]:
        findings += check_definer(gateway, view, set_name)
    if gateway["adopt"] and service["in_charge"]:
        values = {"service": place, "whose": whose(service["in_charge"]), "owner": _owner_for(service)}
        findings.append(finding("GATEWAY_NOT_ADOPTABLE", subject, **values))
    if not gateway["selector"] and not service["selector"]:
        findings.append(finding("SELECTOR_MISSING", subject, service=place))
    return findings + _check_pods(gateway, service, view, subject)


def check_definer(gateway: Gateway, view: View, set_name: str) -> Findings:
    """Check that no other set has defined a gateway otherwise."""
    holder = definer(gateway, view)
    if holder in (None, set_name):
        return []
    differs = differing(gateway, _stored(gateway, view))
    values = {"holder": holder, "set": set_name, "differs": ", ".join(differs)}
    return [finding("GATEWAY_DEFINED_ELSEWHERE", f"gateway {gateway['name']!r}", **values)]


def definer(gateway: Gateway, view: View) -> str | None:
    """Return the set that defined a gateway, V(None) where none did: its Deployment says it, or else its Service."""
    if not is_foreign(gateway):
        deployment = view.deployments.get((gateway["namespace"], gateway["name"]))
        return deployment["labels"].get(DEFINED_BY_LABEL) if deployment else None
    stored = _stored(gateway, view)
    return stored.get("set") if isinstance(stored, Mapping) else None


def _stored(gateway: Gateway, view: View) -> Any:
    """Return the definition that is stored beside a gateway, V(None) where there is none."""
    service = view.front_service(gateway)
    return service["definition"] if service else None


def referring(gateways: Iterable[Gateway], view: View, set_name: str) -> list[Gateway]:
    """Return gateways with those that another set defined in the same words as references to them."""
    return [
        {**gateway, "refers": True}
        if definer(gateway, view) not in (None, set_name) and not differing(gateway, _stored(gateway, view))
        else gateway
        for gateway in gateways
    ]


def check_not_foreign(gateway: Gateway, view: View) -> Findings:
    """Say of a front Service that somebody else made whose it is, and what its gateway's record would have to say."""
    service = view.front_service(gateway)
    if service is None or is_ours(service["labels"]) or service["definition"] is not None:
        return []
    subject = f"gateway {gateway['name']!r}"
    place = f"{gateway['namespace']}/{gateway['name']}"
    if service["in_charge"] is None:
        return [finding("GATEWAY_ADOPTABLE", subject, service=place)]
    values = {"service": place, "whose": whose(service["in_charge"]), "owner": _owner_for(service)}
    return [finding("GATEWAY_FOREIGN", subject, **values)]


def _owner_for(service: Mapping[str, Any]) -> str:
    """Return what a gateway's record says of an owner."""
    if service["in_charge"]["tool"] != "smcp":
        return "owner: existing"
    namespace, _slash, name = service["in_charge"]["name"].partition("/")
    return f"owner: smcp and control_plane: {{name: {name}, namespace: {namespace}}}"


def _check_plane(gateway: Gateway, view: View, subject: str) -> Findings:
    """Check that the control plane is there and has the gateway; warn of ports that it does not know."""
    wanted = gateway["control_plane"]
    known = view.state.get("smcps")
    plane = view.plane_named(wanted)
    if plane is None:
        there = ", ".join(f"{item['namespace']}/{item['name']}" for item in known or []) or "none"
        if known is None:
            there = "none that this account may list, or no maistra.io/v2 at all"
        return [finding("SMCP_MISSING", subject, plane=f"{wanted['namespace']}/{wanted['name']}", there=there)]
    section = plane["gateways"].get(gateway["name"])
    values = {"plane": f"{plane['namespace']}/{plane['name']}", "gateway": gateway["name"]}
    if section is None or section["namespace"] != gateway["namespace"]:
        there = ", ".join(f"{item['namespace']}/{name}" for name, item in plane["gateways"].items()) or "none"
        return [finding("SMCP_GATEWAY_MISSING", subject, **values, namespace=gateway["namespace"], there=there)]
    service = view.front_service(gateway)
    borrowed = service.get("borrowed") if service else None
    if borrowed:
        return [finding("PORTS_BORROWED", subject, **values, ports=", ".join(map(str, borrowed)))]
    return []


def _check_pods(gateway: Gateway, service: Mapping[str, Any], view: View, subject: str) -> Findings:
    """Warn of pods beside a gateway's own that its selector takes: Istio looks for them in all namespaces.

    (istio pilot/pkg/model/gateway.go, mergeGateways)
    """
    selector = (gateway["selector"] or service["selector"]).items()
    if not selector:
        return []
    own = service["selector"].items()
    others = [
        key
        for key, item in view.world.workloads().items()
        if selector <= item["labels"].items()
        and not (item["namespace"] == gateway["namespace"] and own <= item["labels"].items())
        and (item["namespace"] == gateway["namespace"] or not view.world.is_scoped(item))
    ]
    if not others:
        return []
    return [finding("SELECTOR_WIDE", subject, selector=labels_text(dict(selector)), pods=", ".join(sorted(others)))]


def check_ports(gateway: Gateway, ports: Iterable[Mapping[str, Any]], view: View) -> Findings:
    """Say which ports are missing where this run may not add them, with the edit that adds them."""
    service = view.front_service(gateway)
    if service is None or not is_foreign(gateway) or writes_ports(gateway, view):
        return []
    there = {item["port"]: item["target_port"] for item in service["ports"]}
    own = one_per_port(port for port in ports if port["gateway"] == gateway["name"])
    missing = [port for port in own if there.get(port["port"]) != port["target_port"]]
    if not missing:
        return []
    obj, place = f"Service {gateway['namespace']}/{gateway['name']}", "spec.ports"
    plane = view.plane_of(gateway) if gateway["owner"] == "smcp" else None
    if plane:
        obj = f"ServiceMeshControlPlane {plane['namespace']}/{plane['name']}"
        place = ".".join([*plane["gateways"][gateway["name"]]["path"], "service", "ports"])
    found = keeper(gateway, view)
    edit = [_smcp.entry_of(port) for port in missing]
    return [
        finding(
            "FRONT_PORTS_MISSING",
            f"gateway {gateway['name']!r}",
            object=obj,
            ports=", ".join(str(port["port"]) for port in missing),
            why=f"is kept by {whose(found)}" if found else "is its owner's own (ports: own)",
            where=where_to_edit(found, obj, place, gateway["name"]) if found else f"{obj}, {place}",
            edit=", ".join(_flow(entry) for entry in edit),
        )
    ]


def _flow(entry: Mapping[str, Any]) -> str:
    """Write one port as YAML in one line."""
    return "{" + ", ".join(f"{key}: {value}" for key, value in entry.items()) + "}"


def pod_selector(gateway: Gateway) -> dict[str, str]:
    """Return the labels of a gateway's pods: those that this collection gives, or those of somebody else's."""
    return dict(gateway.get("selector") or gateway_selector(gateway["name"], gateway["namespace"]))
