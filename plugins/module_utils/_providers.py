# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What provides a front Service's load balancer, as far as the Service and the cluster show it.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

# In the words of service.provider; aws-nlb is made by cloud-provider-aws, aws-nlb-controller by the separate operator
# AWS Load Balancer Controller, in-cluster by anything that runs on the cluster's own nodes.
PROVIDERS: Mapping[str, str] = {
    "aws-classic": "AWS Classic Load Balancer",
    "aws-nlb": "AWS Network Load Balancer",
    "aws-nlb-controller": "AWS Network Load Balancer (AWS Load Balancer Controller)",
    "azure": "Azure Standard Load Balancer",
    "gcp": "Google Cloud external passthrough load balancer",
    "gcp-internal": "Google Cloud internal passthrough load balancer",
    "in-cluster": "load balancer of the cluster's own nodes",
    "metallb": "MetalLB",
}

AWS = "service.beta.kubernetes.io/aws-load-balancer-"
AZURE = "service.beta.kubernetes.io/azure-"
# Whose annotations a projection keeps, because they say what the load balancer is.
PREFIXES = (
    AWS,
    AZURE,
    "cloud.google.com/",
    "io.cilium/",
    "kube-vip.io/",
    "lbipam.cilium.io/",
    "metallb.io/",
    "metallb.universe.tf/",
    "networking.gke.io/",
)
# The beginning of a class, as its controller documents it; any other class is somebody whom nobody here knows.
CLASSES: Mapping[str, str] = {
    "io.cilium/": "in-cluster",
    "kube-vip.io/": "in-cluster",
    "metallb": "metallb",
    "networking.gke.io/l4-regional-external": "gcp",
    "networking.gke.io/l4-regional-internal": "gcp-internal",
    "service.k8s.aws/nlb": "aws-nlb-controller",
}
# AWS, "DNS name" of both kinds of load balancer: the region stands behind elb for newer ones, before it for Classic.
HOSTS: Mapping[str, re.Pattern[str]] = {
    "aws-nlb": re.compile(r"[^.]+\.elb\.[a-z0-9-]+\.amazonaws\.com(\.cn)?"),
    "aws-classic": re.compile(r"[^.]+\.[a-z0-9-]+\.elb\.amazonaws\.com(\.cn)?"),
}
# What a node's providerID begins with; without an annotation cloud-provider-aws makes a Classic Load Balancer.
NODES: Mapping[str, str] = {"aws": "aws-classic", "azure": "azure", "gce": "gcp"}
METALLB_NAMESPACE = "metallb-system"


def load_balancer_annotations(annotations: Mapping[str, str]) -> dict[str, str]:
    """Return those of an object's annotations that a load balancer is set up or marked by."""
    return {key: value for key, value in sorted(annotations.items()) if key.startswith(PREFIXES)}


def provider_of(
    wanted: Mapping[str, Any],
    observed: Mapping[str, Any] | None,
    namespaces: Iterable[str] = (),
    nodes: Iterable[Mapping[str, Any]] = (),
) -> str:
    """Return the provider of a front Service's load balancer, '' where nothing tells or there is none.

    What people said comes first, then class, annotations and address of the Service, then what the cluster runs:
    C(wanted) is a gateway's C(service), C(observed) the projected Service.
    """
    if wanted["type"] != "LoadBalancer":
        return ""
    if wanted["provider"]:
        return wanted["provider"]
    observed = observed or {}
    lb_class = wanted["class"] or observed.get("class") or ""
    if lb_class:
        return next((name for prefix, name in CLASSES.items() if lb_class.startswith(prefix)), "")
    annotations = {**observed.get("annotations", {}), **wanted["annotations"]}
    return (
        _by_annotations(annotations)
        or _by_hosts(observed.get("addresses", []))
        or ("metallb" if METALLB_NAMESPACE in namespaces else "")
        or _by_nodes(nodes)
    )


def _by_annotations(annotations: Mapping[str, str]) -> str:
    """Recognise the controller to which a Service's annotations speak."""
    # cloud-provider-aws knows 'nlb' only; the other words are the AWS Load Balancer Controller's (its nlb.md).
    kind = annotations.get(f"{AWS}type")
    if kind:
        return {"nlb": "aws-nlb", "external": "aws-nlb-controller", "nlb-ip": "aws-nlb-controller"}.get(kind, "")
    # The newer spelling first, then the one of before (cloud-provider-gcp, gce_annotations.go).
    for key in ("networking.gke.io/load-balancer-type", "cloud.google.com/load-balancer-type"):
        if annotations.get(key, "").lower() == "internal":
            return "gcp-internal"
    for prefixes, name in (
        ((AWS,), "aws-classic"),
        ((AZURE,), "azure"),
        (("networking.gke.io/", "cloud.google.com/"), "gcp"),
        (("metallb.io/", "metallb.universe.tf/"), "metallb"),
        (("io.cilium/", "lbipam.cilium.io/", "kube-vip.io/"), "in-cluster"),
    ):
        if any(key.startswith(prefixes) for key in annotations):
            return name
    return ""


def _by_hosts(addresses: Iterable[str]) -> str:
    """Recognise AWS by the host names that it gives; all others give addresses."""
    found = [name for address in addresses for name, pattern in HOSTS.items() if pattern.fullmatch(address)]
    return found[0] if found else ""


def _by_nodes(nodes: Iterable[Mapping[str, Any]]) -> str:
    """Recognise the cloud by its nodes, where those were read at all."""
    found = sorted({NODES[node["provider"]] for node in nodes if node.get("provider") in NODES})
    return found[0] if len(found) == 1 else ""
