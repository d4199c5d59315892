# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Between the dry run and the first write: what the changes do to live sessions, and whether that may be.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.servicemesh.tcp.plugins.module_utils._apply import Change, Refused, diff
from ansible_collections.servicemesh.tcp.plugins.module_utils._drift import drift
from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy import Gateway
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import errors, finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._impact import CUTTING, impacts
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import collection_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import GATEWAY_LABEL, gateway_selector
from ansible_collections.servicemesh.tcp.plugins.module_utils._plan_text import (
    cut_text,
    groups,
    plan_lines,
    ports_text,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._ranges import HIGHEST, ends
from ansible_collections.servicemesh.tcp.plugins.module_utils._sessions import Sessions

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule
    from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api

# Asks the Envoys of a gateway, given by namespace and name.
Look = Callable[[str, str], Sessions]
# Seconds between two looks while a gateway drains, and for istiod and Envoy to take a change in.
POLL_SECONDS = 2.0
PUSH_SECONDS = 5.0


UNSEEN_PAST = Sessions(problems=("no gateway whose Envoy counts them stands behind this door",))


class Announcement(NamedTuple):
    """What a run is about to do: lines for people, one impact per port, findings about sessions."""

    lines: list[str]
    impacts: list[dict[str, Any]]
    findings: list[dict[str, str]]


def announce(
    changes: Sequence[Change], look: Look, policy: str = "warn", allow_drain: Iterable[Any] = ()
) -> Announcement:
    """Tell what changes (of C(_apply.plan)) do, asking the Envoys only of gateways whose sessions they would cut.

    With C(policy) V(refuse) open sessions that would end, and ports of which that cannot be seen, are errors, except on
    the ports of C(allow_drain).
    """
    allowed, findings = allowed_ports(allow_drain)
    found = impacts((change.before, change.after) for change in changes)
    seen: dict[tuple[str, str], Sessions] = {}
    for item in found:
        place = (item["namespace"], item["gateway"])
        if item["impact"] in CUTTING and place not in seen:
            seen[place] = UNSEEN_PAST if "door" in item else look(*place)
        item.update(_sessions_of(item, seen.get(place)))
    findings += _findings(found, policy, allowed)
    names = [change.text for change in changes if change.action != "nothing"]
    # An object that two steps write (ports open first and close last) is told of once.
    lines = plan_lines(dict.fromkeys(names), found, drift(changes))
    return Announcement(lines, found, findings)


def announce_or_refuse(
    changes: Sequence[Change],
    look: Look,
    options: Mapping[str, Any],
    findings: Sequence[dict[str, str]] = (),
) -> Announcement:
    """Tell what changes do as the options C(session_policy) and C(allow_drain) say; raise Refused where it may not be.

    C(findings) are those of the plan, which are told with it.
    """
    told = announce(changes, look, options["session_policy"], options["allow_drain"])
    if errors(told.findings):
        raise Refused([*findings, *told.findings], told=told)
    return told


def outcome(changes: Iterable[Change], told: Announcement, api: Api, module: AnsibleModule) -> dict[str, Any]:
    """Return what every module that writes says of its changes."""
    different = [change for change in changes if change.action != "nothing"]
    return {
        "changed": bool(different),
        "changes": [change.text for change in different],
        "plan": told.lines,
        "impacts": told.impacts,
        "planned": module.check_mode,
        "diff": diff(different) if module._diff else [],
        "api_requests": dict(api.requests),
    }


def _sessions_of(impact: Mapping[str, Any], seen: Sessions | None) -> dict[str, Any]:
    """Return a port's open sessions if it is cut, why they could not be seen, and after how many seconds they end."""
    if seen is None or impact["impact"] not in CUTTING:
        return {"sessions": None, "unseen": "", "ends": None}
    unseen = "; ".join(dict.fromkeys(seen.problems))
    count = seen.open.get(impact["listener"], 0)
    ends = seen.pod_drain if impact["impact"] == "restarts" else seen.listener_drain
    return {"sessions": count or (None if unseen else 0), "unseen": unseen, "ends": ends}


def allowed_ports(texts: Iterable[Any]) -> tuple[set[int] | None, list[dict[str, str]]]:
    """Read ports and ranges as people write them in C(tcp_allow_drain); V(None) stands for V(all)."""
    found: set[int] = set()
    findings = []
    for text in texts:
        if str(text) == "all":
            return None, []
        first, last = ends(text)
        if first is None or last is None or not 1 <= first <= last <= HIGHEST:
            rule = f"it is a port, a range such as 20000-20099 within 1 to {HIGHEST}, or 'all'"
            findings.append(finding("VALUE_INVALID", "tcp_allow_drain", key="entry", value=text, rule=rule))
        else:
            found.update(range(first, last + 1))
    return found, findings


def _findings(found: Iterable[Mapping[str, Any]], policy: str, allowed: set[int] | None) -> list[dict[str, str]]:
    """Return a finding per gateway whose open sessions would end, and one per gateway that cannot be looked at."""
    cut = [item for item in found if item["impact"] in CUTTING and allowed is not None and item["port"] not in allowed]
    findings = []
    for namespace, name in sorted({(item["namespace"], item["gateway"]) for item in cut}):
        here = [item for item in cut if (item["namespace"], item["gateway"]) == (namespace, name)]
        subject = f"{'door' if 'door' in here[0] else 'gateway'} {name!r}"
        busy = [item for item in here if item["sessions"]]
        if busy:
            parts = [cut_text(group) for group in groups(busy)]
            findings.append(finding("SESSIONS_WOULD_END", subject, sessions=", and ".join(parts)))
        blind = [item for item in here if item["unseen"]]
        if blind:
            ports = ports_text(item["port"] for item in blind)
            findings.append(finding("SESSIONS_UNSEEN", subject, ports=ports, why=blind[0]["unseen"]))
    if policy == "refuse":
        findings = [{**item, "severity": "error"} for item in findings]
    return findings


def look_of(api: Api) -> Look:
    """Return what asks the Envoys of a gateway through an API server."""

    def look(namespace: str, gateway: str) -> Sessions:
        # Here and not above: it loads the websocket client, which a run that cuts no session need not.
        from ansible_collections.servicemesh.tcp.plugins.module_utils._portforward import EnvoyReader

        # Whoever made them, a gateway's pods are those that its front Service selects.
        front = api.find(f"{collection_path('Service', namespace)}/{gateway}")
        selector = ((front or {}).get("spec") or {}).get("selector") or gateway_selector(gateway, namespace)
        return EnvoyReader(api).sessions(Gateway(gateway, namespace, selector))

    return look


def place_of(change: Change) -> tuple[str, str]:
    """Return namespace and name of the gateway that a change belongs to."""
    metadata = (change.before or change.step["object"])["metadata"]
    name = (metadata.get("labels") or {}).get(GATEWAY_LABEL, metadata["name"])
    of_step = change.step.get("gateway") or {"namespace": metadata["namespace"], "name": name}
    return of_step["namespace"], of_step["name"]


class DrainWait:
    """Waits, before the write that closes ports of a front Service, until the sessions on them have ended.

    A cloud's load balancer drops the sessions of a port that its Service gives up at once, so that the drain of a
    listener that is gone already has to end first.
    """

    def __init__(
        self,
        look: Look,
        seconds: float,
        tick: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Wait at most C(seconds) in all; C(tick) is called between two looks (to keep a Lease)."""
        self._look = look
        self._left = float(seconds)
        self._tick, self._clock, self._sleep = tick, clock, sleep

    def __call__(self, change: Change) -> None:
        """Wait if the step of a change says which listeners drain; not where nobody has a session or all is unseen."""
        listeners = change.step.get("drain") or []
        if not listeners or not change.before:
            return
        namespace, gateway = place_of(change)
        begun = self._clock()
        while True:
            seen = self._look(namespace, gateway)
            spent = self._clock() - begun
            drained = seen.listener_drain is not None and spent >= seen.listener_drain + PUSH_SECONDS
            # Where sessions are not counted but the drain time is known, all of that time is waited.
            blind = seen.problems and seen.listener_drain is None
            idle = not seen.problems and not any(seen.open.get(port) for port in listeners)
            if drained or blind or idle or spent >= self._left:
                break
            self._tick()
            self._sleep(min(POLL_SECONDS, self._left - spent))
        self._left -= self._clock() - begun
