# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the API server keeps the kinds that this collection reads and writes.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """One kind at the version that this collection speaks."""

    api_version: str
    plural: str
    namespaced: bool = True


# Istio's kinds at v1beta1: the version that OpenShift Service Mesh 2 and upstream both serve.
KINDS: Mapping[str, Kind] = {
    "AuthorizationPolicy": Kind("security.istio.io/v1beta1", "authorizationpolicies"),
    "CatalogSource": Kind("operators.coreos.com/v1alpha1", "catalogsources"),
    "ClusterOperator": Kind("config.openshift.io/v1", "clusteroperators", namespaced=False),
    "ClusterServiceVersion": Kind("operators.coreos.com/v1alpha1", "clusterserviceversions"),
    "ClusterVersion": Kind("config.openshift.io/v1", "clusterversions", namespaced=False),
    "ConfigMap": Kind("v1", "configmaps"),
    "CustomResourceDefinition": Kind("apiextensions.k8s.io/v1", "customresourcedefinitions", namespaced=False),
    "DaemonSet": Kind("apps/v1", "daemonsets"),
    "Deployment": Kind("apps/v1", "deployments"),
    "DestinationRule": Kind("networking.istio.io/v1beta1", "destinationrules"),
    "EndpointSlice": Kind("discovery.k8s.io/v1", "endpointslices"),
    "Gateway": Kind("networking.istio.io/v1beta1", "gateways"),
    "HorizontalPodAutoscaler": Kind("autoscaling/v2", "horizontalpodautoscalers"),
    "InstallPlan": Kind("operators.coreos.com/v1alpha1", "installplans"),
    "Istio": Kind("sailoperator.io/v1", "istios", namespaced=False),
    "IstioCNI": Kind("sailoperator.io/v1", "istiocnis", namespaced=False),
    "IstioRevision": Kind("sailoperator.io/v1", "istiorevisions", namespaced=False),
    "IstioRevisionTag": Kind("sailoperator.io/v1", "istiorevisiontags", namespaced=False),
    "Job": Kind("batch/v1", "jobs"),
    "Lease": Kind("coordination.k8s.io/v1", "leases"),
    "MutatingWebhookConfiguration": Kind(
        "admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations", namespaced=False
    ),
    "Namespace": Kind("v1", "namespaces", namespaced=False),
    "Network": Kind("config.openshift.io/v1", "networks", namespaced=False),
    "NetworkPolicy": Kind("networking.k8s.io/v1", "networkpolicies"),
    "Node": Kind("v1", "nodes", namespaced=False),
    "PeerAuthentication": Kind("security.istio.io/v1beta1", "peerauthentications"),
    "OperatorGroup": Kind("operators.coreos.com/v1", "operatorgroups"),
    "Pod": Kind("v1", "pods"),
    "PodDisruptionBudget": Kind("policy/v1", "poddisruptionbudgets"),
    "Role": Kind("rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": Kind("rbac.authorization.k8s.io/v1", "rolebindings"),
    "Route": Kind("route.openshift.io/v1", "routes"),
    "Secret": Kind("v1", "secrets"),
    "Service": Kind("v1", "services"),
    "ServiceAccount": Kind("v1", "serviceaccounts"),
    "ServiceEntry": Kind("networking.istio.io/v1beta1", "serviceentries"),
    "ServiceMeshControlPlane": Kind("maistra.io/v2", "servicemeshcontrolplanes"),
    "ServiceMeshMember": Kind("maistra.io/v1", "servicemeshmembers"),
    "ServiceMeshMemberRoll": Kind("maistra.io/v1", "servicemeshmemberrolls"),
    "StatefulSet": Kind("apps/v1", "statefulsets"),
    "Subscription": Kind("operators.coreos.com/v1alpha1", "subscriptions"),
    "VirtualService": Kind("networking.istio.io/v1beta1", "virtualservices"),
}


def collection_path(kind: str, namespace: str | None = None) -> str:
    """Return the path of all objects of a kind, in one namespace or, without one, in the whole cluster."""
    where = KINDS[kind]
    base = f"/apis/{where.api_version}" if "/" in where.api_version else f"/api/{where.api_version}"
    if where.namespaced and namespace:
        base += f"/namespaces/{namespace}"
    return f"{base}/{where.plural}"


def object_path(obj: Mapping[str, Any]) -> str:
    """Return the path of one object, given with its kind and metadata."""
    metadata = obj["metadata"]
    return f"{collection_path(obj['kind'], metadata.get('namespace'))}/{metadata['name']}"


def describe(obj: Mapping[str, Any]) -> str:
    """Return how people name an object: C(Kind namespace/name)."""
    metadata = obj["metadata"]
    namespace = metadata.get("namespace")
    return f"{obj['kind']} {namespace}/{metadata['name']}" if namespace else f"{obj['kind']} {metadata['name']}"
