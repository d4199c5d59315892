#!/usr/bin/env python3
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a suite of checks one after the other, whatever the earlier ones say, and sum them up.

Each stage's output is shown as it comes and kept in .cache/stages/<stage>.log. The last line is
"N passed, N failed"; the exit code is 0 only when all passed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).with_name("stages.toml")
LOGS = ROOT / ".cache" / "stages"


@dataclass(frozen=True)
class Stage:
    """One check: a shell command and the stage without which it cannot succeed."""

    name: str
    run: str
    suites: tuple[str, ...]
    needs: str = ""
    each: str = ""


@dataclass(frozen=True)
class Result:
    """What became of a stage; ``verdict`` is passed, failed, or not run."""

    name: str
    verdict: str
    seconds: float = 0.0
    detail: str = ""


def read_table(text: str) -> list[Stage]:
    """Return the stages of a table; an unknown or missing key is an error."""
    return [Stage(**{**row, "suites": tuple(row["suites"])}) for row in tomllib.loads(text)["stage"]]


def expand(stages: Iterable[Stage], root: Path) -> list[Stage]:
    """Put one stage for each match in the place of a stage with a glob, leaving out names that are there already."""
    expanded: dict[str, Stage] = {}
    for stage in stages:
        folders = sorted(match.parent.name for match in root.glob(stage.each)) if stage.each else [""]
        for folder in folders:
            name = stage.name.replace("{name}", folder)
            expanded.setdefault(name, replace(stage, name=name, run=stage.run.replace("{name}", folder), each=""))
    return list(expanded.values())


def select(stages: list[Stage], suite: str, only: list[str]) -> list[Stage]:
    """Return the stages of a suite, or those of them that ``only`` names."""
    chosen = [stage for stage in stages if suite in stage.suites]
    unknown = set(only) - {stage.name for stage in chosen}
    if not chosen:
        known = sorted({name for stage in stages for name in stage.suites})
        raise SystemExit(f"stages: there is no suite {suite!r}; there are {', '.join(known)}")
    if unknown:
        names = ", ".join(stage.name for stage in chosen)
        raise SystemExit(f"stages: {suite} has no stage {', '.join(sorted(unknown))}; it has {names}")
    return [stage for stage in chosen if not only or stage.name in only]


def execute(stage: Stage, environment: dict[str, str]) -> int:
    """Run one stage, copy its output to the terminal and to its log, and return its exit code."""
    LOGS.mkdir(parents=True, exist_ok=True)
    command = ["bash", "-euo", "pipefail", "-c", stage.run]
    with (
        (LOGS / f"{stage.name}.log").open("wb") as log,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        while chunk := process.stdout.read1():
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
            log.write(chunk)
    return process.returncode


def run_all(stages: list[Stage], environment: dict[str, str]) -> list[Result]:
    """Run the stages in order; one whose need failed is not run."""
    results: dict[str, Result] = {}
    for number, stage in enumerate(stages, 1):
        need = results.get(stage.needs)
        if need and need.verdict != "passed":
            results[stage.name] = Result(stage.name, "not run", detail=f"it needs {stage.needs}, which {need.verdict}")
            continue
        print(f"\n=== {number} of {len(stages)}: {stage.name}", flush=True)
        started = time.monotonic()
        code = execute(stage, environment)
        seconds = time.monotonic() - started
        verdict = "failed" if code else "passed"
        detail = f"exit code {code}, see {(LOGS / stage.name).relative_to(ROOT)}.log" if code else ""
        results[stage.name] = Result(stage.name, verdict, seconds, detail)
        print(f"=== {stage.name}: {verdict}, {seconds:.0f} s", flush=True)
    return list(results.values())


def summary(results: list[Result]) -> str:
    """Return the table of results; what was not run counts as failed."""
    width = max(len(result.name) for result in results)
    lines = [
        f"{result.name:{width}}  {result.seconds:6.1f} s  {result.verdict:7}  {result.detail}" for result in results
    ]
    passed = sum(result.verdict == "passed" for result in results)
    total = sum(result.seconds for result in results)
    lines.append(f"{'together':{width}}  {total:6.1f} s")
    return "\n".join(line.rstrip() for line in lines) + f"\n{passed} passed, {len(results) - passed} failed"


def environment_of(root: Path) -> dict[str, str]:
    """Return the environment of the stages: the tools of .venv first, plain output, and the lab left up."""
    path = f"{root / '.venv' / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    python = os.environ.get("PYTHON", "python3")
    settings = {"PATH": path, "PYTHON": python, "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", "TCP_LAB_KEEP": "1"}
    return {**os.environ, **settings}


def main() -> int:
    """Run the suite that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", help="fast, lint, test, all, core-2.16")
    parser.add_argument("--only", action="append", default=[], metavar="STAGE", help="run this one alone (repeatable)")
    arguments = parser.parse_args()
    stages = select(expand(read_table(TABLE.read_text()), ROOT), arguments.suite, arguments.only)
    results = run_all(stages, environment_of(ROOT))
    print(f"\n{summary(results)}", flush=True)
    return 0 if all(result.verdict == "passed" for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
