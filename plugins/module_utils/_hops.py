# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The first broken hop of a port whose proof failed: the chain is walked from the client to the backend's pod.

A pure function of what was read. What Envoy saw of a trial session goes before what settings would have it do: a
NetworkPolicy that nobody enforces is no broken hop where the connection passed.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.servicemesh.tcp.plugins.module_utils import _hops_backend, _hops_front, _hops_gateway
from ansible_collections.servicemesh.tcp.plugins.module_utils._hops_case import SHUT, Case
from ansible_collections.servicemesh.tcp.plugins.module_utils._texts import some

Verdict = "dict[str, str] | None"

Look = Callable[[Case], Verdict]

OF_THE_GATEWAY: tuple[Look, ...] = (
    _hops_front.front_service,
    _hops_front.front_address,
    _hops_front.name_resolves,
    _hops_front.front_selects,
    _hops_front.pods_ready,
    _hops_gateway.gateway_server,
    _hops_gateway.listener,
    _hops_gateway.let_in,
)
# Each of several backends has these of its own.
OF_A_BACKEND: tuple[Look, ...] = (
    _hops_backend.service,
    _hops_backend.subset,
    _hops_gateway.cluster,
    _hops_backend.mutual_tls,
    _hops_backend.network_policies,
    _hops_backend.accepts,
    _hops_backend.admits,
    _hops_backend.sniffing,
)


def first_broken_hop(case: Case) -> dict[str, str]:
    """Return the verdict on one broken port."""
    looks = [
        *((look, case) for look in OF_THE_GATEWAY),
        *((look, one) for look in OF_A_BACKEND for one in case.by_backend),
        (_hops_backend.application, case),
    ]
    verdicts = (look(one) for look, one in looks)
    return next(filter(None, verdicts), None) or _outside(case)


def _outside(case: Case) -> dict[str, str]:
    """Say what remains where nothing inside was found broken."""
    unseen = some(case.facts.unseen, most=10)
    bad = next((item for item in (*case.trial, *case.results) if item["state"] != "proven"), None)
    seen = bad["detail"].rstrip(".") if bad else "it was not probed"
    if case.arrived is None and unseen:
        return case.found("HOP_UNSEEN", unseen=unseen, seen=seen)
    if case.arrived:
        return case.found("HOP_NOT_FOUND", seen=seen)
    address = bad["address"] if bad else some(case.addresses)
    if case.state in SHUT and address not in case.facts.answering:
        return case.found("HOP_ADDRESS_SILENT", address=address, seen=seen)
    if case.state in SHUT or case.arrived is False:
        return case.found("HOP_FIREWALL", address=address, seen=seen)
    return case.found("HOP_NOT_FOUND", seen=seen)
