# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the OSSM 2 operator's charts make of `spec.gateways` of an SMCP (mesh-facts 1.3): pure, objects out.

The schema accepts more than the chart uses: of `service`, only ports, type, loadBalancerIP, loadBalancerSourceRanges,
externalTrafficPolicy, annotations and labels reach the Service. A `ports` array replaces the default ports.

What it does not do: Routes, volumes, sds, routerMode beyond its variable, pod affinity, PodDisruptionBudgets,
mesh expansion; the pods are injected by the lab's istiod instead of being written out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .kinds import MADE_BY
from .world import Object

INGRESS = "istio-ingressgateway"
EGRESS = "istio-egressgateway"
MANAGED_BY = "maistra-istio-operator"

# mesh-facts 1.3: the base template's ports.
STATUS_PORT = {"name": "status-port", "port": 15021, "targetPort": 15021, "protocol": "TCP"}
WEB_PORTS = [
    {"name": "http2", "port": 80, "targetPort": 8080, "protocol": "TCP"},
    {"name": "https", "port": 443, "targetPort": 8443, "protocol": "TCP"},
]
HONOURED = ("type", "loadBalancerIP", "loadBalancerSourceRanges", "externalTrafficPolicy")


@dataclass(frozen=True)
class Gateway:
    """One gateway of an SMCP; `component` is its name in the SMCP's readiness."""

    name: str
    namespace: str
    component: str
    kind: str
    config: Object

    @property
    def labels(self) -> dict[str, str]:
        """The pods' and the Service's labels: the chart's own, overridden by the Service's (mesh-facts 1.3)."""
        asked = self.config.get("service", {}).get("metadata", {}).get("labels", {})
        return {"app": self.name, "istio": f"{self.kind}gateway"} | asked


def gateways(smcp: Object) -> list[Gateway]:
    """The gateways that an SMCP asks for: ingress and egress unless off, additional ones only when on."""
    spec = smcp["spec"].get("gateways", {})
    home = smcp["metadata"]["namespace"]
    if spec.get("enabled") is False:
        return []
    found = []
    for kind, name in (("ingress", INGRESS), ("egress", EGRESS)):
        config = spec.get(kind, {})
        if config.get("enabled", True):
            found.append(Gateway(name, config.get("namespace", home), f"istio-{kind}", kind, config))
    for kind, field in (("ingress", "additionalIngress"), ("egress", "additionalEgress")):
        for name, config in sorted(spec.get(field, {}).items()):
            # mesh-facts 1.3: without `enabled: true` it is skipped, and the two names are reserved.
            if config.get("enabled") and name not in (INGRESS, EGRESS):
                found.append(Gateway(name, config.get("namespace", home), name, kind, config))
    return found


def render(smcp: Object, revision: str) -> Iterator[Object]:
    """The objects of all gateways."""
    for gateway in gateways(smcp):
        yield _object(smcp, gateway, "ServiceAccount", "v1", f"{gateway.name}-service-account")
        yield from _secret_reader(smcp, gateway)
        yield _service(smcp, gateway)
        yield _deployment(smcp, gateway, revision)
        if _autoscaling(gateway).get("enabled", True):
            yield _autoscaler(smcp, gateway)
        if manages_network_policy(smcp):
            # mesh-facts 1.6: allow-all, and only for gateways that the SMCP makes.
            spec = {"podSelector": {"matchLabels": gateway.labels}, "ingress": [{}], "policyTypes": ["Ingress"]}
            yield _object(smcp, gateway, "NetworkPolicy", "networking.k8s.io/v1", gateway.name, spec=spec)


def manages_network_policy(smcp: Object) -> bool:
    """mesh-facts 1.3: true unless switched off."""
    return smcp["spec"].get("security", {}).get("manageNetworkPolicy", True)


def owner_labels(smcp: Object) -> dict[str, str]:
    """The labels by which what belongs to an SMCP is found again."""
    return {
        MADE_BY: "ossm2",
        "app.kubernetes.io/managed-by": MANAGED_BY,
        "app.kubernetes.io/part-of": "istio",
        "maistra.io/owner": smcp["metadata"]["namespace"],
        "maistra.io/owner-name": smcp["metadata"]["name"],
    }


def new(smcp: Object, kind: str, api_version: str, namespace: str, name: str, **rest: Any) -> Object:
    """An object that belongs to an SMCP; owned by it where they share a namespace."""
    labels = owner_labels(smcp) | rest.pop("labels", {})
    metadata: Object = {"name": name, "namespace": namespace, "labels": labels}
    if namespace == smcp["metadata"]["namespace"]:
        told = {key: smcp[key] for key in ("apiVersion", "kind")}
        told |= {key: smcp["metadata"][key] for key in ("name", "uid")}
        metadata["ownerReferences"] = [told | {"controller": True, "blockOwnerDeletion": True}]
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}


def _object(smcp: Object, gateway: Gateway, kind: str, api_version: str, name: str, **rest: Any) -> Object:
    labels = gateway.labels | rest.pop("labels", {})
    return new(smcp, kind, api_version, gateway.namespace, name, labels=labels, **rest)


def _secret_reader(smcp: Object, gateway: Gateway) -> Iterator[Object]:
    """The right to read certificates (SDS)."""
    group, name = "rbac.authorization.k8s.io", f"{gateway.name}-sds"
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "watch", "list"]}]
    yield _object(smcp, gateway, "Role", f"{group}/v1", name, rules=rules)
    role = {"apiGroup": group, "kind": "Role", "name": name}
    account = {
        "kind": "ServiceAccount",
        "name": f"{gateway.name}-service-account",
        "namespace": gateway.namespace,
    }
    yield _object(smcp, gateway, "RoleBinding", f"{group}/v1", name, roleRef=role, subjects=[account])


def _service(smcp: Object, gateway: Gateway) -> Object:
    asked = gateway.config.get("service", {})
    default = [STATUS_PORT, *WEB_PORTS] if gateway.kind == "ingress" else WEB_PORTS
    spec = {"type": "ClusterIP", "selector": gateway.labels, "ports": asked.get("ports", default)}
    spec |= {key: asked[key] for key in HONOURED if key in asked}
    service = _object(smcp, gateway, "Service", "v1", gateway.name, spec=spec)
    if annotations := asked.get("metadata", {}).get("annotations"):
        service["metadata"]["annotations"] = dict(annotations)
    return service


def _deployment(smcp: Object, gateway: Gateway, revision: str) -> Object:
    runtime = gateway.config.get("runtime", {})
    pod, container, size = (runtime.get(key, {}) for key in ("pod", "container", "deployment"))
    env = {
        # mesh-facts 1.3, 3.5: so istiod skips every listener below 1024.
        "ISTIO_META_UNPRIVILEGED_POD": "true",
        "ISTIO_META_ROUTER_MODE": gateway.config.get("routerMode", "sni-dnat"),
        **container.get("env", {}),
    }
    template_metadata = {
        "labels": gateway.labels
        | {"sidecar.istio.io/inject": "true", "istio.io/rev": revision}
        | pod.get("metadata", {}).get("labels", {}),
        "annotations": {"inject.istio.io/templates": "gateway"} | pod.get("metadata", {}).get("annotations", {}),
    }
    proxy: Object = {
        "name": "istio-proxy",
        "image": "auto",
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": name, "value": value} for name, value in env.items()],
    }
    if resources := container.get("resources"):
        proxy["resources"] = resources
    pod_spec: Object = {"serviceAccountName": f"{gateway.name}-service-account", "containers": [proxy]}
    pod_spec |= {key: pod[key] for key in ("nodeSelector", "tolerations", "priorityClassName") if key in pod}
    spec: Object = {
        "selector": {"matchLabels": gateway.labels},
        "template": {"metadata": template_metadata, "spec": pod_spec},
    }
    if not _autoscaling(gateway).get("enabled", True):
        spec["replicas"] = size.get("replicas", 1)
    if strategy := size.get("strategy"):
        spec["strategy"] = strategy
    return _object(smcp, gateway, "Deployment", "apps/v1", gateway.name, spec=spec)


def _autoscaling(gateway: Gateway) -> Object:
    return gateway.config.get("runtime", {}).get("deployment", {}).get("autoScaling", {})


def _autoscaler(smcp: Object, gateway: Gateway) -> Object:
    """mesh-facts 1.3: on by default, 1 to 5."""
    asked = _autoscaling(gateway)
    cpu = {"type": "Utilization", "averageUtilization": asked.get("targetCPUUtilizationPercentage", 80)}
    spec = {
        "minReplicas": asked.get("minReplicas", 1),
        "maxReplicas": asked.get("maxReplicas", 5),
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": gateway.name},
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": cpu}}],
    }
    return _object(smcp, gateway, "HorizontalPodAutoscaler", "autoscaling/v2", gateway.name, spec=spec)
