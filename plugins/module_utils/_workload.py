# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of a gateway: workload, rights, front Service, policies.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._definition import stored_definition
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import KINDS
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import (
    COLLECTION,
    DEFINED_BY_LABEL,
    DEFINITION_ANNOTATION,
    MANAGED_BY_LABEL,
    gateway_labels,
    gateway_pod_labels,
    gateway_selector,
    is_ours,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._sessions import (
    STATS_ANNOTATION,
    STATS_SUFFIX,
    drain_config,
    grace_for,
)

HEALTH_PORT = 15021
METRICS_PORTS = (15020, 15090)
# Addresses and names of which every load balancer needs its own; two front Services that ask for one would clash, or
# lead clients of one host name to the load balancer that does not have their port. Sources: the annotation pages of
# cloud-provider-aws, AWS Load Balancer Controller, cloud-provider-azure, GKE, MetalLB, kube-vip, Cilium, external-dns.
SINGLE_ANNOTATIONS = frozenset(
    (
        "external-dns.alpha.kubernetes.io/hostname",
        "external-dns.alpha.kubernetes.io/internal-hostname",
        "io.cilium/lb-ipam-ips",
        "kube-vip.io/loadbalancerIPs",
        "lbipam.cilium.io/ips",
        "metallb.io/loadBalancerIPs",
        "metallb.universe.tf/loadBalancerIPs",
        "networking.gke.io/load-balancer-ip-addresses",
        "service.beta.kubernetes.io/aws-load-balancer-eip-allocations",
        "service.beta.kubernetes.io/aws-load-balancer-ipv6-addresses",
        "service.beta.kubernetes.io/aws-load-balancer-name",
        "service.beta.kubernetes.io/aws-load-balancer-private-ipv4-addresses",
        "service.beta.kubernetes.io/azure-dns-label-name",
        "service.beta.kubernetes.io/azure-load-balancer-ipv4",
        "service.beta.kubernetes.io/azure-load-balancer-ipv6",
        "service.beta.kubernetes.io/azure-pip-name",
    )
)


def new_object(kind: str, name: str, namespace: str | None, labels: Mapping[str, str], **rest: Any) -> dict[str, Any]:
    """Return an object of a kind at the version that this collection speaks."""
    metadata: dict[str, Any] = {"name": name, "labels": dict(labels)}
    if namespace:
        metadata["namespace"] = namespace
    return {"apiVersion": KINDS[kind].api_version, "kind": kind, "metadata": metadata, **rest}


def bare_object(kind: str, name: str, namespace: str) -> dict[str, Any]:
    """Return just enough of an object to find or remove it."""
    return {"apiVersion": KINDS[kind].api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}}


def namespace_removals(
    names: Iterable[str],
    removed: Iterable[Mapping[str, Any]],
    observed: Mapping[str, Mapping[str, Any]],
    services: Iterable[tuple[str, str]],
) -> list[dict[str, Any]]:
    """Return those of the namespaces that this collection made and in which no Service stays."""
    going = {(obj["metadata"]["namespace"], obj["metadata"]["name"]) for obj in removed}
    used = {place[0] for place in services if place not in going}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        for name in sorted(set(names))
        if name in observed and is_ours(observed[name]["labels"]) and name not in used
    ]


def namespace_object(name: str) -> dict[str, Any]:
    """Return a namespace that is ours to remove again."""
    return new_object("Namespace", name, None, {MANAGED_BY_LABEL: COLLECTION})


def _deployment(gateway: Mapping[str, Any], labels: Mapping[str, str], revision: str | None) -> dict[str, Any]:
    """Return the Deployment into which Istio injects a gateway's proxy (seed 000, gateway-8000-deployment)."""
    pod_labels = gateway_pod_labels(gateway["name"], gateway["namespace"])
    if revision:
        pod_labels["istio.io/rev"] = revision
    selector = gateway_selector(gateway["name"], gateway["namespace"])
    spec: dict[str, Any] = {
        "selector": {"matchLabels": selector},
        "template": {
            "metadata": {
                "labels": pod_labels,
                # Without the second one Envoy does not count the sessions of its listeners.
                "annotations": {
                    "inject.istio.io/templates": "gateway",
                    STATS_ANNOTATION: STATS_SUFFIX,
                    **drain_config(gateway["drain"]),
                },
            },
            "spec": {
                "serviceAccountName": gateway["name"],
                "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [_container(gateway)],
                "topologySpreadConstraints": [
                    {
                        "maxSkew": 1,
                        "topologyKey": "kubernetes.io/hostname",
                        "whenUnsatisfiable": "ScheduleAnyway",
                        "labelSelector": {"matchLabels": selector},
                    }
                ],
            },
        },
    }
    grace = grace_for(gateway["drain"])
    if grace:
        spec["template"]["spec"]["terminationGracePeriodSeconds"] = grace
    if not gateway["autoscale"]:
        spec["replicas"] = gateway["replicas"]
    return new_object("Deployment", gateway["name"], gateway["namespace"], labels, spec=spec)


def _container(gateway: Mapping[str, Any]) -> dict[str, Any]:
    """Return the container that the injector fills in; what it may not do is said here already."""
    return {
        "name": "istio-proxy",
        "image": gateway["image"],
        # Without a word the API server makes it Always for 'auto' before the injector sees the pod.
        "imagePullPolicy": gateway["image_pull_policy"],
        "ports": [{"name": "health", "containerPort": HEALTH_PORT, "protocol": "TCP"}],
        "readinessProbe": {
            "httpGet": {"path": "/healthz/ready", "port": HEALTH_PORT, "scheme": "HTTP"},
            "periodSeconds": 2,
            "timeoutSeconds": 3,
            "failureThreshold": 30,
        },
        "resources": gateway["resources"],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
        },
    }


def service_fields(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a Service's specification for what a record says of it, less what it leaves open."""
    fields = {
        "loadBalancerClass": wanted["class"],
        "loadBalancerSourceRanges": wanted["source_ranges"],
        "externalIPs": wanted["external_ips"],
        "externalTrafficPolicy": wanted["external_traffic_policy"],
    }
    return {field: value for field, value in fields.items() if value}


def front_service(gateway: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a front Service with its health port only; each set applies its own ports beside it.

    The first holds the gateway's definition. Further ones are made as it is, but for annotations that only one Service
    can have.
    """
    wanted = gateway["service"]
    spec: dict[str, Any] = {
        "type": wanted["type"],
        "selector": gateway_selector(gateway["name"], gateway["namespace"]),
        # First, because a Classic ELB checks the health of the first port (istio#12503).
        "ports": [{"name": "status-port", "port": HEALTH_PORT, "targetPort": HEALTH_PORT, "protocol": "TCP"}],
    }
    spec |= service_fields(wanted)
    # Said only where it is not Kubernetes' own default, which every version and type of Service takes.
    if not wanted["allocate_node_ports"]:
        spec["allocateLoadBalancerNodePorts"] = False
    service = new_object("Service", name, gateway["namespace"], gateway_labels(gateway["name"]), spec=spec)
    first = name == gateway["name"]
    annotations = {key: value for key, value in wanted["annotations"].items() if first or key not in SINGLE_ANNOTATIONS}
    if first:
        annotations[DEFINITION_ANNOTATION] = stored_definition(gateway)
    if annotations:
        service["metadata"]["annotations"] = annotations
    return service


def _certificate_role(gateway: Mapping[str, Any], labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the right to read the namespace's certificates (istio.io "Installing Gateways") and its binding."""
    name, namespace = gateway["name"], gateway["namespace"]
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "watch", "list"]}]
    return [
        new_object("ServiceAccount", name, namespace, labels),
        new_object("Role", name, namespace, labels, rules=rules),
        new_object(
            "RoleBinding",
            name,
            namespace,
            labels,
            roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            subjects=[{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        ),
    ]


def _network_policy(gateway: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    """Return the policy that lets health checks and scraping in; each set adds one for its own ports."""
    ports = [{"port": port, "protocol": "TCP"} for port in (HEALTH_PORT, *METRICS_PORTS)]
    spec = {
        "podSelector": {"matchLabels": gateway_selector(gateway["name"], gateway["namespace"])},
        "policyTypes": ["Ingress"],
        "ingress": [{"ports": ports}],
    }
    return new_object("NetworkPolicy", gateway["name"], gateway["namespace"], labels, spec=spec)


def _autoscaler(gateway: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    """Return the HorizontalPodAutoscaler."""
    bounds = gateway["autoscale"]
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": gateway["name"]},
        "minReplicas": bounds["min"],
        "maxReplicas": bounds["max"],
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": bounds["cpu"]}},
            }
        ],
    }
    return new_object("HorizontalPodAutoscaler", gateway["name"], gateway["namespace"], labels, spec=spec)


def _disruption_budget(gateway: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    """Return the PodDisruptionBudget; with one replica it would block every drain of a node."""
    spec = {
        "maxUnavailable": 1,
        "selector": {"matchLabels": gateway_selector(gateway["name"], gateway["namespace"])},
    }
    return new_object("PodDisruptionBudget", gateway["name"], gateway["namespace"], labels, spec=spec)


def gateway_objects(
    gateway: Mapping[str, Any], revision: str | None, set_name: str, further: Iterable[str] = ()
) -> list[dict[str, Any]]:
    """Return all objects of a gateway in the order in which they are applied, with its further front Services."""
    labels = gateway_labels(gateway["name"])
    least = gateway["autoscale"]["min"] if gateway["autoscale"] else gateway["replicas"]
    objects = [
        *_certificate_role(gateway, labels),
        _network_policy(gateway, labels),
        *(front_service(gateway, name) for name in (gateway["name"], *further)),
        _deployment(gateway, {**labels, DEFINED_BY_LABEL: set_name}, revision),
    ]
    if gateway["autoscale"]:
        objects.append(_autoscaler(gateway, labels))
    if least > 1:
        objects.append(_disruption_budget(gateway, labels))
    return objects


# In the order in which they are removed: what takes traffic goes first.
GATEWAY_KINDS = (
    "Service",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "Deployment",
    "NetworkPolicy",
    "RoleBinding",
    "Role",
    "ServiceAccount",
    "Lease",
)
OPTIONAL_KINDS = ("HorizontalPodAutoscaler", "PodDisruptionBudget")
