# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports whose load balancer only the cluster's own pods may reach, as where Ansible runs outside of the network."""

from __future__ import annotations

import kubernetes
from harness import Cluster, Exposure


def test_ports_are_proven_from_inside_where_here_is_kept_out(exposure: Exposure, cluster: Cluster) -> None:
    client = cluster.client()
    pods = [node.spec.pod_cidr for node in kubernetes.client.CoreV1Api(client).list_node().items]
    exposure.gateway = {**exposure.gateway, "service": {"type": "LoadBalancer", "source_ranges": pods}}
    probe = exposure.record("first", 8000)["probe"]
    records = [
        exposure.record("first", 8000, probe={**probe, "from": "cluster"}),
        exposure.record("silent", 8001, probe={"mode": "connect", "from": "cluster"}),
    ]
    run = exposure.expose(records)
    assert run.code == 0, run.output
    assert [item["proof"] for item in run.endpoints] == ["proven", "proven"]
    # The same port, by the same words, from here.
    run = exposure.expose([exposure.record("first", 8000), records[1]], tcp_probe_deadline=3)
    assert run.code != 0
    assert [item["proof"] for item in run.endpoints] == ["broken", "proven"]
    assert "HOP_SOURCE_RANGE" in run.said
    jobs = kubernetes.client.BatchV1Api(client).list_namespaced_job(exposure.name).items
    assert [job.metadata.name for job in jobs if not job.metadata.deletion_timestamp] == []
