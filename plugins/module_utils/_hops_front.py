# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hops of the chain up to the gateway's pods: address, front Service, pods.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.servicemesh.tcp.plugins.module_utils._hops_case import Case, why_not_ready
from ansible_collections.servicemesh.tcp.plugins.module_utils._selectors import labels_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._texts import some

Verdict = "dict[str, str] | None"


def name_resolves(case: Case) -> Verdict:
    """A host name that is no address."""
    bad = next((item for item in case.trial or case.results if item["state"] == "unresolved"), None)
    return case.found("HOP_NAME_UNRESOLVED", address=bad["host"], seen=bad["detail"]) if bad else None


def front_service(case: Case) -> Verdict:
    """The front Service with its port."""
    place = f"{case.port['namespace']}/{case.port['service']}"
    if case.front is None:
        return case.found("HOP_FRONT_MISSING", service=place)
    ports = [item for item in case.front["ports"] if item["protocol"] == "TCP"]
    number = case.port["port"]
    if number not in [item["port"] for item in ports]:
        return case.found("HOP_FRONT_PORT", service=place, has=some(sorted(item["port"] for item in ports)))
    return None


def front_address(case: Case) -> Verdict:
    """An address that clients can use."""
    if case.addresses:
        return None
    kind = case.front["type"] if case.front else ""
    return case.found("HOP_NO_ADDRESS", service=f"{case.port['namespace']}/{case.port['service']}", type=kind)


def front_selects(case: Case) -> Verdict:
    """Pods behind the front Service."""
    if case.facts.pods.get(case.port["namespace"]) is None:
        return None
    selector = case.front["selector"]
    selected = [pod for pod in case.pods if selector.items() <= (pod["metadata"].get("labels") or {}).items()]
    if selected and selector:
        return None
    if not case.pods:
        return _no_pods(case)
    return case.found(
        "HOP_FRONT_SELECTS_NOTHING",
        service=f"{case.port['namespace']}/{case.port['service']}",
        selector=labels_text(selector, ", ") or "nothing",
        labels=labels_text(case.pod_labels, ", ") or "nothing",
    )


def _no_pods(case: Case) -> Verdict:
    """Say why there is no gateway pod at all."""
    deployment = case.facts.view.deployments.get(case.place)
    if deployment is None:
        why = "its Deployment is not there"
    elif not deployment["replicas"]:
        why = "its Deployment has 0 replicas"
    else:
        why = f"its Deployment wants {deployment['replicas']}, and something keeps them from being made"
    return case.found("HOP_PODS_MISSING", gateway="/".join(case.place), why=why)


def pods_ready(case: Case) -> Verdict:
    """A gateway pod that gets traffic; where there is none, why."""
    if case.ready_pods or not case.pods:
        return None
    pod = case.pods[0]
    metadata = pod["metadata"]
    name = f"{metadata['namespace']}/{metadata['name']}"
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    namespace = (case.facts.view.namespaces.get(metadata["namespace"]) or {}).get("labels", {})
    asked = labels.get("istio.io/rev") or namespace.get("istio.io/rev", "")
    known = case.facts.view.state["mesh"]["revisions"]
    if asked and asked not in known:
        return case.found("HOP_PODS_REVISION", pod=name, revision=asked, known=some(known) or "none")
    if any(item.get("image") == "auto" for item in pod["spec"]["containers"]):
        return case.found("HOP_PODS_NOT_INJECTED", pod=name, why=_why_not_injected(labels, namespace))
    given = annotations.get("istio.io/rev", "")
    view = case.looks.after.get(metadata["name"]) or case.looks.before.get(metadata["name"])
    if view is not None and not view.certified:
        return case.found("HOP_PODS_NO_CERTIFICATE", pod=name, revision=given or "default")
    return case.found("HOP_PODS_NOT_READY", pod=name, count=len(case.pods), why=why_not_ready(pod))


def _why_not_injected(labels: Mapping[str, str], namespace: Mapping[str, str]) -> str:
    """Say what keeps the injector away, as far as labels tell."""
    if labels.get("sidecar.istio.io/inject") != "true":
        return "its label sidecar.istio.io/inject is not 'true'"
    if namespace.get("istio-injection") == "disabled":
        return "its namespace is labelled istio-injection=disabled"
    return "no injector acted when the pod was made"
