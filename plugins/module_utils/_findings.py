# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of findings: every code with its severity, its sentence and its remedy.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Rule(NamedTuple):
    """What a code means: C(error) stops a run before anything is written."""

    severity: str
    sentence: str
    remedy: str


# docs/findings.md is made from this table; a code keeps its meaning for ever.
CATALOGUE: Mapping[str, Rule] = {
    "BACKEND_MISSING": Rule(
        "error",
        "there is no Service {service!r} in namespace {namespace!r}.",
        "Create the Service, or mend the record's backend.{hint}",
    ),
    "BACKEND_PORT_MISSING": Rule(
        "error",
        "Service {namespace}/{service} has no TCP port {port}; it has {has}.",
        "Use one of the Service's own ports (not the pods' target port) as backend.port.",
    ),
    "CLASH_ELSEWHERE": Rule(
        "warning",
        "its server on {ports} gets no listener on the pods of {pods}, because {winner} {reason}.",
        "Tell its owner, Istio does not; this run touches neither of the two.",
    ),
    "CLUSTER_UNREACHABLE": Rule(
        "error",
        "the API server does not answer: {message}",
        "Check tcp_kubeconfig, tcp_context and tcp_host (or K8S_AUTH_*), and that this machine reaches that address.",
    ),
    "FIELD_CONFLICT": Rule(
        "error",
        "{message}",
        "Somebody else owns that field. Let them give it up, or choose another port or name; nothing was forced.",
    ),
    "FORBIDDEN": Rule(
        "error",
        "the API server refuses to {verb}: {message}",
        "Grant the right; docs/rbac.yaml holds all that this collection needs.",
    ),
    "GATEWAY_DEFINED_ELSEWHERE": Rule(
        "error",
        "the gateway was defined by set {holder!r}; set {set!r} may not define it again.",
        "Refer to it by name and namespace only, or change it in set {holder!r}.",
    ),
    "GATEWAY_IN_USE": Rule(
        "error",
        "the gateway still carries ports of {holders}.",
        "Withdraw those first; a gateway that others publish on is not deleted.",
    ),
    "GATEWAY_MISSING": Rule(
        "error",
        "there is no front Service {namespace}/{name}, so there is no such gateway to publish on.",
        "Define the gateway (service, replicas, ...) in one inventory and run role gateways, or mend its name.",
    ),
    "GATEWAY_UNKNOWN": Rule(
        "error",
        "gateway {gateway!r} is not defined; defined are {known}.",
        "Add it to tcp_gateways, or mend the record's gateway.{hint}",
    ),
    "KEY_NOT_BUILT": Rule(
        "error",
        "{key!r} is a key of the design, but this version of the collection does not build it yet.",
        "Leave it out, or use a version that lists it in its changelog.",
    ),
    "KEY_UNKNOWN": Rule(
        "error",
        "{key!r} is not a known key; {nearest}",
        "Mend the spelling, or take the key out.",
    ),
    "MESH_UNSEEN": Rule(
        "note",
        "there is no right to read {paths}, so who gets in whose way there is not seen.",
        "Grant the right; docs/rbac.yaml holds all that this collection needs.",
    ),
    "NAMESPACE_IN_USE": Rule(
        "error",
        "the namespace was made by this collection, but others use it by now: {holders}.",
        "Move those away, or remove the namespace by hand.",
    ),
    "NAMESPACE_MISSING": Rule(
        "error",
        "namespace {namespace!r} does not exist, and this run was not asked to make it.",
        "Create it, or set {argument} to 'present'.",
    ),
    "NAME_TAKEN": Rule(
        "error",
        "the name {name!r} is used {times} times.",
        "Names are unique: {scope}.",
    ),
    "NODE_PORT_TAKEN": Rule(
        "error",
        "node port {port} is already held by {holder}.",
        "Choose another node_port, or leave it out and let Kubernetes choose.",
    ),
    "NOT_OURS": Rule(
        "error",
        "{object} exists and was not made by this collection (no label app.kubernetes.io/managed-by=servicemesh.tcp).",
        "Rename the gateway or the set, or remove that object by hand. Taking it over is not built yet.",
    ),
    "NO_ISTIO": Rule(
        "error",
        "there is no Istio on this cluster: {what}.",
        "Install a mesh first; the collection needs networking.istio.io/v1beta1 and a running istiod.",
    ),
    "PORT_KILLS": Rule(
        "error",
        "{key} {port} on gateway {gateway} is served by {holder}; {owner} is older, so Istio would drop theirs without"
        " a word.",
        "Choose another port, or let its owner give it up first.",
    ),
    "PORT_OUT_OF_RANGE": Rule(
        "error",
        "{key} {port} is out of range; allowed is {allowed}.",
        "Choose a port within the range.",
    ),
    "PORT_RESERVED": Rule(
        "error",
        "{key} {port} lies within 15000-15099, which Istio's proxy keeps for itself (15021 is its health port).",
        "Choose another port.",
    ),
    "PORT_TAKEN": Rule(
        "error",
        "{key} {port} on gateway {gateway} is already held by {holder}.",
        "Choose another port: Istio would drop the later of the two without a word.",
    ),
    "REVISION_UNCLEAR": Rule(
        "error",
        "the cluster has several mesh revisions ({revisions}) and none is the default.",
        "Name one in the gateway's 'mesh'.",
    ),
    "REVISION_UNKNOWN": Rule(
        "error",
        "the mesh has no revision {revision!r}; it has {revisions}.",
        "Mend the gateway's 'mesh', or leave it out.",
    ),
    "SET_SHRINKS": Rule(
        "error",
        "this run would withdraw {count} of the {total} ports of the set ({ports}), and {reason}.",
        "If that is meant, name the records in tcp_allow_withdraw, or set it to 'all'.",
    ),
    "UNAUTHENTICATED": Rule(
        "error",
        "the API server does not take the credential: {message}",
        "Check tcp_kubeconfig or tcp_api_key (or K8S_AUTH_*); a token may have expired.",
    ),
    "VALUE_INVALID": Rule(
        "error",
        "{key}: {value!r} is not valid; {rule}.",
        "Mend the value.",
    ),
    "WITHDRAW_UNKNOWN": Rule(
        "warning",
        "the set has no record {name!r} on the cluster.",
        "Nothing to do; check the spelling if it should have been there.",
    ),
}


def finding(code: str, subject: str, **values: Any) -> dict[str, str]:
    """Make one finding: the subject is what people look for first (a record, a gateway, an object, a set)."""
    rule = CATALOGUE[code]
    sentence, remedy = rule.sentence.format(**values), rule.remedy.format(**values)
    # The API server's own words come without a full stop.
    if sentence[-1] not in ".?!":
        sentence += "."
    return {
        "code": code,
        "severity": rule.severity,
        "subject": subject,
        "message": f"{subject}: {sentence}",
        "remedy": remedy,
    }


def errors(findings: Iterable[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """Return the findings that stop a run."""
    return [item for item in findings if item["severity"] == "error"]


def render(findings: Iterable[Mapping[str, str]]) -> str:
    """Return findings as people read them: code, sentence, remedy."""
    return "\n".join(f"{item['code']} {item['message']} {item['remedy']}" for item in findings)
