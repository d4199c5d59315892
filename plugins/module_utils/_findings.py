# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of findings: every code with its severity, its sentence and its remedy.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import (
    _rules_audit,
    _rules_backends,
    _rules_doors,
    _rules_hops,
    _rules_http,
    _rules_mesh,
    _rules_operators,
    _rules_ports,
    _rules_tls,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._rule import Rule

# docs/findings.md is made from this table; a code keeps its meaning for ever.
PARTS = (
    _rules_audit,
    _rules_backends,
    _rules_doors,
    _rules_hops,
    _rules_http,
    _rules_mesh,
    _rules_operators,
    _rules_ports,
    _rules_tls,
)
CATALOGUE: Mapping[str, Rule] = dict(sorted(item for part in PARTS for item in part.RULES.items()))


class Stopped(Exception):
    """What our own check does not let through, with its finding."""

    def __init__(self, found: dict[str, str]) -> None:
        super().__init__(found["message"])
        self.finding = found


def finding(code: str, subject: str, **values: Any) -> dict[str, str]:
    """Make one finding: the subject is what people look for first (a record, a gateway, an object, a set)."""
    rule = CATALOGUE[code]
    sentence, remedy = rule.sentence.format(**values), rule.remedy.format(**values)
    # The API server's own words come without a full stop.
    if sentence[-1] not in ".?!":
        sentence += "."
    return {
        "code": code,
        "severity": rule.severity,
        "subject": subject,
        "message": f"{subject}: {sentence}",
        "remedy": remedy,
    }


def errors(findings: Iterable[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """Return the findings that stop a run."""
    return [item for item in findings if item["severity"] == "error"]


def render(findings: Iterable[Mapping[str, str]]) -> str:
    """Return findings as people read them: code, sentence, remedy."""
    return "\n".join(f"{item['code']} {item['message']} {item['remedy']}" for item in findings)
