#!/usr/bin/env python3
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write docs/findings.md (from the catalogue) and docs/variables.md (from the playbooks), or check them."""

from __future__ import annotations

import argparse
import importlib
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import yaml
from jinja2 import nodes

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = "ansible_collections.servicemesh.tcp.plugins.module_utils._findings"
# What an inventory variable's name begins with; everything else in a template is the playbook's own affair.
PREFIXES = ("tcp_", "echo_", "mesh_", "demo_")
# Variables that no role takes, so that no role's manual says what they are.
MEANINGS: Mapping[str, str] = {
    "demo_state": "Whether the demo is set up (`present`), or taken down (`absent`).",
    "mesh_namespace_state": "Whether the namespaces of operators and control plane must be there (`required`, otherwise"
    " `NAMESPACE_MISSING`), or are made where they are missing, and removed with `mesh_state: absent` (`present`).",
    "mesh_state": "Whether operators, control plane and members are installed (`present`), or removed in reverse"
    " (`absent`).",
    "mesh_wait_timeout": "Seconds to wait for the operators, in each of their two phases, and for the control plane.",
    "tcp_api_key": "The token to log in with.",
    "tcp_ca_cert": "The file with the certificate authority of the API server.",
    "tcp_context": "The context of the kubeconfig.",
    "tcp_host": "The URL of the API server.",
    "tcp_kubeconfig": "The path of the kubeconfig.",
    "tcp_verify_ssl": "Whether the API server's certificate is checked.",
}
HEADER = "<!-- Made by tests/tools/render_docs.py; run it instead of editing this file. -->\n\n"


@dataclass(frozen=True)
class Use:
    """One place of a playbook that reads an inventory variable; what is not C(literal) is an expression."""

    playbook: str
    variable: str
    default: Any
    literal: bool
    # The role argument or module option that it is handed to, '' where it is neither.
    target: str = ""


@dataclass
class Row:
    """One inventory variable, in all playbooks together."""

    variable: str
    default: Any
    literal: bool
    targets: list[str] = field(default_factory=list)
    playbooks: list[str] = field(default_factory=list)


def catalogue() -> Mapping[str, Any]:
    """Import the catalogue from this checkout; it imports nothing of Ansible."""
    sys.path.insert(0, str(ROOT / "playbooks" / "collections"))
    return importlib.import_module(CATALOGUE).CATALOGUE


def plain_sentence(text: str) -> str:
    """Show the places where a sentence's values go: C({gateway!r}) as C('GATEWAY')."""
    text = text.replace("{hint}", "")
    text = re.sub(r"\{(\w+)!r\}", lambda match: f"'{match[1].upper()}'", text)
    return re.sub(r"\{(\w+)\}", lambda match: match[1].upper(), text)


def findings_page() -> str:
    """Return docs/findings.md."""
    lines = [
        "# Findings",
        "",
        "What a run has to say of your input and of the cluster. A code keeps its meaning for ever.",
        "An `error` stops the run before anything is written; a `warning` does not stop it.",
        "A `HOP_` code is the verdict on a port whose proof failed after the write, see [proof.md](proof.md).",
        "An `error` stops the run before anything is written; a `warning` does not stop it. An audit writes nothing:",
        "there an `error` is what clients run into now, and `tcp_audit_fail_on` says what it fails for.",
        "Every message begins with what it is about: a record, a gateway, an object, a set.",
        "Words in capitals stand for the names and numbers of your case.",
        "",
    ]
    for code, rule in sorted(catalogue().items()):
        lines += [f"## {code}", ""]
        lines += [f"- Severity: `{rule.severity}`"]
        lines += [f"- Message: {plain_sentence(rule.sentence)}", f"- Remedy: {plain_sentence(rule.remedy)}", ""]
    return HEADER + "\n".join(lines)


def uses_in(playbook: str, template: str, target: str = "") -> Iterator[Use]:
    """Find the inventory variables that a template reads, each with its default."""
    tree = jinja2.Environment().parse(template)
    for filtered in tree.find_all(nodes.Filter):
        name = filtered.node.name if isinstance(filtered.node, nodes.Name) else ""
        if filtered.name != "default" or not name.startswith(PREFIXES):
            continue
        try:
            value, literal = filtered.args[0].as_const(), True
        except nodes.Impossible:
            value, literal = re.search(rf"{name} \| default\((.*)\)", template)[1], False
        yield Use(playbook, name, value, literal, target)


def strings_in(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Walk a YAML value and yield each text with the key that it stands under."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from strings_in(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from strings_in(item, key)


def playbook_uses(path: Path) -> list[Use]:
    """Find every use of an inventory variable in one playbook."""
    found: list[Use] = []
    for play in yaml.safe_load(path.read_text()):
        passed = {key: list(uses_in(path.stem, text, key)) for key, text in strings_in(play.get("vars", {}))}
        for key, text in strings_in(play):
            target = "" if "." in key else key
            found += uses_in(path.stem, text, target)
            # A role's argument that is handed on to another role.
            handed_on = re.fullmatch(r"\{\{ (\w+) \}\}", text)
            for use in passed.get(handed_on[1], []) if handed_on else []:
                found.append(Use(use.playbook, use.variable, use.default, use.literal, key))
    return found


def all_uses() -> list[Use]:
    """Find every use in all playbooks."""
    return [use for path in sorted((ROOT / "playbooks").glob("*.yml")) for use in playbook_uses(path)]


def rows_of(uses: Iterable[Use]) -> list[Row]:
    """Put the uses of each variable together; two defaults for one variable are an error."""
    rows: dict[str, Row] = {}
    for use in uses:
        row = rows.setdefault(use.variable, Row(use.variable, use.default, use.literal))
        if row.default != use.default:
            raise ValueError(f"{use.variable} has two defaults: {row.default!r} and {use.default!r}")
        if use.target and use.target not in row.targets:
            row.targets.append(use.target)
        if use.playbook not in row.playbooks:
            row.playbooks.append(use.playbook)
    return [rows[name] for name in sorted(rows)]


def arguments() -> dict[str, dict[str, Any]]:
    """Return every role argument with its specification."""
    found = {}
    for path in sorted((ROOT / "roles").glob("*/meta/argument_specs.yml")):
        for entry_point in yaml.safe_load(path.read_text())["argument_specs"].values():
            found |= entry_point["options"]
    return found


def plain_markup(text: str) -> str:
    """Turn Ansible's semantic markup into Markdown: C(O(a.b.c#role:main:x)) as C(`x`)."""

    def replace(match: re.Match[str]) -> str:
        kind, content = match.groups()
        name = content.split(":")[-1] if kind in ("O", "RV") else content.split("#")[0]
        return f"`{name}`"

    return re.sub(r"\b(RV|C|V|O|M|P)\(([^()]*)\)", replace, text)


def _default(row: Row) -> str:
    """Show a default as it is written in YAML."""
    if row.default == "omit":
        return "not set"
    if not row.literal or (row.default and isinstance(row.default, str)):
        return f"`{row.default}`"
    return f"`{json.dumps(row.default)}`"


def _meanings(rows: Iterable[Row]) -> dict[str, str]:
    """Say of each variable what its role argument's manual says first, with the variables' names in it."""
    known = arguments()
    variable_of = {target: row.variable for row in rows for target in row.targets}
    found = {}
    for row in rows:
        text = MEANINGS.get(row.variable) or plain_markup(known[row.targets[0]]["description"][0])
        found[row.variable] = re.sub(r"`(\w+)`", lambda match: f"`{variable_of.get(match[1], match[1])}`", text)
    return found


def _table(rows: Iterable[Row], meanings: Mapping[str, str]) -> list[str]:
    """Return a Markdown table of variables."""
    lines = ["| variable | meaning | default | handed to | playbooks |", "|---|---|---|---|---|"]
    for row in rows:
        targets, playbooks = (", ".join(f"`{name}`" for name in names) for names in (row.targets, row.playbooks))
        cells = [f"`{row.variable}`", meanings[row.variable], _default(row), targets, playbooks]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return lines


def variables_page() -> str:
    """Return docs/variables.md."""
    rows = rows_of(all_uses())
    meanings = _meanings(rows)
    connection = [row for row in rows if row.default == "omit"]
    others = [row for row in rows if row not in connection]
    lines = [
        "# Variables of the playbooks",
        "",
        "Set them in the inventory, for a host (which is one cluster) or a group, or with `-e`.",
        "Each is handed to role arguments, whose manuals say more: `ansible-doc -t role servicemesh.tcp.expose`, or",
        "[expose](../roles/expose/meta/argument_specs.yml), [gateways](../roles/gateways/meta/argument_specs.yml),",
        "[audit](../roles/audit/meta/argument_specs.yml) and",
        "[echo_server](../roles/echo_server/meta/argument_specs.yml).",
        "",
        "## The cluster",
        "",
        "Every module takes these as its options. What is not set is left out, so that the environment counts",
        "(`K8S_AUTH_*`, or a credential of AWX), or else the current kubeconfig.",
        "",
        *_table(connection, meanings),
    ]
    for prefix, title in (
        ("tcp_", "TCP ports"),
        ("mesh_", "The mesh"),
        ("echo_", "Echo servers"),
        ("demo_", "The demo"),
    ):
        lines += ["", f"## {title}", "", *_table([row for row in others if row.variable.startswith(prefix)], meanings)]
    return HEADER + "\n".join(lines) + "\n"


PAGES = {"docs/findings.md": findings_page, "docs/variables.md": variables_page}


def main() -> int:
    """Write the pages; with --check only say which are not current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is not current")
    check = parser.parse_args().check
    stale = 0
    for name, page in PAGES.items():
        path, text = ROOT / name, page()
        if path.is_file() and path.read_text() == text:
            continue
        stale += 1
        if check:
            print(f"{name} is not current; run tests/tools/render_docs.py")
        else:
            path.write_text(text)
            print(f"{name} is written")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
