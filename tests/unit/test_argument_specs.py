# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two places that say what a role takes, its argument specification and its defaults, agree."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = sorted(path.parents[1] for path in Path(__file__).parents[2].glob("roles/*/meta/argument_specs.yml"))
ALL_ROLES = sorted(path for path in (Path(__file__).parents[2] / "roles").iterdir() if path.is_dir())

each_role = pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)


def entry_points(role: Path) -> dict[str, Any]:
    return yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]


def options(role: Path) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for entry_point in entry_points(role).values():
        merged |= entry_point.get("options") or {}
    return merged


def defaults(role: Path) -> dict[str, Any]:
    return yaml.safe_load((role / "defaults" / "main.yml").read_text()) or {}


def walk(described: dict[str, Any], above: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every option, also the nested ones, with its path."""
    for name, option in described.items():
        yield above + name, option
        yield from walk(option.get("options") or {}, f"{above}{name}.")


def test_every_role_says_what_it_takes():
    assert ROLES
    assert ROLES == ALL_ROLES


@each_role
def test_defaults_are_those_of_the_specification(role):
    specified = {name: option["default"] for name, option in options(role).items() if "default" in option}

    assert defaults(role) == specified


@each_role
def test_what_has_no_default_is_named_in_the_defaults_all_the_same(role):
    text = (role / "defaults" / "main.yml").read_text()
    without = [name for name, option in options(role).items() if "default" not in option]

    assert [name for name in without if f"# {name}:" not in text] == []


@each_role
def test_every_argument_has_a_type_and_a_description(role):
    incomplete = [
        path for path, option in walk(options(role)) if not option.get("type") or not option.get("description")
    ]

    assert incomplete == []


@each_role
def test_every_entry_point_is_described_and_has_its_tasks(role):
    for name, entry_point in entry_points(role).items():
        assert entry_point.get("short_description"), name
        assert (role / "tasks" / f"{name}.yml").is_file(), name
