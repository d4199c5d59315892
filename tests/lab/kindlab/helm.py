# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helm and Istio's charts, for labs that are asked for them: `lab up --with helm`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from . import artifacts, cache, programs
from .console import Console
from .paths import LabPaths
from .state import LabState

NAME = "helm"


def split(asked: Iterable[str]) -> tuple[bool, list[str]]:
    """Whether Helm is among what was asked for, and everything else."""
    words = [word.strip() for option in asked for word in option.split(",") if word.strip()]
    return NAME in words, [word for word in words if word != NAME]


def chart_values(settings: Mapping[str, str]) -> dict[str, Any]:
    """Return what istioctl is given with --set as values of the charts, which know no profile but the empty one."""
    values: dict[str, Any] = {}
    for key, value in settings.items():
        path = {"hub": ["global", "hub"], "tag": ["global", "tag"]}.get(key, key.split(".")[1:])
        if path:
            place = values
            for part in path[:-1]:
                place = place.setdefault(part, {})
            # Elsewhere than in an environment the text "false" would be true.
            place[path[-1]] = value == "true" if value in ("true", "false") and "env" not in path else value
    return values


def write_values(paths: LabPaths, settings: Mapping[str, str]) -> None:
    """Write the values with which the charts run the lab's own images, for who installs them here."""
    (paths.state_dir / "istio-values.json").write_text(json.dumps(chart_values(settings), indent=1) + "\n")


def ensure(paths: LabPaths, state: LabState, console: Console) -> None:
    """Put `helm` on the lab's PATH, and link the program and the charts into the lab's folder."""
    charts = programs.charts_part()
    artifacts.announce(console, [*artifacts.program_parts((NAME,)), charts])
    program = artifacts.ensure_programs(console, (NAME,))[NAME]
    for link, target in (("helm", program), ("charts", cache.entry(charts, console) / "charts")):
        place = paths.state_dir / link
        place.unlink(missing_ok=True)
        place.symlink_to(target)
    if str(program.parent) not in state.path.split(":"):
        state.path = f"{program.parent}:{state.path}"
