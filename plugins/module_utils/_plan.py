# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan a set: from what is wanted and what is there to one ordered list of steps for C(tcp_apply).

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import _exposure
from ansible_collections.servicemesh.tcp.plugins.module_utils._adopt import adoption_steps
from ansible_collections.servicemesh.tcp.plugins.module_utils._backend_checks import (
    check_entries_seen,
    check_rules_seen,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._by_name import kind_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._capacity import check_capacity
from ansible_collections.servicemesh.tcp.plugins.module_utils._destination_rules import rule_objects, with_former
from ansible_collections.servicemesh.tcp.plugins.module_utils._door_plan import all_listeners, door_steps
from ansible_collections.servicemesh.tcp.plugins.module_utils._doors import is_door
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import errors, finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._fix_protocol import (
    fix_steps,
    kept_fixes,
    observed_fixes,
    wanted_fixes,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._garbage import uncollected
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import (
    GATEWAY_LABEL,
    is_of_set,
    port_place,
    set_manager,
    set_object_name,
    short_hash,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._ownership import (
    at_place,
    is_foreign,
    pod_selector,
    smcp_steps,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._plan_text import port_ranges
from ansible_collections.servicemesh.tcp.plugins.module_utils._service_entries import (
    entry_objects,
    with_former_ports,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import (
    Step,
    apply_step,
    remove_step,
    share_steps,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls import one_per_port
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View, view_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._withdrawn import (
    closed_ports,
    former_hashes,
    withdrawn_listeners,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import (
    bare_object,
)

Place = tuple[str, str]


@uncollected()
def exposure_plan(
    port_map: Mapping[str, Any],
    state: Mapping[str, Any] | View,
    set_name: str = "default",
    prune: bool = True,
    allow_withdraw: Sequence[str] = (),
    source: str = "",
) -> dict[str, Any]:
    """Plan a set's objects so that it publishes just what a port map holds.

    Returns C({ports, steps, findings, withdrawn, closed}), see C(_result). The port map's own findings are handed on;
    with an error among them nothing is planned.
    """
    ports, mapped = port_map["ports"], port_map["findings"]
    if errors(mapped):
        return {"ports": ports, **_result([], list(mapped), [], [])}
    view = view_of(state)
    observed = all_listeners(view, set_name)
    wanted = [_exposure.listener_of(port) for port in ports]
    withdrawn = withdrawn_listeners(wanted, observed, former_hashes(ports, set_name))
    findings = _check_shrinking(wanted, observed, withdrawn, set_name, allow_withdraw, source, view) if prune else []
    findings += check_rules_seen(observed, view, set_name)
    findings += check_entries_seen([*wanted, *observed], view, set_name)
    kept = [] if prune else _kept(withdrawn, wanted)
    wanted += kept
    findings += _say_kept(kept, set_name)
    gateways = port_map.get("gateways", [])
    adoption = adoption_steps(ports, view.gateways, view.virtual_services.values())
    on_gateways, past = _parted(wanted)
    steps = _set_steps(on_gateways, _parted(observed)[0], view, set_name, source, gateways, adoption)
    findings += check_capacity(gateways, one_per_port(on_gateways), steps, view, set_name)
    fixes = wanted_fixes(ports, view), kept_fixes(kept, observed_fixes(view, set_name))
    mending, giving_back = fix_steps(fixes, view, set_name)
    opening, closing = door_steps(_parted(ports)[1], past, view, set_name, source)
    # A record that moves to another door is reached by the new one before the old one goes.
    steps = [*mending, *opening, *steps, *closing, *giving_back]
    closed = closed_ports(observed, wanted, view, set_name)
    return {"ports": ports, **_result(steps, [*mapped, *findings], withdrawn if prune else [], closed)}


def _kept(withdrawn: Iterable[Mapping[str, Any]], wanted: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the listeners that a run without pruning leaves: with a rule, and on a port that the set does not need.

    A port of names is shared with those that stay on it; a plain one is somebody's alone.
    """
    by_names = {port_place(item): kind_of(item) for item in wanted}
    kept = []
    for item in withdrawn:
        shared = by_names.get(port_place(item))
        if is_door(item) and any(item["service"] == other["service"] for other in wanted if is_door(other)):
            # The Service of a door is one record's, and has just the ports that the record says.
            continue
        if item["host"] and (shared is None or (shared and shared == kind_of(item))):
            kept.append(item)
    return kept


def withdrawal_plan(
    state: Mapping[str, Any] | View, set_name: str = "default", names: Sequence[str] = ()
) -> dict[str, Any]:
    """Plan the withdrawal of a set, or of the named records of it; everything else of the set stays as it is."""
    view = view_of(state)
    observed = all_listeners(view, set_name)
    hashes = {short_hash(set_name, name): name for name in names}
    findings = [
        finding("WITHDRAW_UNKNOWN", f"set {set_name!r}", name=name)
        for digest, name in sorted(hashes.items(), key=lambda item: item[1])
        if digest not in {item["hash"] for item in observed}
    ]
    findings += check_rules_seen(observed, view, set_name) + check_entries_seen(observed, view, set_name)
    kept = [item for item in observed if names and item["hash"] not in hashes and item["host"]]
    gone = [item for item in observed if item not in kept]
    fixes = kept_fixes(kept, observed_fixes(view, set_name))
    mending, giving_back = fix_steps([fixes], view, set_name)
    # The set keeps the source that it was last written from: a withdrawal is no new declaration.
    on_gateways, past = _parted(kept)
    steps = [*mending, *_set_steps(on_gateways, _parted(observed)[0], view, set_name, view.source_of(set_name))]
    steps += [*door_steps([], past, view, set_name, "")[1], *giving_back]
    return _result(steps, findings, gone, closed_ports(observed, kept, view, set_name, hashes))


def _parted(items: Iterable[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Part listeners, or entries of the port map, into those of gateways and those of doors past them."""
    found: tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]] = ([], [])
    for item in items:
        found[is_door(item)].append(item)
    return found


def _result(
    steps: list[Step],
    findings: list[dict[str, str]],
    withdrawn: Iterable[Mapping[str, Any]],
    closed: list[dict[str, Any]],
) -> dict[str, Any]:
    """Return a plan; with an error it has no steps, and closes nothing."""
    stopped = bool(errors(findings))
    return {
        "steps": [] if stopped else steps,
        "findings": findings,
        "withdrawn": [{key: item[key] for key in ("namespace", "gateway", "port")} for item in withdrawn],
        "closed": [] if stopped else closed,
    }


def _check_shrinking(
    wanted: Sequence[Mapping[str, Any]],
    observed: Sequence[Mapping[str, Any]],
    withdrawn: Sequence[Mapping[str, Any]],
    set_name: str,
    allow_withdraw: Sequence[str],
    source: str,
    view: View,
) -> list[dict[str, str]]:
    """Stop a run that takes away more than it was likely meant to."""
    allowed = {short_hash(set_name, name) for name in allow_withdraw}
    if "all" in allow_withdraw or all(item["hash"] in allowed for item in withdrawn):
        return []
    last = view.source_of(set_name)
    if not wanted:
        reason = "it declares no port at all"
    elif last and last != source:
        reason = f"the set was last written from {last!r}, not from {source!r}"
    elif len(withdrawn) * 2 > len(observed):
        reason = "that is more than half of it"
    else:
        return []
    shown = ", ".join(str(item["port"]) for item in withdrawn[:10]) + (", ..." if len(withdrawn) > 10 else "")
    return [
        finding(
            "SET_SHRINKS",
            f"set {set_name!r}",
            count=len(withdrawn),
            total=len(observed),
            ports=shown,
            reason=reason,
        )
    ]


def _say_kept(kept: Sequence[Mapping[str, Any]], set_name: str) -> list[dict[str, str]]:
    """Say which ports stay although the run does not declare them."""
    places = sorted({(item["namespace"], item["gateway"]) for item in kept})
    return [
        finding(
            "PORTS_KEPT",
            f"set {set_name!r}",
            gateway=f"{place[0]}/{place[1]}",
            ports=port_ranges(item["port"] for item in kept if (item["namespace"], item["gateway"]) == place),
        )
        for place in places
    ]


def _by_place(listeners: Iterable[Mapping[str, Any]]) -> dict[Place, list[Mapping[str, Any]]]:
    """Group listeners by gateway, each group sorted by port."""
    places: dict[Place, list[Mapping[str, Any]]] = defaultdict(list)
    for item in sorted(listeners, key=lambda found: found["port"]):
        places[(item["namespace"], item["gateway"])].append(item)
    return places


def _set_steps(
    wanted: Sequence[Mapping[str, Any]],
    observed: Sequence[Mapping[str, Any]],
    view: View,
    set_name: str,
    source: str,
    gateways: Iterable[Mapping[str, Any]] = (),
    adoption: Sequence[Step] = (),
) -> list[Step]:
    """Order the writes of a set: ports open on the front Services first, and close on them last.

    A port of a front Service that goes before its listener would make a cloud's load balancer cut sessions at once,
    and so might a NetworkPolicy. Both stay until the sessions of the listener have drained.
    """
    before, after = _by_place(observed), _by_place(wanted)
    opening: list[Step] = []
    routing: list[Step] = []
    closing: list[Step] = []
    manager = set_manager(set_name)
    definitions = {(item["namespace"], item["name"]): item for item in gateways}
    present = _routes_of(view, set_name)
    # A removal that was stopped leaves rules where there is neither port nor server any more.
    left = {*view.rules.places(set_name), *view.entries.places(set_name)}
    for place in sorted({*before, *after, *present, *left}):
        namespace, gateway = place
        listeners = after.get(place, [])
        doors = one_per_port(listeners)
        numbers = {item["port"] for item in listeners}
        leaving = one_per_port(item for item in before.get(place, []) if item["port"] not in numbers)
        defined = definitions.get(place) or _found_at(place, view, set_name)
        foreign, selector = is_foreign(defined), pod_selector(defined)
        if defined.get("owner") == "smcp":
            opened, closed = smcp_steps(defined, doors, leaving, view, set_name)
        else:
            opened, closed = share_steps(defined, doors, leaving, view, set_name, foreign)
        opening += opened
        routes = _exposure.virtual_services(gateway, namespace, set_name, listeners)
        needed, surplus = _needed_steps(place, listeners, view, set_name)
        name = set_object_name(gateway, set_name)
        if listeners:
            reachable = [*listeners, *(leaving if closed else [])]
            # A first policy for pods shuts all that no policy opens, and what else those of others serve nobody knows.
            if not foreign:
                routing.append(
                    apply_step(_exposure.network_policy(gateway, namespace, set_name, reachable, selector), manager)
                )
            routing += [
                *needed,
                apply_step(_exposure.istio_gateway(gateway, namespace, set_name, listeners, source, selector), manager),
                *(apply_step(item, manager) for item in routes),
            ]
            closing += surplus
        else:
            routing.append(remove_step(bare_object("Gateway", name, namespace)))
        closing += closed
        if not listeners:
            # The VirtualService last: what is left of a removal that was stopped is found by it.
            closing += [remove_step(bare_object(kind, name, namespace)) for kind in ("NetworkPolicy", "VirtualService")]
            closing += surplus
        elif closed and not foreign:
            closing.append(
                apply_step(_exposure.network_policy(gateway, namespace, set_name, listeners, selector), manager)
            )
        written = {item["metadata"]["name"] for item in routes}
        former = sorted(present[place] - written - (set() if listeners else {name}))
        closing += [remove_step(bare_object("VirtualService", unused, namespace)) for unused in former]
    return [*opening, *routing, *adoption, *closing]


def _needed_steps(
    place: Place, listeners: Sequence[Mapping[str, Any]], view: View, set_name: str
) -> tuple[list[Step], list[Step]]:
    """Return the steps that give a set what its routes need before they lead there, and that take away what is left.

    Those are the subsets of its backends, and the servers outside of the cluster.
    """
    manager = set_manager(set_name)
    opening, closing = [], []
    for kind, objects, observed, with_what_is in (
        ("DestinationRule", rule_objects(place, set_name, listeners, view.rules), view.rules, with_former),
        ("ServiceEntry", entry_objects(place, set_name, listeners, view.entries), view.entries, with_former_ports),
    ):
        there = observed.of_set(place, set_name)
        for obj in objects:
            first = with_what_is(obj, there)
            opening.append(apply_step(first, manager))
            if first != obj:
                closing.append(apply_step(obj, manager))
        names = {obj["metadata"]["name"] for obj in objects}
        surplus = sorted(item["name"] for item in there if item["name"] not in names)
        closing += [remove_step(bare_object(kind, name, place[0])) for name in surplus]
    return opening, closing


def _found_at(place: Place, view: View, set_name: str) -> dict[str, Any]:
    """Return a gateway that the run does not name, as its front Service says."""
    service = view.services.get(place)
    stored = service["definition"] if service else None
    return at_place(place, view, set_name, stored if isinstance(stored, Mapping) else None)


def _routes_of(view: View, set_name: str) -> dict[Place, set[str]]:
    """Return the names of a set's VirtualServices by gateway."""
    found: dict[Place, set[str]] = defaultdict(set)
    for item in view.virtual_services.values():
        if is_of_set(item["labels"], set_name):
            found[(item["namespace"], item["labels"].get(GATEWAY_LABEL, ""))].add(item["name"])
    return found
