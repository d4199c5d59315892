# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The labels by which a namespace becomes part of a mesh: injection, and discovery.

Sources: Sail operator docs, "injection" and "create-mesh"; Istio's webhooks (istio-discovery, mutatingwebhook.yaml);
maistra/istio-operator resources/helm/v2.5/istio-control/istio-discovery/templates/mutatingwebhook.yaml.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._onboarding_mesh import (
    DEFAULT,
    describe_mesh,
    label_revision,
    revision_of,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._selectors import meets, selector_text, selects

INJECTION = "istio-injection"
REVISION = "istio.io/rev"
# A discovery selector is not met by changing what decides on injection, nor by what the API server sets itself.
FIXED = (INJECTION, REVISION, "kubernetes.io/metadata.name")
Labels = dict[str, str]
Findings = list[dict[str, str]]


def foreign_labels(name: str, state: Mapping[str, Any]) -> Labels:
    """Return the labels of a namespace that onboarding did not put there; one to be made has its name only."""
    namespace = state["namespaces"].get(name)
    if namespace is None:
        return {"kubernetes.io/metadata.name": name}
    applied = namespace.get("applied", [])
    return {key: value for key, value in namespace["labels"].items() if key not in applied}


def wanted_labels(
    member: Mapping[str, Any], mesh: Mapping[str, Any], state: Mapping[str, Any]
) -> tuple[Labels, Findings]:
    """Return the labels that onboarding has to put on a namespace, beside those that others put there."""
    foreign = foreign_labels(member["name"], state)
    if mesh["flavour"] == "ossm2":
        return _maistra_labels(member, foreign)
    labels, findings = _injection_labels(member, mesh, foreign, state)
    if findings and findings[0]["severity"] == "error":
        return {}, findings
    selectors = ((mesh["plane"] or {}).get("config") or {}).get("discovery_selectors") or []
    more, found = _discovery_labels(member, mesh, {**foreign, **labels}, selectors)
    return {**labels, **more}, [*findings, *found]


def _maistra_labels(member: Mapping[str, Any], foreign: Labels) -> tuple[Labels, Findings]:
    """Return what OpenShift Service Mesh 2 heeds: no label lets it inject a whole namespace, one keeps it from it."""
    subject = f"namespace {member['name']!r}"
    if member["injection"] == "enabled":
        return {}, [finding("INJECTION_BY_POD", subject)]
    if member["injection"] == "disabled":
        return ({} if foreign.get(INJECTION) == "disabled" else {INJECTION: "disabled"}), []
    if foreign.get(INJECTION) == "disabled":
        return {}, [_taken(subject, foreign, "pods that ask for a sidecar get one")]
    return {}, []


def _injection_labels(
    member: Mapping[str, Any], mesh: Mapping[str, Any], foreign: Labels, state: Mapping[str, Any]
) -> tuple[Labels, Findings]:
    """Return the label that decides on injection; somebody else's that says otherwise is an error."""
    subject, name = f"namespace {member['name']!r}", mesh["revision"]
    target = {INJECTION: "enabled"} if name == DEFAULT else {REVISION: name}
    asked = label_revision(foreign)
    is_labelled = INJECTION in foreign or REVISION in foreign
    agrees = bool(asked) and revision_of(asked, state) == revision_of(name, state)
    if member["injection"] == "disabled":
        if is_labelled and asked:
            return {}, [_taken(subject, foreign, "no pod gets a sidecar")]
        return ({} if is_labelled else {INJECTION: "disabled"}), []
    if is_labelled and not agrees:
        what = f"pods get their sidecar from {describe_mesh(mesh)} (revision {name})"
        return {}, [_taken(subject, foreign, what)]
    if member["injection"] == "enabled":
        return ({} if agrees else target), []
    if not is_labelled and name != DEFAULT:
        return {}, [finding("POD_LABEL_NEEDED", subject, revision=name)]
    return {}, []


def _taken(subject: str, foreign: Labels, wanted: str) -> dict[str, str]:
    """Say which label of somebody else decides on injection."""
    # The one that wins where there are both.
    label = INJECTION if INJECTION in foreign else REVISION
    return finding("INJECTION_LABEL_TAKEN", subject, label=label, value=foreign[label], wanted=wanted)


def _discovery_labels(
    member: Mapping[str, Any], mesh: Mapping[str, Any], labels: Labels, selectors: list[Mapping[str, Any]]
) -> tuple[Labels, Findings]:
    """Return the fewest labels with which one of a mesh's discovery selectors takes a namespace."""
    if not selectors or any(selects(selector, labels) for selector in selectors):
        return {}, []
    found = [more for more in (_missing(labels, selector) for selector in selectors) if more is not None]
    if found:
        return min(found, key=len), []
    subject = f"namespace {member['name']!r}"
    shown = " or ".join(selector_text(selector) for selector in selectors)
    return {}, [finding("NAMESPACE_UNDISCOVERABLE", subject, mesh=describe_mesh(mesh), selectors=shown)]


def _missing(labels: Labels, selector: Mapping[str, Any]) -> Labels | None:
    """Return what a namespace's labels lack to match a selector, V(None) where one would have to be changed."""
    wanted = dict(selector.get("matchLabels") or {})
    for term in selector.get("matchExpressions") or []:
        if meets(term, {**labels, **wanted}):
            continue
        if term["operator"] == "In" and term.get("values"):
            wanted.setdefault(term["key"], term["values"][0])
        elif term["operator"] == "Exists":
            wanted.setdefault(term["key"], "enabled")
    missing = {key: value for key, value in wanted.items() if labels.get(key) != value}
    if any(key in labels or key in FIXED for key in missing) or not selects(selector, {**labels, **missing}):
        return None
    return missing
