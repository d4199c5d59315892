# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read gateways, checked key by key, with defaults filled in.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._claims import read_claims
from ansible_collections.servicemesh.tcp.plugins.module_utils._definition import read_rules
from ansible_collections.servicemesh.tcp.plugins.module_utils._limit_keys import LIMIT_SERVICE_KEYS, read_limit_keys
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import DEFINITION_ANNOTATION
from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import (
    Problems,
    check_keys,
    read_all,
    read_choice,
    read_count,
    read_dict,
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
    " image image_pull_policy"
)
SERVICE_BUILT = LIMIT_SERVICE_KEYS | words("type annotations class source_ranges external_ips external_traffic_policy")
SERVICE_KEYS = SERVICE_BUILT | words("scope address")
AUTOSCALE_KEYS = words("min max cpu")
SERVICE_TYPES = ("LoadBalancer", "NodePort", "ClusterIP")
REFERENCE_KEYS = words("name namespace")
DEFAULT_RESOURCES: Mapping[str, Any] = {
    "requests": {"cpu": "100m", "memory": "128Mi"},
    "limits": {"cpu": "2", "memory": "1Gi"},
}


def _annotation(value: Any) -> str:
    """Return an annotation's value as text; a YAML boolean in the spelling that controllers compare with."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read_service(problems: Problems, raw: Any) -> dict[str, Any]:
    """Read what kind of front Service a gateway gets."""
    service = read_dict(problems, "service", raw)
    check_keys(problems, "service.", service, SERVICE_KEYS, SERVICE_BUILT)
    result = {
        "type": read_choice(problems, "service.type", service.get("type", "LoadBalancer"), SERVICE_TYPES),
        "annotations": {
            str(key): _annotation(value)
            for key, value in read_dict(problems, "service.annotations", service.get("annotations", {})).items()
        },
        "class": service.get("class"),
        "source_ranges": read_strings(problems, "service.source_ranges", service.get("source_ranges", [])),
        "external_ips": read_strings(problems, "service.external_ips", service.get("external_ips", [])),
        "external_traffic_policy": service.get("external_traffic_policy"),
        **read_limit_keys(problems, service),
    }
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
    if raw.get("owner", "injection") in ("smcp", "existing"):
        problems.add("KEY_NOT_BUILT", key=f"owner: {raw['owner']}")
    else:
        read_choice(problems, "owner", raw.get("owner", "injection"), ("injection",))
    if raw.get("replicas") is not None and raw.get("autoscale") is not None:
        problems.invalid("replicas", raw["replicas"], "a gateway with 'autoscale' has no 'replicas'")
    gateway: dict[str, Any] = {
        "name": read_label(problems, "name", raw.get("name")),
        "namespace": read_label(problems, "namespace", raw.get("namespace")),
        "refers": not set(raw) - REFERENCE_KEYS,
        "mesh": raw.get("mesh"),
        **read_rules(problems, raw),
        "claims": read_claims(problems, raw.get("claims")),
        "service": _read_service(problems, raw.get("service", {})),
        "replicas": read_count(problems, "replicas", raw.get("replicas", 1)),
        "autoscale": None,
        "resources": read_dict(problems, "resources", raw.get("resources", DEFAULT_RESOURCES)),
        "image": raw.get("image") or "auto",
        "image_pull_policy": read_choice(
            problems,
            "image_pull_policy",
            raw.get("image_pull_policy", "IfNotPresent"),
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
    gateway, findings = _read_gateway({**stored, **same}, subject)
    return (dict(reference) if findings else {**gateway, "refers": True}), findings
