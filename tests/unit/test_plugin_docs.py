# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every module and filter has a manual whose examples are YAML and call it by its full name."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PARTS = ("DOCUMENTATION", "EXAMPLES", "RETURN")
MODULES = sorted(path for path in (ROOT / "plugins" / "modules").glob("*.py") if path.stem != "__init__")
FILTERS = sorted(path for path in (ROOT / "plugins" / "filter").glob("*.py") if path.stem != "__init__")

each_module = pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
each_filter = pytest.mark.parametrize("plugin", FILTERS, ids=lambda path: path.stem)


def manual_of_module(path: Path) -> dict[str, str]:
    """Return the texts that a module assigns to the names that Ansible reads, without running it."""
    texts = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in PARTS:
            texts[node.targets[0].id] = ast.literal_eval(node.value)
    return texts


def manual_of_filter(path: Path) -> dict[str, Any]:
    """Return a filter's manual from the file beside it."""
    sidecar = path.with_suffix(".yml")
    return yaml.safe_load(sidecar.read_text()) if sidecar.is_file() else {}


def test_there_is_something_to_check():
    assert MODULES
    assert FILTERS


@each_module
def test_module_has_a_whole_manual(module):
    manual = manual_of_module(module)

    assert tuple(manual) == PARTS
    assert yaml.safe_load(manual["DOCUMENTATION"])["module"] == module.stem
    assert yaml.safe_load(manual["RETURN"])


@each_module
def test_examples_of_a_module_are_tasks_that_call_it(module):
    tasks = yaml.safe_load(manual_of_module(module)["EXAMPLES"])

    assert any(f"servicemesh.tcp.{module.stem}" in task for task in tasks)


@each_filter
def test_filter_has_a_whole_manual(plugin):
    manual = manual_of_filter(plugin)

    assert sorted(manual) == sorted(PARTS)
    assert manual["DOCUMENTATION"]["name"] == plugin.stem
    assert "_value" in manual["RETURN"]


@each_filter
def test_examples_of_a_filter_are_yaml_that_uses_it(plugin):
    examples = manual_of_filter(plugin)["EXAMPLES"]

    assert yaml.safe_load(examples)
    assert f"servicemesh.tcp.{plugin.stem}" in examples


@each_filter
def test_a_file_holds_the_filter_that_it_is_named_after(plugin):
    loaded = importlib.import_module(f"ansible_collections.servicemesh.tcp.plugins.filter.{plugin.stem}")

    assert list(loaded.FilterModule().filters()) == [plugin.stem]


def test_the_action_group_holds_every_module():
    """One module_defaults entry hands the connection to all of them."""
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())

    assert runtime["action_groups"]["tcp"] == [path.stem for path in MODULES]
