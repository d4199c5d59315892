#!/usr/bin/env python3
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure expose_tcp on the lab against what a user would do otherwise, as ratios in one run.

The other way is one Gateway and one VirtualService per port by "kubectl apply --server-side", the ports of the front
Service in one apply, and one connection per port until each has answered.

Usage: bench.py [PORTS ...]   (default: 10 100)
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration" / "collection"))

from harness import Cluster, Exposure, Playbooks  # noqa: E402  the path is set above

FIRST_PORT = 20000


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds that some work takes."""
    started = time.monotonic()
    work()
    return time.monotonic() - started


def ours(exposure: Exposure, count: int) -> dict[str, float]:
    """Publish ports with expose_tcp: the first run, one that changes nothing, one port more."""
    records = [exposure.record(f"port-{number}", FIRST_PORT + number) for number in range(count + 1)]

    def run(wanted: list[dict[str, Any]]) -> None:
        done = exposure.expose(wanted, tcp_allow_withdraw="all")
        if done.code != 0:
            sys.exit(done.output[-3000:])

    run(records[:1])
    seconds = {"first run": timed(lambda: run(records[:count]))}
    seconds["nothing to change"] = timed(lambda: run(records[:count]))
    seconds["one port more"] = timed(lambda: run(records))
    run(records[:1])
    return seconds


def by_hand(exposure: Exposure, count: int, address: str) -> dict[str, float]:
    """Publish ports as people do by hand, on the same gateway, and wait until the last has answered."""
    numbers = range(FIRST_PORT + 10000, FIRST_PORT + 10000 + count)
    objects = [item for number in numbers for item in pair(exposure, number)]
    ports = [{"name": f"tcp-{number}", "port": number, "targetPort": number, "protocol": "TCP"} for number in numbers]
    meta = {"name": "edge", "namespace": exposure.name}
    objects.append({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"ports": ports}})
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})

    def kubectl(*arguments: str) -> None:
        command = [str(ROOT / "tests/lab/lab"), "exec", "--", "kubectl", *arguments]
        subprocess.run(command, input=document, text=True, check=True, stdout=subprocess.DEVNULL)

    def apply() -> None:
        kubectl("apply", "--server-side", "--field-manager=by-hand", "-f", "-")

    def connect() -> None:
        for number in numbers:
            until = time.monotonic() + 60
            while True:
                if answers(address, number):
                    break
                if time.monotonic() > until:
                    sys.exit(f"port {number} never answered")

    def both() -> None:
        apply()
        connect()

    seconds = {"first run": timed(both), "nothing to change": timed(both)}
    # One request per kind: kubectl's own deletion by label takes minutes for a thousand objects.
    for plural in ("gateways", "virtualservices"):
        where = f"/apis/networking.istio.io/v1beta1/namespaces/{exposure.name}/{plural}?labelSelector=by%3Dhand"
        kubectl("delete", "--raw", where)
    empty = {"apiVersion": "v1", "kind": "Service", "metadata": meta}
    document = json.dumps(empty)
    apply()
    return seconds


def answers(address: str, port: int) -> bool:
    """Tell whether a port echoes; cheaper than the nc that people start, so that the comparison favours them."""
    try:
        with socket.create_connection((address, port), timeout=5) as connection:
            connection.sendall(b"hello\n")
            return b"hello" in connection.recv(100)
    except OSError:
        return False


def pair(exposure: Exposure, number: int) -> list[dict[str, Any]]:
    """Return the Gateway and the VirtualService of one port."""
    meta = {"name": f"hand-{number}", "namespace": exposure.name, "labels": {"by": "hand"}}
    selector = {"servicemesh.tcp/gateway": "edge", "servicemesh.tcp/gateway-namespace": exposure.name}
    server = {"port": {"number": number, "name": f"tcp-{number}", "protocol": "TCP"}, "hosts": ["*"]}
    host = f"echo.{exposure.echo}.svc.cluster.local"
    rule = {"match": [{"port": number}], "route": [{"destination": {"host": host, "port": {"number": 9000}}}]}
    version = "networking.istio.io/v1beta1"
    return [
        {
            "apiVersion": version,
            "kind": "Gateway",
            "metadata": meta,
            "spec": {"selector": selector, "servers": [server]},
        },
        {
            "apiVersion": version,
            "kind": "VirtualService",
            "metadata": meta,
            "spec": {"hosts": ["*"], "gateways": [meta["name"]], "tcp": [rule]},
        },
    ]


def main() -> None:
    """Measure and print one table."""
    counts = [int(word) for word in sys.argv[1:]] or [10, 100]
    folder = ROOT / ".lab" / "lab"
    cluster = Cluster(admin=folder / "kubeconfig", limited=folder / "kubeconfig-tcp")
    print(f"{'ports':>6}  {'what':20}  {'ours':>8}  {'by hand':>8}  ratio")
    with tempfile.TemporaryDirectory() as scratch:
        exposure = Exposure("bench", Playbooks(ROOT, cluster, Path(scratch)))
        try:
            exposure.make()
            for count in counts:
                mine = ours(exposure, count)
                address = exposure.expose([exposure.record("port-0", FIRST_PORT)]).endpoints[0]["addresses"][0]
                theirs = by_hand(exposure, count, address)
                for what, seconds in mine.items():
                    other = theirs.get(what)
                    against = f"{other:6.1f} s  {seconds / other:.2f}" if other else f"{'':8}"
                    print(f"{count:6}  {what:20}  {seconds:6.1f} s  {against}", flush=True)
        finally:
            exposure.remove()


if __name__ == "__main__":
    main()
