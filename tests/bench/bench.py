#!/usr/bin/env python3
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the budgets on the lab against what a user would do otherwise, as ratios in one run.

Usage: bench.py [publish] [planning] [capacity] [audit] [doors] [--ports 10,100,1000] [--write]

With --write the tables go to docs/benchmarks.md, that of the doors to docs/doors.md, each part in the place of its last
measurement.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

# The tools beside this Python come first; the harness is that of the tests.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration" / "collection"))
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

import audit
import capacity
import doors
import planning
import report
from harness import Cluster, Exposure, Playbooks
from ways import FIRST_PORT, ROOT, ByHand, K8sModule, Kubectl, Ours, require

# A loop of tasks takes minutes at a hundred ports; a thousand would take an hour.
LOOP_MAX = 100


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that some work takes."""
    started = time.monotonic()
    work()
    return time.monotonic() - started


def measure(way: Ours | ByHand) -> dict[str, float]:
    """Return the seconds of a first run, one that changes nothing, and one port more."""
    seconds = {
        "first run": timed(way.first),
        "nothing to change": timed(way.again),
        "one port more": timed(way.one_more),
    }
    way.clear()
    return seconds


def publish(exposure: Exposure, counts: list[int]) -> list[list[str]]:
    """Compare the ways for each number of ports."""
    address = require(exposure.expose([exposure.record("port-0", FIRST_PORT)], tcp_allow_withdraw="all"))
    address = address.endpoints[0]["addresses"][0]
    table = []
    for count in counts:
        others = [Kubectl(exposure, count, address), K8sModule(exposure, count, address, loop=False)]
        if count <= LOOP_MAX:
            others.append(K8sModule(exposure, count, address, loop=True))
        ours = measure(Ours(exposure, count))
        for what, seconds in ours.items():
            table.append([f"{count:,}", what, "expose_tcp", f"{seconds:.1f} s", "1"])
        for other in others:
            for what, seconds in measure(other).items():
                table.append([f"{count:,}", what, other.name, f"{seconds:.1f} s", f"{seconds / ours[what]:.2f}"])
                print("  ".join(table[-1]), flush=True)
    order = ["first run", "nothing to change", "one port more"]
    return sorted(table, key=lambda row: (int(row[0].replace(",", "")), order.index(row[1])))


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description="Measure the budgets on the lab.")
    parser.add_argument("parts", nargs="*", choices=[*report.HEADS, []], default=[])
    parser.add_argument("--ports", default="10,100,1000", help="numbers of ports, with commas between")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    options = parser.parse_args()
    counts = [int(word) for word in options.ports.split(",")]
    parts = options.parts or ["planning", "publish", "capacity", "audit", "doors"]
    tables = {}
    if "planning" in parts:
        tables["planning"] = planning.rows()
    if "audit" in parts:
        tables["audit"] = audit.rows()
    folder = ROOT / ".lab" / "lab"
    cluster = Cluster(admin=folder / "kubeconfig", limited=folder / "kubeconfig-tcp")
    with tempfile.TemporaryDirectory() as scratch:
        playbooks = Playbooks(ROOT, cluster, Path(scratch))
        for part in ("publish", "capacity", "doors"):
            if part not in parts:
                continue
            exposure = Exposure(f"bench-{part}", playbooks)
            # Each port would take one of the cluster's 2,768 node ports.
            if part == "capacity":
                exposure.gateway["service"]["allocate_node_ports"] = False
            try:
                exposure.make()
                if part == "publish":
                    tables[part] = publish(exposure, counts)
                elif part == "doors":
                    tables[part] = doors.rows(exposure)
                else:
                    first = require(exposure.expose([exposure.record("port-0", FIRST_PORT)], tcp_allow_withdraw="all"))
                    address = first.endpoints[0]["addresses"][0]
                    tables[part] = capacity.rows(exposure, address, (1, 100, 1000, 2500, 5000, 10000))
            finally:
                exposure.remove()
    print(report.render(tables))
    if options.write:
        for part, table in tables.items():
            page = "doors.md" if part == "doors" else "benchmarks.md"
            report.write(ROOT / "docs" / page, {part: table}, time.strftime("%Y-%m-%d"))


if __name__ == "__main__":
    main()
