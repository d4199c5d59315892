# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The port planner: from records, gateways and the observed cluster to one mapping per port, or findings.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._checks import (
    check_backends,
    check_gateways,
    check_mesh,
    check_node_ports,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._gateways import read_gateways
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_holders import (
    Holder,
    clashes_elsewhere,
    unseen,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import (
    host_of,
    outbound_cluster,
    port_name,
    short_hash,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import (
    DNS_LABEL,
    DNS_LABEL_RULE,
    is_reserved,
    suggestion,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._records import read_records
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View

# The listener of a privileged port binds port + 10000, or the next thousand that is free.
PRIVILEGED_END = 1024
PRIVILEGED_SHIFT = 10000
PRIVILEGED_STEP = 1000


def port_map(
    raw_ports: Iterable[Any],
    raw_gateways: Iterable[Any],
    state: Mapping[str, Any] | None = None,
    set_name: str = "default",
    cluster_domain: str = "cluster.local",
    namespace_state: str = "required",
    planned_services: Iterable[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Compute the port map of a set.

    Pure: the same input gives the same bytes; the order of the records does not change the ports.
    Without a state only what the records say is checked; with one, also the cluster.
    """
    gateways, findings = read_gateways(raw_gateways)
    records, record_findings = read_records(raw_ports)
    findings += record_findings
    if not DNS_LABEL.fullmatch(set_name):
        findings.append(
            finding("VALUE_INVALID", f"set {set_name!r}", key="tcp_set", value=set_name, rule=DNS_LABEL_RULE)
        )
    by_name = {gateway["name"]: gateway for gateway in gateways}
    # A gateway that was refused is still named: one mistake gives one finding.
    named = {str(gateway.get("name")) for gateway in raw_gateways if isinstance(gateway, Mapping)}
    for record in records:
        if record["gateway"] not in named:
            findings.append(_unknown_gateway(record, sorted(by_name)))
    records = [record for record in records if record["gateway"] in by_name]
    view = View(state, planned_services) if state is not None else None
    ports: list[dict[str, Any]] = []
    for name, group in _grouped(records).items():
        group, found = _distinct(group)
        findings += found
        mapped, found = _map_gateway(by_name[name], group, view, set_name, cluster_domain)
        ports += mapped
        findings += found
    if view is not None:
        findings += check_mesh(view)
        findings += clashes_elsewhere(view.world, set_name) + unseen(view.state)
        findings += check_gateways(gateways, view, set_name, namespace_state)
        findings += check_backends(ports, view)
        findings += check_node_ports(ports, view)
    return {"ports": ports, "findings": findings}


def _grouped(records: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Group records by gateway, in the gateways' alphabetical order."""
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for record in records:
        groups[record["gateway"]].append(record)
    return dict(sorted(groups.items()))


def _unknown_gateway(record: Mapping[str, Any], known: list[str]) -> dict[str, str]:
    """Name the gateway that a record asks for and that nobody defined."""
    meant = suggestion(record["gateway"], known)
    return finding(
        "GATEWAY_UNKNOWN",
        f"record {record['name']!r}",
        gateway=record["gateway"],
        known=", ".join(known) or "none",
        hint=f" ({meant})" if meant else "",
    )


def _distinct(group: Iterable[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], list[dict[str, str]]]:
    """Keep the first record of each port of a gateway; every further one is a finding."""
    first: dict[int, Mapping[str, Any]] = {}
    findings = []
    for record in sorted(group, key=lambda item: (item["port"], item["name"])):
        holder = first.setdefault(record["port"], record)
        if holder is not record:
            findings.append(_taken(record, "port", record["port"], f"record {holder['name']!r} of the same set"))
    return list(first.values()), findings


def _taken(record: Mapping[str, Any], key: str, port: int, holder: str) -> dict[str, str]:
    """Say that a port is held by somebody else, who would keep it or, if ours is older, lose it."""
    values = {"key": key, "port": port, "gateway": record["gateway"], "holder": holder}
    if isinstance(holder, Holder) and holder.loses_to:
        return finding("PORT_KILLS", f"record {record['name']!r}", owner=holder.loses_to, **values)
    return finding("PORT_TAKEN", f"record {record['name']!r}", **values)


def _map_gateway(
    gateway: Mapping[str, Any],
    records: list[Mapping[str, Any]],
    view: View | None,
    set_name: str,
    cluster_domain: str,
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Give every record of one gateway its target port and name, and find what stands in its way."""
    findings: list[dict[str, str]] = []
    foreign_ports = view.foreign_ports(gateway, set_name) if view else {}
    taken = view.foreign_targets(gateway, set_name) if view else {}
    for record in records:
        if record["port"] in foreign_ports:
            findings.append(_taken(record, "port", record["port"], foreign_ports[record["port"]]))
    records = [record for record in records if record["port"] not in foreign_ports]
    observed = view.target_ports(gateway) if view else {}
    targets, found = _target_ports(records, taken, observed, set_name)
    findings += found
    ports = []
    for record in records:
        if record["name"] not in targets:
            continue
        backend = record["backend"]
        host = host_of(backend["service"], backend["namespace"], cluster_domain)
        ports.append(
            {
                "name": record["name"],
                "set": set_name,
                "hash": short_hash(set_name, record["name"]),
                "gateway": gateway["name"],
                "namespace": gateway["namespace"],
                "port": record["port"],
                "target_port": targets[record["name"]],
                "node_port": record["node_port"],
                "port_name": port_name(record["port"], set_name, record["name"]),
                "protocol": record["protocol"],
                "backend": {**backend, "host": host},
                "cluster": outbound_cluster(host, backend["port"]),
                "probe": record["probe"],
            }
        )
    return ports, findings


def _target_ports(
    records: list[Mapping[str, Any]],
    taken: Mapping[int, str],
    observed: Mapping[str, int],
    set_name: str,
) -> tuple[dict[str, int], list[dict[str, str]]]:
    """Choose the port that each listener binds in the gateway's pods.

    What the cluster already shows is kept, since a change of it would cut sessions; given ones have no choice;
    a port from 1024 on takes its own number, and a privileged one a high port that collides with nothing.
    """
    held = dict(taken)
    targets: dict[str, int] = {}
    findings: list[dict[str, str]] = []

    def take(record: Mapping[str, Any], target: int) -> None:
        if target in held:
            findings.append(_taken(record, "target port", target, held[target]))
            return
        held[target] = f"record {record['name']!r} of the same set"
        targets[record["name"]] = target

    free = [record for record in records if record["target_port"] is None]
    for record in free:
        kept = observed.get(port_name(record["port"], set_name, record["name"]))
        if kept is not None and kept >= PRIVILEGED_END and kept not in held:
            take(record, kept)
    for record in records:
        if record["target_port"] is not None:
            take(record, record["target_port"])
    # Straight ones first: a privileged port can go anywhere.
    for record in sorted(free, key=lambda item: item["port"] < PRIVILEGED_END):
        if record["name"] not in targets:
            straight = record["port"] >= PRIVILEGED_END and record["port"] not in held
            take(record, record["port"] if straight else _free_high_port(record["port"], held))
    return targets, findings


def _free_high_port(port: int, held: Mapping[int, str]) -> int:
    """Return a free target port: 10000 above the port, further thousands up, or any that is free."""
    candidates = itertools.chain(range(port + PRIVILEGED_SHIFT, 65536, PRIVILEGED_STEP), range(PRIVILEGED_END, 65536))
    return next(target for target in candidates if target not in held and not is_reserved(target))
