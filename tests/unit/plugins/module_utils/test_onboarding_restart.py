# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which workloads are restarted for a sidecar: those that would get one, once for a mesh, and nothing else."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _state_members
from ansible_collections.servicemesh.tcp.plugins.module_utils._onboarding import restart_plan
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import control_plane, joining, messages, step_lines


def pod(owner="Deployment/cart", **more):
    """Return a projected pod without a sidecar."""
    kind, _slash, name = owner.partition("/")
    found = {"name": f"{name}-1", "owner": {"kind": kind, "name": name}, "sidecar": False, "inject": ""}
    return {**found, "revision": "", "host_network": False, "restarted": "", **more}


def plan(labels, *pods, plane=None, member=None):
    """Plan the restarts in namespace shop."""
    plane = plane or control_plane()
    seen = joining(
        mesh={"served": True, "control_planes": [plane], "revisions": [plane["revision"]], "tags": {}, "unread": []},
        namespaces={"shop": {"labels": labels, "applied": [], "terminating": False}},
    )
    return restart_plan(
        [{"name": "shop", "restart": True, **(member or {})}], {**seen, "inside": {"shop": {"pods": pods}}}
    )


ALL = {"istio-injection": "enabled"}
OSSM2 = control_plane(revision="basic", member_roll=True)
CART = ["present Deployment shop/cart"]


@pytest.mark.parametrize(
    ("labels", "found", "plane", "lines"),
    [
        (ALL, pod(), None, CART),
        (ALL, pod("StatefulSet/db"), None, ["present StatefulSet shop/db"]),
        (ALL, pod("DaemonSet/log"), None, ["present DaemonSet shop/log"]),
        (ALL, pod(sidecar=True), None, []),
        (ALL, pod(inject="false"), None, []),
        (ALL, pod(host_network=True), None, []),
        # A Job's pod ends by itself.
        (ALL, pod("Job/once"), None, []),
        # Without a label of the namespace only those that ask.
        ({}, pod(), None, []),
        ({}, pod(inject="true"), None, CART),
        ({"istio-injection": "disabled"}, pod(inject="true"), None, []),
        ({"istio.io/rev": "other"}, pod(), None, []),
        ({}, pod(inject="true", revision="x"), control_plane(revision="x"), CART),
        ({}, pod(inject="true"), control_plane(revision="x"), []),
        # OpenShift Service Mesh 2 passes by whatever does not ask.
        (ALL, pod(), OSSM2, []),
        ({}, pod(inject="true"), OSSM2, CART),
    ],
)
def test_what_is_restarted(labels, found, plane, lines):
    planned = plan(labels, found, plane=plane)
    assert (step_lines(planned), planned["findings"]) == (lines, [])


def test_a_workload_is_restarted_once_for_a_mesh_and_told_of_after_that():
    (step,) = plan(ALL, pod(), pod(name="cart-2"))["steps"]
    noted = step["object"]["spec"]["template"]["metadata"]["annotations"]
    assert noted == {"servicemesh.tcp/restarted-for": "istio-system/default/default"}
    assert (step["existing"], step["force"], step["wait"]) == (True, False, True)
    again = plan(ALL, pod(restarted=noted["servicemesh.tcp/restarted-for"]))
    assert again["steps"] == []
    assert messages(again["findings"]) == [
        "SIDECAR_MISSING namespace 'shop': these lack the sidecar that a new pod would get, and a restart does not give"
        " it to them: Deployment cart (restarted already)."
    ]
    # Another mesh is another reason.
    moved = plan({}, pod(inject="true", restarted="istio-system/old/old"), plane=OSSM2)
    assert step_lines(moved) == CART


def test_a_pod_of_nobody_is_told_of():
    (said,) = messages(plan(ALL, pod("/", name="lone"))["findings"])
    assert "pod lone (of no Deployment, StatefulSet or DaemonSet)" in said


@pytest.mark.parametrize("member", [{"restart": False}, {"state": "absent"}])
def test_nothing_is_restarted_unasked(member):
    assert plan(ALL, pod(), member=member)["steps"] == []


def raw(name="cart-abc-x", owner=None, phase="Running", **metadata):
    """Return a pod as the API server shows it."""
    owners = [{"kind": owner[0], "name": owner[1], "controller": True}] if owner else []
    return {"metadata": {"name": name, "ownerReferences": owners, **metadata}, "spec": {}, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("obj", "owner"),
    [
        (raw(owner=("ReplicaSet", "cart-abc"), labels={"pod-template-hash": "abc"}), ("Deployment", "cart")),
        (raw(owner=("ReplicaSet", "bare")), ("ReplicaSet", "bare")),
        (raw(owner=("StatefulSet", "db")), ("StatefulSet", "db")),
        (raw(), ("", "")),
    ],
)
def test_whose_a_pod_is(obj, owner):
    (found,) = _state_members.inside([obj], [], [])["pods"]
    assert (found["owner"]["kind"], found["owner"]["name"]) == owner


def test_pods_that_have_ended_or_are_going_are_passed_by():
    pods = [raw(phase="Succeeded"), raw(phase="Failed"), raw(deletionTimestamp="2026-01-01T00:00:00Z")]
    assert _state_members.inside(pods, [], [])["pods"] == []


def test_what_a_pod_says_of_its_sidecar():
    annotations = {"sidecar.istio.io/status": "{}", "sidecar.istio.io/inject": "false"}
    (found,) = _state_members.inside([raw(annotations=annotations)], [], [])["pods"]
    assert (found["sidecar"], found["inject"]) == (True, "false")
    # The label wins over the annotation.
    (found,) = _state_members.inside(
        [raw(annotations=annotations, labels={"sidecar.istio.io/inject": "true", "istio.io/rev": "x"})], [], []
    )["pods"]
    assert (found["inject"], found["revision"]) == ("true", "x")


@pytest.mark.parametrize(
    ("spec", "ingress"),
    [({}, True), ({"policyTypes": ["Egress"]}, False), ({"policyTypes": ["Ingress", "Egress"]}, True)],
)
def test_which_policies_close_pods(spec, ingress):
    (found,) = _state_members.inside([], [{"metadata": {"name": "p"}, "spec": spec}], [])["policies"]
    assert found == {"name": "p", "labels": {}, "selector": {}, "ingress": ingress}
