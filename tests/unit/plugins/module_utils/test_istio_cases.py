# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recorded truth: contests of random worlds with what Envoy had of them, and each rule of the model needed by one.

The cases are written by C(tests/istio/hold.py --record); a world that the model once got wrong stays as a case.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from istio import model, mutations
from istio.record import as_listeners

FOLDER = Path(__file__).parent / "istio_cases"
CASES = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*.yml"))}


def predicted(case):
    """Return what the model says of a case, as far as there is anything."""
    found = model.predicted(model.state_with(case["objects"]))
    return {pod: table for pod, table in found.items() if table}


@pytest.mark.parametrize("name", CASES)
def test_the_model_says_what_envoy_had(name):
    assert predicted(CASES[name]) == as_listeners(CASES[name]["envoy"])


@pytest.mark.parametrize("rule", mutations.MUTATIONS)
def test_a_rule_that_is_broken_is_noticed(rule):
    cases = [case for case in CASES.values() if rule in case["decided_by"]]
    assert cases
    with mutations.mutated(rule):
        assert all(predicted(case) != as_listeners(case["envoy"]) for case in cases)


def test_every_recorded_rule_is_still_one():
    assert {rule for case in CASES.values() for rule in case["decided_by"]} == set(mutations.MUTATIONS)
