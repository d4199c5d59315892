# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ports cost the mesh: memory of gateway and istiod, time from write to answer, and where it ends."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import kubernetes
from harness import Exposure, Run
from ways import FIRST_PORT, answers


def memory(exposure: Exposure) -> dict[str, float]:
    """Return the working set of the gateway's and of istiod's pod, in MB, as the kubelet counts it."""
    client = exposure.playbooks.cluster.client()
    core = kubernetes.client.CoreV1Api(client)
    found = {}
    for node in core.list_node().items:
        answer = core.connect_get_node_proxy_with_path(node.metadata.name, "stats/summary", _preload_content=False)
        for pod in json.loads(answer.data)["pods"]:
            name, namespace = pod["podRef"]["name"], pod["podRef"]["namespace"]
            used = pod.get("memory", {}).get("workingSetBytes", 0) / 1e6
            if namespace == exposure.name and name.startswith("edge-"):
                found["gateway"] = max(used, found.get("gateway", 0))
            elif name.startswith("istiod-"):
                found["istiod"] = used
    return found


@contextmanager
def stopwatch(exposure: Exposure, address: str, port: int) -> Iterator[dict[str, float]]:
    """Measure from the moment at which the set's VirtualService has changed to the port's first answer."""
    client = exposure.playbooks.cluster.client()
    custom = kubernetes.client.CustomObjectsApi(client)
    where = ("networking.istio.io", "v1beta1", exposure.name, "virtualservices")
    version = custom.list_namespaced_custom_object(*where)["metadata"]["resourceVersion"]
    seen: dict[str, float] = {}
    done = threading.Event()

    def watch() -> None:
        for event in kubernetes.watch.Watch().stream(
            custom.list_namespaced_custom_object, *where, resource_version=version, timeout_seconds=600
        ):
            if any(rule["match"][0]["port"] == port for rule in event["object"]["spec"]["tcp"]):
                seen["written"] = time.monotonic()
                return

    def poll() -> None:
        while not done.is_set() and "answered" not in seen:
            if answers(address, port):
                seen["answered"] = time.monotonic()
            time.sleep(0.05)

    threads = [threading.Thread(target=watch, daemon=True), threading.Thread(target=poll, daemon=True)]
    for thread in threads:
        thread.start()
    try:
        yield seen
        threads[1].join(300)
    finally:
        done.set()


def publish(exposure: Exposure, address: str, count: int) -> tuple[Run, dict[str, float]]:
    """Publish a number of ports and measure when the last one answers."""
    records = [exposure.record(f"port-{number}", FIRST_PORT + number) for number in range(count)]
    with stopwatch(exposure, address, FIRST_PORT + count - 1) as seen:
        run = exposure.expose(records, tcp_allow_withdraw="all", tcp_probe_deadline=300)
        if run.code != 0:
            seen["answered"] = seen.get("answered", time.monotonic())
    return run, seen


def rows(exposure: Exposure, address: str, counts: tuple[int, ...]) -> list[list[str]]:
    """Publish ever more ports until something breaks; the last row says what did."""
    table = []
    for count in counts:
        run, seen = publish(exposure, address, count)
        if run.code != 0:
            reason = next((line.strip() for line in run.output.splitlines() if "msg" in line), run.output[-300:])
            return [*table, [f"{count:,}", "-", "-", f"ends here: {reason[:300]}"]]
        used = memory(exposure)
        taken = seen["answered"] - seen["written"]
        table.append([f"{count:,}", f"{used['gateway']:.0f} MB", f"{used['istiod']:.0f} MB", f"{taken:.1f} s"])
    return table
