# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a plan, as C(tcp_apply) takes them.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._exposure import Listeners, service_share
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import (
    COLLECTION,
    ONBOARDING_MANAGER,
    front_number,
    set_manager,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import bare_object, front_service

Step = dict[str, Any]
# What a step means where it does not say; tcp_apply's options have the same defaults, and a test holds them to it.
DEFAULTS: Mapping[str, Any] = {
    "state": "present",
    "manager": COLLECTION,
    "force": False,
    "existing": False,
    "wait": False,
    "until": {},
    "drain": [],
    "patch": [],
    "merge": {},
    "adopt": False,
    "gateway": {},
}


def complete(step: Mapping[str, Any]) -> Step:
    """Return a step with every key."""
    return {**DEFAULTS, **step}


def apply_step(obj: Mapping[str, Any], manager: str = COLLECTION, wait: bool = False) -> Step:
    """Apply an object that is wholly ours, taking over what somebody changed in it by hand."""
    return {"state": "present", "object": obj, "manager": manager, "force": True, "wait": wait}


def share_step(
    obj: Mapping[str, Any], manager: str, drain: Iterable[int] = (), force: bool = False, adopt: bool = False
) -> Step:
    """Apply a share of an object that must be there already, without taking anything from its other owners.

    C(drain) are the listeners (target ports) whose sessions are waited for before it is written. With C(force) fields
    are taken over, as a port that is adopted needs it; with C(adopt) the object is somebody else's.
    """
    step = {"state": "present", "object": obj, "manager": manager, "force": force, "existing": True}
    more: Step = {"drain": sorted(drain)} if drain else {}
    return {**step, **more, **({"adopt": True} if adopt else {})}


def await_step(obj: Mapping[str, Any], until: Mapping[str, Any] | None = None) -> Step:
    """Wait for an object that is somebody else's to write; C(until) is what its kind's rule is to hold it against."""
    return {
        "state": "awaited",
        "object": obj,
        "manager": COLLECTION,
        "force": False,
        "wait": True,
        "until": until or {},
    }


def with_uid(obj: Mapping[str, Any], uid: str) -> dict[str, Any]:
    """Return an object as the very one that was read, so that one of the same name made since is left alone."""
    return {**obj, "metadata": {**obj["metadata"], "uid": uid}}


def patch_step(obj: Mapping[str, Any], uid: str, operations: Iterable[Mapping[str, Any]], **more: Any) -> Step:
    """Change single fields of somebody else's object, if it is still the one that was read; C(more) are other keys."""
    step = {"state": "patched", "object": with_uid(obj, uid), "manager": COLLECTION, "patch": list(operations)}
    return {**step, "adopt": True, **more}


def remove_step(obj: Mapping[str, Any], wait: bool = False) -> Step:
    """Remove an object that is ours."""
    return {"state": "absent", "object": obj, "manager": COLLECTION, "force": False, "wait": wait}


def onboarding_step(obj: Mapping[str, Any], made: bool = False, wait: bool = False) -> Step:
    """Apply our labels or annotations on an object that may be anybody's; with C(made) it need not be there yet.

    Nothing is forced: what somebody else says of the same field stays.
    """
    step = {"state": "present", "object": obj, "manager": ONBOARDING_MANAGER, "force": False, "wait": wait}
    return step if made else {**step, "existing": True, "adopt": True}


def merge_step(obj: Mapping[str, Any], merge: Mapping[str, Any], until: Mapping[str, Any]) -> Step:
    """Add entries of ours to a list that others write to as well, take others of ours out, and wait for the effect."""
    return {"state": "merged", "object": obj, "merge": dict(merge), "until": dict(until), "adopt": True, "wait": True}


def share_steps(
    gateway: Mapping[str, Any],
    listeners: Listeners,
    leaving: Listeners,
    view: View,
    set_name: str,
    foreign: bool = False,
) -> tuple[list[Step], list[Step]]:
    """Return the steps that open a set's ports on a gateway's front Services, and those that close what leaves.

    A further front Service that is not there yet is made on the way, as the gateway's definition says; the one of the
    gateway's own name is only ever made by the role gateways. With C(foreign) the Service is somebody else's.
    """
    name, namespace, manager = gateway["name"], gateway["namespace"], set_manager(set_name)
    wanted, staying = _by_service(item for item in listeners if not item.get("lent")), _by_service(leaving)
    opening: list[Step] = []
    closing: list[Step] = []
    for front in sorted({*wanted, *staying}, key=lambda found: (front_number(name, found), found)):
        service = view.services.get((namespace, front))
        uid = service["uid"] if service else None
        served = set(service["managers"].get(manager, [])) if service else set()
        leaves = [item for item in staying[front] if item["port"] in served]
        # What another set has by name as well stays his, and nobody has to wait for its sessions.
        others = view.ports_of_other_sets(service, set_name) if service else ()
        stays = [item for item in leaves if item["port"] not in others]
        if wanted[front]:
            if service is None and front != name:
                opening.append(apply_step(front_service(gateway, front), wait=True))
            share = sorted([*wanted[front], *stays], key=lambda item: item["port"])
            force = any(item.get("adopts") for item in share)
            opening.append(share_step(service_share(front, namespace, share, uid), manager, (), force, foreign))
        drain = [item["target_port"] for item in stays]
        if service and any(item["port"] in service["edited"] for item in stays):
            closing.append(_take_out(service, (namespace, name), [item["port"] for item in stays], drain))
        elif leaves:
            closing.append(
                share_step(service_share(front, namespace, wanted[front], uid), manager, drain, adopt=foreign)
            )
    return opening, closing


def _take_out(service: Mapping[str, Any], place: tuple[str, str], ports: Sequence[int], drain: Iterable[int]) -> Step:
    """Return the step that takes ports out of a Service of which somebody else has written any by hand.

    What two wrote stays when one of them gives it up, but for its name, and the API server refuses a port without one.
    """
    operations: list[dict[str, Any]] = []
    for index in reversed(range(len(service["ports"]))):
        port = service["ports"][index]
        if port["port"] in ports and port["protocol"] == "TCP":
            operations += [
                {"op": "test", "path": f"/spec/ports/{index}/name", "value": port["name"]},
                {"op": "remove", "path": f"/spec/ports/{index}"},
            ]
    obj = bare_object("Service", service["name"], service["namespace"])
    gateway = {"namespace": place[0], "name": place[1]}
    return patch_step(obj, service["uid"], operations, gateway=gateway, drain=sorted(drain))


def _by_service(listeners: Iterable[Mapping[str, Any]]) -> defaultdict[str, list[Mapping[str, Any]]]:
    """Group listeners by the front Service that carries them."""
    found: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for item in listeners:
        found[item["service"]].append(item)
    return found
