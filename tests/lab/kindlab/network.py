# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Slots, links and routes on the host. A slot is a /19 that one lab of this machine holds."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from .addresses import LAB_RANGE, METRIC, SLOTS, Addresses, addresses, clashes
from .commands import run
from .console import LabError
from .paths import MACHINE_RUN, LabPaths

SLOT_FOLDER = MACHINE_RUN / "slots"


@contextmanager
def _slots_locked() -> Iterator[None]:
    SLOT_FOLDER.mkdir(parents=True, exist_ok=True)
    with open(SLOT_FOLDER / "lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _slot_file(slot: int) -> Path:
    return SLOT_FOLDER / f"{slot}.json"


def _holder(slot: int) -> dict[str, str]:
    """Who holds the slot; a holder whose state folder is gone has left nothing that a new lab would not clear."""
    try:
        holder = json.loads(_slot_file(slot).read_text())
    except (OSError, ValueError):
        return {}
    return holder if Path(holder["state"]).is_dir() else {}


def held_slots(paths: LabPaths) -> list[int]:
    """Slots that this lab holds: one, or none."""
    return [slot for slot in range(SLOTS) if _raw_id(slot) == paths.id]


def _raw_id(slot: int) -> str:
    try:
        return str(json.loads(_slot_file(slot).read_text())["id"])
    except (OSError, ValueError, KeyError):
        return ""


def take_slot(paths: LabPaths, forced: int | None, env: Mapping[str, str]) -> Addresses:
    """Take the first free slot, or the forced one. Raises LabError naming who holds the addresses otherwise."""
    paths.state_dir.mkdir(parents=True, exist_ok=True)
    with _slots_locked():
        reasons = []
        for slot in [forced] if forced is not None else range(SLOTS):
            reason = _why_taken(slot, paths, env)
            if not reason:
                _slot_file(slot).write_text(json.dumps({"id": paths.id, "state": str(paths.state_dir)}))
                return addresses(slot)
            reasons.append(f"{addresses(slot).whole}: {reason}")
    raise LabError(
        "the lab's address range is taken:\n    " + "\n    ".join(sorted(set(reasons))),
        f"Take down the lab, remove the route, or choose a part of {LAB_RANGE} with --slot 0..{SLOTS - 1}.",
    )


def _why_taken(slot: int, paths: LabPaths, env: Mapping[str, str]) -> str:
    holder = _holder(slot)
    if holder and holder["id"] != paths.id:
        return f"held by the lab in {holder['state']}"
    plan = addresses(slot)
    taken = clashes(plan.whole, routes(env), own=set())
    return f"a route of this machine goes there: {', '.join(taken)}" if taken else ""


def release_slot(paths: LabPaths, env: Mapping[str, str]) -> None:
    """Remove the lab's link and routes from the host and give its slot back."""
    if not SLOT_FOLDER.is_dir():
        return
    with _slots_locked():
        for slot in held_slots(paths):
            plan = addresses(slot)
            run(["ip", "link", "del", plan.interface], env=env, check=False)
            run(["ip", "-4", "route", "flush", "root", str(plan.whole)], env=env, check=False)
            _slot_file(slot).unlink(missing_ok=True)


def routes(env: Mapping[str, str]) -> list[dict[str, object]]:
    """Every IPv4 route of the host, local addresses included."""
    return json.loads(run(["ip", "-j", "-4", "route", "show", "table", "all"], env=env).stdout or "[]")


def fence(plan: Addresses, env: Mapping[str, str]) -> None:
    """Make the range unreachable where no better route exists: a probe of a dead lab must not leave the machine."""
    run(["ip", "route", "replace", "unreachable", str(plan.whole), "metric", str(METRIC)], env=env)


def link(plan: Addresses, engine_pid: int, env: Mapping[str, str]) -> None:
    """Join the host and the own engine's network namespace by a veth pair and route the lab's range over it."""
    run(["ip", "link", "del", plan.interface], env=env, check=False)
    run(
        ["ip", "link", "add", plan.interface, "type", "veth", "peer", "name", "lab0", "netns", str(engine_pid)], env=env
    )
    run(["ip", "addr", "add", f"{plan.host_end}/30", "dev", plan.interface], env=env)
    run(["ip", "link", "set", plan.interface, "up"], env=env)
    run(["ip", "route", "replace", str(plan.whole), "via", str(plan.lab_end)], env=env)


def route_to_node(networks: list[IPv4Network], node: IPv4Address, prefix: list[str], env: Mapping[str, str]) -> None:
    """Send whole networks to a node, whose kube-proxy answers; `prefix` enters the own engine's namespace."""
    for network in networks:
        run([*prefix, "ip", "route", "replace", str(network), "via", str(node)], env=env)
