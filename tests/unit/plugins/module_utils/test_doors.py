# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Doors beside the gateway: what is refused, what is written, and that it goes again, whole runs in memory."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _endpoints
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_declared import differences
from ansible_collections.servicemesh.tcp.plugins.module_utils._doors import DOOR_KEYS, DOORS, GATEWAY, ROUTE
from ansible_collections.servicemesh.tcp.plugins.module_utils._external_ips import against
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import door_name, port_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.plugins.module_utils._records import RECORD_BUILT, read_records
from ansible_collections.servicemesh.tcp.plugins.module_utils._wait import lacks
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.plugins.modules import mesh_state, tcp_publish
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import (
    BACKEND,
    EDGE,
    EDGE_REFERENCE,
    record,
    service,
    service_port,
    state,
)
from ansible_collections.servicemesh.tcp.tests.unit.plugins.door_texts import AT, SAYS, door, said, with_backend
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi
from ansible_collections.servicemesh.tcp.tests.unit.plugins.module_run import run_module
from ansible_collections.servicemesh.tcp.tests.unit.plugins.whole_runs import add_mesh, make_gateways

PAST = [item for item in DOORS if item not in (GATEWAY, ROUTE)]
NODES = [("one", "198.18.1.1"), ("two", "198.18.1.2")]


def named(name, kind):
    return door_name("echo", "default", name, kind)


@pytest.fixture
def api():
    """A cluster with a backend, two nodes, and nothing of a mesh."""
    found = FakeApi()
    found.add(new_object("Namespace", "apps", None, {}))
    ports = [{"port": 9000, "targetPort": "talk", "protocol": "TCP"}, {"port": 9001, "protocol": "TCP"}]
    found.add(new_object("Service", "echo", "apps", {}, spec={"selector": {"app": "echo"}, "ports": ports}))
    for name, address in NODES:
        status = {"addresses": [{"type": "InternalIP", "address": address}]}
        found.add(new_object("Node", name, None, {}, spec={}, status=status))
    return found


def publish(api, *records, **options):
    return run_module(tcp_publish, api, ports=list(records), **options)


def services(api):
    """Return the specs of all Services of the backend's namespace but the backend's own."""
    found = [key.rpartition("/")[2] for key in api.objects if "/apps/services/" in key]
    return {name: api.object("Service", name, "apps")["spec"] for name in found if name != "echo"}


@pytest.mark.parametrize("kind", PAST)
def test_what_only_the_gateway_can_do_is_refused(kind):
    # Every key that gateways know and this door does not, those that are built later among them.
    for key in sorted(RECORD_BUILT - DOOR_KEYS[kind]):
        found = said(door(kind, **{key: {}}), code="DOOR_CANNOT")
        assert [item["message"].split("'")[3] for item in found] == [key]
    for more in ({"protocol": "udp"}, {"protocol": "tls"}, {"port": "auto"}, {"probe": {**SAYS, "from": "cluster"}}):
        assert [item["code"] for item in said(door(kind, **more), code="DOOR_CANNOT")] == ["DOOR_CANNOT"]


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (door("mesh"), "KEY_NOT_BUILT"),
        (door("nodeport"), "VALUE_INVALID"),
        (door("load_balancer", service={"scope": "internal"}), "KEY_NOT_BUILT"),
        (door("node_port", service={"source_ranges": ["10.0.0.0/8"]}), "DOOR_CANNOT"),
        (door("node_port", service={"external_traffic_policy": "local"}), "VALUE_INVALID"),
        (door("external_ip", service={}), "VALUE_INVALID"),
        (door("external_ip", service={"external_ips": ["127.0.0.1"]}), "VALUE_INVALID"),
        (door("external_ip", service={"external_ips": ["db.example.com"]}), "VALUE_INVALID"),
        (door("node_port", node_port="30001-30002"), "VALUE_INVALID"),
        ({key: value for key, value in door("node_port").items() if key != "backend"}, "VALUE_INVALID"),
        (record("a", service=AT), "VALUE_INVALID"),
    ],
)
def test_one_mistake_gives_one_finding(record, code):
    found, findings = read_records([record])
    assert (found, [item["code"] for item in findings]) == ([], [code])


def test_each_door_is_a_service_of_its_own_and_a_second_run_writes_nothing(api):
    before = api.snapshot()
    records = [
        door("node_port", "n", port=7000, node_port=30500, service={"external_traffic_policy": "Local"}),
        door("external_ip", "e", port="9000-9001", backend={**BACKEND, "port": "9000-9001"}),
        door("load_balancer", "l", service={"source_ranges": ["10.0.0.0/8"], "class": "x/y", "annotations": {"a": 1}}),
    ]
    found = publish(api, *records)
    assert not found["failed"], found
    made = services(api)
    assert sorted(made) == sorted(named(name, kind) for name, kind in zip("nel", PAST, strict=True))
    common = {"targetPort": "talk", "protocol": "TCP"}
    node = made[named("n", "node_port")]
    assert (node["type"], node["selector"], node["externalTrafficPolicy"]) == ("NodePort", {"app": "echo"}, "Local")
    assert node["ports"] == [{"name": port_name(7000, "default", "n"), "port": 7000, "nodePort": 30500, **common}]
    at = made[named("e", "external_ip")]
    assert (at["type"], at["externalIPs"]) == ("ClusterIP", AT["external_ips"])
    assert [(port["port"], port["targetPort"]) for port in at["ports"]] == [(9000, "talk"), (9001, 9001)]
    balanced = made[named("l", "load_balancer")]
    assert (balanced["type"], balanced["loadBalancerClass"]) == ("LoadBalancer", "x/y")
    assert balanced["loadBalancerSourceRanges"] == ["10.0.0.0/8"]
    # No Lease is left in the application's namespace.
    assert not [path for path in api.objects if "leases" in path]

    again = publish(api, *records)
    assert (again["failed"], again["changes"]) == (False, [])
    assert differences(mesh_state.read(api), records, [], "default", "cluster.local") == []

    gone = run_module(tcp_publish, api, state="absent")
    assert sorted(gone["changes"]) == sorted(f"remove Service apps/{name}" for name in made)
    assert api.snapshot() == before


def test_a_door_goes_with_its_record_and_with_its_set(api):
    publish(api, door("node_port", "a"), door("node_port", "b"), source="here")
    publish(api, door("node_port", "other"), set="theirs")
    kept = publish(api, door("node_port", "a"), prune=False, source="here")
    assert (kept["changes"], len(services(api))) == ([], 3)
    shrunk = publish(api, door("node_port", "a"), source="elsewhere")
    assert [item["code"] for item in shrunk["findings"]] == ["SET_SHRINKS"]
    pruned = publish(api, door("node_port", "a"), source="here")
    assert pruned["changes"] == [f"remove Service apps/{named('b', 'node_port')}"]
    (closed,) = pruned["closed"]
    assert (closed["door"], closed["addresses"]) == ("node_port", [address for _name, address in NODES])
    withdrawn = run_module(tcp_publish, api, state="absent", withdraw=["a"])
    assert withdrawn["changes"] == [f"remove Service apps/{named('a', 'node_port')}"]
    assert list(services(api)) == [door_name("echo", "theirs", "other", "node_port")]


def test_a_record_that_moves_is_reached_by_the_new_door_before_the_old_one_goes(api):
    add_mesh(api)
    api.add(new_object("Namespace", "gateways", None, {}))
    make_gateways(api, [EDGE])
    publish(api, record("a", 8081), gateways=[EDGE_REFERENCE])
    moved = publish(api, door("node_port", "a"), gateways=[EDGE_REFERENCE])
    assert not moved["failed"], moved
    assert moved["changes"][0] == f"create Service apps/{named('a', 'node_port')}"
    assert not [path for path in api.objects if "virtualservices" in path]
    back = publish(api, record("a", 8081), gateways=[EDGE_REFERENCE])
    assert back["changes"][-1] == f"remove Service apps/{named('a', 'node_port')}"
    assert not back["failed"], back
    # A door beside it has nothing to do with the gateway, and waits for nobody who writes to that.
    api.log.clear()
    beside = publish(api, record("a", 8081), door("node_port", "b"), gateways=[EDGE_REFERENCE])
    assert beside["changes"] == [f"create Service apps/{named('b', 'node_port')}"]
    assert not [path for _method, path in api.log if "leases" in path]


def test_removal_tells_that_sessions_cannot_be_seen_and_refuses_where_that_is_asked(api):
    publish(api, door("node_port", "a"))
    refused = run_module(tcp_publish, api, state="absent", session_policy="refuse")
    assert [item["code"] for item in refused["findings"]] == ["SESSIONS_UNSEEN"]
    told = run_module(tcp_publish, api, state="absent")
    assert f"door apps/{named('a', 'node_port')}: port 9000 closes (it is withdrawn)" in "\n".join(told["plan"])


def test_node_ports_and_addresses_of_others_are_named():
    other = service("theirs", "apps", [service_port(80, node_port=30500)])
    (taken,) = said(door("node_port", node_port=30500), cluster=with_backend(other), code="NODE_PORT_TAKEN")
    assert "held by Service apps/theirs port 80" in taken["message"]
    checked = service("checked", "apps", [service_port(80)], health_check_node_port=30501)
    (taken,) = said(door("node_port", node_port=30501), cluster=with_backend(checked), code="NODE_PORT_TAKEN")
    assert "the health check of Service apps/checked" in taken["message"]
    two = [door("node_port", name, node_port=30500) for name in "ab"]
    assert "record 'a' of the same set" in said(*two, code="NODE_PORT_TAKEN")[0]["message"]
    (twice,) = said(door(name="a"), door(name="b"), code="EXTERNAL_IP_TAKEN")
    assert "record 'a' of the same set" in twice["message"]
    balanced = service("lb", "apps", [service_port(9000)], addresses=AT["external_ips"])
    assert len(said(door(), cluster=with_backend(balanced), code="EXTERNAL_IP_TAKEN")) == 1
    gateway = {**EDGE, "service": {"type": "ClusterIP", **AT}}
    shared = port_map([record("g", 9000), door()], [gateway], with_backend())["findings"]
    assert [item["message"] for item in shared if item["code"] == "EXTERNAL_IP_TAKEN"] == [
        "record 'a': port 9000 of external IP 198.18.9.1 is already held by record 'g' of the same set."
    ]


def test_what_leads_past_the_gateway_needs_no_mesh():
    bare = with_backend(mesh={**state()["mesh"], "served": False, "control_planes": []})
    assert said(door("node_port"), cluster=bare) == []
    assert "NO_ISTIO" in [item["code"] for item in port_map([door("node_port")], [EDGE], bare)["findings"]]


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        ({}, ""),
        ({"allowedCIDRs": ["198.18.9.0/24"]}, ""),
        ({"allowedCIDRs": ["198.18.8.7/23"]}, ""),
        (
            {"allowedCIDRs": ["10.0.0.0/8", "fd00::/8"]},
            "it lies in none of allowedCIDRs (10.0.0.0/8, fd00::/8)",
        ),
        ({"rejectedCIDRs": ["10.0.0.0/8"]}, ""),
        (
            {"rejectedCIDRs": ["198.18.9.1/32"], "allowedCIDRs": ["198.18.9.0/24"]},
            "it lies in 198.18.9.1/32, which rejectedCIDRs has",
        ),
    ],
)
def test_the_policy_on_external_ips(policy, why):
    assert against("198.18.9.1", policy) == why


def test_the_policy_is_read_where_it_matters(api):
    spec = {"externalIP": {"policy": {"rejectedCIDRs": ["198.18.0.0/15"]}}}
    api.add(new_object("Network", "cluster", None, {}, spec=spec))
    # Not on any cluster but OpenShift.
    assert not publish(api, door())["failed"]
    api.served = ["route.openshift.io/v1", "config.openshift.io/v1"]
    assert [item["code"] for item in publish(api, door())["findings"]] == ["EXTERNAL_IP_ALONE", "EXTERNAL_IP_POLICY"]
    api.log.clear()
    assert not publish(api, door("node_port", "b"), prune=False)["failed"]
    assert not [path for _method, path in api.log if "config.openshift.io" in path]


def test_an_endpoint_names_the_nodes_that_answer():
    (port,) = port_map([door("node_port", node_port=30500)], [], with_backend())["ports"]
    front = service(port["service"], "apps", [service_port(9000, node_port=30500)], type="NodePort")
    nodes = [{"name": name, "addresses": [address], "provider": ""} for name, address in NODES]
    (target,) = _endpoints.probe_targets([port], [front], nodes)["targets"]
    assert (target["addresses"], target["port"]) == ([address for _name, address in NODES], 30500)
    assert "gateway" not in target

    def ended(*states):
        common = {"name": "a", "port": 30500, "detail": "", "connect_ms": 1.0, "first_byte_ms": 2.0}
        addresses = [address for _name, address in NODES]
        results = [{**common, "address": at, "state": found} for at, found in zip(addresses, states, strict=True)]
        (found,) = _endpoints.endpoints([port], [front], nodes, results)
        return found

    both = ended("proven", "proven")
    assert (both["proof"], both["addresses"], both["detail"]) == ("proven", ["198.18.1.1", "198.18.1.2"], "")
    assert (both["door"], both["gateway"], both["port"]) == ("node_port", None, 30500)
    one = ended("proven", "timeout")
    assert (one["proof"], one["addresses"]) == ("proven", ["198.18.1.1"])
    assert "198.18.1.2 (the connection request is not answered)" in one["detail"]
    assert "(node_port)" in _endpoints.report_lines([one])[1]
    none = ended("refused", "timeout")
    assert (none["proof"], len(none["addresses"])) == ("broken", 2)
    # In check mode nobody has chosen the node port yet.
    (planned,) = _endpoints.endpoints([{**port, "node_port": None}], [], nodes, planned=True)
    assert (planned["addresses"], planned["port"]) == ([], None)


def route(name="r", host="db.example.com", **more):
    return door("route", name, **{"hosts": host, "probe": {}, **more})


@pytest.fixture
def openshift(api):
    """The same cluster with OpenShift's Routes."""
    api.served = ["route.openshift.io/v1"]
    return api


def test_a_route_passes_tls_on_to_the_backends_own_service_and_goes_again(openshift):
    before = openshift.snapshot()
    found = publish(openshift, route(), wait_timeout=0)
    assert not found["failed"], found
    (port,) = found["ports"]
    made = openshift.object("Route", port["service"], "apps")
    assert made["spec"] == {
        "host": "db.example.com",
        "to": {"kind": "Service", "name": "echo", "weight": 100},
        "tls": {"termination": "passthrough", "insecureEdgeTerminationPolicy": "None"},
        "wildcardPolicy": "None",
    }
    # Proven by the backend's own handshake, under the name that clients ask for.
    (target,) = _endpoints.probe_targets([port], [])["targets"]
    assert (target["mode"], target["sni"], target["port"]) == ("tls", "db.example.com", 443)
    (endpoint,) = _endpoints.endpoints([port], [], planned=True)
    assert (endpoint["door"], endpoint["addresses"], endpoint["sni"]) == ("route", ["db.example.com"], "db.example.com")
    assert "connect = db.example.com:443" in endpoint["client"]["stunnel"]

    again = publish(openshift, route(), wait_timeout=0)
    assert (again["failed"], again["changes"]) == (False, [])
    assert differences(mesh_state.read(openshift), [route()], [], "default", "cluster.local") == []
    other = publish(openshift, route("mine"), set="other", wait_timeout=0)
    assert [item["code"] for item in other["findings"]] == ["ROUTE_HOST_TAKEN"]

    moved = publish(openshift, route(host="new.example.com"), wait_timeout=0)
    assert "closes (clients come to another node port, external IP or name)" in "\n".join(moved["plan"])
    gone = run_module(tcp_publish, openshift, state="absent")
    assert gone["changes"] == [f"remove Route apps/{port['service']}"]
    assert gone["closed"][0]["addresses"] == ["new.example.com"]
    assert openshift.snapshot() == before


@pytest.mark.parametrize(
    ("ports", "target"),
    [
        ([service_port(9000, 7000, "tls")], "tls"),
        ([service_port(9000, "talk", "tls")], "tls"),
        ([service_port(9000, 7000)], 7000),
        # The only port of its Service; a router knows the pods' names for ports no more than anybody else.
        ([service_port(9000, "talk")], None),
    ],
)
def test_a_route_names_the_port_as_the_endpoints_do(ports, target):
    cluster = with_backend(routes=[])
    cluster["services"][0]["ports"] = ports
    assert port_map([route()], [], cluster)["ports"][0]["target_port"] == target


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"hosts": ["a.example.com", "b.example.com"]}, "DOOR_CANNOT"),
        ({"hosts": "*.example.com"}, "DOOR_CANNOT"),
        ({"hosts": None}, "VALUE_INVALID"),
        ({"tls": {"mode": "terminate", "secret": "cert"}, "probe": SAYS}, "DOOR_CANNOT"),
        ({"protocol": "tcp"}, "DOOR_CANNOT"),
        ({"port": 443}, "DOOR_CANNOT"),
        ({"service": {"annotations": {}}}, "DOOR_CANNOT"),
        ({"probe": {"mode": "connect"}}, "DOOR_SILENT"),
        ({"backend": {**BACKEND, "port": 5432}}, "SNI_STARTTLS"),
        ({"backend": {**BACKEND, "port": "9000-9001"}}, "VALUE_INVALID"),
    ],
)
def test_what_a_route_cannot_do_is_refused(more, code):
    _found, findings = read_records([route(**more)])
    assert [item["code"] for item in findings] == [code]


@pytest.mark.parametrize(
    ("conditions", "lack"),
    [
        ([], "no router has admitted it"),
        ([{"type": "Admitted", "status": "True"}], ""),
        ([{"type": "Admitted", "status": "False", "message": "x is older"}], "a router refuses it (x is older)"),
    ],
)
def test_a_route_is_waited_for_until_a_router_has_admitted_it(conditions, lack):
    status = {"ingress": [{"conditions": conditions}]} if conditions else {}
    assert lacks("present", {"kind": "Route", "status": status}) == lack
