# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Onboarding as a whole: which mesh, membership in OpenShift Service Mesh 2, rights, policies, withdrawal."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._onboarding import onboarding_plan
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import (
    control_plane,
    joining,
    member_roll,
    messages,
    namespaces,
    step_lines,
)

SMCP = {"name": "basic", "namespace": "istio-system"}
ISTIOD = control_plane(name="istiod-basic", revision="basic", member_roll=True)
OURS = {"app.kubernetes.io/managed-by": "servicemesh.tcp"}
ROLL = "merged ServiceMeshMemberRoll istio-system/default"


def mesh(*planes):
    """Return the mesh part of a projection."""
    revisions = sorted({plane["revision"] for plane in planes})
    return {"served": True, "control_planes": list(planes), "revisions": revisions, "tags": {}, "unread": []}


def ossm2(*rolls, seen=("shop",), **members):
    """Return a cluster with one OpenShift Service Mesh 2 and these namespaces, given by name or with labels."""
    there = (
        namespaces(*seen)
        if not isinstance(seen, dict)
        else {name: {"labels": labels, "applied": [], "terminating": False} for name, labels in seen.items()}
    )
    found = {"control_planes": [SMCP], "rolls": list(rolls), **members}
    return joining(mesh=mesh(ISTIOD), namespaces=there, members=found)


def roll_of(plan):
    """Return what a plan makes of the member roll, V(None) where it has no step for it."""
    found = [step for step in plan["steps"] if step["state"] == "merged"]
    assert len(found) <= 1
    both = {**found[0]["merge"], **found[0]["until"]} if found else {}
    return {key: both[key] for key in ("add", "joined", "remove", "left")} if found else None


def codes(plan):
    """Return the codes of a plan's findings."""
    return [item["code"] for item in plan["findings"]]


def merge(add=(), joined=(), remove=(), left=()):
    """Return a roll's step as roll_of shows it."""
    return {"add": list(add), "joined": list(joined), "remove": list(remove), "left": list(left)}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (ossm2(), merge(["shop"], ["shop"])),
        (ossm2(member_roll("other")), merge(["shop"], ["shop"])),
        # Who is a member by somebody else's doing stays theirs; that it is configured is waited for all the same.
        (ossm2(member_roll("shop")), merge([], ["shop"])),
        (ossm2(member_roll("*")), merge([], ["shop"])),
        (ossm2(member_roll(selectors=[{"matchLabels": {"a": "b"}}]), seen={"shop": {"a": "b"}}), merge([], ["shop"])),
        (ossm2(member_roll(selectors=[{"matchLabels": {"a": "b"}}])), merge(["shop"], ["shop"])),
        # An entry of ours is said again, so that a hand that took it out is noticed.
        (ossm2(member_roll("shop", ours=["shop"])), merge(["shop"], ["shop"])),
        (
            ossm2(members=[{"namespace": "shop", "labels": {}, "control_plane": SMCP}]),
            merge([], ["shop"]),
        ),
    ],
)
def test_a_member_roll_gets_what_it_lacks(state, expected):
    plan = onboarding_plan([{"name": "shop"}], state)
    assert (codes(plan), roll_of(plan)) == ([], expected)
    assert step_lines(plan) == [ROLL]


def test_selectors_never_take_the_namespaces_of_the_platform():
    plan = onboarding_plan([{"name": "kube-shop"}], ossm2(member_roll("*"), seen=("kube-shop",)))
    assert roll_of(plan) == merge(["kube-shop"], ["kube-shop"])


def test_a_namespace_that_is_missing_is_named_in_the_roll_and_not_waited_for():
    plan = onboarding_plan([{"name": "coolapp"}, {"name": "shop"}], ossm2())
    assert roll_of(plan) == merge(["coolapp", "shop"], ["shop"])
    assert messages(plan["findings"]) == [
        "MEMBER_PENDING namespace 'coolapp': it does not exist yet. The member roll of mesh basic names it, and it"
        " joins when it is made."
    ]


def test_a_namespace_that_is_to_be_made_is_made_first_and_waited_for():
    plan = onboarding_plan([{"name": "coolapp", "state": "present"}], ossm2())
    assert step_lines(plan) == ["present Namespace coolapp", ROLL]
    assert plan["steps"][0]["object"]["metadata"]["labels"] == OURS
    assert roll_of(plan) == merge(["coolapp"], ["coolapp"])


@pytest.mark.parametrize(("state", "membership"), [(joining(mesh=mesh(control_plane())), "roll"), (ossm2(), "member")])
def test_only_a_roll_can_name_what_does_not_exist(state, membership):
    plan = onboarding_plan([{"name": "coolapp"}], state, membership=membership)
    assert (codes(plan), plan["steps"]) == (["NAMESPACE_MISSING"], [])


def test_membership_by_an_object_of_the_namespace_s_own():
    plan = onboarding_plan([{"name": "shop"}], ossm2(member_roll("other")), membership="member")
    assert step_lines(plan) == ["present ServiceMeshMember shop/default"]
    (step,) = plan["steps"]
    assert (step["wait"], step["object"]["spec"]) == (True, {"controlPlaneRef": SMCP})


def test_that_object_is_kept_when_the_operator_has_put_the_namespace_into_the_roll():
    mine = {"namespace": "shop", "labels": OURS, "control_plane": SMCP}
    seen = ossm2(member_roll("shop", configured=["shop"]), members=[mine])
    assert step_lines(onboarding_plan([{"name": "shop"}], seen, membership="member")) == [
        "present ServiceMeshMember shop/default"
    ]


@pytest.mark.parametrize(
    ("state", "holder"),
    [
        (ossm2(seen={"shop": {"maistra.io/member-of": "mesh-two"}}), "label maistra.io/member-of=mesh-two"),
        (ossm2(member_roll("shop", namespace="mesh-two")), "ServiceMeshMemberRoll mesh-two/default"),
        (
            ossm2(
                members=[{"namespace": "shop", "labels": {}, "control_plane": {"name": "b", "namespace": "mesh-two"}}]
            ),
            "ServiceMeshMember shop/default",
        ),
    ],
)
def test_a_namespace_of_another_mesh_is_left_there(state, holder):
    plan = onboarding_plan([{"name": "shop"}], state)
    assert messages(plan["findings"]) == [
        f"MEMBER_ELSEWHERE namespace 'shop': it cannot join the mesh istio-system/basic: {holder} has it in another"
        " one, and a namespace is in one mesh at most."
    ]
    assert plan["steps"] == []


def test_a_sidecar_for_every_pod_is_nothing_that_openshift_service_mesh_2_has():
    assert codes(onboarding_plan([{"name": "shop", "injection": "enabled"}], ossm2())) == ["INJECTION_BY_POD"]


def test_the_control_plane_s_own_namespace_is_no_member():
    plan = onboarding_plan([{"name": "istio-system"}], ossm2(seen=("istio-system",)))
    assert (plan["findings"], plan["steps"]) == ([], [])


TWO = joining(
    mesh=mesh(control_plane(revision="a"), control_plane(name="istiod-b", revision="b")), namespaces=namespaces("shop")
)


@pytest.mark.parametrize(
    ("state", "member", "code"),
    [
        (joining(mesh=mesh()), {}, "NO_ISTIO"),
        (TWO, {}, "MESH_UNCLEAR"),
        (TWO, {"mesh": "c"}, "MESH_UNKNOWN"),
        (TWO, {"mesh": "b", "injection": "enabled"}, None),
        (ossm2(), {"mesh": "basic"}, None),
        (ossm2(), {"mesh": "istio-system"}, None),
    ],
)
def test_which_mesh(state, member, code):
    plan = onboarding_plan([{"name": "shop", **member}], state)
    assert codes(plan) == ([code] if code else [])
    if member.get("mesh") == "b":
        assert plan["steps"][0]["object"]["metadata"]["labels"] == {"istio.io/rev": "b"}


def test_two_meshes_beside_each_other_and_a_namespace_that_is_in_one_already():
    seen = ossm2(seen={"shop": {"maistra.io/member-of": "istio-system"}})
    seen["mesh"]["control_planes"].append(control_plane(namespace="istio-three", revision="three"))
    assert roll_of(onboarding_plan([{"name": "shop"}], seen)) == merge(["shop"], ["shop"])
    assert codes(onboarding_plan([{"name": "other", "state": "present"}], seen)) == ["MESH_UNCLEAR"]


RIGHTS = [{"role": "edit", "user": "user1"}, {"role": "view", "group": "ops"}, {"role": "edit", "group": "dev"}]
ISTIO = {"mesh": mesh(control_plane()), "namespaces": namespaces("shop")}


def test_rights_are_one_binding_for_each_role_and_go_when_they_are_not_wanted_any_more():
    plan = onboarding_plan([{"name": "shop", "rights": RIGHTS}], joining(**ISTIO))
    assert step_lines(plan) == [
        "present RoleBinding shop/servicemesh-tcp-view",
        "present RoleBinding shop/servicemesh-tcp-edit",
    ]
    edit = plan["steps"][1]["object"]
    assert edit["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}
    assert [(item["kind"], item["name"]) for item in edit["subjects"]] == [("Group", "dev"), ("User", "user1")]
    seen = joining(**ISTIO, inside={"shop": {"bindings": ["servicemesh-tcp-edit", "servicemesh-tcp-view"]}})
    assert step_lines(onboarding_plan([{"name": "shop", "rights": RIGHTS[1:2]}], seen)) == [
        "present RoleBinding shop/servicemesh-tcp-view",
        "absent RoleBinding shop/servicemesh-tcp-edit",
    ]


def policy(name, selector, ingress=True, labels=None):
    """Return a projected NetworkPolicy."""
    return {"name": name, "labels": labels or {}, "selector": selector, "ingress": ingress}


def test_gateways_are_let_in_where_somebody_closed_pods_and_nowhere_else():
    closed = [
        policy("deny", {}),
        policy("db", {"matchLabels": {"app": "db"}}),
        policy("out", {"matchLabels": {"app": "out"}}, ingress=False),
    ]
    member = {"name": "shop", "network_policy": ["gateways"]}
    plan = onboarding_plan([member], joining(**ISTIO, inside={"shop": {"policies": closed}}))
    specs = [step["object"]["spec"] for step in plan["steps"]]
    assert sorted((spec["podSelector"] for spec in specs), key=str) == [{"matchLabels": {"app": "db"}}, {}]
    peer = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateways"}}}
    assert [spec["ingress"] for spec in specs] == [[{"from": [peer]}]] * 2
    # A first policy would close the pods to everybody else.
    assert onboarding_plan([member], joining(**ISTIO))["steps"] == []
    # Once nobody closes them any more, ours would.
    left = [policy(plan["steps"][0]["object"]["metadata"]["name"], {}, labels=OURS)]
    gone = onboarding_plan([member], joining(**ISTIO, inside={"shop": {"policies": left}}))
    assert [step["state"] for step in gone["steps"]] == ["absent"]


def test_withdrawal_takes_what_this_collection_put_there_and_nothing_else():
    inside = {"policies": [policy("servicemesh-tcp-1", {}, labels=OURS), policy("theirs", {})], "bindings": []}
    seen = ossm2(
        member_roll("shop", "theirs", ours=["shop"]),
        seen={"shop": {"istio-injection": "disabled"}, "theirs": {}},
        members=[{"namespace": "theirs", "labels": {}, "control_plane": SMCP}],
    )
    seen["inside"] = {"shop": inside}
    seen["namespaces"]["shop"]["applied"] = ["istio-injection"]
    plan = onboarding_plan([{"name": "shop"}, {"name": "theirs"}], seen, namespaces_state="absent")
    assert step_lines(plan) == ["present Namespace shop", ROLL, "absent NetworkPolicy shop/servicemesh-tcp-1"]
    assert roll_of(plan) == merge(remove=["shop"], left=["shop"])
    released = next(step for step in plan["steps"] if step["object"]["kind"] == "Namespace")
    assert released["object"]["metadata"] == {"name": "shop"}


def test_who_stays_a_member_by_a_selector_is_not_waited_for():
    seen = ossm2(member_roll("shop", ours=["shop"], selectors=[{"matchLabels": {"a": "b"}}]), seen={"shop": {"a": "b"}})
    plan = onboarding_plan([{"name": "shop"}], seen, namespaces_state="absent")
    assert roll_of(plan) == merge(remove=["shop"])


@pytest.mark.parametrize(
    ("member", "arguments", "lines"),
    [
        ({"state": "present"}, {"namespaces_state": "absent"}, ["absent Namespace shop"]),
        ({"state": "absent"}, {}, ["absent Namespace shop"]),
        ({"state": "required"}, {"namespaces_state": "absent"}, []),
    ],
)
def test_a_namespace_goes_if_this_collection_made_it_and_was_asked_for_it(member, arguments, lines):
    made = {"shop": {"labels": OURS, "applied": [], "terminating": False}}
    plan = onboarding_plan([{"name": "shop", **member}], joining(mesh=ISTIO["mesh"], namespaces=made), **arguments)
    assert step_lines(plan) == lines
    theirs = onboarding_plan([{"name": "shop", **member}], joining(**ISTIO), **arguments)
    assert theirs["steps"] == []


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ({"injection": "on"}, "injection: 'on' is not valid; it must be one of pod, enabled, disabled."),
        ({"rights": [{"role": "root", "user": "u"}]}, "rights[0].role: 'root' is not valid; it must be one of view,"),
        ({"rights": [{"role": "view", "user": "u", "group": "g"}]}, "it names either a user or a group"),
        ({"network_policy": "gateways"}, "network_policy: 'gateways' is not valid; it must be a list."),
        ({"sidecar": True}, "'sidecar' is not a known key"),
        ({"name": "Shop"}, "name: 'Shop' is not valid"),
    ],
)
def test_a_mistake_stops_the_run(member, said):
    plan = onboarding_plan([{"name": "shop", **member}], joining(**ISTIO))
    assert said in messages(plan["findings"])[0]
    assert plan["steps"] == []
