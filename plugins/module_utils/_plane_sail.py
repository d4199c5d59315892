# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Provider C(sail): Istio, IstioCNI and IstioRevisionTag, of OpenShift Service Mesh 3 and the community's operator.

Sources: istio-ecosystem/sail-operator, docs/api-reference/sailoperator.io.md and docs/common.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._plane_objects import Planned, merged, own_object

KIND = "Istio"
# The API server takes no other name for it.
CNI_NAME = "default"
# The operator's own, which need not be written.
DEFAULT_INACTIVE_SECONDS = 30


def wants_cni(plane: Mapping[str, Any], openshift: bool) -> bool:
    """Tell whether there has to be an IstioCNI: on OpenShift no istiod gets its sidecars into pods without it."""
    return plane["cni"] == "enabled" or (plane["cni"] == "auto" and openshift)


def plan(plane: Mapping[str, Any], observed: Mapping[str, Any], openshift: bool) -> Planned:
    """Return the objects that are wanted, in the order in which they depend on each other."""
    subject = f"control plane {plane['name']!r}"
    definition = plane["definition"]
    if definition and definition.get("kind", KIND) != KIND:
        rule = f"for provider sail it must be an {KIND}"
        return Planned(
            [], [finding("VALUE_INVALID", subject, key="definition.kind", value=definition["kind"], rule=rule)]
        )
    findings = []
    existing = named(observed["istios"], plane["name"])
    if existing and existing["spec"].get("namespace", "istio-system") != plane["namespace"]:
        findings.append(
            finding(
                "PLANE_ELSEWHERE",
                subject,
                kind=KIND,
                there=existing["spec"].get("namespace", "istio-system"),
                namespace=plane["namespace"],
            )
        )
    objects = []
    if wants_cni(plane, openshift):
        objects.append(_cni(plane, observed))
    spec = merged(definition.get("spec") or {}, _arguments(plane))
    objects.append((own_object(KIND, plane["name"], None, spec), existing))
    if plane["tag"]:
        target = {"targetRef": {"kind": KIND, "name": plane["name"]}}
        objects.append(
            (own_object("IstioRevisionTag", plane["tag"], None, target), named(observed["tags"], plane["tag"]))
        )
    return Planned(objects, findings)


def named(items: Iterable[Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    """Return the item of a name."""
    return next((item for item in items if item["name"] == name), None)


def _cni(plane: Mapping[str, Any], observed: Mapping[str, Any]) -> tuple[dict[str, Any], Mapping[str, Any] | None]:
    """Return the IstioCNI. It serves all meshes of the cluster, so one that is there keeps its version."""
    existing = named(observed["cnis"], CNI_NAME)
    spec: dict[str, Any] = {"namespace": plane["cni_namespace"]}
    if plane["version"] and (existing is None or len(observed["istios"]) < 2):
        spec["version"] = plane["version"]
    return own_object("IstioCNI", CNI_NAME, None, spec), existing


def _arguments(plane: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the arguments say; what they do not say is the operator's to decide."""
    spec: dict[str, Any] = {"namespace": plane["namespace"]}
    if plane["version"]:
        spec["version"] = plane["version"]
    if plane["profile"]:
        spec["profile"] = plane["profile"]
    strategy: dict[str, Any] = {}
    if plane["update_strategy"]:
        strategy["type"] = plane["update_strategy"]
    if plane["inactive_seconds"] != DEFAULT_INACTIVE_SECONDS:
        strategy["inactiveRevisionDeletionGracePeriodSeconds"] = plane["inactive_seconds"]
    if strategy:
        spec["updateStrategy"] = strategy
    values = chart_values(plane)
    if values:
        spec["values"] = values
    return spec


def chart_values(plane: Mapping[str, Any]) -> dict[str, Any]:
    """Return istiod's Helm values: those that were given, and the discovery selectors among them."""
    if not plane["discovery_selectors"]:
        return dict(plane["values"])
    return merged(plane["values"], {"meshConfig": {"discoverySelectors": plane["discovery_selectors"]}})
