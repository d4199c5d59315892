# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a cluster once, and return the projection that planning lives on.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import _state, _state_mesh, _state_smcp
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import KINDS, collection_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import GATEWAY_LABEL

# The Kubernetes client needs it too, and Api says what is missing.
with contextlib.suppress(ImportError):
    import yaml

if TYPE_CHECKING:
    from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api

ISTIO_GROUP = KINDS["Gateway"].api_version.split("/")[0]
ISTIO_VERSION = KINDS["Gateway"].api_version.split("/")[1]


def read(api: Api) -> dict[str, Any]:
    """Read the cluster and return its projection."""
    unread: list[str] = []

    def project(kind: str, projection: Any, selector: str | None = None) -> list[Any]:
        items = api.get(collection_path(kind), labelSelector=selector)["items"]
        # Items of a list carry no kind of their own.
        return [projection(item) for item in items]

    def if_allowed(path: str, ask: Any) -> Any:
        """Read what planning can do without; where the right lacks, it is known to be unknown."""
        try:
            return ask(path)
        except ApiError as error:
            if error.status != 403:
                raise
            unread.append(path)
            return None

    groups = {group["name"]: group for group in api.get("/apis")["groups"]}
    versions = {item["version"] for item in groups.get(ISTIO_GROUP, {"versions": []})["versions"]}
    served = ISTIO_VERSION in versions
    webhooks = api.get(collection_path("MutatingWebhookConfiguration"), labelSelector="app=sidecar-injector")["items"]
    namespaces = api.get(collection_path("Namespace"))["items"]
    services = project("Service", _state.service)
    planes = project("Deployment", _state_mesh.control_plane, "app=istiod")
    for plane in planes:
        path = f"{collection_path('ConfigMap', plane['namespace'])}/{_state_mesh.config_name(plane)}"
        found = if_allowed(path, api.find)
        document = parse((found.get("data") or {}).get("mesh", "")) if found else None
        plane["config"] = _state_mesh.mesh_config(document) if isinstance(document, dict) else None
    pods = if_allowed(
        collection_path("Pod"),
        lambda path: api.metadata(path, labelSelector=_state_mesh.GATEWAY_PODS) if served else [],
    )
    group, version = KINDS["ServiceMeshControlPlane"].api_version.split("/")
    smcps: list[Any] | None = []
    if any(item["version"] == version for item in groups.get(group, {"versions": []})["versions"]):
        listed = if_allowed(collection_path("ServiceMeshControlPlane"), api.get)
        smcps = None if listed is None else [_state_smcp.smcp(item) for item in listed["items"]]
    return {
        "version": _state.VERSION,
        "cluster": {
            "host": api.host,
            "kubernetes": api.get("/version")["gitVersion"],
            "openshift": "route.openshift.io" in groups,
        },
        "mesh": {
            "served": served,
            "control_planes": planes,
            "revisions": _state.revisions(webhooks),
            "unread": unread,
        },
        "namespaces": {item["metadata"]["name"]: _state.namespace(item) for item in namespaces},
        "services": services,
        "gateways": project("Gateway", _state.gateway) if served else [],
        "virtual_services": project("VirtualService", _state.virtual_service) if served else [],
        "workloads": _state_mesh.workloads(pods or [], parse),
        "deployments": project("Deployment", _state.deployment, GATEWAY_LABEL),
        "smcps": smcps,
        "nodes": read_nodes(api, [item for item in services if GATEWAY_LABEL in item["labels"]]),
    }


def parse(text: str) -> Any:
    """Read YAML that somebody else wrote; what is none says nothing."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def read_nodes(api: Api, services: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Read the nodes where one of the front Services is of type NodePort; nobody else needs the right to list them."""
    if not any(item["type"] == "NodePort" for item in services):
        return []
    return [_state.node(item) for item in api.get(collection_path("Node"))["items"]]
