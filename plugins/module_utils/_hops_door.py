# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way of a session that comes by another door than the gateway: to the backend's pods, and what they take.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from ansible_collections.servicemesh.tcp.plugins.module_utils import _hops_backend
from ansible_collections.servicemesh.tcp.plugins.module_utils._endpoints import STATES
from ansible_collections.servicemesh.tcp.plugins.module_utils._hops_case import Case
from ansible_collections.servicemesh.tcp.plugins.module_utils._texts import some


def first_broken_hop(case: Case) -> dict[str, str]:
    """Return the verdict on one broken port: what of the backend is, or that it is not seen from inside."""
    return _hops_backend.service(case) or _mutual_tls(case) or _between(case)


def _mutual_tls(case: Case) -> dict[str, str] | None:
    """A sidecar that takes mutual TLS only, which nobody speaks who comes past the mesh."""
    if not case.has_sidecar:
        return None
    wanted = _hops_backend.mode_of_pods(case)
    if wanted.mode != "STRICT":
        return None
    values = {"said_by": wanted.said_by, "backend_port": _hops_backend.port_of_pods(case)}
    return case.found("DOOR_MTLS", door=case.port["door"], **values)


def _between(case: Case) -> dict[str, str]:
    """Say what was met, where the backend itself is in order or may not be seen."""
    bad = next((item for item in case.results if item["state"] != "proven"), None)
    seen = f"{STATES.get(bad['state'], bad['state'])} ({bad['detail']})" if bad else "it has no address"
    unseen = f"; not to be seen was: {some(case.facts.unseen, most=10)}" if case.facts.unseen else ""
    return case.found(
        "DOOR_BROKEN",
        door=case.port["door"],
        name=f"{case.port['namespace']}/{case.port['service']}",
        address=bad["address"] if bad else "-",
        seen=f"{seen}{unseen}",
    )
