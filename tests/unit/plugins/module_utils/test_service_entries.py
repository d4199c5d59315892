# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole runs with backends outside of the cluster: which ServiceEntries are written, and when they go."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _apply
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_parts import Endpoints
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_rows import Backends
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._endpoints import report_lines
from ansible_collections.servicemesh.tcp.plugins.module_utils._gone import closed_endpoints
from ansible_collections.servicemesh.tcp.plugins.module_utils._plan import withdrawal_plan
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.plugins.modules import mesh_state
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import EDGE, EDGE_REFERENCE, messages
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi
from ansible_collections.servicemesh.tcp.tests.unit.plugins.whole_runs import (
    killed_at_each_write,
    mesh_cluster,
    publish,
    withdraw,
)

DB, OLD, NEW = "db.example.com", "192.0.2.10", "192.0.2.11"
NO_ENDPOINTS: Endpoints = {}


def record(host: Any = DB, name: str = "a", port: int = 8081, to: Any = 5432, **more: Any) -> dict[str, Any]:
    """Return a record whose backend is outside of the cluster."""
    return {"name": name, "gateway": "edge", "port": port, "backend": {"host": host, "port": to}, **more}


def specs(api: FakeApi, plural: str) -> list[dict[str, Any]]:
    """Return the specs of all objects of a kind."""
    return [stored.full()["spec"] for path, stored in api.objects.items() if f"/{plural}/" in path]


def entries(api: FakeApi) -> dict[tuple[str, ...], dict[str, Any]]:
    """Return the specs of the ServiceEntries on the cluster by the servers that they name."""
    return {tuple(item["address"] for item in spec["endpoints"]): spec for spec in specs(api, "serviceentries")}


def routes(api: FakeApi) -> set[tuple[str, int]]:
    """Return host and port of all that our rules lead to."""
    found = specs(api, "virtualservices")
    places = [one["destination"] for spec in found for rule in spec["tcp"] for one in rule["route"]]
    return {(place["host"], place["port"]["number"]) for place in places}


def known(api: FakeApi) -> set[tuple[str, int]]:
    """Return host and port of all that our ServiceEntries make known."""
    return {(spec["hosts"][0], port["number"]) for spec in specs(api, "serviceentries") for port in spec["ports"]}


def test_from_the_first_record_to_the_last():
    api = mesh_cluster()
    records = [record(), record(name="b", port=8082, to=5433), record([NEW, OLD], "c", 8083)]
    publish(api, records)
    assert publish(api, records) == []
    found = entries(api)
    assert {servers: (spec["resolution"], spec["exportTo"]) for servers, spec in found.items()} == {
        (DB,): ("DNS", ["."]),
        (OLD, NEW): ("STATIC", ["."]),
    }
    assert [port["number"] for port in found[DB,]["ports"]] == [5432, 5433]
    # Sidecars in the gateway's namespace would listen on every address for an entry without one.
    assert len({*found[DB,]["addresses"], *found[OLD, NEW]["addresses"]}) == 2
    assert routes(api) == known(api)
    # Nobody else's ServiceEntry or DestinationRule can have the host.
    assert all(host.endswith(".gateways.servicemesh-tcp.external") for host, _port in routes(api))

    publish(api, [records[1]], prune=False)
    assert routes(api) == known(api)
    withdraw(api, names=["b", "c"])
    assert {servers: [port["number"] for port in spec["ports"]] for servers, spec in entries(api).items()} == {
        (DB,): [5432]
    }
    withdraw(api)
    assert not [path for path in api.objects if "networking.istio.io" in path]


def test_killed_after_every_write_in_turn():
    start = mesh_cluster()
    publish(start, [record(), record(name="b", port=8082, to=5433), record(OLD, "c", 8083)])
    moved = [record(to=5434), record(NEW, "c", 8083)]
    for then in (lambda api: publish(api, moved), withdraw):
        whole = start.copy()
        then(whole)
        for done, api in killed_at_each_write(start, then, whole):
            # Wherever it stopped, no rule leads to what is not known, as long as there is a server that asks for it.
            if any("/gateways/edge-" in path for path in api.objects):
                assert routes(api) <= known(api), done
            then(api)
            assert api.snapshot() == whole.snapshot(), done
    assert entries(whole) == {}


def test_two_sets_and_a_move_into_the_cluster_by_weight():
    api = mesh_cluster()
    inside = {"namespace": "apps", "service": "echo", "port": 9000}
    shared = {**record(), "backends": [{"host": DB, "port": 5432, "weight": 9}, {**inside, "weight": 1}]}
    del shared["backend"]
    publish(api, [shared])
    publish(api, [record(name="b", port=8082)], "other")
    assert len(known(api)) == 2
    withdraw(api, "other")
    assert len(known(api)) == 1
    assert known(api) < routes(api)
    # A weight of 0 is as if it was not written.
    shared["backends"] = [{"host": DB, "port": 5432, "weight": 0}, {**inside, "weight": 1}]
    publish(api, [shared])
    assert known(api) == set()


def test_a_withdrawn_port_names_all_that_was_behind_it():
    api = mesh_cluster()
    inside = {"namespace": "apps", "service": "echo", "port": 9000, "weight": 1}
    shared = {**record(), "backends": [{"host": DB, "port": 5432, "weight": 3}, inside]}
    del shared["backend"]
    publish(api, [shared, record([NEW, OLD], "b", 8082)])
    closed = withdrawal_plan(mesh_state.read(api))["closed"]
    lines = report_lines(closed_endpoints(closed, {}, [], None))
    assert [re.split("  +", line)[3] for line in lines[1:]] == [
        "db.example.com:5432 75%, apps/echo:9000 25%",
        "192.0.2.10,192.0.2.11:5432",
    ]


def test_without_the_right_to_see_entries_they_are_refused_and_nothing_else():
    api = mesh_cluster()
    path = "/apis/networking.istio.io/v1beta1/serviceentries"
    api.refusals["GET", path] = ApiError(403, "Forbidden", "no", "GET", path)
    with pytest.raises(_apply.Refused) as refused:
        publish(api, [record()])
    assert [item["code"] for item in refused.value.findings if item["severity"] == "error"] == ["EXTERNAL_UNSEEN"]
    publish(api, [{**record(), "backend": {"namespace": "apps", "service": "echo", "port": 9000}}])


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("127.0.0.1", "the gateway's pod itself"),
        ("::1", "the gateway's pod itself"),
        ("::ffff:127.0.0.1", "the gateway's pod itself"),
        ("0.0.0.0", "the gateway's pod itself"),
        ("169.254.169.254", "link-local"),
        ("224.0.0.1", "multicast"),
        ("241.0.0.1", "reserved"),
        ("db.apps.svc", "write namespace and service"),
        ("db.apps.svc.cluster.local", "write namespace and service"),
        ("a.localhost", "write namespace and service"),
        ("localhost", "at least one dot"),
        ("999.1.1.1", "at least one dot"),
        ("*.example.com", "at least one dot"),
        ("Db.example.com", "at least one dot"),
        (f"{'a.' * 127}b", "at least one dot"),
        ([], "at least one dot"),
        (None, "at least one dot"),
        (["db.example.com", 7], "at least one dot"),
    ],
)
def test_what_is_no_server_outside(host, why):
    (found,) = port_map([record(host)], [EDGE])["findings"]
    assert (found["code"], why in found["message"]) == ("VALUE_INVALID", True), found["message"]


def test_what_goes_with_a_host():
    both = {**record(), "backend": {"host": DB, "port": 5432, "service": "echo"}}
    subset = {**record(), "backends": [{"host": DB, "port": 1, "subset": {"name": "v1", "labels": {"a": "b"}}}]}
    del subset["backend"]
    twice = {**subset, "backends": [{"host": [OLD, NEW], "port": 1}, {"host": [NEW, OLD, OLD], "port": 1}]}
    for raw, key in ((both, "backend.service"), (subset, "backends[0].subset"), (twice, "backends")):
        (found,) = port_map([raw], [EDGE])["findings"]
        assert (found["code"], f"{key}: " in found["message"]) == ("VALUE_INVALID", True), found["message"]


def test_a_claim_for_namespaces_opens_nothing_outside():
    named = {**EDGE, "claims": [{"namespaces": ["apps"]}]}
    assert messages(port_map([record()], [named])["findings"])[0].startswith(
        "CLAIM_MISSING record 'a': port 8081 of gateway edge is not open to set 'default' for backends outside of the"
    )
    assert port_map([record()], [{**EDGE, "claims": [{"sets": ["default"]}]}])["findings"] == []


def test_an_address_of_a_service_is_inside():
    api = mesh_cluster()
    spec = {"type": "LoadBalancer", "externalIPs": ["198.18.0.99"], "ports": [{"port": 1, "protocol": "TCP"}]}
    api.add(new_object("Service", "own", "apps", {}, spec=spec))
    # As far as this cluster gives addresses: cluster IP, load balancer, external IP.
    for inside in ("10.96.0.1", "198.18.0.100", "198.18.0.99"):
        found = port_map([record([OLD, inside])], [EDGE_REFERENCE], mesh_state.read(api))["findings"]
        assert [item["code"] for item in found] == ["EXTERNAL_INSIDE"], inside
        assert f"host {inside} is" in found[0]["message"]


def test_an_audit_names_the_servers_and_finds_a_missing_entry():
    api = mesh_cluster()
    publish(api, [record([OLD, NEW])])
    ((host, port),) = routes(api)

    def seen() -> tuple[str, str]:
        view = View(mesh_state.read(api))
        found = Backends([], NO_ENDPOINTS, view.rules, {}, view.entries).cluster(f"outbound|{port}||{host}", "gateways")
        return found["service"], found["state"]

    assert seen() == (f"{OLD},{NEW}", "outside")
    for path in [path for path in api.objects if "/serviceentries/" in path]:
        del api.objects[path]
    assert seen() == (host, "missing")
