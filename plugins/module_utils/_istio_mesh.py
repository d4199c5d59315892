# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a control plane sees, and which Gateways it applies to which pods.

Sources are files of istio.io/istio as the lab runs it (v0.0.0-20260827, 1.31-dev).

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import _selectors
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_names import age_key

# A control plane of which nothing is known: what an installation without settings does.
UNKNOWN_PLANE: Mapping[str, Any] = {
    "name": "",
    "namespace": "",
    "revision": "default",
    "version": "",
    "scoped": False,
    "enhanced": None,
    "member_roll": False,
    "domain": "cluster.local",
    "config": None,
}
# Discovery selectors hold for Istio's own objects by default from here on; before, for Services and pods only
# (istio releasenotes/notes/enable-enhanced-scope.yaml, 51399.yaml: 1.20 and 1.21 as compatibility versions do not).
ENHANCED_SINCE = (1, 22)
MEMBER_OF = "maistra.io/member-of"


def release(plane: Mapping[str, Any]) -> tuple[int, int]:
    """Return major and minor version by the image's tag; what cannot be read counts as newest."""
    match = re.match(r"v?(\d+)\.(\d+)", plane["version"])
    return (int(match.group(1)), int(match.group(2))) if match else (99, 0)


def plane_of(workload: Mapping[str, Any], state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the control plane of a workload: the one of its revision, and that sees it where several have that."""
    planes = [{**UNKNOWN_PLANE, **item} for item in state["mesh"]["control_planes"]]
    revision = workload.get("revision") or "default"
    # A pod may be labelled with a tag; then its revision says nothing, and one control plane is all there is.
    of_revision = [item for item in planes if item["revision"] == revision] or (planes if len(planes) == 1 else [])
    seeing = [item for item in of_revision if is_member(workload["namespace"], item, state["namespaces"])]
    return (seeing or of_revision or [UNKNOWN_PLANE])[0]


def in_revision(item: Mapping[str, Any], plane: Mapping[str, Any]) -> bool:
    """Tell whether a control plane takes an object of configuration: one with istio.io/rev is that revision's only.

    pkg/config/model.go, LabelsInRevision; pilot/pkg/config/kube/crdclient/client.go, inRevision.
    """
    return item["labels"].get("istio.io/rev", plane["revision"]) == plane["revision"]


def is_discovered(namespace: str, plane: Mapping[str, Any], namespaces: Mapping[str, Any]) -> bool:
    """Tell whether a control plane sees a namespace (pkg/kube/namespace/filter.go); unknown selectors hide nothing."""
    if not is_member(namespace, plane, namespaces):
        return False
    selectors = (plane["config"] or {}).get("discovery_selectors") or []
    labels = namespaces.get(namespace, {"labels": {}})["labels"]
    return not selectors or any(_selectors.selects(selector, labels) for selector in selectors)


def sees_configuration(namespace: str, plane: Mapping[str, Any], namespaces: Mapping[str, Any]) -> bool:
    """Tell whether a control plane takes Gateways and VirtualServices of a namespace."""
    enhanced = release(plane) >= ENHANCED_SINCE if plane["enhanced"] is None else plane["enhanced"]
    if not enhanced:
        return is_member(namespace, plane, namespaces)
    return is_discovered(namespace, plane, namespaces)


def is_member(namespace: str, plane: Mapping[str, Any], namespaces: Mapping[str, Any]) -> bool:
    """Tell whether OpenShift Service Mesh 2's member roll has a namespace; its operator labels the members."""
    if not plane["member_roll"] or namespace == plane["namespace"]:
        return True
    return namespaces.get(namespace, {"labels": {}})["labels"].get(MEMBER_OF) == plane["namespace"]


def selects(item: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Tell whether a Gateway's selector is part of a pod's labels (pkg/config/labels/instance.go, SubsetOf)."""
    return all(labels.get(key) == value for key, value in item["selector"].items())


def reaches(item: Mapping[str, Any], workload: Mapping[str, Any], plane: Mapping[str, Any]) -> bool:
    """Tell whether a Gateway of its namespace may take pods of another one (PILOT_SCOPE_GATEWAY_TO_NAMESPACE).

    pilot/pkg/model/push_context.go, initGateways and mergeGateways; off by default up to 1.31
    (pilot/pkg/features/pilot.go).
    """
    return not plane["scoped"] or item["namespace"] == workload["namespace"]


def selects_all(item: Mapping[str, Any]) -> bool:
    """Tell whether a Gateway has no selector at all; it is then every gateway's (istio#19970).

    pilot/pkg/model/push_context.go, mergeGateways.
    """
    return not item["selector"]


class GatewayIndex:
    """Finds the Gateways of a workload without asking each of them."""

    def __init__(self, gateways: Iterable[Mapping[str, Any]]) -> None:
        """Index Gateways, oldest first, by the first label that they ask for."""
        self._by_label: dict[tuple[str, str], list[tuple[int, Mapping[str, Any]]]] = defaultdict(list)
        self._for_all: list[tuple[int, Mapping[str, Any]]] = []
        for place, item in enumerate(sorted(gateways, key=age_key)):
            # Any label does; the greatest key is rarely one that every gateway has ('app', 'istio').
            label = max(item["selector"].items(), default=None)
            if label:
                self._by_label[label].append((place, item))
            elif selects_all(item):
                self._for_all.append((place, item))

    def of(
        self, workload: Mapping[str, Any], plane: Mapping[str, Any], namespaces: Mapping[str, Any]
    ) -> list[Mapping[str, Any]]:
        """Return the Gateways that a control plane applies to a workload, oldest first."""
        found = list(self._for_all)
        for label in workload["labels"].items():
            found += [entry for entry in self._by_label.get(label, ()) if selects(entry[1], workload["labels"])]
        return [
            item
            for _place, item in sorted(found, key=lambda entry: entry[0])
            if reaches(item, workload, plane)
            and in_revision(item, plane)
            and sees_configuration(item["namespace"], plane, namespaces)
        ]

    def is_named(self, workload: Mapping[str, Any]) -> bool:
        """Tell whether any Gateway asks for a workload by its labels."""
        labels = workload["labels"]
        return any(selects(item, labels) for label in labels.items() for _place, item in self._by_label.get(label, ()))
