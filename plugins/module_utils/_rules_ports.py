# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about ports, gateways, backends and runs.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.servicemesh.tcp.plugins.module_utils._rule import Rule

RULES: Mapping[str, Rule] = {
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
        "{key} {port} of gateway {gateway} is not open to set {set!r} for backends {where}; its claims open {given}.",
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
        "Grant the right; docs/rbac.yaml holds all that publishing needs, docs/rbac-install.yaml all for"
        " installing a mesh.",
    ),
    "FRONT_MISSING": Rule(
        "error",
        "there is no Service {service}, which is to be the gateway's front Service.",
        "Mend the gateway's name or namespace: a gateway of somebody else goes by the name of its Service. That of a"
        " control plane comes when its operator has reconciled it.",
    ),
    "FRONT_PORTS_MISSING": Rule(
        "error",
        "{object} {why}, and has no port, or another target port, for {ports}.",
        "Add {edit} {where}; then nothing needs to be written there. Or have them added by this run with ports: patch,"
        " where whoever keeps it does not undo that.",
    ),
    "FRONT_SERVICE_TAKEN": Rule(
        "error",
        "the Service of that name in namespace {namespace!r} is a further front Service of gateway {other!r}.",
        "Rename this gateway, or refer to {other!r}: a gateway's name with '-2', '-3', ... is kept for its"
        " service.max_ports.",
    ),
    "GATEWAY_ADOPTABLE": Rule(
        "error",
        "its front Service {service} was made by hand, not by this collection.",
        "To publish on it and leave it to its owner, give the gateway owner: existing. To take it over with what is"
        " published on it, give it adopt: true; ansible-playbook playbooks/expose-tcp.yml --check --diff shows what"
        " that changes.",
    ),
    "GATEWAY_DEFINED_ELSEWHERE": Rule(
        "error",
        "the gateway was defined by set {holder!r}, and set {set!r} defines it otherwise: {differs}.",
        "Refer to it by name and namespace only, write the same here, or change it in set {holder!r}.",
    ),
    "GATEWAY_FOREIGN": Rule(
        "error",
        "its front Service {service} belongs to {whose}.",
        "To publish on it, give the gateway {owner}.",
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
    "GATEWAY_NOT_ADOPTABLE": Rule(
        "error",
        "it cannot be adopted, because its front Service {service} belongs to {whose}, which would write it again.",
        "To publish on it, give the gateway {owner}, without adopt.",
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
    "MAX_PORTS_EXCEEDED": Rule(
        "warning",
        "it has {count} ports, and service.max_ports is {max_ports}.",
        "Nothing was moved, because a port that changes its Service changes its address. Where that is wanted, withdraw"
        " ports of it and publish them again.",
    ),
    "MESH_UNSEEN": Rule(
        "note",
        "there is no right to read {paths}, so who gets in whose way there is not seen.",
        "Grant the right; docs/rbac.yaml holds all that publishing needs, docs/rbac-install.yaml all for"
        " installing a mesh.",
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
        "Rename the gateway or the set, or remove that object by hand.",
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
    "PORTS_BORROWED": Rule(
        "warning",
        "ServiceMeshControlPlane {plane} does not know port {ports} of its Service: it lives on borrowed time, until a"
        " change of the control plane or of its operator renders the Service anew.",
        "Publish it with a record, or add it to the service.ports of gateway {gateway} there.",
    ),
    "PORTS_KEPT": Rule(
        "note",
        "on gateway {gateway} these ports stay published, though this run does not declare them: {ports}.",
        "That is what tcp_prune=false is for; with tcp_prune=true they are withdrawn.",
    ),
    "PORT_ADOPTABLE": Rule(
        "error",
        "{key} {port} on gateway {gateway} is published already, by {holder}, to the same backend.",
        "To take it over without cutting a session, give the record adopt: true, or run this again with -e"
        " tcp_adopt={name}.",
    ),
    "PORT_ANSWERS": Rule(
        "error",
        "port {port} was taken away, and is not gone: {seen}.",
        "Look who serves it there: another Service with that address and port, another Gateway for these pods, a load"
        " balancer that has not let go of it; or whether the gateway takes changes from istiod.",
    ),
    "PORT_KILLS": Rule(
        "error",
        "{key} {port} on gateway {gateway} is served by {holder}; {owner} is older, so Istio would drop theirs without"
        " a word.",
        "Choose another port, or let its owner give it up first.",
    ),
    "PORT_OUTSIDE_POOL": Rule(
        "error",
        "{key} {port} lies outside the pool {pool} of gateway {gateway}, which has strict_pool.",
        "Choose ports of the pool, or have the gateway's definition changed. A port that is published already moves"
        " only where its record is withdrawn first.",
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
    "SELECTOR_MISSING": Rule(
        "error",
        "its front Service {service} selects no pods, so that Istio cannot be told which are the gateway's.",
        "Give the gateway a selector: labels of its pods.",
    ),
    "SELECTOR_WIDE": Rule(
        "warning",
        "its selector {selector} also takes the pods of {pods}; the ports are opened there, too.",
        "Give the gateway a selector with labels that only its own pods have.",
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
    "SMCP_GATEWAY_MISSING": Rule(
        "error",
        "ServiceMeshControlPlane {plane} has no ingress gateway {gateway!r} in namespace {namespace!r} that is enabled;"
        " it has {there}.",
        "Mend the gateway's name or namespace, or enable it there: 'istio-ingressgateway' is spec.gateways.ingress,"
        " others stand in spec.gateways.additionalIngress.",
    ),
    "SMCP_MISSING": Rule(
        "error",
        "there is no ServiceMeshControlPlane {plane}; there are {there}.",
        "Mend control_plane, or grant the right to list them (docs/rbac.yaml, servicemesh-tcp-smcp).",
    ),
    "SMCP_V1": Rule(
        "error",
        "its definition is of the form maistra.io/v1, which the operator refuses from 2.0 on. In the form of v2 it"
        " is:\n{form}# End of the v2 form.",
        "Look it over, and use that as the definition.",
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
