# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions held open through changes, and changes made by hand: what the plan says and what then happens."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import kubernetes
import pytest
from counting_proxy import CountingProxy
from harness import Cluster, Exposure, Run

# Seconds that the gateway of these tests drains for: long enough to look at it, and none of them waits for 45 s.
DRAIN, POD_DRAIN = 8, 6
ISTIO = ("networking.istio.io", "v1beta1")


class Session:
    """A client that talks to an echo server until it is cut; it notes what it looks at while it lives."""

    def __init__(self, address: str, port: int, look: Callable[[], Any] = lambda: None) -> None:
        self._socket = socket.create_connection((address, port), timeout=10)
        self._look = look
        self._hung_up = False
        self.cut = threading.Event()
        self.seen: Any = None
        self._talk()
        threading.Thread(target=self._run, daemon=True).start()

    def _talk(self) -> None:
        """Send a line and wait for its echo."""
        self._socket.sendall(b"x\n")
        answer = b""
        while not answer.endswith(b"\n"):
            part = self._socket.recv(100)
            if not part:
                raise ConnectionError("the session was closed")
            answer += part

    def _run(self) -> None:
        try:
            while not self._hung_up:
                seen = self._look()
                self._talk()
                self.seen = seen
                time.sleep(0.2)
        except OSError:
            if not self._hung_up:
                self.cut.set()

    def hang_up(self) -> None:
        """End the session from the client's side."""
        self._hung_up = True
        self._socket.close()


class Edge:
    """The gateway of these tests: two ports that lead to one echo server, and those who change it by hand."""

    def __init__(self, exposure: Exposure, cluster: Cluster) -> None:
        self.exposure = exposure
        self.cluster = cluster
        self.namespace = exposure.name
        client = cluster.client()
        self.core = kubernetes.client.CoreV1Api(client)
        self.apps = kubernetes.client.AppsV1Api(client)
        self.istio = kubernetes.client.CustomObjectsApi(client)
        self.kept = [exposure.record("first", 8000), exposure.record("second", 8001)]
        self.address = ""
        self.sessions: list[Session] = []

    def run(self, *records: dict[str, Any], options: tuple[str, ...] = (), **more: Any) -> Run:
        """Publish these records, the usual ones if none are given."""
        return self.exposure.expose(list(records or self.kept), *options, **more)

    def well(self, *records: dict[str, Any], **more: Any) -> Run:
        """Publish, which must work."""
        run = self.run(*records, **more)
        assert run.code == 0, run.output
        self.address = run.endpoints[0]["addresses"][0]
        return run

    def hold(self, port: int, look: Callable[[], Any] = lambda: None) -> Session:
        """Open a session that is hung up when the test is over."""
        session = Session(self.address, port, look)
        self.sessions.append(session)
        return session

    def elsewhere(self, name: str, port: int) -> dict[str, Any]:
        """Return a record that leads to the echo server's other port, which cuts the sessions of the one before."""
        backend = {"namespace": self.exposure.echo, "service": "echo", "port": 9001}
        return self.exposure.record(name, port, backend=backend)

    def ports(self) -> dict[int, Any]:
        """Return the target port of each port of the front Service."""
        service = self.core.read_namespaced_service("edge", self.namespace)
        return {port.port: port.target_port for port in service.spec.ports}

    def snapshot(self) -> list[str]:
        """Return what is declared in the gateway's namespace; others may be at work elsewhere on the same lab."""
        return [line for line in self.cluster.snapshot() if f" {self.namespace}/" in line]

    def istio_name(self) -> str:
        """Return the name of the set's Istio objects."""
        (item,) = self.istio.list_namespaced_custom_object(*ISTIO, self.namespace, "gateways")["items"]
        return item["metadata"]["name"]

    def drain_quickly(self) -> None:
        """Give the gateway short drain times by its definition, and wait for the new pod alone."""
        self.exposure.gateway = {**self.exposure.gateway, "drain": {"listener": DRAIN, "pod": f"{POD_DRAIN}s"}}
        self.well()
        self.settled(lambda pods: len(pods) == 1)

    def settled(self, wanted: Callable[[list[Any]], bool]) -> None:
        """Wait until the gateway's pods are as wanted, and ready."""
        for _attempt in range(240):
            pods = self.core.list_namespaced_pod(self.namespace, label_selector="servicemesh.tcp/gateway=edge").items
            ready = [all(status.ready for status in pod.status.container_statuses or []) for pod in pods]
            if wanted(pods) and all(ready):
                return
            time.sleep(0.25)
        pytest.fail("the gateway's pods did not get as wanted")


@pytest.fixture(scope="module")
def gateway(exposure: Exposure, cluster: Cluster) -> Edge:
    """Return the gateway with its two ports and a short drain time."""
    made = Edge(exposure, cluster)
    made.drain_quickly()
    return made


@pytest.fixture
def edge(gateway: Edge) -> Iterator[Edge]:
    """Return the gateway as it is before each test; sessions of the test are hung up after it."""
    gateway.well(tcp_allow_withdraw="all")
    yield gateway
    for session in gateway.sessions:
        session.hang_up()
    gateway.sessions.clear()


def test_a_change_that_cuts_nothing_leaves_a_session_alone(edge: Edge) -> None:
    session = edge.hold(8000)
    run = edge.well(*edge.kept, edge.exposure.record("third", 8002))
    assert "port 8002 opens" in run.said
    assert "open session" not in run.said
    # As long as it would take to be cut, by a session that really is.
    other = edge.hold(8001)
    edge.well(edge.kept[0], edge.elsewhere("second", 8001), edge.exposure.record("third", 8002))
    assert other.cut.wait(60)
    assert not session.cut.is_set()


def test_sessions_that_a_change_cuts_are_counted_and_end_when_it_says(edge: Edge) -> None:
    sessions, other = [edge.hold(8000), edge.hold(8000)], edge.hold(8001)
    before = edge.snapshot()
    records = [edge.elsewhere("first", 8000), edge.kept[1]]
    said = f"port 8000 drains (its destination changes); 2 open sessions, they end {DRAIN} s after the change"
    run = edge.run(*records, options=("--check",))
    assert (run.code, said in run.said) == (0, True), run.output
    assert edge.snapshot() == before
    run = edge.well(*records)
    assert said in run.said
    assert "SESSIONS_WOULD_END gateway 'edge'" in run.said
    assert all(session.cut.wait(60) for session in sessions)
    assert not other.cut.is_set()


def test_a_run_that_is_to_refuse_writes_nothing_unless_the_ports_are_named(edge: Edge) -> None:
    session = edge.hold(8000)
    before = edge.snapshot()
    records = [edge.elsewhere("first", 8000), edge.elsewhere("second", 8001)]
    for allowed, options in ([], ("--check",)), ([], ()), ([8001], ()):
        run = edge.run(*records, options=options, tcp_session_policy="refuse", tcp_allow_drain=allowed)
        assert run.code != 0
        assert "SESSIONS_WOULD_END gateway 'edge': this run ends open sessions: port 8000 drains" in run.said
        assert "Nothing was written." in run.said
    assert edge.snapshot() == before
    # Nobody is connected to the other port, so that it may change.
    edge.well(edge.kept[0], records[1], tcp_session_policy="refuse")
    assert not session.cut.is_set()
    edge.well(*records, tcp_session_policy="refuse", tcp_allow_drain=["7000-8000"])
    assert session.cut.wait(60)


def test_a_removal_keeps_the_port_until_its_sessions_have_ended(edge: Edge) -> None:
    session = edge.hold(8001, edge.ports)
    run = edge.exposure.unexpose(tcp_names=["second"])
    assert run.code == 0, run.output
    assert "port 8001 closes (it is withdrawn); 1 open session" in run.said
    # Whoever does not wait has closed the port long before the drain is over.
    assert session.cut.wait(60)
    assert session.seen == {15021: 15021, 8000: 8000, 8001: 8001}
    assert edge.ports() == {15021: 15021, 8000: 8000}


def test_a_removal_waits_no_longer_than_it_may(edge: Edge) -> None:
    session = edge.hold(8001, edge.ports)
    run = edge.exposure.unexpose(tcp_names=["second"], tcp_wait_timeout=0)
    assert run.code == 0, run.output
    assert session.cut.wait(60)
    assert session.seen == {15021: 15021, 8000: 8000}


def test_what_cannot_be_seen_is_said(edge: Edge, cluster: Cluster) -> None:
    """The proxy forwards no ports, so that the gateway's Envoy cannot be asked through it."""
    records = [edge.elsewhere("first", 8000), edge.kept[1]]
    proxy = CountingProxy(cluster.limited)
    with proxy.serve() as address:
        through = {"tcp_host": address, "tcp_api_key": "the-proxy-has-its-own"}
        run = edge.run(*records, tcp_session_policy="refuse", **through)
        assert run.code != 0
        assert "SESSIONS_UNSEEN gateway 'edge': this run cuts whatever is open on port 8000" in run.said
        # The Lease alone was taken and given back.
        assert [write for write in proxy.writes if "/leases/" not in write] == []
        run = edge.run(*records, options=("--check",), **through)
        assert run.code == 0
        assert "open sessions could not be seen: no port of pod" in run.said


def test_a_rollout_of_the_gateway_is_announced_and_may_be_refused(edge: Edge) -> None:
    session = edge.hold(8000)
    before = edge.snapshot()
    changed = {**edge.exposure.gateway, "resources": {"requests": {"cpu": "50m"}}}
    run = edge.run(tcp_gateways=[changed], tcp_session_policy="refuse")
    assert run.code != 0
    assert "port 8000 restarts (the gateway's pods are replaced); 1 open session, it ends" in run.said
    assert f"it ends {POD_DRAIN} s after the pod is told to stop" in run.said
    assert edge.snapshot() == before
    assert not session.cut.is_set()


def test_what_was_changed_by_hand_is_shown_and_set_back(edge: Edge) -> None:
    """Scaled, edited, taken away, and added beside: only the last stays, and is called drift by nobody."""
    name = edge.istio_name()
    edge.apps.patch_namespaced_deployment_scale(
        "edge", edge.namespace, {"spec": {"replicas": 2}}, field_manager="kubectl-scale"
    )
    service = edge.core.read_namespaced_service("edge", edge.namespace)
    ports = [port for port in service.spec.ports if port.port != 8001]
    (first,) = [port for port in ports if port.port == 8000]
    first.target_port = 18000
    ports.append(kubernetes.client.V1ServicePort(name="foreign", port=7777, target_port=7777, protocol="TCP"))
    body = [{"op": "replace", "path": "/spec/ports", "value": edge.core.api_client.sanitize_for_serialization(ports)}]
    edge.core.patch_namespaced_service("edge", edge.namespace, body, field_manager="kubectl-edit")
    path = (*ISTIO, edge.namespace, "virtualservices", name)
    rules = edge.istio.get_namespaced_custom_object(*path)["spec"]["tcp"]
    rules[0]["route"][0]["destination"]["port"]["number"] = 9001
    edge.istio.patch_namespaced_custom_object(*path, {"spec": {"tcp": rules}}, field_manager="kubectl-edit")
    edge.settled(lambda pods: len(pods) == 2)
    records = [{**edge.kept[0], "target_port": 8000}, edge.kept[1]]
    drifted = [
        f"drift: Deployment {edge.namespace}/edge spec.replicas was set to 2 by kubectl-scale; set back to 1",
        f"drift: Service {edge.namespace}/edge spec.ports[8000].targetPort was set to 18000 by kubectl-edit; set back"
        " to 8000",
        f"drift: Service {edge.namespace}/edge port 8001 was removed by hand; added again",
        f"drift: VirtualService {edge.namespace}/{name} spec.tcp was changed by kubectl-edit; set back",
    ]
    checked = edge.run(*records, options=("--check",))
    assert checked.code == 0, checked.output
    run = edge.well(*records)
    for said in checked.said, run.said:
        assert [line for line in drifted if line not in said] == []
        assert said.count("drift:") == len(drifted)
    assert edge.ports() == {15021: 15021, 8000: 8000, 8001: 8001, 7777: 7777}
    run = edge.well(*records)
    assert run.changed == 0
    assert "drift" not in run.said
    assert edge.ports()[7777] == 7777


def test_ports_that_are_kept_are_named(edge: Edge) -> None:
    run = edge.well(edge.kept[0], tcp_prune=False)
    assert run.changed == 0
    assert "these ports stay published, though this run does not declare them: 8001" in run.said
    assert {8000, 8001} <= set(edge.ports())
