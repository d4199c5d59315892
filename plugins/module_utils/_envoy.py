# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what an Envoy says of its clusters, and judge whether it proves a silent port. Pure: no I/O.

The witness is the host counter C(rq_total). Envoy's connection pool raises it when it hands a ready upstream connection
to a stream (C(ConnPoolImplBase::attachStreamToClient)), so it counts backends that really accepted; C(cx_total) counts
attempts, and rises for a black-holed backend too.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


@dataclass(frozen=True)
class Gateway:
    """Where a gateway's pods are found."""

    name: str
    namespace: str
    selector: Mapping[str, str]


@dataclass(frozen=True)
class Endpoint:
    """One backend address of a cluster: how many connections it accepted, and whether Envoy would use it.

    C(tried) and C(failed) count what Envoy began and what came to nothing.
    """

    accepted: int
    healthy: bool
    tried: int = 0
    failed: int = 0


# Cluster name to the address ("198.18.0.7:8081") of its endpoints.
Clusters = Mapping[str, Mapping[str, Endpoint]]


@dataclass(frozen=True)
class Snapshot:
    """What the pods of one gateway said at one moment, and why some of them could not be asked."""

    pods: Mapping[str, Clusters] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    # False where asking again cannot help, such as a missing right.
    retry: bool = True


class Verdict(Enum):
    """What the evidence says of the sessions that were opened together."""

    PROVEN = "proven"
    # Fewer reached a backend than were opened; which ones cannot be seen from a counter they share.
    SOME = "some"
    NONE = "none"
    UNSEEN = "unseen"


@dataclass(frozen=True)
class Evidence:
    """A verdict with a sentence for people; C(retry) is false where asking again cannot change it."""

    verdict: Verdict
    detail: str
    retry: bool = True


def parse_clusters(text: str | bytes, wanted: Collection[str]) -> dict[str, dict[str, Endpoint]]:
    """Pick the wanted clusters out of the answer to C(/clusters?format=json); raise ValueError if it is not that."""
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("not the answer of /clusters?format=json")
    return {
        cluster["name"]: dict(map(_endpoint, cluster.get("host_statuses", [])))
        for cluster in document.get("cluster_statuses", [])
        if cluster.get("name") in wanted
    }


def _endpoint(host: Mapping[str, Any]) -> tuple[str, Endpoint]:
    """Turn one C(host_statuses) entry into its address and endpoint."""
    # Envoy leaves out counters that are 0 and flags that are false.
    counts = {stat.get("name"): int(stat.get("value", 0)) for stat in host.get("stats", [])}
    health = host.get("health_status", {})
    failed = health.get("failed_active_health_check") or health.get("failed_outlier_check")
    # UNHEALTHY, DRAINING and TIMEOUT get no new connections; DEGRADED ones do where nothing better is left.
    healthy = health.get("eds_health_status", "UNKNOWN") in ("UNKNOWN", "HEALTHY", "DEGRADED") and not failed
    accepted, tried, failed = (counts.get(name, 0) for name in ("rq_total", "cx_total", "cx_connect_fail"))
    return _address(host.get("address", {})), Endpoint(accepted, healthy, tried, failed)


def _address(address: Mapping[str, Any]) -> str:
    """Write an Envoy address as text; it serves as key and in sentences."""
    socket = address.get("socket_address")
    if socket is None:
        return json.dumps(address, sort_keys=True)
    return f"{socket.get('address', '')}:{socket.get('port_value', 0)}"


def gained(before: Snapshot, after: Snapshot, clusters: Iterable[str]) -> int:
    """Count the connections that backends of the clusters accepted between two snapshots, over all pods in both."""
    names = list(clusters)
    total = 0
    for pod, now in after.pods.items():
        if pod not in before.pods:
            continue  # without a first reading its counters say nothing of our sessions
        for name in names:
            then = before.pods[pod].get(name, {})
            for address, endpoint in now.get(name, {}).items():
                old = then[address].accepted if address in then else 0
                # A smaller value is a counter that began anew.
                total += endpoint.accepted - old if endpoint.accepted >= old else endpoint.accepted
    return total


def judge(before: Snapshot, after: Snapshot, clusters: Collection[str], sessions: int, others: int = 0) -> Evidence:
    """Judge whether C(sessions) open sessions, meant for these clusters, all reached a backend.

    C(others) is how many connections the prober itself may have caused on the clusters meanwhile by other means; they
    raise what is asked for, so that they can never serve as proof.
    """
    problems = before.problems + after.problems
    seen = gained(before, after, clusters)
    needed = sessions + others
    if seen >= needed and not lacks(after, clusters):
        return Evidence(Verdict.PROVEN, _proof_text(seen, sessions, others))
    if problems:
        return Evidence(Verdict.UNSEEN, "; ".join(dict.fromkeys(problems)), before.retry and after.retry)
    if 0 < seen < needed:
        return Evidence(Verdict.SOME, f"only {seen} of {needed} sessions to {_names(clusters)} reached a backend")
    why = lacks(after, clusters) or (
        f"the gateway's Envoy has healthy endpoints for {_names(clusters)}, but none accepted a connection"
    )
    return Evidence(Verdict.NONE, why)


def lacks(snapshot: Snapshot, clusters: Collection[str]) -> str:
    """Say in one sentence what a gateway's Envoys lack for these clusters; empty where nothing is seen to lack."""
    endpoints: dict[str, bool] = {}
    known = False
    for pod in snapshot.pods.values():
        for name in clusters:
            known = known or name in pod
            for address, endpoint in pod.get(name, {}).items():
                endpoints[address] = endpoints.get(address, False) or endpoint.healthy
    if any(endpoints.values()) or not snapshot.pods:
        return ""
    if endpoints:
        return f"the gateway's Envoy takes none of the {len(endpoints)} endpoint(s) of {_names(clusters)} for healthy"
    if known:
        return f"the gateway's Envoy has no endpoint for {_names(clusters)}: no ready pod stands behind it"
    return f"the gateway's Envoy does not know {_names(clusters)}"


def _proof_text(seen: int, sessions: int, others: int) -> str:
    """Say how strong the proof is."""
    parts = []
    if sessions > 1:
        parts.append(f"collective evidence: {sessions} sessions to the same cluster all reached a backend")
    if seen > sessions + others:
        parts.append(f"{seen - sessions - others} other connection(s) reached the cluster meanwhile")
    return "; ".join(parts)


def _names(clusters: Collection[str]) -> str:
    """Write cluster names for a sentence."""
    return "cluster " + ", ".join(sorted(clusters))
