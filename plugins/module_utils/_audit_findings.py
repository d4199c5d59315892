# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with what a cluster lets in: findings of the one catalogue, each with the rows that it is about.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_doors import attached_routes, route_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_mesh import Mesh, stray_rules, twice_translated
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_parts import not_after
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_read import certificate_places
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_rows import backend_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._drift import is_collection_s, owned
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._gateways import as_stored, read_gateways
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio import OWN_PORTS
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_holders import clashes_elsewhere
from ansible_collections.servicemesh.tcp.plugins.module_utils._limits import check_load_balancers
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import SET_LABEL, is_ours
from ansible_collections.servicemesh.tcp.plugins.module_utils._plan_text import ports_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._state import node as project_node
from ansible_collections.servicemesh.tcp.plugins.module_utils._texts import some
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View

Finding = dict[str, Any]
Rows = Sequence[Mapping[str, Any]]


def all_findings(read: Mapping[str, Any], mesh: Mesh, rows: Rows, now: datetime, expiry_days: int) -> list[Finding]:
    """Return every finding, errors first, each with C(rows): the ids of the ways in that it is about."""
    found = [
        *_without_listener(rows),
        *_backends(rows),
        *_addresses(rows),
        *_open_to_world(rows),
        *_unreached(rows),
        *_clashes(mesh, rows),
        *_lost(mesh, rows),
        *_stray(read),
        *_lost_routes(read),
        *_translations(mesh, rows),
        *_certificates(read, now, expiry_days),
        *_limits(read, rows),
        *_drift(read),
        *_unread(read),
    ]
    order = {"error": 0, "warning": 1, "note": 2}
    return sorted(found, key=lambda item: (order[item["severity"]], item["code"], item["message"]))


def about(rows: Iterable[Mapping[str, Any]], code: str, subject: str, **values: Any) -> Finding:
    """Make a finding about rows."""
    return {**finding(code, subject, **values), "rows": [row["id"] for row in rows]}


def _by(rows: Iterable[Mapping[str, Any]], *keys: str) -> dict[tuple[Any, ...], list[Mapping[str, Any]]]:
    found: dict[tuple[Any, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        found[tuple(row[key] for key in keys)].append(row)
    return found


def _without_listener(rows: Rows) -> list[Finding]:
    """Service ports behind which nothing listens, and listeners without a route."""
    broken = [row for row in rows if row["broken_at"] == "listener" and row["gateway"] and not row["listener"]]
    found = [
        about(group, "SERVICE_PORT_WITHOUT_LISTENER", place, ports=_ports(group), gateway=gateway)
        for (place, gateway), group in _by(broken, "object", "gateway").items()
    ]
    broken = [row for row in rows if row["broken_at"] == "route" and row["door"] == "GatewayAPI"]
    found += [
        about(group, "LISTENER_WITHOUT_ROUTE", place, ports=_ports(group), kinds="TCPRoute or TLSRoute")
        for (place,), group in _by(broken, "object").items()
    ]
    refused = [row for row in rows if row["broken_at"] == "address" and row["door"] == "Route"]
    return found + [about([row], "ROUTE_NOT_ADMITTED", row["object"], why=row["why"]) for row in refused]


def _ports(rows: Iterable[Mapping[str, Any]]) -> str:
    return ports_text({row["port"] for row in rows if row["port"] is not None})


def _backends(rows: Rows) -> list[Finding]:
    """Backends that are not there, or have nothing ready."""
    leading: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    backends = {}
    for row in rows:
        for item in row["backends"]:
            if item["state"] in ("missing", "dead"):
                leading[backend_text(item)].append(row)
                backends[backend_text(item)] = item
    found = []
    for text, group in leading.items():
        item = backends[text]
        subject = f"Service {item['namespace']}/{item['service']}" if item["namespace"] else f"server {item['service']}"
        code = "BACKEND_GONE" if item["state"] == "missing" else "BACKEND_DEAD"
        found.append(about(group, code, subject, port=item["port"], doors=_doors(group)))
    return found


def _doors(rows: Sequence[Mapping[str, Any]], most: int = 3) -> str:
    """Name the ways in, of many the first few."""
    return some(dict.fromkeys(f"{row['object']} port {row['port']}" for row in rows), most)


def _addresses(rows: Rows) -> list[Finding]:
    waiting = [row for row in rows if row["broken_at"] == "address" and row["door"] in ("LoadBalancer", "GatewayAPI")]
    return [
        about(group, "ADDRESS_MISSING", place, ports=_ports(group))
        for (place,), group in _by(waiting, "object").items()
    ]


def _open_to_world(rows: Rows) -> list[Finding]:
    """Ports that the whole internet may use; what leads nowhere yet counts as well."""
    # The gateways' health port has to be open to load balancers, and says no more than that they are ready.
    world = [row for row in rows if row["open_to"]["scope"] == "world" and row["target_port"] not in OWN_PORTS]
    return [
        about(group, "OPEN_TO_WORLD", place, ports=_ports(group), addresses=", ".join(group[0]["addresses"]))
        for (place,), group in _by(world, "object").items()
    ]


def _unreached(rows: Rows) -> list[Finding]:
    inside = [row for row in rows if row["door"] == "inside"]
    return [
        about(group, "LISTENER_UNREACHED", place, ports=_ports(group), gateway=gateway)
        for (place, gateway), group in _by(inside, "object", "gateway").items()
    ]


def _clashes(mesh: Mesh, rows: Rows) -> list[Finding]:
    """Losers of a clash, whoever they are; with no set's name none of them is left out."""
    return [{**item, "rows": _rows_of(rows, item["subject"])} for item in clashes_elsewhere(mesh.world, "")]


def _rows_of(rows: Rows, subject: str) -> list[str]:
    """Return the rows of the Gateway that a finding's subject names."""
    return [row["id"] for row in rows if row["listener"] and f"Gateway {row['listener']}" in subject]


def _lost(mesh: Mesh, rows: Rows) -> list[Finding]:
    """Servers that no other Gateway keeps from listening, and that do not listen all the same."""
    codes = {"route": "LISTENER_WITHOUT_ROUTE", "privileged": "PORT_PRIVILEGED", "reserved": "LISTENER_RESERVED"}
    groups: dict[tuple[str, str, str], set[int]] = defaultdict(set)
    for key, lost in mesh.lost.items():
        for item in lost:
            if item["reason"] in codes:
                groups[(codes[item["reason"]], item["gateway"], key)].add(item["number"])
    found = []
    for (code, gateway, key), numbers in groups.items():
        values = {"ports": ports_text(numbers)}
        values |= {"kinds": "VirtualService"} if code == "LISTENER_WITHOUT_ROUTE" else {"gateway": key}
        broken = [
            row for row in rows if (row["gateway"], row["listener"]) == (key, gateway) and row["state"] == "broken"
        ]
        found.append(about(broken, code, f"Gateway {gateway}", **values))
    return found


def _stray(read: Mapping[str, Any]) -> list[Finding]:
    return [
        about(
            [],
            "ROUTE_WITHOUT_LISTENER",
            f"VirtualService {item['virtual_service']}",
            ports=ports_text(item["ports"]) if item["ports"] else "every port",
            gateway=item["gateway"],
            what="has no server for it" if item["exists"] else "does not exist",
        )
        for item in stray_rules(read["state"])
    ]


def _lost_routes(read: Mapping[str, Any]) -> list[Finding]:
    """TCPRoutes that a listener has beside an older one (GEP-2644): both count as accepted."""
    return [
        about(
            [],
            "TCP_ROUTE_LOST",
            route_name(route),
            listener=listener,
            gateway=f"Gateway (Gateway API) {namespace}/{name}",
            winner=route_name(routes[0]),
        )
        for (namespace, name, listener), routes in sorted(attached_routes(read).items())
        for route in routes[1:]
        if route["kind"] == "TCPRoute"
    ]


def _translations(mesh: Mesh, rows: Rows) -> list[Finding]:
    return [
        about(
            [row for row in rows if row["gateway"] == item["workload"] and row["port"] == item["port"]],
            "PORT_TRANSLATED_TWICE",
            f"gateway pods {item['workload']}",
            port=item["port"],
            services=" and ".join(f"Service {name} to {target}" for name, target in sorted(item["services"].items())),
        )
        for item in twice_translated(mesh)
    ]


def _certificates(read: Mapping[str, Any], now: datetime, days: int) -> list[Finding]:
    """Certificates that ended, end soon, or were not seen."""
    found, not_seen = [], []
    for namespace, name in sorted(certificate_places(read)):
        encoded = read["secrets"].get((namespace, name))
        end = not_after(encoded) if encoded is not None else None
        if end is None:
            not_seen.append(f"{namespace}/{name}")
        elif end <= now:
            found.append(about([], "CERTIFICATE_EXPIRED", f"Secret {namespace}/{name}", end=_day(end)))
        elif (end - now).days < days:
            found.append(
                about([], "CERTIFICATE_EXPIRES", f"Secret {namespace}/{name}", end=_day(end), days=(end - now).days)
            )
    # A Gateway's certificate is looked for beside every gateway; one place where it was found is enough.
    seen = {name for _namespace, name in read["secrets"]}
    missed = [item for item in not_seen if item.partition("/")[2] not in seen]
    if missed:
        cluster = f"cluster {read['state']['cluster']['host']}"
        found.append(about([], "CERTIFICATE_UNSEEN", cluster, secrets=", ".join(missed)))
    return found


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d")


def _limits(read: Mapping[str, Any], rows: Rows) -> list[Finding]:
    """Load balancers near what they take, each Service judged by what it is, as if it were a gateway's only one."""
    # The nodes tell the cloud, and how many targets a port has; the projection has them for node ports only.
    view = View({**read["state"], "nodes": [project_node(item) for item in read["nodes"]]})
    found = []
    for item in read["state"]["services"]:
        if item["type"] != "LoadBalancer":
            continue
        gateway = _definition(item)
        if gateway is None:
            continue
        ports = [{"port": port["port"], "name": port["name"], "node_port": port["node_port"]} for port in item["ports"]]
        front = {**{key: item[key] for key in ("namespace", "name")}, "gateway": item["name"], "ports": ports}
        place = f"Service {item['namespace']}/{item['name']}"
        ids = [row["id"] for row in rows if row["object"] == place]
        for one in check_load_balancers(gateway, [{**front, "observed": item}], view):
            if one["code"] in ("LB_LIMIT", "LB_LIMIT_NEAR", "SECURITY_GROUP_RULES"):
                found.append({**one, "rows": ids})
    return found


def _definition(service: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a front Service's stored definition, or what a gateway of its type would have."""
    reference, _findings = read_gateways([{"name": "front", "namespace": "default"}])
    gateway, findings = as_stored({**reference[0], "name": service["name"]}, service)
    return None if findings else gateway


def _drift(read: Mapping[str, Any]) -> list[Finding]:
    """Fields of a set's own objects that somebody else wrote last, and items of its ports that somebody changed."""
    found = []
    for kind in ("gateways", "virtual_services", "services"):
        name = {"gateways": "Gateway", "virtual_services": "VirtualService", "services": "Service"}[kind]
        for item in read[kind]:
            metadata = item["metadata"]
            if not is_ours(metadata.get("labels")) or (kind != "services" and SET_LABEL not in metadata["labels"]):
                continue
            for manager, paths in changed_by_hand(metadata, whole=kind != "services").items():
                subject = f"{name} {metadata['namespace']}/{metadata['name']}"
                fields = ", ".join(sorted(paths)[:5])
                found.append(about([], "SET_DRIFT", subject, fields=fields, manager=manager))
    return found


def changed_by_hand(metadata: Mapping[str, Any], whole: bool) -> dict[str, set[str]]:
    """Return the fields of a spec that others own, by their manager.

    Of an object that is C(whole)ly ours that is every field; of a Service only those of ports that are ours, since
    others may have ports of their own beside.
    """
    entries = [item for item in metadata.get("managedFields") or [] if not item.get("subresource")]
    ours = {
        step
        for item in entries
        if is_collection_s(item.get("manager", ""))
        for path in owned(item)
        for step in path
        if isinstance(step, tuple)
    }
    found: dict[str, set[str]] = defaultdict(set)
    for item in entries:
        if is_collection_s(item.get("manager", "")):
            continue
        for path in owned(item):
            if path[0] == "spec" and (whole or any(step in ours for step in path if isinstance(step, tuple))):
                found[item["manager"]].add(_path(path))
    return found


def _path(path: Sequence[Any]) -> str:
    return ".".join(step if isinstance(step, str) else f"[{dict(step).get('port', dict(step))}]" for step in path)


def _unread(read: Mapping[str, Any]) -> list[Finding]:
    by_what: dict[str, list[str]] = defaultdict(list)
    for path, what in read["unread"].items():
        by_what[what].append(path)
    cluster = f"cluster {read['state']['cluster']['host']}"
    return [
        about([], "AUDIT_UNSEEN", cluster, paths=", ".join(paths), what=what) for what, paths in sorted(by_what.items())
    ]
