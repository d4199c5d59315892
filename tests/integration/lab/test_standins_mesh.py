# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-ins on a bare kind lab: control planes that they bring really carry TCP. Needs root, takes minutes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from kindlab.paths import CHECKOUT, lab_paths
from standins.client import APPLY, MERGE, Api, ApiError
from standins.kinds import KINDS, Kind

pytestmark = [
    pytest.mark.own_lab,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="the lab needs root"),
]
NAME = "standins-m"
LAB = str(CHECKOUT / "tests" / "lab" / "lab")
ECHO = "docker.io/istio/tcp-echo-server:1.3"
GATEWAY = Kind("networking.istio.io/v1beta1", "Gateway", "gateways")
ROUTE = Kind("networking.istio.io/v1beta1", "VirtualService", "virtualservices")
PODS = Kind("v1", "Pod", "pods")
PLAIN = {
    "version": "v2.6",
    "tracing": {"type": "None"},
    "addons": {name: {"enabled": False} for name in ("grafana", "kiali", "prometheus")},
}


def lab(command: str, *arguments: str) -> None:
    done = subprocess.run([LAB, command, "--name", NAME, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """A bare lab with both operators; taken down unless TCP_LAB_KEEP is set."""
    lab("up", "--bare", "--with", "ossm2,sail")
    yield Api(str(lab_paths(NAME).kubeconfig))
    if not os.environ.get("TCP_LAB_KEEP"):
        lab("down")


@pytest.fixture
def namespaces(api: Api) -> Iterator[Callable[[str], str]]:
    made: list[str] = []

    def make(name: str) -> str:
        write(api, KINDS["Namespace"], "", name)
        made.append(name)
        return name

    yield make
    for name in made:
        api.request("DELETE", KINDS["Namespace"].path("", name))
    until(lambda: all(not there(api, KINDS["Namespace"], "", name) for name in made))


def write(api: Api, kind: Kind, namespace: str, name: str, **rest: Any) -> None:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **rest}
    api.request("PATCH", kind.path(namespace, name), body, APPLY, fieldManager="test", fieldValidation="Strict")


def there(api: Api, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
    try:
        return api.request("GET", kind.path(namespace, name))
    except ApiError as error:
        if error.status != 404:
            raise
        return None


def until(seen: Callable[[], Any], seconds: float = 240) -> Any:
    limit = time.monotonic() + seconds
    while not (found := seen()):
        assert time.monotonic() < limit, "what the test waits for did not happen"
        time.sleep(0.5)
    return found


def done(api: Api, namespace: str) -> bool:
    """Whether an SMCP has come to what its spec says."""
    one = api.request("GET", KINDS["ServiceMeshControlPlane"].path(namespace, "basic"))
    states = {c["type"]: c["status"] for c in one.get("status", {}).get("conditions", [])}
    seen = one.get("status", {}).get("observedGeneration") == one["metadata"]["generation"]
    return seen and states == {"Installed": "True", "Reconciled": "True", "Ready": "True"}


def talk(address: str, port: int) -> str:
    command = [sys.executable, str(CHECKOUT / "tests" / "tools" / "talk.py"), address, str(port), "world"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def echo(api: Api, namespace: str, inject: bool = False) -> None:
    labels = {"app": "echo"} | ({"sidecar.istio.io/inject": "true"} if inject else {})
    container = {"name": "echo", "image": ECHO, "imagePullPolicy": "IfNotPresent", "args": ["9000", "hello"]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": {"app": "echo"}}, "template": template}
    write(api, KINDS["Deployment"], namespace, "echo", spec=spec)
    service = {"selector": {"app": "echo"}, "ports": [{"name": "tcp-echo", "port": 9000}]}
    write(api, KINDS["Service"], namespace, "echo", spec=service)


def publish(api: Api, namespace: str, host: str, *ports: int) -> None:
    servers = [{"port": {"number": one, "name": f"tcp-{one}", "protocol": "TCP"}, "hosts": ["./*"]} for one in ports]
    write(api, GATEWAY, namespace, "tcp", spec={"selector": {"istio": "ingressgateway"}, "servers": servers})
    to = [{"destination": {"host": host, "port": {"number": 9000}}}]
    rules = [{"match": [{"port": one}], "route": to} for one in ports]
    write(api, ROUTE, namespace, "tcp", spec={"hosts": ["tcp.lab"], "gateways": ["tcp"], "tcp": rules})


def port(number: int) -> dict[str, Any]:
    return {"name": f"tcp-{number}", "port": number, "targetPort": number}


def test_an_smcp_gateway_carries_tcp(api: Api, namespaces: Callable[[str], str]) -> None:
    mesh, app, outside = namespaces("m-mesh"), namespaces("m-app"), namespaces("m-outside")
    ports = [port(15021), port(9000), port(22)]
    ingress = {
        "service": {"type": "LoadBalancer", "ports": ports},
        "runtime": {"deployment": {"autoScaling": {"enabled": False}}},
    }
    spec = PLAIN | {"gateways": {"ingress": ingress, "egress": {"enabled": False}}}
    write(api, KINDS["ServiceMeshControlPlane"], mesh, "basic", spec=spec)
    write(api, KINDS["ServiceMeshMemberRoll"], mesh, "default", spec={"members": [app]})
    until(lambda: done(api, mesh))
    for namespace in (app, outside):
        echo(api, namespace, inject=True)
    front = KINDS["Service"].path(mesh, "istio-ingressgateway")
    held = until(lambda: api.request("GET", front)["status"]["loadBalancer"].get("ingress"))
    address = held[0]["ip"]
    publish(api, mesh, f"echo.{app}.svc.cluster.local", 9000, 22)
    until(lambda: talk(address, 9000) == "hello world")
    # Unprivileged: istiod leaves out what lies below 1024 (mesh-facts 1.3).
    assert talk(address, 22) == ""
    # A member's pod gets this mesh's sidecar when it asks, another namespace's does not.
    for namespace, member in ((app, True), (outside, False)):
        (pod,) = api.request("GET", PODS.path(namespace))["items"]
        assert (pod["metadata"].get("annotations", {}).get("istio.io/rev") == "basic") is member
    # A port added by hand works, and dies when the SMCP's ports change.
    api.request("PATCH", front, {"spec": {"ports": [*ports, port(9001)]}}, MERGE)
    publish(api, mesh, f"echo.{app}.svc.cluster.local", 9000, 9001, 9002)
    until(lambda: talk(address, 9001) == "hello world")
    ingress["service"]["ports"] = [*ports, port(9002)]
    write(api, KINDS["ServiceMeshControlPlane"], mesh, "basic", spec=spec)
    until(lambda: done(api, mesh) and talk(address, 9002) == "hello world")
    assert [one["port"] for one in api.request("GET", front)["spec"]["ports"]] == [15021, 9000, 22, 9002]
    until(lambda: talk(address, 9001) == "")
    assert talk(address, 9000) == "hello world"


def test_an_istio_is_a_real_control_plane(api: Api, namespaces: Callable[[str], str]) -> None:
    namespace = namespaces("m-istio")
    selectors = [{"matchLabels": {"istio-discovery": "enabled"}}]
    spec = {
        "namespace": namespace,
        "version": "v1.30.3",
        "updateStrategy": {"type": "RevisionBased"},
        "values": {"meshConfig": {"discoverySelectors": selectors}},
    }
    write(api, KINDS["Istio"], "", "m", spec=spec)
    path = KINDS["Istio"].path("", "m")
    states = []

    def healthy() -> bool:
        status = api.request("GET", path).get("status", {})
        states.append(status.get("state"))
        return status.get("state") == "Healthy"

    until(healthy)
    assert "IstiodNotReady" in states, "it was healthy before istiod could be"
    istiod = api.request("GET", KINDS["Deployment"].path(namespace, "istiod-m-v1-30-3"))
    assert istiod["status"]["availableReplicas"] == 1
    config = api.request("GET", KINDS["ConfigMap"].path(namespace, "istio-m-v1-30-3"))["data"]["mesh"]
    assert yaml.safe_load(config)["discoverySelectors"] == selectors
    api.request("DELETE", path)
    until(lambda: not there(api, KINDS["Deployment"], namespace, "istiod-m-v1-30-3"))
