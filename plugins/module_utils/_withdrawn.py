# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which ports of a set a run takes away, as against those of records that only move or get another name.

And which of its ports nobody of the set has any more, whatever became of their records: those must fall silent.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._by_name import kind_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._door_plan import closed_at
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import port_place, short_hash
from ansible_collections.servicemesh.tcp.plugins.module_utils._service_entries import is_external
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls import one_per_port

if TYPE_CHECKING:
    from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View


def former_hashes(ports: Iterable[Mapping[str, Any]], set_name: str) -> dict[str, str]:
    """Return the hash that each renamed record of a port map had, with the one that it has now."""
    return {short_hash(set_name, port["was"]): port["hash"] for port in ports if port["was"] is not None}


def withdrawn_listeners(
    wanted: Sequence[Mapping[str, Any]], observed: Iterable[Mapping[str, Any]], former: Mapping[str, str]
) -> list[Mapping[str, Any]]:
    """Return which of the observed listeners are withdrawn; C(former) is what C(former_hashes) returned.

    A record that only moves to other ports, or to another gateway, has not withdrawn any; one that has fewer ports
    than before has withdrawn as many as it has less.
    """

    def key(item: Mapping[str, Any]) -> tuple[Any, ...]:
        return *port_place(item), former.get(item["hash"], item["hash"])

    stays = {key(item) for item in wanted}
    gone = [item for item in observed if key(item) not in stays]
    there = {key(item) for item in observed}
    new = Counter(item["hash"] for item in wanted if key(item) not in there)
    withdrawn = []
    for item in gone:
        digest = former.get(item["hash"], item["hash"])
        new[digest] -= 1
        if new[digest] < 0:
            withdrawn.append(item)
    return withdrawn


def closed_ports(
    observed: Iterable[Mapping[str, Any]],
    stays: Iterable[Mapping[str, Any]],
    view: View,
    set_name: str,
    names: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Return the observed listeners whose port the set gives up, with all that tells whether it still answers.

    C(names) are the records' names by their hashes, as far as they are known: the cluster does not hold them. A port
    that another set has by name as well goes on answering, for that set's names.
    """
    kept = {port_place(item) for item in stays}
    closed = []
    for item in one_per_port(observed):
        front = view.services.get((item["namespace"], item["service"]), {"ports": [], "managers": {}})
        if port_place(item) in kept:
            continue
        if kind_of(item) and (item.get("lent") or item["port"] in view.ports_of_other_sets(front, set_name)):
            continue
        node_ports = [port["node_port"] for port in front["ports"] if port["port"] == item["port"]]
        closed.append(
            {
                **{key: item[key] for key in ("namespace", "gateway", "service", "port", "target_port")},
                "name": (names or {}).get(item["hash"] or "", ""),
                "node_port": node_ports[0] if node_ports else None,
                "backend": backend_of(item, view),
                **_several(item, view),
                **closed_at(item, view),
            }
        )
    return closed


def backend_of(listener: Mapping[str, Any], view: View) -> dict[str, Any] | None:
    """Return the Service that a listener leads to; one without a rule (a run that was stopped) leads nowhere.

    One outside of the cluster is known by what its ServiceEntry names, or else by that one's host.
    """
    return _backend_at(listener["host"], listener["backend_port"], view) if listener["host"] else None


def _several(listener: Mapping[str, Any], view: View) -> dict[str, Any]:
    """Return C(backends), as C(tcp_endpoints) has them, of a listener that leads to more than one plain Service."""
    if not listener.get("destinations"):
        return {}
    found = [
        {**_backend_at(item["host"], item["port"], view), "weight": item["weight"], "subset": item["subset"] or None}
        for item in listener["destinations"]
    ]
    return {"backends": found}


def _backend_at(host: str, port: int, view: View) -> dict[str, Any]:
    """Return what is behind a route's host."""
    if is_external(host):
        entry = view.entries.of_host(host)
        return {"namespace": "", "service": "", "port": port, "external": entry["endpoints"] if entry else [host]}
    service, namespace = host.split(".")[:2]
    return {"namespace": namespace, "service": service, "port": port}
