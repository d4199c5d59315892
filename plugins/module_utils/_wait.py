# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an object still lacks before a run goes on, in the words of the object's own status.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def lacks(state: str, obj: Mapping[str, Any] | None, ports: Iterable[int] = ()) -> str:
    """Return what an object still lacks, '' where it is as wanted.

    An absent object must be gone; a Deployment rolled out at its newest generation; a LoadBalancer Service addressed.
    A Service must also have the C(ports).
    """
    if state == "absent":
        return "" if obj is None else "it is still there"
    if obj is None:
        return "it is not there"
    if obj["kind"] == "Deployment":
        return _deployment_lacks(obj)
    there = {port["port"] for port in obj["spec"].get("ports") or []} if obj["kind"] == "Service" else set()
    missing = sorted(set(ports) - there)
    if missing:
        return f"its Service {obj['metadata']['name']} does not have {', '.join(map(str, missing))} yet"
    if obj["kind"] == "Service" and obj["spec"].get("type") == "LoadBalancer":
        has = obj.get("status", {}).get("loadBalancer", {}).get("ingress")
        return "" if has else "the cluster's load balancer has given it no address"
    return ""


def _deployment_lacks(obj: Mapping[str, Any]) -> str:
    """Return what a Deployment's rollout still lacks (kubectl's rule for "rollout status")."""
    status = obj.get("status", {})
    wanted = obj["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < obj["metadata"]["generation"]:
        return "its controller has not seen it yet"
    if status.get("updatedReplicas", 0) < wanted:
        return f"{status.get('updatedReplicas', 0)} of {wanted} pods are of the newest form"
    if status.get("replicas", 0) > status.get("updatedReplicas", 0):
        return "old pods are still there"
    if status.get("availableReplicas", 0) < wanted:
        return f"{status.get('availableReplicas', 0)} of {wanted} pods are available"
    return ""


def pod_troubles(pods: Iterable[Mapping[str, Any]]) -> list[str]:
    """Say of each pod that is not ready what holds it."""
    troubles = []
    for pod in pods:
        name = pod["metadata"]["name"]
        status = pod.get("status", {})
        images = [container.get("image") for container in pod["spec"]["containers"]]
        if "auto" in images:
            troubles.append(
                f"pod {name}: its image is still 'auto', so the mesh's injector did not see it (is the namespace part"
                " of the mesh, is istiod ready?)"
            )
            continue
        for condition in status.get("conditions") or []:
            if condition["type"] == "PodScheduled" and condition["status"] != "True":
                troubles.append(f"pod {name}: {condition.get('message') or condition.get('reason')}")
        for container in (status.get("initContainerStatuses") or []) + (status.get("containerStatuses") or []):
            waiting = container.get("state", {}).get("waiting")
            if waiting:
                reason = f"{waiting.get('reason', '')} {waiting.get('message', '')}".strip()
                troubles.append(f"pod {name}, container {container['name']}: {reason}")
            elif not container.get("ready") and "running" in container.get("state", {}):
                troubles.append(f"pod {name}, container {container['name']}: runs, but is not ready")
    return troubles
