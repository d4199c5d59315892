# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tool or operator keeps an object that is not ours, and where a port would have to be added so that it stays.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ansible_collections.servicemesh.tcp.plugins.module_utils._names import COLLECTION, MANAGED_BY_LABEL

# Field managers that write again what they rendered before, by the tool that they belong to.
MANAGERS: Mapping[str, str] = {
    "argocd-application-controller": "Argo CD",
    "argocd-controller": "Argo CD",
    "helm-controller": "Flux",
    "kustomize-controller": "Flux",
    "sail-operator": "the Sail operator",
    "maistra-istio-operator": "the OpenShift Service Mesh operator",
}
# Values of managed-by that stand for people: whoever writes them changes nothing back.
PEOPLE = ("", "kubectl", COLLECTION)


class Mark(NamedTuple):
    """What a tool leaves on an object that it keeps, and by which key it was found."""

    kind: str
    namespace: str
    name: str
    by: str


def in_charge(obj: Mapping[str, Any]) -> dict[str, str] | None:
    """Return who keeps an object as C({tool, name}), V(None) where nobody does; read from labels, owners and managers.

    C(tool) is V(helm), V(argocd), V(flux), V(olm), V(smcp), V(owner) for another controller, or V(other).
    """
    metadata = obj["metadata"]
    labels = metadata.get("labels") or {}
    smcp, argo, flux, helm = smcp_mark(metadata), argo_mark(metadata), flux_mark(metadata), helm_mark(metadata)
    found = (
        (smcp and _who("smcp", f"{smcp.namespace}/{smcp.name}"))
        or (argo and _who("argocd", argo.name))
        or (flux and _who("flux", f"{flux.kind} {flux.namespace or '?'}/{flux.name}"))
        or (helm and _who("helm", f"{helm.namespace or '?'}/{helm.name}"))
        or _owner(metadata, labels)
    )
    if found:
        return found
    managed_by = labels.get(MANAGED_BY_LABEL, "")
    if managed_by.lower() not in PEOPLE:
        return _who("other", managed_by)
    managers = [entry.get("manager", "") for entry in metadata.get("managedFields") or []]
    return next((_who("other", MANAGERS[name]) for name in managers if name in MANAGERS), None)


def _who(tool: str, name: str) -> dict[str, str]:
    """Return who keeps an object."""
    return {"tool": tool, "name": name}


def smcp_mark(metadata: Mapping[str, Any]) -> Mark | None:
    """Find the control plane of OpenShift Service Mesh 2 (maistra istio-operator, pkg/controller/common, labels)."""
    kind, key = "ServiceMeshControlPlane", "maistra.io/owner"
    for owner in metadata.get("ownerReferences") or []:
        if owner["kind"] == kind:
            return Mark(kind, metadata["namespace"], owner["name"], "ownerReferences")
    labels = metadata.get("labels") or {}
    return Mark(kind, labels[key], labels.get(f"{key}-name", "?"), f"label {key}") if key in labels else None


def argo_mark(metadata: Mapping[str, Any]) -> Mark | None:
    """Find an Argo CD application (argo-cd.readthedocs.io, "Resource Tracking")."""
    key = "argocd.argoproj.io/tracking-id"
    name = (metadata.get("annotations") or {}).get(key, "").partition(":")[0]
    if name:
        return Mark("Application", "", name, f"annotation {key}")
    key = "argocd.argoproj.io/instance"
    name = (metadata.get("labels") or {}).get(key, "")
    return Mark("Application", "", name, f"label {key}") if name else None


def flux_mark(metadata: Mapping[str, Any]) -> Mark | None:
    """Find what Flux applied or installed an object for (fluxcd.io, kustomize-controller and helm-controller)."""
    labels = metadata.get("labels") or {}
    for group, kind in (("kustomize", "Kustomization"), ("helm", "HelmRelease")):
        key = f"{group}.toolkit.fluxcd.io/name"
        if labels.get(key):
            return Mark(kind, labels.get(f"{group}.toolkit.fluxcd.io/namespace", ""), labels[key], f"label {key}")
    return None


def helm_mark(metadata: Mapping[str, Any]) -> Mark | None:
    """Find a Helm release (helm.sh, "Labels and Annotations": Helm 3 sets both on all that it installs)."""
    annotations, key = metadata.get("annotations") or {}, "meta.helm.sh/release-name"
    if not annotations.get(key):
        return None
    return Mark("release", annotations.get("meta.helm.sh/release-namespace", ""), annotations[key], f"annotation {key}")


def _owner(metadata: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, str] | None:
    """Find the controller of an object, or the operator that OLM installed it with."""
    for owner in metadata.get("ownerReferences") or []:
        if owner.get("controller"):
            return _who("owner", f"{owner['kind']} {owner['name']}")
    if labels.get("olm.owner"):
        return _who("olm", labels["olm.owner"])
    # What istioctl installed and a later 'istioctl install' renders again.
    if labels.get("install.operator.istio.io/owning-resource"):
        return _who("owner", f"IstioOperator {labels['install.operator.istio.io/owning-resource']}")
    return None


SENTENCES: Mapping[str, str] = {
    "argocd": "Argo CD application {name!r}",
    "flux": "Flux {name}",
    "helm": "Helm release {name}",
    "olm": "operator {name} of OLM",
    "owner": "{name}",
    "smcp": "ServiceMeshControlPlane {name}",
    "other": "{name}",
}
# Where the edit is made, so that it stays; C({place}) is the field of the object itself.
EDITS: Mapping[str, str] = {
    "argocd": "in the source of that application, {object}, {place}",
    "flux": "in the source of that object, {object}, {place}",
    "helm": "in the values of that release, service.ports where it is Istio's gateway chart",
    "smcp": "in that control plane, spec.gateways, the service.ports of gateway {name}",
}
# A port of it goes where the tool renders it from.
ELSEWHERE = "where {object} is rendered from, {place}"


def whose(found: Mapping[str, str]) -> str:
    """Name who keeps an object, as findings do."""
    return SENTENCES[found["tool"]].format(name=found["name"])


def where_to_edit(found: Mapping[str, str], obj: str, place: str, name: str) -> str:
    """Say where an edit of C(place) of an object has to be made, so that whoever keeps it does not undo it."""
    return EDITS.get(found["tool"], ELSEWHERE).format(object=obj, place=place, name=name)
