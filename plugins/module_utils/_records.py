# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read port records, checked key by key, with defaults filled in.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._backends import (
    BACKEND_KEYS,
    backend_entry,
    calls_for,
    is_plain,
    read_backend,
    read_backends,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._doors import (
    GATEWAY,
    WHY,
    cannot,
    check_proof,
    narrow,
    read_door,
    read_door_ports,
    read_door_service,
    read_door_tls,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._http import check_request, probe_with_http, read_http
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_talk import (
    KEYS_OF,
    MODES,
    TALK_KEYS,
    TalkError,
    read_talk,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._ranges import read_beside, read_ports
from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import (
    Problems,
    check_keys,
    read_all,
    read_choice,
    read_dict,
    read_flag,
    read_label,
    to_number,
    words,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls import check_talk, probe_with_tls, read_tls

# All keys of the design; those that are not in the second table are refused as not built yet.
RECORD_KEYS = words(
    "name gateway port target_port node_port backend backends protocol tls hosts paths door"
    " allow_from deny_from timeouts limits keepalive outliers proxy_protocol fix_protocol probe was"
    " adopt scope service"
)
RECORD_BUILT = words(
    "name gateway port target_port node_port backend backends protocol tls hosts paths fix_protocol probe was adopt"
    " door service"
)
BACKEND_RULE = "every record needs its backend: namespace, service and port, or host and port"
PROBE_KEYS = frozenset(["mode", "timeout", *TALK_KEYS])
PROBE_MODES = (*MODES, "none")


def _probe(problems: Problems, value: Any) -> dict[str, Any]:
    """Read how a port is proven; a record without a word is proven by a silent session.

    What is to be said is read here as the proof after the write reads it, so that it does not fail on it.
    """
    if value == {}:
        # Of thousands of records most say nothing, and there is nothing to check.
        return {"mode": "connect", "timeout": 5}
    probe = read_dict(problems, "probe", value)
    check_keys(problems, "probe.", probe, PROBE_KEYS, PROBE_KEYS)
    mode = read_choice(problems, "probe.mode", probe.get("mode", "send" if "send" in probe else "connect"), PROBE_MODES)
    given = {key: probe[key] for key in TALK_KEYS if key in probe}
    if mode == "none":
        for key in given:
            problems.invalid(f"probe.{key}", given[key], "it has no meaning with mode 'none'")
    elif mode in MODES:
        try:
            read_talk({**given, "mode": mode})
        except TalkError as error:
            problems.invalid(f"probe.{error.key}" if error.key else "probe", error.value, error.rule)
    timeout = to_number(probe.get("timeout", 5))
    if timeout is None:
        problems.invalid("probe.timeout", probe["timeout"], "it must be a number of seconds above 0")
    return {"mode": mode, **given, "timeout": timeout}


def _read_record(raw: Mapping[str, Any], subject: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Read one port record."""
    problems = Problems(subject)
    check_keys(problems, "", raw, RECORD_KEYS, RECORD_BUILT)
    name = raw.get("name")
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        problems.invalid("name", name, "every record needs a name of printable characters")
    door = read_door(problems, raw)
    if door is None:
        return {}, problems.findings
    if door != GATEWAY:
        return _read_past_gateways(problems, raw, door), problems.findings
    if "service" in raw:
        problems.invalid("service", raw["service"], "a gateway's front Service is described where the gateway is")
    protocol = _protocol(problems, raw.get("protocol", "tcp"))
    tls = read_tls(problems, raw, protocol)
    http = read_http(problems, raw, protocol)
    record: dict[str, Any] = {
        "name": name,
        "gateway": read_label(problems, "gateway", raw.get("gateway")),
        "ports": read_ports(problems, "port", raw.get("port"), auto=True, proxied=True),
        "protocol": protocol,
        "tls": tls,
        "http": http,
        "probe": _probe(problems, probe_with_http(probe_with_tls(raw.get("probe", {}), tls), http)),
        "was": _was(problems, raw.get("was"), name),
        "adopt": read_flag(problems, "adopt", raw.get("adopt", False)),
        "fix_protocol": read_flag(problems, "fix_protocol", raw.get("fix_protocol", False)),
    }
    count = len(record["ports"])
    record["target_ports"] = _beside(problems, "target_port", raw, count, low=1024, proxied=True)
    record["node_ports"] = _beside(problems, "node_port", raw, count)
    if "backend" in raw and "backends" in raw:
        problems.invalid("backends", raw["backends"], "a record has either backend or backends")
    elif "backends" in raw:
        _several(problems, record, raw["backends"])
    elif "backend" in raw:
        record["backend"] = read_backend(problems, "backend", raw["backend"], count, BACKEND_KEYS)
    elif set(raw) <= RECORD_BUILT:
        # A misspelt or unbuilt key in its place has its finding already.
        problems.invalid("backend", None, BACKEND_RULE)
    external = [item for item in (record.get("backend", {}), *record.get("backends", ())) if item.get("external")]
    if http and external:
        problems.add("KEY_NOT_BUILT", key="backend.host with protocol: http")
    if record["fix_protocol"] and http:
        problems.invalid("fix_protocol", True, "it is for records that carry bytes, and this one carries HTTP")
    elif record["fix_protocol"] and external:
        problems.invalid(
            "fix_protocol", True, "it is for the ports of Services, and a backend is outside of the cluster"
        )
    check_talk(problems, tls, raw.get("probe"), record["probe"]["mode"], record.get("backend", {}).get("ports", ()))
    check_request(problems, http, record["probe"]["mode"])
    return record, problems.findings


def _read_past_gateways(problems: Problems, raw: Mapping[str, Any], door: str) -> dict[str, Any]:
    """Read a record that is reached by another door than the gateway."""
    given = narrow(problems, door, raw, RECORD_BUILT)
    ports = read_door_ports(problems, door, given)
    tls = read_door_tls(problems, door, given)
    record: dict[str, Any] = {
        "name": raw.get("name"),
        "gateway": "",
        "door": door,
        "ports": ports,
        "protocol": "tls" if tls else "tcp",
        "tls": tls,
        "http": None,
        "probe": _probe(problems, probe_with_tls(given.get("probe", {}), tls)),
        "was": None,
        "adopt": False,
        "fix_protocol": False,
        "target_ports": [None] * len(ports),
        "node_ports": _beside(problems, "node_port", given, len(ports)),
        "service": read_door_service(problems, door, given.get("service", {})),
    }
    if "backend" in given:
        record["backend"] = read_backend(problems, "backend", given["backend"], len(ports), BACKEND_KEYS)
        if record["backend"].get("external"):
            cannot(problems, door, "backend.host", WHY["host"])
    elif set(raw) <= RECORD_BUILT:
        problems.invalid("backend", None, BACKEND_RULE)
    check_proof(problems, door, record["probe"]["mode"])
    check_talk(problems, tls, given.get("probe"), record["probe"]["mode"], record.get("backend", {}).get("ports", ()))
    return record


def _several(problems: Problems, record: dict[str, Any], raw: Any) -> None:
    """Read C(backends) into a record; one Service as a whole is what C(backend) says."""
    backends = read_backends(problems, raw, len(record["ports"]))
    if not backends:
        return
    first = {key: backends[0][key] for key in ("namespace", "service", "ports", "external") if key in backends[0]}
    record["backend"] = first
    if not is_plain(backends):
        if record["tls"]:
            problems.add("KEY_NOT_BUILT", key="backends with protocol: tls")
        record["backends"] = backends
        probe = record["probe"]
        # One session meets one backend only.
        if "calls" not in probe and "calls" in KEYS_OF.get(probe["mode"], ()):
            probe["calls"] = calls_for(backends)


def _was(problems: Problems, value: Any, name: Any) -> str | None:
    """Read the name that a record had before, V(None) where it had none."""
    if value is not None and (not isinstance(value, str) or not value.strip() or value == name):
        problems.invalid("was", value, "it is the name that the record had before, another one than now")
    return value


def _beside(problems: Problems, key: str, raw: Mapping[str, Any], count: int, **rules: Any) -> list[int | None]:
    """Read the ports that go with a record's own, one for each; V(None) for each where the key is not given."""
    if raw.get(key) is None:
        return [None] * count
    return read_beside(problems, key, raw[key], count, **rules)


def _protocol(problems: Problems, value: Any) -> str:
    """Read the protocol of a record."""
    if value == "udp":
        problems.add("PROTOCOL_UDP")
        return value
    return read_choice(problems, "protocol", value, ("tcp", "tls", "http"))


def read_records(raw_records: Iterable[Any]) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Read all port records of a set: what is good, and the findings about what is not."""
    records, findings = read_all(
        raw_records, "record", "tcp_ports", _read_record, "a record's name is unique in its set"
    )
    return records, findings + _check_renamed(records)


def _check_renamed(records: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Find the former names that are another record's name, now or formerly."""
    findings = []
    heirs: dict[str, str] = {}
    names = {record["name"] for record in records}
    for record in sorted(records, key=lambda item: item["name"]):
        was = record["was"]
        if was is None:
            continue
        heir = heirs.setdefault(was, record["name"])
        if was in names:
            why = "the set has a record of that name"
        elif heir != record["name"]:
            why = f"so was record {heir!r}"
        else:
            continue
        findings.append(finding("WAS_TAKEN", f"record {record['name']!r}", was=was, why=why))
    return findings


def entries(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one entry for each port of a record, with C(port) as V(None) where it is to be found by C(auto)."""
    same = {key: record[key] for key in ("name", "gateway", "protocol", "tls", "http", "probe", "was", "adopt")}
    same |= {key: record[key] for key in ("fix_protocol", "door", "service") if key in record}
    several = record.get("backends", ())
    columns = zip(record["ports"], record["target_ports"], record["node_ports"], strict=True)
    return [
        {
            **same,
            "port": port,
            "target_port": target,
            "node_port": node_port,
            "backend": backend_entry(record["backend"], index),
            **({"backends": [backend_entry(item, index) for item in several]} if several else {}),
        }
        for index, (port, target, node_port) in enumerate(columns)
    ]
