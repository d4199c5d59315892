# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One published port, its proof and its verdict without a playbook, and ways to break what it stands on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kubernetes
import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api
from ansible_collections.servicemesh.tcp.plugins.module_utils._diagnosis import diagnose
from ansible_collections.servicemesh.tcp.plugins.module_utils._endpoints import endpoints, probe_targets
from ansible_collections.servicemesh.tcp.plugins.module_utils._portforward import EnvoyReader
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe import Prober
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_target import parse_target
from ansible_collections.servicemesh.tcp.plugins.module_utils._read import read
from harness import Cluster, Exposure

ROOT = Path(__file__).resolve().parents[3]
Object = dict[str, Any]
SERVER_FIELDS = ("resourceVersion", "uid", "creationTimestamp", "managedFields", "generation")


def connect(kubeconfig: Path | None = None, **more: Any) -> Api:
    """Return a connection as a module has it."""

    def fail(**result: Any) -> None:
        raise AssertionError(result["msg"])

    given = {"kubeconfig": str(kubeconfig)} if kubeconfig else {}
    return Api(SimpleNamespace(params={**given, **more}, fail_json=fail))


class Chain:
    """One port and everything that it stands on."""

    def __init__(self, exposure: Exposure, cluster: Cluster, record: Object) -> None:
        self.exposure = exposure
        self.cluster = cluster
        self.api = connect(cluster.limited)
        self.admin = kubernetes.dynamic.DynamicClient(cluster.client())
        mapped = port_map([record], [exposure.gateway], read(self.api), exposure.name)
        assert [item for item in mapped["findings"] if item["severity"] == "error"] == []
        (self.port,) = mapped["ports"]
        self.services: list[Object] = []
        self.results: list[Object] = []

    # Proof and verdict

    def prove(self, deadline: float = 0.0) -> str:
        """Prove the port as tcp_probe does, and return C(proven) or C(broken)."""
        self.services = read(self.api)["services"]
        targets = probe_targets([self.port], self.services)["targets"]
        targets = [{**target, "timeout": 1.0} for target in targets]

        async def run() -> list[Object]:
            return await Prober([parse_target(item) for item in targets], None, deadline=deadline).run()

        self.results = asyncio.run(run())
        return self.endpoint()["proof"]

    def endpoint(self) -> Object:
        """Return the port's entry of the report."""
        return endpoints([self.port], self.services, results=self.results)[0]

    def wait_until(self, proof: str, seconds: float = 60.0) -> None:
        """Prove the port until it is as wanted, twice in a row: what is on its way is nothing to judge."""
        until, in_a_row = time.monotonic() + seconds, 0
        while in_a_row < 2:
            in_a_row = in_a_row + 1 if self.prove() == proof else 0
            if time.monotonic() > until:
                pytest.fail(f"the port did not get {proof}: {self.endpoint()}")
            time.sleep(0.5)

    def verdict(self, api: Api | None = None) -> Object:
        """Wait until the port is broken, and return the verdict."""
        self.wait_until("broken")
        api = api or self.api
        return diagnose(api, [self.port], [self.endpoint()], self.results, EnvoyReader(api))[0]

    # Breaking

    def kind(self, kind: str, version: str = "") -> Any:
        """Return the client of a kind."""
        return self.admin.resources.get(kind=kind, **({"api_version": version} if version else {}))

    def patch(self, kind: str, namespace: str, name: str, patch: Any, version: str = "") -> None:
        """Change an object as its owner would, by a merge patch or, given a list, by a JSON patch."""
        merge = "application/merge-patch+json" if isinstance(patch, dict) else "application/json-patch+json"
        self.kind(kind, version).patch(body=patch, name=name, namespace=namespace, content_type=merge)

    @contextlib.contextmanager
    def patched(self, kind: str, namespace: str, name: str, patch: Any, back: Any, version: str = "") -> Iterator[None]:
        """Change an object for a while."""
        self.patch(kind, namespace, name, patch, version)
        try:
            yield
        finally:
            self.patch(kind, namespace, name, back, version)

    @contextlib.contextmanager
    def without(self, kind: str, namespace: str, name: str, version: str = "") -> Iterator[None]:
        """Take an object away for a while."""
        client = self.kind(kind, version)
        kept = client.get(name=name, namespace=namespace).to_dict()
        client.delete(name=name, namespace=namespace)
        kept["metadata"] = {key: value for key, value in kept["metadata"].items() if key not in SERVER_FIELDS}
        kept.pop("status", None)
        for key in ("clusterIP", "clusterIPs"):
            kept["spec"].pop(key, None)
        try:
            yield
        finally:
            client.create(body=kept, namespace=namespace)

    @contextlib.contextmanager
    def having(self, obj: Object) -> Iterator[None]:
        """Have an object for a while."""
        client = self.kind(obj["kind"], obj["apiVersion"])
        place = {"namespace": obj["metadata"]["namespace"]}
        client.create(body=obj, **place)
        try:
            yield
        finally:
            client.delete(name=obj["metadata"]["name"], **place)

    @contextlib.contextmanager
    def gateway_with(self, patch: Any, back: Any, ready: bool = False) -> Iterator[None]:
        """Have the gateway's pods made anew from another template for a while, the old ones gone first."""
        place = ("Deployment", self.exposure.name, "edge")
        self.scale(0)
        self.patch(*place, patch, "apps/v1")
        self.patch(*place, {"spec": {"replicas": 1}}, "apps/v1")
        self.settle(ready)
        try:
            yield
        finally:
            self.scale(0)
            self.patch(*place, back, "apps/v1")
            self.patch(*place, {"spec": {"replicas": 1}}, "apps/v1")

    def settle(self, ready: bool) -> None:
        """Wait until the gateway's new pod has got as far as it will: what is still starting is nothing to judge."""
        core = kubernetes.client.CoreV1Api(self.cluster.client())
        until = time.monotonic() + 60
        while time.monotonic() < until:
            pods = core.list_namespaced_pod(self.exposure.name, label_selector="servicemesh.tcp/gateway=edge").items
            status = pods[0].status if pods else None
            states = [item.state for item in (status.container_statuses or [])] if status else []
            conditions = {item.type: item.status for item in (status.conditions or [])} if status else {}
            if conditions.get("Ready" if ready else "") == "True" or conditions.get("PodScheduled") == "False":
                return
            if not ready and any(state.waiting and "Image" in (state.waiting.reason or "") for state in states):
                return
            if not ready and any(state.running for state in states):
                time.sleep(3)
                return
            time.sleep(0.3)
        pytest.fail("the gateway's pod gets nowhere")

    def scale(self, replicas: int) -> None:
        """Give the gateway a number of pods; with none, wait until they are gone."""
        place = self.exposure.name
        self.patch("Deployment", place, "edge", {"spec": {"replicas": replicas}}, "apps/v1")
        selector = "servicemesh.tcp/gateway=edge"
        core = kubernetes.client.CoreV1Api(self.cluster.client())
        for pod in core.list_namespaced_pod(place, label_selector=selector).items if not replicas else ():
            core.delete_namespaced_pod(pod.metadata.name, place, grace_period_seconds=0)
        until = time.monotonic() + 60
        while not replicas and core.list_namespaced_pod(place, label_selector=selector).items:
            assert time.monotonic() < until, "the gateway's pods do not go"
            time.sleep(0.3)

    def pod_ip(self, namespace: str, selector: str) -> str:
        """Return the address of a pod."""
        core = kubernetes.client.CoreV1Api(self.cluster.client())
        return core.list_namespaced_pod(namespace, label_selector=selector).items[0].status.pod_ip


@contextlib.contextmanager
def dropped(*rule: str, table: str = "filter", chain: str = "FORWARD") -> Iterator[None]:
    """Have the lab's node drop packets for a while, as a firewall or a network that enforces policies would."""
    node_rule("-I", chain, *rule, table=table)
    try:
        yield
    finally:
        node_rule("-D", chain, *rule, table=table)


def node_rule(action: str, chain: str, *rule: str, table: str) -> None:
    """Change the packet filter of the lab's node."""
    # The checkout that brought the lab up is the one that knows its docker.
    lab = [str((ROOT / ".lab").resolve().parent / "tests" / "lab" / "lab"), "exec", "--"]
    names = subprocess.run([*lab, "docker", "ps", "--format", "{{.Names}}"], check=True, capture_output=True, text=True)
    node = next(name for name in names.stdout.split() if name.endswith("-control-plane"))
    command = ["docker", "exec", node, "iptables", "-w", "-t", table, action, chain, *rule, "-j", "DROP"]
    subprocess.run([*lab, *command], check=True, capture_output=True, env=dict(os.environ), text=True)


Break = Callable[[Chain], contextlib.AbstractContextManager[None]]
