# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan gateways' workloads: what to make, to mend and to remove, and what stands in the way.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._checks import (
    check_gateways,
    check_mesh,
    check_owner,
    pod_revision,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import errors, finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._gateways import read_gateways
from ansible_collections.servicemesh.tcp.plugins.module_utils._outside import check_outside
from ansible_collections.servicemesh.tcp.plugins.module_utils._ownership import (
    check_definer,
    is_foreign,
    mark_steps,
    referring,
    unmark_steps,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import (
    Step,
    apply_step,
    remove_step,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import (
    GATEWAY_KINDS,
    OPTIONAL_KINDS,
    bare_object,
    gateway_objects,
    namespace_object,
    namespace_removals,
)


def remove_namespaces(names: Iterable[str], steps: Iterable[Step], view: View) -> list[Step]:
    """Remove the namespaces that this collection made, where nothing stays after these steps."""
    removed = [step["object"] for step in steps]
    surplus = namespace_removals(names, removed, view.namespaces, view.services)
    return [remove_step(obj, wait=True) for obj in surplus]


def gateway_plan(
    raw_gateways: Iterable[Any],
    state: Mapping[str, Any],
    set_name: str = "default",
    gateways_state: str = "present",
    namespace_state: str = "required",
) -> dict[str, Any]:
    """Plan the gateways' workloads: C({steps, findings}); no steps where there is an error."""
    gateways, findings = read_gateways(raw_gateways)
    view = View(state)
    gateways = referring(gateways, view, set_name)
    if gateways_state == "absent":
        findings += _check_removal(gateways, view, set_name)
        steps = [step for gateway in gateways if not gateway["refers"] for step in _remove_gateway(gateway, view)]
        if namespace_state == "present":
            namespaces = [gateway["namespace"] for gateway in gateways if not gateway["refers"]]
            steps += remove_namespaces(namespaces, steps, view)
    else:
        findings += check_mesh(view)
        findings += check_gateways(gateways, view, set_name, namespace_state)
        findings += check_outside(gateways, [], view)
        steps = workload_steps(gateways, view, set_name, namespace_state)
    return {"steps": [] if errors(findings) else steps, "findings": findings}


def workload_steps(
    gateways: Sequence[Mapping[str, Any]], view: View, set_name: str, namespace_state: str
) -> list[Step]:
    """Return the steps that make or mend gateways that were read and checked."""
    missing: set[str] = set()
    if namespace_state == "present":
        missing = {item["namespace"] for item in gateways if not view.has_namespace(item["namespace"])}
    steps = [apply_step(namespace_object(name)) for name in sorted(missing)]
    for gateway in gateways:
        if gateway["refers"]:
            continue
        if is_foreign(gateway):
            steps += mark_steps(gateway, view, set_name)
        else:
            steps += _make_gateway(gateway, view, set_name)
    return steps


def _make_gateway(gateway: Mapping[str, Any], view: View, set_name: str) -> list[Step]:
    """Make or mend one gateway with all its front Services, and remove what its definition no longer asks for."""
    further = [service["name"] for service in view.further_services(gateway)]
    objects = gateway_objects(gateway, pod_revision(gateway, view)[0], set_name, further)
    kinds = {obj["kind"] for obj in objects}
    steps = [apply_step(obj, wait=obj["kind"] in ("Deployment", "Service")) for obj in objects]
    surplus = [kind for kind in OPTIONAL_KINDS if kind not in kinds]
    return steps + [remove_step(bare_object(kind, gateway["name"], gateway["namespace"])) for kind in surplus]


def _remove_gateway(gateway: Mapping[str, Any], view: View) -> list[Step]:
    """Remove all objects of one gateway, its further front Services first; somebody else's is only given back."""
    if is_foreign(gateway):
        return unmark_steps(gateway, view)
    names = [("Service", service["name"]) for service in view.further_services(gateway)]
    names += [(kind, gateway["name"]) for kind in GATEWAY_KINDS]
    return [
        remove_step(bare_object(kind, name, gateway["namespace"]), wait=kind == "Deployment") for kind, name in names
    ]


def _check_removal(gateways: Iterable[Mapping[str, Any]], view: View, set_name: str) -> list[dict[str, str]]:
    """Keep a gateway that somebody else defined, or on which anybody still publishes."""
    findings = []
    for gateway in gateways:
        if gateway["refers"]:
            continue
        subject = f"gateway {gateway['name']!r}"
        holders = [f"set {name!r}" for name in view.sets_on(gateway)]
        if is_foreign(gateway):
            findings += check_definer(gateway, view, set_name)
        else:
            findings += check_owner(gateway, view, set_name)
            holders += [f"{holder} port {port}" for port, holder in view.stray_ports(gateway).items()]
        if holders:
            findings.append(finding("GATEWAY_IN_USE", subject, holders=", ".join(holders)))
    return findings
