# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of a ServiceMeshControlPlane, and patches of it; whole runs are in test_ownership.py."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _smcp, _state_smcp
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import port_name

INGRESS = "istio-ingressgateway"
OURS = {"name": port_name(8081, "default", "a"), "port": 8081, "targetPort": 8081, "protocol": "TCP"}


def plane(gateways=None, annotations=None):
    """Return a projected control plane."""
    metadata = {"name": "basic", "namespace": "istio-system", "uid": "u", "resourceVersion": "7"}
    if annotations is not None:
        metadata["annotations"] = annotations
    spec = {} if gateways is None else {"gateways": gateways}
    return _state_smcp.smcp({"metadata": metadata, "spec": spec})


@pytest.mark.parametrize(
    ("gateways", "places"),
    [
        (None, [("istio-system", INGRESS)]),
        ({"enabled": False, "additionalIngress": {"a": {"enabled": True}}}, []),
        ({"ingress": {"enabled": False}}, []),
        ({"ingress": {"namespace": "edge"}}, [("edge", INGRESS)]),
        (
            {"additionalIngress": {"b": {"enabled": True}, "a": {"enabled": True, "namespace": "x"}, "off": {}}},
            [("istio-system", INGRESS), ("x", "a"), ("istio-system", "b")],
        ),
    ],
)
def test_which_gateways_a_control_plane_has(gateways, places):
    assert [(item["namespace"], name) for name, item in plane(gateways)["gateways"].items()] == places


@pytest.mark.parametrize("note", [None, "", "x", "[]", '{"sets": []}', '{"sets": {"a": "b"}}', '{"sets": {"a": null}}'])
def test_a_note_that_is_none_says_nothing(note):
    assert _state_smcp.read_note(note) == {"sets": {}, "began": False}


@pytest.mark.parametrize(
    ("gateways", "made"),
    [
        (None, ("/spec/gateways", lambda ports: {"ingress": {"service": {"ports": ports}}})),
        ({}, ("/spec/gateways/ingress", lambda ports: {"service": {"ports": ports}})),
        ({"ingress": {"enabled": True}}, ("/spec/gateways/ingress/service", lambda ports: {"ports": ports})),
        ({"ingress": {"service": {"type": "NodePort"}}}, ("/spec/gateways/ingress/service/ports", lambda ports: ports)),
    ],
)
def test_a_list_that_is_not_there_is_made_at_the_version_that_was_read(gateways, made):
    operations = _smcp.opening(plane(gateways, annotations={}), INGRESS, "default", [OURS], [])
    path, value = made
    assert operations[:2] == [
        {"op": "test", "path": "/metadata/resourceVersion", "value": "7"},
        {"op": "add", "path": path, "value": value([*map(dict, _smcp.DEFAULT_PORTS), OURS])},
    ]


@pytest.mark.parametrize("note", [None, "", "x", "{}", '[{"path": ["type"]}]', "[1]", '[{"path": 1}]'])
def test_a_note_of_settings_that_is_none_says_nothing(note):
    assert _state_smcp.read_settings(note) == []


def test_annotations_that_are_not_there_are_made_without_a_loss_of_other_metadata():
    operations = _smcp.opening(plane(), INGRESS, "default", [OURS], [])
    assert operations[-1]["path"] == "/metadata/annotations"


def test_what_somebody_gave_to_our_entry_stays():
    ports = [*_smcp.DEFAULT_PORTS, {**OURS, "targetPort": 1, "nodePort": 30001}]
    found = plane({"ingress": {"service": {"ports": ports}}})
    operations = _smcp.opening(found, INGRESS, "default", [OURS], [8081])
    assert operations[1] == {
        "op": "replace",
        "path": "/spec/gateways/ingress/service/ports/3",
        "value": {**OURS, "nodePort": 30001},
    }


def test_whose_entry_is_whose():
    ports = [{"port": 1, "name": "x"}, OURS, {**OURS, "port": 9, "name": port_name(9, "b", "r")}]
    note = {"ports.servicemesh.tcp/istio-ingressgateway": '{"sets":{"default":[1,8081,5000]}}'}
    found = plane({"ingress": {"service": {"ports": ports}}}, note)
    # One of another name is nobody's; one that is noted and not there neither.
    served = {"b": {9: port_name(9, "b", "r"), 1: "x"}, "c": {9: port_name(9, "c", "r")}}
    assert _smcp.owners(found, INGRESS, served) == {"b": [9], "default": [8081]}


def test_what_is_replaced_is_tested_to_be_what_was_read():
    service = {"type": "NodePort", "metadata": {"annotations": {"a/b~c": "old", "x": "y"}}}
    found = plane({"ingress": {"service": service}})
    assert _smcp.settings(found, INGRESS, {"type": "LoadBalancer", "annotations": {"a/b~c": "new", "x": "y"}})[:4] == [
        {"op": "test", "path": "/spec/gateways/ingress/service/type", "value": "NodePort"},
        {"op": "replace", "path": "/spec/gateways/ingress/service/type", "value": "LoadBalancer"},
        {"op": "test", "path": "/spec/gateways/ingress/service/metadata/annotations/a~1b~0c", "value": "old"},
        {"op": "replace", "path": "/spec/gateways/ingress/service/metadata/annotations/a~1b~0c", "value": "new"},
    ]
