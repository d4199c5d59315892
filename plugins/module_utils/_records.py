# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what people write: port records and gateways, checked key by key, with defaults filled in.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding

# All keys of the design; those that are not in the second table are refused as not built yet.
RECORD_KEYS = frozenset(
    [
        "name",
        "gateway",
        "port",
        "target_port",
        "node_port",
        "backend",
        "backends",
        "protocol",
        "tls",
        "hosts",
        "paths",
        "door",
        "allow_from",
        "deny_from",
        "timeouts",
        "limits",
        "keepalive",
        "outliers",
        "proxy_protocol",
        "fix_protocol",
        "probe",
        "was",
        "adopt",
        "scope",
    ]
)
RECORD_BUILT = frozenset(["name", "gateway", "port", "target_port", "node_port", "backend", "protocol", "probe"])
GATEWAY_KEYS = frozenset(
    [
        "name",
        "namespace",
        "owner",
        "mesh",
        "selector",
        "service",
        "pool",
        "strict_pool",
        "reserved",
        "claims",
        "replicas",
        "autoscale",
        "resources",
        "image",
        "image_pull_policy",
        "drain",
        "proxy_protocol",
        "observe",
        "adopt",
        "ports",
        "control_plane",
    ]
)
GATEWAY_BUILT = frozenset(
    [
        "name",
        "namespace",
        "owner",
        "mesh",
        "service",
        "replicas",
        "autoscale",
        "resources",
        "image",
        "image_pull_policy",
    ]
)
SERVICE_KEYS = frozenset(
    [
        "type",
        "scope",
        "address",
        "annotations",
        "class",
        "provider",
        "source_ranges",
        "external_ips",
        "external_traffic_policy",
        "limits",
        "max_ports",
    ]
)
SERVICE_BUILT = frozenset(["type", "annotations", "class", "source_ranges", "external_ips", "external_traffic_policy"])
BACKEND_KEYS = frozenset(["namespace", "service", "port"])
PROBE_KEYS = frozenset(["mode", "from", "send", "expect", "timeout"])
PROBE_BUILT = frozenset(["mode", "send", "expect", "timeout"])
AUTOSCALE_KEYS = frozenset(["min", "max", "cpu"])

SERVICE_TYPES = ("LoadBalancer", "NodePort", "ClusterIP")
PROBE_MODES = ("connect", "send", "none")
# Everything a gateway is made of besides its name; a record without any of it only refers to a gateway.
REFERENCE_KEYS = frozenset({"name", "namespace"})

DEFAULT_RESOURCES: Mapping[str, Any] = {
    "requests": {"cpu": "100m", "memory": "128Mi"},
    "limits": {"cpu": "2", "memory": "1Gi"},
}

# Kubernetes' rule for namespaces, Services and label-like names (RFC 1123 label).
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
DNS_LABEL_RULE = "it must be 1 to 63 lower-case letters, digits or '-', and begin and end with a letter or digit"


class Problems:
    """Findings about one subject, gathered while it is read."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.findings: list[dict[str, str]] = []

    def add(self, code: str, **values: Any) -> None:
        """Add one finding about the subject."""
        self.findings.append(finding(code, self.subject, **values))

    def invalid(self, key: str, value: Any, rule: str) -> None:
        """Add C(VALUE_INVALID)."""
        self.add("VALUE_INVALID", key=key, value=value, rule=rule)


def suggestion(word: str, known: Iterable[str]) -> str:
    """Ask for the known word that is nearest: C(did you mean 'backend'?), '' where none is near."""
    match = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.5)
    return f"did you mean {match[0]!r}?" if match else ""


def to_port(value: Any) -> int | None:
    """Read a port written as number or text; V(None) where it is neither."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*-?\d{1,9}\s*", value):
        return int(value)
    return None


def is_reserved(port: int) -> bool:
    """Tell whether Istio keeps a port for itself (istio.io "Application requirements": 15000 to 15090)."""
    return 15000 <= port <= 15099


def check_port(problems: Problems, key: str, value: Any, low: int = 1, high: int = 65535) -> int | None:
    """Read a port and check its range."""
    port = to_port(value)
    if port is None:
        if value == "auto" or isinstance(value, list) or (isinstance(value, str) and re.fullmatch(r"\d+-\d+", value)):
            problems.add("KEY_NOT_BUILT", key=f"{key}: {value}")
        else:
            problems.invalid(key, value, "a port is a whole number")
        return None
    if not low <= port <= high:
        problems.add("PORT_OUT_OF_RANGE", key=key, port=port, allowed=f"{low} to {high}")
        return None
    return port


def _keys(problems: Problems, where: str, given: Mapping[str, Any], known: Iterable[str], built: Iterable[str]) -> None:
    """Refuse keys that are not known, with the nearest one that is, and keys that are not built yet."""
    for key in given:
        if key not in known:
            meant = suggestion(str(key), known) or f"known are {', '.join(sorted(known))}."
            problems.add("KEY_UNKNOWN", key=f"{where}{key}", nearest=meant)
        elif key not in built:
            problems.add("KEY_NOT_BUILT", key=f"{where}{key}")


def _label(problems: Problems, key: str, value: Any) -> str:
    """Read a name that Kubernetes takes as an RFC 1123 label."""
    if not isinstance(value, str) or not DNS_LABEL.fullmatch(value):
        problems.invalid(key, value, DNS_LABEL_RULE)
        return ""
    return value


def _dict(problems: Problems, key: str, value: Any) -> dict[str, Any]:
    """Read a mapping; anything else is a finding and empty."""
    if isinstance(value, Mapping):
        return dict(value)
    problems.invalid(key, value, "it must be a mapping")
    return {}


def _choice(problems: Problems, key: str, value: Any, choices: Iterable[str]) -> str:
    """Read one of several words."""
    if value not in choices:
        problems.invalid(key, value, f"it must be one of {', '.join(choices)}")
    return value


def _count(problems: Problems, key: str, value: Any) -> int:
    """Read a whole number of at least 1."""
    number = to_port(value)
    if number is None or number < 1:
        problems.invalid(key, value, "it must be a whole number from 1 on")
        return 1
    return number


def _strings(problems: Problems, key: str, value: Any) -> list[str]:
    """Read a list of texts."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        problems.invalid(key, value, "it must be a list of texts")
        return []
    return list(value)


def _probe(problems: Problems, value: Any) -> dict[str, Any]:
    """Read how a port is proven; a record without a word is proven by a silent session."""
    probe = _dict(problems, "probe", value)
    _keys(problems, "probe.", probe, PROBE_KEYS, PROBE_BUILT)
    mode = probe.get("mode", "send" if "send" in probe else "connect")
    result: dict[str, Any] = {"mode": _choice(problems, "probe.mode", mode, PROBE_MODES)}
    if mode == "send":
        if not isinstance(probe.get("send"), str) or not probe["send"]:
            problems.invalid("probe.send", probe.get("send"), "mode 'send' needs the text to send")
        result["send"] = probe.get("send", "")
        result["expect"] = probe.get("expect", "")
        if not isinstance(result["expect"], str):
            problems.invalid("probe.expect", result["expect"], "it must be a text, or a pattern between slashes")
    else:
        for key in ("send", "expect"):
            if key in probe:
                problems.invalid(f"probe.{key}", probe[key], f"it has no meaning with mode {mode!r}")
    timeout = probe.get("timeout", 5)
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout < math.inf:
        problems.invalid("probe.timeout", timeout, "it must be a number of seconds above 0")
    else:
        result["timeout"] = timeout
    return result


def _read_record(raw: Mapping[str, Any], subject: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Read one port record."""
    problems = Problems(subject)
    _keys(problems, "", raw, RECORD_KEYS, RECORD_BUILT)
    name = raw.get("name")
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        problems.invalid("name", name, "every record needs a name of printable characters")
    record: dict[str, Any] = {
        "name": name,
        "gateway": _label(problems, "gateway", raw.get("gateway")),
        "port": check_port(problems, "port", raw.get("port")),
        "target_port": None,
        "node_port": None,
        "protocol": _choice(problems, "protocol", raw.get("protocol", "tcp"), ("tcp",)),
        "probe": _probe(problems, raw.get("probe", {})),
    }
    if raw.get("target_port") is not None:
        record["target_port"] = check_port(problems, "target_port", raw["target_port"], low=1024)
    if raw.get("node_port") is not None:
        record["node_port"] = check_port(problems, "node_port", raw["node_port"])
    for key in ("port", "target_port"):
        if record[key] is not None and is_reserved(record[key]):
            problems.add("PORT_RESERVED", key=key, port=record[key])
    backend = _dict(problems, "backend", raw.get("backend", {}))
    _keys(problems, "backend.", backend, BACKEND_KEYS, BACKEND_KEYS)
    record["backend"] = {
        "namespace": _label(problems, "backend.namespace", backend.get("namespace")),
        "service": _label(problems, "backend.service", backend.get("service")),
        "port": check_port(problems, "backend.port", backend.get("port")),
    }
    return record, problems.findings


def read_records(raw_records: Iterable[Any]) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Read all port records of a set: what is good, and the findings about what is not."""
    records: list[dict[str, Any]] = []
    findings: list[dict[str, str]] = []
    for index, raw in enumerate(raw_records):
        subject = f"tcp_ports[{index}]"
        if not isinstance(raw, Mapping):
            findings.append(
                finding("VALUE_INVALID", subject, key="record", value=raw, rule="a record is a mapping with a name")
            )
            continue
        if isinstance(raw.get("name"), str) and raw["name"].strip():
            subject = f"record {raw['name']!r}"
        record, found = _read_record(raw, subject)
        findings += found
        if not found:
            records.append(record)
    findings += _taken_names(records, "record", "a record's name is unique in its set")
    return records, findings


def _taken_names(items: Iterable[Mapping[str, Any]], noun: str, scope: str) -> list[dict[str, str]]:
    """Find names that are used more than once."""
    counts = Counter(item["name"] for item in items)
    return [
        finding("NAME_TAKEN", f"{noun} {name!r}", name=name, times=times, scope=scope)
        for name, times in sorted(counts.items())
        if times > 1
    ]


def _read_service(problems: Problems, raw: Any) -> dict[str, Any]:
    """Read what kind of front Service a gateway gets."""
    service = _dict(problems, "service", raw)
    _keys(problems, "service.", service, SERVICE_KEYS, SERVICE_BUILT)
    result = {
        "type": _choice(problems, "service.type", service.get("type", "LoadBalancer"), SERVICE_TYPES),
        "annotations": {
            str(key): str(value)
            for key, value in _dict(problems, "service.annotations", service.get("annotations", {})).items()
        },
        "class": service.get("class"),
        "source_ranges": _strings(problems, "service.source_ranges", service.get("source_ranges", [])),
        "external_ips": _strings(problems, "service.external_ips", service.get("external_ips", [])),
        "external_traffic_policy": service.get("external_traffic_policy"),
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
        _choice(problems, "service.external_traffic_policy", result["external_traffic_policy"], ("Cluster", "Local"))
    return result


def _read_autoscale(problems: Problems, raw: Any) -> dict[str, int]:
    """Read the bounds of a HorizontalPodAutoscaler."""
    autoscale = _dict(problems, "autoscale", raw)
    _keys(problems, "autoscale.", autoscale, AUTOSCALE_KEYS, AUTOSCALE_KEYS)
    result = {
        "min": _count(problems, "autoscale.min", autoscale.get("min", 2)),
        "max": _count(problems, "autoscale.max", autoscale.get("max", 5)),
        "cpu": _count(problems, "autoscale.cpu", autoscale.get("cpu", 80)),
    }
    if result["min"] > result["max"]:
        problems.invalid("autoscale.min", result["min"], f"it is above autoscale.max ({result['max']})")
    return result


def _read_gateway(raw: Mapping[str, Any], subject: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Read one gateway."""
    problems = Problems(subject)
    _keys(problems, "", raw, GATEWAY_KEYS, GATEWAY_BUILT)
    if raw.get("owner", "injection") in ("smcp", "existing"):
        problems.add("KEY_NOT_BUILT", key=f"owner: {raw['owner']}")
    else:
        _choice(problems, "owner", raw.get("owner", "injection"), ("injection",))
    if raw.get("replicas") is not None and raw.get("autoscale") is not None:
        problems.invalid("replicas", raw["replicas"], "a gateway with 'autoscale' has no 'replicas'")
    gateway: dict[str, Any] = {
        "name": _label(problems, "name", raw.get("name")),
        "namespace": _label(problems, "namespace", raw.get("namespace")),
        "refers": not set(raw) - REFERENCE_KEYS,
        "mesh": raw.get("mesh"),
        "service": _read_service(problems, raw.get("service", {})),
        "replicas": _count(problems, "replicas", raw.get("replicas", 1)),
        "autoscale": None,
        "resources": _dict(problems, "resources", raw.get("resources", DEFAULT_RESOURCES)),
        "image": raw.get("image") or "auto",
        "image_pull_policy": _choice(
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
    gateways: list[dict[str, Any]] = []
    findings: list[dict[str, str]] = []
    for index, raw in enumerate(raw_gateways):
        subject = f"tcp_gateways[{index}]"
        if not isinstance(raw, Mapping):
            findings.append(
                finding("VALUE_INVALID", subject, key="gateway", value=raw, rule="a gateway is a mapping with a name")
            )
            continue
        if isinstance(raw.get("name"), str):
            subject = f"gateway {raw['name']!r}"
        gateway, found = _read_gateway(raw, subject)
        findings += found
        if not found:
            gateways.append(gateway)
    findings += _taken_names(gateways, "gateway", "a gateway's name is unique in an inventory")
    return gateways, findings
