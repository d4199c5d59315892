# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hops behind the gateway: the backend's Service, the way to its pods, what they speak.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from ansible_collections.servicemesh.tcp.plugins.module_utils._authorization import denied_by
from ansible_collections.servicemesh.tcp.plugins.module_utils._backends import (
    backend_text,
    backends_of,
    place_of,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._conditions import is_ready
from ansible_collections.servicemesh.tcp.plugins.module_utils._hops_case import (
    Case,
    Object,
    end_of,
    why_not_ready,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_ports import HTTP, protocol_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._mtls import Setting, mismatch, spoken_mode, wanted_mode
from ansible_collections.servicemesh.tcp.plugins.module_utils._network_policies import End, blocking
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_talk import SERVER_FIRST
from ansible_collections.servicemesh.tcp.plugins.module_utils._selectors import labels_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._texts import host_port, some

Verdict = "dict[str, str] | None"


def service(case: Case) -> Verdict:
    """The backend's Service with its port and endpoints, or the ServiceEntry of one outside of the cluster."""
    backend = case.port["backend"]
    if case.external:
        entries = case.facts.view.entries
        if not entries.known or entries.of_host(backend["host"]):
            return None
        return case.found("HOP_EXTERNAL_MISSING", servers=place_of(backend), host=backend["host"])
    place = f"{backend['namespace']}/{backend['service']}"
    if case.backend is None:
        return case.found("HOP_BACKEND_MISSING", service=place)
    if case.backend_port is None:
        has = some(item["port"] for item in case.backend["ports"] if item["protocol"] == "TCP") or "none"
        return case.found("HOP_BACKEND_PORT", service=place, backend_port=backend["port"], has=has)
    # An ExternalName has no endpoints of its own, and a subset is looked at by itself.
    if case.subset or case.endpoints or case.endpoints is None or case.backend.get("external_name"):
        return None
    return case.found("HOP_BACKEND_EMPTY", service=place, backend_port=backend["port"], why=_why_empty(case))


def subset(case: Case) -> Verdict:
    """The subset in a DestinationRule that reaches the gateway, and its pods."""
    if not case.subset:
        return None
    backend, wanted = case.port["backend"], case.subset
    values = {"subset": wanted["name"], "labels": labels_text(wanted["labels"])}
    rules = case.facts.view.rules
    if rules.known:
        there = rules.in_force(backend["host"], case.port["namespace"])
        if there.subsets.get(wanted["name"], {}).get("labels") != wanted["labels"]:
            named = ", ".join(there.names)
            return case.found(
                "HOP_SUBSET_MISSING",
                **values,
                host=backend["host"],
                seen=f"DestinationRule {named} says something else" if named else "there is no DestinationRule for it",
            )
    if case.endpoints or case.endpoints is None:
        return None
    place = f"{backend['namespace']}/{backend['service']}"
    return case.found("HOP_SUBSET_EMPTY", **values, service=place, backend_port=backend["port"], why=_why_empty(case))


def _why_empty(case: Case) -> str:
    """Say why a Service has no endpoint."""
    selector = case.backend["selector"]
    if not selector:
        return "it has no selector, and nobody gave it an EndpointSlice with a ready endpoint"
    if case.facts.pods.get(case.port["backend"]["namespace"]) is None:
        return "its pods may not be read"
    if not case.backend_pods:
        wanted = {**selector, **(case.subset or {"labels": {}})["labels"]}
        return f"no pod has its labels ({labels_text(wanted, ', ')})"
    waiting = [pod for pod in case.backend_pods if not is_ready(pod)]
    if waiting:
        name = waiting[0]["metadata"]["name"]
        return f"{len(waiting)} of its {len(case.backend_pods)} pods are not ready; {name}: {why_not_ready(waiting[0])}"
    return f"no container of its pods has a port that is named {case.backend_port['target_port']!r}"


def network_policies(case: Case) -> Verdict:
    """NetworkPolicies between the gateway's pods and the backend's; a network that enforces none lets all through."""
    if case.accepted or not case.endpoints:
        return None
    ours, theirs = case.port["namespace"], case.port["backend"]["namespace"]
    by_ip = {pod.get("status", {}).get("podIP"): pod for pod in case.backend_pods}
    for pod in case.ready_pods:
        gateway = end_of(pod, case.facts.view.namespaces)
        for address, port in case.endpoints:
            behind = by_ip.get(address)
            backend = end_of(behind, case.facts.view.namespaces) if behind else End(ip=address)
            for place, direction, end, other in (
                (ours, "egress", gateway, backend),
                (theirs, "ingress", backend, gateway),
            ):
                named, certain = blocking(
                    case.facts.network_policies.get(place) or [] if end.namespace else [], direction, end, other, port
                )
                if named and certain:
                    source = f"gateway {ours}/{case.port['gateway']}"
                    return case.kept_out(place, named, source, f"the backend's {address}:{port}")
    return None


def mutual_tls(case: Case) -> Verdict:
    """What the gateway speaks, and what the backend's pods take."""
    spoken, wanted = _modes(case)
    why = mismatch(spoken, wanted, case.has_sidecar) if case.backend_pods else ""
    return case.found("HOP_MTLS", why=why) if why else None


def _modes(case: Case) -> tuple[Setting, Setting]:
    """Return what the gateway is told to speak, and what the backend's first pod takes."""
    backend = case.port["backend"]
    places = [case.port["namespace"], backend["namespace"], case.plane["namespace"]]
    rules = [item for place in set(places) for item in case.facts.rules.get(place) or []]
    return spoken_mode(rules, places, backend["host"], backend["port"]), mode_of_pods(case)


def mode_of_pods(case: Case) -> Setting:
    """Return what the sidecar of the backend's first pod takes."""
    backend, root = case.port["backend"], case.plane["namespace"]
    peers = [
        item for place in dict.fromkeys((backend["namespace"], root)) for item in case.facts.peers.get(place) or []
    ]
    labels = (case.backend_pods[0]["metadata"].get("labels") or {}) if case.backend_pods else {}
    return wanted_mode(peers, root, backend["namespace"], labels, port_of_pods(case))


def port_of_pods(case: Case) -> int:
    """Return the port on which the backend's pods listen, as far as any of them is known."""
    return case.endpoints[0][1] if case.endpoints else case.port["backend"]["port"]


def sniffing(case: Case) -> Verdict:
    """A server that speaks first behind a sidecar that waits for the client's first bytes.

    istio.io "Server First Protocols": with PERMISSIVE the sidecar waits for them to tell mTLS from plain bytes, without
    a declared protocol to tell HTTP from others, and with HTTP declared for a request (seen on the lab).
    """
    silent = any(item["state"] == "no_answer" for item in case.results)
    if case.port["probe"]["mode"] not in SERVER_FIRST or not silent or not case.has_sidecar:
        return None
    spoken, wanted = _modes(case)
    declared = protocol_of(case.backend_port)
    if spoken.mode != "DISABLE" and declared and declared not in HTTP:
        return None
    backend = case.port["backend"]
    if declared in HTTP:
        why = f"its Service's port is declared as {declared}"
    elif spoken.mode == "DISABLE":
        why = f"the gateway sends it plain bytes ({spoken.said_by}) in mode {wanted.mode}"
    else:
        why = "its Service's port has no protocol in its name or appProtocol"
    return case.found(
        "HOP_SNIFFING", service=f"{backend['namespace']}/{backend['service']}", backend_port=backend["port"], why=why
    )


def accepts(case: Case) -> Verdict:
    """A backend pod that takes the gateway's connections."""
    if not case.tried or case.accepted:
        return None
    refused = case.grown("failed") or 0
    where = some(host_port(address, port) for address, port in case.endpoints or [])
    seen = "refused" if refused else "not answered"
    if case.external:
        return case.found("HOP_EXTERNAL_REFUSES", servers=backend_text(case.port["backend"]), seen=seen)
    return case.found("HOP_BACKEND_REFUSES", endpoints=where or "its endpoints", seen=seen)


def admits(case: Case) -> Verdict:
    """AuthorizationPolicies at the backend's sidecar, which accepts and then closes."""
    if not (case.accepted and case.has_sidecar and case.was_cut):
        return None
    root, namespace = case.plane["namespace"], case.port["backend"]["namespace"]
    policies = [
        item for place in dict.fromkeys((root, namespace)) for item in case.facts.authorizations.get(place) or []
    ]
    labels = case.backend_pods[0]["metadata"].get("labels") or {}
    port = case.endpoints[0][1] if case.endpoints else case.port["backend"]["port"]
    named, _certain = denied_by(policies, root, namespace, labels, port)
    if not named:
        return None
    client = f"gateway {case.port['namespace']}/{case.port['gateway']}"
    return case.found("HOP_DENIED", policies=some(named), target=port, client=client)


def application(case: Case) -> Verdict:
    """The whole chain stands, and the backend itself says something else, or nothing."""
    if not case.accepted:
        return None
    where = some(f"{address}:{port}" for one in case.by_backend for address, port in one.endpoints or [])
    bad = next((item for item in case.results if item["state"] != "proven"), None)
    seen = bad["detail"] if bad else "it closes the session"
    return case.found(
        "HOP_APPLICATION",
        service=" or ".join(dict.fromkeys(map(_name, backends_of(case.port)))),
        endpoints=where or "its endpoints",
        seen=seen.rstrip("."),
    )


def _name(backend: Object) -> str:
    """Name a backend with its kind."""
    return f"{'server' if backend.get('external') else 'Service'} {place_of(backend)}"
