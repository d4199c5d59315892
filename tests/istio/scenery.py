# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects that all worlds share: namespaces, backends, gateway pods and a second, scoped istiod."""

from __future__ import annotations

import copy
from typing import Any

import yaml

from istio.model import Listeners
from istio.places import DISCOVERED, NAMESPACES, SCOPED_REVISION, Pod, backend_services, namespace_labels

MARKER_HOST = "marker.test"
MESH_NAMESPACE = "istio-system"
ISTIOD_LABELS = {"app": "istiod", "istio": "is-pilot", "istio.io/rev": SCOPED_REVISION}
SCOPED_ISTIOD = f"istiod-{SCOPED_REVISION}"
# It decides what the worlds' pods hear, and meddles with nothing that is the lab's.
SCOPED_ENVIRONMENT = {
    "REVISION": SCOPED_REVISION,
    "PILOT_SCOPE_GATEWAY_TO_NAMESPACE": "true",
    "INJECT_ENABLED": "false",
    "VALIDATION_WEBHOOK_CONFIG_NAME": "",
    "PILOT_ENABLE_GATEWAY_API": "false",
    "PILOT_ENABLE_IP_AUTOALLOCATE": "false",
}


def namespaces() -> list[dict[str, Any]]:
    """Return the namespaces of all worlds."""
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": namespace_labels(name)}}
        for names in NAMESPACES.values()
        for name in names
    ]


def scoped_istiod(lab_istiod: dict[str, Any], mesh_config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a second istiod beside the lab's, made after it, which sees some namespaces only."""
    deployment = copy.deepcopy({key: lab_istiod[key] for key in ("apiVersion", "kind", "spec")})
    deployment["metadata"] = {"name": SCOPED_ISTIOD, "namespace": MESH_NAMESPACE, "labels": ISTIOD_LABELS}
    deployment["spec"]["selector"] = {"matchLabels": {"istio": ISTIOD_LABELS["istio"]}}
    template = deployment["spec"]["template"]
    template["metadata"]["labels"] = {**ISTIOD_LABELS, "sidecar.istio.io/inject": "false"}
    container = template["spec"]["containers"][0]
    kept = [item for item in container["env"] if item["name"] not in SCOPED_ENVIRONMENT]
    container["env"] = kept + [{"name": name, "value": value} for name, value in SCOPED_ENVIRONMENT.items()]
    metadata = {"name": SCOPED_ISTIOD, "namespace": MESH_NAMESPACE}
    service = {
        "selector": {"istio": ISTIOD_LABELS["istio"]},
        "ports": [{"name": "grpc-xds", "port": 15010}, {"name": "https-dns", "port": 15012}],
    }
    seen = {**mesh_config, "discoverySelectors": [{"matchLabels": DISCOVERED}]}
    config = {"name": f"istio-{SCOPED_REVISION}", "namespace": MESH_NAMESPACE}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": config, "data": {"mesh": yaml.safe_dump(seen)}},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
        deployment,
    ]


def gateway_pod(pod: Pod) -> dict[str, Any]:
    """Return the Deployment of a gateway pod."""
    config: dict[str, Any] = {}
    if pod.revision == SCOPED_REVISION:
        # The lab's injector makes the pod; only whom it listens to is another one.
        config["discoveryAddress"] = f"{SCOPED_ISTIOD}.{MESH_NAMESPACE}.svc:15012"
    if pod.unprivileged:
        config["proxyMetadata"] = {"ISTIO_META_UNPRIVILEGED_POD": "true"}
    annotations = {"inject.istio.io/templates": "gateway", "proxy.istio.io/config": yaml.safe_dump(config)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": pod.name, "namespace": pod.namespace},
        "spec": {
            "selector": {"matchLabels": pod.labels},
            "template": {
                "metadata": {
                    "labels": {**pod.labels, "app": pod.name, "sidecar.istio.io/inject": "true"},
                    "annotations": annotations,
                },
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{"name": "istio-proxy", "image": "auto", "imagePullPolicy": "IfNotPresent"}],
                },
            },
        },
    }


def marker(pod: Pod, number: int) -> list[dict[str, Any]]:
    """Return listeners that need a Service, a Gateway and VirtualServices: when they are there, so is all before them.

    One is HTTP, whose routes Envoy asks for after its listeners.
    """
    name = f"marker-{pod.name}-{number}"
    metadata = {"name": name, "namespace": pod.namespace}
    marks = {"istio.io/rev": pod.revision}
    service = {"selector": pod.labels, "ports": [{"name": "tcp", "port": number, "targetPort": number + 1}]}
    tcp = {"port": {"number": number, "name": "tcp", "protocol": "TCP"}, "hosts": ["*"]}
    http = {"port": {"number": number + 2, "name": "http", "protocol": "HTTP"}, "hosts": [MARKER_HOST]}
    route = {"destination": {"host": MARKER_HOST, "port": {"number": 1}}}
    istio = "networking.istio.io/v1beta1"
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
        {
            "apiVersion": istio,
            "kind": "VirtualService",
            "metadata": {**metadata, "labels": marks},
            "spec": {
                "hosts": [MARKER_HOST],
                "gateways": [name],
                "tcp": [{"match": [{"port": number}], "route": [route]}],
                "http": [{"route": [route]}],
            },
        },
        {
            "apiVersion": istio,
            "kind": "Gateway",
            "metadata": {**metadata, "labels": marks},
            "spec": {"selector": pod.labels, "servers": [tcp, http]},
        },
    ]


def marker_listeners(number: int) -> Listeners:
    """Return what a pod has of its marker once it has heard everything."""
    cluster = f"outbound|1||{MARKER_HOST}"
    return {
        ("0.0.0.0", number + 1): (((), "tcp", (cluster,)),),
        ("0.0.0.0", number + 2): (((), "http", (MARKER_HOST,)),),
    }


def shared_objects() -> list[dict[str, Any]]:
    """Return what stands in the namespaces before any world."""
    return backend_services()
