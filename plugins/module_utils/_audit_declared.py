# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an inventory declares, held against what its set has on the cluster.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._by_name import kind_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._door_plan import all_listeners
from ansible_collections.servicemesh.tcp.plugins.module_utils._doors import is_door
from ansible_collections.servicemesh.tcp.plugins.module_utils._exposure import listener_of, route_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import errors, finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._http_objects import same_http
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import port_place
from ansible_collections.servicemesh.tcp.plugins.module_utils._plan_text import ports_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls_objects import same_tls
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View

# The last is the record's hash where records share a port by name.
Key = tuple[str, str, int, Any]


def differences(
    state: Mapping[str, Any], ports: Iterable[Any], gateways: Iterable[Any], set_name: str, cluster_domain: str
) -> list[dict[str, Any]]:
    """Return how a set on the cluster differs from its records: one finding for each gateway and kind of difference."""
    mapped = port_map(ports, gateways, state, set_name=set_name, cluster_domain=cluster_domain)
    refused = errors(mapped["findings"])
    if refused:
        codes = ", ".join(sorted({item["code"] for item in refused}))
        return [
            _differs(set_name, f"its records are refused as the cluster is now ({codes}), so they were not compared")
        ]
    wanted = {_key(item): item for item in mapped["ports"]}
    there = {_key(item): item for item in all_listeners(View(state), set_name)}
    found = []
    for what, keys in (
        ("declared, but not published", wanted.keys() - there.keys()),
        ("published, but not declared", there.keys() - wanted.keys()),
        ("published to another backend than declared", _moved(wanted, there)),
        ("published with other TLS settings than declared", _other_tls(wanted, there)),
        ("published with other hosts or paths than declared", _other_http(wanted, there)),
    ):
        for namespace, gateway in sorted({key[:2] for key in keys}):
            numbers = {key[2] for key in keys if key[:2] == (namespace, gateway)}
            verb = "are" if len(numbers) > 1 else "is"
            past = any(is_door(wanted.get(key) or there[key]) for key in keys if key[:2] == (namespace, gateway))
            noun = "door" if past else "gateway"
            found.append(_differs(set_name, f"{ports_text(numbers)} of {noun} {namespace}/{gateway} {verb} {what}"))
    return found


def _key(item: Mapping[str, Any]) -> Key:
    return *port_place(item), item["hash"] if kind_of(item) else None


def _moved(wanted: Mapping[Key, Mapping[str, Any]], there: Mapping[Key, Mapping[str, Any]]) -> set[Key]:
    """Return the ports that lead somewhere else; a port without a destination is half written, and so differs too."""
    return {key for key in wanted.keys() & there.keys() if _leads(listener_of(wanted[key])) != _leads(there[key])}


def _leads(listener: Mapping[str, Any]) -> Any:
    """Return where a listener leads: by its rule, and that of a door to a port of the pods."""
    return listener["target_port"] if is_door(listener) else route_of(listener)


def _other_tls(wanted: Mapping[Key, Mapping[str, Any]], there: Mapping[Key, Mapping[str, Any]]) -> set[Key]:
    """Return the ports with other names, another certificate, or another oldest version of TLS."""
    return {key for key in wanted.keys() & there.keys() if not same_tls(wanted[key]["tls"], there[key].get("tls"))}


def _other_http(wanted: Mapping[Key, Mapping[str, Any]], there: Mapping[Key, Mapping[str, Any]]) -> set[Key]:
    """Return the ports with other hosts or paths."""
    return {
        key for key in wanted.keys() & there.keys() if not same_http(wanted[key].get("http"), there[key].get("http"))
    }


def _differs(set_name: str, what: str) -> dict[str, Any]:
    return {**finding("SET_DIFFERS", f"set {set_name!r}", what=what), "rows": []}
