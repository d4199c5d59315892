# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which workloads of a namespace have to be restarted, because their pods lack a sidecar that new ones would get.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import RESTARTED_ANNOTATION
from ansible_collections.servicemesh.tcp.plugins.module_utils._onboarding_labels import INJECTION
from ansible_collections.servicemesh.tcp.plugins.module_utils._onboarding_mesh import (
    DEFAULT,
    describe_mesh,
    label_revision,
    revision_of,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._state_mesh import TRUE
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import Step, onboarding_step
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import bare_object

RESTARTABLE = ("Deployment", "StatefulSet", "DaemonSet")


def restart_value(mesh: Mapping[str, Any]) -> str:
    """Return what is noted at a restarted workload: the mesh, so that it is restarted once for each."""
    return f"{describe_mesh(mesh)}/{mesh['revision']}"


def restart_steps(
    name: str, mesh: Mapping[str, Any], pods: Iterable[Mapping[str, Any]], state: Mapping[str, Any]
) -> tuple[list[Step], list[dict[str, str]]]:
    """Return the steps that restart workloads, and a warning for what stays without a sidecar all the same."""
    labels = state["namespaces"][name]["labels"]
    value = restart_value(mesh)
    workloads, stuck = set(), []
    for pod in pods:
        if pod["sidecar"] or not _would_inject(pod, labels, mesh, state):
            continue
        kind, owner = pod["owner"]["kind"], pod["owner"]["name"]
        if kind == "Job":
            continue
        if kind not in RESTARTABLE:
            stuck.append(f"pod {pod['name']} (of no Deployment, StatefulSet or DaemonSet)")
        elif pod["restarted"] == value:
            stuck.append(f"{kind} {owner} (restarted already)")
        else:
            workloads.add((kind, owner))
    steps = []
    for kind, owner in sorted(workloads):
        obj = bare_object(kind, owner, name)
        # Not a time: the same value a second time is no change, so that nothing is ever restarted twice for one mesh.
        obj["spec"] = {"template": {"metadata": {"annotations": {RESTARTED_ANNOTATION: value}}}}
        steps.append(onboarding_step(obj, wait=True))
    findings = []
    if stuck:
        shown = ", ".join(sorted(set(stuck)))
        findings.append(finding("SIDECAR_MISSING", f"namespace {name!r}", workloads=shown))
    return steps, findings


def _would_inject(
    pod: Mapping[str, Any], labels: Mapping[str, str], mesh: Mapping[str, Any], state: Mapping[str, Any]
) -> bool:
    """Tell whether a new pod like this one would get a sidecar (istio pkg/kube/inject/inject.go, injectRequired)."""
    if pod["host_network"] or labels.get(INJECTION) == "disabled":
        return False
    if pod["inject"] and pod["inject"] not in TRUE:
        return False
    if mesh["flavour"] == "ossm2":
        return bool(pod["inject"])
    asked = label_revision(labels)
    if not asked and not pod["inject"]:
        return False
    asked = asked or pod["revision"] or DEFAULT
    return revision_of(asked, state) == revision_of(mesh["revision"], state)
