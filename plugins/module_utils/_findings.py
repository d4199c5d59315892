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
    "ADOPTION_DIFFERS": Rule(
        "error",
        "{key} {port} on gateway {gateway} is held by {holder}, and cannot be adopted: {difference}.",
        "Make the two equal first, or choose another port.",
    ),
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
    "CLAIM_EXCEEDED": Rule(
        "error",
        "its {claim} lets a set publish at most {max} ports, and set {set!r} asks for {count} ({records}).",
        "Withdraw ports, or have the claim's max raised where the gateway is defined.",
    ),
    "CLAIM_MISSING": Rule(
        "error",
        "{key} {port} of gateway {gateway} is not open to set {set!r} for backends in namespace {namespace!r}; its"
        " claims open {given}.",
        "Choose ports that are open, or have a claim added where the gateway is defined.",
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
    "FRONT_SERVICE_TAKEN": Rule(
        "error",
        "the Service of that name in namespace {namespace!r} is a further front Service of gateway {other!r}.",
        "Rename this gateway, or refer to {other!r}: a gateway's name with '-2', '-3', ... is kept for its"
        " service.max_ports.",
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
    "HOP_ADDRESS_SILENT": Rule(
        "error",
        "everything in the cluster is in order for port {port}, but nothing answers at {address}, on no port: {seen}.",
        "Look at the load balancer and the way to it: is the address its own, is it routed here, does it reach a node?"
        " Where this machine cannot reach it, prove from one that can.",
    ),
    "HOP_APPLICATION": Rule(
        "error",
        "port {port} reaches Service {service} at {endpoints}, which accepts the connection, but: {seen}.",
        "Look at the application: its log, what it speaks, and whether it is the one that the record means; or mend the"
        " record's probe.",
    ),
    "HOP_BACKEND_EMPTY": Rule(
        "error",
        "port {backend_port} of backend Service {service} has no ready endpoint: {why}.",
        "Start the backend's pods, or mend the Service's selector or target port.",
    ),
    "HOP_BACKEND_MISSING": Rule(
        "error",
        "backend Service {service} is not there.",
        "Create it, or mend the record's backend.",
    ),
    "HOP_BACKEND_PORT": Rule(
        "error",
        "backend Service {service} has no TCP port {backend_port}; it has {has}.",
        "Add the port, or mend the record's backend.port.",
    ),
    "HOP_BACKEND_REFUSES": Rule(
        "error",
        "the gateway's connection to the backend's {endpoints} is {seen}.",
        "Look whether the application listens on that port and on the pod's address, and whether a firewall between the"
        " nodes drops it. No NetworkPolicy was found that would.",
    ),
    "HOP_CLUSTER_EMPTY": Rule(
        "error",
        "{seen}, though the backend's Service has ready ones.",
        "Look at the DestinationRules of that host (outlier detection, subsets) and at the log of istiod {plane}.",
    ),
    "HOP_CLUSTER_UNKNOWN": Rule(
        "error",
        "the Envoy of gateway pod {pods} does not know cluster {cluster}, though the Service is there.",
        "Let the mesh see it: the discovery selectors or members of istiod {plane}, the Service's annotation"
        " networking.istio.io/exportTo, the subsets of a DestinationRule.",
    ),
    "HOP_DENIED": Rule(
        "error",
        "AuthorizationPolicy {policies} does not let in {client} on pod port {target}.",
        "Allow it there (ports are those of the pod, not of the Service), or prove from an address that is let in.",
    ),
    "HOP_FIREWALL": Rule(
        "error",
        "everything in the cluster is in order for port {port}, and {address} answers on other ports, but this one does"
        " not reach the gateway: {seen}.",
        "Look for what stands between: a firewall or security group without this port, or a load balancer that has not"
        " taken it up.",
    ),
    "HOP_FRONT_MISSING": Rule(
        "error",
        "front Service {service} is not there.",
        "Run expose_tcp, which makes it.",
    ),
    "HOP_FRONT_PORT": Rule(
        "error",
        "front Service {service} has no port {port}; it has {has}.",
        "Run expose_tcp, which adds it; if it goes again, somebody else writes the Service's ports.",
    ),
    "HOP_FRONT_SELECTS_NOTHING": Rule(
        "error",
        "front Service {service} selects {selector}, which is not what the gateway's pods have ({labels}).",
        "Run the role gateways, which sets the selector back.",
    ),
    "HOP_FRONT_TARGET": Rule(
        "error",
        "front Service {service} leads port {port} to {target!r}, and the gateway listens on {listener}.",
        "Run expose_tcp, which sets the target port back. Another Service on the same pods that leads that number"
        " elsewhere, a target port by name, or a label that turns port translation off does the same.",
    ),
    "HOP_GATEWAY_UNSEEN": Rule(
        "error",
        "{object} is there, but istiod {plane} does not apply it to the gateway's pods.",
        "Compare its selector with the pods' labels, and look at istiod's discovery selectors and revision.",
    ),
    "HOP_LISTENER_LOST": Rule(
        "error",
        "pod port {target} is served by {winner}, which is older, so Istio drops ours without a word.",
        "Have that one give up the port, or choose another port.",
    ),
    "HOP_LISTENER_MISSING": Rule(
        "error",
        "the Envoy of gateway pod {pods} does not listen on {target}, though the configuration is in order.",
        "Look whether the pod is connected to istiod {plane} (istioctl proxy-status) and at istiod's log.",
    ),
    "HOP_LISTENER_PRIVILEGED": Rule(
        "error",
        "pod port {target} is below 1024, and the gateway's pods may not bind such ports, so Istio leaves it out.",
        "Choose a target_port from 1024 on; clients need not notice.",
    ),
    "HOP_LISTENER_REJECTED": Rule(
        "error",
        "Envoy refuses the listener on {target} (pods: {pods}): {seen}.",
        "Mend what it says: often an EnvoyFilter, or Gateways of different owners on one port.",
    ),
    "HOP_LISTENER_RESERVED": Rule(
        "error",
        "pod port {target} is one of the proxy's own, so that no listener can have it.",
        "Choose another target_port.",
    ),
    "HOP_MTLS": Rule(
        "error",
        "gateway and backend do not speak the same: {why}.",
        "Make the DestinationRule and the PeerAuthentication agree; without either, Istio finds out by itself.",
    ),
    "HOP_NAME_UNRESOLVED": Rule(
        "error",
        "{address} does not resolve from here: {seen}",
        "Wait for the name of a new load balancer, or mend the DNS that this machine asks.",
    ),
    "HOP_NETWORK_POLICY": Rule(
        "error",
        "NetworkPolicy {policies} does not let {source} reach {destination}.",
        "Allow it there, or in one more policy: what any policy allows is allowed.",
    ),
    "HOP_NOT_FOUND": Rule(
        "error",
        "no hop was found broken, but port {port} is not proven: {seen}.",
        "Run it again, if it was just starting; else look at the logs of the gateway and of the backend.",
    ),
    "HOP_NO_ADDRESS": Rule(
        "error",
        "front Service {service} of type {type} has no address.",
        "Look at the events of the Service: is there a controller for load balancers, of this class, with addresses"
        " left?",
    ),
    "HOP_PODS_MISSING": Rule(
        "error",
        "gateway {gateway} has no pod: {why}.",
        "Run the role gateways, or look at the events of its ReplicaSet (quota, admission).",
    ),
    "HOP_PODS_NOT_INJECTED": Rule(
        "error",
        "gateway pod {pod} was not injected, its image is still 'auto': {why}.",
        "Mend that, look whether istiod runs, and delete the pod: it is injected when it is made.",
    ),
    "HOP_PODS_NOT_READY": Rule(
        "error",
        "none of the {count} gateway pod(s) is ready; {pod}: {why}.",
        "Look at the pod's events and log.",
    ),
    "HOP_PODS_NO_CERTIFICATE": Rule(
        "error",
        "gateway pod {pod} is not ready, because its proxy has no certificate from the mesh (revision {revision!r}).",
        "Look whether the pod reaches istiod's port 15012 (its log), and whether istiod takes the pod's token.",
    ),
    "HOP_PODS_REVISION": Rule(
        "error",
        "gateway pod {pod} asks for revision {revision!r}, and the injectors are of {known}.",
        "Name a revision that is there in the gateway's 'mesh', or on its namespace.",
    ),
    "HOP_ROUTE_MISSING": Rule(
        "error",
        "no VirtualService has a rule for port {port} of Gateway {object}, so that nothing listens.",
        "Run expose_tcp, which writes it.",
    ),
    "HOP_ROUTE_TAKEN": Rule(
        "error",
        "port {port} follows {route} to cluster {cluster}, and not {own} to its own backend.",
        "Have that rule taken away, or let expose_tcp write its own back.",
    ),
    "HOP_SECRET_MISSING": Rule(
        "error",
        "Secret {secret}, which {object} names for port {port}, is not there.",
        "Create it in the gateway's namespace.",
    ),
    "HOP_SERVER_MISSING": Rule(
        "error",
        "{object} has no server for port {port}, or is not there.",
        "Run expose_tcp, which writes it.",
    ),
    "HOP_SNIFFING": Rule(
        "error",
        "the server behind port {backend_port} of Service {service} speaks first, and its sidecar waits for the"
        " client's bytes: {why}.",
        "Name the Service's port tcp-... (or appProtocol: tcp), and let the gateway speak mTLS, or exempt the port with"
        " a PeerAuthentication of mode DISABLE.",
    ),
    "HOP_SOURCE_RANGE": Rule(
        "error",
        "front Service {service} lets in {ranges} only, and the connection comes {client}.",
        "Add this machine to service.source_ranges, or prove from an address that is let in.",
    ),
    "HOP_UNSEEN": Rule(
        "error",
        "what could be seen of port {port} is in order, but it is not proven ({seen}). Not to be seen was: {unseen}.",
        "Grant the rights of servicemesh-tcp-diagnose in docs/rbac.yaml, and run it again.",
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
    "LB_LIMIT": Rule(
        "error",
        "{count} {noun} ({counted}) are too many for the {provider}: it takes {limit} ({source}).",
        "{cure}, or publish on a second gateway. Another number goes into service.limits, another kind of load balancer"
        " into service.provider.",
    ),
    "LB_LIMIT_NEAR": Rule(
        "warning",
        "{count} {noun} ({counted}), of the {limit} that the {provider} takes ({source}).",
        "{cure}, or plan a second gateway, before more ports are refused.",
    ),
    "LB_SPAN": Rule(
        "note",
        "the {provider} forwards {span} to the nodes for the {count} ports of this Service; its firewall rule lets in"
        " those {count} only.",
        "Nothing to do; no other load balancer can use the ports between on the same address.",
    ),
    "MAX_PORTS_EXCEEDED": Rule(
        "warning",
        "it has {count} ports, and service.max_ports is {max_ports}.",
        "Nothing was moved, because a port that changes its Service changes its address. Where that is wanted, withdraw"
        " ports of it and publish them again.",
    ),
    "LEASE_HELD": Rule(
        "error",
        "another run ({holder}) has the gateway's Lease, unchanged for {silent} s; this run waited {waited} s for it.",
        "Run it again when that one has ended. The Lease of a run that died is taken over when it did not change for"
        " {lasts} s; tcp_lease_timeout says how long to wait.",
    ),
    "LEASE_LOST": Rule(
        "error",
        "this run renewed the gateway's Lease {seconds} s ago and lost it since; another one may be writing by now.",
        "Nothing more was written. Run it again: it goes on from what is there.",
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
    "NODE_PORTS_EXHAUSTED": Rule(
        "error",
        "this run needs {need} more node ports, and of the {total} in {low}-{high} ({source}) {free} are free; most are"
        " held by {holders}.",
        "Set service.allocate_node_ports to false where the load balancer can do without, take service.type ClusterIP"
        " with external_ips, or withdraw ports. Another range of the cluster goes into service.limits.node_ports.",
    ),
    "NODE_PORTS_NEEDED": Rule(
        "error",
        "service.allocate_node_ports is false, but the {provider} sends to node ports and leaves out a port without"
        " one.",
        "Leave service.allocate_node_ports out. If the load balancer is of another kind, say so in service.provider.",
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
    "OBJECT_TOO_LARGE": Rule(
        "error",
        "it would have {count} ports and about {size} bytes; the API server stores {limit} in one object ({source}).",
        "{cure}. Another limit of the cluster goes into service.limits.object_bytes.",
    ),
    "PORTS_KEPT": Rule(
        "note",
        "on gateway {gateway} these ports stay published, though this run does not declare them: {ports}.",
        "That is what tcp_prune=false is for; with tcp_prune=true they are withdrawn.",
    ),
    "POOL_EXHAUSTED": Rule(
        "error",
        "its pool {pool} ({size} ports) has no port left for {count} of 'auto' ({records}); held are {holders}.",
        "Give the gateway a larger pool, or withdraw ports.",
    ),
    "POOL_MISSING": Rule(
        "error",
        "{records} ask{verb} for port 'auto', but the gateway has no pool to take it from.",
        "Give the gateway a pool where it is defined, such as pool: [30000-30099], or give the records numbers.",
    ),
    "PORT_OUTSIDE_POOL": Rule(
        "error",
        "{key} {port} lies outside the pool {pool} of gateway {gateway}, which has strict_pool.",
        "Choose ports of the pool, or have the gateway's definition changed. A port that is published already moves"
        " only where its record is withdrawn first.",
    ),
    "PORT_ADOPTABLE": Rule(
        "error",
        "{key} {port} on gateway {gateway} is published already, by {holder}, to the same backend.",
        "To take it over without cutting a session, give the record adopt: true, or run this again with -e"
        " tcp_adopt={name}.",
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
    "PORT_RESERVED_BY_GATEWAY": Rule(
        "error",
        "{key} {port} is reserved on gateway {gateway} (reserved: {reserved}).",
        "Choose other ports, or have the gateway's definition changed. A port that is published already moves only"
        " where its record is withdrawn first.",
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
    "SECURITY_GROUP_RULES": Rule(
        "warning",
        "its ports need {rules} inbound rules in one security group ({sum}); {limit} are allowed ({source}), and beyond"
        " them the load balancer is not brought up to date.",
        "Have the quota raised and say the new one in service.limits.security_group_rules, give fewer source_ranges, or"
        " use a security group of your own.",
    ),
    "SESSIONS_UNSEEN": Rule(
        "warning",
        "this run cuts whatever is open on {ports}, and what is open could not be seen: {why}.",
        "Mend that, or name the ports in tcp_allow_drain. With tcp_session_policy=refuse this is an error.",
    ),
    "SESSIONS_WOULD_END": Rule(
        "warning",
        "this run ends open sessions: {sessions}.",
        "Let them finish, or name the ports in tcp_allow_drain. With tcp_session_policy=refuse this is an error.",
    ),
    "SET_SHRINKS": Rule(
        "error",
        "this run would withdraw {count} of the {total} ports of the set ({ports}), and {reason}.",
        "If that is meant, name the records in tcp_allow_withdraw, or set it to 'all'.",
    ),
    "TARGET_PORT_EPHEMERAL": Rule(
        "warning",
        "target port {port} on gateway {gateway} lies in 32768-60999, from where the pods' own outgoing connections"
        " take theirs: Envoy cannot listen on one that is taken, and the record's port is dead then.",
        "Leave target_port out; a port that has it already gets another when it is withdrawn and published again.",
    ),
    "TARGET_PORT_LEAVING": Rule(
        "error",
        "target port {target} on gateway {gateway} is still that of port {port}, which this run closes or moves:"
        " clients of port {port} would reach the new backend for a moment.",
        "Choose another target_port, or leave it out, or run once without this record.",
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
    "WAS_TAKEN": Rule(
        "error",
        "it says that it was {was!r}, but {why}.",
        "Take the record of the former name out of the set, or leave 'was' out.",
    ),
    "WITHDRAW_UNKNOWN": Rule(
        "warning",
        "the set has no record {name!r} on the cluster.",
        "Nothing to do; check the spelling if it should have been there.",
    ),
}


class Stopped(Exception):
    """What our own check does not let through, with its finding."""

    def __init__(self, found: dict[str, str]) -> None:
        super().__init__(found["message"])
        self.finding = found


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
