# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who an object belongs to, as far as it tells: a set of ours, a GitOps tool, Helm, an operator, or somebody's hand.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._fix_protocol import is_fix_manager
from ansible_collections.servicemesh.tcp.plugins.module_utils._in_charge import (
    Mark,
    argo_mark,
    flux_mark,
    helm_mark,
    smcp_mark,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import (
    GATEWAY_LABEL,
    MANAGED_BY_LABEL,
    SET_LABEL,
    is_ours,
    manager_set,
)

# Field managers that speak for a tool, by how their names begin: the tools' own sources and documentation.
TOOLS: Mapping[str, str] = {
    "argocd": "argocd",
    "helm": "helm",
    "kustomize-controller": "flux",
    "helm-controller": "flux",
    "terraform": "terraform",
    "hashicorp": "terraform",
    "pulumi": "pulumi",
}
# ... and those behind which somebody sits: command lines, consoles, scripts.
HANDS = ("kubectl", "oc", "Mozilla", "OpenAPI-Generator", "python-requests", "curl", "k9s", "lens", "openshift-console")


def owner(kind: str, name: str, by: str) -> dict[str, str]:
    """Return an owner: C(kind) is what sort, C(name) which, C(by) what of the object tells."""
    return {"kind": kind, "name": name, "by": by}


def owner_of(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Tell whose an object is; the tool that would undo a change comes before the one that wrote the file.

    Sources: Argo CD "Resource Tracking"; Flux kustomize-controller and helm-controller, "labels"; Helm "Labels and
    Annotations"; OLM's owner labels; Kubernetes "Owners and Dependents".
    """
    labels = metadata.get("labels") or {}
    return (
        _ours(labels)
        or _marked("argocd", argo_mark(metadata))
        or _marked("flux", flux_mark(metadata))
        or _operator(metadata, labels)
        or _marked("helm", helm_mark(metadata))
        or _helm(labels)
        or _managed_by(labels)
        or _writer(metadata)
        or owner("unknown", "", "nothing on the object tells")
    )


def _ours(labels: Mapping[str, str]) -> dict[str, str] | None:
    if not is_ours(labels):
        return None
    if labels.get(SET_LABEL):
        return owner("set", labels[SET_LABEL], f"label {SET_LABEL}")
    return owner("gateway", labels.get(GATEWAY_LABEL, ""), f"label {GATEWAY_LABEL}")


def _marked(kind: str, mark: Mark | None) -> dict[str, str] | None:
    """Return the tool that left a mark, named as the tool names what it keeps."""
    return owner(kind, "/".join(filter(None, (mark.namespace, mark.name))), mark.by) if mark else None


def _operator(metadata: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, str] | None:
    if labels.get("olm.owner"):
        return owner("olm", labels["olm.owner"], "label olm.owner")
    references = metadata.get("ownerReferences") or []
    found = next((item for item in references if item.get("controller")), references[0] if references else None)
    # A pod's controller and a node's static pods are no operators.
    if found and found["kind"] not in ("ReplicaSet", "DaemonSet", "StatefulSet", "Job", "Node"):
        return owner("operator", f"{found['kind']} {found['name']}", "ownerReferences")
    smcp = smcp_mark(metadata)
    return owner("operator", f"{smcp.kind} {smcp.name}", smcp.by) if smcp else None


def _helm(labels: Mapping[str, str]) -> dict[str, str] | None:
    """Find what was written from a chart by other tools than Helm itself."""
    if labels.get(MANAGED_BY_LABEL) == "Helm":
        return owner("helm", labels.get("app.kubernetes.io/instance", ""), f"label {MANAGED_BY_LABEL}")
    return None


def _managed_by(labels: Mapping[str, str]) -> dict[str, str] | None:
    tool = labels.get(MANAGED_BY_LABEL)
    return owner("tool", tool, f"label {MANAGED_BY_LABEL}") if tool else None


def writers(metadata: Mapping[str, Any]) -> list[str]:
    """Return the field managers of an object's spec, who wrote last first; status is written by controllers."""
    entries = [
        item
        for item in metadata.get("managedFields") or []
        if not item.get("subresource")
        and "f:spec" in (item.get("fieldsV1") or {})
        # It makes nobody the owner of the Service.
        and not is_fix_manager(item.get("manager", ""))
    ]
    entries.sort(key=lambda item: item.get("time", ""), reverse=True)
    return list(dict.fromkeys(item.get("manager", "") for item in entries))


def _writer(metadata: Mapping[str, Any]) -> dict[str, str] | None:
    """Read the owner off the managed fields."""
    references = metadata.get("ownerReferences") or []
    if references:
        return owner("workload", f"{references[0]['kind']} {references[0]['name']}", "ownerReferences")
    found = writers(metadata)
    if not found:
        return None
    manager = found[0]
    return owner_of_manager(manager)


def owner_of_manager(manager: str) -> dict[str, str]:
    """Tell who is behind a field manager."""
    by = f"field manager {manager}"
    if manager_set(manager):
        return owner("set", manager_set(manager) or "", by)
    for beginning, kind in TOOLS.items():
        if manager.lower().startswith(beginning):
            return owner(kind, "", by)
    if manager.startswith(HANDS):
        return owner("hand", manager, by)
    return owner("controller", manager, by)


def owner_text(found: Mapping[str, str]) -> str:
    """Write an owner as people do: C(set default), C(helm shop/redis), C(by hand (kubectl-edit))."""
    if found["kind"] == "hand":
        return f"by hand ({found['name']})"
    return " ".join(filter(None, (found["kind"], found["name"])))
