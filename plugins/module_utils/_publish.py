# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The write phase of a set in one process: read, plan, try; then, under the gateways' Leases, read, plan and write.

A run that has nothing to change reads once and takes no Lease.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.servicemesh.tcp.plugins.module_utils import _apply
from ansible_collections.servicemesh.tcp.plugins.module_utils._announce import (
    Announcement,
    DrainWait,
    Look,
    announce_or_refuse,
    look_of,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._door_reads import read_for_doors
from ansible_collections.servicemesh.tcp.plugins.module_utils._doors import is_door
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import errors
from ansible_collections.servicemesh.tcp.plugins.module_utils._lease import Leases
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import DOOR_LABEL, GATEWAY_LABEL
from ansible_collections.servicemesh.tcp.plugins.module_utils._publication import publication
from ansible_collections.servicemesh.tcp.plugins.module_utils._read import read
from ansible_collections.servicemesh.tcp.plugins.module_utils._read_backends import read_backend_pods
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import complete
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls_secrets import read_secrets, wanted_secrets

if TYPE_CHECKING:
    from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api

Place = tuple[str, str]
# How often a run reads and plans again because somebody else wrote to a control plane in between.
TRIES = 5


class Attempt(NamedTuple):
    """One reading of the cluster, the plan that it led to, what the API server says to it, and what it does."""

    state: Mapping[str, Any]
    plan: Mapping[str, Any]
    changes: Sequence[_apply.Change]
    told: Announcement | None = None

    @property
    def differs(self) -> bool:
        """Whether there is anything to write."""
        return any(change.action != "nothing" for change in self.changes)


def attempt(api: Api, wanted: Mapping[str, Any], lenient: bool, last: Attempt | None = None) -> Attempt:
    """Read, plan and try; raise Refused with all findings where there is an error.

    What was planned from the very same state was tried already. What somebody changes while it is tried is read again.
    """
    for tries_left in reversed(range(TRIES)):
        state = read(api)
        state.update(read_backend_pods(api, wanted["ports"], state))
        state.update(read_for_doors(api, wanted["ports"], state))
        state["secrets"] = read_secrets(api, wanted_secrets(wanted["ports"], wanted["gateways"]))
        if last is not None and last.state == state:
            return last
        plan = publication(wanted, state)
        if errors(plan["findings"]):
            raise _apply.Refused(plan["findings"])
        try:
            changes = _apply.plan(api, [complete(step) for step in plan["steps"]], lenient)
            break
        except _apply.Stale:
            if not tries_left:
                raise
    return Attempt(state, plan, changes)


def places_of(found: Attempt) -> set[Place]:
    """Return the gateways, by namespace and name, of whose objects any differs.

    What somebody made by hand and is taken over does not say whose it is: then all gateways of the records count.
    """
    differing = [change for change in found.changes if change.action != "nothing" and change.kind != "Namespace"]
    places = set()
    for change in differing:
        metadata = (change.after or change.before or {})["metadata"]
        labels = metadata.get("labels") or {}
        if DOOR_LABEL in labels:
            # Nobody but its set writes to it, and there is no gateway to hold.
            continue
        gateway = labels.get(GATEWAY_LABEL)
        place = change.step.get("gateway") or {"namespace": metadata["namespace"], "name": gateway}
        places |= (
            {(place["namespace"], place["name"])}
            if place["name"]
            else {(port["namespace"], port["gateway"]) for port in found.plan["ports"] if not is_door(port)}
        )
    return places


def tell(found: Attempt, wanted: Mapping[str, Any], look: Look) -> Attempt:
    """Say what an attempt does to live sessions; raise Refused where it may not."""
    return found._replace(told=announce_or_refuse(found.changes, look, wanted, found.plan["findings"]))


def foresee(api: Api, wanted: Mapping[str, Any]) -> Attempt:
    """Say what a run would do (check mode): nothing is written, no Lease is taken."""
    return tell(attempt(api, wanted, lenient=True), wanted, look_of(api))


def publish(api: Api, wanted: Mapping[str, Any], **clock: Any) -> Attempt:
    """Make the cluster as wanted; C(clock) and C(sleep) are for tests."""
    look = look_of(api)
    found = attempt(api, wanted, lenient=False)
    # A Lease needs its namespace, and nobody else can be writing to a gateway in one that is not there.
    namespaces = [item for item in found.changes if item.action == "create" and item.kind == "Namespace"]
    if namespaces or not found.differs:
        found = tell(found, wanted, look)
    _apply.write(api, namespaces)
    places: set[Place] = set()
    written: list[_apply.Change] = []
    tries = TRIES
    while found.differs:
        places |= places_of(found)
        with Leases(api, places, wanted["lease_duration"], **clock) as leases:
            leases.take(wanted["lease_timeout"])
            found = attempt(api, wanted, lenient=False, last=found)
            if not places_of(found) <= places:
                # What others did meanwhile led to a gateway more; all of them are taken again, in their order.
                continue
            leases.check()
            found = tell(found, wanted, look)
            drained = DrainWait(look, wanted["wait_timeout"], tick=leases.check, **clock)

            def guard(change: _apply.Change, wait: DrainWait = drained, held: Leases = leases) -> None:
                wait(change)
                held.check()

            try:
                _apply.write(api, found.changes, guard, written.append)
            except _apply.Stale:
                # Somebody wrote to an object that nobody owns a part of. What he wrote is read, and planned with.
                tries -= 1
                if not tries:
                    raise
                continue
            break
    earlier = [*namespaces, *(change for change in written if change not in found.changes)]
    return found._replace(changes=[*earlier, *found.changes], told=_with_earlier(found.told, earlier))


def _with_earlier(told: Announcement | None, earlier: Sequence[_apply.Change]) -> Announcement | None:
    """Put what an earlier attempt of the same run wrote before what the last one said that it would do."""
    return told and told._replace(lines=list(dict.fromkeys([*(change.text for change in earlier), *told.lines])))
