# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Envoy really has: its listeners and routes, in the form in which the model's prediction is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from istio.model import REFUSED, Chain, Listeners

DRAINING_LATER = ("active_state", "warming_state")


def sections(dump: Mapping[str, Any], kind: str) -> Iterator[Mapping[str, Any]]:
    """Return the parts of a configuration dump that are of a kind, such as C(ListenersConfigDump)."""
    for part in dump["configs"]:
        if part["@type"].endswith(f".{kind}"):
            yield part


def route_hosts(dump: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the hosts of each route configuration; what answers for nobody is left out."""
    found = {}
    for part in sections(dump, "RoutesConfigDump"):
        for item in part.get("dynamic_route_configs", []):
            config = item["route_config"]
            domains = {domain for host in config.get("virtual_hosts", []) for domain in host["domains"]}
            found[config["name"]] = tuple(sorted({domain.partition(":")[0] for domain in domains} - {"*"}))
    return found


def is_warming(dump: Mapping[str, Any]) -> bool:
    """Tell whether any listener still waits for something."""
    items = [item for part in sections(dump, "ListenersConfigDump") for item in part.get("dynamic_listeners", [])]
    return any("warming_state" in item for item in items)


def listeners(dump: Mapping[str, Any]) -> Listeners:
    """Return the listeners of a dump; one whose latest version was refused is that, whatever Envoy still serves."""
    hosts = route_hosts(dump)
    found: Listeners = {}
    for part in sections(dump, "ListenersConfigDump"):
        for item in part.get("dynamic_listeners", []):
            if "error_state" in item:
                found[address_of(item["error_state"]["failed_configuration"])] = REFUSED
            elif "active_state" in item:
                listener = item["active_state"]["listener"]
                found[address_of(listener)] = tuple(sorted(chain(one, hosts) for one in listener["filter_chains"]))
    return found


def address_of(listener: Mapping[str, Any]) -> tuple[str, int]:
    """Return the address that a listener binds."""
    address = listener["address"]["socket_address"]
    return (address["address"], address["port_value"])


def chain(item: Mapping[str, Any], hosts: Mapping[str, tuple[str, ...]]) -> Chain:
    """Return one filter chain; the filters before its last one say nothing of where it leads."""
    sni = tuple(sorted(item.get("filter_chain_match", {}).get("server_names", [])))
    config = item["filters"][-1]["typed_config"]
    if config["@type"].endswith("HttpConnectionManager"):
        return (sni, "http", () if "transport_socket" in item else hosts.get(config["rds"]["route_config_name"], ()))
    if "cluster" in config:
        return (sni, "tcp", (config["cluster"],))
    return (sni, "tcp", tuple(one["name"] for one in config["weighted_clusters"]["clusters"]))
