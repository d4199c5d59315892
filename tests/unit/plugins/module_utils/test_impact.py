# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change does to live sessions: a row here for every row of docs/impact.md, seen on the lab or in the design."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _exposure
from ansible_collections.servicemesh.tcp.plugins.module_utils._impact import impacts
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import gateway_labels, gateway_selector, port_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object

LABELS = gateway_labels("edge")


def listener(port, **more):
    """Return a listener of the set on gateway edge."""
    return {
        "gateway": "edge",
        "namespace": "gateways",
        "port": port,
        "port_name": port_name(port, "default", f"r{port}"),
        "target_port": port,
        "node_port": None,
        "host": "echo.apps.svc.cluster.local",
        "backend_port": 9000,
        **more,
    }


def world(*listeners, **spec):
    """Return what a set of listeners makes on a cluster, by kind; C(spec) is the front Service's beside its ports."""
    ports = [{"name": "status-port", "port": 15021, "targetPort": 15021, "protocol": "TCP"}]
    share = _exposure.service_share("edge", "gateways", listeners, None)
    service = new_object(
        "Service",
        "edge",
        "gateways",
        LABELS,
        spec={"type": "LoadBalancer", "ports": ports + share.get("spec", {}).get("ports", []), **spec},
    )
    made = [_exposure.istio_gateway("edge", "gateways", "default", listeners, "hosts.yml")]
    made += [function("edge", "gateways", "default", listeners) for function in MAKERS]
    pods = {"template": {"metadata": {"annotations": {}}, "spec": {}}, "replicas": 2}
    made += [service, new_object("Deployment", "edge", "gateways", LABELS, spec=pods)]
    return {obj["kind"]: obj for obj in made}


MAKERS = (_exposure.virtual_service, _exposure.network_policy)


def named(name, **more):
    """Return a listener of the set for one TLS name on port 8443."""
    mode = more.pop("mode", "passthrough")
    tls = {"mode": mode, "hosts": [name], "secret": "cert", "min_version": None}
    return listener(8443, port_name="tls-8443", hash=f"hash-{name}", tls=tls, **more)


def world_of_names(*listeners):
    """Return what listeners on one port make on a cluster, by kind and name."""
    share = _exposure.service_share("edge", "gateways", listeners[:1], None)
    made = [_exposure.istio_gateway("edge", "gateways", "default", listeners, "hosts.yml")]
    made += _exposure.virtual_services("edge", "gateways", "default", listeners)
    made.append(new_object("Service", "edge", "gateways", LABELS, spec=share.get("spec", {})))
    return {f"{obj['kind']} {obj['metadata']['name']}": obj for obj in made}


A, B, C = named("a.test"), named("b.test"), named("c.test", mode="terminate")
TWO = (listener(8081), listener(8082))
BEFORE = world(*TWO)


def compare(before, after):
    """Return the impact of each port that something happens to."""
    kinds = sorted({*before, *after})
    found = impacts((before.get(kind), after.get(kind)) for kind in kinds)
    return {item["port"]: (item["impact"], item["why"]) for item in found if item["impact"] != "none"}


def changed(kind, *path, value, base=BEFORE):
    """Return the world with one field of one object set."""
    after = copy.deepcopy(base)
    place = after[kind]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return after


def beside(kind, **spec):
    """Return the world with one more object of the gateway."""
    return {
        **BEFORE,
        kind: {"kind": kind, "metadata": {"name": "x", "namespace": "gateways", "labels": LABELS}, "spec": spec},
    }


def rule(host="echo.apps.svc.cluster.local", **policy):
    """Return the world with a DestinationRule."""
    return beside("DestinationRule", host=host, trafficPolicy=policy)


def tcp(**settings):
    """Return a DestinationRule's settings of TCP connections."""
    return {"connectionPool": {"tcp": settings}}


def both(impact, why):
    """Return the same impact for both ports."""
    return dict.fromkeys((8081, 8082), (impact, why))


POLICY = "an AuthorizationPolicy of the gateway changes"
PODS = both("restarts", "the gateway's pods are replaced")
SERVER = ("Gateway", "spec", "servers", 0)
ROUTE = ("VirtualService", "spec", "tcp", 0, "route")
PORT = ("Service", "spec", "ports", 1)

ROWS = {
    # The design's table.
    "a port is added": (world(*TWO, listener(8083)), {8083: ("opens", "new")}),
    "destination": (
        world(listener(8081, backend_port=9001), listener(8082)),
        {8081: ("drains", "its destination changes")},
    ),
    "weights": (
        changed(*ROUTE, value=[{**BEFORE["VirtualService"]["spec"]["tcp"][0]["route"][0], "weight": 50}]),
        {8081: ("drains", "its destination changes")},
    ),
    "subset": (
        changed(*ROUTE, 0, "destination", "subset", value="v1"),
        {8081: ("drains", "its destination changes")},
    ),
    "a port is removed": (world(listener(8081)), {8082: ("closes", "it is withdrawn")}),
    "connection limits": (rule(**tcp(maxConnections=100)), {}),
    "idle time-out": (
        rule(**tcp(idleTimeout="600s")),
        both("drains", "the idleTimeout of its backend's DestinationRule changes"),
    ),
    "AuthorizationPolicy for one port": (
        beside("AuthorizationPolicy", rules=[{"to": [{"operation": {"ports": ["8081"]}}]}]),
        both("drains", POLICY),
    ),
    "source ranges": (changed("Service", "spec", "loadBalancerSourceRanges", value=["10.0.0.0/8"]), {}),
    "target port": (
        world(listener(8081, target_port=18081), listener(8082)),
        {8081: ("drains", "its target port changes")},
    ),
    "rollout": (changed("Deployment", "spec", "template", "metadata", "annotations", value={"a": "b"}), PODS),
    # Measured beside it.
    "the server has another name": (changed(*SERVER, "port", "name", value="tcp-8081-other"), {}),
    "the Service's port has another name": (changed(*PORT, "name", value="tcp-8081-other"), {}),
    "the server's hosts": (changed(*SERVER, "hosts", value=["*"]), {}),
    "the server binds to all addresses, in words": (changed(*SERVER, "bind", value="0.0.0.0"), {}),
    "the server's protocol": (
        changed(*SERVER, "port", "protocol", value="MONGO"),
        {8081: ("drains", "its server changes")},
    ),
    "servers in another order": (
        changed("Gateway", "spec", "servers", value=BEFORE["Gateway"]["spec"]["servers"][::-1]),
        {},
    ),
    "rules in another order": (
        changed("VirtualService", "spec", "tcp", value=BEFORE["VirtualService"]["spec"]["tcp"][::-1]),
        {},
    ),
    "the rule alone goes": (
        changed("VirtualService", "spec", "tcp", value=BEFORE["VirtualService"]["spec"]["tcp"][1:]),
        {8081: ("closes", "its rule goes")},
    ),
    "the server alone goes": (
        changed("Gateway", "spec", "servers", value=BEFORE["Gateway"]["spec"]["servers"][1:]),
        {8081: ("closes", "its listener goes")},
    ),
    "annotations and labels": (changed("Service", "metadata", "annotations", value={"a": "b"}), {}),
    "node port": (changed(*PORT, "nodePort", value=32700), {}),
    "external traffic policy": (changed("Service", "spec", "externalTrafficPolicy", value="Local"), {}),
    "external IPs": (changed("Service", "spec", "externalIPs", value=["198.18.26.1"]), {}),
    "the load balancer goes": (
        changed("Service", "spec", "type", value="NodePort"),
        both("closes", "its load balancer goes"),
    ),
    "more pods": (changed("Deployment", "spec", "replicas", value=3), {}),
    "fewer pods": (
        changed("Deployment", "spec", "replicas", value=1),
        both("restarts", "of 2 pods 1 stay"),
    ),
    "the Deployment's annotations": (changed("Deployment", "metadata", "annotations", value={"a": "b"}), {}),
    "its strategy": (changed("Deployment", "spec", "minReadySeconds", value=1), {}),
    "DestinationRule: connect time-out": (rule(**tcp(connectTimeout="3s")), {}),
    "DestinationRule: keepalive": (rule(**tcp(tcpKeepalive={"time": "60s"})), {}),
    "DestinationRule: outliers": (rule(outlierDetection={"consecutive5xxErrors": 5}), {}),
    "DestinationRule: load balancing": (rule(loadBalancer={"simple": "RANDOM"}), {}),
    "DestinationRule: TLS": (rule(tls={"mode": "DISABLE"}), {}),
    "DestinationRule: subsets": (beside("DestinationRule", host="echo.apps.svc.cluster.local", subsets=[{}]), {}),
    "DestinationRule: idle time-out of one port": (rule(portLevelSettings=[tcp(idleTimeout="600s")]), {}),
    "DestinationRule: another host": (rule(host="other.apps.svc.cluster.local", **tcp(idleTimeout="600s")), {}),
    "DestinationRule: longest time": (
        rule(**tcp(maxConnectionDuration="1h")),
        both("drains", "the maxConnectionDuration of its backend's DestinationRule changes"),
    ),
    "DestinationRule: stickiness": (
        rule(loadBalancer={"consistentHash": {"useSourceIp": True}}),
        both("drains", "the consistentHash of its backend's DestinationRule changes"),
    ),
    "NetworkPolicy": (changed("NetworkPolicy", "spec", "ingress", value=[]), {}),
}


@pytest.mark.parametrize(("after", "expected"), ROWS.values(), ids=ROWS)
def test_a_row(after, expected):
    assert compare(BEFORE, after) == expected


@pytest.mark.parametrize("name", ["idle time-out", "DestinationRule: stickiness", "AuthorizationPolicy for one port"])
def test_what_cuts_when_it_comes_cuts_when_it_goes(name):
    after, expected = ROWS[name]
    assert compare(after, BEFORE) == expected


def test_only_the_backend_s_ports_drain():
    before = world(listener(8081), listener(8082, host="other.apps.svc.cluster.local"))
    after = {**before, "DestinationRule": rule(**tcp(idleTimeout="600s"))["DestinationRule"]}
    assert list(compare(before, after)) == [8081]


def test_nothing_changes_and_all_ports_are_told():
    (first, second) = impacts((obj, obj) for obj in BEFORE.values())
    assert first == {
        "gateway": "edge",
        "namespace": "gateways",
        "port": 8081,
        "port_name": port_name(8081, "default", "r8081"),
        "listener": 8081,
        "impact": "none",
        "why": "",
    }
    assert second["port"] == 8082


def test_a_new_gateway_opens_its_ports():
    assert compare({}, BEFORE) == {8081: ("opens", "new"), 8082: ("opens", "new")}


def test_a_gateway_that_goes_takes_its_ports_along():
    assert compare(BEFORE, {}) == both("restarts", "the gateway's pods go")


def test_a_rule_that_was_taken_away_by_hand_opens_its_port_again():
    before = changed("VirtualService", "spec", "tcp", value=BEFORE["VirtualService"]["spec"]["tcp"][1:])
    assert compare(before, BEFORE) == {8081: ("opens", "new")}


def test_ports_carry_the_name_that_they_have_or_get():
    found = impacts((BEFORE[kind], world(listener(8081))[kind]) for kind in BEFORE)
    assert [item["port_name"] for item in found] == [listener(8081)["port_name"], listener(8082)["port_name"]]
    found = impacts((None, obj) for obj in BEFORE.values())
    assert [item["port_name"] for item in found] == [listener(8081)["port_name"], listener(8082)["port_name"]]


def test_the_worst_wins():
    after = world(listener(8081, target_port=18081), listener(8083))
    after["Deployment"] = changed("Deployment", "spec", "template", value={})["Deployment"]
    assert compare(BEFORE, after) == {**PODS, 8083: ("opens", "new")}


def test_the_listener_is_the_target_port_of_before():
    before = world(listener(22, target_port=10022))
    after = world(listener(22, target_port=10023))
    (found,) = impacts((before[kind], after[kind]) for kind in before)
    assert (found["port"], found["listener"], found["impact"]) == (22, 10022, "drains")
    (new,) = impacts((None, after[kind]) for kind in after)
    assert new["listener"] == 22


def test_an_equal_listener_may_come_from_another_gateway_object():
    """Measured: a second Gateway and VirtualService that take an equal listener over cut nothing."""

    def named(name):
        pair = {kind: copy.deepcopy(BEFORE[kind]) for kind in ("Gateway", "VirtualService")}
        for obj in pair.values():
            obj["metadata"]["name"] = name
        return pair

    old, new = named("old"), named("new")
    pairs = [(BEFORE["Service"], BEFORE["Service"])]
    pairs += [(None, obj) for obj in new.values()] + [(obj, None) for obj in old.values()]
    assert {item["impact"] for item in impacts(pairs)} == {"none"}


def test_a_gateway_that_was_turned_to_other_pods_had_no_listener_here():
    before = changed("Gateway", "spec", "selector", value={"app": "other"})
    assert compare(before, BEFORE) == both("opens", "new")


def test_two_writes_of_one_object_count_as_one():
    """Ports open on the front Service first, and close on it last."""
    between, after = world(*TWO, listener(8083)), world(listener(8082), listener(8083))
    pairs = [(BEFORE["Service"], between["Service"])]
    pairs += [(BEFORE[kind], after[kind]) for kind in ("Gateway", "VirtualService")]
    pairs += [(between["Service"], after["Service"])]
    found = {item["port"]: item["impact"] for item in impacts(pairs)}
    assert found == {8081: "closes", 8082: "none", 8083: "opens"}


def test_a_port_that_moves_to_another_front_service():
    other = copy.deepcopy(BEFORE["Service"])
    other["metadata"]["name"] = "edge-2"
    found = impacts([(BEFORE["Service"], None), (None, other)])
    assert {(item["impact"], item["why"]) for item in found} == {
        ("closes", "it moves from Service edge to Service edge-2")
    }


def test_an_autoscaler_below_the_number_of_pods():
    def scaler(most):
        spec = {"minReplicas": 1, "maxReplicas": most}
        scaled = new_object("HorizontalPodAutoscaler", "edge", "gateways", LABELS, spec=spec)
        return {**scaled, "status": {"currentReplicas": 2}}

    def compared(most):
        return compare({**BEFORE, "HPA": scaler(5)}, {**BEFORE, "HPA": scaler(most)})

    assert compared(1) == both("restarts", "of 2 pods 1 stay")
    assert compared(2) == compared(9) == {}
    assert compare({**BEFORE, "HPA": scaler(5)}, BEFORE) == {}


def test_two_gateways_are_kept_apart():
    def moved(obj):
        text = copy.deepcopy(obj)
        text["metadata"] = {**obj["metadata"], "name": "door", "labels": gateway_labels("door")}
        return text

    pairs = [(BEFORE["Service"], BEFORE["Service"]), (moved(BEFORE["Service"]), None)]
    found = {(item["gateway"], item["port"]): item["impact"] for item in impacts(pairs)}
    assert found == {
        ("door", 8081): "closes",
        ("door", 8082): "closes",
        ("edge", 8081): "none",
        ("edge", 8082): "none",
    }


def test_what_belongs_to_no_gateway_has_no_impact():
    echo = new_object("Service", "echo", "apps", {"app": "echo"}, spec={"ports": [{"port": 9000}]})
    pods = new_object("Deployment", "echo", "apps", {}, spec={"template": {}})
    assert impacts([(echo, None), (pods, None), (None, None)]) == []


def test_a_share_of_a_service_that_is_still_to_come_is_its_gateway_s():
    share = _exposure.service_share("edge", "gateways", TWO, None)
    assert [(item["gateway"], item["impact"]) for item in impacts([(None, share)])] == [("edge", "opens")] * 2


def test_ports_that_are_not_tcp_and_the_health_port_are_none_of_the_plan_s():
    ports = [{"port": 53, "protocol": "UDP"}, {"port": 15021}]
    assert impacts([(None, new_object("Service", "edge", "gateways", LABELS, spec={"ports": ports}))]) == []


def test_the_selector_of_our_gateways_is_the_pods_own():
    assert BEFORE["Gateway"]["spec"]["selector"] == gateway_selector("edge", "gateways")


NAMES = {
    # Seen on the lab, with sessions on a name that is passed through, on another one, and on one whose TLS ends here.
    "a name joins": ((A, C), (A, B, C), ("opens", "new is b.test")),
    "a name leaves": ((A, B, C), (A, C), ("drains", "its name b.test goes")),
    "where a name leads": (
        (A, B, C),
        (A, named("b.test", backend_port=9001), C),
        ("drains", "the destination of b.test changes"),
    ),
    "where a name leads whose TLS ends here": (
        (A, C),
        (A, named("c.test", mode="terminate", backend_port=9001)),
        ("drains", "the destination of c.test changes"),
    ),
    "who ends TLS": ((A, B), (A, named("b.test", mode="terminate")), ("drains", "what ends TLS for b.test changes")),
    "the last leaves": ((A,), (), ("closes", "it is withdrawn")),
    "the first comes": ((), (C,), ("opens", "new")),
    "another order": ((A, B, C), (C, B, A), None),
}


@pytest.mark.parametrize(("before", "after", "expected"), NAMES.values(), ids=NAMES)
def test_names_of_one_port(before, after, expected):
    found = compare(world_of_names(*before), world_of_names(*after))
    assert found == ({8443: expected} if expected else {})


def served(host, **more):
    """Return a listener of the set for one HTTP host on port 8443."""
    http = {"hosts": [host], "paths": [{"prefix": "/"}]}
    return listener(8443, port_name="http-8443", hash=f"hash-{host}", http=http, **more)


ONE, OTHER = served("a.test"), served("b.test")
HOSTS = {
    # Seen on the lab, with connections that are kept open between requests.
    "a host joins": ((ONE,), (ONE, OTHER), ("opens", "new is b.test")),
    "a host leaves": ((ONE, OTHER), (ONE,), None),
    "where a host leads": ((ONE, OTHER), (ONE, served("b.test", backend_port=9001)), None),
    "the last leaves": ((ONE,), (), ("closes", "it is withdrawn")),
    "the first comes": ((), (ONE,), ("opens", "new")),
    "plain TCP before": ((listener(8443),), (ONE,), ("closes", "its rule goes")),
}


@pytest.mark.parametrize(("before", "after", "expected"), HOSTS.values(), ids=HOSTS)
def test_hosts_of_one_port(before, after, expected):
    found = compare(world_of_names(*before), world_of_names(*after))
    assert found == ({8443: expected} if expected else {})
