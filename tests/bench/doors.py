# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a session costs by each door to one echo server: to open one, to ask and be answered, and bytes a second."""

from __future__ import annotations

import json
import socket
import statistics
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from harness import Exposure
from tls_servers import serve
from ways import require

OPENED, ASKED, STREAMED, SECONDS = 300, 2000, 3, 2.0
Address = tuple[str, int]
CHUNK = b"x" * 65536
# Envoy's own echo: the usual echo server writes what it is sent into its log, and would be what is measured.
ECHO_PORT = 9304


def records(exposure: Exposure) -> list[dict[str, Any]]:
    """Return one record for each door."""
    admin = exposure.playbooks.cluster.admin
    external_ip = json.loads(Path(admin).with_name("state.json").read_text())["external_ip"]
    backend = {"namespace": exposure.echo, "service": "tls", "port": ECHO_PORT}
    first = exposure.record("gateway", 8000, backend=backend, probe={"mode": "send", "send": "hello"})
    past = {key: first[key] for key in first if key not in ("gateway", "port", "name")}
    return [
        first,
        {**past, "name": "load_balancer", "door": "load_balancer"},
        {**past, "name": "external_ip", "door": "external_ip", "service": {"external_ips": [external_ip]}},
        {**past, "name": "node_port", "door": "node_port"},
    ]


def connected(address: Address) -> socket.socket:
    """Open a session that sends at once what it is given."""
    session = socket.create_connection(address, timeout=10)
    session.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return session


def opening(doors: Mapping[str, Address]) -> dict[str, list[float]]:
    """Return the seconds from a connection request to the first answer, for many sessions one after the other."""
    found: dict[str, list[float]] = {door: [] for door in doors}
    for _number in range(OPENED):
        for door, address in doors.items():
            started = time.perf_counter()
            with connected(address) as session:
                session.sendall(b"hello\n")
                assert session.recv(100)
                found[door].append(time.perf_counter() - started)
    return found


def asking(doors: Mapping[str, Address]) -> dict[str, list[float]]:
    """Return the seconds from a line to its answer, within one session by each door."""
    found: dict[str, list[float]] = {door: [] for door in doors}
    with ExitStack() as stack:
        sessions = {door: stack.enter_context(connected(address)) for door, address in doors.items()}
        for _number in range(ASKED):
            for door, session in sessions.items():
                started = time.perf_counter()
                session.sendall(b"hello\n")
                assert session.recv(100)
                found[door].append(time.perf_counter() - started)
    return found


def streaming(address: Address) -> float:
    """Return the bytes a second that come back while lines are sent as fast as they are taken."""
    with connected(address) as session:
        until = time.monotonic() + SECONDS

        def send() -> None:
            # Whoever counts the answers hangs up first.
            with suppress(OSError):
                while time.monotonic() < until:
                    session.sendall(CHUNK)

        sender = threading.Thread(target=send)
        sender.start()
        started, count = time.monotonic(), 0
        # A session that stalls has been slow, which is what is measured.
        with suppress(TimeoutError):
            while chunk := session.recv(1 << 18):
                count += len(chunk)
                if time.monotonic() > until:
                    break
        spent = time.monotonic() - started
        session.close()
        sender.join(SECONDS)
    return count / spent


def rows(exposure: Exposure) -> list[list[str]]:
    """Publish one backend by each door, and measure all in turns, so that what else runs disturbs them alike."""
    serve(exposure, exposure.playbooks.cluster, {ECHO_PORT: ("", None)})
    run = require(exposure.expose(records(exposure), tcp_allow_withdraw="all"))
    doors = {item["door"]: (item["addresses"][0], item["port"]) for item in run.endpoints}
    opened, asked = opening(doors), asking(doors)
    streamed = {door: [] for door in doors}
    for _number in range(STREAMED):
        for door, address in doors.items():
            streamed[door].append(streaming(address))
    return [
        [
            door,
            f"{statistics.median(opened[door]) * 1000:.2f} ms",
            f"{statistics.quantiles(opened[door], n=100)[98] * 1000:.2f} ms",
            f"{statistics.median(asked[door]) * 1000:.3f} ms",
            f"{statistics.median(streamed[door]) / 1e6:.0f} MB/s",
        ]
        for door in doors
    ]
