# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an object still lacks before a run goes on, in the words of the object's own status.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import _wait_members, _wait_olm, _wait_planes
from ansible_collections.servicemesh.tcp.plugins.module_utils._lack import Fatal, LackRule, Look

# Seconds for a router to take back a refusal, as when the Route that had the name goes in the same moment.
REFUSED_PATIENCE = 10.0


def see_nothing(_kind: str, _name: str, _namespace: str | None) -> None:
    """Find no further objects."""


def lacks(
    state: str, obj: Mapping[str, Any] | None, until: Mapping[str, Any] | None = None, look: Look = see_nothing
) -> str:
    """Return what an object still lacks, '' where it is as wanted; a Fatal where waiting longer is of no use.

    An absent object must be gone (with C(until.absent) also one that somebody else removes), any other be there and be
    what its kind's rule says.
    """
    if state == "absent" or (until or {}).get("absent"):
        return "" if obj is None else "it is still there"
    if state == "merged" and obj is None:
        return _wait_members.no_roll_lacks(until or {})
    if obj is None:
        return "it is not there"
    rule = RULES.get(obj["kind"])
    return rule(obj, until or {}, look) if rule else ""


def _service_lacks(obj: Mapping[str, Any], until: Mapping[str, Any], _look: Look) -> str:
    """Return which ports a Service lacks, or that one of type LoadBalancer has no address yet."""
    missing = sorted(set(until.get("ports") or ()) - {port["port"] for port in obj["spec"].get("ports") or []})
    if missing:
        return f"its Service {obj['metadata']['name']} does not have {', '.join(map(str, missing))} yet"
    if obj["spec"].get("type") != "LoadBalancer" or obj.get("status", {}).get("loadBalancer", {}).get("ingress"):
        return ""
    return "the cluster's load balancer has given it no address"


def _route_lacks(obj: Mapping[str, Any], _until: Mapping[str, Any], _look: Look) -> str:
    """Return why no router serves a Route: in its words, or that none has said anything yet."""
    ingress = (obj.get("status") or {}).get("ingress") or []
    states = [item for one in ingress for item in one.get("conditions") or [] if item["type"] == "Admitted"]
    if any(item["status"] == "True" for item in states):
        return ""
    refused = next((item for item in states if item["status"] == "False"), None)
    if refused is None:
        return "no router has admitted it"
    return Fatal(f"a router refuses it ({refused.get('message') or refused.get('reason')})", REFUSED_PATIENCE)


def _deployment_lacks(obj: Mapping[str, Any], _until: Mapping[str, Any], _look: Look) -> str:
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


def _set_lacks(obj: Mapping[str, Any], _until: Mapping[str, Any], _look: Look) -> str:
    """Return what the rollout of a StatefulSet or DaemonSet still lacks (kubectl's rule for "rollout status")."""
    status = obj.get("status", {})
    if status.get("observedGeneration", 0) < obj["metadata"]["generation"]:
        return "its controller has not seen it yet"
    if (obj["spec"].get("updateStrategy") or {}).get("type") == "OnDelete":
        return ""
    if obj["kind"] == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        new, ready = status.get("updatedNumberScheduled", 0), status.get("numberAvailable", 0)
    else:
        wanted = obj["spec"].get("replicas", 1)
        new, ready = status.get("updatedReplicas", 0), status.get("readyReplicas", 0)
        if status.get("updateRevision") == status.get("currentRevision"):
            new = wanted
    if new < wanted:
        return f"{new} of {wanted} pods are of the newest form"
    return "" if ready >= wanted else f"{ready} of {wanted} pods are available"


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


# The rules by kind; other kinds are as wanted once they are there.
RULES: Mapping[str, LackRule] = {
    "DaemonSet": _set_lacks,
    "Deployment": _deployment_lacks,
    "Route": _route_lacks,
    "Service": _service_lacks,
    "StatefulSet": _set_lacks,
    **_wait_members.RULES,
    **_wait_olm.RULES,
    **_wait_planes.RULES,
}
