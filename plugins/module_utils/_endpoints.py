# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where clients reach each port, how that is proven, and what a run reports of it.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._backends import clusters_of, shares_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._doors import GATEWAY, NODE_PORT, ROUTE, is_door
from ansible_collections.servicemesh.tcp.plugins.module_utils._http import client_of as http_client_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._http import routes_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import gateway_selector
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls import sni_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls_client import client_of

# What of a backend is told; one outside of the cluster has only the port and C(external).
BACKEND_SHOWN = ("namespace", "service", "port", "external")

# What tcp_probe found, as people say it.
STATES: Mapping[str, str] = {
    "closed": "the connection was closed again",
    "no_answer": "it connects, but nothing comes back",
    "no_upstream": "it connects, but the gateway has no backend for it",
    "refused": "the connection is refused",
    "reset": "the connection was reset",
    "timeout": "the connection request is not answered",
    "unreachable": "there is no way to that address from here",
    "unresolved": "the name does not resolve",
    "unseen": "it connects, but the gateway could not be asked for its backend",
    "untrusted": "its certificate is not to be trusted",
    "wrong_answer": "something else came back",
}


def reachable_at(
    port: Mapping[str, Any], service: Mapping[str, Any] | None, nodes: Sequence[Mapping[str, Any]]
) -> tuple[list[str], int]:
    """Return the addresses and the port at which clients reach one port of a front Service.

    The node port of a door is V(None) as long as nobody has chosen it.
    """
    if port.get("door") == ROUTE:
        return list(port["addresses"]), port["port"]
    if port.get("door") == NODE_PORT and (service is None or "addresses" in port):
        return list(port.get("addresses", ())), port["node_port"]
    if service is None:
        return list(port.get("addresses", ())), port["port"]
    if service["type"] == "NodePort":
        node_port = next((item["node_port"] for item in service["ports"] if item["port"] == port["port"]), None)
        addresses = [address for node in nodes for address in node["addresses"]]
        # A port that was withdrawn tells itself which one it had.
        return addresses, node_port or port["node_port"] or port["port"]
    outside = [*service["addresses"], *service["external_ips"]]
    if outside or service["type"] == "LoadBalancer":
        return outside, port["port"]
    return [service["cluster_ip"]], port["port"]


def endpoint(
    port: Mapping[str, Any], cluster: str, set_name: str, where: tuple[list[str], int], **known: Any
) -> dict[str, Any]:
    """Return one entry of C(tcp_endpoints): where a port is reached (addresses and number), and what is known of it."""
    return {
        "cluster": cluster,
        "set": set_name,
        "name": port["name"],
        "gateway": None if is_door(port) else port["gateway"],
        "door": port.get("door", GATEWAY),
        "addresses": where[0],
        "port": where[1],
        "sni": None,
        "http": None,
        "client": None,
        "backend": port["backend"],
        "milliseconds": None,
        # The first broken hop, which tcp_prove finds.
        "hop": None,
        **known,
    }


def endpoints(
    ports: Iterable[Mapping[str, Any]],
    services: Iterable[Mapping[str, Any]],
    nodes: Sequence[Mapping[str, Any]] = (),
    results: Iterable[Mapping[str, Any]] = (),
    cluster: str = "",
    probed: bool = True,
    planned: bool = False,
) -> list[dict[str, Any]]:
    """Return C(tcp_endpoints): one entry per port with its addresses and its proof."""
    fronts = {(item["namespace"], item["name"]): item for item in services}
    # A record may have several ports, each with results of its own.
    found: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for result in results:
        found.setdefault((result["name"], result["port"]), []).append(result)
    report = []
    for port in ports:
        addresses, number = reachable_at(port, fronts.get((port["namespace"], port["service"])), nodes)
        seen = found.get((port["name"], number), [])
        silent = ""
        if port.get("door") == NODE_PORT:
            addresses, seen, silent = _nodes_that_answer(addresses, seen)
        backend = port["backend"]
        report.append(
            endpoint(
                port,
                cluster,
                port["set"],
                (addresses, number),
                sni=port["probe"].get("sni") or sni_of(port["tls"]) or None if port.get("tls") else None,
                http=port.get("http"),
                client=client_of(port, addresses, number) or http_client_of(port, addresses, number),
                backend={key: backend[key] for key in BACKEND_SHOWN if key in backend},
                **_shares(port, seen),
                proof="planned" if planned else _proof(port, seen, probed),
                milliseconds=_slowest(seen),
                detail="" if planned else _detail(port, addresses, seen, probed) or silent,
            )
        )
    return report


def _nodes_that_answer(
    addresses: Sequence[str], seen: Sequence[Mapping[str, Any]]
) -> tuple[Sequence[str], Sequence[Mapping[str, Any]], str]:
    """Leave out the nodes that do not answer, where any does, and say which: any node is a way in.

    With external_traffic_policy Local only nodes with a pod of the backend answer.
    """
    answer = [item for item in seen if item["state"] == "proven"]
    silent = [item for item in seen if item["state"] != "proven"]
    if not answer or not silent:
        return addresses, seen, ""
    names = ", ".join(f"{item['address']} ({STATES.get(item['state'], item['state'])})" for item in silent)
    proven = [item["address"] for item in answer]
    return [item for item in addresses if item in proven], answer, f"these nodes do not answer: {names}"


def _shares(port: Mapping[str, Any], seen: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return who gets how much, and the answers that came back, of a port with several backends or a subset."""
    if "backends" not in port:
        return {}
    tally: Counter[str] = Counter()
    for item in seen:
        tally.update(item.get("tally", {}))
    shown = [
        {
            **{key: item[key] for key in (*BACKEND_SHOWN, "weight") if key in item},
            "subset": (item["subset"] or {}).get("name"),
        }
        for item in port["backends"]
    ]
    return {"backends": shown, "tally": dict(sorted(tally.items()))}


def _proof(port: Mapping[str, Any], seen: Sequence[Mapping[str, Any]], probed: bool) -> str:
    """Judge one port: proven only when every address of it is."""
    if not probed or port["probe"]["mode"] == "none":
        return "unproven"
    return "proven" if seen and all(item["state"] == "proven" for item in seen) else "broken"


def _slowest(seen: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the milliseconds until the slowest address answered (or, where servers are silent, connected)."""
    times = [item["first_byte_ms"] if item["first_byte_ms"] is not None else item["connect_ms"] for item in seen]
    known = [time for time in times if time is not None]
    return max(known) if known else None


def _detail(port: Mapping[str, Any], addresses: Sequence[str], seen: Sequence[Mapping[str, Any]], probed: bool) -> str:
    """Say why a port is not proven."""
    if not probed:
        return "probing is turned off"
    if port["probe"]["mode"] == "none":
        return "probing is turned off for this record"
    if not addresses:
        return "its load balancer has no address"
    if not seen:
        return "it was not probed"
    bad = next((item for item in seen if item["state"] != "proven"), None)
    if bad is None:
        return ""
    return f"{bad['address']}:{bad['port']}: {STATES.get(bad['state'], bad['state'])} ({bad['detail']})"


def unfinished(records: Iterable[Any], findings: Sequence[Mapping[str, Any]] = ()) -> list[dict[str, Any]]:
    """Return what the table shows of records whose run failed before it knew their ports: they stand as written.

    A record with an error of its own is V(refused). One that is only named is to be withdrawn. Nothing of a record was
    checked, so that any of it may be missing or of another type.
    """
    return [_unfinished(record, findings) for record in records]


def _unfinished(record: Any, findings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one row of C(unfinished)."""
    proof, detail = "unproven", "the run failed before it came to that"
    if not isinstance(record, Mapping):
        record, detail = {}, f"{record}: {detail}"
    subject = f"record {record.get('name')!r}"
    codes = [item["code"] for item in findings if item["severity"] == "error" and item["subject"] == subject]
    if codes:
        proof, detail = "refused", ", ".join(dict.fromkeys(codes))
    backend, port = record.get("backend"), record.get("port")
    whole = isinstance(backend, Mapping) and all(key in backend for key in ("namespace", "service", "port"))
    return {
        "gateway": str(record.get("gateway") or ""),
        "addresses": [],
        "port": ", ".join(map(str, port)) if isinstance(port, list) else port,
        "backend": backend if whole else None,
        "proof": proof,
        "milliseconds": None,
        "detail": detail,
        "hop": None,
    }


def probe_targets(
    ports: Iterable[Mapping[str, Any]],
    services: Iterable[Mapping[str, Any]],
    nodes: Sequence[Mapping[str, Any]] = (),
) -> dict[str, list[dict[str, Any]]]:
    """Return what M(servicemesh.tcp.tcp_probe) takes: C({targets, gateways})."""
    fronts = {(item["namespace"], item["name"]): item for item in services}
    targets = []
    gateways = {}
    for port in ports:
        probe = port["probe"]
        addresses, number = reachable_at(port, fronts.get((port["namespace"], port["service"])), nodes)
        if probe["mode"] == "none" or not addresses:
            continue
        target = {**probe, "name": port["name"], "addresses": addresses, "port": number}
        if is_door(port):
            targets.append(target)
            continue
        targets.append({**target, "gateway": port["gateway"], "cluster": clusters_of(port)})
        gateways[port["gateway"]] = {
            "name": port["gateway"],
            "namespace": port["namespace"],
            "selector": selector_of(port, fronts),
        }
    return {"targets": targets, "gateways": [gateways[name] for name in sorted(gateways)]}


def selector_of(port: Mapping[str, Any], fronts: Mapping[tuple[str, str], Mapping[str, Any]]) -> dict[str, str]:
    """Return the labels of the pods behind a port: those that its front Service selects, whoever made that."""
    front = fronts.get((port["namespace"], port["service"]), {})
    return dict(front.get("selector") or gateway_selector(port["gateway"], port["namespace"]))


def _door_text(item: Mapping[str, Any]) -> str:
    """Write by which door a record is reached that is on no gateway."""
    door = item.get("door", GATEWAY)
    return "-" if door == GATEWAY else f"({door})"


def _routes(item: Mapping[str, Any]) -> str:
    """Write the hosts and paths of an HTTP endpoint, '' for another."""
    return routes_text(item["http"]) if item.get("http") else ""


def report_lines(report: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the endpoints as the lines of a table."""
    rows = [("GATEWAY", "ADDRESS", "PORT", "BACKEND", "PROOF")]
    for item in report:
        backends = item.get("backends") or ([{**item["backend"], "weight": 1}] if item["backend"] else [])
        proof = item["proof"]
        if proof == "proven" and item["milliseconds"] is not None:
            proof += f" in {item['milliseconds']:.0f} ms" + (f"; {item['detail']}" if item["detail"] else "")
        elif item.get("hop"):
            proof += f" at {item['hop']['code']}: {item['hop']['message']}"
        elif item["detail"]:
            proof += f": {item['detail']}"
        rows.append(
            (
                item["gateway"] or _door_text(item),
                ", ".join(item["addresses"]) or "-",
                # Records of TLS and of HTTP share a port.
                " ".join(filter(None, (str(item["port"] or "-"), item.get("sni"), _routes(item)))),
                shares_text(backends) if backends else "-",
                proof,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return ["  ".join([*(row[i].ljust(widths[i]) for i in range(4)), row[4]]) for row in rows]
