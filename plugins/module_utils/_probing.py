# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe targets with all that it takes: the gateways' Envoys are asked, and sessions opened inside, where needed.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy import Gateway, Snapshot
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe import Prober, sockets_allowed
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_target import Target

if TYPE_CHECKING:
    from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api

CONCURRENCY, HOLD = 200, 1.0
# Open at the same time through the relay, each of which is a thread here and a stream of the API server.
MOST_INSIDE = 128
UNASKED = "The gateways' Envoys cannot be asked, because there is no connection to the API server"


def probe(
    connect: Callable[[], Api],
    targets: Sequence[Target],
    gateways: Mapping[str, Gateway],
    deadline: float,
    concurrency: int = CONCURRENCY,
    hold: float = HOLD,
    planned: bool = False,
) -> list[dict[str, Any]]:
    """Return the results of all targets. C(connect) is called only if the cluster is needed, and raises ApiError.

    Talkative ports are proven without the cluster. With C(planned) no pod is made to open sessions from inside.
    """
    inside = any(target.talk.inside for target in targets)
    asks = inside or any(target.talk.mode == "connect" and target.gateway for target in targets)
    api = connect() if asks else None
    reader = reader_of(api) if api else None

    async def observe(gateway: str, wanted: Collection[str], pods: Sequence[str] | None) -> Snapshot:
        return await asyncio.to_thread(reader.snapshot, gateways[gateway], wanted, pods)

    sockets = sockets_allowed()
    beside = min((target.gateway for target in targets if target.talk.inside and target.gateway), default=None)
    with way_in(api, reader, gateways[beside] if beside else None, planned) as relay:
        prober = Prober(
            targets,
            observe,
            concurrency=concurrency,
            deadline=deadline,
            hold=hold,
            # A session through the relay is dear.
            sockets=min(sockets, MOST_INSIDE) if inside else sockets,
            dial=relay.dial if relay else None,
        )
        return asyncio.run(prober.run())


def reader_of(api: Api) -> Any:
    """Return what asks the Envoys; its libraries take half a second to load, and talkative ports need none of them."""
    from ansible_collections.servicemesh.tcp.plugins.module_utils._portforward import EnvoyReader

    return EnvoyReader(api)


def way_in(api: Api | None, reader: Any, gateway: Gateway | None, planned: bool) -> Any:
    """Return what opens sessions from beside a gateway while it is entered, V(None) where none is to be opened there.

    Its libraries take half a second to load, too.
    """
    if gateway is None:
        return contextlib.nullcontext()
    from ansible_collections.servicemesh.tcp.plugins.module_utils._relay import relay_beside

    return relay_beside(api, reader, gateway, planned)
