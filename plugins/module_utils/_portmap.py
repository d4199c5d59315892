# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The port planner: from records, gateways and the observed cluster to one mapping per port, or findings.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._adopt import Adoption
from ansible_collections.servicemesh.tcp.plugins.module_utils._allocate import allocate, hashes_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._backend_checks import (
    check_external,
    check_protocols,
    check_subsets,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._backends import backend_mapping
from ansible_collections.servicemesh.tcp.plugins.module_utils._by_name import kind_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._checks import (
    check_backends,
    check_gateways,
    check_mesh,
    check_node_ports,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._door_plan import check_doors, door_ports
from ansible_collections.servicemesh.tcp.plugins.module_utils._doors import is_door
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._fix_protocol import check_fixes
from ansible_collections.servicemesh.tcp.plugins.module_utils._fronts import place_ports
from ansible_collections.servicemesh.tcp.plugins.module_utils._garbage import uncollected
from ansible_collections.servicemesh.tcp.plugins.module_utils._gateways import as_stored, read_gateways
from ansible_collections.servicemesh.tcp.plugins.module_utils._http_share import check_routes
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_holders import (
    Holder,
    clashes_elsewhere,
    unseen,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import short_hash
from ansible_collections.servicemesh.tcp.plugins.module_utils._outside import check_outside
from ansible_collections.servicemesh.tcp.plugins.module_utils._ownership import check_ports, referring, resolved
from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import (
    DNS_LABEL,
    DNS_LABEL_RULE,
    suggestion,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._records import entries, read_records
from ansible_collections.servicemesh.tcp.plugins.module_utils._targets import Targets, port_names
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls_secrets import check_secrets
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls_share import check_names, shared_ports
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View, view_of

# What the plan needs of a gateway.
DESCRIBED = ("name", "namespace", "service", "owner", "adopt", "selector", "control_plane")


@uncollected()
def port_map(
    raw_ports: Iterable[Any],
    raw_gateways: Iterable[Any],
    state: Mapping[str, Any] | View | None = None,
    set_name: str = "default",
    cluster_domain: str = "cluster.local",
    namespace_state: str = "required",
    planned_services: Iterable[Mapping[str, Any]] = (),
    prune: bool = True,
    adopt: Sequence[str] = (),
) -> dict[str, Any]:
    """Compute the port map of a set.

    Pure: the same input gives the same bytes; the order of the records does not change the ports.
    Without a state only what the records say is checked; with one, also the cluster. Without pruning the ports of
    records that are not named stay theirs. C(adopt) names records that may take over what was published by hand.
    """
    gateways, findings = read_gateways(raw_gateways)
    records, record_findings = read_records(raw_ports)
    findings += record_findings
    if not DNS_LABEL.fullmatch(set_name):
        findings.append(
            finding("VALUE_INVALID", f"set {set_name!r}", key="tcp_set", value=set_name, rule=DNS_LABEL_RULE)
        )
    view = view_of(state, planned_services) if state is not None else None
    if view is not None:
        gateways, found = _with_stored(gateways, view)
        findings += found
        gateways = [resolved(gateway, view) for gateway in referring(gateways, view, set_name)]
    past = [record for record in records if is_door(record)]
    records = [record for record in records if not is_door(record)]
    by_name = {gateway["name"]: gateway for gateway in gateways}
    # A gateway that was refused is still named: one mistake gives one finding.
    named = {str(gateway.get("name")) for gateway in raw_gateways if isinstance(gateway, Mapping)}
    for record in records:
        if record["gateway"] not in named:
            findings.append(_unknown_gateway(record, sorted(by_name)))
    records = [
        {
            **record,
            # What was made by hand on a gateway that is adopted comes with it.
            "adopt": record["adopt"]
            or record["name"] in adopt
            or "all" in adopt
            or by_name[record["gateway"]]["adopt"],
        }
        for record in records
        if record["gateway"] in by_name
    ]
    ports: list[dict[str, Any]] = []
    listeners = view.listeners(set_name) if view is not None else []
    findings += _of_planes(records, by_name, view)
    for name, group in _grouped(records).items():
        mapped, found = _map_gateway(by_name[name], group, view, listeners, set_name, cluster_domain, prune)
        ports += mapped
        findings += found
    ports = place_ports(ports, gateways, view, set_name)
    doors = door_ports(past, view, set_name, cluster_domain)
    if view is not None:
        # What leads past every gateway needs no mesh.
        findings += check_mesh(view) if gateways or not doors else []
        findings += clashes_elsewhere(view.world, set_name) + unseen(view.state)
        findings += check_gateways(gateways, view, set_name, namespace_state)
        findings += check_backends([*ports, *doors], view) + check_external(ports, view)
        findings += check_doors(doors, gateways, ports, view)
        findings += check_subsets(ports, view, set_name) + check_protocols([*ports, *doors], view)
        findings += check_fixes(ports, view, set_name)
        findings += check_secrets(ports, view.state.get("secrets"))
        findings += check_outside(gateways, ports, view)
        findings += check_node_ports([port for port in [*ports, *doors] if not port["lent"]], view)
        for gateway in gateways:
            findings += check_ports(gateway, ports, view)
    # What the plan holds against the limits of load balancers.
    described = [{key: gateway[key] for key in DESCRIBED} for gateway in gateways]
    return {"ports": [*ports, *doors], "gateways": described, "findings": findings}


def _with_stored(
    gateways: Iterable[Mapping[str, Any]], view: View
) -> tuple[list[Mapping[str, Any]], list[dict[str, str]]]:
    """Give the gateways that are only referred to the definitions that are stored on the cluster."""
    result: list[Mapping[str, Any]] = []
    findings = []
    for gateway in gateways:
        service = view.front_service(gateway) if gateway["refers"] else None
        if service is not None:
            gateway, found = as_stored(gateway, service)
            findings += found
        result.append(gateway)
    return result, findings


def _of_planes(
    records: Iterable[Mapping[str, Any]], gateways: Mapping[str, Mapping[str, Any]], view: View | None
) -> list[dict[str, str]]:
    """Refuse names on ports that a control plane's list would have to be given: it has no owners inside it.

    HTTP goes by a port that the control plane has by itself, such as 80.
    """
    findings = []
    for record in records:
        gateway = gateways[record["gateway"]]
        if not kind_of(record) or gateway["owner"] != "smcp":
            continue
        lent = view.lent_ports(gateway) if view is not None else record["ports"]
        if record["tls"]:
            findings.append(
                finding("KEY_NOT_BUILT", f"record {record['name']!r}", key="protocol: tls with owner: smcp")
            )
        elif not set(record["ports"]) <= set(lent):
            has = ", ".join(map(str, sorted(lent))) or "none"
            key = f"protocol: http with owner: smcp on another port than the gateway's own ({has})"
            findings.append(finding("KEY_NOT_BUILT", f"record {record['name']!r}", key=key))
    return findings


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


def _map_gateway(
    gateway: Mapping[str, Any],
    records: Iterable[Mapping[str, Any]],
    view: View | None,
    listeners: Iterable[Mapping[str, Any]],
    set_name: str,
    cluster_domain: str,
    prune: bool,
) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Give every port of one gateway's records its number, target port and name, and find what stands in its way."""
    place = (gateway["namespace"], gateway["name"])
    own = [item for item in listeners if (item["namespace"], item["gateway"]) == place]
    foreign = view.foreign_ports(gateway, set_name) if view else {}
    taken = view.foreign_targets(gateway, set_name) if view else {}
    observed = view.target_ports(gateway) if view else {}
    wanted = [entry for record in records for entry in entries(record)]
    adopted = _adopt(Adoption(view, gateway, set_name, cluster_domain), wanted, foreign) if view else {}
    for entry in wanted:
        if entry["port"] in adopted:
            target = adopted[entry["port"]]["target_port"]
            taken.pop(target, None)
            observed[port_names(entry, set_name)[0]] = target
    lent = view.lent_ports(gateway) if view else {}
    kinds = {kind_of(entry) for entry in wanted} - {""} if view else set()
    shared = {kind: shared_ports(view, gateway, set_name, kind) for kind in sorted(kinds)} if view else {}
    leads = {**{port: found.target for ports in shared.values() for port, found in ports.items()}, **lent}
    for entry in wanted:
        entry["joins"] = entry["port"] in shared.get(kind_of(entry), ())
        if entry["port"] in leads and entry["target_port"] not in (None, leads[entry["port"]]):
            foreign[entry["port"]] = f"its Service, which leads it to {leads[entry['port']]}"
            entry["joins"] = False
    allocated, findings = allocate(gateway, wanted, foreign, own, set_name, prune)
    kept = [] if prune else _kept(own, wanted, set_name)
    findings += check_names(gateway, allocated, shared.get("tls", {}), kept)
    findings += check_routes(gateway, allocated, shared.get("http", {}), kept)
    for entry in allocated:
        if entry["port"] in lent or entry["joins"]:
            # It leads where its owner says, whatever port the planner would have chosen.
            entry["target_port"] = leads[entry["port"]]
            taken.pop(entry["target_port"], None)
    if gateway["refers"] and view is not None and view.front_service(gateway) is None:
        # GATEWAY_MISSING says it: what its pool would be nobody knows.
        findings = [item for item in findings if item["code"] != "POOL_MISSING"]
    targets = Targets(gateway, taken, observed, own, set_name)
    ports = [
        {
            **_mapping(gateway, entry, set_name, cluster_domain),
            "adopts": adopted.get(entry["port"]),
            "lent": entry["port"] in lent,
        }
        for entry in targets.choose(allocated)
    ]
    return ports, findings + targets.conflicts.findings()


def _kept(
    own: Iterable[Mapping[str, Any]], wanted: Iterable[Mapping[str, Any]], set_name: str
) -> list[Mapping[str, Any]]:
    """Return the set's listeners of records that a run without pruning does not name."""
    hashes = {digest for entry in wanted for digest in hashes_of(entry, set_name)}
    return [item for item in own if item["hash"] not in hashes]


def _adopt(
    adoption: Adoption, wanted: Iterable[Mapping[str, Any]], foreign: dict[int, str]
) -> dict[int, dict[str, Any]]:
    """Free the foreign ports that records adopt, and return what is taken over; note of others whether they could."""
    adopted = {}
    for entry in wanted:
        port = entry["port"]
        # One that a stopped run has written beside is not held by anybody else any more, and still to be taken away.
        left = entry["adopt"] and adoption.is_made(port)
        verdict = adoption.judge(entry) if port in foreign or left else None
        if verdict == "" and entry["adopt"]:
            foreign.pop(port, None)
            adopted[port] = adoption.taken(port)
        elif port in foreign and (verdict == "" or (verdict and entry["adopt"])):
            foreign[port] = Holder(foreign[port], adoption=verdict)
    return adopted


def _mapping(
    gateway: Mapping[str, Any], entry: Mapping[str, Any], set_name: str, cluster_domain: str
) -> dict[str, Any]:
    """Return the entry of the port map for one port."""
    return {
        "name": entry["name"],
        "was": entry["was"],
        "set": set_name,
        "hash": short_hash(set_name, entry["name"]),
        "gateway": gateway["name"],
        "namespace": gateway["namespace"],
        "port": entry["port"],
        "target_port": entry["target_port"],
        "node_port": entry["node_port"],
        "port_name": port_names(entry, set_name)[0],
        "protocol": entry["protocol"],
        "tls": entry["tls"],
        "http": entry["http"],
        **backend_mapping(entry, cluster_domain, (gateway["namespace"], gateway["name"]), set_name),
        "probe": entry["probe"],
        **({"fix_protocol": True} if entry["fix_protocol"] else {}),
    }
