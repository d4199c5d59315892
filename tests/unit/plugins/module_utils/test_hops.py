# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole chain in order, one thing of it broken at a time: the verdict names that, and nothing else."""

from __future__ import annotations

import copy
import dataclasses

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _hops, _hops_case
from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy import Endpoint
from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy_view import PodView
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import CATALOGUE
from ansible_collections.servicemesh.tcp.plugins.module_utils._hops_case import Case, Facts, Looks
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import gateway_pod_labels, set_labels, short_hash
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import (
    EDGE,
    deployment,
    front,
    istio_gateway,
    own_port,
    record,
    service_port,
    state,
    virtual_service,
    workload,
)

ADDRESS, CLIENT = "198.18.0.1", "192.0.2.9"
CLUSTER = "outbound|9000||echo.apps.svc.cluster.local"


def pod(name, namespace, labels, ip, **more):
    """Return a ready pod."""
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels, "annotations": {}, **more},
        "spec": {"containers": [{"name": "main", "image": "x"}]},
        "status": {"phase": "Running", "podIP": ip, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def look(tried=0, accepted=0, failed=0, sessions=0, **more):
    """Return what one Envoy has, with these counts."""
    known = {CLUSTER: {"10.0.0.7:9000": Endpoint(accepted, True, tried, failed)}}
    return PodView(**{"clusters": known, "listeners": frozenset([8081, 15021]), "sessions": {8081: sessions}, **more})


class Chain:
    """Everything in order for one port; a test changes it, and asks for the verdict."""

    def __init__(self):
        self.record = record("a", 8081, probe={"mode": "send", "send": "x"})
        self.state = state(
            front([service_port(15021), own_port("a", 8081)], type="LoadBalancer", addresses=[ADDRESS]),
            gateways=[istio_gateway(("a", 8081))],
            virtual_services=[virtual_service(8081)],
            workloads=[workload()],
        )
        self.backend = self.state["services"][0]
        self.backend["selector"] = {"app": "echo"}
        self.front = self.state["services"][1]
        self.gateway_pod = pod("edge-1", "gateways", gateway_pod_labels("edge", "gateways"), "10.0.0.2")
        self.backend_pod = pod("echo-1", "apps", {"app": "echo"}, "10.0.0.7")
        self.slice = {
            "metadata": {"labels": {"kubernetes.io/service-name": "echo"}},
            "ports": [{"name": "", "port": 9000}],
            "endpoints": [{"addresses": ["10.0.0.7"], "conditions": {"ready": True}}],
        }
        # Nothing arrived: what stands between the client and the gateway is what remains.
        self.before, self.after = look(), look()
        self.addresses = [ADDRESS]
        self.session = "timeout"
        self.outcome = "timeout"
        self.more = {}

    def arrives(self, accepted=True, failed=False, session="closed", outcome="no_answer"):
        """Let the trial's session come through to the backend."""
        self.after = look(tried=1, accepted=int(accepted), failed=int(failed), sessions=1)
        self.session, self.outcome = session, outcome

    def case(self):
        """Return the case."""
        # Planned before it broke.
        (port,) = port_map([self.record], [EDGE])["ports"]
        port["service"] = "edge"
        facts = {
            "view": View(self.state),
            "pods": {"gateways": [self.gateway_pod], "apps": [self.backend_pod]},
            "slices": {"apps": [self.slice]},
            "looks": {("gateways", "edge"): Looks({"edge-1": self.before}, {"edge-1": self.after})},
            "clients": {ADDRESS: CLIENT},
            **self.more,
        }

        def result(state):
            return {"address": ADDRESS, "host": ADDRESS, "port": 8081, "state": state, "detail": f"seen as {state}"}

        return Case(
            port,
            self.addresses,
            Facts(**facts),
            results=[result(self.outcome)] if self.addresses else [],
            trial=[result(self.session)] if self.addresses else [],
        )

    def verdict(self):
        """Walk."""
        return _hops.first_broken_hop(self.case())


def policies(chain, kind, namespace, **spec):
    """Give a namespace one policy of a kind."""
    chain.more[kind] = {namespace: [{"metadata": {"name": "p", "namespace": namespace}, "spec": spec}]}


BREAKAGES = {}


def breaks(code, words=""):
    """Note a way to break the chain."""

    def note(function):
        BREAKAGES[function.__name__] = (function, code, words)
        return function

    return note


def with_versions(chain):
    """Let the port lead to two versions, which are in order."""
    subsets = [{"name": name, "labels": {"version": name}} for name in ("v1", "v2")]
    backend = chain.record.pop("backend")
    chain.record["backends"] = [{**backend, "subset": subset} for subset in subsets]
    host = "echo.apps.svc.cluster.local"
    clusters = [f"outbound|9000|{name}|{host}" for name in ("v1", "v2")]
    destination = chain.state["virtual_services"][0]["tcp"][0]["destinations"][0]
    chain.state["virtual_services"][0]["tcp"][0]["destinations"] = [
        {**destination, "subset": name, "weight": 1} for name in ("v1", "v2")
    ]
    own = {"name": "own", "namespace": "gateways", "labels": set_labels("edge", "default"), "created": ""}
    rule = {**own, "host": host, "export_to": ["."], "selects": False, "traffic_policy": None, "subsets": subsets}
    chain.state["destination_rules"] = [rule]
    pods = [pod(f"echo-{name}", "apps", {"app": "echo", "version": name}, f"10.0.0.{name[1]}") for name in ("v1", "v2")]
    chain.slice["endpoints"][0]["addresses"] = ["10.0.0.1", "10.0.0.2"]
    chain.more["pods"] = {"gateways": [chain.gateway_pod], "apps": pods}
    # The trial's session met the first version.
    counts = {
        clusters[0]: {"10.0.0.1:9000": Endpoint(1, True, 1, 0)},
        clusters[1]: {"10.0.0.2:9000": Endpoint(0, True)},
    }
    chain.before = look(clusters={name: {} for name in clusters})
    chain.after = look(sessions=1, clusters=counts)
    chain.session, chain.outcome = "no_upstream", "no_answer"
    return rule, pods


@breaks("HOP_APPLICATION", "10.0.0.1:9000, 10.0.0.2:9000")
def versions_in_order(chain):
    with_versions(chain)


@breaks("HOP_SUBSET_EMPTY", "subset v2 (version=v2)")
def a_version_without_pods(chain):
    _rule, pods = with_versions(chain)
    pods.pop()


@breaks("HOP_SUBSET_EMPTY", "are not ready")
def a_version_that_is_not_ready(chain):
    _rule, pods = with_versions(chain)
    pods[1]["status"]["conditions"] = []
    chain.slice["endpoints"][0]["addresses"].remove("10.0.0.2")


@breaks("HOP_SUBSET_MISSING", "DestinationRule gateways/own says something else")
def a_subset_taken_out_of_the_rule(chain):
    rule, _pods = with_versions(chain)
    rule["subsets"] = rule["subsets"][:1]


@breaks("HOP_SUBSET_MISSING", "there is no DestinationRule for it")
def a_rule_that_went(chain):
    with_versions(chain)
    chain.state["destination_rules"] = []


@breaks("HOP_CLUSTER_EMPTY", "outbound|9000|v2|")
def a_version_that_envoy_has_no_endpoint_for(chain):
    with_versions(chain)
    chain.after.clusters["outbound|9000|v2|echo.apps.svc.cluster.local"].clear()


@breaks("HOP_ROUTE_TAKEN", "outbound|9000|v1|")
def a_route_to_one_version_only(chain):
    with_versions(chain)
    chain.state["virtual_services"][0]["tcp"][0]["destinations"].pop()


def with_server_outside(chain, *servers):
    """Let the port lead out of the cluster; the trial's session met nobody yet."""
    chain.record["backend"] = {"host": list(servers), "port": 5432}
    (port,) = port_map([chain.record], [EDGE])["ports"]
    host, cluster = port["backend"]["host"], port["cluster"]
    chain.state["virtual_services"][0]["tcp"][0]["destinations"][0] |= {"host": host, "port": 5432}
    own = {"name": "own", "namespace": "gateways", "labels": set_labels("edge", "default")}
    chain.state["service_entries"] = [{**own, "hosts": [host], "ports": [5432], "endpoints": list(servers)}]
    chain.before = look(clusters={cluster: {}})
    chain.after = look(sessions=1, clusters={cluster: {"192.0.2.10:5432": Endpoint(0, True, 1, 1)}})
    chain.session = chain.outcome = "closed"
    return cluster


@breaks("HOP_EXTERNAL_MISSING", "the ServiceEntry for db.example.com (host edge-default-")
def an_entry_that_went(chain):
    with_server_outside(chain, "db.example.com")
    chain.state["service_entries"] = []


@breaks("HOP_EXTERNAL_EMPTY", "the gateway has no address of db.example.com")
def a_name_that_does_not_resolve(chain):
    cluster = with_server_outside(chain, "db.example.com")
    chain.after.clusters[cluster].clear()


@breaks("HOP_EXTERNAL_REFUSES", "the gateway's connection to 192.0.2.10:5432, outside of the cluster, is refused")
def a_server_outside_that_refuses(chain):
    with_server_outside(chain, "192.0.2.10")


@breaks("HOP_NETWORK_POLICY", "gateways/p does not let gateway gateways/edge reach the backend's 192.0.2.10:5432")
def no_way_out(chain):
    with_server_outside(chain, "192.0.2.10")
    policies(chain, "network_policies", "gateways", podSelector={}, policyTypes=["Egress"], egress=[])


@breaks("HOP_APPLICATION", "port 8081 reaches server 192.0.2.10 at 192.0.2.10:5432, which accepts")
def a_server_outside_that_says_something_else(chain):
    cluster = with_server_outside(chain, "192.0.2.10")
    chain.after = look(sessions=1, clusters={cluster: {"192.0.2.10:5432": Endpoint(1, True, 1, 0)}})
    chain.session, chain.outcome = "no_upstream", "wrong_answer"


@breaks("HOP_FRONT_MISSING", "gateways/edge is not there")
def no_front(chain):
    chain.state["services"].remove(chain.front)
    chain.addresses = []


@breaks("HOP_FRONT_PORT", "it has 15021")
def no_front_port(chain):
    chain.front["ports"] = chain.front["ports"][:1]


@breaks("HOP_NO_ADDRESS", "of type LoadBalancer has no address")
def no_address(chain):
    chain.addresses = []


@breaks("HOP_NAME_UNRESOLVED", f"{ADDRESS} does not resolve")
def no_name(chain):
    chain.session = chain.outcome = "unresolved"


@breaks("HOP_FRONT_SELECTS_NOTHING", "selects app=web")
def front_selector(chain):
    chain.front["selector"] = {"app": "web"}


@breaks("HOP_PODS_MISSING", "has 0 replicas")
def no_replicas(chain):
    chain.more["pods"] = {"gateways": [], "apps": [chain.backend_pod]}
    chain.state["deployments"] = [{**deployment(), "replicas": 0}]


@breaks("HOP_PODS_MISSING", "wants 1, and something keeps")
def pods_refused(chain):
    chain.more["pods"] = {"gateways": [], "apps": [chain.backend_pod]}


@breaks("HOP_PODS_MISSING", "is not there")
def pods_on_their_way_out(chain):
    chain.gateway_pod["metadata"]["deletionTimestamp"] = "now"
    chain.state["deployments"] = []


def unready(chain, **status):
    """Let the gateway's pod not be ready."""
    chain.gateway_pod["status"] = {"phase": "Pending", **status}


@breaks("HOP_PODS_NOT_READY", "container main: CrashLoopBackOff")
def crashing(chain):
    waiting = {"name": "main", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    unready(chain, containerStatuses=[waiting])


@breaks("HOP_PODS_NOT_READY", "0/1 nodes are available")
def unschedulable(chain):
    unready(chain, conditions=[{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}])


@breaks("HOP_PODS_NOT_INJECTED", "no injector acted")
def not_injected(chain):
    unready(chain)
    chain.gateway_pod["spec"]["containers"][0]["image"] = "auto"


@breaks("HOP_PODS_NOT_INJECTED", "istio-injection=disabled")
def injection_disabled(chain):
    not_injected(chain)
    chain.state["namespaces"]["gateways"]["labels"]["istio-injection"] = "disabled"


@breaks("HOP_PODS_REVISION", "asks for revision 'old', and the injectors are of default")
def wrong_revision(chain):
    not_injected(chain)
    chain.gateway_pod["metadata"]["labels"]["istio.io/rev"] = "old"


@breaks("HOP_PODS_NO_CERTIFICATE", "no certificate")
def no_certificate(chain):
    unready(chain)
    chain.after = look(certified=False)


@breaks("HOP_SERVER_MISSING", "has no server for port 8081")
def no_gateway(chain):
    chain.state["gateways"] = []


@breaks("HOP_GATEWAY_UNSEEN", "istiod istio-system/istiod does not apply it")
def gateway_selects_others(chain):
    chain.state["gateways"][0]["selector"] = {"nobody": "here"}


@breaks("HOP_SECRET_MISSING", "Secret gateways/cert")
def no_secret(chain):
    chain.state["gateways"][0]["servers"][0]["credential"] = "cert"
    chain.more["secrets"] = {("gateways", "cert"): False}


@breaks("HOP_ROUTE_MISSING", "no VirtualService has a rule for port 8081")
def no_route(chain):
    chain.state["virtual_services"] = []


@breaks("HOP_HTTP_ROUTE", "for port 8081 (a.test/x), so the gateway answers 404")
def no_http_rules(chain):
    chain.record |= {"protocol": "http", "hosts": ["a.test"], "paths": ["/x"], "probe": {}}
    (server,) = chain.state["gateways"][0]["servers"]
    server |= {"name": "http-8081", "protocol": "HTTP"}
    chain.state["virtual_services"] = []


@breaks("HOP_NOT_FOUND", "no hop was found broken")
def another_http_answer(chain):
    no_http_rules(chain)
    path = {"name": f"http-8081-{short_hash('default', 'a')}", "ports": [8081], "paths": [{"prefix": "/x"}]}
    leads = {"host": "echo.apps.svc.cluster.local", "port": 9000, "subset": "", "weight": 0}
    rules = {**virtual_service(8081), "hosts": ["a.test"], "tcp": [], "routes": [{**path, "destinations": [leads]}]}
    chain.state["virtual_services"] = [rules]
    # The gateway's own 404, for one: its session is over before it could be counted.
    chain.session = chain.outcome = "wrong_answer"


@breaks("HOP_LISTENER_LOST", "Gateway gateways/older, created 2020,")
def lost(chain):
    older = {**istio_gateway(("b", 8081)), "name": "older", "created": "2020", "labels": {}}
    chain.state["gateways"][0]["created"] = "2021"
    chain.state["gateways"].append(older)


@breaks("HOP_LISTENER_PRIVILEGED", "pod port 81 is below 1024")
def privileged(chain):
    chain.front["ports"][1]["target_port"] = 81
    chain.state["workloads"][0]["unprivileged"] = True


@breaks("HOP_LISTENER_RESERVED", "pod port 15020 is one of the proxy's own")
def reserved(chain):
    chain.front["ports"][1]["target_port"] = 15020


@breaks("HOP_LISTENER_REJECTED", "cannot bind")
def rejected(chain):
    chain.after = look(listeners=frozenset([15021]), refused={8081: "cannot bind"})


@breaks("HOP_LISTENER_MISSING", "gateway pod edge-1 does not listen on 8081")
def not_sent(chain):
    chain.after = look(listeners=frozenset([15021]))


@breaks("HOP_FRONT_TARGET", "leads port 8081 to 'web', and the gateway listens on 8081")
def target_by_name(chain):
    chain.front["ports"][1]["target_port"] = "web"


@breaks("HOP_ROUTE_TAKEN", "older tcp[0] to cluster outbound|1||other.apps")
def route_taken(chain):
    older = copy.deepcopy(virtual_service(8081))
    older["tcp"][0]["destinations"][0] |= {"host": "other.apps.svc.cluster.local", "port": 1}
    chain.state["virtual_services"][0]["created"] = "2021"
    chain.state["virtual_services"].append({**older, "name": "older", "created": "2020"})


@breaks("HOP_DENIED", f"gateways/p does not let in from here {CLIENT} on pod port 8081")
def denied(chain):
    # It is closed at its first byte, when the backend has accepted already.
    chain.arrives(session="no_upstream", outcome="closed")
    policies(chain, "authorizations", "gateways", action="ALLOW", rules=[{"to": [{"operation": {"ports": ["1"]}}]}])


@breaks("HOP_DENIED", "gateways/p")
def denied_by_address(chain):
    chain.arrives(session="no_upstream", outcome="reset")
    rules = [{"from": [{"source": {"ipBlocks": ["0.0.0.0/0"]}}]}]
    policies(chain, "authorizations", "gateways", action="DENY", rules=rules)


@breaks("HOP_DENIED", "gateways/p")
def denied_by_the_address_of_a_node(chain):
    chain.arrives(session="no_upstream", outcome="closed")
    chain.gateway_pod["status"]["hostIP"] = "10.9.0.1"
    rules = [{"from": [{"source": {"ipBlocks": ["10.9.0.0/16"]}}]}]
    policies(chain, "authorizations", "gateways", action="DENY", rules=rules)


@breaks("HOP_SOURCE_RANGE", f"lets in 203.0.113.0/24 only, and the connection comes from here {CLIENT}")
def source_range(chain):
    chain.more["source_ranges"] = {("gateways", "edge"): ["203.0.113.0/24"]}


@breaks("HOP_NETWORK_POLICY", "gateways/p does not let clients")
def policy_in_front(chain):
    policies(chain, "network_policies", "gateways", podSelector={}, policyTypes=["Ingress"])


@breaks("HOP_BACKEND_MISSING", "apps/echo is not there")
def no_backend(chain):
    chain.arrives(accepted=False)
    chain.state["services"].remove(chain.backend)


@breaks("HOP_BACKEND_PORT", "has no TCP port 9000; it has 9001")
def no_backend_port(chain):
    chain.arrives(accepted=False)
    chain.backend["ports"] = [service_port(9001)]


def empty(chain):
    """Let the backend have no endpoint, which Envoy knows, too."""
    chain.slice["endpoints"] = []
    chain.after = chain.before = look(clusters={CLUSTER: {}})
    chain.session = "closed"


@breaks("HOP_BACKEND_EMPTY", "no pod has its labels (app=echo)")
def no_pods(chain):
    empty(chain)
    chain.backend_pod["metadata"]["labels"] = {}


@breaks("HOP_BACKEND_EMPTY", "1 of its 1 pods are not ready; echo-1: Pending")
def waiting_pods(chain):
    empty(chain)
    chain.backend_pod["status"] = {"phase": "Pending"}


@breaks("HOP_BACKEND_EMPTY", "no container of its pods has a port that is named 'db'")
def no_such_container_port(chain):
    empty(chain)
    chain.backend["ports"][0]["target_port"] = "db"


@breaks("HOP_BACKEND_EMPTY", "it has no selector")
def no_backend_selector(chain):
    empty(chain)
    chain.backend["selector"] = {}


@breaks("HOP_BACKEND_EMPTY", "no container")
def endpoints_not_ready(chain):
    empty(chain)
    chain.slice["endpoints"] = [{"addresses": ["10.0.0.7"], "conditions": {"ready": False}}]


@breaks("HOP_CLUSTER_UNKNOWN", "does not know cluster outbound|9000")
def cluster_unknown(chain):
    chain.after = look(clusters={})
    chain.session = "closed"


@breaks("HOP_CLUSTER_EMPTY", "takes none of the 1 endpoint(s)")
def cluster_unhealthy(chain):
    chain.after = look(clusters={CLUSTER: {"10.0.0.7:9000": Endpoint(0, False)}})
    chain.session = "closed"


def meshed(chain):
    """Give the backend a sidecar."""
    chain.backend_pod["metadata"]["labels"]["security.istio.io/tlsMode"] = "istio"


def rule(chain, mode):
    """Tell the gateway what to speak."""
    tls = {"host": "echo", "trafficPolicy": {"tls": {"mode": mode}}}
    policies(chain, "rules", "apps", **tls)


@breaks("HOP_MTLS", "no sidecar that does")
def mtls_without_sidecar(chain):
    chain.arrives(accepted=False, failed=True)
    rule(chain, "ISTIO_MUTUAL")


@breaks("HOP_MTLS", "takes mTLS only (PeerAuthentication apps/p)")
def plain_to_strict(chain):
    chain.arrives()
    meshed(chain)
    rule(chain, "DISABLE")
    policies(chain, "peers", "apps", mtls={"mode": "STRICT"})


@breaks("HOP_NETWORK_POLICY", "apps/p does not let gateway gateways/edge reach the backend's 10.0.0.7:9000")
def policy_behind(chain):
    chain.arrives(accepted=False)
    policies(chain, "network_policies", "apps", podSelector={})


@breaks("HOP_NETWORK_POLICY", "gateways/p does not let gateway gateways/edge reach the backend's 10.0.0.7:9000")
def policy_on_the_way_out(chain):
    chain.arrives(accepted=False)
    policies(chain, "network_policies", "gateways", podSelector={}, policyTypes=["Egress"])


@breaks("HOP_BACKEND_REFUSES", "10.0.0.7:9000 is refused")
def backend_refuses(chain):
    chain.arrives(accepted=False, failed=True)


@breaks("HOP_BACKEND_REFUSES", "10.0.0.7:9000 is refused")
def backend_behind_somebody_else_s_gateway_refuses(chain):
    """Its pods are those that its Service selects, and not those that would be ours."""
    theirs = {"app": "theirs"}
    chain.front |= {"labels": {}, "selector": theirs}
    chain.gateway_pod["metadata"]["labels"] = theirs
    chain.state["workloads"][0]["labels"] = theirs
    chain.state["gateways"][0]["selector"] = theirs
    backend_refuses(chain)


@breaks("HOP_BACKEND_REFUSES", "10.0.0.7:9000 is not answered")
def black_hole(chain):
    chain.arrives(accepted=False, session="no_upstream")


@breaks("HOP_DENIED", "apps/p does not let in gateway gateways/edge on pod port 9000")
def sidecar_denies(chain):
    chain.arrives(outcome="closed")
    meshed(chain)
    policies(chain, "authorizations", "apps", action="ALLOW", rules=[])


def server_first(chain):
    """Let the record's server speak first, behind a sidecar, and say nothing."""
    chain.arrives(session="no_upstream")
    chain.record["probe"] = {"mode": "ssh"}
    meshed(chain)


@breaks("HOP_SNIFFING", "no protocol in its name")
def sniffed(chain):
    server_first(chain)


@breaks("HOP_SNIFFING", "sends it plain bytes (DestinationRule apps/p) in mode PERMISSIVE")
def plain_to_permissive(chain):
    server_first(chain)
    chain.backend["ports"][0]["name"] = chain.slice["ports"][0]["name"] = "tcp-ssh"
    rule(chain, "DISABLE")


@breaks("HOP_SNIFFING", "its Service's port is declared as http")
def declared_as_http(chain):
    server_first(chain)
    chain.backend["ports"][0]["name"] = chain.slice["ports"][0]["name"] = "http-ssh"


@breaks("HOP_APPLICATION", "accepts the connection, but: seen as no_answer")
def wrong_application(chain):
    chain.arrives(session="no_upstream")


@breaks("HOP_ADDRESS_SILENT", "nothing answers at 198.18.0.1")
def address_silent(chain):
    pass


@breaks("HOP_FIREWALL", "answers on other ports")
def firewall(chain):
    chain.more["answering"] = frozenset([ADDRESS])


@breaks("HOP_FIREWALL", "does not reach the gateway")
def balancer_without_the_port(chain):
    # It accepts by itself, and the gateway counts no session.
    chain.session = "no_upstream"


@breaks("HOP_UNSEEN", "Not to be seen was: no right to portforward")
def no_right_to_ask_envoy(chain):
    chain.before = chain.after = None
    chain.session = "closed"
    chain.more |= {"looks": {}, "unseen": ["no right to portforward"]}


@breaks("HOP_NOT_FOUND", "no hop was found broken")
def nothing_found(chain):
    chain.after = look(sessions=1)
    chain.session = "no_upstream"


@pytest.mark.parametrize("name", BREAKAGES)
def test_the_verdict(name):
    function, code, words = BREAKAGES[name]
    chain = Chain()
    function(chain)
    verdict = chain.verdict()
    assert verdict["code"] == code, verdict
    assert words in verdict["message"]


def test_without_the_right_to_read_pods_no_subset_is_called_empty():
    chain = Chain()
    with_versions(chain)
    chain.more["pods"] = {"gateways": [chain.gateway_pod], "apps": None}
    assert chain.verdict()["code"] == "HOP_APPLICATION"


def test_every_verdict_is_reached():
    reached = {code for _function, code, _words in BREAKAGES.values()}
    assert reached == {code for code in CATALOGUE if code.startswith("HOP_")}


@pytest.mark.parametrize("kind", ["network_policies", "authorizations", "source_ranges", "backend"])
def test_a_policy_that_the_connection_passed_is_not_named(kind):
    """Envoy's counters go before what settings would do: a network may enforce nothing."""
    chain = Chain()
    {
        "network_policies": policy_in_front,
        "authorizations": denied_by_address,
        "source_ranges": source_range,
        "backend": policy_behind,
    }[kind](chain)
    chain.arrives(session="no_upstream")
    assert chain.verdict()["code"] == "HOP_APPLICATION"


def test_what_may_not_be_read_is_not_taken_for_missing():
    chain = Chain()
    chain.arrives(session="no_upstream")
    chain.more |= {"pods": {"gateways": None, "apps": None}, "slices": {"apps": None}}
    assert chain.verdict()["code"] == "HOP_APPLICATION"


def test_another_service_of_the_backend_does_not_lend_its_endpoints():
    chain = Chain()
    chain.slice["metadata"]["labels"]["kubernetes.io/service-name"] = "other"
    chain.arrives(accepted=False)
    assert chain.verdict()["code"] == "HOP_BACKEND_EMPTY"


def test_the_counters_of_a_pod_that_came_meanwhile_say_nothing():
    chain = Chain()
    case = chain.case()
    facts = dataclasses.replace(
        case.facts, looks={("gateways", "edge"): Looks({}, {"edge-1": look(tried=7, accepted=7)})}
    )
    assert dataclasses.replace(case, facts=facts).tried is None


def test_why_a_pod_is_not_ready():
    ended = {"name": "main", "ready": False, "state": {"terminated": {"reason": "OOMKilled"}}}
    assert _hops_case.why_not_ready({"status": {"containerStatuses": [ended]}}) == "container main: OOMKilled"


def test_a_listener_that_follows_a_target_port_set_by_hand_is_in_order():
    chain = Chain()
    chain.front["ports"][1]["target_port"] = 8085
    chain.arrives(session="no_upstream")
    chain.after = dataclasses.replace(chain.after, listeners=frozenset([8085]))
    assert chain.verdict()["code"] == "HOP_APPLICATION"


def test_a_pod_that_is_still_starting_is_not_what_is_broken():
    chain = Chain()
    chain.arrives(session="no_upstream")
    starting = pod("edge-2", "gateways", gateway_pod_labels("edge", "gateways"), "10.0.0.3")
    starting["status"]["conditions"] = []
    chain.more["pods"] = {"gateways": [chain.gateway_pod, starting], "apps": [chain.backend_pod]}
    after = {"edge-1": chain.after, "edge-2": look(listeners=frozenset(), clusters={})}
    chain.more["looks"] = {("gateways", "edge"): Looks({"edge-1": chain.before}, after)}
    assert chain.verdict()["code"] == "HOP_APPLICATION"
