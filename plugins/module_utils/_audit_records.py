# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records for adoption: from what others published by hand, what one would write into an inventory to take it over.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._names import GATEWAY_LABEL, is_ours
from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import is_reserved

# Owners whose tool would write it again, so that taking it over is a quarrel.
KEPT_BY_TOOLS = ("argocd", "flux", "helm", "olm", "operator", "terraform", "pulumi")


def adoption(rows: Iterable[Mapping[str, Any]], services: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return C({tcp_gateways, tcp_ports, left_out}); left out is what this collection cannot publish, with the reason.

    Every record has C(adopt), so that C(gateway_port_map) takes the port over. A gateway that is not this collection's
    is C(owner: existing).
    """
    by_place = {f"Service {item['namespace']}/{item['name']}": item for item in services}
    gateways: dict[tuple[str, str], dict[str, Any]] = {}
    records: dict[tuple[str, str, int], dict[str, Any]] = {}
    left_out = []
    for row in rows:
        service = by_place.get(row["object"])
        if not row["gateway"] or service is None or row["owner"]["kind"] == "set" or not row["listener"]:
            continue
        why = _unfit(row)
        if why:
            left_out.append({"id": row["id"], "why": why})
            continue
        gateway = _gateway(service)
        gateways[(gateway["namespace"], gateway["name"])] = gateway
        backend = row["backends"][0]
        records[(gateway["namespace"], gateway["name"], row["service_port"])] = {
            "name": f"{backend['service']}-{row['service_port']}",
            "gateway": gateway["name"],
            "port": row["service_port"],
            "adopt": True,
            "backend": {key: backend[key] for key in ("namespace", "service", "port")},
        }
    return {
        "tcp_gateways": [gateways[place] for place in sorted(gateways)],
        "tcp_ports": _named_apart([records[key] for key in sorted(records)]),
        "left_out": left_out,
    }


def _unfit(row: Mapping[str, Any]) -> str:
    """Say why a row cannot be a record, '' where it can."""
    if row["owner"]["kind"] in KEPT_BY_TOOLS:
        return f"{row['owner']['kind']} would write it again; change it there"
    if row["protocol"] != "TCP":
        return f"its server speaks {row['protocol']}"
    if row["state"] == "broken":
        return f"it is broken: {row['why']}"
    if len(row["backends"]) != 1:
        return f"it has {len(row['backends'])} destinations"
    if row["backends"][0]["subset"] or row["backends"][0]["state"] == "outside":
        return "its destination is a subset, or outside of the cluster"
    if is_reserved(row["service_port"]):
        return "the port is one of Istio's own range"
    return ""


def _gateway(service: Mapping[str, Any]) -> dict[str, Any]:
    """Return the gateway of a front Service as an inventory refers to it."""
    if is_ours(service["labels"]) and service["labels"].get(GATEWAY_LABEL):
        return {"name": service["labels"][GATEWAY_LABEL], "namespace": service["namespace"]}
    return {"name": service["name"], "namespace": service["namespace"], "owner": "existing"}


def _named_apart(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give records of one name (the same Service and port on two gateways) their gateway's name as well."""
    names = Counter(record["name"] for record in records)
    return [
        {**record, "name": f"{record['name']}-{record['gateway']}"} if names[record["name"]] > 1 else record
        for record in records
    ]
