# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds that the stand-ins read and write, and where the API server serves them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind; `selector` limits what is watched to objects with that label."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool = True
    custom: bool = False
    selector: str = ""

    @property
    def crd(self) -> str:
        """The name of its CustomResourceDefinition; empty for a built-in kind."""
        return f"{self.plural}.{self.api_version.partition('/')[0]}" if self.custom else ""

    def path(self, namespace: str = "", name: str = "") -> str:
        """The path of its collection, or of one object."""
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{root}{scope}/{self.plural}" + (f"/{name}" if name else "")


# What the stand-ins made carries this label; of most built-in kinds only such objects are watched.
MADE_BY = "standins/made-by"

_OLM = "operators.coreos.com"


def _custom(api_version: str, kind: str, plural: str, namespaced: bool = True) -> Kind:
    return Kind(api_version, kind, plural, namespaced, custom=True)


_ALL = (
    Kind("v1", "Namespace", "namespaces", False),
    Kind("v1", "ConfigMap", "configmaps"),
    Kind("v1", "Service", "services", selector=MADE_BY),
    Kind("v1", "ServiceAccount", "serviceaccounts", selector=MADE_BY),
    Kind("apps/v1", "Deployment", "deployments"),
    Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", selector=MADE_BY),
    Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", selector=MADE_BY),
    Kind("rbac.authorization.k8s.io/v1", "Role", "roles", selector=MADE_BY),
    Kind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", selector=MADE_BY),
    Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", False),
    _custom(f"{_OLM}/v1alpha1", "Subscription", "subscriptions"),
    _custom(f"{_OLM}/v1alpha1", "InstallPlan", "installplans"),
    _custom(f"{_OLM}/v1alpha1", "ClusterServiceVersion", "clusterserviceversions"),
    _custom(f"{_OLM}/v1alpha1", "CatalogSource", "catalogsources"),
    _custom(f"{_OLM}/v1", "OperatorGroup", "operatorgroups"),
    _custom("maistra.io/v2", "ServiceMeshControlPlane", "servicemeshcontrolplanes"),
    _custom("maistra.io/v1", "ServiceMeshMemberRoll", "servicemeshmemberrolls"),
    _custom("maistra.io/v1", "ServiceMeshMember", "servicemeshmembers"),
    _custom("sailoperator.io/v1", "Istio", "istios", False),
    _custom("sailoperator.io/v1", "IstioCNI", "istiocnis", False),
    _custom("sailoperator.io/v1", "IstioRevision", "istiorevisions", False),
    _custom("sailoperator.io/v1", "IstioRevisionTag", "istiorevisiontags", False),
    _custom("config.openshift.io/v1", "ClusterVersion", "clusterversions", False),
    _custom("config.openshift.io/v1", "ClusterOperator", "clusteroperators", False),
    _custom("config.openshift.io/v1", "Infrastructure", "infrastructures", False),
    _custom("route.openshift.io/v1", "Route", "routes"),
)
KINDS = {kind.kind: kind for kind in _ALL}
KIND_OF = {kind.crd: kind.kind for kind in _ALL if kind.crd}
