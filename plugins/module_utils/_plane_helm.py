# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Provider C(helm): Istio's own charts base and istiod, installed by C(kubernetes.core.helm).

Helm labels all objects of a release as its own, so a ConfigMap of ours beside the release says that it is ours.
Source of the values: istio.io/istio, manifests/charts/base and manifests/charts/istio-control/istio-discovery.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._names import PLANE_LABEL
from ansible_collections.servicemesh.tcp.plugins.module_utils._plane_objects import OURS, Planned, merged
from ansible_collections.servicemesh.tcp.plugins.module_utils._plane_sail import chart_values
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object

# What the charts take for an installation without a revision.
DEFAULT = "default"


def marker_name(plane: Mapping[str, Any]) -> str:
    """Return the name of the ConfigMap that says whose the releases are."""
    return f"servicemesh-tcp-{plane['name']}"


def plan(plane: Mapping[str, Any], state: Mapping[str, Any]) -> Planned:
    """Return the marker and the two releases."""
    name, namespace = plane["name"], plane["namespace"]
    existing = istiod_of(plane, state) if marker_of(plane, state) is None else marker_of(plane, state)
    marker = new_object("ConfigMap", marker_name(plane), namespace, {**OURS, PLANE_LABEL: name})
    # The charts go by this name, not by the release's namespace (seen: base fails where there is no istio-system).
    place = {"global": {"istioNamespace": namespace}}
    values: dict[str, Any] = merged(chart_values(plane), place)
    if plane["profile"]:
        values["profile"] = plane["profile"]
    if name != DEFAULT:
        values["revision"] = name
    if plane["tag"]:
        values["revisionTags"] = [plane["tag"]]
    common = {
        "namespace": namespace,
        "repository": plane["chart_repository"],
        "version": plane["version"],
    }
    releases = {
        "base": {
            **common,
            "name": "istio-base",
            "chart": plane["chart_base"],
            # Which istiod validates what people write.
            "chart_values": merged(_base_values(plane["values"]), {**place, "defaultRevision": name}),
        },
        "istiod": {**common, "name": release_name(plane), "chart": plane["chart_istiod"], "chart_values": values},
        "ours": plane["adopt"] or marker_of(plane, state) is not None,
        # The definitions and the validation in the first release serve every istiod of the cluster.
        "last": not [item for item in state["planes"]["releases"] if item["revision"] != name],
    }
    return Planned([(marker, existing)], [], releases)


def release_name(plane: Mapping[str, Any]) -> str:
    """Return the name of istiod's release, as Istio's own documents name it."""
    return "istiod" if plane["name"] == DEFAULT else f"istiod-{plane['name']}"


def _base_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the chart base understands of the values."""
    return {key: values[key] for key in ("global", "base") if key in values}


def marker_of(plane: Mapping[str, Any], state: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what says that the releases are ours."""
    place = (plane["namespace"], plane["name"])
    found = [item for item in state["planes"]["releases"] if (item["namespace"], item["revision"]) == place]
    return found[0] if found else None


def istiod_of(plane: Mapping[str, Any], state: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return an istiod of that revision that somebody else made."""
    for item in state["mesh"]["control_planes"]:
        if item["revision"] == plane["name"]:
            return {"name": item["name"], "namespace": item["namespace"], "labels": {}, "spec": None}
    return None
