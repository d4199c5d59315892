# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each hop of one chain is broken on purpose and mended again; the verdict must name it, and no other."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import kubernetes
import pytest
from chain import ROOT, Break, Chain, dropped
from harness import Cluster, Exposure, Playbooks

PORT, TARGET = 8000, 8000
ISTIO, SECURITY = "networking.istio.io/v1beta1", "security.istio.io/v1beta1"
NOBODY = {"nobody": "at-all"}


def bystanders(exposure: Exposure) -> list[dict[str, Any]]:
    """Somebody else's objects, older than ours, which do nothing yet."""
    older_gateway = {
        "apiVersion": ISTIO,
        "kind": "Gateway",
        "metadata": {"name": "older", "namespace": exposure.name},
        "spec": {
            "selector": NOBODY,
            "servers": [{"port": {"number": PORT, "name": "tcp", "protocol": "TCP"}, "hosts": ["*"]}],
        },
    }
    older_route = {
        "apiVersion": ISTIO,
        "kind": "VirtualService",
        "metadata": {"name": "older", "namespace": exposure.name},
        "spec": {
            "hosts": ["*"],
            "gateways": ["nowhere"],
            "exportTo": ["."],
            "tcp": [
                {
                    "route": [
                        {"destination": {"host": f"other.{exposure.echo}.svc.cluster.local", "port": {"number": 1}}}
                    ]
                }
            ],
        },
    }
    return [older_gateway, older_route]


@pytest.fixture(scope="module")
def chain(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """One port on a gateway of its own, with older objects of others beside it."""
    name = f"hops-{time.time_ns() % 0xFFFFFF:06x}"
    exposure = Exposure(name, Playbooks(ROOT, cluster, tmp_path_factory.mktemp(name)))
    core = kubernetes.client.CoreV1Api(cluster.client())
    labels = {"app.kubernetes.io/managed-by": "servicemesh.tcp"}
    core.create_namespace({"metadata": {"name": name, "labels": labels}})
    admin = kubernetes.dynamic.DynamicClient(cluster.client())
    for obj in bystanders(exposure):
        admin.resources.get(kind=obj["kind"], api_version=ISTIO).create(body=obj, namespace=name)
    # Age is counted in seconds.
    time.sleep(1.1)
    try:
        exposure.make()
        yield Chain(exposure, cluster, exposure.record("first", PORT))
    finally:
        exposure.remove()


BREAKAGES: dict[str, tuple[Break, str, str]] = {}


def breakage(code: str, words: str = "") -> Any:
    """Note a way to break the chain with the verdict that it must lead to."""

    def note(function: Any) -> Any:
        BREAKAGES[function.__name__] = (function, code, words)
        return function

    return note


def own_object(chain: Chain) -> str:
    """Return the name of the set's Gateway and VirtualService."""
    return (
        chain.kind("VirtualService", ISTIO)
        .get(namespace=chain.exposure.name, label_selector=f"servicemesh.tcp/set={chain.exposure.name}")
        .items[0]
        .metadata.name
    )


def front_port(chain: Chain) -> tuple[int, dict[str, Any]]:
    """Return where our port stands in the front Service, and what it says."""
    service = chain.kind("Service", "v1").get(name="edge", namespace=chain.exposure.name).to_dict()
    index = next(number for number, item in enumerate(service["spec"]["ports"]) if item["port"] == PORT)
    return index, service["spec"]["ports"][index]


# Front Service


@breakage("HOP_FRONT_PORT", "has no port 8000; it has 15021")
def front_service_lacks_the_port(chain):
    index, kept = front_port(chain)
    path = "/spec/ports"
    return chain.patched(
        "Service",
        chain.exposure.name,
        "edge",
        [{"op": "remove", "path": f"{path}/{index}"}],
        [{"op": "add", "path": f"{path}/-", "value": kept}],
        "v1",
    )


@breakage("HOP_FRONT_SELECTS_NOTHING", "selects nobody=at-all")
def front_service_selects_nothing(chain):
    selector = chain.kind("Service", "v1").get(name="edge", namespace=chain.exposure.name).to_dict()["spec"]["selector"]

    def change(value):
        return [{"op": "replace", "path": "/spec/selector", "value": value}]

    return chain.patched("Service", chain.exposure.name, "edge", change(NOBODY), change(selector), "v1")


@breakage("HOP_FRONT_TARGET", "leads port 8000 to 'nowhere', and the gateway listens on 8000")
def front_service_has_another_target(chain):
    index, _kept = front_port(chain)

    def change(value):
        return [{"op": "replace", "path": f"/spec/ports/{index}/targetPort", "value": value}]

    return chain.patched("Service", chain.exposure.name, "edge", change("nowhere"), change(TARGET), "v1")


@breakage("HOP_NO_ADDRESS", "of type LoadBalancer has no address")
@contextlib.contextmanager
def load_balancer_gives_no_address(chain):
    place = ("Service", chain.exposure.name, "edge")
    plain = {"spec": {"type": "ClusterIP", "loadBalancerClass": None}}
    chain.patch(*place, plain, "v1")
    chain.patch(*place, {"spec": {"type": "LoadBalancer", "loadBalancerClass": "example.com/nobody"}}, "v1")
    try:
        yield
    finally:
        chain.patch(*place, plain, "v1")
        chain.patch(*place, {"spec": {"type": "LoadBalancer"}}, "v1")


@breakage("HOP_SOURCE_RANGE", "lets in 203.0.113.0/24 only")
def source_range_without_us(chain):
    def change(ranges):
        return {"spec": {"loadBalancerSourceRanges": ranges}}

    return chain.patched("Service", chain.exposure.name, "edge", change(["203.0.113.0/24"]), change(None), "v1")


# Gateway pods


@breakage("HOP_PODS_MISSING", "its Deployment has 0 replicas")
@contextlib.contextmanager
def gateway_scaled_to_nothing(chain):
    chain.scale(0)
    try:
        yield
    finally:
        chain.scale(1)


def template(**labels: str | None) -> dict[str, Any]:
    """Return a patch of the labels of a Deployment's pods."""
    return {"spec": {"template": {"metadata": {"labels": labels}}}}


@breakage("HOP_PODS_NOT_INJECTED", "its label sidecar.istio.io/inject is not 'true'")
def gateway_pod_not_injected(chain):
    key = "sidecar.istio.io/inject"
    return chain.gateway_with(template(**{key: "false"}), template(**{key: "true"}))


@breakage("HOP_PODS_REVISION", "asks for revision 'nowhere', and the injectors are of default")
def gateway_pod_of_another_revision(chain):
    return chain.gateway_with(template(**{"istio.io/rev": "nowhere"}), template(**{"istio.io/rev": None}))


@breakage("HOP_PODS_NOT_READY", "node")
def gateway_pod_that_fits_on_no_node(chain):
    def change(selector):
        return {"spec": {"template": {"spec": {"nodeSelector": selector}}}}

    return chain.gateway_with(change(NOBODY), change(None))


@breakage("HOP_PODS_NO_CERTIFICATE", "has no certificate from the mesh")
def gateway_pod_without_certificate(chain):
    key = "proxy.istio.io/config"

    def change(value):
        return {"spec": {"template": {"metadata": {"annotations": {key: value}}}}}

    settings = '{"proxyMetadata": {"CA_ADDR": "istiod.istio-system.svc:15999"}}'
    return chain.gateway_with(change(settings), change(None))


# Listener


@breakage("HOP_SERVER_MISSING", "has no server for port 8000")
def gateway_without_our_server(chain):
    return chain.without("Gateway", chain.exposure.name, own_object(chain), ISTIO)


@breakage("HOP_ROUTE_MISSING", "no VirtualService has a rule for port 8000")
def virtual_service_is_gone(chain):
    return chain.without("VirtualService", chain.exposure.name, own_object(chain), ISTIO)


@breakage("HOP_LISTENER_LOST", "/older, created")
def older_gateway_takes_the_port(chain):
    def change(selector):
        return [{"op": "replace", "path": "/spec/selector", "value": selector}]

    ours = {"servicemesh.tcp/gateway": "edge", "servicemesh.tcp/gateway-namespace": chain.exposure.name}
    return chain.patched("Gateway", chain.exposure.name, "older", change(ours), change(NOBODY), ISTIO)


@breakage("HOP_ROUTE_TAKEN", "older tcp[0] to cluster outbound|1||other.")
def older_virtual_service_takes_the_port(chain):
    def change(gateway):
        return {"spec": {"gateways": [gateway]}}

    return chain.patched(
        "VirtualService", chain.exposure.name, "older", change(own_object(chain)), change("nowhere"), ISTIO
    )


@breakage("HOP_LISTENER_PRIVILEGED", "pod port 81 is below 1024")
@contextlib.contextmanager
def privileged_port_without_a_way_to_bind(chain):
    key, index = "proxy.istio.io/config", front_port(chain)[0]

    def change(value):
        return {"spec": {"template": {"metadata": {"annotations": {key: value}}}}}

    def target(value):
        return [{"op": "replace", "path": f"/spec/ports/{index}/targetPort", "value": value}]

    settings = '{"proxyMetadata": {"ISTIO_META_UNPRIVILEGED_POD": "true"}}'
    with (
        chain.patched("Service", chain.exposure.name, "edge", target(81), target(TARGET), "v1"),
        chain.gateway_with(change(settings), change(None), ready=True),
    ):
        yield


@breakage("HOP_LISTENER_REJECTED", "203.0.113.9")
@contextlib.contextmanager
def envoy_refuses_the_listener(chain):
    """Its address is made one that the pod does not have, while the listener is away: one that is there would stay."""
    broken = {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": "broken", "namespace": chain.exposure.name},
        "spec": {
            "configPatches": [
                {
                    "applyTo": "LISTENER",
                    "match": {"context": "GATEWAY", "listener": {"portNumber": TARGET}},
                    "patch": {
                        "operation": "MERGE",
                        "value": {"address": {"socket_address": {"address": "203.0.113.9", "port_value": TARGET}}},
                    },
                }
            ]
        },
    }
    name = own_object(chain)
    with chain.without("VirtualService", chain.exposure.name, name, ISTIO):
        chain.wait_until("broken")
        chain.kind("EnvoyFilter", "networking.istio.io/v1alpha3").create(body=broken, namespace=chain.exposure.name)
    try:
        yield
    finally:
        chain.kind("EnvoyFilter", "networking.istio.io/v1alpha3").delete(name="broken", namespace=chain.exposure.name)


# Who is let in


def policy(chain: Chain, spec: dict[str, Any], kind: str = "AuthorizationPolicy", version: str = SECURITY) -> Any:
    """Have a policy in the gateway's namespace for a while."""
    metadata = {"name": "someones", "namespace": chain.exposure.name}
    return chain.having({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})


@breakage("HOP_DENIED", "someones does not let in from here")
def authorization_for_another_port(chain):
    return policy(chain, {"action": "ALLOW", "rules": [{"to": [{"operation": {"ports": ["9999"]}}]}]})


@breakage("HOP_DENIED", "someones does not let in from here")
def authorization_denies_our_address(chain):
    return policy(chain, {"action": "DENY", "rules": [{"from": [{"source": {"ipBlocks": ["0.0.0.0/0"]}}]}]})


@breakage("HOP_NETWORK_POLICY", "someones does not let clients")
@contextlib.contextmanager
def network_policy_keeps_clients_out(chain):
    """The set's own policy lets them in, so it is away; the lab's network enforces nothing, so the node does."""
    name = (
        chain.kind("NetworkPolicy", "networking.k8s.io/v1")
        .get(namespace=chain.exposure.name, label_selector=f"servicemesh.tcp/set={chain.exposure.name}")
        .items[0]
        .metadata.name
    )
    ip = chain.pod_ip(chain.exposure.name, "servicemesh.tcp/gateway=edge")
    with (
        chain.without("NetworkPolicy", chain.exposure.name, name, "networking.k8s.io/v1"),
        policy(chain, {"podSelector": {}, "policyTypes": ["Ingress"]}, "NetworkPolicy", "networking.k8s.io/v1"),
        dropped("-d", ip, "-p", "tcp", "--dport", str(TARGET)),
    ):
        yield


# Backend


@breakage("HOP_BACKEND_MISSING", "/echo is not there")
def backend_service_is_gone(chain):
    return chain.without("Service", chain.exposure.echo, "echo", "v1")


def backend_ports(chain: Chain, key: str, value: Any, back: Any) -> Any:
    """Change something of the backend's first port for a while."""

    def change(given):
        return [{"op": "replace", "path": f"/spec/ports/0/{key}", "value": given}]

    return chain.patched("Service", chain.exposure.echo, "echo", change(value), change(back), "v1")


@breakage("HOP_BACKEND_PORT", "has no TCP port 9000; it has 9009, 9001")
def backend_service_without_the_port(chain):
    return backend_ports(chain, "port", 9009, 9000)


@breakage("HOP_BACKEND_REFUSES", "is refused")
def backend_pod_does_not_listen(chain):
    return backend_ports(chain, "targetPort", 9999, 9000)


@breakage("HOP_BACKEND_EMPTY", "no pod has its labels")
def backend_scaled_to_nothing(chain):
    def change(replicas):
        return {"spec": {"replicas": replicas}}

    return chain.patched("Deployment", chain.exposure.echo, "echo", change(0), change(1), "apps/v1")


@breakage("HOP_BACKEND_EMPTY", "no pod has its labels (nobody=at-all)")
def backend_selector_matches_nothing(chain):
    selector = chain.kind("Service", "v1").get(name="echo", namespace=chain.exposure.echo).to_dict()["spec"]["selector"]

    def change(value):
        return [{"op": "replace", "path": "/spec/selector", "value": value}]

    return chain.patched("Service", chain.exposure.echo, "echo", change(NOBODY), change(selector), "v1")


@breakage("HOP_CLUSTER_UNKNOWN", "does not know cluster outbound|9000||echo.")
def mesh_does_not_see_the_backend(chain):
    key = "networking.istio.io/exportTo"

    def change(value):
        return {"metadata": {"annotations": {key: value}}}

    return chain.patched("Service", chain.exposure.echo, "echo", change("~"), change(None), "v1")


def rule(chain: Chain, mode: str) -> Any:
    """Have a DestinationRule for the backend for a while."""
    spec = {"host": f"echo.{chain.exposure.echo}.svc.cluster.local", "trafficPolicy": {"tls": {"mode": mode}}}
    metadata = {"name": "someones", "namespace": chain.exposure.echo}
    return chain.having({"apiVersion": ISTIO, "kind": "DestinationRule", "metadata": metadata, "spec": spec})


@breakage("HOP_MTLS", "the backend's pods have no sidecar")
def mtls_to_a_backend_without_a_sidecar(chain):
    return rule(chain, "ISTIO_MUTUAL")


def backend_drop(chain: Chain) -> Any:
    """Drop what goes to the backend's pod for a while."""
    selector = chain.kind("Service", "v1").get(name="echo", namespace=chain.exposure.echo).to_dict()["spec"]["selector"]
    ip = chain.pod_ip(chain.exposure.echo, ",".join(f"{key}={value}" for key, value in selector.items()))
    return dropped("-d", ip, "-p", "tcp", "--dport", "9000")


@breakage("HOP_BACKEND_REFUSES", "is not answered")
def backend_is_a_black_hole(chain):
    return backend_drop(chain)


@breakage("HOP_NETWORK_POLICY", "someones does not let gateway")
@contextlib.contextmanager
def network_policy_of_the_backend(chain):
    """It lets in pods of its own namespace only; the lab's network enforces nothing, so the node does."""
    metadata = {"name": "someones", "namespace": chain.exposure.echo}
    spec = {"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]}
    obj = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}
    with chain.having(obj), backend_drop(chain):
        yield


@breakage("HOP_APPLICATION", "an answer came, but echo first is not in it")
def another_application_answers(chain):
    """The Service leads to another server, which answers otherwise."""

    def change(value):
        return [{"op": "replace", "path": "/spec/template/spec/containers/0/args/1", "value": value}]

    args = chain.kind("Deployment", "apps/v1").get(name="echo", namespace=chain.exposure.echo).to_dict()
    kept = args["spec"]["template"]["spec"]["containers"][0]["args"][1]
    return chain.patched("Deployment", chain.exposure.echo, "echo", change("other"), change(kept), "apps/v1")


# Outside


def to_the_address(chain: Chain, *more: str) -> Any:
    """Drop what goes to the load balancer's address for a while, before the node looks at it."""
    chain.prove()
    return dropped("-d", chain.endpoint()["addresses"][0], "-p", "tcp", *more, table="raw", chain="PREROUTING")


@breakage("HOP_FIREWALL", "answers on other ports")
def firewall_without_the_port(chain):
    return to_the_address(chain, "--dport", str(PORT))


@breakage("HOP_ADDRESS_SILENT", "nothing answers at")
def address_that_leads_nowhere(chain):
    return to_the_address(chain)


# Every third one is the sample of "make test".
SAMPLED = [pytest.param(name, marks=[pytest.mark.slow] if number % 3 else []) for number, name in enumerate(BREAKAGES)]


@pytest.mark.parametrize("name", SAMPLED)
def test_the_broken_hop_is_named(chain: Chain, name: str) -> None:
    function, code, words = BREAKAGES[name]
    chain.wait_until("proven")
    with function(chain):
        verdict = chain.verdict()
    assert verdict["code"] == code, verdict
    assert words in verdict["message"]
    assert verdict["remedy"]
