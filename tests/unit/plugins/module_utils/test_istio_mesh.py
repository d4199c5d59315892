# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a control plane sees, and whom a Gateway reaches."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _istio_mesh as mesh
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import control_plane
from ansible_collections.servicemesh.tcp.tests.unit.plugins.istio_builders import gateway, pods, world

SELECTOR = {"matchLabels": {"mesh": "a"}}


def labelled(**labels):
    """Return namespaces of which one has labels."""
    return {"one": {"labels": labels, "terminating": False}}


@pytest.mark.parametrize(
    ("version", "found"),
    [("1.31.0-lab", (1, 31)), ("v1.20.3", (1, 20)), ("", (99, 0)), ("latest", (99, 0)), ("sha256", (99, 0))],
)
def test_the_release_of_a_control_plane(version, found):
    assert mesh.release({"version": version}) == found


@pytest.mark.parametrize(
    ("label", "revision", "taken"),
    [(None, "default", True), ("v1", "v1", True), ("v1", "default", False), ("default", "v1", False)],
)
def test_configuration_with_a_revision_is_that_revision_s_only(label, revision, taken):
    item = {"labels": {"istio.io/rev": label} if label else {}}
    assert mesh.in_revision(item, {"revision": revision}) is taken


@pytest.mark.parametrize(
    ("selectors", "labels", "seen"),
    [
        ([], {}, True),
        ([SELECTOR], {"mesh": "a"}, True),
        ([SELECTOR], {"mesh": "b"}, False),
        ([SELECTOR], {}, False),
        ([SELECTOR, {"matchLabels": {"x": "y"}}], {"x": "y"}, True),
        ([{"matchExpressions": [{"key": "mesh", "operator": "In", "values": ["a", "b"]}]}], {"mesh": "b"}, True),
        ([{"matchExpressions": [{"key": "mesh", "operator": "NotIn", "values": ["a"]}]}], {}, True),
        ([{"matchExpressions": [{"key": "mesh", "operator": "Exists"}]}], {}, False),
        ([{"matchExpressions": [{"key": "mesh", "operator": "DoesNotExist"}]}], {}, True),
        ([{**SELECTOR, "matchExpressions": [{"key": "x", "operator": "Exists"}]}], {"mesh": "a"}, False),
    ],
)
def test_discovery_selectors(selectors, labels, seen):
    plane = control_plane(config={"discovery_selectors": selectors})
    assert mesh.is_discovered("one", plane, labelled(**labels)) is seen


@pytest.mark.parametrize(
    ("enhanced", "version", "seen"),
    [
        (None, "1.22.0", False),
        (None, "1.21.5", True),
        (None, "", False),
        (False, "1.31.0", True),
        (True, "1.18.0", False),
    ],
)
def test_selectors_hold_for_configuration_by_version_or_setting(enhanced, version, seen):
    plane = control_plane(enhanced=enhanced, version=version, config={"discovery_selectors": [SELECTOR]})
    assert mesh.sees_configuration("one", plane, labelled()) is seen
    assert mesh.is_discovered("one", plane, labelled()) is False


@pytest.mark.parametrize(
    ("namespace", "labels", "seen"),
    [
        ("one", {"maistra.io/member-of": "istio-system"}, True),
        ("one", {"maistra.io/member-of": "other"}, False),
        ("one", {}, False),
        ("istio-system", {}, True),
        ("unknown", {}, False),
    ],
)
def test_a_member_roll(namespace, labels, seen):
    plane = control_plane(member_roll=True, enhanced=False)
    assert mesh.is_discovered(namespace, plane, labelled(**labels)) is seen
    assert mesh.sees_configuration(namespace, plane, labelled(**labels)) is seen


def test_a_control_plane_of_which_nothing_is_known_hides_nothing():
    assert mesh.plane_of(pods(), world(plane=[])) == mesh.UNKNOWN_PLANE
    assert mesh.sees_configuration("one", mesh.UNKNOWN_PLANE, {}) is True


@pytest.mark.parametrize(
    ("revision", "planes", "found"),
    [
        ("default", ["default", "v1"], "default"),
        ("v1", ["default", "v1"], "v1"),
        ("", ["v1", "default"], "default"),
        # A tag, and one control plane is all there is.
        ("stable", ["v1"], "v1"),
        # Nobody's.
        ("gone", ["v1", "v2"], ""),
    ],
)
def test_the_control_plane_of_pods(revision, planes, found):
    state = world(plane=[control_plane(revision=item, name=item) for item in planes])
    assert mesh.plane_of(pods(revision=revision), state)["name"] == found


def test_of_two_control_planes_of_one_revision_the_one_whose_member_the_namespace_is():
    planes = [control_plane(member_roll=True, namespace=item, name=item) for item in ("mesh-a", "mesh-b")]
    members = {"gateways": {"labels": {"maistra.io/member-of": "mesh-b"}, "terminating": False}}
    assert mesh.plane_of(pods(), world(plane=planes, namespaces=members))["name"] == "mesh-b"


@pytest.mark.parametrize(
    ("selector", "reached"),
    [
        ({"istio": "ingress"}, True),
        ({"istio": "ingress", "a": "b"}, True),
        ({"istio": "ingress", "a": "c"}, False),
        ({"z": "b"}, False),
        ({}, True),
    ],
)
def test_a_selector_is_part_of_the_pods_labels(selector, reached):
    state = world(gateway("g", 1, selector=selector, namespace="elsewhere"))
    workload = pods(labels={"istio": "ingress", "a": "b"})
    index = mesh.GatewayIndex(state["gateways"])
    found = index.of(workload, control_plane(), state["namespaces"])
    assert [item["name"] for item in found] == (["g"] if reached else [])
    # Without a selector it reaches gateways, but makes none.
    assert index.is_named(workload) is (reached and bool(selector))


@pytest.mark.parametrize(("scoped", "found"), [(False, ["far", "near"]), (True, ["near"])])
def test_a_scoped_control_plane(scoped, found):
    items = [gateway("far", 1, namespace="elsewhere"), gateway("near", 1, created=2)]
    index = mesh.GatewayIndex(items)
    assert [item["name"] for item in index.of(pods(), control_plane(scoped=scoped), {})] == found


def test_gateways_are_not_asked_one_by_one(monkeypatch):
    asked = []
    monkeypatch.setattr(mesh, "selects", lambda item, labels: asked.append(item) or True)
    index = mesh.GatewayIndex([gateway(f"g{number}", 1, selector={"istio": f"g{number}"}) for number in range(1000)])
    assert len(index.of(pods(labels={"istio": "g7", "app": "x"}), control_plane(), {})) == 1
    assert len(asked) == 1
