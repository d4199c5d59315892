# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's cache: keys follow their inputs, unfinished builds do not count, two builders build once."""

from __future__ import annotations

import fcntl
import io
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kindlab import cache
from kindlab.cache import Part
from kindlab.console import Console

Build = Callable[[Path, Path, Console], None]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCP_LAB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def console() -> Console:
    return Console(io.StringIO())


def _write(text: str, calls: list[str] | None = None) -> Build:
    def build(folder: Path, log: Path, console: Console) -> None:
        if calls is not None:
            calls.append(text)
        (folder / "file").write_text(text)

    return build


def _part(name: str = "thing", version: str = "1", build: Build | None = None, **links: tuple[Part, ...]) -> Part:
    return Part(name, name, 1, {"version": version}, build or _write(version), **links)


def test_root_is_where_the_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TCP_LAB_CACHE", "/somewhere/else")
    assert cache.root() == Path("/somewhere/else")
    monkeypatch.setenv("TCP_LAB_CACHE", "")
    assert cache.root() == Path.home() / ".cache/servicemesh-tcp-lab"


def test_key_follows_every_input_and_not_their_order() -> None:
    assert cache.key({"a": 1, "b": 2}) == cache.key({"b": 2, "a": 1})
    assert cache.key({"a": 1, "b": 2}) != cache.key({"a": 1, "b": 3})
    assert cache.key({"a": ["x", "y"]}) != cache.key({"a": ["xy"]})


def test_a_changed_need_changes_the_key_and_a_changed_tool_does_not() -> None:
    plain = _part(needs=(_part("lower", "1"),), tools=(_part("tool", "1"),))
    assert plain.key != _part(needs=(_part("lower", "2"),), tools=(_part("tool", "1"),)).key
    assert plain.key == _part(needs=(_part("lower", "1"),), tools=(_part("tool", "2"),)).key


def test_file_digests_follow_names_and_contents(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one/a").write_text("x")
    before = cache.file_digests(tmp_path / "one")
    (tmp_path / "one/a").write_text("y")
    changed = cache.file_digests(tmp_path / "one")
    (tmp_path / "one/a").rename(tmp_path / "one/b")
    assert before.keys() == {"a"}
    assert before != changed
    assert cache.file_digests(tmp_path / "one").keys() == {"b"}


def test_a_finished_entry_is_not_built_again(console: Console) -> None:
    calls: list[str] = []
    first = cache.entry(_part(build=_write("x", calls)), console)
    second = cache.entry(_part(build=_write("x", calls)), console)
    assert first == second
    assert (first / "file").read_text() == "x"
    assert calls == ["x"]


def test_an_interrupted_build_is_not_taken_and_starts_from_an_empty_folder(console: Console) -> None:
    def interrupted(folder: Path, log: Path, console: Console) -> None:
        (folder / "leftover").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.entry(_part(build=interrupted), console)
    assert not _part().built
    assert sorted(path.name for path in cache.entry(_part(), console).iterdir()) == ["file"]


def test_needs_and_tools_are_built_first(console: Console) -> None:
    calls: list[str] = []
    tool = _part("tool", build=_write("tool", calls))
    lower = _part("lower", build=_write("lower", calls), tools=(tool,))
    cache.entry(_part("upper", build=_write("upper", calls), needs=(lower,), tools=(tool,)), console)
    assert calls == ["tool", "lower", "upper"]


def test_cold_lists_each_missing_part_once_after_what_it_needs(console: Console) -> None:
    shared, done = _part("shared"), _part("done")
    left, right = _part("left", needs=(shared, done)), _part("right", needs=(shared,))
    cache.entry(done, console)
    assert [part.name for part in cache.cold([left, right])] == ["shared", "left", "right"]


def test_what_a_finished_part_needed_is_not_cold(console: Console) -> None:
    lower = _part("lower")
    upper = _part("upper", needs=(lower,))
    upper.place.mkdir(parents=True)
    assert cache.cold([upper]) == []


def test_the_second_builder_waits_says_for_whom_and_takes_the_result() -> None:
    said, calls = io.StringIO(), []
    part = _part(build=_write("mine", calls))
    lock = cache.root() / "locks" / part.place.name
    lock.parent.mkdir(parents=True)
    with lock.open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        holder.write("4711")
        holder.flush()
        waiter = threading.Thread(target=cache.entry, args=(part, Console(said)))
        waiter.start()
        deadline = time.monotonic() + 5
        while "4711" not in said.getvalue() and time.monotonic() < deadline:
            time.sleep(0.001)
        part.place.mkdir()
        (part.place / "file").write_text("theirs")
    waiter.join(5)
    assert "process 4711 is building it" in said.getvalue()
    assert (part.place / "file").read_text() == "theirs"
    assert calls == []


def test_a_strict_umask_does_not_reach_the_entry(console: Console) -> None:
    before = os.umask(0o077)
    try:
        place = cache.entry(_part(), console)
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    assert (place / "file").stat().st_mode & 0o777 == 0o644


def test_parts_are_numbered_once_their_count_is_known() -> None:
    said = io.StringIO()
    console = Console(said)
    console.expect(2)
    lower = _part("lower")
    cache.entry(_part("upper", needs=(lower,)), console)
    begun = re.findall(r"part \d of \d: \w+ \.\.\.", said.getvalue())
    assert begun == ["part 1 of 2: lower ...", "part 2 of 2: upper ..."]
