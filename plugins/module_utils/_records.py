# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read port records, checked key by key, with defaults filled in.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_target import pattern_of, unescape
from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import (
    Problems,
    check_keys,
    check_port,
    is_reserved,
    read_all,
    read_choice,
    read_dict,
    read_label,
    to_number,
    words,
)

# All keys of the design; those that are not in the second table are refused as not built yet.
RECORD_KEYS = words(
    "name gateway port target_port node_port backend backends protocol tls hosts paths door"
    " allow_from deny_from timeouts limits keepalive outliers proxy_protocol fix_protocol probe was"
    " adopt scope"
)
RECORD_BUILT = words("name gateway port target_port node_port backend protocol probe")
BACKEND_KEYS = words("namespace service port")
PROBE_KEYS = words("mode from send expect timeout")
PROBE_BUILT = words("mode send expect timeout")
PROBE_MODES = ("connect", "send", "none")


def _probe(problems: Problems, value: Any) -> dict[str, Any]:
    """Read how a port is proven; a record without a word is proven by a silent session."""
    probe = read_dict(problems, "probe", value)
    check_keys(problems, "probe.", probe, PROBE_KEYS, PROBE_BUILT)
    mode = probe.get("mode", "send" if "send" in probe else "connect")
    result: dict[str, Any] = {"mode": read_choice(problems, "probe.mode", mode, PROBE_MODES)}
    if mode == "send":
        result |= _talk(problems, probe)
    else:
        for key in ("send", "expect"):
            if key in probe:
                problems.invalid(f"probe.{key}", probe[key], f"it has no meaning with mode {mode!r}")
    result["timeout"] = to_number(probe.get("timeout", 5))
    if result["timeout"] is None:
        problems.invalid("probe.timeout", probe["timeout"], "it must be a number of seconds above 0")
    return result


def _talk(problems: Problems, probe: Mapping[str, Any]) -> dict[str, str]:
    """Read what is sent and expected; both are compiled here, so that the proof after the write does not fail on it."""
    sent, expect = probe.get("send"), probe.get("expect", "")
    if not isinstance(sent, str) or not sent:
        problems.invalid("probe.send", sent, "mode 'send' needs the text to send")
    elif not isinstance(expect, str):
        problems.invalid("probe.expect", expect, "it must be a text, or a pattern between slashes")
    else:
        try:
            pattern_of(expect, unescape(sent))
        except ValueError as error:
            problems.invalid("probe", {"send": sent, "expect": expect}, str(error))
    return {"send": sent, "expect": expect}


def _read_record(raw: Mapping[str, Any], subject: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Read one port record."""
    problems = Problems(subject)
    check_keys(problems, "", raw, RECORD_KEYS, RECORD_BUILT)
    name = raw.get("name")
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        problems.invalid("name", name, "every record needs a name of printable characters")
    record: dict[str, Any] = {
        "name": name,
        "gateway": read_label(problems, "gateway", raw.get("gateway")),
        "port": check_port(problems, "port", raw.get("port")),
        "target_port": None,
        "node_port": None,
        "protocol": _protocol(problems, raw.get("protocol", "tcp")),
        "probe": _probe(problems, raw.get("probe", {})),
    }
    if raw.get("target_port") is not None:
        record["target_port"] = check_port(problems, "target_port", raw["target_port"], low=1024)
    if raw.get("node_port") is not None:
        record["node_port"] = check_port(problems, "node_port", raw["node_port"])
    for key in ("port", "target_port"):
        if record[key] is not None and is_reserved(record[key]):
            problems.add("PORT_RESERVED", key=key, port=record[key])
    if "backend" in raw:
        record["backend"] = _backend(problems, raw["backend"])
    elif set(raw) <= RECORD_BUILT:
        # A misspelt or unbuilt key in its place has its finding already.
        problems.invalid("backend", None, "every record needs its backend: namespace, service and port")
    return record, problems.findings


def _backend(problems: Problems, value: Any) -> dict[str, Any]:
    """Read the Service behind a port."""
    backend = read_dict(problems, "backend", value)
    check_keys(problems, "backend.", backend, BACKEND_KEYS, BACKEND_KEYS)
    return {
        "namespace": read_label(problems, "backend.namespace", backend.get("namespace")),
        "service": read_label(problems, "backend.service", backend.get("service")),
        "port": check_port(problems, "backend.port", backend.get("port")),
    }


def _protocol(problems: Problems, value: Any) -> str:
    """Read the protocol of a record."""
    if value in ("tls", "http"):
        problems.add("KEY_NOT_BUILT", key=f"protocol: {value}")
        return value
    return read_choice(problems, "protocol", value, ("tcp", "tls", "http"))


def read_records(raw_records: Iterable[Any]) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Read all port records of a set: what is good, and the findings about what is not."""
    return read_all(raw_records, "record", "tcp_ports", _read_record, "a record's name is unique in its set")
