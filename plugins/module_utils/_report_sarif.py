# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An audit as SARIF 2.1.0 (OASIS), which code scanners and CI systems show.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import CATALOGUE
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import COLLECTION

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def to_sarif(document: Mapping[str, Any], version: str = "") -> dict[str, Any]:
    """Return the findings as a SARIF log of one run; a cluster's object stands where a file would."""
    cluster = document["cluster"]["name"]
    codes = sorted({item["code"] for item in document["findings"]})
    driver: dict[str, Any] = {"name": COLLECTION, "rules": [_rule(code) for code in codes]}
    if version:
        driver["version"] = version
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                # The category under which a scanner keeps one cluster apart from another.
                "automationDetails": {"id": f"tcp-audit/{quote(cluster, safe='')}/"},
                "invocations": [{"executionSuccessful": True, "endTimeUtc": document["taken"]}],
                "results": [_result(item, cluster, codes) for item in document["findings"]],
            }
        ],
    }


def _rule(code: str) -> dict[str, Any]:
    rule = CATALOGUE[code]
    return {
        "id": code,
        "shortDescription": {"text": code.replace("_", " ").capitalize()},
        "help": {"text": rule.remedy},
        "defaultConfiguration": {"level": rule.severity},
    }


def _result(item: Mapping[str, Any], cluster: str, codes: list[str]) -> dict[str, Any]:
    subject = item["subject"]
    return {
        "ruleId": item["code"],
        "ruleIndex": codes.index(item["code"]),
        "level": item["severity"],
        "message": {"text": f"{item['message']} {item['remedy']}"},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": f"{quote(cluster, safe='')}/{quote(subject)}"}},
                "logicalLocations": [{"fullyQualifiedName": subject, "kind": "resource"}],
            }
        ],
        # What is the same finding from one audit to the next: its sentence names the objects, and no times.
        "partialFingerprints": {
            "subject/v1": hashlib.sha256(f"{cluster}\n{item['code']}\n{subject}".encode()).hexdigest()
        },
    }
