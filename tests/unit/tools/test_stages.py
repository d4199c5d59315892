# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runner of the checks: what it selects, that a failure hides nothing, and how it counts."""

from __future__ import annotations

import os

import pytest
import stages
from stages import Result, Stage


def stage(name: str, run: str = "true", **more) -> Stage:
    return Stage(name=name, run=run, suites=("some",), **more)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "ROOT", tmp_path)
    monkeypatch.setattr(stages, "LOGS", tmp_path / "logs")
    return lambda *listed: stages.run_all(list(listed), dict(os.environ))


def test_a_failed_stage_does_not_hide_the_next(run):
    results = run(stage("bad", "exit 3"), stage("good"))

    assert [(result.name, result.verdict) for result in results] == [("bad", "failed"), ("good", "passed")]
    assert "exit code 3" in results[0].detail


def test_a_failure_in_the_middle_of_a_pipe_fails_the_stage(run):
    assert run(stage("pipe", "false | cat"))[0].verdict == "failed"


def test_what_needs_a_failed_stage_is_not_run_and_neither_is_what_needs_that(run, tmp_path):
    results = run(stage("lab", "false"), stage("one", f"touch {tmp_path}/ran", needs="lab"), stage("two", needs="one"))

    assert [result.verdict for result in results] == ["failed", "not run", "not run"]
    assert not (tmp_path / "ran").exists()


def test_a_need_that_is_not_in_the_suite_does_not_hold_a_stage_back(run):
    assert run(stage("alone", needs="lab"))[0].verdict == "passed"


def test_output_is_shown_and_kept(run, tmp_path, capfdbinary):
    run(stage("talk", "echo out; echo err >&2"))

    assert (tmp_path / "logs" / "talk.log").read_text() == "out\nerr\n"
    assert b"out\nerr\n" in capfdbinary.readouterr().out


def test_the_last_line_counts_what_was_not_run_as_failed():
    text = stages.summary([Result("a", "passed", 1.0), Result("b", "failed", 2.0), Result("c", "not run")])

    assert text.splitlines()[-1] == "1 passed, 2 failed"


def test_a_stage_for_each_folder_leaves_out_those_that_the_table_names(tmp_path):
    for name in ("expose", "demo"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "converge.yml").touch()
    table = [stage("molecule-demo", "special"), stage("molecule-{name}", "test {name}", each="*/converge.yml")]

    expanded = stages.expand(table, tmp_path)

    assert [(row.name, row.run) for row in expanded] == [
        ("molecule-demo", "special"),
        ("molecule-expose", "test expose"),
    ]


def test_an_unknown_suite_or_stage_is_refused_with_those_there_are():
    with pytest.raises(SystemExit, match="there are some"):
        stages.select([stage("a")], "other", [])
    with pytest.raises(SystemExit, match="it has a"):
        stages.select([stage("a")], "some", ["b"])


def test_every_need_in_the_table_names_a_stage_of_the_same_suites():
    table = stages.read_table(stages.TABLE.read_text())
    suites = {row.name: set(row.suites) for row in table}

    assert [row.name for row in table if row.needs and not set(row.suites) <= suites[row.needs]] == []
