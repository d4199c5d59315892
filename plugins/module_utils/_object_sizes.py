# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How large the objects of a plan get, against what the API server can store.

etcd takes requests of up to 1.5 MiB (etcd, server/embed/config.go, DefaultMaxRequestBytes). A dry run does not notice,
because it ends before etcd. On the lab (Kubernetes v1.34.4, ports of five digits) the first refusal, "etcdserver:
request is too large", came between 10,331 and 10,366 ports of a Service, 18,049 and 18,077 servers of a Gateway, and
11,386 and 11,421 rules of a VirtualService with host names of 52 characters.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import describe
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import GATEWAY_LABEL

OBJECT_BYTES = 3 * 1024 * 1024 // 2
# What the server adds to any object: uid, times, the entries of managedFields, status.
OVERHEAD_BYTES = 2000
# One port of a Service as it is stored: protobuf beside its name, and its entry in managedFields beside its digits.
PORT_BYTES = 25
PORT_FIELDS_BYTES = 104
NODE_PORT_FIELD_BYTES = 16
# Custom resources are stored as JSON, much as they are sent; a NetworkPolicy would break long after its Service.
JSON_KINDS = ("Gateway", "VirtualService")


def service_bytes(ports: Iterable[Mapping[str, Any]]) -> int:
    """Estimate how many bytes a Service takes with these ports of all owners."""
    total = OVERHEAD_BYTES
    for port in ports:
        total += PORT_BYTES + len(port["name"]) + PORT_FIELDS_BYTES + len(str(port["port"]))
        total += NODE_PORT_FIELD_BYTES if port["node_port"] else 0
    return total


def check_sizes(
    gateways: Iterable[Mapping[str, Any]], fronts: Iterable[Mapping[str, Any]], steps: Iterable[Mapping[str, Any]]
) -> list[dict[str, str]]:
    """Find the front Services and the objects of steps that are too large to be stored."""
    given = {
        (item["namespace"], item["name"]): item["service"]["limits"]["object_bytes"]
        for item in gateways
        if "object_bytes" in item["service"]["limits"]
    }
    findings = []
    for front in fronts:
        limit = given.get((front["namespace"], front["gateway"]))
        cure = "Set service.max_ports, so that the ports are spread over several front Services"
        subject = f"Service {front['namespace']}/{front['name']}"
        findings += _check(subject, service_bytes(front["ports"]), len(front["ports"]), limit, cure)
    for step in steps:
        obj = step["object"]
        if step["state"] == "present" and obj["kind"] in JSON_KINDS:
            limit = given.get((obj["metadata"]["namespace"], obj["metadata"]["labels"][GATEWAY_LABEL]))
            size = len(json.dumps(obj, separators=(",", ":"))) + OVERHEAD_BYTES
            count = len(obj["spec"].get("servers") or obj["spec"].get("tcp") or [])
            findings += _check(describe(obj), size, count, limit, "Divide the records between two sets or two gateways")
    return findings


def _check(subject: str, size: int, count: int, given: int | None, cure: str) -> list[dict[str, str]]:
    """Compare one object's size with the limit."""
    limit = given or OBJECT_BYTES
    if size <= limit:
        return []
    source = "service.limits.object_bytes" if given else "etcd --max-request-bytes, its default"
    values = {"size": size, "count": count, "limit": limit, "source": source, "cure": cure}
    return [finding("OBJECT_TOO_LARGE", subject, **values)]
