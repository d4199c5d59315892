# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read everything on a cluster that lets TCP in: once, in pages, several lists at a time, and never a write.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_parts import host_pods, ready_backends
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_subsets import read_members
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import collection_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._read import ISTIO_GROUP, ISTIO_VERSION
from ansible_collections.servicemesh.tcp.plugins.module_utils._read import read as read_state

if TYPE_CHECKING:
    from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api

# Objects in one answer (Kubernetes API concepts, "Retrieving large results sets in chunks"; kubectl takes as many).
PAGE = 500
THREADS = 6
GATEWAY_API = "gateway.networking.k8s.io"
ENDPOINT_SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
POLICIES = "/apis/security.istio.io/v1beta1/authorizationpolicies"
ROUTES = "/apis/route.openshift.io/v1/routes"
PODS = collection_path("Pod")
NODES = collection_path("Node")
# What a set's planning reads as a whole, and an audit looks into more closely.
SHARED = ("Namespace", "Service")
SHARED_ISTIO = ("Gateway", "VirtualService")
# What goes unseen where the right to read it lacks.
UNSEEN: Mapping[str, str] = {
    ENDPOINT_SLICES: "whether backends have a ready endpoint",
    POLICIES: "whom AuthorizationPolicies let in",
    ROUTES: "passthrough Routes",
    PODS: "host ports of pods",
    NODES: "the nodes' addresses",
}


class Gathered:
    """An API server whose big lists were read already: everything else is still asked of it."""

    def __init__(self, api: Api, lists: Mapping[str, list[dict[str, Any]]]) -> None:
        self._api, self._lists = api, lists
        self.host = api.host
        self.find, self.metadata = api.find, api.metadata

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Read one path, from what is here where that is all of it."""
        if path in self._lists and not any(query.values()):
            return {"items": self._lists[path]}
        return self._api.get(path, **query)


def pages(api: Api, path: str, **query: Any) -> Iterator[list[dict[str, Any]]]:
    """Read a list page by page."""
    token = None
    while True:
        answer = api.get(path, limit=PAGE, **{"continue": token}, **query)
        yield answer["items"]
        token = (answer.get("metadata") or {}).get("continue")
        if not token:
            return


def read_audit(api: Api, certificates: bool = True) -> dict[str, Any]:
    """Read a cluster; return C(state), the projection of C(mesh_state), and the lists that it has no room for.

    C(unread) maps each path that there was no right to read to what goes unseen for it. C(endpoints) is V(None) where
    endpoints could not be read.
    """
    groups = {item["name"]: [one["version"] for one in item["versions"]] for item in api.get("/apis")["groups"]}
    istio = ISTIO_VERSION in groups.get(ISTIO_GROUP, ())
    wanted: dict[str, Callable[[], Any]] = {
        collection_path(kind): _all(api, collection_path(kind)) for kind in (*SHARED, *(SHARED_ISTIO if istio else ()))
    }
    wanted[ENDPOINT_SLICES] = lambda: ready_backends(pages(api, ENDPOINT_SLICES))
    wanted[PODS] = lambda: host_pods(pages(api, PODS))
    wanted[NODES] = _all(api, NODES)
    if "v1beta1" in groups.get("security.istio.io", ()):
        wanted[POLICIES] = _all(api, POLICIES)
    if "route.openshift.io" in groups:
        wanted[ROUTES] = _all(api, ROUTES)
    for plural in ("gateways", "tcproutes", "tlsroutes") if GATEWAY_API in groups else ():
        wanted[f"{GATEWAY_API}/{plural}"] = partial(_first_served, api, groups[GATEWAY_API], plural)
    found, unread = _at_once(wanted)
    required = [collection_path(kind) for kind in (*SHARED, *SHARED_ISTIO)]
    state = read_state(Gathered(api, {path: found[path] for path in (*required, NODES) if found.get(path) is not None}))
    unread.update((path, "who gets in whose way there") for path in state["mesh"]["unread"])
    result = {
        "state": state,
        "services": found[collection_path("Service")],
        "gateways": found.get(collection_path("Gateway")) or [],
        "virtual_services": found.get(collection_path("VirtualService")) or [],
        "endpoints": found[ENDPOINT_SLICES],
        "members": read_members(api, state),
        "pods": found[PODS] or [],
        "nodes": found[NODES] or [],
        "policies": found.get(POLICIES) or [],
        "routes": found.get(ROUTES) or [],
        "listeners": found.get(f"{GATEWAY_API}/gateways") or [],
        "tcp_routes": found.get(f"{GATEWAY_API}/tcproutes") or [],
        "tls_routes": found.get(f"{GATEWAY_API}/tlsroutes") or [],
        "secrets": {},
        "unread": unread,
    }
    if certificates:
        result["secrets"] = _read_certificates(api, result, unread)
    return result


def _all(api: Api, path: str) -> Callable[[], list[dict[str, Any]]]:
    """Return what reads a whole list."""
    return lambda: [item for page in pages(api, path) for item in page]


def _first_served(api: Api, versions: Iterable[str], plural: str) -> list[dict[str, Any]]:
    """Read a list of the Gateway API at the first version that has it: kinds became stable at different times."""
    for version in versions:
        try:
            return _all(api, f"/apis/{GATEWAY_API}/{version}/{plural}")()
        except ApiError as error:
            if error.status != 404:
                raise
    return []


def _at_once(wanted: Mapping[str, Callable[[], Any]]) -> tuple[dict[str, Any], dict[str, str]]:
    """Read several lists at a time; what there is no right to is V(None), unless nothing goes without it."""
    found: dict[str, Any] = {}
    unread: dict[str, str] = {}
    with ThreadPoolExecutor(THREADS) as pool:
        asked = {path: pool.submit(ask) for path, ask in wanted.items()}
        for path, future in asked.items():
            try:
                found[path] = future.result()
            except ApiError as error:
                if error.status != 403 or not (path in UNSEEN or path.startswith(GATEWAY_API)):
                    raise
                found[path] = None
                unread[path] = UNSEEN.get(path, "what the Gateway API lets in")
    return found, unread


def certificate_places(read: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Return namespace and name of the Secrets that TLS servers show a certificate from.

    Istio reads them in the namespace of the gateway's pods (istio.io, "Secure Gateways"); which pods a Gateway has is
    not asked here, so its own namespace and those of all gateway pods count.
    """
    names = {server["credential"] for item in read["state"]["gateways"] for server in item["servers"]} - {""}
    namespaces = {item["namespace"] for item in read["state"]["workloads"] if item["gateway"]}
    places = {(namespace, name) for name in names for namespace in namespaces}
    for item in read["listeners"]:
        for listener in item["spec"].get("listeners") or []:
            for reference in (listener.get("tls") or {}).get("certificateRefs") or []:
                places.add((reference.get("namespace") or item["metadata"]["namespace"], reference["name"]))
    return places


def _read_certificates(api: Api, read: Mapping[str, Any], unread: dict[str, str]) -> dict[tuple[str, str], str]:
    """Read the certificates of TLS Secrets where a server shows one; their keys are dropped at once."""
    found: dict[tuple[str, str], str] = {}
    places = certificate_places(read)
    for namespace in sorted({namespace for namespace, _name in places}):
        path = f"/api/v1/namespaces/{namespace}/secrets"
        try:
            for page in pages(api, path, fieldSelector="type=kubernetes.io/tls"):
                for item in page:
                    place = (namespace, item["metadata"]["name"])
                    if place in places:
                        found[place] = (item.get("data") or {}).get("tls.crt", "")
        except ApiError as error:
            if error.status != 403:
                raise
            unread[path] = "when certificates there end"
    return found
