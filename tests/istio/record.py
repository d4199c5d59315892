# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases for the unit tests: contests with what Envoy really had, so few that each is needed by some rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from istio import model
from istio.worlds import World

HEADER = "# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)\n"
HEADER += "# SPDX-License-Identifier: GPL-3.0-or-later\n"
HEADER += "# Recorded from istiod and Envoy by tests/istio/hold.py --record.\n"


@dataclass
class Case:
    """One contest, what Envoy had of it, and the rules that decide it."""

    name: str
    objects: list[dict[str, Any]]
    truth: list[dict[str, Any]]
    rules: set[str]


class Recorder:
    """Gathers contests, and keeps those that together are decided by every rule."""

    def __init__(self) -> None:
        self._cases: list[Case] = []

    def see(
        self,
        worlds: Sequence[World],
        state: Any,
        predicted: Mapping[str, Any],
        seen: Mapping[str, Any],
        otherwise: Mapping[str, Any],
    ) -> None:
        """Take the contests that were predicted well; C(otherwise) is the prediction with each rule broken."""
        times = {
            (kind, item["namespace"], item["name"]): item["created"]
            for kind, key in model.LISTS.items()
            for item in state[key]
        }
        for world in worlds:
            for tag, ports in world.contests.items():
                truth = model.on_ports(seen, ports)
                rules = {rule for rule, changed in otherwise.items() if model.on_ports(changed, ports) != truth}
                if rules and model.on_ports(predicted, ports) == truth:
                    objects = [with_time(obj, times) for _wave, obj in world.objects if is_of(obj, tag)]
                    self._cases.append(Case(tag, objects, as_data(truth), rules))

    def write(self, folder: Path) -> None:
        """Write the chosen cases; of those that add the most rules, the one with the fewest objects."""
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("*.yml"):
            old.unlink()
        open_rules = set().union(*(case.rules for case in self._cases))
        while open_rules:
            best = max(
                self._cases, key=lambda case: (len(case.rules & open_rules) / (len(case.objects) + 4), case.name)
            )
            text = yaml.dump(
                {"decided_by": sorted(best.rules & open_rules), "objects": best.objects, "envoy": best.truth},
                Dumper=Indented,
                sort_keys=False,
                width=150,
            )
            (folder / f"{best.name}.yml").write_text(f"{HEADER}---\n{text}")
            open_rules -= best.rules


class Indented(yaml.SafeDumper):
    """Indents lists as the linters of this house want it, and repeats what is equal."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent lists like everything else."""
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        """Write no anchors."""
        return True


def is_of(obj: Mapping[str, Any], tag: str) -> bool:
    """Tell whether an object belongs to a contest."""
    return obj["metadata"]["name"].startswith(f"{tag}-")


def with_time(obj: dict[str, Any], times: Mapping[tuple[str, str, str], str]) -> dict[str, Any]:
    """Return an object with the time at which the API server made it."""
    metadata = obj["metadata"]
    made = times[(obj["kind"], metadata["namespace"], metadata["name"])]
    return {"kind": obj["kind"], "metadata": {**metadata, "creationTimestamp": made}, "spec": obj["spec"]}


def as_data(truth: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return listeners as a case holds them."""
    return [
        {
            "pod": pod,
            "address": address,
            "port": port,
            "chains": [{"sni": list(sni), "kind": kind, "to": list(to)} for sni, kind, to in chains],
        }
        for pod, table in truth.items()
        for (address, port), chains in sorted(table.items())
    ]


def as_listeners(data: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a case holds as listeners."""
    found: dict[str, Any] = {}
    for item in data:
        chains = tuple((tuple(one["sni"]), one["kind"], tuple(one["to"])) for one in item["chains"])
        found.setdefault(item["pod"], {})[(item["address"], item["port"])] = chains
    return found
