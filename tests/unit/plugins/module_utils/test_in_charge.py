# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who keeps an object that is not ours."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._in_charge import in_charge, where_to_edit, whose

MANAGED = "app.kubernetes.io/managed-by"


def owner(kind: str, name: str, **more) -> dict:
    """Return an object with an owner."""
    return {"ownerReferences": [{"kind": kind, "name": name, **more}]}


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({}, None),
        ({"labels": {MANAGED: "kubectl"}}, None),
        ({"labels": {MANAGED: "servicemesh.tcp"}}, None),
        # An owner that is no controller renders nothing.
        (owner("ConfigMap", "x"), None),
        ({"managedFields": [{"manager": "kubectl-edit", "operation": "Update"}]}, None),
        (
            {"annotations": {"meta.helm.sh/release-name": "ingress", "meta.helm.sh/release-namespace": "infra"}},
            "Helm release infra/ingress",
        ),
        (
            {"annotations": {"argocd.argoproj.io/tracking-id": "mesh:v1/Service:gateways/edge"}},
            "Argo CD application 'mesh'",
        ),
        ({"labels": {"argocd.argoproj.io/instance": "mesh"}}, "Argo CD application 'mesh'"),
        ({"managedFields": [{"manager": "argocd-controller", "operation": "Apply"}]}, "Argo CD"),
        (
            {
                "labels": {
                    "kustomize.toolkit.fluxcd.io/name": "apps",
                    "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
                }
            },
            "Flux Kustomization flux-system/apps",
        ),
        (
            {
                "labels": {
                    "helm.toolkit.fluxcd.io/name": "gw",
                    "helm.toolkit.fluxcd.io/namespace": "infra",
                    MANAGED: "Helm",
                }
            },
            "Flux HelmRelease infra/gw",
        ),
        ({"labels": {"olm.owner": "thing.v1"}}, "operator thing.v1 of OLM"),
        (owner("Gateway", "web", controller=True), "Gateway web"),
        (
            {
                **owner("ServiceMeshControlPlane", "basic", controller=True),
                "labels": {MANAGED: "maistra-istio-operator"},
            },
            "ServiceMeshControlPlane istio-system/basic",
        ),
        (
            {"labels": {"maistra.io/owner": "mesh", "maistra.io/owner-name": "prod"}},
            "ServiceMeshControlPlane mesh/prod",
        ),
        ({"labels": {MANAGED: "sail-operator"}}, "sail-operator"),
        ({"labels": {"install.operator.istio.io/owning-resource": "installed-state"}}, "IstioOperator installed-state"),
    ],
)
def test_who_keeps_an_object(metadata, said):
    found = in_charge({"metadata": {"name": "edge", "namespace": "istio-system", **metadata}})
    assert (whose(found) if found else None) == said


def test_where_an_edit_lasts():
    who = {"tool": "flux", "name": "Kustomization a/b"}
    assert where_to_edit(who, "Service x/y", "spec.ports", "y") == (
        "in the source of that object, Service x/y, spec.ports"
    )
    who = {"tool": "other", "name": "the Sail operator"}
    assert where_to_edit(who, "Service x/y", "spec.ports", "y") == "where Service x/y is rendered from, spec.ports"
