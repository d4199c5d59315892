# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests without clock and chance: the same examples everywhere, however slow the machine."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _settle
from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize=True, database=None)
settings.load_profile("house")


@pytest.fixture
def settle_clock(monkeypatch):
    """The clock of waits, which only sleeping moves."""
    now = SimpleNamespace(seconds=0.0)

    def sleep(seconds):
        now.seconds += seconds

    monkeypatch.setattr(_settle, "time", SimpleNamespace(monotonic=lambda: now.seconds, sleep=sleep))
    return now
