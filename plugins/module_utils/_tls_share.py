# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports of a gateway that others have by name, and which names on them are free.

Istio merges HTTP servers of one port, and TLS servers of one port whose names differ, and drops a younger one with a
name that is taken (istio pilot/pkg/model/gateway.go, mergeGateways); Envoy takes the nearest of several names that fit.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ansible_collections.servicemesh.tcp.plugins.module_utils._by_name import is_shared_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_holders import gateway_text, own_gateway, pods_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_merge import servers_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_names import sni_hosts
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_ports import translations
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls import PASSTHROUGH, wildcards_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View

Entry = Mapping[str, Any]
Findings = list[dict[str, str]]


class Shared(NamedTuple):
    """A port on which others have names only: where it leads, and who has which name."""

    target: int
    names: Mapping[str, str]


def shared_ports(view: View, gateway: Mapping[str, Any], set_name: str, kind: str) -> dict[int, Shared]:
    """Return the ports of a gateway that other people's servers have by names of a kind: further ones may join them.

    The front Service's port must be one that sets share, or its owner's that sets may use. Of an smcp gateway only the
    latter: its control plane's list has no owners inside it, so the first set to leave would take it from the others.
    """
    targets = _sharable_targets(view, gateway, set_name, kind)
    own = own_gateway(view.world, gateway, set_name)
    names: dict[int, dict[str, str]] = defaultdict(dict)
    others = set()
    for workload in pods_of(view.world, gateway):
        translated = translations(view.world.services_of(workload))
        for item in view.world.gateways_of(workload):
            for server in servers_of(item) if item is not own else ():
                # Other numbers that lead to the same listener count, too.
                bound = translated.get(server.number, (server.number,))[0]
                for number in [port for port, target in targets.items() if bound == target]:
                    if server.is_http if kind == "http" else server.is_tls:
                        names[number].update(dict.fromkeys(sni_hosts(server.hosts), gateway_text(item)))
                    else:
                        others.add(number)
    return {number: Shared(targets[number], held) for number, held in names.items() if number not in others}


def _sharable_targets(view: View, gateway: Mapping[str, Any], set_name: str, kind: str) -> dict[int, int]:
    """Return the ports of the front Services that other sets named to be shared, and those lent, with their targets."""
    found = dict(view.lent_ports(gateway))
    if gateway.get("owner") == "smcp":
        return found
    for service in view.front_services(gateway):
        others = view.ports_of_other_sets(service, set_name)
        found |= {
            port["port"]: port["target_port"]
            for port in service["ports"]
            if port["port"] in others
            and is_shared_name(kind, port["name"], port["port"])
            and isinstance(port["target_port"], int)
        }
    return found


def check_names(
    gateway: Mapping[str, Any], entries: Iterable[Entry], shared: Mapping[int, Shared], kept: Iterable[Entry] = ()
) -> Findings:
    """Find the names that two have on one port. C(kept) are listeners of the set that this run leaves as they are."""
    findings: Findings = []
    by_port: dict[int, list[Entry]] = defaultdict(list)
    for entry in sorted((entry for entry in entries if entry["tls"]), key=lambda item: item["name"]):
        by_port[entry["port"]].append(entry)
    staying: dict[int, dict[str, str]] = defaultdict(dict)
    for item in kept:
        if item.get("tls"):
            staying[item["port"]].update(dict.fromkeys(item["tls"]["hosts"], "a record that this run keeps"))
    for port, group in sorted(by_port.items()):
        values = {"port": port, "gateway": gateway["name"]}
        others = {**staying.get(port, {}), **(shared[port].names if port in shared else {})}
        findings += met("tls", group, others, values) + _equal(group, values) + _overlapping(group, values)
    return findings


def met(kind: str, group: Iterable[Entry], others: Mapping[str, str], values: Mapping[str, Any]) -> Findings:
    """Find names that somebody else has, or that are among or around his: what is somebody's is not taken in part."""
    findings = []
    code = "HTTP_HOST_TAKEN" if kind == "http" else "SNI_TAKEN"
    covering = {wild: name for name in others for wild in wildcards_of(name)}
    for entry in group:
        for name in entry[kind]["hosts"]:
            other = next((one for one in [name, *wildcards_of(name)] if one in others), covering.get(name))
            if other is not None:
                subject = f"record {entry['name']!r}"
                findings.append(finding(code, subject, name=name, other=other, holder=others[other], **values))
    return findings


def _equal(group: Iterable[Entry], values: Mapping[str, Any]) -> Findings:
    """Find names that two records of the set have."""
    findings = []
    first: dict[str, str] = {}
    for entry in group:
        for name in entry["tls"]["hosts"]:
            holder = first.setdefault(name, entry["name"])
            if holder != entry["name"]:
                held = {**values, "other": name, "holder": f"record {holder!r} of the same set"}
                findings.append(finding("SNI_TAKEN", f"record {entry['name']!r}", name=name, **held))
    return findings


def _overlapping(group: Iterable[Entry], values: Mapping[str, Any]) -> Findings:
    """Find wildcards over other names where the gateway ends TLS for both; the nearest wins where one is passed on."""
    ending = [entry for entry in group if entry["tls"]["mode"] != PASSTHROUGH]
    holders = {name: entry["name"] for entry in ending for name in entry["tls"]["hosts"]}
    return [
        finding("SNI_OVERLAP", f"record {entry['name']!r}", name=name, other=wild, record=holders[wild], **values)
        for entry in ending
        for name in entry["tls"]["hosts"]
        for wild in wildcards_of(name)
        if wild in holders and holders[wild] != entry["name"]
    ]
