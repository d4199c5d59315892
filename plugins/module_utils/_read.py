# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a cluster once, and return the projection that planning lives on.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import _state, _state_mesh, _state_smcp
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import KINDS, collection_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import (
    COLLECTION,
    DOOR_LABEL,
    GATEWAY_LABEL,
    MANAGED_BY_LABEL,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._read_members import read_inside, read_members
from ansible_collections.servicemesh.tcp.plugins.module_utils._read_operators import read_operators
from ansible_collections.servicemesh.tcp.plugins.module_utils._read_planes import read_planes
from ansible_collections.servicemesh.tcp.plugins.module_utils._reader import Lists, Reader

# The Kubernetes client needs it too, and Api says what is missing.
with contextlib.suppress(ImportError):
    import yaml

if TYPE_CHECKING:
    from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api

ISTIO_GROUP = KINDS["Gateway"].api_version.split("/")[0]
ISTIO_VERSION = KINDS["Gateway"].api_version.split("/")[1]


def read(api: Api, parts: Iterable[str] = ("mesh",), inside: Iterable[str] = ()) -> dict[str, Any]:
    """Read the cluster and return its projection, with the keys of the parts that are asked for.

    C(inside) are namespaces of which it is also read what is in them. Every part brings C(version), C(cluster) and
    C(namespaces).
    """
    groups = {group["name"]: group for group in api.get("/apis")["groups"]}
    namespaces = api.get(collection_path("Namespace"))["items"]
    found = {
        "version": _state.VERSION,
        "cluster": {
            "host": api.host,
            "kubernetes": api.get("/version")["gitVersion"],
            "openshift": "route.openshift.io" in groups,
        },
        "namespaces": {item["metadata"]["name"]: _state.namespace(item) for item in namespaces},
    }
    lists: Lists = {}
    for part in parts:
        found.update(PARTS[part](Reader(api, groups, lists)))
    if inside:
        found.update(read_inside(Reader(api, groups), inside))
    return found


def read_mesh(reader: Reader) -> dict[str, Any]:
    """Read the part C(mesh): all that planning ports and gateways needs."""
    api = reader.api

    def project(kind: str, projection: Any, selector: str | None = None) -> list[Any]:
        items = api.get(collection_path(kind), labelSelector=selector)["items"]
        # Items of a list carry no kind of their own.
        return [projection(item) for item in items]

    served = reader.serves(f"{ISTIO_GROUP}/{ISTIO_VERSION}")
    webhooks = api.get(collection_path("MutatingWebhookConfiguration"), labelSelector="app=sidecar-injector")["items"]
    services = project("Service", _state.service)
    planes = project("Deployment", _state_mesh.control_plane, "app=istiod")
    for plane in planes:
        path = f"{collection_path('ConfigMap', plane['namespace'])}/{_state_mesh.config_name(plane)}"
        found = reader.if_allowed(path, api.find)
        document = parse((found.get("data") or {}).get("mesh", "")) if found else None
        plane["config"] = _state_mesh.mesh_config(document) if isinstance(document, dict) else None
    pods = reader.if_allowed(
        collection_path("Pod"),
        lambda path: api.metadata(path, labelSelector=_state_mesh.GATEWAY_PODS) if served else [],
    )
    rules = reader.known_items("DestinationRule")
    entries = reader.known_items("ServiceEntry", f"{MANAGED_BY_LABEL}={COLLECTION}")
    smcps = reader.known_items("ServiceMeshControlPlane")
    return {
        "mesh": {
            "served": served,
            "control_planes": planes,
            "revisions": _state.revisions(webhooks),
            "tags": _state.tags(webhooks),
            "unread": reader.unread,
        },
        "services": services,
        "gateways": project("Gateway", _state.gateway) if served else [],
        "virtual_services": project("VirtualService", _state.virtual_service) if served else [],
        "destination_rules": None if rules is None else [_state.destination_rule(item) for item in rules],
        "service_entries": None if entries is None else [_state.service_entry(item) for item in entries],
        "workloads": _state_mesh.workloads(pods or [], parse),
        "deployments": project("Deployment", _state.deployment, GATEWAY_LABEL),
        "smcps": None if smcps is None else [_state_smcp.smcp(item) for item in smcps],
        "routes": read_routes(reader),
        "nodes": read_nodes(api, [item for item in services if {GATEWAY_LABEL, DOOR_LABEL} & item["labels"].keys()]),
    }


def read_routes(reader: Reader) -> list[dict[str, Any]] | None:
    """Read our Routes; V(None) where there are none to have, or no right to see them, which only door route needs."""
    if not reader.serves(KINDS["Route"].api_version):
        return None
    found = Reader(reader.api, reader.groups).known_items("Route", f"{MANAGED_BY_LABEL}={COLLECTION}")
    return None if found is None else [_state.route(item) for item in found]


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


# The parts by name; each is a function of a Reader to keys of the projection.
PARTS: Mapping[str, Callable[[Reader], dict[str, Any]]] = {
    "members": read_members,
    "mesh": read_mesh,
    "operators": read_operators,
    "planes": read_planes,
}
