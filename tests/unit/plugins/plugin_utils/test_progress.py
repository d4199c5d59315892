# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module writes while it runs is shown while it runs, and not what comes after."""

from __future__ import annotations

import time

from ansible_collections.servicemesh.tcp.plugins.plugin_utils import _progress


def until(seen, count):
    """Wait a little for lines to be shown."""
    deadline = time.monotonic() + 5
    while len(seen) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    return seen


def test_lines_are_shown_as_they_come(tmp_path, monkeypatch):
    monkeypatch.setattr(_progress, "POLL_SECONDS", 0.01)
    path, seen = tmp_path / "progress", []
    path.touch()
    with path.open() as reading, path.open("a") as writing, _progress.Shown(reading, seen.append):
        writing.write("one\ntwo\n")
        writing.flush()
        assert until(seen, 2) == ["one", "two"]
        writing.write("three\n")
        writing.flush()
        assert until(seen, 3) == ["one", "two", "three"]
