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
    "CATALOG_MISSING": Rule(
        "error",
        "there is no CatalogSource {catalog} to take it from; there are {known}.",
        "Name one of these in source and source_namespace, or have that catalogue enabled.",
    ),
    "CATALOG_NOT_READY": Rule(
        "warning",
        "the connection to CatalogSource {catalog} is {state}, and OLM resolves nothing while it is so.",
        "Look at that catalogue's pod; the run waits for it until its time is up.",
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
    "CLUSTER_OPERATOR_UNWELL": Rule(
        "warning",
        "it is {trouble}.",
        "See 'oc describe' of it; an installation may fail for the same cause.",
    ),
    "CLUSTER_UNREACHABLE": Rule(
        "error",
        "the API server does not answer: {message}",
        "Check tcp_kubeconfig, tcp_context and tcp_host (or K8S_AUTH_*), and that this machine reaches that address.",
    ),
    "CRD_IN_USE": Rule(
        "error",
        "there are still objects of that kind ({objects}), which would be lost with it.",
        "Remove those first, or leave operators_crd_state at 'kept'.",
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
    "INJECTION_BY_POD": Rule(
        "error",
        "OpenShift Service Mesh 2 gives a sidecar to pods that ask for one; no label of a namespace makes it do so for"
        " all.",
        "Set injection to 'pod', and put the label sidecar.istio.io/inject: \"true\" into the pod templates.",
    ),
    "INJECTION_LABEL_TAKEN": Rule(
        "error",
        "somebody else's label {label}={value} decides on its sidecars (istio-injection wins over istio.io/rev), and"
        " what is wanted is that {wanted}.",
        "Let its owner take the label off, or say in the namespace's injection and mesh what the label says.",
    ),
    "INJECTOR_MISSING": Rule(
        "warning",
        "no webhook injects revision {revision!r}, so a gateway that is made here stays without its proxy.",
        "Have it installed with its injector, or publish on gateways that run already.",
    ),
    "INSTALL_PLAN_OTHER": Rule(
        "error",
        "InstallPlan {plan} waits for approval and holds {csvs}, not {wanted}.",
        "OLM goes from version to version: name one of these as starting_csv first, or leave starting_csv out.",
    ),
    "INSTALL_PLAN_SHARED": Rule(
        "error",
        "InstallPlan {plan} waits for approval and holds {others} beside {wanted}; OLM puts all that a namespace is to"
        " get into one plan.",
        "Let its owners approve it, or add those operators to operators_wanted; only what is wanted is approved.",
    ),
    "INSTALL_PLAN_WAITS": Rule(
        "error",
        "InstallPlan {plan} ({csvs}) of somebody else's Subscription waits for approval.",
        "Let its owner approve it, or give the record approval: Manual, and this run approves it.",
    ),
    "ISTIOD_NOT_READY": Rule(
        "error",
        "its istiod is not ready: {why}.",
        "Look at the istiod pods and at what their operator says, and run this again.",
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
    "MEMBER_ELSEWHERE": Rule(
        "error",
        "it cannot join the mesh {mesh}: {holder} has it in another one, and a namespace is in one mesh at most.",
        "Withdraw it there first.",
    ),
    "MEMBER_PENDING": Rule(
        "note",
        "it does not exist yet. The member roll of mesh {mesh} names it, and it joins when it is made.",
        "Nothing to do, unless the name is wrong. With state 'present' this run makes it.",
    ),
    "MESH_UNCLEAR": Rule(
        "error",
        "the cluster has several meshes, and it could join any of them: {known}.",
        "Name one in the namespace's mesh.",
    ),
    "MESH_UNKNOWN": Rule(
        "error",
        "there is no mesh {mesh!r}; there are {known}.",
        "Mend the namespace's mesh, or leave it out.",
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
    "NAMESPACE_OUTSIDE_MESH": Rule(
        "error",
        "namespace {namespace!r} is not part of the mesh {mesh}: {why}, so {effect}.",
        "Add it to mesh_members (role namespaces), or have it added; its pods need no sidecar for that.",
    ),
    "NAMESPACE_UNDISCOVERABLE": Rule(
        "error",
        "the mesh {mesh} sees namespaces by its discovery selectors ({selectors}), and no label can be added with which"
        " one of them takes it.",
        "Let the owner of its labels change them, or the mesh's discovery selectors.",
    ),
    "NAME_TAKEN": Rule(
        "error",
        "the name {name!r} is used {times} times.",
        "Names are unique: {scope}.",
    ),
    "NODE_NOT_READY": Rule(
        "warning",
        "it is not ready: {trouble}.",
        "Nothing is scheduled there; see that the other nodes have room.",
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
    "OBJECT_GONE": Rule(
        "error",
        "it was there when this run looked first, and is gone.",
        "Run it again.",
    ),
    "OBJECT_TOO_LARGE": Rule(
        "error",
        "it would have {count} ports and about {size} bytes; the API server stores {limit} in one object ({source}).",
        "{cure}. Another limit of the cluster goes into service.limits.object_bytes.",
    ),
    "OLM_MISSING": Rule(
        "error",
        "the cluster does not serve operators.coreos.com/v1alpha1, so it has no Operator Lifecycle Manager (OLM)"
        " to install"
        " {packages}.",
        "Install OLM, or install the mesh without operators (provider helm or existing of role control_plane).",
    ),
    "OPERATOR_BY_HAND": Rule(
        "note",
        "Deployment {deployment} runs it without OLM, from a manifest or a chart.",
        "Nothing to do; it is used as it is, and neither upgraded nor removed by this collection.",
    ),
    "OPERATOR_GROUP_UNFIT": Rule(
        "error",
        "namespace {namespace!r} has OperatorGroup {groups}: {why}.",
        "Name another namespace for the operator, or mend the OperatorGroups there.",
    ),
    "OPERATOR_LEFT_CATALOG": Rule(
        "warning",
        "the package left Red Hat's catalogue {left}.",
        "Take tempo-product and opentelemetry-product for tracing; only a mirrored catalogue can still hold this one.",
    ),
    "OPERATOR_MISSING": Rule(
        "error",
        "the API server does not know {kinds}, so nobody would act on it.",
        "Install the operator first ({operator}): role operators does it, or playbook install_mesh as a whole.",
    ),
    "OPERATOR_RIVAL": Rule(
        "error",
        "it owns the same API groups ({groups}) as {rival}; OLM refuses a second owner.",
        "Want only one of the two.",
    ),
    "OPERATOR_STAYS": Rule(
        "note",
        "{place} was not made by this collection, and stays.",
        "Nothing to do; remove it by hand if it is to go.",
    ),
    "OPERATOR_TWICE": Rule(
        "error",
        "there are several Subscriptions to it ({places}), which get in each other's way.",
        "Remove all but one by hand.",
    ),
    "OPERATOR_UNSUBSCRIBED": Rule(
        "warning",
        "ClusterServiceVersion {csv} is there ({phase}) and no Subscription refers to it, so it is not upgraded,"
        " and OLM"
        " would refuse a new Subscription.",
        "It is used as it is. To have it subscribed to again, delete that ClusterServiceVersion first; meshes stay.",
    ),
    "PLANE_ELSEWHERE": Rule(
        "error",
        "the {kind} of that name has its istiod in namespace {there!r}, and it cannot move to {namespace!r}.",
        "Say that namespace, or choose another name.",
    ),
    "PLANE_IN_USE": Rule(
        "error",
        "gateways of it still run: {gateways}.",
        "Withdraw their ports and remove them first; without their istiod they would keep what they have and learn"
        " nothing new.",
    ),
    "PLANE_NOT_OURS": Rule(
        "error",
        "{holder} was not made by this collection, and is left alone: {differences}.",
        "Take over its settings or choose another name. With control_plane_adopt=true it is taken over, and changed or"
        " removed like one of ours.",
    ),
    "PLANE_SECOND": Rule(
        "error",
        "namespace {namespace!r} has an SMCP already ({other}), and its operator takes one for each namespace"
        " (ErrMultipleSMCPs).",
        "Use that name, or another namespace.",
    ),
    "PLANE_UNKNOWN": Rule(
        "error",
        "there is no such mesh; there are {known}.",
        "Mend the name or the namespace, or leave both out to look at all of them.",
    ),
    "PORTS_KEPT": Rule(
        "note",
        "on gateway {gateway} these ports stay published, though this run does not declare them: {ports}.",
        "That is what tcp_prune=false is for; with tcp_prune=true they are withdrawn.",
    ),
    "POD_LABEL_NEEDED": Rule(
        "note",
        "the namespace has no label that decides on injection, so a pod that wants a sidecar or is a gateway needs the"
        ' labels sidecar.istio.io/inject: "true" and istio.io/rev: {revision} in its template.',
        "Nothing to do for gateways of this collection; or set injection to 'enabled'.",
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
    "RIGHT_MISSING": Rule(
        "error",
        "it lacks rights that the installation needs: {rights}.",
        "Grant them; docs/rbac-install.yaml holds all that installing needs.",
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
    "SIDECAR_MISSING": Rule(
        "warning",
        "these lack the sidecar that a new pod would get, and a restart does not give it to them: {workloads}.",
        "Recreate those pods by hand, or look at why the injector passes them over. Ports can be published without it.",
    ),
    "SMCP_FIELD_IGNORED": Rule(
        "warning",
        "{field} is taken by the schema and ignored by the chart that makes the gateway's Service.",
        "Leave it out. Where it is needed, run an injected gateway (role gateways), whose Service takes it.",
    ),
    "SMCP_V1": Rule(
        "error",
        "its definition is of the form maistra.io/v1, which the operator refuses from 2.0 on. In the form of v2 it"
        " is:\n{form}# End of the v2 form.",
        "Look it over, and use that as the definition.",
    ),
    "SUBSCRIPTION_DIFFERS": Rule(
        "warning",
        "Subscription {place} has {differs}, and is left so.",
        "Mend the record, or let it take the Subscription over with adopt: true; a namespace cannot be changed.",
    ),
    "SUBSCRIPTION_FOUND": Rule(
        "note",
        "Subscription {place} (channel {channel}, installed {csv}) belongs to OpenShift's ingress operator, which"
        " installs"
        " Service Mesh 3 for the Gateway API from 4.19 on.",
        "Nothing to do; the operator is used as it is.",
    ),
    "SUBSCRIPTION_OF_INGRESS": Rule(
        "error",
        "Subscription {place} belongs to OpenShift's ingress operator and has {differs}; that operator would set"
        " a change"
        " back.",
        "Take adopt and what differs out of the record.",
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
