# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab asks of a machine, and the words it uses when that is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from kindlab import preflight
from kindlab.console import LabError
from kindlab.preflight import Machine, judge

GOOD = Machine(
    system="Linux",
    architecture="x86_64",
    root=True,
    programs=frozenset(preflight.PROGRAMS),
    controllers=frozenset(preflight.CONTROLLERS),
    cgroup_v1=False,
    free_memory=8.0,
    free_disk=20.0,
    warm=False,
)


def test_a_good_machine_is_good() -> None:
    assert judge(GOOD, api_only=False) == []
    assert judge(GOOD, api_only=True) == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"architecture": "aarch64"}, "aarch64"),
        ({"system": "Darwin"}, "Darwin"),
        ({"root": False}, "root"),
        ({"programs": frozenset(preflight.PROGRAMS) - {"nsenter"}}, "util-linux"),
        ({"controllers": frozenset({"cpu", "cpuset", "pids"})}, "memory"),
        ({"free_memory": 2.9}, "2.9 GB"),
        ({"free_disk": 7.9}, "7.9 GB"),
        ({"free_disk": 2.9, "warm": True}, "2.9 GB"),
    ],
)
def test_what_is_missing_is_named_alone(change: dict[str, object], word: str) -> None:
    found = judge(replace(GOOD, **change), api_only=False)
    assert len(found) == 1
    assert word in found[0][0]
    assert found[0][1]


def test_a_warm_cache_needs_less_disk() -> None:
    assert judge(replace(GOOD, free_disk=4.0, warm=True), api_only=False) == []


def test_api_only_needs_no_root_no_cgroups_and_little_memory() -> None:
    small = replace(GOOD, root=False, controllers=frozenset(), programs=frozenset(), free_memory=1.0, free_disk=3.5)
    assert judge(small, api_only=True) == []


def test_everything_that_is_missing_is_said_at_once() -> None:
    with pytest.raises(LabError) as caught:
        preflight.check(replace(GOOD, root=False, free_memory=0.5), api_only=False)
    assert "root" in caught.value.message
    assert "memory" in caught.value.message
