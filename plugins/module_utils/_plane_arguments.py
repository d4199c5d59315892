# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what role control_plane is asked for, checked argument by argument, with the provider's defaults filled in.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import (
    Problems,
    check_keys,
    check_port,
    read_choice,
    read_dict,
    read_label,
    words,
)

# Each argument: the providers that take it, and what means that it was not given.
ARGUMENTS: Mapping[str, tuple[frozenset[str], Any]] = {
    "name": (words("ossm2 sail helm existing"), ""),
    "namespace": (words("ossm2 sail helm existing"), ""),
    "version": (words("ossm2 sail helm"), ""),
    "definition": (words("ossm2 sail"), {}),
    "mode": (words("ossm2"), ""),
    "identity": (words("ossm2"), ""),
    "manage_network_policy": (words("ossm2"), True),
    "tracing": (words("ossm2"), ""),
    "addons": (words("ossm2"), []),
    "gateways": (words("ossm2"), []),
    "profile": (words("sail helm"), ""),
    "values": (words("sail helm"), {}),
    "discovery_selectors": (words("sail helm"), []),
    "tag": (words("sail helm"), ""),
    "update_strategy": (words("sail"), ""),
    "inactive_seconds": (words("sail"), 30),
    "cni": (words("sail"), "auto"),
    "cni_namespace": (words("sail"), "istio-cni"),
    "chart_base": (words("helm"), ""),
    "chart_istiod": (words("helm"), ""),
    "chart_repository": (words("helm"), ""),
    "rights": (words("ossm2 sail helm"), []),
    "adopt": (words("ossm2 sail"), False),
}
PROVIDERS = ("ossm2", "sail", "helm", "existing")
# The operators' own names for the first mesh: seed 003 has 'basic', the Sail operator's documents have 'default'.
NAMES: Mapping[str, str] = {"ossm2": "basic", "sail": "default", "helm": "default", "existing": ""}
# An SMCP of 1.x is another kind of object; a Sail version may be the newest of its line.
VERSIONS: Mapping[str, tuple[str, str]] = {
    "ossm2": (r"v2\.\d+", "it must be a release of OpenShift Service Mesh 2 with its v, such as v2.6"),
    "sail": (
        r"v\d+\.\d+(\.\d+(-[\w.]+)?|-latest)",
        "it must be a version of Istio with its v, such as v1.30.3 or v1.30-latest",
    ),
    "helm": (r"\d+\.\d+\.\d+(-[\w.]+)?", "it must be a version of the charts, such as 1.30.3"),
}
CHOICES: Mapping[str, tuple[str, ...]] = {
    "mode": ("MultiTenant", "ClusterWide"),
    "identity": ("Kubernetes", "ThirdParty"),
    "update_strategy": ("InPlace", "RevisionBased"),
}
GATEWAY_KEYS = words(
    "name direction enabled namespace type annotations labels ports source_ranges external_traffic_policy"
    " load_balancer_ip runtime"
)
PORT_KEYS = words("port target_port node_port name")
RIGHT_KEYS = words("kind name")
# The gateways that every SMCP has; they are no additional ones (maistra/istio-operator, v2/gateways.go).
RESERVED: Mapping[str, str] = {"istio-ingressgateway": "ingress", "istio-egressgateway": "egress"}


def read_arguments(wanted: Mapping[str, Any]) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Read the arguments; with findings, what is returned is not to be planned with."""
    provider = wanted["provider"]
    problems = Problems(f"control plane {wanted.get('name') or NAMES.get(provider, '')!r}")
    if provider not in PROVIDERS:
        problems.invalid("provider", provider, f"it must be one of {', '.join(PROVIDERS)}")
        return {}, problems.findings
    plane: dict[str, Any] = {"provider": provider, "namespace_state": wanted.get("namespace_state", "required")}
    for key, (providers, nothing) in ARGUMENTS.items():
        value = wanted.get(key, nothing)
        if value != nothing and provider not in providers:
            allowed = " or ".join(sorted(providers))
            problems.invalid(key, value, f"provider {provider} does not know it, {allowed} does")
        plane[key] = value
    plane["name"] = read_label(problems, "name", plane["name"] or NAMES[provider]) if provider != "existing" else ""
    if provider == "existing":
        plane["name"] = wanted.get("name", "")
    else:
        plane["namespace"] = read_label(problems, "namespace", plane["namespace"])
    for key, choices in CHOICES.items():
        if plane[key]:
            read_choice(problems, key, plane[key], choices)
    pattern, rule = VERSIONS.get(provider, ("", ""))
    if plane["version"] and not re.fullmatch(pattern, str(plane["version"])):
        problems.invalid("version", plane["version"], rule)
    plane["definition"] = read_dict(problems, "definition", plane["definition"])
    plane["values"] = read_dict(problems, "values", plane["values"])
    plane["gateways"] = _gateways(problems, plane["gateways"])
    plane["rights"] = _rights(problems, plane["rights"])
    if provider == "helm" and not (plane["chart_base"] and plane["chart_istiod"]):
        rule = "provider helm needs both charts, each as a name, a path or an address"
        problems.invalid("chart_base, chart_istiod", [plane["chart_base"], plane["chart_istiod"]], rule)
    return plane, problems.findings


def _rights(problems: Problems, raw: Any) -> list[dict[str, str]]:
    """Read who gets rights in the control plane's namespace."""
    found = []
    for index, item in enumerate(raw or []):
        right = read_dict(problems, f"rights[{index}]", item)
        check_keys(problems, f"rights[{index}].", right, RIGHT_KEYS, RIGHT_KEYS)
        kind = read_choice(problems, f"rights[{index}].kind", right.get("kind", "User"), ("User", "Group"))
        if not right.get("name"):
            problems.invalid(f"rights[{index}].name", right.get("name"), "it must name a user or a group")
        found.append({"kind": kind, "name": str(right.get("name"))})
    return found


def _gateways(problems: Problems, raw: Any) -> list[dict[str, Any]]:
    """Read the gateways of an SMCP."""
    found: list[dict[str, Any]] = []
    for index, item in enumerate(raw or []):
        where = f"gateways[{index}]"
        given = {key: value for key, value in read_dict(problems, where, item).items() if value is not None}
        check_keys(problems, f"{where}.", given, GATEWAY_KEYS, GATEWAY_KEYS)
        name = read_label(problems, f"{where}.name", given.get("name"))
        direction = given.get("direction") or RESERVED.get(name, "ingress")
        read_choice(problems, f"{where}.direction", direction, ("ingress", "egress"))
        if direction != RESERVED.get(name, direction):
            problems.invalid(f"{where}.direction", direction, f"{name} is the {RESERVED[name]} gateway of every SMCP")
        if name in [other["name"] for other in found]:
            problems.add("NAME_TAKEN", name=name, times=2, scope="a gateway's name is unique in its SMCP")
        ports = [_port(problems, f"{where}.ports", port) for port in given.get("ports") or []]
        numbers = [port["port"] for port in ports if port]
        if len(set(numbers)) != len(numbers):
            problems.invalid(f"{where}.ports", numbers, "each port stands there once")
        gateway = {**given, "name": name, "direction": direction, "additional": name not in RESERVED}
        found.append({**gateway, "ports": [port for port in ports if port]})
    return found


def _port(problems: Problems, where: str, raw: Any) -> dict[str, Any] | None:
    """Read one port of an SMCP's gateway, given as a number or as a mapping.

    The pods may not listen below 1024 (ISTIO_META_UNPRIVILEGED_POD), so a low port gets a high target, as elsewhere.
    """
    given = {"port": raw} if not isinstance(raw, Mapping) else {key: raw[key] for key in raw if raw[key] is not None}
    check_keys(problems, f"{where}.", given, PORT_KEYS, PORT_KEYS)
    number = check_port(problems, f"{where}.port", given.get("port"))
    if number is None:
        return None
    default = {80: 8080, 443: 8443}.get(number, number if number >= 1024 else number + 10000)
    target = check_port(problems, f"{where}.target_port", given.get("target_port", default), low=1024)
    port = {"name": given.get("name") or f"tcp-{number}", "port": number, "targetPort": target, "protocol": "TCP"}
    if "node_port" in given:
        port["nodePort"] = check_port(problems, f"{where}.node_port", given["node_port"])
    return port
