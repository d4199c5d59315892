# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(fix_protocol): say C(appProtocol: tcp) on a port of somebody else's Service, where nobody says a protocol.

It is the one field that this collection writes into an object that others own and that is no gateway's. It is applied
under a field manager of its own for each set, never by force, so that the API server keeps who wrote it, and takes it
back when the last set gives it up. Whether a set has written it is read from the Service's managedFields.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._backends import backends_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._exposure import destinations_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_ports import HTTP, protocol_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import Step, share_step, with_uid
from ansible_collections.servicemesh.tcp.plugins.module_utils._texts import place_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import bare_object

if TYPE_CHECKING:
    from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View

# Not the manager of a set's ports, which is looked for on front Services.
MANAGER_PREFIX = "servicemesh.tcp-protocol/"
WANTED = "tcp"

# Ports of Services, by the Services' namespace and name.
Fixes = dict[tuple[str, str], set[int]]


def is_fix_manager(manager: str) -> bool:
    """Tell whether a field manager is one of these."""
    return manager.startswith(MANAGER_PREFIX)


def wanted_fixes(ports: Iterable[Mapping[str, Any]], view: View) -> Fixes:
    """Return what the records of a port map want written: the ports whose Service says no protocol, or HTTP."""
    found: Fixes = {}
    for port in ports:
        for item in backends_of(port) if port.get("fix_protocol") else ():
            place = (item["namespace"], item["service"])
            shown = _port_of(view.services.get(place), item["port"])
            if shown and _declared(view.services[place], shown) in ("", *HTTP):
                found.setdefault(place, set()).add(item["port"])
    return found


def observed_fixes(view: View, set_name: str) -> Fixes:
    """Return what a set has written."""
    manager = MANAGER_PREFIX + set_name
    managed = {place: service.get("managers", {}).get(manager, ()) for place, service in view.services.items()}
    return {place: set(ports) for place, ports in managed.items() if ports}


def kept_fixes(listeners: Iterable[Mapping[str, Any]], observed: Fixes) -> Fixes:
    """Return what of a set's fixes its listeners still lead to: those that a run keeps and does not declare."""
    found: Fixes = {}
    for listener in listeners:
        for one in destinations_of(listener):
            service, _dot, rest = one["host"].partition(".")
            place = (rest.partition(".")[0], service)
            if one["port"] in observed.get(place, ()):
                found.setdefault(place, set()).add(one["port"])
    return found


def check_fixes(ports: Iterable[Mapping[str, Any]], view: View, set_name: str) -> list[dict[str, str]]:
    """Find fields that somebody else has set, and say loudly what is written."""
    findings = []
    there = observed_fixes(view, set_name)
    for place, numbers in sorted(wanted_fixes(ports, view).items()):
        service = view.services[place]
        for number in sorted(numbers):
            given = (_port_of(service, number) or {})["app_protocol"]
            values = {"service": place_text(service), "port": number}
            if given not in ("", WANTED):
                holder = _holder(service, number)
                findings.append(finding("PROTOCOL_HELD", f"set {set_name!r}", **values, value=given, holder=holder))
            elif number not in there.get(place, ()):
                findings.append(finding("PROTOCOL_WRITTEN", f"set {set_name!r}", **values))
    return findings


def fix_steps(wanted: Iterable[Fixes], view: View, set_name: str) -> tuple[list[Step], list[Step]]:
    """Return the steps that write what is wanted, before anything leads there, and that take the rest back at the end.

    C(wanted) are several of them, all of which are.
    """
    stays: Fixes = {}
    for fixes in wanted:
        for place, ports in fixes.items():
            stays[place] = stays.get(place, set()) | ports
    # A Service that is still to be made has no uid, and its maker can name the port.
    opening = [
        _step(view.services[place], ports, set_name)
        for place, ports in sorted(stays.items())
        if view.services[place].get("uid")
    ]
    surplus = sorted(observed_fixes(view, set_name).keys() - stays.keys())
    return opening, [_step(view.services[place], (), set_name) for place in surplus]


def _step(service: Mapping[str, Any], ports: Iterable[int], set_name: str) -> Step:
    """Return the step that makes these the ports of which a set writes the protocol."""
    obj = with_uid(bare_object("Service", service["name"], service["namespace"]), service["uid"])
    if ports:
        obj["spec"] = {"ports": [{"port": port, "protocol": "TCP", "appProtocol": WANTED} for port in sorted(ports)]}
    return share_step(obj, MANAGER_PREFIX + set_name, adopt=True)


def _port_of(service: Mapping[str, Any] | None, number: int) -> Mapping[str, Any] | None:
    """Return a TCP port of a Service."""
    ports = (service or {"ports": ()})["ports"]
    return next((item for item in ports if item["port"] == number and item["protocol"] == "TCP"), None)


def _declared(service: Mapping[str, Any], port: Mapping[str, Any]) -> str:
    """Return the protocol that a Service declares for a port but for what this collection has written."""
    ours = any(port["port"] in ports for name, ports in service.get("managers", {}).items() if is_fix_manager(name))
    given = "" if ours and port.get("app_protocol") == WANTED else port.get("app_protocol", "")
    return protocol_of({**port, "app_protocol": given})


def _holder(service: Mapping[str, Any], number: int) -> str:
    """Say who writes a port of a Service."""
    managers = [name for name, ports in service["managers"].items() if number in ports and not is_fix_manager(name)]
    return f"field manager {', '.join(managers)}" if managers else "whoever made the Service"
