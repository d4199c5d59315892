# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages that are made from code are current, and the playbooks agree with the roles that they call."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import render_docs
import yaml
from ansible_collections.servicemesh.tcp.plugins.module_utils import _doors, _gateways, _limit_keys, _records, _tls

ROOT = Path(__file__).resolve().parents[2]
USES = render_docs.all_uses()


def role_defaults() -> dict[str, object]:
    """Return the defaults of all roles; their names do not overlap."""
    found: dict[str, object] = {}
    for path in ROOT.glob("roles/*/defaults/main.yml"):
        found |= yaml.safe_load(path.read_text())
    return found


@pytest.mark.parametrize("name", sorted(render_docs.PAGES))
def test_page_is_current(name: str) -> None:
    """Run tests/tools/render_docs.py where this fails."""
    assert (ROOT / name).read_text() == render_docs.PAGES[name]()


@pytest.mark.parametrize(
    "use",
    [use for use in USES if use.target in role_defaults()],
    ids=lambda use: f"{use.playbook}-{use.variable}-{use.target}",
)
def test_playbook_and_role_have_one_default(use: render_docs.Use) -> None:
    """A default that depends on the run (such as the inventory's name) stands where the role has none."""
    role = role_defaults()[use.target]
    assert role == use.default if use.literal else not role


def test_every_target_is_an_argument_of_a_role_or_of_every_module() -> None:
    """A misspelled argument would be a variable that nobody reads."""
    options = {use.target for use in USES if use.default == "omit"}
    targets = {use.target for use in USES if use.target} - options
    assert targets <= set(role_defaults())
    assert options == {"api_key", "ca_cert", "context", "host", "kubeconfig", "validate_certs"}


def test_every_inventory_variable_has_a_default() -> None:
    """A variable without one would stop a run whose inventory does not set it."""
    known = {use.variable for use in USES}
    texts = [path.read_text() for path in ROOT.glob("playbooks/*.yml")]
    named = {name for text in texts for name in re.findall(r"\{\{ \[?((?:tcp|echo|mesh|demo)_\w+)", text)}
    assert named == known


@pytest.mark.parametrize(
    ("argument", "prefix", "known", "built"),
    [
        ("expose_ports", "", _records.RECORD_KEYS, _records.RECORD_BUILT),
        ("expose_ports", "service.", _doors.SERVICE_KEYS, _doors.SERVICE_BUILT),
        ("expose_ports", "probe.", _records.PROBE_KEYS, _records.PROBE_KEYS),
        ("expose_ports", "tls.", _tls.TLS_KEYS, _tls.TLS_KEYS),
        ("gateways_definitions", "", _gateways.GATEWAY_KEYS, _gateways.GATEWAY_BUILT),
        ("gateways_definitions", "service.", _gateways.SERVICE_KEYS, _gateways.SERVICE_BUILT),
        ("gateways_definitions", "service.limits.", _limit_keys.LIMIT_KEYS, _limit_keys.LIMIT_KEYS),
    ],
)
def test_manual_has_every_key(argument: str, prefix: str, known: frozenset[str], built: frozenset[str]) -> None:
    """Each key that is built has a paragraph; each other one is among those that are refused."""
    *paragraphs, planned = render_docs.arguments()[argument]["description"]
    explained = {match[1] for text in paragraphs if (match := re.match(rf"C\({re.escape(prefix)}(\w+)\) \(", text))}
    refused = set(re.findall(rf"C\({re.escape(prefix)}([a-z_]+)\)", planned))
    assert "KEY_NOT_BUILT" in planned
    assert explained == built
    assert refused == known - built


def test_manuals_name_codes_of_the_catalogue() -> None:
    """A code that a manual names can be looked up."""
    manuals = [*ROOT.glob("roles/*/meta/argument_specs.yml"), *ROOT.glob("plugins/filter/*.yml")]
    named = {code for path in manuals for code in re.findall(r"C\(([A-Z]+_[A-Z_]+)\)", path.read_text())}
    assert named <= set(render_docs.catalogue())


@pytest.mark.parametrize(
    ("markup", "markdown"),
    [
        ("O(servicemesh.tcp.expose#role:main:expose_set)", "`expose_set`"),
        ("V(present), P(servicemesh.tcp.gateways#role) and C(X_Y)", "`present`, `servicemesh.tcp.gateways` and `X_Y`"),
        ("(V(required), otherwise C(A))", "(`required`, otherwise `A`)"),
    ],
)
def test_markup_becomes_markdown(markup: str, markdown: str) -> None:
    """Only what the manuals use is known."""
    assert render_docs.plain_markup(markup) == markdown


def test_an_expression_is_no_literal_default() -> None:
    """The inner default of a nested one belongs to no inventory variable."""
    (use,) = render_docs.uses_in("x", "{{ tcp_source | default(job | default('none')) }}", "expose_source")
    assert (use.default, use.literal) == ("job | default('none')", False)


def test_two_defaults_for_one_variable_are_refused() -> None:
    """One row cannot show both."""
    uses = [use for default in (1, 2) for use in render_docs.uses_in("x", f"{{{{ tcp_x | default({default}) }}}}")]
    with pytest.raises(ValueError, match="tcp_x has two defaults: 1 and 2"):
        render_docs.rows_of(uses)
