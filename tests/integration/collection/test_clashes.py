# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other people's Gateways on the lab: what a run says of them, with names and ages as they are on the cluster."""

from __future__ import annotations

from typing import Any

import kubernetes
from harness import Cluster, Exposure

SINCE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def foreign_gateway(exposure: Exposure, name: str, port: int) -> dict[str, Any]:
    """Return a Gateway that somebody else has in another namespace, on the pods of the exposure's gateway."""
    selector = {"servicemesh.tcp/gateway": "edge", "servicemesh.tcp/gateway-namespace": exposure.name}
    server = {"port": {"number": port, "name": f"tcp-{port}", "protocol": "TCP"}, "hosts": ["*"]}
    return {
        "apiVersion": "networking.istio.io/v1beta1",
        "kind": "Gateway",
        "metadata": {"name": name, "namespace": exposure.echo},
        "spec": {"selector": selector, "servers": [server]},
    }


def make(cluster: Cluster, item: dict[str, Any]) -> str:
    """Create a Gateway and return its creation time."""
    api = kubernetes.client.CustomObjectsApi(cluster.client())
    place = ("networking.istio.io", "v1beta1", item["metadata"]["namespace"], "gateways")
    return api.create_namespaced_custom_object(*place, item)["metadata"]["creationTimestamp"]


def test_a_foreign_gateway_s_port_is_neither_taken_nor_fought_for(exposure: Exposure, cluster: Cluster) -> None:
    """The set's Gateway is the older one: Istio would give it the port, and drop the other's server."""
    created = make(cluster, foreign_gateway(exposure, "theirs", 8444))
    first = exposure.record("first", 8000)
    run = exposure.expose([first, exposure.record("late", 8444)], "--check")
    assert run.code != 0
    assert (
        f"PORT_KILLS record 'late': port 8444 on gateway edge is served by Gateway {exposure.echo}/theirs (created"
        f" {created}); set '{exposure.name}' (Gateway {exposure.name}/edge-{exposure.name}-" in run.said
    )
    # A younger one on a port of the set's own: Istio keeps the set's, and nobody else tells the other.
    created = make(cluster, foreign_gateway(exposure, "dead", 8000))
    run = exposure.expose([first])
    assert run.code == 0, run.output
    assert (
        f"CLASH_ELSEWHERE Gateway {exposure.echo}/dead (created {created}): its server on 8000 gets no listener on the"
        f" pods of {exposure.name}/edge, because set '{exposure.name}' (Gateway {exposure.name}/edge-" in run.said
    )
