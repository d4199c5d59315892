# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue: every code is provoked here once, and its whole text compared."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _apply, _state_smcp
from ansible_collections.servicemesh.tcp.plugins.module_utils._announce import announce
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._failure import explain
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import (
    CATALOGUE,
    Stopped,
    errors,
    finding,
    render,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._gateway_plan import gateway_plan
from ansible_collections.servicemesh.tcp.plugins.module_utils._gone import Inside, closed_endpoints, judge
from ansible_collections.servicemesh.tcp.plugins.module_utils._lease import Lease
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import gateway_labels, port_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._plan import exposure_plan, withdrawal_plan
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.plugins.module_utils._sessions import Sessions
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import bare_object, new_object
from ansible_collections.servicemesh.tcp.tests.unit.plugins import (
    audit_texts,
    backend_texts,
    door_texts,
    http_texts,
    plane_findings,
    tls_texts,
)
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import (
    EDGE,
    EDGE_REFERENCE,
    deployment,
    front,
    further_front,
    istio_gateway,
    owned_front,
    record,
    service,
    service_port,
    state,
    virtual_service,
    workload,
)
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi
from ansible_collections.servicemesh.tcp.tests.unit.plugins.onboarding_texts import ONBOARDING_TEXTS
from ansible_collections.servicemesh.tcp.tests.unit.plugins.operator_texts import OPERATOR_TEXTS
from ansible_collections.servicemesh.tcp.tests.unit.plugins.whole_runs import Clock, as_options, mesh_cluster

MESH = state()["mesh"]
OURS = {"app.kubernetes.io/managed-by": "servicemesh.tcp"}
DATES = [f"2026-0{month}-01T00:00:00Z" for month in (1, 2, 3)]
OLD = istio_gateway(("x", 7001), set_name="team-b", created=DATES[0])
YOUNG = istio_gateway(("x", 7001), name="young", labels={}, created=DATES[2])
ROLE = new_object("Namespace", "apps", None, OURS)


def leased(seconds):
    """Return the finding of a run that waits some seconds for a Lease, and then sleeps for 40."""
    clock = Clock()
    api = mesh_cluster()
    Lease(api, "gateways", "edge", 30, "ops-1-abc", clock, clock.sleep).take(0)
    mine = Lease(api, "gateways", "edge", 30, "me", clock, clock.sleep)
    try:
        mine.take(seconds)
        clock.sleep(40)
        mine.check()
    except Stopped as stopped:
        return [stopped.finding]
    return []


def answering(result):
    """Return the finding of a closed port to which a connection ended like that, while a pod listens."""
    place = {"namespace": "gateways", "gateway": "edge", "service": "edge"}
    port = {**place, "name": "a", "port": 8081, "node_port": None, "backend": None}
    verdict = judge([result], Inside(served=False, listening=("edge-1",)))
    return [item["hop"] for item in closed_endpoints([port], {}, [], [verdict])]


def mapped(*records, gateways=(EDGE,), cluster=None, **arguments):
    """Provoke findings of the planner."""
    return port_map(records, gateways, state() if cluster is None else cluster, **arguments)["findings"]


def planned(count, cluster=None, **service_keys):
    """Provoke findings of the plan, by a number of ports on a gateway with such a front Service."""
    cluster = state() if cluster is None else cluster
    records = [record(f"r{port}", port) for port in range(20000, 20000 + count)]
    found = port_map(records, [{**EDGE, "service": service_keys}], cluster)
    return exposure_plan(found, cluster)["findings"]


def crowd():
    """Return a cluster with just one node port free."""
    ports = [service_port(1, node_port=port) for port in range(30000, 32767)]
    return state(service("crowd", "apps", ports, type="NodePort"), service("x", "apps", [service_port(80)]))


def explained(status, message):
    """Provoke what a module says when the API server does not let it in."""
    return explain(ApiError(status, "", message, "GET", "/version"))["findings"]


def refused(step, prepare):
    """Provoke what a dry run brings."""
    api = FakeApi()
    prepare(api)
    with pytest.raises(_apply.Refused) as caught:
        _apply.plan(api, as_options([step]), lenient=False)
    return caught.value.findings


THEIRS = {**EDGE_REFERENCE, "owner": "existing"}
OF_SMCP = {**EDGE_REFERENCE, "owner": "smcp", "control_plane": {"name": "basic"}}


def kept(tool, name):
    """Return a front Service that somebody else's tool keeps."""
    return front(labels={}, in_charge={"tool": tool, "name": name})


def with_smcp(*services):
    """Return a cluster with a ServiceMeshControlPlane that has a gateway edge with one port."""
    ingress = {"edge": {"enabled": True, "service": {"ports": [{"name": "status-port", "port": 15021}]}}}
    plane = {
        "metadata": {"name": "basic", "namespace": "gateways"},
        "spec": {"gateways": {"additionalIngress": ingress}},
    }
    return state(*services, smcps=[_state_smcp.smcp(plane)])


def forbidden(api):
    """Refuse the right to write."""
    api.refuse("PATCH", ROLE, 403, "Forbidden", 'namespaces "apps" is forbidden')


def two_owners(api):
    """Let somebody else own a field that is applied."""
    api.add(new_object("Namespace", "apps", None, {**OURS, "team": "x"}), manager="team-x")


def others_inside(api):
    """Let somebody else's pod live in a namespace of ours."""
    api.add(ROLE)
    api.add(new_object("Pod", "intruder", "apps", {}))


KEPT = state(owned_front(("a", 8081)), gateways=[istio_gateway(("a", 8081))], virtual_services=[virtual_service(8081)])


def told(seen):
    """Provoke what is said of sessions on a port that a run closes."""
    service = new_object("Service", "edge", "gateways", gateway_labels("edge"), spec={"ports": [{"port": 8081}]})
    step = {"object": bare_object("Service", "edge", "gateways"), "manager": "servicemesh.tcp"}
    change = _apply.Change(step, "remove", service, None)
    return announce([change], lambda _namespace, _gateway: seen).findings


HAND_MADE = istio_gateway(("x", 7001), name="hand", labels={}, created="2026-01-01T00:00:00Z")

TEXTS = {
    "ADOPTION_DIFFERS": (
        lambda: mapped(record("b", 7001, adopt=True), cluster=state(gateways=[HAND_MADE], workloads=[workload()])),
        "record 'b': port 7001 on gateway edge is held by Gateway gateways/hand (created 2026-01-01T00:00:00Z), and"
        " cannot be adopted: 0 rules of VirtualServices are for port 7001. Make the two equal first, or choose"
        " another port.",
    ),
    "BACKEND_MISSING": (
        lambda: mapped(record(backend={"namespace": "apps", "service": "ecko", "port": 9000})),
        "record 'a': there is no Service 'ecko' in namespace 'apps'."
        " Create the Service, or mend the record's backend. (did you mean 'echo'?)",
    ),
    "BACKEND_PORT_MISSING": (
        lambda: mapped(record(backend={"namespace": "apps", "service": "echo", "port": 1})),
        "record 'a': Service apps/echo has no TCP port 1; it has 9000."
        " Use one of the Service's own ports (not the pods' target port) as backend.port.",
    ),
    "CLAIM_EXCEEDED": (
        lambda: mapped(record("a", [8081, 8082]), gateways=[{**EDGE, "claims": [{"max": 1}]}]),
        "gateway 'edge': its claims[0] lets a set publish at most 1 ports, and set 'default' asks for 2 ('a'). Withdraw"
        " ports, or have the claim's max raised where the gateway is defined.",
    ),
    "CLAIM_MISSING": (
        lambda: mapped(record(), gateways=[{**EDGE, "claims": [{"ports": 22}]}]),
        "record 'a': port 8081 of gateway edge is not open to set 'default' for backends in namespace 'apps'; its"
        " claims open 22. Choose ports that are open, or have a claim added where the gateway is defined.",
    ),
    "CLASH_ELSEWHERE": (
        lambda: mapped(cluster=state(gateways=[OLD, YOUNG], workloads=[workload()])),
        "Gateway gateways/young (created 2026-03-01T00:00:00Z): its server on 7001 gets no listener on the pods of"
        " gateways/edge, because set 'team-b' (Gateway gateways/edge-team-b-7861013b, created 2026-01-01T00:00:00Z) is"
        " older and has the port. Tell its owner, Istio does not; this run touches neither of the two.",
    ),
    "CLUSTER_UNREACHABLE": (
        lambda: explained(0, "connection refused"),
        "cluster: the API server does not answer: connection refused."
        " Check tcp_kubeconfig, tcp_context and tcp_host (or K8S_AUTH_*), and that this machine reaches that address.",
    ),
    "FIELD_CONFLICT": (
        lambda: refused({"object": new_object("Namespace", "apps", None, {"team": "y"})}, two_owners),
        'Namespace apps: Apply failed with 1 conflict: conflict with "team-x": .metadata.labels.team.'
        " Somebody else owns that field. Let them give it up, or choose another port or name; nothing was forced.",
    ),
    "FORBIDDEN": (
        lambda: refused({"object": ROLE}, forbidden),
        'Namespace apps: the API server refuses to write: namespaces "apps" is forbidden.'
        " Grant the right; docs/rbac.yaml holds all that publishing needs, docs/rbac-install.yaml all for"
        " installing a mesh.",
    ),
    "FRONT_MISSING": (
        lambda: mapped(gateways=[THEIRS]),
        "gateway 'edge': there is no Service gateways/edge, which is to be the gateway's front Service."
        " Mend the gateway's name or namespace: a gateway of somebody else goes by the name of its Service. That of a"
        " control plane comes when its operator has reconciled it.",
    ),
    "FRONT_PORTS_MISSING": (
        lambda: mapped(record(port=22), gateways=[THEIRS], cluster=state(kept("helm", "infra/ingress"))),
        "gateway 'edge': Service gateways/edge is kept by Helm release infra/ingress, and has no port, or another"
        " target port, for 22."
        f" Add {{name: {port_name(22, 'default', 'a')}, port: 22, targetPort: 10022, protocol: TCP}} in the values of"
        " that release, service.ports where it is Istio's gateway chart; then nothing needs to be written there. Or"
        " have them added by this run with ports: patch, where whoever keeps it does not undo that.",
    ),
    "FRONT_SERVICE_TAKEN": (
        lambda: mapped(gateways=[{**EDGE, "name": "edge-2"}], cluster=state(further_front(2))),
        "gateway 'edge-2': the Service of that name in namespace 'gateways' is a further front Service of gateway"
        " 'edge'. Rename this gateway, or refer to 'edge': a gateway's name with '-2', '-3', ... is kept for its"
        " service.max_ports.",
    ),
    "GATEWAY_ADOPTABLE": (
        lambda: mapped(cluster=state(front(labels={}))),
        "gateway 'edge': its front Service gateways/edge was made by hand, not by this collection."
        " To publish on it and leave it to its owner, give the gateway owner: existing. To take it over with what is"
        " published on it, give it adopt: true; ansible-playbook playbooks/expose-tcp.yml --check --diff shows what"
        " that changes.",
    ),
    "GATEWAY_DEFINED_ELSEWHERE": (
        lambda: mapped(cluster=state(deployments=[deployment("other")])),
        "gateway 'edge': the gateway was defined by set 'other', and set 'default' defines it otherwise: service."
        " Refer to it by name and namespace only, write the same here, or change it in set 'other'.",
    ),
    "GATEWAY_FOREIGN": (
        lambda: mapped(cluster=state(kept("smcp", "istio-system/basic"))),
        "gateway 'edge': its front Service gateways/edge belongs to ServiceMeshControlPlane istio-system/basic."
        " To publish on it, give the gateway owner: smcp and control_plane: {name: basic, namespace: istio-system}.",
    ),
    "GATEWAY_IN_USE": (
        lambda: gateway_plan([EDGE], state(owned_front(("a", 8081))), gateways_state="absent")["findings"],
        "gateway 'edge': the gateway still carries ports of set 'default'."
        " Withdraw those first; a gateway that others publish on is not deleted.",
    ),
    "GATEWAY_MISSING": (
        lambda: mapped(gateways=[EDGE_REFERENCE]),
        "gateway 'edge': there is no front Service gateways/edge, so there is no such gateway to publish on."
        " Define the gateway (service, replicas, ...) in one inventory and run role gateways, or mend its name.",
    ),
    "GATEWAY_NOT_ADOPTABLE": (
        lambda: mapped(gateways=[{**EDGE_REFERENCE, "adopt": True}], cluster=state(kept("argocd", "mesh"))),
        "gateway 'edge': it cannot be adopted, because its front Service gateways/edge belongs to Argo CD application"
        " 'mesh', which would write it again."
        " To publish on it, give the gateway owner: existing, without adopt.",
    ),
    "GATEWAY_UNKNOWN": (
        lambda: mapped(record(gateway="egde")),
        "record 'a': gateway 'egde' is not defined; defined are edge."
        " Add it to tcp_gateways, or mend the record's gateway. (did you mean 'edge'?)",
    ),
    "KEY_NOT_BUILT": (
        lambda: mapped(record(limits={})),
        "record 'a': 'limits' is a key of the design, but this version of the collection does not build it yet."
        " Leave it out, or use a version that lists it in its changelog.",
    ),
    "KEY_UNKNOWN": (
        lambda: mapped(record(prot="tcp")),
        "record 'a': 'prot' is not a known key; did you mean 'port'? Mend the spelling, or take the key out.",
    ),
    "LB_LIMIT": (
        lambda: planned(50, provider="aws-nlb"),
        "Service gateways/edge: 51 listeners (with its health port) are too many for the AWS Network Load Balancer: it"
        " takes 50 (AWS, 'Quotas for your Network Load Balancers', not adjustable)."
        " Set service.max_ports to 50 or less, so that ports beyond it go to further front Services, or publish on a"
        " second gateway. Another number goes into service.limits, another kind of load balancer into"
        " service.provider.",
    ),
    "LB_LIMIT_NEAR": (
        lambda: planned(44, provider="aws-nlb"),
        "Service gateways/edge: 45 listeners (with its health port), of the 50 that the AWS Network Load Balancer takes"
        " (AWS, 'Quotas for your Network Load Balancers', not adjustable)."
        " Set service.max_ports to 50 or less, so that ports beyond it go to further front Services, or plan a second"
        " gateway, before more ports are refused.",
    ),
    "LB_SPAN": (
        lambda: planned(9, provider="gcp"),
        "Service gateways/edge: the Google Cloud external passthrough load balancer forwards ports 15021 to 20008 to"
        " the nodes for the 10 ports of this Service; its firewall rule lets in those 10 only."
        " Nothing to do; no other load balancer can use the ports between on the same address.",
    ),
    "LEASE_HELD": (
        lambda: leased(5),
        "gateway 'edge': another run (ops-1-abc) has the gateway's Lease, unchanged for 5 s; this run waited 5 s for"
        " it. Run it again when that one has ended. The Lease of a run that died is taken over when it did not change"
        " for 30 s; tcp_lease_timeout says how long to wait.",
    ),
    "LEASE_LOST": (
        lambda: leased(99),
        "gateway 'edge': this run renewed the gateway's Lease 40 s ago and lost it since; another one may be writing by"
        " now. Nothing more was written. Run it again: it goes on from what is there.",
    ),
    "MAX_PORTS_EXCEEDED": (
        lambda: planned(3, state(owned_front(*((f"r{port}", port) for port in range(20000, 20003)))), max_ports=2),
        "Service gateways/edge: it has 3 ports, and service.max_ports is 2."
        " Nothing was moved, because a port that changes its Service changes its address. Where that is wanted,"
        " withdraw ports of it and publish them again.",
    ),
    "MESH_UNSEEN": (
        lambda: mapped(cluster=state(mesh={**MESH, "unread": ["/api/v1/pods"]})),
        "cluster https://cluster.test:6443: there is no right to read /api/v1/pods, so who gets in whose way there is"
        " not seen. Grant the right; docs/rbac.yaml holds all that publishing needs, docs/rbac-install.yaml"
        " all for installing a mesh.",
    ),
    "NAMESPACE_IN_USE": (
        lambda: refused({"state": "absent", "object": ROLE}, others_inside),
        "Namespace apps: the namespace was made by this collection, but others use it by now: Pod intruder."
        " Move those away, or remove the namespace by hand.",
    ),
    "NAMESPACE_MISSING": (
        lambda: mapped(cluster=state(namespaces={})),
        "gateway 'edge': namespace 'gateways' does not exist, and this run was not asked to make it."
        " Create it, or set tcp_namespace_state to 'present'.",
    ),
    "NAME_TAKEN": (
        lambda: mapped(record("a", 1), record("a", 2)),
        "record 'a': the name 'a' is used 2 times. Names are unique: a record's name is unique in its set.",
    ),
    "NODE_PORTS_EXHAUSTED": (
        lambda: planned(1, crowd()),
        "set 'default': this run needs 2 more node ports, and of the 2768 in 30000-32767 (kube-apiserver"
        " --service-node-port-range, its default) 1 are free; most are held by apps/crowd with 2767."
        " Set service.allocate_node_ports to false where the load balancer can do without, take service.type ClusterIP"
        " with external_ips, or withdraw ports. Another range of the cluster goes into service.limits.node_ports.",
    ),
    "NODE_PORTS_NEEDED": (
        lambda: planned(1, provider="aws-classic", allocate_node_ports=False),
        "Service gateways/edge: service.allocate_node_ports is false, but the AWS Classic Load Balancer sends to node"
        " ports and leaves out a port without one."
        " Leave service.allocate_node_ports out. If the load balancer is of another kind, say so in service.provider.",
    ),
    "NODE_PORT_TAKEN": (
        lambda: mapped(
            record(node_port=30001), cluster=state(service("x", "apps", [service_port(80, node_port=30001)]))
        ),
        "record 'a': node port 30001 is already held by Service apps/x port 80."
        " Choose another node_port, or leave it out and let Kubernetes choose.",
    ),
    "NOT_OURS": (
        lambda: refused(
            {"object": ROLE, "state": "absent"}, lambda api: api.add(new_object("Namespace", "apps", None, {}))
        ),
        "Namespace apps: Namespace apps exists and was not made by this collection"
        " (no label app.kubernetes.io/managed-by=servicemesh.tcp)."
        " Rename the gateway or the set, or remove that object by hand.",
    ),
    "NO_ISTIO": (
        lambda: mapped(cluster=state(mesh={**MESH, "served": False})),
        "cluster https://cluster.test:6443: there is no Istio on this cluster: its API server does not know"
        " networking.istio.io/v1beta1."
        " Install a mesh first; the collection needs networking.istio.io/v1beta1 and a running istiod.",
    ),
    "OBJECT_TOO_LARGE": (
        lambda: planned(100, limits={"object_bytes": 15000}),
        "Service gateways/edge: it would have 101 ports and about 17345 bytes; the API server stores 15000 in one"
        " object (service.limits.object_bytes). Set service.max_ports, so that the ports are spread over several front"
        " Services. Another limit of the cluster goes into service.limits.object_bytes.",
    ),
    "POOL_EXHAUSTED": (
        lambda: mapped(record("a", "auto"), record("b", "auto"), gateways=[{**EDGE, "pool": 8081}]),
        "gateway 'edge': its pool 8081 (1 ports) has no port left for 1 of 'auto' (record 'b'); held are 1 by records"
        " of this run. Give the gateway a larger pool, or withdraw ports.",
    ),
    "POOL_MISSING": (
        lambda: mapped(record("a", "auto")),
        "gateway 'edge': record 'a' asks for port 'auto', but the gateway has no pool to take it from."
        " Give the gateway a pool where it is defined, such as pool: [30000-30099], or give the records numbers.",
    ),
    "PORTS_BORROWED": (
        lambda: mapped(gateways=[OF_SMCP], cluster=with_smcp(front([service_port(9), service_port(8)], labels={}))),
        "gateway 'edge': ServiceMeshControlPlane gateways/basic does not know port 8, 9 of its Service: it lives on"
        " borrowed time, until a change of the control plane or of its operator renders the Service anew."
        " Publish it with a record, or add it to the service.ports of gateway edge there.",
    ),
    "PORTS_KEPT": (
        lambda: exposure_plan({"ports": [], "findings": []}, KEPT, prune=False)["findings"],
        "set 'default': on gateway gateways/edge these ports stay published, though this run does not declare them:"
        " 8081. That is what tcp_prune=false is for; with tcp_prune=true they are withdrawn.",
    ),
    "PORT_ADOPTABLE": (
        lambda: mapped(
            record("b", 7001),
            cluster=state(
                gateways=[HAND_MADE],
                workloads=[workload()],
                virtual_services=[{**virtual_service(7001), "name": "hand", "labels": {}, "gateways": ["hand"]}],
            ),
        ),
        "record 'b': port 7001 on gateway edge is published already, by Gateway gateways/hand (created"
        " 2026-01-01T00:00:00Z), to the same backend. To take it over without cutting a session, give the record adopt:"
        " true, or run this again with -e tcp_adopt=b.",
    ),
    "PORT_ANSWERS": (
        lambda: answering({"state": "unseen", "answer": "", "address": "198.18.0.1", "port": 8081}),
        "gateway gateways/edge: port 8081 was taken away, and is not gone: 198.18.0.1:8081 accepts a session and keeps"
        " it open; gateway pod edge-1 still listens. Look who serves it there: another Service with that address and"
        " port, another Gateway for these pods, a load balancer that has not let go of it; or whether the gateway takes"
        " changes from istiod.",
    ),
    "PORT_KILLS": (
        lambda: mapped(
            record("b", 7001), cluster=state(gateways=[YOUNG, istio_gateway(("a", 8081), created=DATES[1])])
        ),
        "record 'b': port 7001 on gateway edge is served by Gateway gateways/young (created 2026-03-01T00:00:00Z);"
        " set 'default' (Gateway gateways/edge-default-a57d233a, created 2026-02-01T00:00:00Z) is older, so Istio would"
        " drop theirs without a word. Choose another port, or let its owner give it up first.",
    ),
    "PORT_OUTSIDE_POOL": (
        lambda: mapped(record("a", "7-9"), gateways=[{**EDGE, "pool": 8081, "strict_pool": True}]),
        "record 'a': port 7-9 lies outside the pool 8081 of gateway edge, which has strict_pool."
        " Choose ports of the pool, or have the gateway's definition changed. A port that is published already moves"
        " only where its record is withdrawn first.",
    ),
    "PORT_OUT_OF_RANGE": (
        lambda: mapped(record(port=70000)),
        "record 'a': port 70000 is out of range; allowed is 1 to 65535. Choose a port within the range.",
    ),
    "PORT_RESERVED": (
        lambda: mapped(record(port=15021)),
        "record 'a': port 15021 lies within 15000-15099, which Istio's proxy keeps for itself (15021 is its health"
        " port). Choose another port.",
    ),
    "PORT_RESERVED_BY_GATEWAY": (
        lambda: mapped(record("a", "7-9"), gateways=[{**EDGE, "reserved": [8, 100]}]),
        "record 'a': port 8 is reserved on gateway edge (reserved: 8, 100)."
        " Choose other ports, or have the gateway's definition changed. A port that is published already moves only"
        " where its record is withdrawn first.",
    ),
    "PORT_TAKEN": (
        lambda: mapped(record("a"), record("b")),
        "record 'b': port 8081 on gateway edge is already held by record 'a' of the same set."
        " Choose another port: Istio would drop the later of the two without a word.",
    ),
    "REVISION_UNCLEAR": (
        lambda: mapped(cluster=state(mesh={**MESH, "revisions": ["v1", "v2"]})),
        "gateway 'edge': the cluster has several mesh revisions (v1, v2) and none is the default."
        " Name one in the gateway's 'mesh'.",
    ),
    "REVISION_UNKNOWN": (
        lambda: mapped(gateways=[{**EDGE, "mesh": "v9"}]),
        "gateway 'edge': the mesh has no revision 'v9'; it has default. Mend the gateway's 'mesh', or leave it out.",
    ),
    "SECURITY_GROUP_RULES": (
        lambda: planned(14, provider="aws-nlb", source_ranges=["10.0.0.0/8"]),
        "Service gateways/edge: its ports need 61 inbound rules in one security group (15 x 1 for source ranges + 1 for"
        " ICMP + 15 x 3 for health checks from subnets); 60 are allowed (AWS, 'Amazon VPC quotas', adjustable), and"
        " beyond them the load balancer is not brought up to date."
        " Have the quota raised and say the new one in service.limits.security_group_rules, give fewer"
        " source_ranges, or use a security group of your own.",
    ),
    "SELECTOR_MISSING": (
        lambda: mapped(gateways=[THEIRS], cluster=state(front(labels={}, selector={}))),
        "gateway 'edge': its front Service gateways/edge selects no pods, so that Istio cannot be told which are the"
        " gateway's. Give the gateway a selector: labels of its pods.",
    ),
    "SELECTOR_WIDE": (
        lambda: mapped(
            gateways=[THEIRS],
            cluster=state(
                front(labels={}, selector={"istio": "ingress"}),
                workloads=[workload("edge"), workload("far", "apps", labels={"istio": "ingress"})],
            ),
        ),
        "gateway 'edge': its selector istio=ingress also takes the pods of apps/far; the ports are opened there, too."
        " Give the gateway a selector with labels that only its own pods have.",
    ),
    "SESSIONS_UNSEEN": (
        lambda: told(Sessions(problems=("no right to list pods in namespace gateways",))),
        "gateway 'edge': this run cuts whatever is open on port 8081, and what is open could not be seen: no right to"
        " list pods in namespace gateways."
        " Mend that, or name the ports in tcp_allow_drain. With tcp_session_policy=refuse this is an error.",
    ),
    "SESSIONS_WOULD_END": (
        lambda: told(Sessions({8081: 3}, (), 45.0, 5.0)),
        "gateway 'edge': this run ends open sessions: port 8081 closes (it is withdrawn); 3 open sessions, they end"
        " 45 s after the change."
        " Let them finish, or name the ports in tcp_allow_drain. With tcp_session_policy=refuse this is an error.",
    ),
    "SET_SHRINKS": (
        lambda: exposure_plan({"ports": [], "findings": []}, state(owned_front(("a", 8081))))["findings"],
        "set 'default': this run would withdraw 1 of the 1 ports of the set (8081), and it declares no port at all."
        " If that is meant, name the records in tcp_allow_withdraw, or set it to 'all'.",
    ),
    "SMCP_GATEWAY_MISSING": (
        lambda: mapped(gateways=[{**OF_SMCP, "name": "door"}], cluster=with_smcp()),
        "gateway 'door': ServiceMeshControlPlane gateways/basic has no ingress gateway 'door' in namespace 'gateways'"
        " that is enabled; it has gateways/istio-ingressgateway, gateways/edge."
        " Mend the gateway's name or namespace, or enable it there: 'istio-ingressgateway' is spec.gateways.ingress,"
        " others stand in spec.gateways.additionalIngress.",
    ),
    "SMCP_MISSING": (
        lambda: mapped(gateways=[OF_SMCP]),
        "gateway 'edge': there is no ServiceMeshControlPlane gateways/basic; there are none."
        " Mend control_plane, or grant the right to list them (docs/rbac.yaml, servicemesh-tcp-smcp).",
    ),
    "TARGET_PORT_EPHEMERAL": (
        lambda: mapped(record("new", 8081, target_port=40000)),
        "record 'new': target port 40000 on gateway edge lies in 32768-60999, from where the pods' own outgoing"
        " connections take theirs: Envoy cannot listen on one that is taken, and the record's port is dead then."
        " Leave target_port out; a port that has it already gets another when it is withdrawn and published again.",
    ),
    "TARGET_PORT_LEAVING": (
        lambda: mapped(record("new", 8081, target_port=10022), cluster=state(owned_front(("ssh", 22, 10022)))),
        "record 'new': target port 10022 on gateway edge is still that of port 22, which this run closes or moves:"
        " clients of port 22 would reach the new backend for a moment."
        " Choose another target_port, or leave it out, or run once without this record.",
    ),
    "UNAUTHENTICATED": (
        lambda: explained(401, "Unauthorized"),
        "cluster: the API server does not take the credential: Unauthorized."
        " Check tcp_kubeconfig or tcp_api_key (or K8S_AUTH_*); a token may have expired.",
    ),
    "VALUE_INVALID": (
        lambda: mapped(record(port="http")),
        "record 'a': port: 'http' is not valid; a port is a whole number, a range such as 30100-30120, 'auto', or a"
        " list of these. Mend the value.",
    ),
    "WAS_TAKEN": (
        lambda: mapped(record("a"), record("b", 8082, was="a")),
        "record 'b': it says that it was 'a', but the set has a record of that name."
        " Take the record of the former name out of the set, or leave 'was' out.",
    ),
    "WITHDRAW_UNKNOWN": (
        lambda: withdrawal_plan(state(), names=["a"])["findings"],
        "set 'default': the set has no record 'a' on the cluster."
        " Nothing to do; check the spelling if it should have been there.",
    ),
    **backend_texts.TEXTS,
    **door_texts.TEXTS,
    **ONBOARDING_TEXTS,
    **plane_findings.TEXTS,
    **OPERATOR_TEXTS,
    **http_texts.TEXTS,
    **tls_texts.TEXTS,
}


def test_the_whole_texts_of_an_audit():
    said = {}
    for item in audit_texts.provoked():
        said.setdefault(item["code"], (item["severity"], render([item]).partition(" ")[2]))
    assert {code: said.get(code) for code in audit_texts.TEXTS} == audit_texts.TEXTS


@pytest.mark.parametrize("code", TEXTS)
def test_the_whole_text_of_a_finding(code):
    provoke, text = TEXTS[code]
    assert render(provoke()) == f"{code} {text}"


def test_every_code_is_provoked():
    # The verdicts on a broken chain are test_hops'.
    others = {code for code in CATALOGUE if not code.startswith("HOP_")}
    assert set(TEXTS) | set(audit_texts.TEXTS) == others
    assert not set(TEXTS) & set(audit_texts.TEXTS)


def test_a_code_keeps_its_severity():
    milder = {code: CATALOGUE[code].severity for code in TEXTS if CATALOGUE[code].severity != "error"}
    assert milder == {
        "CATALOG_NOT_READY": "warning",
        "CLASH_ELSEWHERE": "warning",
        "CLUSTER_OPERATOR_UNWELL": "warning",
        "EXTERNAL_IP_ALONE": "note",
        "INJECTOR_MISSING": "warning",
        "LB_LIMIT_NEAR": "warning",
        "LB_SPAN": "note",
        "MAX_PORTS_EXCEEDED": "warning",
        "MEMBER_PENDING": "note",
        "MESH_UNSEEN": "note",
        "NODE_NOT_READY": "warning",
        "OPERATOR_BY_HAND": "note",
        "OPERATOR_LEFT_CATALOG": "warning",
        "OPERATOR_STAYS": "note",
        "OPERATOR_UNSUBSCRIBED": "warning",
        "POD_LABEL_NEEDED": "note",
        "PORTS_BORROWED": "warning",
        "PORTS_KEPT": "note",
        "PROTOCOL_WRITTEN": "warning",
        "RULE_CARRIED": "note",
        "RULE_STALE": "warning",
        "SECRET_ENDS": "warning",
        "SECRET_UNSEEN": "warning",
        "SECURITY_GROUP_RULES": "warning",
        "SELECTOR_WIDE": "warning",
        "SESSIONS_UNSEEN": "warning",
        "SESSIONS_WOULD_END": "warning",
        "SIDECAR_MISSING": "warning",
        "SMCP_FIELD_IGNORED": "warning",
        "SUBSCRIPTION_DIFFERS": "warning",
        "SUBSCRIPTION_FOUND": "note",
        "TARGET_PORT_EPHEMERAL": "warning",
        "WITHDRAW_UNKNOWN": "warning",
    }
    warning = finding("WITHDRAW_UNKNOWN", "set 'a'", name="b")
    error = finding("NAME_TAKEN", "record 'a'", name="a", times=2, scope="x")
    assert errors([warning, error]) == [error]


def test_values_with_braces_are_shown_as_they_are():
    found = finding("VALUE_INVALID", "record '{x}'", key="{key}", value={"a": 1}, rule="{rule}")
    assert found["message"] == "record '{x}': {key}: {'a': 1} is not valid; {rule}."


@pytest.mark.parametrize("end", [".", "?", "!"])
def test_a_sentence_that_has_an_end_gets_no_other(end):
    assert finding("FIELD_CONFLICT", "Service a/b", message=f"no{end}")["message"] == f"Service a/b: no{end}"


def test_findings_are_rendered_one_a_line():
    found = [finding("WITHDRAW_UNKNOWN", "set 'a'", name=name) for name in ("x", "y")]
    assert len(render(found).splitlines()) == 2
    assert render([]) == ""
