# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/seeds.md names only what is there: files, headings, variables, keys of records and of gateways."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import render_docs
from ansible_collections.servicemesh.tcp.plugins.module_utils import _doors, _gateways, _records

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "seeds.md"
TEXT = PAGE.read_text()
LINKS = sorted(set(re.findall(r"\]\(([^)\s]+)\)", TEXT)))
VARIABLES = sorted(set(re.findall(r"`((?:tcp|mesh|echo|demo)_\w+)", TEXT)))
# A key with or without a value, at the beginning of a span.
KEYS = sorted(
    set(re.findall(r"`(backends?|door|fix_protocol|hosts|node_port|probe|protocol|subset|tls|weight)\b", TEXT))
)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("link", LINKS)
def test_a_link_leads_somewhere(link: str) -> None:
    path, _hash, anchor = link.partition("#")
    target = (PAGE.parent / path).resolve() if path else PAGE
    assert target.exists()
    if anchor:
        assert anchor in anchors(target)


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_is_one_of_the_playbooks(name: str) -> None:
    # What a run leaves behind is no variable that it takes.
    assert name in {use.variable for use in render_docs.all_uses()} | {"tcp_endpoints"}


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_one_of_a_record(key: str) -> None:
    assert key in _records.RECORD_KEYS | {"subset", "weight"}


def rows() -> Iterator[tuple[str, str]]:
    """Return the second and the last cell of every row of the seeds' tables."""
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 3 and cells[0] != "by hand" and set(cells[0]) != {"-"}:
            yield cells[1], cells[2]


def test_every_row_has_a_proof_or_says_that_there_is_none() -> None:
    found = list(rows())
    assert len(found) > 50
    for here, proof in found:
        assert "](" in proof or "not covered" in here + proof or "unit tests only" in proof or "every molecule" in proof


def test_what_is_built_is_not_called_missing() -> None:
    """The other way round from KEY_NOT_BUILT: a row of a key is changed with the key."""
    for here, proof in rows():
        named = re.match(r"`(\w+): (\w+)`", here)
        if proof == "not covered yet" and named:
            key, value = named.groups()
            assert value not in _doors.DOORS if key == "door" else key not in _records.RECORD_BUILT, here


def test_gateways_have_the_keys_that_are_named() -> None:
    named = re.findall(r"`(owner|service): [^`]+` of a gateway", TEXT)
    assert named
    assert set(named) <= _gateways.GATEWAY_KEYS
