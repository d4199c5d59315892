# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's output: plain lines with the seconds since the start."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from kindlab.console import Console


@pytest.fixture
def clock() -> Iterator[float]:
    return iter((100.0, 101.0, 101.0, 113.4, 113.4))


def test_a_step_tells_its_beginning_its_estimate_and_its_time(clock: Iterator[float]) -> None:
    said = io.StringIO()
    with Console(said, clock.__next__).step("building", "about 40 s"):
        pass
    assert said.getvalue() == "[   1 s] building ... (about 40 s)\n[  13 s] building: 12 s\n"


def test_a_failed_step_does_not_claim_to_be_done(clock: Iterator[float]) -> None:
    said = io.StringIO()
    with pytest.raises(OSError, match="x"), Console(said, clock.__next__).step("building"):
        raise OSError("x")
    assert said.getvalue() == "[   1 s] building ...\n"


def test_choices_and_progress_are_one_line_each(clock: Iterator[float]) -> None:
    said = io.StringIO()
    console = Console(said, clock.__next__)
    console.choice("docker", "own", "none runs")
    console.progress("images", 3, 9, "pilot")
    assert said.getvalue() == "[   1 s] docker: own (none runs)\n[   1 s] images: 3 of 9, pilot\n"


def test_parts_without_a_known_count_are_plain_steps_with_minutes(clock: Iterator[float]) -> None:
    said = io.StringIO()
    with Console(said, clock.__next__).part("istio", 265):
        pass
    assert said.getvalue().splitlines()[0] == "[   1 s] istio ... (about 4 min)"
