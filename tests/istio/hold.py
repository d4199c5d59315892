# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold the model of Istio's listeners against the real istiod: random worlds on the lab, compared with Envoy's view.

python tests/istio/hold.py 300     all worlds; every rule of the model must decide at least 20 of them
python tests/istio/hold.py 30      a sample; what each rule decides is only printed
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ansible.plugins.loader import init_plugin_loader

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
init_plugin_loader([str(ROOT / "playbooks" / "collections")])

from istio import model, mutations  # noqa: E402 (the collection must be found first)
from istio.record import Recorder  # noqa: E402
from istio.rig import Lab  # noqa: E402
from istio.worlds import World  # noqa: E402

ALL, DECIDED = 300, 20
# Worlds that are on the lab at the same time; each has ports of its own.
BATCH = 100
# How often, and after how many seconds, Envoy is asked again where there is a difference.
LOOKS, SECONDS = 5, 3
# Differences that are shown in full.
SHOWN = 10


def differences(world: World, predicted: Any, seen: Any) -> Iterator[str]:
    """Say where a world's prediction and Envoy differ."""
    expected, found = model.of_world(predicted, world), model.of_world(seen, world)
    for pod, table in expected.items():
        for address in sorted(table.keys() | found[pod].keys()):
            if table.get(address) != found[pod].get(address):
                yield (
                    f"world {world.seed} on {pod}, {address[0]}:{address[1]}\n"
                    f"  predicted {table.get(address)}\n  Envoy has {found[pod].get(address)}"
                )


def all_differences(worlds: Sequence[World], predicted: Any, seen: Any) -> list[str]:
    """Return the differences of several worlds."""
    return [line for world in worlds for line in differences(world, predicted, seen)]


def broken(state: Any) -> dict[str, Any]:
    """Return what the model predicts with each of its rules broken in turn."""
    predictions = {}
    for rule in mutations.MUTATIONS:
        with mutations.mutated(rule):
            predictions[rule] = model.predicted(state)
    return predictions


def hold(lab: Lab, count: int, recorder: Recorder) -> tuple[list[str], dict[str, int], int]:
    """Hold worlds against the lab; return the differences, what each rule decided, and how many worlds clashed."""
    found: list[str] = []
    counts = dict.fromkeys(mutations.MUTATIONS, 0)
    clashing = 0
    for first in range(0, count, BATCH):
        worlds = [model.make_world(seed) for seed in range(first, min(first + BATCH, count))]
        lab.apply(worlds)
        try:
            seen = lab.settle()
            state = lab.state()
            predicted = model.predicted(state)
            wrong = all_differences(worlds, predicted, seen)
            for _attempt in range(LOOKS if wrong else 0):
                # A pod may connect before istiod has heard of it; what it gets then is mended a moment later.
                print(f"looking again: {len(wrong)} differences, such as {wrong[0]}", flush=True)
                time.sleep(SECONDS)
                seen = lab.listeners()
                wrong = all_differences(worlds, predicted, seen)
                if not wrong:
                    break
        finally:
            lab.clear(worlds)
        otherwise = broken(state)
        for rule, changed in otherwise.items():
            counts[rule] += sum(model.of_world(changed, world) != model.of_world(predicted, world) for world in worlds)
        recorder.see(worlds, state, predicted, seen, otherwise)
        clashing += sum(model.clashes(state, world) for world in worlds)
        listeners = sum(len(table) for table in seen.values())
        print(f"worlds {first} to {worlds[-1].seed}: {listeners} listeners, {len(wrong)} differences", flush=True)
        found += wrong
    return found, counts, clashing


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("worlds", type=int, nargs="?", default=ALL)
    parser.add_argument("--kubeconfig", type=Path, default=ROOT / ".lab" / "lab" / "kubeconfig")
    parser.add_argument("--keep", action="store_true", help="leave the pods and the second istiod for the next run")
    parser.add_argument("--record", type=Path, help="a folder for cases that together need every rule of the model")
    options = parser.parse_args()
    recorder = Recorder()
    lab = Lab(options.kubeconfig)
    lab.prepare()
    try:
        wrong, counts, clashing = hold(lab, options.worlds, recorder)
    finally:
        if not options.keep:
            lab.remove()
    if options.record:
        recorder.write(options.record)
    for rule, number in counts.items():
        print(f"{number:5} worlds decided by: {rule}")
    print("\n".join(wrong[:SHOWN]))
    print(f"{options.worlds} worlds, {clashing} with a clash, {len(wrong)} differences")
    poor = [rule for rule, number in counts.items() if number < DECIDED] if options.worlds >= ALL else []
    if poor:
        print(f"decided fewer than {DECIDED} worlds: {'; '.join(poor)}")
    return 1 if wrong or poor or clashing < options.worlds else 0


if __name__ == "__main__":
    sys.exit(main())
