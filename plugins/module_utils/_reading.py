# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read single values that people write, and gather findings about what is wrong with them.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding

# Kubernetes' rule for namespaces, Services and label-like names (RFC 1123 label).
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
DNS_LABEL_RULE = "it must be 1 to 63 lower-case letters, digits or '-', and begin and end with a letter or digit"


class Problems:
    """Findings about one subject, gathered while it is read."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.findings: list[dict[str, str]] = []

    def add(self, code: str, **values: Any) -> None:
        """Add one finding about the subject."""
        self.findings.append(finding(code, self.subject, **values))

    def invalid(self, key: str, value: Any, rule: str) -> None:
        """Add C(VALUE_INVALID)."""
        self.add("VALUE_INVALID", key=key, value=value, rule=rule)


def words(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


def suggestion(word: str, known: Iterable[str]) -> str:
    """Ask for the known word that is nearest: C(did you mean 'backend'?), '' where none is near."""
    match = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.5)
    return f"did you mean {match[0]!r}?" if match else ""


def to_port(value: Any) -> int | None:
    """Read a port written as number or text; V(None) where it is neither."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*-?\d{1,9}\s*", value):
        return int(value)
    return None


def is_reserved(port: int) -> bool:
    """Tell whether Istio keeps a port for itself (istio.io "Application requirements": 15000 to 15090)."""
    return 15000 <= port <= 15099


def to_number(value: Any) -> float | None:
    """Read a number above 0 written as number or text; V(None) where it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 < number < math.inf else None


def check_port(problems: Problems, key: str, value: Any, low: int = 1, high: int = 65535) -> int | None:
    """Read a port and check its range."""
    port = to_port(value)
    if port is None:
        problems.invalid(key, value, "a port is a whole number")
        return None
    if not low <= port <= high:
        problems.add("PORT_OUT_OF_RANGE", key=key, port=port, allowed=f"{low} to {high}")
        return None
    return port


def check_keys(
    problems: Problems, where: str, given: Mapping[str, Any], known: Iterable[str], built: Iterable[str]
) -> None:
    """Refuse keys that are not known, with the nearest one that is, and keys that are not built yet."""
    for key in given:
        if key not in known:
            meant = suggestion(str(key), known) or f"known are {', '.join(sorted(known))}."
            problems.add("KEY_UNKNOWN", key=f"{where}{key}", nearest=meant)
        elif key not in built:
            problems.add("KEY_NOT_BUILT", key=f"{where}{key}")


def read_label(problems: Problems, key: str, value: Any) -> str:
    """Read a name that Kubernetes takes as an RFC 1123 label."""
    if not isinstance(value, str) or not DNS_LABEL.fullmatch(value):
        problems.invalid(key, value, DNS_LABEL_RULE)
        return ""
    return value


def read_dict(problems: Problems, key: str, value: Any) -> dict[str, Any]:
    """Read a mapping; anything else is a finding and empty."""
    if isinstance(value, Mapping):
        return dict(value)
    problems.invalid(key, value, "it must be a mapping")
    return {}


def read_annotations(problems: Problems, key: str, value: Any) -> dict[str, str]:
    """Read annotations as texts; a YAML boolean in the spelling that controllers compare with."""
    given = read_dict(problems, key, value)
    return {str(name): str(text).lower() if isinstance(text, bool) else str(text) for name, text in given.items()}


def read_flag(problems: Problems, key: str, value: Any) -> bool:
    """Read a yes or no, also as text, since variables on the command line are text."""
    flags = {"true": True, "yes": True, "false": False, "no": False}
    flag = flags.get(str(value).lower())
    if flag is None:
        problems.invalid(key, value, "it must be true or false")
    return bool(flag)


def read_choice(problems: Problems, key: str, value: Any, choices: Iterable[str]) -> str:
    """Read one of several words."""
    if value not in choices:
        problems.invalid(key, value, f"it must be one of {', '.join(choices)}")
    return value


def read_count(problems: Problems, key: str, value: Any) -> int:
    """Read a whole number of at least 1."""
    number = to_port(value)
    if number is None or number < 1:
        problems.invalid(key, value, "it must be a whole number from 1 on")
        return 1
    return number


def read_strings(problems: Problems, key: str, value: Any) -> list[str]:
    """Read a list of texts."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        problems.invalid(key, value, "it must be a list of texts")
        return []
    return list(value)


def read_all(
    raw_items: Iterable[Any],
    noun: str,
    where: str,
    read: Callable[[Mapping[str, Any], str], tuple[dict[str, Any], list[dict[str, str]]]],
    scope: str,
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Read a list of named mappings one by one: what is good, and the findings about what is not."""
    items: list[dict[str, Any]] = []
    findings: list[dict[str, str]] = []
    for index, raw in enumerate(raw_items):
        subject = f"{where}[{index}]"
        if not isinstance(raw, Mapping):
            rule = f"a {noun} is a mapping with a name"
            findings.append(finding("VALUE_INVALID", subject, key=noun, value=raw, rule=rule))
            continue
        if isinstance(raw.get("name"), str) and raw["name"].strip():
            subject = f"{noun} {raw['name']!r}"
        item, found = read(raw, subject)
        findings += found
        if not found:
            items.append(item)
    counts = Counter(item["name"] for item in items)
    findings += [
        finding("NAME_TAKEN", f"{noun} {name!r}", name=name, times=times, scope=scope)
        for name, times in sorted(counts.items())
        if times > 1
    ]
    return items, findings
