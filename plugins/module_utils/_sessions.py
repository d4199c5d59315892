# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many sessions a gateway's listeners hold now, and how long they live once a change takes their listener or pod.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

# Envoy's gauge of a listener, which goes by its address: listener.0.0.0.0_8081 or listener.[__]_8081. No address has a
# w, so that those of single workers (listener.0.0.0.0_8081.worker_0), which are parts of it, are left out.
STAT = re.compile(r"listener\.[^w]*_(\d+)\.downstream_cx_active: (\d+)")
STATS_PATH = "/stats?filter=%5Elistener%5C.%5B%5Ew%5D*_%5B0-9%5D%2B%5C.downstream_cx_active%24"
# What Envoy runs with: its drain time, and the ProxyConfig that pilot-agent gave it.
INFO_PATH = "/server_info"
# The annotation by which Istio lets Envoy keep that gauge (istio pkg/bootstrap/config.go, getStatsOptions).
STATS_ANNOTATION = "sidecar.istio.io/statsInclusionSuffixes"
STATS_SUFFIX = "downstream_cx_active"

DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
# The annotation of a pod with settings of its own for Istio's ProxyConfig.
CONFIG_ANNOTATION = "proxy.istio.io/config"
# Kubernetes' own default of terminationGracePeriodSeconds, and what pilot-agent needs after the drain.
LEAST_GRACE, SPARE_GRACE = 30, 10


@dataclass(frozen=True)
class Sessions:
    """The open sessions of one gateway's listeners, all pods together, and what could not be seen of them."""

    # Target port to open sessions; a listener that is not in it has none.
    open: Mapping[int, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    # Seconds until a listener that changed or went cuts its sessions, and until a pod on its way out does.
    listener_drain: float | None = None
    pod_drain: float | None = None


def parse_listeners(text: str) -> dict[int, int]:
    """Read the open sessions per listener from the answer to STATS_PATH; ValueError where Envoy keeps no count."""
    found: Counter[int] = Counter()
    for line in text.splitlines():
        match = STAT.fullmatch(line.strip())
        if match:
            found[int(match[1])] += int(match[2])
    # The health and metrics listeners are there from the start, so that a gateway that counts has some.
    if not found:
        raise ValueError(f"it does not count the sessions of its listeners (pod annotation {STATS_ANNOTATION})")
    return dict(found)


def seconds(text: Any) -> float | None:
    """Read a duration as Istio writes it (V(45s), V(1m30s), V(0.5s)); V(None) where it is none."""
    parts = DURATION.findall(text) if isinstance(text, str) else []
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * SECONDS[unit] for number, unit in parts)


def parse_drains(text: str, pod: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Read a pod's drain times in seconds, of its listeners and of itself; V(None) for what cannot be read.

    Envoy's answer to INFO_PATH says with which times it really runs: C(drain_time) is the mesh's or the pod's
    C(drainDuration), and C(PROXY_CONFIG) holds C(terminationDrainDuration), after which pilot-agent ends Envoy
    (istio pkg/envoy/agent.go). With C(EXIT_ON_ZERO_ACTIVE_CONNECTIONS) it waits for the last session instead. The
    pod's C(terminationGracePeriodSeconds) ends all of them.
    """
    try:
        info = json.loads(text)
    except ValueError:
        info = None
    if not isinstance(info, dict):
        return None, None
    metadata = info.get("node", {}).get("metadata", {})
    listener = seconds(info.get("command_line_options", {}).get("drain_time"))
    ending = seconds(metadata.get("PROXY_CONFIG", {}).get("terminationDrainDuration"))
    grace = pod.get("spec", {}).get("terminationGracePeriodSeconds")
    if str(metadata.get("EXIT_ON_ZERO_ACTIVE_CONNECTIONS", "")).lower() == "true":
        return listener, grace
    known = [float(value) for value in (ending, grace) if value is not None]
    return listener, min(known) if ending is not None else None


def drain_config(drain: Mapping[str, float]) -> dict[str, str]:
    """Return a pod's annotations for the drain times of a gateway's definition, C(listener) and C(pod) in seconds.

    Envoy takes whole seconds (istio pkg/envoy/proxy.go, --drain-time-s).
    """
    names = {"listener": "drainDuration", "pod": "terminationDrainDuration"}
    config = {name: f"{math.ceil(drain[key])}s" for key, name in names.items() if key in drain}
    return {CONFIG_ANNOTATION: json.dumps(config, sort_keys=True)} if config else {}


def grace_for(drain: Mapping[str, float]) -> int | None:
    """Return the terminationGracePeriodSeconds within which a pod can drain; V(None) where the default will do."""
    needed = math.ceil(drain.get("pod", 0)) + SPARE_GRACE
    return needed if needed > LEAST_GRACE else None


def gather(pods: Iterable[tuple[Mapping[int, int], float | None, float | None]], problems: Iterable[str]) -> Sessions:
    """Put the answers of a gateway's pods together: counts add up, the longest drain counts."""
    total: Counter[int] = Counter()
    listener: list[float] = []
    ending: list[float] = []
    for counts, listener_drain, pod_drain in pods:
        total.update(counts)
        listener += [] if listener_drain is None else [listener_drain]
        ending += [] if pod_drain is None else [pod_drain]
    return Sessions(
        {port: count for port, count in sorted(total.items()) if count},
        tuple(problems),
        max(listener, default=None),
        max(ending, default=None),
    )
