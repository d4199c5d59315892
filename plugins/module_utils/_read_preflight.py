# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a cluster before anything is installed: who am I, may I, and is it well.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import _preflight, _state_operators
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._reader import Reader
from ansible_collections.servicemesh.tcp.plugins.module_utils._rights import needed

if TYPE_CHECKING:
    from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api

REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
# The API server answers it from Kubernetes 1.28 on (1.27 in beta).
WHO = "/apis/authentication.k8s.io/{version}/selfsubjectreviews"
EVERYTHING = ("*", "*", "*")


def look(api: Api, purposes: Iterable[str]) -> dict[str, Any]:
    """Return what a preflight sees; what may not be read is named in C(unread)."""
    groups = {group["name"]: group for group in api.get("/apis")["groups"]}
    reader = Reader(api, groups)
    versions = reader.items("ClusterVersion")
    return {
        "user": _who(api),
        "denied": _denied(api, needed(purposes)),
        "kubernetes": api.get("/version")["gitVersion"],
        "openshift": next((_state_operators.openshift_version(obj) for obj in versions), ""),
        "olm": reader.serves("operators.coreos.com/v1alpha1"),
        "nodes": [_preflight.node(obj) for obj in reader.items("Node")],
        "cluster_operators": [_preflight.cluster_operator(obj) for obj in reader.items("ClusterOperator")],
        "catalogs": [_state_operators.catalog(obj) for obj in reader.items("CatalogSource")],
        "unread": reader.unread,
    }


def _who(api: Api) -> str:
    """Return the user's name as the API server sees it, '' where it does not tell."""
    for version in ("v1", "v1beta1"):
        body = {"apiVersion": f"authentication.k8s.io/{version}", "kind": "SelfSubjectReview"}
        try:
            answer = api.request("POST", WHO.format(version=version), body=body)
        except ApiError as error:
            if error.status not in (403, 404):
                raise
            continue
        return answer["status"]["userInfo"]["username"]
    return ""


def _denied(api: Api, rights: Iterable[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Return those rights that the user does not have; who may do everything is asked once."""
    if _may(api, EVERYTHING):
        return []
    return [right for right in rights if not _may(api, right)]


def _may(api: Api, right: tuple[str, str, str]) -> bool:
    """Ask the API server for one right in all namespaces."""
    group, resource, verb = right
    attributes: Mapping[str, str] = {"group": group, "resource": resource, "verb": verb}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    return bool(api.request("POST", REVIEWS, body=body)["status"].get("allowed"))
