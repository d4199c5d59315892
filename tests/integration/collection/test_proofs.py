# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No way of proof takes a port for good whose backend is gone, swallows everything, or is another one."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import kubernetes
import pytest
from chain import dropped
from harness import Cluster, Exposure, Run
from tls_servers import TYPES, Authority, answer, listener

# What the servers say, in the order of their ports from 9101 on. Envoy says it as soon as somebody connects.
GREETINGS = {
    "ssh": b"SSH-2.0-lab\r\n",
    "smtp": b"220 lab ESMTP\r\n",
    "ftp": b"220 lab\r\n",
    "mysql": b"\x05\x00\x00\x00\x0a8.0\x00",
    "postgres": b"N",
    "redis": b"+PONG\r\n",
    "banner": b"* OK IMAP4rev1\r\n",
}
MODES = [*GREETINGS, "http", "tls"]
FIRST = 9101


def settings() -> dict[str, Any]:
    """Return an Envoy that is a server for each mode."""
    listeners = [
        listener(FIRST + index, answer(data.decode("latin-1"))) for index, data in enumerate(GREETINGS.values())
    ]
    listeners.append(listener(FIRST + MODES.index("http"), web_server()))
    listeners.append(listener(FIRST + MODES.index("tls"), answer("x"), Authority().pair("talk.example.com")))
    return {"static_resources": {"listeners": listeners}}


def web_server() -> dict[str, Any]:
    """Return a filter that answers every request."""
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "ok"}}}
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": f"{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "web",
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
            "http_filters": [
                {"name": "router", "typed_config": {"@type": f"{TYPES}.filters.http.router.v3.Router"}},
            ],
        },
    }


class Talkers:
    """A server for each mode, beside the echo server of an exposure."""

    def __init__(self, exposure: Exposure, cluster: Cluster) -> None:
        self.exposure = exposure
        # Whether all were proven since the last loss.
        self.whole = False
        self.namespace = exposure.echo
        client = cluster.client()
        self.core, self.apps = kubernetes.client.CoreV1Api(client), kubernetes.client.AppsV1Api(client)
        pods = self.core.list_namespaced_pod(exposure.name, label_selector="servicemesh.tcp/gateway=edge").items
        container = {
            "name": "talk",
            # The one image with a server for all of these that the lab has: the gateway's own.
            "image": next(item.image for item in pods[0].spec.containers if item.name == "istio-proxy"),
            "imagePullPolicy": "IfNotPresent",
            "command": ["/usr/local/bin/envoy", "--config-yaml", json.dumps(settings()), "--concurrency", "1"],
            "readinessProbe": {"tcpSocket": {"port": FIRST}, "periodSeconds": 1},
        }
        labels = {"app": "talk"}
        pod = {"metadata": {"labels": labels}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 0}}
        spec = {"selector": {"matchLabels": labels}, "template": pod}
        self.apps.create_namespaced_deployment(self.namespace, {"metadata": {"name": "talk"}, "spec": spec})
        ports = [{"name": f"tcp-{mode}", "port": FIRST + index} for index, mode in enumerate(MODES)]
        self.core.create_namespaced_service(
            self.namespace, {"metadata": {"name": "talk"}, "spec": {"selector": labels, "ports": ports}}
        )

    def records(self) -> list[dict[str, Any]]:
        """Return a record for each mode."""
        talking = [
            self.exposure.record(
                mode,
                20000 + index,
                backend={"namespace": self.namespace, "service": "talk", "port": FIRST + index},
                probe={"mode": mode, "timeout": 2},
            )
            for index, mode in enumerate(MODES)
        ]
        silent = {"mode": "connect", "timeout": 2}
        backend = {"namespace": self.namespace, "service": "echo", "port": 9001}
        return [
            *talking,
            self.exposure.record("send", 8000),
            self.exposure.record("connect", 8001, backend=backend, probe=silent),
        ]

    def expose(self, deadline: int = 3) -> Run:
        """Publish and prove all of them."""
        return self.exposure.expose(self.records(), tcp_probe_deadline=deadline, tcp_allow_withdraw="all")

    @contextlib.contextmanager
    def scaled_to_nothing(self) -> Any:
        """Stop all servers."""
        for name in ("talk", "echo"):
            self.apps.patch_namespaced_deployment_scale(name, self.namespace, {"spec": {"replicas": 0}})
        try:
            yield
        finally:
            for name in ("talk", "echo"):
                self.apps.patch_namespaced_deployment_scale(name, self.namespace, {"spec": {"replicas": 1}})

    @contextlib.contextmanager
    def black_hole(self) -> Any:
        """Drop what goes to the servers' pods."""
        with contextlib.ExitStack() as stack:
            for pod in self.core.list_namespaced_pod(self.namespace).items:
                stack.enter_context(dropped("-d", pod.status.pod_ip, "-p", "tcp"))
            yield

    @contextlib.contextmanager
    def replaced(self) -> Any:
        """Let each Service lead to the other's pods: other servers, on ports that they have."""
        kept = {name: self.core.read_namespaced_service(name, self.namespace).to_dict() for name in ("talk", "echo")}
        for name, other, target in (("talk", "echo", 9000), ("echo", "talk", FIRST)):
            ports = [{"op": "replace", "path": f"/spec/ports/{index}/targetPort", "value": target}
                     for index in range(len(kept[name]["spec"]["ports"]))]  # fmt: skip
            selector = {"op": "replace", "path": "/spec/selector", "value": kept[other]["spec"]["selector"]}
            self.core.patch_namespaced_service(name, self.namespace, [*ports, selector])
        yield


@pytest.fixture(scope="module")
def talkers(exposure: Exposure, cluster: Cluster) -> Talkers:
    """Return the servers, all proven."""
    made = Talkers(exposure, cluster)
    run = made.expose(deadline=60)
    assert run.code == 0, run.output
    made.whole = True
    assert {item["name"]: item["proof"] for item in run.endpoints} == dict.fromkeys(
        [*MODES, "send", "connect"], "proven"
    )
    return made


# The last one is not taken back.
@pytest.mark.parametrize(
    "loss",
    [
        "scaled_to_nothing",
        pytest.param("black_hole", marks=pytest.mark.slow),
        pytest.param("replaced", marks=pytest.mark.slow),
    ],
)
def test_no_mode_proves_a_port_whose_backend_is_lost(talkers: Talkers, loss: str) -> None:
    if not talkers.whole:
        run = talkers.expose(deadline=60)
        assert run.code == 0, run.output
    talkers.whole = False
    with getattr(talkers, loss)():
        run = talkers.expose()
    assert run.code != 0
    proofs = {item["name"]: item["proof"] for item in run.endpoints}
    # A silent port says nothing of which server accepts it.
    silent = {"connect": proofs["connect"] if loss == "replaced" else "broken"}
    assert proofs == {**dict.fromkeys([*MODES, "send"], "broken"), **silent}
    codes = {item["hop"]["code"] for item in run.endpoints if item["hop"]}
    assert (
        codes
        == {
            "scaled_to_nothing": {"HOP_BACKEND_EMPTY"},
            "black_hole": {"HOP_BACKEND_REFUSES"},
            "replaced": {"HOP_APPLICATION"},
        }[loss]
    )
