# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS records as Istio objects, and back.

Names that are passed through share one server per port, with one rule per record in the set's VirtualService. Where the
gateway ends TLS every record has a server of its own, because of its certificate, and a VirtualService of its own: at a
gateway C(tcp) rules match by port only, so what tells two of one port apart is the VirtualService's C(hosts) (istio
pilot/pkg/networking/core/gateway.go, pickMatchingGatewayHosts).

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._by_name import shared_port_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import LABEL_MAX, set_object_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls import PASSTHROUGH

# Whose a rule is that is told by its port and its first name: JSON, on the set's VirtualService.
RECORDS_ANNOTATION = "servicemesh.tcp/records"
SERVER_NAME = re.compile(r"tls-\d+-([0-9a-f]{8})")
# Where a port leads that has no rule.
NOWHERE: Mapping[str, Any] = {"host": "", "port": None}
ISTIO_MODES: Mapping[str, str] = {"terminate": "SIMPLE", "mutual": "MUTUAL"}
MODES = {istio: mode for mode, istio in ISTIO_MODES.items()}
ISTIO_VERSIONS: Mapping[str, str] = {"1.2": "TLSV1_2", "1.3": "TLSV1_3"}
VERSIONS = {istio: version for version, istio in ISTIO_VERSIONS.items()}

Listeners = Sequence[Mapping[str, Any]]


def server_name(port: int, digest: str | None, mode: str) -> str:
    """Return the name of a record's server; names that are passed through are all of one."""
    return shared_port_name("tls", port) if mode == PASSTHROUGH else f"tls-{port}-{digest}"


def rule_object_name(gateway: str, set_name: str, port: int, digest: str | None) -> str:
    """Return the name of the VirtualService of one record for which the gateway ends TLS on one port."""
    suffix = f"-{port}-{digest}"
    return set_object_name(gateway, set_name)[: LABEL_MAX - len(suffix)].rstrip("-") + suffix


def passed_through(listeners: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return those whose TLS the backend ends."""
    return [item for item in listeners if item.get("tls") and item["tls"]["mode"] == PASSTHROUGH]


def ended_here(listeners: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return those whose TLS the gateway ends."""
    return [item for item in listeners if item.get("tls") and item["tls"]["mode"] != PASSTHROUGH]


def servers(listeners: Listeners) -> list[dict[str, Any]]:
    """Return the servers of TLS listeners."""
    names: dict[int, list[str]] = defaultdict(list)
    for item in passed_through(listeners):
        names[item["port"]] += item["tls"]["hosts"]
    found = [
        _server(port, shared_port_name("tls", port), hosts, {"mode": "PASSTHROUGH"}) for port, hosts in names.items()
    ]
    for item in ended_here(listeners):
        tls = item["tls"]
        settings = {"mode": ISTIO_MODES[tls["mode"]], "credentialName": tls["secret"]}
        if tls["min_version"]:
            settings["minProtocolVersion"] = ISTIO_VERSIONS[tls["min_version"]]
        name = server_name(item["port"], item["hash"], tls["mode"])
        found.append(_server(item["port"], name, tls["hosts"], settings))
    return found


def _server(port: int, name: str, hosts: Iterable[str], settings: Mapping[str, str]) -> dict[str, Any]:
    """Return one server; only rules of its own namespace bind to it."""
    return {
        "port": {"number": port, "name": name, "protocol": "TLS"},
        "hosts": [f"./{host}" for host in sorted(hosts)],
        "tls": dict(settings),
    }


def rules(listeners: Listeners, route_of: Any) -> list[dict[str, Any]]:
    """Return the rules of what is passed through, one for each record and port; C(route_of) writes a destination."""
    return [
        {"match": [{"port": item["port"], "sniHosts": list(item["tls"]["hosts"])}], "route": route_of(item)}
        for item in passed_through(listeners)
    ]


def records_note(listeners: Listeners) -> str:
    """Return the annotation that says whose the rules of what is passed through are."""
    owners = {f"{item['port']}/{item['tls']['hosts'][0]}": item["hash"] for item in passed_through(listeners)}
    return json.dumps(owners, sort_keys=True, separators=(",", ":"))


def read_note(text: str | None) -> dict[str, str]:
    """Read the annotation back; a text that is none says nothing."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def observed(
    servers_of_port: Iterable[Mapping[str, Any]],
    main: Mapping[str, Any] | None,
    rule_object: Any,
) -> list[dict[str, Any]]:
    """Read the records of one port back: C({hash, tls, destination}) each.

    C(servers_of_port) are projected TLS servers of the set on the port, C(main) the set's projected VirtualService, and
    C(rule_object) returns that of a record whose TLS the gateway ends, by its hash.
    """
    found = []
    for server in servers_of_port:
        if server["tls"] == "PASSTHROUGH":
            found += _observed_rules(server, main)
            continue
        match = SERVER_NAME.fullmatch(server["name"])
        digest = match.group(1) if match else None
        virtual = rule_object(digest)
        rule = next(iter(virtual["tcp"]), None) if virtual else None
        tls = {
            "mode": MODES.get(server["tls"], "terminate"),
            "hosts": [host.rpartition("/")[2] for host in server["hosts"]],
            "secret": server["credential"],
            "ca": None,
            "min_version": VERSIONS.get(server.get("min_version", "")),
        }
        found.append({"hash": digest, "tls": tls, "destination": _first(rule)})
    return found


def _observed_rules(server: Mapping[str, Any], main: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Read what is passed through on a server's port, from the rules of the set's VirtualService."""
    if main is None:
        return []
    owners = main.get("records") or {}
    found = []
    for rule in main["tls"]:
        for port, names in zip(rule["ports"], rule["sni"], strict=True):
            if port == server["port"] and names:
                tls = {"mode": PASSTHROUGH, "hosts": list(names), "secret": None, "ca": None, "min_version": None}
                found.append({"hash": owners.get(f"{port}/{names[0]}"), "tls": tls, "destination": _first(rule)})
    return found


def _first(rule: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return where a rule leads; nowhere, where it is not there."""
    return next(iter((rule or {}).get("destinations") or ()), NOWHERE)


def same_tls(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Tell whether two say the same of TLS; where the authority of clients stands is in no Gateway."""
    if not one or not other:
        return not one and not other
    return sorted(one["hosts"]) == sorted(other["hosts"]) and all(
        one[key] == other[key] for key in ("mode", "secret", "min_version")
    )
