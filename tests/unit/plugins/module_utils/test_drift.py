# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drift, with managedFields as the lab's API server wrote them after kubectl scale, edit and patch."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _apply, _drift
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import gateway_labels, set_labels
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import bare_object, new_object

SET = "servicemesh.tcp/default"
LABELS = gateway_labels("edge")


def port_fields(port, *fields):
    """Return the managed fields of one port of a Service."""
    key = f'k:{{"port":{port},"protocol":"TCP"}}'
    return {key: {f"f:{name}": {} for name in fields}}


WHOLE = ("name", "port", "protocol", "targetPort")


def entry(manager, fields, operation="Apply", **more):
    """Return one entry of managedFields."""
    return {"manager": manager, "operation": operation, "fieldsType": "FieldsV1", "fieldsV1": fields, **more}


def spec_entry(manager, fields, operation="Apply", **more):
    """Return an entry for fields of the spec."""
    return entry(manager, {"f:spec": fields}, operation, **more)


def deployment(replicas, *entries):
    """Return a gateway's Deployment with a number of pods."""
    obj = new_object("Deployment", "edge", "gateways", LABELS, spec={"replicas": replicas})
    obj["metadata"]["managedFields"] = list(entries)
    return obj


def service(ports, *entries):
    """Return a front Service with ports given as number to target port."""
    items = [
        {"name": f"tcp-{port}", "port": port, "protocol": "TCP", "targetPort": target} for port, target in ports.items()
    ]
    obj = new_object("Service", "edge", "gateways", LABELS, spec={"ports": items})
    obj["metadata"]["managedFields"] = list(entries)
    return obj


def share(ports):
    """Return a set's share of the front Service."""
    return {**bare_object("Service", "edge", "gateways"), "spec": service(ports)["spec"]}


def change(before, applied, manager="servicemesh.tcp", after=None):
    """Return the change that applies something; what is there beside it stays."""
    step = {"object": applied, "manager": manager}
    return _apply.Change(step, "change", before, after or {**before, "spec": {**before["spec"], **applied["spec"]}})


OURS = spec_entry("servicemesh.tcp", {"f:selector": {}})
SCALED = spec_entry("kubectl-scale", {"f:replicas": {}}, "Update", subresource="scale")


def test_a_field_that_was_set_by_hand():
    changed = change(deployment(3, OURS, SCALED), deployment(1))
    assert _drift.drift([changed]) == [
        "drift: Deployment gateways/edge spec.replicas was set to 3 by kubectl-scale; set back to 1"
    ]


def test_a_field_that_we_own_is_a_change_of_ours():
    mine = spec_entry("servicemesh.tcp", {"f:replicas": {}})
    assert _drift.drift([change(deployment(3, mine), deployment(1))]) == []
    # Somebody scaled it to what we had applied, so that both own it.
    assert _drift.drift([change(deployment(3, mine, SCALED), deployment(1))]) == []


def test_a_field_that_is_as_we_want_it_is_none():
    assert _drift.drift([change(deployment(1, OURS, SCALED), deployment(1))]) == []


def test_what_others_added_beside_is_none():
    before = deployment(1, OURS, spec_entry("kubectl-patch", {"f:paused": {}}, "Update"))
    before["spec"]["paused"] = False
    assert _drift.drift([change(before, deployment(1))]) == []


def test_what_the_run_does_not_change_after_all_is_none():
    before = deployment(3, OURS, SCALED)
    assert _drift.drift([change(before, deployment(1), after=before)]) == []


@pytest.mark.parametrize("action", ["create", "remove", "nothing"])
def test_only_what_is_set_back_is_drift(action):
    changed = change(deployment(3, OURS, SCALED), deployment(1))
    changed.action = action
    assert _drift.drift([changed]) == []


def test_another_set_is_no_hand():
    theirs = spec_entry("servicemesh.tcp/other", {"f:ports": port_fields(8081, *WHOLE)})
    assert _drift.drift([change(service({8081: 1}, theirs), share({8081: 2}), SET)]) == []


def test_one_port_of_a_service():
    """Ports are told apart by number and protocol; the port that was changed is still ours, its target is not."""
    mine = spec_entry(SET, {"f:ports": port_fields(8081, "name", "port", "protocol") | port_fields(8082, *WHOLE)})
    hand = spec_entry(
        "kubectl-edit", {"f:ports": port_fields(8081, "targetPort") | port_fields(7777, *WHOLE)}, "Update"
    )
    before = service({8082: 8082, 8081: 18081, 7777: 7777}, mine, hand)
    after = service({8082: 8082, 8081: 8081, 7777: 7777})
    changed = change(before, share({8081: 8081, 8082: 8082}), SET, after)
    assert _drift.drift([changed]) == [
        "drift: Service gateways/edge spec.ports[8081].targetPort was set to 18081 by kubectl-edit; set back to 8081"
    ]
    # The same object, written twice in one run.
    assert len(_drift.drift([changed, changed])) == 1


def test_keys_that_an_applied_item_leaves_to_their_defaults():
    hand = spec_entry("kubectl-edit", {"f:ports": port_fields(8081, "targetPort")}, "Update")
    applied = share({8081: 8081})
    del applied["spec"]["ports"][0]["protocol"]
    assert len(_drift.drift([change(service({8081: 18081}, hand), applied, SET, service({8081: 8081}))])) == 1


def test_a_list_that_is_owned_as_a_whole():
    rules = [{"match": [{"port": 8081}], "route": [{"destination": {"host": "a" * 30, "port": {"number": 9000}}}]}]
    other = copy.deepcopy(rules)
    other[0]["route"][0]["destination"]["port"]["number"] = 9001

    def virtual_service(tcp, *entries):
        obj = new_object("VirtualService", "x", "gateways", set_labels("edge", "default"), spec={"tcp": tcp})
        obj["metadata"]["managedFields"] = list(entries)
        return obj

    before = virtual_service(other, spec_entry("kubectl-edit", {"f:tcp": {}}, "Update"))
    assert _drift.drift([change(before, virtual_service(rules), SET)]) == [
        "drift: VirtualService gateways/x spec.tcp was changed by kubectl-edit; set back"
    ]


def test_annotations_and_containers_by_their_names():
    def obj(source, image, *entries):
        spec = {"template": {"spec": {"containers": [{"name": "istio-proxy", "image": image}]}}}
        made = new_object("Deployment", "edge", "gateways", LABELS, spec=spec)
        made["metadata"] |= {"annotations": {"servicemesh.tcp/source": source}, "managedFields": list(entries)}
        return made

    fields = {
        "f:metadata": {"f:annotations": {"f:servicemesh.tcp/source": {}}},
        "f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"istio-proxy"}': {".": {}, "f:image": {}}}}}},
    }
    before = obj("b", "evil", entry("kubectl-set", fields, "Update"))
    assert _drift.drift([change(before, obj("a", "auto"), after=obj("a", "auto"))]) == [
        'drift: Deployment gateways/edge metadata.annotations[servicemesh.tcp/source] was set to "b" by kubectl-set;'
        ' set back to "a"',
        'drift: Deployment gateways/edge spec.template.spec.containers[istio-proxy].image was set to "evil" by'
        ' kubectl-set; set back to "auto"',
    ]


def gateway(*ports, set_name="default", namespace="gateways", name="edge"):
    """Return the change of a set's Gateway that had these servers."""
    servers = [{"port": {"number": port}} for port in ports]
    obj = new_object("Gateway", "x", namespace, set_labels(name, set_name), spec={"servers": servers})
    return _apply.Change({"object": obj, "manager": f"servicemesh.tcp/{set_name}"}, "nothing", obj, obj)


def test_a_port_that_was_taken_off_the_service():
    changed = change(service({8081: 8081}), share({8081: 8081, 8082: 8082}), SET)
    assert _drift.drift([changed, gateway(8081, 8082)]) == [
        "drift: Service gateways/edge port 8082 was removed by hand; added again"
    ]


@pytest.mark.parametrize(
    "other",
    [
        gateway(8081),
        gateway(8082, set_name="other"),
        gateway(8082, name="door"),
        gateway(8082, namespace="elsewhere"),
    ],
    ids=["new port", "other set", "other gateway", "other namespace"],
)
def test_a_port_that_is_new_was_not_taken_off(other):
    changed = change(service({8081: 8081}), share({8081: 8081, 8082: 8082}), SET)
    assert _drift.drift([changed, other]) == []


MINE = spec_entry(SET, {"f:ports": port_fields(8081, "name", "port", "protocol")})


def by(manager, operation, *fields):
    """Return an entry for fields of port 8081."""
    return spec_entry(manager, {"f:ports": port_fields(8081, *fields)}, operation)


@pytest.mark.parametrize(
    ("entries", "may"),
    [
        ([MINE, by("kubectl-edit", "Update", "targetPort")], True),
        # Somebody else's own share, or a port that is not ours at all.
        ([MINE, by("team-x", "Apply", "targetPort")], False),
        ([MINE, by("kubectl-edit", "Update", "targetPort"), by("team-x", "Apply", "targetPort")], False),
        ([by("kubectl-edit", "Update", *WHOLE)], False),
        ([spec_entry(SET, {"f:ports": port_fields(8082, *WHOLE)}), by("kubectl-edit", "Update", *WHOLE)], False),
        ([MINE, by("servicemesh.tcp/other", "Apply", "targetPort")], False),
        ([], False),
    ],
)
def test_only_a_hand_s_change_of_our_own_port_is_taken_back(entries, may):
    before = service({8081: 18081}, *entries)
    assert _drift.may_set_back(before, share({8081: 8081}), SET) is may


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "ports", (("port", 8081), ("protocol", "TCP")), "targetPort"), 18081),
        (("spec", "ports", (("port", 9), ("protocol", "TCP")), "targetPort"), _drift.MISSING),
        (("spec", "type", "x"), _drift.MISSING),
        (("spec", "nothing", (("port", 9),)), _drift.MISSING),
        (("metadata", "name", (("port", 9),)), _drift.MISSING),
    ],
)
def test_values_are_found_by_path(path, value):
    assert _drift.Values(service({8081: 18081})).at(path) == value


def test_a_thousand_drifted_ports_take_a_few_lines():
    """Linear, too: each list is walked once."""
    ports = range(10000, 11000)
    fields = {key: value for port in ports for key, value in port_fields(port, "targetPort").items()}
    hand = spec_entry("kubectl-replace", {"f:ports": fields}, "Update")
    before = service({port: port + 1 for port in ports}, hand)
    wanted = {port: port for port in ports}
    lines = _drift.drift([change(before, share(wanted), SET, service(wanted))])
    assert len(lines) == 6
    assert lines[-1] == "drift: Service gateways/edge 995 more fields changed by kubectl-replace; set back"


def test_many_ports_that_were_taken_off_take_one_line():
    changed = change(service({8081: 8081}), share({port: port for port in range(8081, 8091)}), SET)
    assert _drift.drift([changed, gateway(*range(8081, 8091))]) == [
        "drift: Service gateways/edge ports 8082-8090 were removed by hand; added again"
    ]


def test_a_port_on_another_front_service_of_the_gateway_was_not_taken_off():
    second = service({8082: 8082})
    second["metadata"]["name"] = "edge-2"
    changed = change(service({8081: 8081}), share({8081: 8081, 8082: 8082}), SET)
    other = _apply.Change({"object": second, "manager": SET}, "nothing", second, second)
    assert _drift.drift([changed, other, gateway(8081, 8082)]) == []


def test_fields_by_value_and_unknown_ones_are_left_out():
    fields = {"f:metadata": {"f:finalizers": {".": {}, 'v:"x"': {}}}, "f:spec": {"f:x": {}, "i:0": {}}}
    assert list(_drift.owned(entry("x", fields))) == [("spec", "x")]
    assert list(_drift.owned({"manager": "x"})) == []
