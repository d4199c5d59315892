# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an object still lacks, read from its status."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._wait import lacks, pod_troubles


def deployment(replicas=2, seen=3, updated=2, total=2, available=2):
    """Return a Deployment at generation 3 in some state of its rollout."""
    return {
        "kind": "Deployment",
        "metadata": {"name": "edge", "generation": 3},
        "spec": {} if replicas is None else {"replicas": replicas},
        "status": {
            "observedGeneration": seen,
            "updatedReplicas": updated,
            "replicas": total,
            "availableReplicas": available,
        },
    }


def service(kind="LoadBalancer", **status):
    """Return a Service with a status."""
    return {"kind": "Service", "metadata": {"name": "edge"}, "spec": {"type": kind}, "status": status}


@pytest.mark.parametrize(
    ("state", "obj", "lack"),
    [
        ("absent", None, ""),
        ("absent", service(), "it is still there"),
        ("present", None, "it is not there"),
        ("present", {"kind": "Role", "metadata": {}}, ""),
        ("present", service("ClusterIP"), ""),
        ("present", service("NodePort"), ""),
        ("present", {"kind": "Service", "metadata": {}, "spec": {}}, ""),
        ("present", service(), "the cluster's load balancer has given it no address"),
        ("present", service(loadBalancer={}), "the cluster's load balancer has given it no address"),
        ("present", service(loadBalancer={"ingress": []}), "the cluster's load balancer has given it no address"),
        ("present", service(loadBalancer={"ingress": [{"hostname": "lb.example"}]}), ""),
        ("present", deployment(), ""),
        ("present", deployment(seen=2), "its controller has not seen it yet"),
        ("present", deployment() | {"status": {}}, "its controller has not seen it yet"),
        ("present", deployment(updated=1), "1 of 2 pods are of the newest form"),
        ("present", deployment(total=3), "old pods are still there"),
        ("present", deployment(available=1), "1 of 2 pods are available"),
        ("present", deployment(replicas=0, updated=0, total=0, available=0), ""),
        # Where the field is left out, Kubernetes means one.
        ("present", deployment(replicas=None, updated=0, total=0, available=0), "0 of 1 pods are of the newest form"),
        ("present", deployment(replicas=None, updated=1, total=1, available=1), ""),
    ],
)
def test_what_an_object_lacks(state, obj, lack):
    assert lacks(state, obj) == lack


def pod(image="proxyv2", conditions=(), init=(), containers=()):
    """Return a pod with statuses of its containers."""
    return {
        "metadata": {"name": "edge-1"},
        "spec": {"containers": [{"name": "istio-proxy", "image": image}]},
        "status": {
            "conditions": list(conditions),
            "initContainerStatuses": list(init),
            "containerStatuses": list(containers),
        },
    }


def waits(name, **waiting):
    """Return the status of a container that waits."""
    return {"name": name, "ready": False, "state": {"waiting": waiting}}


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (pod(containers=[{"name": "istio-proxy", "ready": True, "state": {"running": {}}}]), []),
        (pod(init=[{"name": "istio-init", "ready": False, "state": {"terminated": {}}}]), []),
        (
            pod(image="auto", containers=[waits("istio-proxy", reason="ErrImagePull")]),
            [
                "pod edge-1: its image is still 'auto', so the mesh's injector did not see it (is the namespace part of"
                " the mesh, is istiod ready?)"
            ],
        ),
        (
            pod(
                conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no cpu"}]
            ),
            ["pod edge-1: no cpu"],
        ),
        (
            pod(conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]),
            ["pod edge-1: Unschedulable"],
        ),
        (pod(conditions=[{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}]), []),
        (
            pod(init=[waits("istio-init", reason="ImagePullBackOff", message="no such image")]),
            ["pod edge-1, container istio-init: ImagePullBackOff no such image"],
        ),
        (
            pod(containers=[waits("istio-proxy", reason="CrashLoopBackOff")]),
            ["pod edge-1, container istio-proxy: CrashLoopBackOff"],
        ),
        (
            pod(containers=[{"name": "istio-proxy", "ready": False, "state": {"running": {}}}]),
            ["pod edge-1, container istio-proxy: runs, but is not ready"],
        ),
        (pod() | {"status": {}}, []),
    ],
)
def test_what_holds_a_pod(trouble, said):
    assert pod_troubles([trouble]) == said


def test_every_pod_is_told():
    assert len(pod_troubles([pod(image="auto"), pod(image="auto")])) == 2


def rolled(kind, strategy="RollingUpdate", **status):
    """Return a StatefulSet or DaemonSet of two pods with a status."""
    spec = {"replicas": 2, "updateStrategy": {"type": strategy}}
    return {"kind": kind, "metadata": {"generation": 2}, "spec": spec, "status": {"observedGeneration": 2, **status}}


HALF, DONE = {"updateRevision": "b", "currentRevision": "a"}, {"updateRevision": "b", "currentRevision": "b"}


@pytest.mark.parametrize(
    ("obj", "said"),
    [
        (rolled("StatefulSet", **HALF, updatedReplicas=1, readyReplicas=2), "1 of 2 pods are of the newest form"),
        (rolled("StatefulSet", **HALF, updatedReplicas=2, readyReplicas=1), "1 of 2 pods are available"),
        # Once a rollout has ended, the number of new pods is not counted any more.
        (rolled("StatefulSet", **DONE, readyReplicas=2), ""),
        (rolled("StatefulSet", observedGeneration=1), "its controller has not seen it yet"),
        # Pods that only their owner replaces would be waited for in vain.
        (rolled("StatefulSet", "OnDelete", readyReplicas=2), ""),
        (
            rolled("DaemonSet", desiredNumberScheduled=2, updatedNumberScheduled=1, numberAvailable=2),
            "1 of 2 pods are of the newest form",
        ),
        (
            rolled("DaemonSet", desiredNumberScheduled=2, updatedNumberScheduled=2, numberAvailable=1),
            "1 of 2 pods are available",
        ),
        (rolled("DaemonSet", desiredNumberScheduled=2, updatedNumberScheduled=2, numberAvailable=2), ""),
    ],
)
def test_what_a_restarted_workload_lacks(obj, said):
    assert lacks("present", obj) == said
