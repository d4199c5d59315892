# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what a gateway's C(service) says of its load balancer and of the limits that hold for it.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._providers import PROVIDERS
from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import (
    Problems,
    check_keys,
    read_choice,
    read_count,
    read_dict,
    to_port,
    words,
)

# allocate_node_ports is more than the design asked for: without it 2,768 ports are the end of a cluster.
LIMIT_SERVICE_KEYS = words("allocate_node_ports limits max_ports provider")
LIMIT_KEYS = words("listeners node_ports nodes object_bytes security_group_rules targets targets_per_zone zones")
NODE_PORT_RANGE = re.compile(r"\s*(\d{1,5})\s*-\s*(\d{1,5})\s*")


def read_limit_keys(problems: Problems, service: Mapping[str, Any]) -> dict[str, Any]:
    """Read provider, limits, max_ports and allocate_node_ports of a gateway's C(service)."""
    load_balancer = service.get("type", "LoadBalancer") == "LoadBalancer"
    allocate = service.get("allocate_node_ports", True)
    if not isinstance(allocate, bool):
        problems.invalid("service.allocate_node_ports", allocate, "it must be true or false")
        allocate = True
    if not allocate and not load_balancer:
        problems.invalid("service.allocate_node_ports", False, "only a Service of type LoadBalancer can do without")
    provider = service.get("provider")
    if provider is not None:
        read_choice(problems, "service.provider", provider, sorted(PROVIDERS))
        if not load_balancer:
            problems.invalid("service.provider", provider, "only a Service of type LoadBalancer has it")
    return {
        "allocate_node_ports": allocate,
        "limits": _read_limits(problems, service.get("limits", {})),
        "max_ports": _read_max_ports(problems, service.get("max_ports")),
        "provider": provider,
    }


def _read_max_ports(problems: Problems, value: Any) -> int | None:
    """Read how many ports one front Service may have, its health port included; V(None) without a bound."""
    if value is None:
        return None
    number = to_port(value)
    if number is None or number < 2:
        rule = "it must be a whole number from 2 on, because the health port 15021 counts too"
        problems.invalid("service.max_ports", value, rule)
    return number


def _read_limits(problems: Problems, raw: Any) -> dict[str, Any]:
    """Read the limits that differ from those that are known; C(node_ports) becomes its first and last number."""
    given = read_dict(problems, "service.limits", raw)
    check_keys(problems, "service.limits.", given, LIMIT_KEYS, LIMIT_KEYS)
    limits: dict[str, Any] = {
        key: read_count(problems, f"service.limits.{key}", given[key])
        for key in sorted(LIMIT_KEYS - {"node_ports"})
        if key in given
    }
    if "node_ports" in given:
        limits["node_ports"] = _read_range(problems, given["node_ports"])
    return limits


def _read_range(problems: Problems, value: Any) -> list[int]:
    """Read the cluster's range of node ports."""
    match = NODE_PORT_RANGE.fullmatch(value) if isinstance(value, str) else None
    numbers = [int(part) for part in match.groups()] if match else [1, 0]
    if not 1 <= numbers[0] <= numbers[1] <= 65535:
        problems.invalid("service.limits.node_ports", value, "it must be a range like 30000-32767")
    return numbers
