# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole texts of the findings about namespaces and their mesh, and what provokes them; see test_findings.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import _apply
from ansible_collections.servicemesh.tcp.plugins.module_utils._onboarding import onboarding_plan, restart_plan
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import onboarding_step
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import (
    EDGE_REFERENCE,
    control_plane,
    front,
    joining,
    member_roll,
    record,
    state,
)
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi
from ansible_collections.servicemesh.tcp.tests.unit.plugins.whole_runs import as_options

MEMBER_OF = {"maistra.io/member-of": "istio-system"}
SELECTING = {"discovery_selectors": [{"matchLabels": {"mesh": "on"}}], "export_to": ["*"], "unprivileged": False}
OSSM2 = control_plane(revision="basic", member_roll=True)


def mesh(*planes: dict[str, Any]) -> dict[str, Any]:
    """Return the mesh part of a projection."""
    revisions = [plane["revision"] for plane in planes]
    return {"served": True, "control_planes": list(planes), "revisions": revisions, "tags": {}, "unread": []}


def found(
    *planes: dict[str, Any], labels: dict[str, str] | None = None, member: Any = None, rolls: Any = ()
) -> list[dict[str, str]]:
    """Provoke findings about namespace shop, or one that does not exist; it has no labels unless they are given."""
    shop = {"shop": {"labels": labels or {}, "applied": [], "terminating": False}}
    cluster = joining(mesh=mesh(*planes), namespaces=shop, members={"rolls": list(rolls)})
    return onboarding_plan([{"name": "shop", **(member or {})}], cluster)["findings"]


def stuck() -> list[dict[str, str]]:
    """Provoke the warning of a pod that no restart helps."""
    shop = {"shop": {"labels": {"istio-injection": "enabled"}, "applied": [], "terminating": False}}
    owner = {"kind": "ReplicaSet", "name": "old"}
    pod = {"name": "old-1", "owner": owner, "sidecar": False, "inject": "", "host_network": False, "restarted": ""}
    inside = {"shop": {"pods": [{**pod, "revision": ""}]}}
    cluster = {**joining(mesh=mesh(control_plane()), namespaces=shop), "inside": inside}
    return restart_plan([{"name": "shop", "restart": True}], cluster)["findings"]


def outside() -> list[dict[str, str]]:
    """Provoke the refusal of a backend that the mesh does not see."""
    there = {name: {"labels": {}, "terminating": False} for name in ("gateways", "apps")}
    there["gateways"]["labels"] = MEMBER_OF
    cluster = state(front(), mesh=mesh(OSSM2), namespaces=there)
    return port_map([record()], [EDGE_REFERENCE], cluster)["findings"]


def gone() -> list[dict[str, str]]:
    """Provoke the refusal to label a namespace that was removed since it was read."""
    shop = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    try:
        _apply.plan(FakeApi(), as_options([onboarding_step(shop)]), lenient=False)
    except _apply.Refused as refused:
        return refused.findings
    return []


ONBOARDING_TEXTS: dict[str, tuple[Callable[[], list[dict[str, str]]], str]] = {
    "INJECTION_BY_POD": (
        lambda: found(OSSM2, member={"injection": "enabled"}),
        "namespace 'shop': OpenShift Service Mesh 2 gives a sidecar to pods that ask for one; no label of a namespace"
        " makes it do so for all. Set injection to 'pod', and put the label sidecar.istio.io/inject: \"true\" into the"
        " pod templates.",
    ),
    "INJECTION_LABEL_TAKEN": (
        lambda: found(control_plane(), labels={"istio-injection": "disabled"}),
        "namespace 'shop': somebody else's label istio-injection=disabled decides on its sidecars (istio-injection wins"
        " over istio.io/rev), and what is wanted is that pods get their sidecar from istio-system/default (revision"
        " default). Let its owner take the label off, or say in the namespace's injection and mesh what the label"
        " says.",
    ),
    "MEMBER_ELSEWHERE": (
        lambda: found(OSSM2, rolls=[member_roll("shop", namespace="mesh-two")]),
        "namespace 'shop': it cannot join the mesh istio-system/basic: ServiceMeshMemberRoll mesh-two/default has it in"
        " another one, and a namespace is in one mesh at most. Withdraw it there first.",
    ),
    "MEMBER_PENDING": (
        lambda: found(OSSM2, member={"name": "coolapp"}),
        "namespace 'coolapp': it does not exist yet. The member roll of mesh basic names it, and it joins when it is"
        " made. Nothing to do, unless the name is wrong. With state 'present' this run makes it.",
    ),
    "MESH_UNCLEAR": (
        lambda: found(control_plane(revision="a"), control_plane(name="istiod-b", revision="b")),
        "namespace 'shop': the cluster has several meshes, and it could join any of them: istio-system/a,"
        " istio-system/b. Name one in the namespace's mesh.",
    ),
    "MESH_UNKNOWN": (
        lambda: found(control_plane(), member={"mesh": "prod"}),
        "namespace 'shop': there is no mesh 'prod'; there are istio-system/default. Mend the namespace's mesh, or leave"
        " it out.",
    ),
    "NAMESPACE_OUTSIDE_MESH": (
        outside,
        "record 'a': namespace 'apps' is not part of the mesh istio-system/basic: its member roll does not have it (it"
        " lacks the label maistra.io/member-of=istio-system), so for a gateway its Services do not exist, and it closes"
        " every connection. Add it to mesh_members (role namespaces), or have it added; its pods need no sidecar for"
        " that.",
    ),
    "NAMESPACE_UNDISCOVERABLE": (
        lambda: found(control_plane(config=SELECTING), labels={"mesh": "off"}),
        "namespace 'shop': the mesh istio-system/default sees namespaces by its discovery selectors (mesh=on), and no"
        " label can be added with which one of them takes it. Let the owner of its labels change them, or the mesh's"
        " discovery selectors.",
    ),
    "OBJECT_GONE": (gone, "Namespace shop: it was there when this run looked first, and is gone. Run it again."),
    "POD_LABEL_NEEDED": (
        lambda: found(control_plane(revision="1-31")),
        "namespace 'shop': the namespace has no label that decides on injection, so a pod that wants a sidecar or is a"
        ' gateway needs the labels sidecar.istio.io/inject: "true" and istio.io/rev: 1-31 in its template. Nothing to'
        " do for gateways of this collection; or set injection to 'enabled'.",
    ),
    "SIDECAR_MISSING": (
        stuck,
        "namespace 'shop': these lack the sidecar that a new pod would get, and a restart does not give it to them: pod"
        " old-1 (of no Deployment, StatefulSet or DaemonSet). Recreate those pods by hand, or look at why the injector"
        " passes them over. Ports can be published without it.",
    ),
}
