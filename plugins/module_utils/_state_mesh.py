# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The projection of the mesh itself: its control planes with what they can see, and the gateways' pods.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

REVISION = "istio.io/rev"
# The injector gives both to pods: the first to all of them, the second to sidecars only
# (istio manifests/charts/istio-control/istio-discovery/files, injection-template.yaml and
# gateway-injection-template.yaml; a gateway that a chart writes in full carries the first as well, charts/gateways).
GATEWAY_PODS = "service.istio.io/canonical-name,!security.istio.io/tlsMode"
# What differs between the pods of one workload.
POD_LABELS = ("pod-template-hash", "controller-revision-hash", "statefulset.kubernetes.io/pod-name")
TRUE = ("1", "t", "T", "TRUE", "true", "True")


def control_plane(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Project an istiod Deployment.

    C(scoped): a Gateway reaches pods of its own namespace only. C(member_roll): it sees the members of an OpenShift
    Service Mesh 2 member roll. C(enhanced): whether discovery selectors hold for Istio's own objects too, V(None) for
    the version's default. C(config): see mesh_config; V(None) until it was read.
    """
    labels = obj["metadata"].get("labels") or {}
    containers = obj.get("spec", {}).get("template", {}).get("spec", {}).get("containers") or [{}]
    image = containers[0].get("image", "")
    environment = {item["name"]: item.get("value", "") for item in containers[0].get("env") or []}
    arguments = [str(item) for item in containers[0].get("args") or []]
    enhanced = environment.get("ENABLE_ENHANCED_RESOURCE_SCOPING", "")
    return {
        "name": obj["metadata"]["name"],
        "namespace": obj["metadata"]["namespace"],
        "revision": labels.get(REVISION, "default"),
        "version": image.rsplit(":", 1)[1] if ":" in image else "",
        "ready": bool(obj.get("status", {}).get("readyReplicas")),
        "scoped": environment.get("PILOT_SCOPE_GATEWAY_TO_NAMESPACE", "") in TRUE,
        "enhanced": enhanced in TRUE if enhanced else None,
        "member_roll": any(item.startswith("--memberRollName") for item in arguments),
        "domain": _argument(arguments, "--domain") or "cluster.local",
        "config": None,
    }


def _argument(arguments: list[str], name: str) -> str:
    """Return the value of a command's option, written in one word or in two."""
    for index, item in enumerate(arguments):
        if item.startswith(f"{name}="):
            return item.partition("=")[2]
        if item == name and index + 1 < len(arguments):
            return arguments[index + 1]
    return ""


def config_name(plane: Mapping[str, Any]) -> str:
    """Return the ConfigMap with a control plane's MeshConfig (istio charts, istio-discovery/templates/configmap.yaml).

    The revision 'default' is what the label says of an installation without a revision.
    """
    return "istio" if plane["revision"] == "default" else f"istio-{plane['revision']}"


def mesh_config(document: Mapping[str, Any]) -> dict[str, Any]:
    """Project a MeshConfig: namespaces that are seen, who sees a VirtualService by default, unprivileged proxies."""
    return {
        "discovery_selectors": document.get("discoverySelectors") or [],
        "export_to": document.get("defaultVirtualServiceExportTo") or ["*"],
        "root_namespace": document.get("rootNamespace") or "",
        "unprivileged": _unprivileged(document.get("defaultConfig") or {}),
    }


def _unprivileged(proxy_config: Mapping[str, Any]) -> bool:
    """Tell whether a ProxyConfig says that pods may not bind ports below 1024 (istio pilot/pkg/model/context.go)."""
    metadata = proxy_config.get("proxyMetadata") or {}
    return str(metadata.get("ISTIO_META_UNPRIVILEGED_POD", "")) in TRUE


def workloads(pods: Iterable[Mapping[str, Any]], parse: Any = None) -> list[dict[str, Any]]:
    """Project pods, given with metadata only, to the workloads behind them: equal labels in one namespace are one.

    C(gateway): the pod was injected as a gateway; others count where a Gateway selects them. C(unprivileged) comes from
    the annotation proxy.istio.io/config, read with C(parse); an environment variable of the pod is not seen.
    """
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for pod in pods:
        metadata = pod["metadata"]
        annotations = metadata.get("annotations") or {}
        labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key not in POD_LABELS}
        key = (metadata["namespace"], *sorted(labels.items()))
        item = found.setdefault(
            key,
            {
                "name": owner_name(metadata),
                "namespace": metadata["namespace"],
                "labels": labels,
                "pods": 0,
                "revision": annotations.get(REVISION) or labels.get(REVISION, ""),
                "gateway": "gateway" in annotations.get("inject.istio.io/templates", "").split(","),
                "unprivileged": _annotated_unprivileged(annotations.get("proxy.istio.io/config", ""), parse),
            },
        )
        item["pods"] += 1
    return sorted(found.values(), key=lambda item: (item["namespace"], item["name"], sorted(item["labels"].items())))


def _annotated_unprivileged(text: str, parse: Any) -> bool:
    """Read a pod's own ProxyConfig; what is no mapping says nothing."""
    document = parse(text) if parse and text else None
    return _unprivileged(document) if isinstance(document, Mapping) else False


def owner_name(metadata: Mapping[str, Any]) -> str:
    """Return the name of the workload that a pod belongs to: a ReplicaSet's name without its hash is its Deployment."""
    template = (metadata.get("labels") or {}).get("pod-template-hash", "")
    for owner in metadata.get("ownerReferences") or []:
        if owner.get("controller"):
            name = owner["name"]
            return name[: -len(template) - 1] if template and name.endswith(f"-{template}") else name
    return metadata["name"]
