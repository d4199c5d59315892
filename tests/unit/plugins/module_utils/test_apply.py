# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carrying out a plan: all of it is tried first, and only what differs is written."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _apply
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import render
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import bare_object, new_object
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import messages
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi
from ansible_collections.servicemesh.tcp.tests.unit.plugins.whole_runs import as_options

OURS = {"app.kubernetes.io/managed-by": "servicemesh.tcp"}
NAMESPACE = new_object("Namespace", "gateways", None, OURS)
ROLE = new_object("Role", "edge", "gateways", OURS, rules=[{"verbs": ["get"]}])
ACCOUNT = new_object("ServiceAccount", "edge", "gateways", OURS)
ROLE_PATH = "/apis/rbac.authorization.k8s.io/v1/namespaces/gateways/roles/edge"
ACCOUNT_PATH = "/api/v1/namespaces/gateways/serviceaccounts/edge"


def cluster(*objects) -> FakeApi:
    """Return a cluster with the namespace, and objects as this collection applied them."""
    api = FakeApi()
    api.add(NAMESPACE)
    for obj in objects:
        api.add(obj, manager="servicemesh.tcp")
    return api


def present(obj, **more):
    """Return a step that applies an object."""
    return {"object": obj, "force": True, **more}


def absent(obj):
    """Return a step that removes an object."""
    return {"state": "absent", "object": bare_object(obj["kind"], "edge", "gateways")}


def plan(api, *steps, lenient=False):
    """Try steps as the module reads them."""
    return _apply.plan(api, as_options(steps), lenient=lenient)


def refused(api, *steps, lenient=False) -> _apply.Refused:
    """Try steps that are refused; nothing may have been written."""
    before = api.snapshot()
    with pytest.raises(_apply.Refused) as caught:
        plan(api, *steps, lenient=lenient)
    assert api.snapshot() == before
    assert {method for method, _path in api.log} <= {"GET", "PATCH dry", "DELETE dry"}
    return caught.value


def test_everything_is_tried_before_anything_is_written():
    api = cluster(ACCOUNT)
    changes = plan(api, present(ROLE), absent(ACCOUNT))
    assert [(change.action, change.name) for change in changes] == [
        ("create", "Role gateways/edge"),
        ("remove", "ServiceAccount gateways/edge"),
    ]
    tried = [("GET", ROLE_PATH), ("PATCH dry", ROLE_PATH), ("GET", ACCOUNT_PATH), ("DELETE dry", ACCOUNT_PATH)]
    assert api.log == tried
    assert [change.name for change in _apply.write(api, changes)] == [change.name for change in changes]
    assert api.log == [*tried, ("PATCH", ROLE_PATH), ("DELETE", ACCOUNT_PATH)]
    assert api.object("Role", "edge", "gateways")["rules"] == [{"verbs": ["get"]}]
    assert api.object("ServiceAccount", "edge", "gateways") is None


def test_what_does_not_differ_is_not_written():
    api = cluster(ROLE)
    changes = plan(api, present(ROLE), absent(ACCOUNT), present(ACCOUNT))
    assert [change.action for change in changes] == ["nothing", "nothing", "create"]
    asked = len(api.log)
    assert [change.name for change in _apply.write(api, changes)] == ["ServiceAccount gateways/edge"]
    assert api.log[asked:] == [("PATCH", ACCOUNT_PATH)]


def test_a_run_that_finds_nothing_to_do_asks_for_nothing_more():
    api = cluster(ROLE, ACCOUNT)
    changes = plan(api, present(ROLE), present(ACCOUNT))
    asked = dict(api.requests)
    assert _apply.write(api, changes) == []
    assert dict(api.requests) == asked == {"GET": 2, "PATCH": 2}


def test_the_server_s_own_bookkeeping_is_no_difference():
    api = cluster(ROLE)
    obj = api.object("Role", "edge", "gateways")
    assert _apply.readable(obj) == {**ROLE, "metadata": {"name": "edge", "namespace": "gateways", "labels": OURS}}
    assert _apply.readable(None) == {}
    assert "status" not in _apply.readable({**obj, "status": {"phase": "x"}})


def test_a_changed_object_shows_its_before_and_after():
    api = cluster({**ROLE, "rules": []})
    (change,) = plan(api, present(ROLE))
    assert (change.action, change.before["rules"], change.after["rules"]) == ("change", [], [{"verbs": ["get"]}])


def test_the_steps_keep_their_manager_force_and_strictness():
    sent = []

    class Api(FakeApi):
        def request(self, method, path, body=None, query=None, content_type=None):
            if method == "PATCH":
                sent.append(query)
            return super().request(method, path, body, query, content_type)

    api = Api()
    api.add(NAMESPACE)
    step = {"object": ROLE, "manager": "servicemesh.tcp/default", "force": False}
    _apply.write(api, plan(api, step))
    common = {"fieldManager": "servicemesh.tcp/default", "force": "false", "fieldValidation": "Strict"}
    assert sent == [{**common, "dryRun": "All"}, {**common, "dryRun": None}]


def test_a_removal_is_of_just_the_object_that_was_read():
    api = cluster(ROLE)
    changes = plan(api, absent(ROLE))
    # Somebody makes it anew in between.
    del api.objects[ROLE_PATH]
    api.add(ROLE)
    with pytest.raises(ApiError) as caught:
        _apply.write(api, changes)
    assert caught.value.status == 409
    assert api.object("Role", "edge", "gateways")


def test_a_removal_of_what_has_gone_meanwhile_is_done():
    api = cluster(ROLE)
    changes = plan(api, absent(ROLE))
    del api.objects[ROLE_PATH]
    assert [change.action for change in _apply.write(api, changes)] == ["remove"]


def test_an_object_on_its_way_out_is_not_removed_again():
    api = cluster()
    api.add({**ROLE, "metadata": {**ROLE["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}})
    assert [change.action for change in plan(api, absent(ROLE))] == ["nothing"]


def test_two_steps_on_one_object_build_on_each_other():
    api = cluster()
    api.add(new_object("Service", "edge", "gateways", OURS, spec={"ports": []}), manager="servicemesh.tcp")

    def share(*numbers):
        spec = {"ports": [{"port": number, "protocol": "TCP"} for number in numbers]}
        obj = {**bare_object("Service", "edge", "gateways"), "spec": spec}
        return {"object": obj, "manager": "servicemesh.tcp/default", "existing": True}

    _apply.write(api, plan(api, share(1, 2)))
    changes = plan(api, share(1, 2, 3), share(3))
    assert [change.action for change in changes] == ["change", "change"]
    shown = [[port["port"] for port in change.after["spec"]["ports"]] for change in changes]
    assert shown == [[1, 2, 3], [3]]
    assert [port["port"] for port in changes[1].before["spec"]["ports"]] == [1, 2, 3]
    assert [change.action for change in plan(api, share(1, 2), share(1))] == ["nothing", "change"]


def test_all_refusals_are_told_together():
    api = cluster()
    api.add({**ROLE, "metadata": {**ROLE["metadata"], "labels": {}}})
    policy = new_object("NetworkPolicy", "edge", "gateways", OURS, spec={})
    fine = new_object("Deployment", "edge", "gateways", OURS, spec={})
    api.refuse("PATCH", ACCOUNT, 403, "Forbidden", "serviceaccounts is forbidden")
    api.refuse("PATCH", policy, 422, "Invalid", "spec.x: not known")
    answer = refused(api, present(ROLE), present(ACCOUNT), present(policy), present(fine))
    assert messages(answer.findings) == [
        "NOT_OURS Role gateways/edge: Role gateways/edge exists and was not made by this collection (no label"
        " app.kubernetes.io/managed-by=servicemesh.tcp).",
        "FORBIDDEN ServiceAccount gateways/edge: the API server refuses to write: serviceaccounts is forbidden.",
    ]
    assert answer.answers == ["NetworkPolicy gateways/edge: 422 Invalid: spec.x: not known"]


@pytest.mark.parametrize("step", [present(ROLE), absent(ROLE)], ids=["change", "removal"])
def test_somebody_else_s_object_is_neither_changed_nor_removed(step):
    api = cluster()
    api.add(new_object("Role", "edge", "gateways", {"app.kubernetes.io/managed-by": "Helm"}, rules=[]))
    assert messages(refused(api, step).findings)[0].startswith("NOT_OURS Role gateways/edge: ")


def test_somebody_else_s_object_that_is_as_wanted_is_no_refusal():
    api = cluster()
    theirs = new_object("Namespace", "apps", None, {})
    api.add(theirs)
    assert [change.action for change in plan(api, present(theirs))] == ["nothing"]


def test_a_field_of_another_owner_is_not_taken():
    api = cluster(ROLE)
    api.add({**ROLE, "rules": [{"verbs": ["list"]}]}, manager="team-x")
    answer = refused(api, present({**ROLE, "rules": []}, force=False))
    assert messages(answer.findings) == [
        'FIELD_CONFLICT Role gateways/edge: Apply failed with 1 conflict: conflict with "team-x": .rules.'
    ]


@pytest.mark.parametrize(
    ("method", "step", "verb"),
    [("GET", present(ROLE), "read"), ("PATCH", present(ROLE), "write"), ("DELETE", absent(ROLE), "remove")],
)
def test_a_missing_right_is_told_with_its_verb(method, step, verb):
    api = cluster(ROLE)
    api.refuse(method, ROLE, 403, "Forbidden", "roles is forbidden")
    assert messages(refused(api, step, lenient=True).findings) == [
        f"FORBIDDEN Role gateways/edge: the API server refuses to {verb}: roles is forbidden."
    ]


def test_an_unreachable_server_is_no_refusal_of_its_own():
    api = cluster()
    api.refuse("PATCH", ROLE, 0, "Unreachable", "timed out")
    assert "CLUSTER_UNREACHABLE" in render(refused(api, present(ROLE)).findings)


@pytest.mark.parametrize("state", ["patched", "absent"])
def test_an_object_made_anew_under_the_same_name_is_not_the_one_that_was_read(state):
    api = cluster()
    obj = bare_object("Service", "edge", "gateways")
    api.add({**obj, "spec": {"ports": [{"port": 1}]}})
    named = {**obj, "metadata": {**obj["metadata"], "uid": "of-another-one"}}
    patch = [{"op": "remove", "path": "/spec/ports/0"}]
    assert refused(api, {"state": state, "object": named, "adopt": True, "patch": patch}).answers
    assert plan(api, {"state": state, "object": obj, "adopt": True, "patch": patch})[0].action != "nothing"


SHARE = {"object": bare_object("Service", "edge", "gateways"), "existing": True}


def test_a_share_never_makes_the_object():
    api = cluster()
    assert messages(refused(api, SHARE).findings) == [
        "GATEWAY_MISSING gateway 'edge': there is no front Service gateways/edge, so there is no such gateway to"
        " publish on."
    ]
    assert [change.action for change in plan(api, SHARE, lenient=True)] == ["create"]


def test_a_share_of_what_an_earlier_step_makes_is_added_to_it():
    api = cluster()
    health = {"name": "status-port", "port": 15021, "protocol": "TCP"}
    mine = {"name": "tcp-1", "port": 1, "protocol": "TCP"}
    whole = new_object("Service", "edge", "gateways", OURS, spec={"ports": [health]})
    share = {**SHARE, "object": {**SHARE["object"], "spec": {"ports": [mine]}}, "manager": "servicemesh.tcp/default"}
    for lenient in (False, True):
        changes = plan(api, present(whole), share, lenient=lenient)
        assert [(change.action, change.tried) for change in changes] == [("create", True), ("change", False)]
        assert changes[1].before["spec"]["ports"] == [health]
        assert changes[1].after["spec"]["ports"] == [health, mine]
        assert changes[1].after["metadata"]["labels"] == OURS
    _apply.write(api, changes)
    assert api.object("Service", "edge", "gateways")["spec"]["ports"] == [health, mine]
    assert [change.action for change in plan(api, present(whole), share)] == ["nothing", "nothing"]


BINDING = new_object("RoleBinding", "edge", "gateways", OURS, roleRef={"kind": "Role", "name": "edge"})


def test_a_role_that_is_coming_can_be_bound():
    """The API server asks a limited account for the Role's rules, and does not find them in a dry run."""
    api = cluster()
    api.refuse("PATCH", BINDING, 404, "NotFound", 'rolebindings "edge" not found')
    changes = plan(api, present(ROLE), present(BINDING))
    assert [(change.action, change.tried) for change in changes] == [("create", True), ("create", False)]
    elsewhere = {**ROLE, "metadata": {**ROLE["metadata"], "name": "other"}}
    said = ['RoleBinding gateways/edge: 404 NotFound: rolebindings "edge" not found']
    assert refused(api, present(elsewhere), present(BINDING)).answers == said
    assert refused(api, present(BINDING)).answers == said


def test_what_is_in_a_namespace_that_is_coming_cannot_be_tried():
    api = FakeApi()
    changes = plan(api, present(NAMESPACE), present(ROLE))
    assert [(change.action, change.tried) for change in changes] == [("create", True), ("create", False)]
    _apply.write(api, changes)
    assert api.object("Role", "edge", "gateways")


def test_a_namespace_that_is_there_is_no_reason_not_to_try():
    (_namespace, change) = plan(cluster(), present(NAMESPACE), present(ROLE))
    assert change.tried


def test_check_mode_takes_a_missing_namespace_as_one_to_come():
    api = FakeApi()
    (change,) = plan(api, present(ROLE), lenient=True)
    assert (change.action, change.tried, change.after) == ("create", False, ROLE)
    assert refused(FakeApi(), present(ROLE)).answers == ["Role gateways/edge: 404 NotFound: not found"]


def test_check_mode_takes_a_missing_kind_as_one_to_come():
    api = FakeApi(istio=False)
    api.add(NAMESPACE)
    gateway = new_object("Gateway", "edge", "gateways", OURS, spec={})
    assert [change.action for change in plan(api, present(gateway), lenient=True)] == ["create"]


def removal(*inside):
    """Return a cluster with objects in our namespace, and the step that removes the namespace."""
    api = cluster()
    for obj in inside:
        api.add(obj)
    return api, {
        "state": "absent",
        "object": {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gateways"}},
    }


def test_a_namespace_of_ours_is_removed_with_what_is_ours():
    api, step = removal(new_object("Pod", "edge-1", "gateways", OURS), ROLE)
    assert [change.name for change in _apply.write(api, plan(api, step))] == ["Namespace gateways"]
    assert api.objects == {}


@pytest.mark.parametrize(
    ("inside", "holders"),
    [
        ([new_object("Pod", "x", "gateways", {})], "Pod x"),
        ([new_object("Service", "y", "gateways", {}, spec={})], "Service y"),
        (
            [new_object("Pod", f"x{number}", "gateways", {}) for number in range(6)],
            "Pod x0, Pod x1, Pod x2, Pod x3, Pod x4, ...",
        ),
    ],
)
def test_a_namespace_that_others_use_stays(inside, holders):
    api, step = removal(*inside)
    assert messages(refused(api, step).findings) == [
        "NAMESPACE_IN_USE Namespace gateways: the namespace was made by this collection, but others use it by now:"
        f" {holders}."
    ]


def test_pods_elsewhere_do_not_hold_a_namespace():
    api, step = removal(new_object("Pod", "x", "apps", {}))
    assert [change.action for change in plan(api, step)] == ["remove"]


def test_an_error_ends_the_writing_where_it_is():
    api = cluster()
    changes = plan(api, present(ROLE), present(ACCOUNT))
    api.refuse("PATCH", ROLE, 500, "InternalError", "etcd")
    with pytest.raises(ApiError):
        _apply.write(api, changes)
    assert api.object("ServiceAccount", "edge", "gateways") is None


def test_each_write_is_told_of_just_before_it():
    api = cluster()
    changes = plan(api, present(ROLE), absent(ROLE), present(ACCOUNT))
    seen = []
    _apply.write(api, changes, lambda change: seen.append((change.name, len(api.snapshot()))))
    assert seen == [("Role gateways/edge", 1), ("ServiceAccount gateways/edge", 2)]


def share_of(target):
    """Return a set's share of a Service: port 8081 to a target port."""
    ports = [{"name": "tcp-8081", "port": 8081, "protocol": "TCP", "targetPort": target}]
    return {**bare_object("Service", "edge", "gateways"), "spec": {"ports": ports}}


def edited(by, operation):
    """Return a cluster on which somebody else changed the target of a set's port, as the API server records it."""
    api = cluster()
    api.add(new_object("Service", "edge", "gateways", OURS, spec={"ports": []}), manager="servicemesh.tcp")
    api.add(share_of(8081), manager="servicemesh.tcp/default")
    api.add(share_of(18081), manager=by)

    def fields(*names):
        return {"f:spec": {"f:ports": {'k:{"port":8081,"protocol":"TCP"}': {f"f:{name}": {} for name in names}}}}

    owners = [("servicemesh.tcp/default", "Apply", fields("name", "port")), (by, operation, fields("targetPort"))]
    read = api.get

    def get(path, **query):
        answer = read(path, **query)
        answer["metadata"]["managedFields"] = [
            {"manager": manager, "operation": how, "fieldsV1": what} for manager, how, what in owners
        ]
        return answer

    api.get = get
    return api


def test_a_share_takes_back_what_was_changed_in_it_by_hand():
    api = edited("kubectl-edit", "Update")
    step = {"object": share_of(8081), "manager": "servicemesh.tcp/default", "existing": True}
    (change,) = plan(api, step)
    assert (change.action, change.after["spec"]["ports"][0]["targetPort"]) == ("change", 8081)
    _apply.write(api, [change])
    assert api.object("Service", "edge", "gateways")["spec"]["ports"][0]["targetPort"] == 8081


def test_a_share_takes_nothing_from_somebody_who_applies_it():
    step = {"object": share_of(8081), "manager": "servicemesh.tcp/default", "existing": True}
    (found,) = refused(edited("team-x", "Apply"), step).findings
    assert found["code"] == "FIELD_CONFLICT"
