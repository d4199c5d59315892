# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of a lab: pure arithmetic. Everything lies in 198.18.0.0/15, which no real network uses."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

LAB_RANGE = IPv4Network("198.18.0.0/15")
SLOTS = 16  # one /19 each
MAX_NODES = 16  # a /24 of pod addresses each
METRIC = 42949  # of the `unreachable` route: any real route to the same range comes first


@dataclass(frozen=True)
class Addresses:
    """Every subnet of the lab in one slot."""

    slot: int
    whole: IPv4Network
    pods: IPv4Network
    services: IPv4Network
    nodes: IPv4Network
    pool: IPv4Network
    external: IPv4Network
    docker_bridge: IPv4Network
    docker_spare: IPv4Network
    host_end: IPv4Address
    lab_end: IPv4Address

    @property
    def interface(self) -> str:
        """The host's end of the link to an own engine, and the bridge of the nodes on a running docker."""
        return f"tcplab{self.slot}"


def addresses(slot: int) -> Addresses:
    """The subnets of slot 0 to 15."""
    whole = list(LAB_RANGE.subnets(new_prefix=19))[slot]
    blocks = list(whole.subnets(new_prefix=24))
    link = list(blocks[31].subnets(new_prefix=30))[-1]
    return Addresses(
        slot=slot,
        whole=whole,
        pods=IPv4Network(f"{blocks[0].network_address}/20"),
        services=IPv4Network(f"{blocks[16].network_address}/21"),
        nodes=blocks[24],
        pool=blocks[25],
        external=blocks[26],
        docker_bridge=blocks[27],
        docker_spare=blocks[28],
        host_end=link[1],
        lab_end=link[2],
    )


def clashes(wanted: IPv4Network, routes: list[dict[str, object]], own: set[str]) -> list[str]:
    """Routes of `ip -j -4 route show table all` that overlap the wanted range, as `range dev interface`.

    The default route, routes of the lab's own interfaces (`own`) and the lab's `unreachable` route do not count.
    """
    found = []
    for route in routes:
        where = str(route.get("dst", "default"))
        if where == "default" or str(route.get("dev", "")) in own or route.get("metric") == METRIC:
            continue
        try:
            network = ipaddress.ip_network(where, strict=False)
        except ValueError:
            continue
        if network.version == 4 and network.overlaps(wanted):
            via = f" dev {route['dev']}" if "dev" in route else ""
            found.append(f"{where}{via}")
    return found
