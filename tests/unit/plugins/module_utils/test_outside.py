# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespaces outside the mesh: an error with its remedy, for a gateway and for a record's backend."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._gateway_plan import gateway_plan
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import (
    EDGE,
    control_plane,
    front,
    messages,
    record,
    state,
)

MEMBER = {"maistra.io/member-of": "istio-system"}
SEEN = {"mesh": "on"}


def cluster(gateways, apps, *planes):
    """Return a cluster whose namespaces gateways and apps have these labels; V(None) for one that is not there."""
    given = {"gateways": gateways, "apps": apps}
    there = {name: {"labels": labels, "terminating": False} for name, labels in given.items() if labels is not None}
    revisions = sorted(plane["revision"] for plane in planes)
    mesh = {"served": True, "revisions": revisions, "control_planes": list(planes), "unread": []}
    return state(front(), mesh=mesh, namespaces=there)


def outside(seen):
    """Return what a port map says of namespaces outside the mesh."""
    found = port_map([record()], [EDGE], seen, namespace_state="present")["findings"]
    return messages([item for item in found if item["code"] == "NAMESPACE_OUTSIDE_MESH"])


OSSM2 = control_plane(revision="basic", member_roll=True)
CHOOSY = control_plane(
    config={"discovery_selectors": [{"matchLabels": SEEN}], "export_to": ["*"], "unprivileged": False}
)


@pytest.mark.parametrize("plane", [OSSM2, CHOOSY])
def test_members_and_what_is_not_there_yet_are_no_finding(plane):
    labels = {**MEMBER, **SEEN}
    assert outside(cluster(labels, labels, plane)) == []
    # Whether a namespace that this run makes is onboarded, the run before it has seen to.
    assert outside(cluster(None, None, plane)) == []


def test_a_mesh_that_sees_all_and_one_of_which_too_little_is_known():
    assert outside(cluster({}, {}, control_plane())) == []
    assert outside(cluster({}, {}, control_plane(config=None))) == []


def test_a_backend_outside_the_member_roll():
    assert outside(cluster(MEMBER, {}, OSSM2)) == [
        "NAMESPACE_OUTSIDE_MESH record 'a': namespace 'apps' is not part of the mesh istio-system/basic: its member"
        " roll does not have it (it lacks the label maistra.io/member-of=istio-system), so for a gateway its Services"
        " do not exist, and it closes every connection."
    ]


def test_a_gateway_outside_the_member_roll_is_told_once_and_by_the_role_gateways_too():
    seen = cluster({}, {}, OSSM2)
    said = [
        "NAMESPACE_OUTSIDE_MESH gateway 'edge': namespace 'gateways' is not part of the mesh istio-system/basic: its"
        " member roll does not have it (it lacks the label maistra.io/member-of=istio-system), so its pods get no"
        " proxy, and its Gateways are not read."
    ]
    assert outside(seen) == said
    plan = gateway_plan([EDGE], seen)
    assert (messages(plan["findings"]), plan["steps"]) == (said, [])


def test_a_member_of_another_mesh_is_outside_too():
    said = outside(cluster(MEMBER, {"maistra.io/member-of": "mesh-two"}, OSSM2))
    assert len(said) == 1
    assert "namespace 'apps'" in said[0]


def test_discovery_selectors():
    (said,) = outside(cluster(SEEN, {"mesh": "off"}, CHOOSY))
    assert "its labels match none of the mesh's discovery selectors (mesh=on)" in said


def test_the_mesh_of_two_that_sees_the_gateway_is_the_one_that_counts():
    second = control_plane(namespace="mesh-two", revision="two", member_roll=True)
    both = {"maistra.io/member-of": "mesh-two"}
    assert outside(cluster(both, both, OSSM2, second)) == []
    (said,) = outside(cluster(both, MEMBER, OSSM2, second))
    assert "not part of the mesh mesh-two/two" in said


def test_a_tag_stands_for_its_revision():
    blind = control_plane(name="istiod-old", revision="old", config=CHOOSY["config"])
    seen = cluster({"istio.io/rev": "prod", **SEEN}, {}, blind, control_plane(revision="new"))
    seen["mesh"]["tags"] = {"prod": "new"}
    assert outside(seen) == []
    seen["mesh"]["tags"] = {"prod": "old"}
    assert len(outside(seen)) == 1
