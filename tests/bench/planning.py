# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long planning alone takes: no cluster, no Ansible."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "playbooks" / "collections"))

from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import errors
from ansible_collections.servicemesh.tcp.plugins.module_utils._plan import exposure_plan
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.tests.unit.plugins import builders

# Ports from here on, without those that Istio keeps for itself.
FREE = [port for port in range(1024, 65536) if not 15000 <= port <= 15099]


def world(foreign: int) -> dict[str, Any]:
    """Return a cluster with a gateway and other people's Gateways on its pods."""
    theirs = [
        builders.istio_gateway(("theirs", FREE[-1 - number]), name=f"theirs-{number}", namespace="elsewhere", labels={})
        for number in range(foreign)
    ]
    return builders.state(builders.front(), gateways=theirs)


def plan(count: int, foreign: int) -> float:
    """Return the seconds that the port map and the plan of some records take, half of them on automatic ports."""
    records = [builders.record(f"record-{number}", FREE[number]) for number in range(count // 2)]
    records += [builders.record(f"auto-{number}", "auto") for number in range(count - count // 2)]
    # Without node ports, of which a cluster has 2,768.
    service = {"type": "ClusterIP", "external_ips": ["198.18.26.1"]}
    gateway = {**builders.EDGE, "service": service, "pool": [f"{FREE[count // 2]}-14999", "15100-60000"]}
    seen = world(foreign)
    started = time.perf_counter()
    mapped = port_map(records, [gateway], seen)
    planned = exposure_plan(mapped, seen)
    seconds = time.perf_counter() - started
    assert not errors(planned["findings"]), planned["findings"][:3]
    assert len(planned["ports"]) == count
    return seconds


def rows(counts: tuple[int, ...] = (1000, 2500, 5000, 10000), foreign: int = 1000) -> list[list[str]]:
    """Measure each count three times, and keep the best; the rest is the machine's."""
    best = {count: min(plan(count, foreign) for _attempt in range(3)) for count in counts}
    first = best[counts[0]] / counts[0]
    return [
        [f"{count:,}", f"{foreign:,}", f"{seconds:.2f} s", f"{seconds / count / first:.2f}"]
        for count, seconds in best.items()
    ]
