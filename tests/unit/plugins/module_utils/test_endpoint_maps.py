# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What application teams are told beside their Services: when it is written, kept true and taken away."""

from __future__ import annotations

import json

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._endpoint_maps import (
    client_line,
    endpoint_maps,
    map_name,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import short_hash
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import bare_object
from ansible_collections.servicemesh.tcp.plugins.modules import tcp_publish
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import (
    EDGE,
    EDGE_REFERENCE,
    front,
    own_port,
    record,
)
from ansible_collections.servicemesh.tcp.tests.unit.plugins.module_run import run_module
from ansible_collections.servicemesh.tcp.tests.unit.plugins.whole_runs import mesh_cluster

BALANCED = {**EDGE, "service": {"type": "LoadBalancer"}}
BACKEND = record("a", 8081)["backend"]
A, B = (map_name(BACKEND["service"], short_hash("default", name)) for name in "ab")


@pytest.fixture
def api():
    """A cluster with a gateway, which has an address, and a backend."""
    return mesh_cluster(gateways=[BALANCED])


def published(api, *names, publish_endpoints=True, gateways=(EDGE_REFERENCE,), **options):
    """Publish records of these names from port 8081 on."""
    records = [record(name, 8081 + "abc".index(name), probe={"mode": "postgres"}) for name in names]
    wanted = {"allow_withdraw": ["all"], "publish_endpoints": publish_endpoints, **options}
    return run_module(tcp_publish, api, ports=records, gateways=list(gateways), **wanted)


def maps(api):
    """Return the ConfigMaps in the backend's namespace by name."""
    names = [path.rpartition("/")[2] for path in api.objects if f"/{BACKEND['namespace']}/configmaps/" in path]
    return {name: api.object("ConfigMap", name, BACKEND["namespace"]) for name in sorted(names)}


def test_each_record_has_one_and_a_second_run_changes_nothing(api):
    found = published(api, "a", "b")
    assert not found["failed"], found
    assert sorted(maps(api)) == sorted([A, B])
    told = maps(api)[A]
    (endpoint,) = json.loads(told["data"]["endpoints.json"])["endpoints"]
    assert endpoint["addresses"] == ["198.18.0.100"]
    assert endpoint["client"] == ["psql --host=198.18.0.100 --port=8081"]
    assert "  psql --host=198.18.0.100 --port=8081\n" in told["data"]["README.txt"]
    assert told["metadata"]["labels"]["servicemesh.tcp/backend"] == BACKEND["service"]
    assert published(api, "a", "b")["changes"] == []


def test_an_address_that_the_run_itself_brings_is_told():
    api = mesh_cluster(gateways=())
    found = published(api, "a", gateways=[BALANCED], gateways_state="present")
    assert not found["failed"], found
    assert "198.18.0.100" in maps(api)[A]["data"]["endpoints.json"]


def test_it_goes_with_its_record_whoever_withdraws_that(api):
    published(api, "a", "b")
    found = run_module(tcp_publish, api, state="absent", withdraw=["a"])
    # First, so that a run that is stopped leaves nothing that nobody would find again.
    assert found["changes"][0] == f"remove ConfigMap {BACKEND['namespace']}/{A}"
    assert list(maps(api)) == [B]
    run_module(tcp_publish, api, state="absent")
    assert maps(api) == {}


@pytest.mark.parametrize(
    ("names", "options", "left"),
    [
        (["b"], {}, [B]),
        (["a", "b"], {"publish_endpoints": False}, []),
        # Records that stay because nothing is pruned keep theirs.
        (["b"], {"prune": False}, [A, B]),
    ],
)
def test_what_a_run_no_longer_wants_told_goes(api, names, options, left):
    published(api, "a", "b")
    assert not published(api, *names, **options)["failed"]
    assert list(maps(api)) == sorted(left)


def test_one_of_somebody_else_stops_the_run(api):
    api.add({**bare_object("ConfigMap", A, BACKEND["namespace"]), "data": {"theirs": "x"}})
    before = api.snapshot()
    found = published(api, "a")
    assert found["failed"]
    assert f"NOT_OURS ConfigMap {BACKEND['namespace']}/{A}" in found["msg"]
    assert api.snapshot() == before


def test_without_being_asked_nobody_looks_for_any(api):
    published(api, "a", publish_endpoints=False)
    run_module(tcp_publish, api, state="absent")
    assert not [path for _method, path in api.log if "configmaps/" in path and BACKEND["namespace"] in path]


def test_a_door_of_tls_tells_its_name_and_its_clients():
    names = {"protocol": "tls", "tls": {"mode": "passthrough"}, "hosts": ["a.test"]}
    ports = port_map([record("a", 8443, **names)], [EDGE])["ports"]
    edge = front([own_port("a", 8443)], type="LoadBalancer", addresses=["198.18.0.1"])
    (told,) = endpoint_maps(ports, [edge], []).values()
    (endpoint,) = json.loads(told["data"]["endpoints.json"])["endpoints"]
    assert endpoint["sni"] == "a.test"
    assert endpoint["client"][0].startswith("openssl s_client -connect 198.18.0.1:8443 -servername a.test ")
    assert "sni = a.test" in endpoint["stunnel"]
    assert "198.18.0.1 port 8443 (TLS server name a.test) leads" in told["data"]["README.txt"]


@pytest.mark.parametrize(
    ("probe", "address", "line"),
    [
        ({"mode": "connect"}, "10.0.0.1", "nc 10.0.0.1 443"),
        ({"mode": "http", "tls": True, "path": "/ready"}, "::1", "curl https://[::1]:443/ready"),
        ({"mode": "tls"}, "db.test", "openssl s_client -connect db.test:443"),
    ],
)
def test_the_client_is_one_for_the_protocol(probe, address, line):
    assert client_line(probe, address, 443) == line
