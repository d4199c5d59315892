# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading for the walk: one list each, missing rights noted, trial sessions held while the Envoys are asked again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _diagnosis, _relay
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy import Endpoint
from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy_view import PodView, parse_view
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import collection_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import EDGE, front, own_port, record
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi
from ansible_collections.servicemesh.tcp.tests.unit.plugins.module_utils.test_hops import Chain

CLUSTER = "outbound|9000||echo.apps.svc.cluster.local"
HOME = "127.0.0.1"


class Cluster(FakeApi):
    """A cluster that is all in order for one port, as test_hops has it, with lists that may not be read."""

    def __init__(self, *forbidden):
        super().__init__()
        self.forbidden = {collection_path(*item) for item in forbidden}
        self.asked = []

    def find(self, path, **query):
        self.asked.append(path)
        if path in self.forbidden:
            raise ApiError(403, "Forbidden", "no", "GET", path)
        return super().find(path, **query)


class Reader:
    """Counts, as Envoy does, what a backend accepted: nothing at first, and one while a session is open."""

    def __init__(self, listener, accepts):
        self.listener, self.accepts, self.looks = listener, accepts, 0

    def views(self, namespace, pods, wanted):
        assert wanted == {CLUSTER}
        if self.accepts is None:
            return {}, ["no right to get and create pods/portforward in namespace gateways"]
        self.looks += 1
        count = int(self.accepts and self.looks > 1)
        known = {CLUSTER: {"10.0.0.7:9000": Endpoint(count, True, count)}}
        return {"edge-1": PodView(clusters=known, listeners=frozenset([8081]), sessions={8081: self.looks - 1})}, []


@pytest.fixture
def walk(monkeypatch):
    """Walk the chain of one port, whose address is the loopback and whose listener does nothing."""
    listener = socket.create_server((HOME, 0))
    monkeypatch.setattr(_diagnosis, "TRIAL_HOLD", 0.05)
    chain = Chain()
    number = listener.getsockname()[1]
    chain.state["services"][1] = front([own_port("a", 8081)], type="LoadBalancer", addresses=[HOME])
    monkeypatch.setattr(_diagnosis, "read", lambda _api: chain.state)
    (port,) = port_map([record("a", 8081)], [EDGE])["ports"]
    port["service"] = "edge"
    result = {"name": "a", "address": HOME, "port": number, "state": "no_answer", "detail": "x", "connect_ms": 1.0}

    def run(api, accepts=True, relay=None):
        if relay:
            port["probe"]["from"] = "cluster"
            monkeypatch.setattr(_relay, "relay_beside", lambda *_args: contextlib.nullcontext(relay))
        for item in (chain.gateway_pod, chain.backend_pod):
            api.add({"kind": "Pod", "apiVersion": "v1", **item})
        metadata = {"name": "echo-x", "namespace": "apps", **chain.slice["metadata"]}
        api.add({"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", **chain.slice, "metadata": metadata})
        end = {"addresses": [HOME], "port": number, "proof": "broken", "name": "a"}
        return _diagnosis.diagnose(api, [port], [end], [result], Reader(listener, accepts))[0]

    yield run
    listener.close()


def test_a_session_is_open_while_the_envoys_are_asked_again(walk):
    api = Cluster()
    verdict = walk(api)
    assert verdict["code"] == "HOP_APPLICATION"
    assert "10.0.0.7:9000" in verdict["message"]
    # Whatever the number of ports, each list is read once.
    assert len(api.asked) == len(set(api.asked))


@pytest.mark.parametrize("kind", ["EndpointSlice", "NetworkPolicy", "AuthorizationPolicy", "DestinationRule", "Pod"])
def test_the_walk_goes_on_without_a_right(walk, kind):
    places = ["apps", "gateways", "istio-system"]
    assert walk(Cluster(*((kind, place) for place in places)))["code"] == "HOP_APPLICATION"


def test_what_could_not_be_seen_is_said(walk):
    verdict = walk(Cluster(("EndpointSlice", "apps")), accepts=None)
    assert verdict["code"] == "HOP_UNSEEN"
    assert "endpointslices in apps, no right to get and create pods/portforward" in verdict["message"]


class Way:
    """A relay that connects from here, or one that says why there is none."""

    def __init__(self, why=""):
        self.why, self.address, self.dialled = why, "10.0.0.9", []

    async def dial(self, host, port):
        """Connect."""
        self.dialled.append(port)
        return await asyncio.open_connection(host, port)


def test_a_port_that_is_proven_from_inside_is_tried_from_there(walk):
    way = Way()
    assert walk(Cluster(), relay=way)["code"] == "HOP_APPLICATION"
    # The port itself, and the gateway's health.
    assert len(way.dialled) == 2


def test_without_a_pod_to_come_from_nothing_is_said_of_the_way(walk, monkeypatch):
    # Nobody comes, so that no listener counts a session.
    monkeypatch.setattr(Reader, "views", lambda self, *_args: ({"edge-1": quiet()}, []))
    way = Way("no pod could be made")
    verdict = walk(Cluster(), relay=way)
    assert (verdict["code"], way.dialled) == ("HOP_UNSEEN", [])
    assert "Not to be seen was: no pod could be made" in verdict["message"]


def quiet():
    """Return what an Envoy has whose listener and cluster are there, and which nobody uses."""
    known = {CLUSTER: {"10.0.0.7:9000": Endpoint(0, True, 0)}}
    return PodView(clusters=known, listeners=frozenset([8081]), sessions={8081: 0})


def test_any_other_error_of_the_api_server_is_one(walk):
    api = Cluster()
    api.refusals[("GET", collection_path("NetworkPolicy", "apps"))] = ApiError(500, "Internal", "no", "GET", "/")
    with pytest.raises(ApiError):
        walk(api)


def test_what_an_envoy_has():
    clusters = {"cluster_statuses": [{"name": "c", "host_statuses": []}, {"name": "d"}]}
    listeners = {"listener_statuses": [{"local_address": {"socket_address": {"port_value": 8081}}}, {"name": "pipe"}]}
    dump = {
        "configs": [
            {"name": "0.0.0.0_8081"},
            {"name": "0.0.0.0_8082", "error_state": {"details": "cannot bind"}},
            {"name": "virtual", "error_state": {"details": "x"}},
        ]
    }
    certificates = {"certificates": [{"ca_cert": [{}]}, {"cert_chain": [{"path": "x"}]}]}
    stats = b"listener.0.0.0.0_8081.downstream_cx_active: 3\n"

    def view(*changes):
        bodies = [clusters, listeners, dump, stats, certificates]
        for index, body in changes:
            bodies[index] = body
        return parse_view([item if isinstance(item, bytes) else json.dumps(item).encode() for item in bodies], {"c"})

    assert view() == PodView({"c": {}}, frozenset([8081]), {8082: "cannot bind"}, {8081: 3}, True)
    assert view((3, b"")).sessions is None
    assert view((4, {"certificates": [{"ca_cert": [{}]}]})).certified is False
