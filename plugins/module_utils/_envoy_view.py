# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one gateway pod's Envoy has: listeners, what it refused, clusters with their counters, sessions, a certificate.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy import Clusters, parse_clusters
from ansible_collections.servicemesh.tcp.plugins.module_utils._sessions import STATS_PATH, parse_listeners

# What the workers of an Envoy listen on now.
LISTENERS_PATH = "/listeners?format=json"
VIEW_PATHS = (
    "/clusters?format=json",
    LISTENERS_PATH,
    # Names and errors only: with all of their settings, 1,000 listeners are megabytes.
    "/config_dump?resource=dynamic_listeners&mask=name,error_state",
    STATS_PATH,
    "/certs",
)


@dataclass(frozen=True)
class PodView:
    """One pod's Envoy at one moment. C(sessions) is V(None) where it does not count them."""

    clusters: Clusters = field(default_factory=dict)
    listeners: frozenset[int] = frozenset()
    # Envoy's own words by port.
    refused: Mapping[int, str] = field(default_factory=dict)
    sessions: Mapping[int, int] | None = None
    certified: bool = True


def parse_view(bodies: Sequence[bytes], wanted: Collection[str]) -> PodView:
    """Read the answers to VIEW_PATHS; raise ValueError where they are something else."""
    clusters, listeners, dump, stats, certs = bodies
    try:
        sessions = parse_listeners(stats.decode(errors="replace"))
    except ValueError:
        sessions = None
    refused = {}
    for item in json.loads(dump).get("configs", []):
        port = re.search(r"_(\d+)$", item.get("name", ""))
        if port and item.get("error_state"):
            refused[int(port[1])] = str(item["error_state"].get("details", ""))
    chains = [item.get("cert_chain") for item in json.loads(certs).get("certificates", [])]
    return PodView(parse_clusters(clusters, wanted), parse_bound(listeners), refused, sessions, any(chains))


def parse_bound(listeners: bytes) -> frozenset[int]:
    """Read the ports that are listened on from the answer to LISTENERS_PATH; raise ValueError where it is none."""
    bound = [
        item.get("local_address", {}).get("socket_address", {}).get("port_value")
        for item in json.loads(listeners).get("listener_statuses", [])
    ]
    return frozenset(filter(None, bound))
