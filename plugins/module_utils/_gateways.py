# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read gateways, checked key by key, with defaults filled in.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._claims import read_claims
from ansible_collections.servicemesh.tcp.plugins.module_utils._definition import WORKLOAD_DEFAULTS, read_rules
from ansible_collections.servicemesh.tcp.plugins.module_utils._limit_keys import LIMIT_SERVICE_KEYS, read_limit_keys
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import DEFINITION_ANNOTATION
from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import (
    Problems,
    check_keys,
    read_all,
    read_annotations,
    read_choice,
    read_count,
    read_dict,
    read_flag,
    read_label,
    read_strings,
    words,
)

# All keys of the design; those that are not in the second table are refused as not built yet.
GATEWAY_KEYS = words(
    "name namespace owner mesh selector service pool strict_pool reserved claims replicas autoscale"
    " resources image image_pull_policy drain proxy_protocol observe adopt ports control_plane"
)
GATEWAY_BUILT = words(
    "name namespace owner mesh service pool strict_pool reserved claims drain replicas autoscale resources"
    " image image_pull_policy selector adopt ports control_plane"
)
# What describes a workload or a Service that this collection makes, and says nothing of somebody else's.
WORKLOAD_KEYS = words("replicas autoscale resources image image_pull_policy drain mesh")
FOREIGN_SERVICE_KEYS = {
    "injection": words("provider limits"),
    "existing": words("provider limits"),
    "smcp": words("provider limits type annotations"),
}
OWNERS = ("injection", "existing", "smcp")
PLANE_KEYS = words("name namespace")
SERVICE_BUILT = LIMIT_SERVICE_KEYS | words("type annotations class source_ranges external_ips external_traffic_policy")
SERVICE_KEYS = SERVICE_BUILT | words("scope address")
AUTOSCALE_KEYS = words("min max cpu")
SERVICE_TYPES = ("LoadBalancer", "NodePort", "ClusterIP")
REFERENCE_KEYS = words("name namespace")


def _read_service(problems: Problems, raw: Any, foreign: str | None = None) -> dict[str, Any]:
    """Read what kind of front Service a gateway gets; one that is C(foreign) has its type already."""
    service = read_dict(problems, "service", raw)
    check_keys(problems, "service.", service, SERVICE_KEYS, SERVICE_BUILT)
    result = {
        "type": _read_type(problems, service, foreign),
        "annotations": read_annotations(problems, "service.annotations", service.get("annotations", {})),
        "class": service.get("class"),
        "source_ranges": read_strings(problems, "service.source_ranges", service.get("source_ranges", [])),
        "external_ips": read_strings(problems, "service.external_ips", service.get("external_ips", [])),
        "external_traffic_policy": service.get("external_traffic_policy"),
        **read_limit_keys(problems, service),
    }
    for key in sorted(set(service) - FOREIGN_SERVICE_KEYS[foreign] if foreign else ()):
        problems.invalid(f"service.{key}", service[key], _FOREIGN_RULE)
    if foreign:
        return result
    if result["type"] != "LoadBalancer":
        for key in ("class", "source_ranges"):
            if result[key]:
                problems.invalid(f"service.{key}", result[key], "only a Service of type LoadBalancer has it")
    if result["external_traffic_policy"] is not None:
        if result["type"] == "ClusterIP" and not result["external_ips"]:
            problems.invalid(
                "service.external_traffic_policy",
                result["external_traffic_policy"],
                "a ClusterIP Service without external_ips takes no traffic from outside",
            )
        read_choice(
            problems, "service.external_traffic_policy", result["external_traffic_policy"], ("Cluster", "Local")
        )
    return result


def _read_type(problems: Problems, service: Mapping[str, Any], foreign: str | None) -> str | None:
    """Read the Service's type; V(None) stands for what somebody else's has."""
    if foreign and "type" not in service:
        return None
    return read_choice(problems, "service.type", service.get("type", "LoadBalancer"), SERVICE_TYPES)


_FOREIGN_RULE = "the gateway is somebody else's, and this is for its owner to say"


def _read_owner(problems: Problems, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Read whose a gateway is: C(owner), C(adopt), C(ports), C(selector) and C(control_plane)."""
    owner = read_choice(problems, "owner", raw.get("owner", "injection"), OWNERS)
    adopt = read_flag(problems, "adopt", raw.get("adopt", False))
    ports = raw.get("ports")
    if ports is not None:
        read_choice(problems, "ports", ports, ("own", "patch"))
        if owner == "injection":
            problems.invalid("ports", ports, "it is for the owners 'existing' and 'smcp'")
    if adopt and owner == "smcp":
        problems.invalid("adopt", adopt, "the gateway of a control plane stays the control plane's")
    if owner != "injection" or adopt:
        for key in sorted(WORKLOAD_KEYS & set(raw)):
            problems.invalid(key, raw[key], _FOREIGN_RULE)
    selector = None
    if raw.get("selector") is not None:
        selector = read_dict(problems, "selector", raw["selector"])
        if owner == "injection" and not adopt:
            problems.invalid("selector", selector, "a gateway that this collection makes has labels of its own")
        elif not selector or not all(isinstance(item, str) for pair in selector.items() for item in pair):
            problems.invalid("selector", selector, "it must be labels of the gateway's pods, texts by their names")
    return {
        "owner": owner,
        "adopt": adopt,
        "ports": ports,
        "selector": selector,
        "control_plane": _read_plane(problems, raw, owner),
    }


def _read_plane(problems: Problems, raw: Mapping[str, Any], owner: str) -> dict[str, str] | None:
    """Read which ServiceMeshControlPlane a gateway belongs to; it lies in the gateway's namespace unless it says."""
    given = raw.get("control_plane")
    if owner != "smcp":
        if given is not None:
            problems.invalid("control_plane", given, "it is for the owner 'smcp'")
        return None
    if given is None:
        problems.invalid("control_plane", given, "the owner 'smcp' needs the name of the ServiceMeshControlPlane")
        return None
    plane = read_dict(problems, "control_plane", given)
    check_keys(problems, "control_plane.", plane, PLANE_KEYS, PLANE_KEYS)
    return {
        "name": read_label(problems, "control_plane.name", plane.get("name")),
        "namespace": read_label(problems, "control_plane.namespace", plane.get("namespace", raw.get("namespace"))),
    }


def _read_autoscale(problems: Problems, raw: Any) -> dict[str, int]:
    """Read the bounds of a HorizontalPodAutoscaler."""
    autoscale = read_dict(problems, "autoscale", raw)
    check_keys(problems, "autoscale.", autoscale, AUTOSCALE_KEYS, AUTOSCALE_KEYS)
    result = {
        "min": read_count(problems, "autoscale.min", autoscale.get("min", 2)),
        "max": read_count(problems, "autoscale.max", autoscale.get("max", 5)),
        "cpu": read_count(problems, "autoscale.cpu", autoscale.get("cpu", 80)),
    }
    if result["min"] > result["max"]:
        problems.invalid("autoscale.min", result["min"], f"it is above autoscale.max ({result['max']})")
    return result


def _read_gateway(raw: Mapping[str, Any], subject: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Read one gateway."""
    problems = Problems(subject)
    check_keys(problems, "", raw, GATEWAY_KEYS, GATEWAY_BUILT)
    owner = _read_owner(problems, raw)
    foreign = owner["owner"] if owner["owner"] in OWNERS[1:] or owner["adopt"] else None
    if raw.get("replicas") is not None and raw.get("autoscale") is not None:
        problems.invalid("replicas", raw["replicas"], "a gateway with 'autoscale' has no 'replicas'")
    gateway: dict[str, Any] = {
        "name": read_label(problems, "name", raw.get("name")),
        "namespace": read_label(problems, "namespace", raw.get("namespace")),
        "refers": not set(raw) - REFERENCE_KEYS,
        "mesh": raw.get("mesh"),
        **owner,
        **read_rules(problems, raw),
        "claims": read_claims(problems, raw.get("claims")),
        "service": _read_service(problems, raw.get("service", {}), foreign),
        "replicas": read_count(problems, "replicas", raw.get("replicas", WORKLOAD_DEFAULTS["replicas"])),
        "autoscale": None,
        "resources": read_dict(problems, "resources", raw.get("resources", WORKLOAD_DEFAULTS["resources"])),
        "image": raw.get("image") or WORKLOAD_DEFAULTS["image"],
        "image_pull_policy": read_choice(
            problems,
            "image_pull_policy",
            raw.get("image_pull_policy", WORKLOAD_DEFAULTS["image_pull_policy"]),
            ("Always", "IfNotPresent", "Never"),
        ),
    }
    if raw.get("autoscale") is not None:
        gateway["autoscale"] = _read_autoscale(problems, raw["autoscale"])
    return gateway, problems.findings


def read_gateways(raw_gateways: Iterable[Any]) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Read all gateways: what is good, and the findings about what is not."""
    return read_all(
        raw_gateways, "gateway", "tcp_gateways", _read_gateway, "a gateway's name is unique in an inventory"
    )


def as_stored(reference: Mapping[str, Any], service: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Return a gateway that is only referred to with the definition that is stored at its front Service.

    One that was made before definitions were stored has a Service of its type, and neither pool nor reservations.
    """
    subject = f"Service {service['namespace']}/{service['name']}, its annotation {DEFINITION_ANNOTATION}"
    stored = service["definition"]
    if stored is None:
        stored = {"service": {"type": service["type"]}}
    problems = Problems(subject)
    if not isinstance(stored, Mapping):
        problems.invalid("definition", stored, "it must be the JSON that role gateways writes")
        return dict(reference), problems.findings
    same = {key: reference[key] for key in ("name", "namespace")}
    # Who defined it is no part of the definition.
    definition = {key: value for key, value in stored.items() if key != "set"}
    gateway, findings = _read_gateway({**definition, **same}, subject)
    return (dict(reference) if findings else {**gateway, "refers": True}), findings
