# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The projection of control planes and gateway pods."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.servicemesh.tcp.plugins.module_utils import _state_mesh

META = {"name": "istiod", "namespace": "istio-system"}


def istiod(labels=(), status=(), **container):
    """Return an istiod Deployment with one container."""
    return {
        "metadata": {**META, "labels": dict(labels)},
        "spec": {"template": {"spec": {"containers": [container]}}},
        "status": dict(status),
    }


@pytest.mark.parametrize(
    ("labels", "image", "status", "found"),
    [
        ({"istio.io/rev": "v1"}, "hub/pilot:1.31.0", {"readyReplicas": 1}, ("v1", "1.31.0", True)),
        ({}, "hub/pilot", {}, ("default", "", False)),
        ({}, "hub/pilot:1.31.0", {"readyReplicas": 0}, ("default", "1.31.0", False)),
    ],
)
def test_a_control_plane(labels, image, status, found):
    result = _state_mesh.control_plane(istiod(labels, status, image=image))
    assert (result["revision"], result["version"], result["ready"]) == found


@pytest.mark.parametrize(
    ("env", "scoped", "enhanced"),
    [
        ({}, False, None),
        ({"PILOT_SCOPE_GATEWAY_TO_NAMESPACE": "true"}, True, None),
        ({"PILOT_SCOPE_GATEWAY_TO_NAMESPACE": "1"}, True, None),
        ({"PILOT_SCOPE_GATEWAY_TO_NAMESPACE": "false", "ENABLE_ENHANCED_RESOURCE_SCOPING": "false"}, False, False),
        ({"ENABLE_ENHANCED_RESOURCE_SCOPING": "true"}, False, True),
    ],
)
def test_the_settings_of_istiod(env, scoped, enhanced):
    # An entry may take its value from somewhere else.
    container = {"env": [*({"name": name, "value": value} for name, value in env.items()), {"name": "POD_NAME"}]}
    result = _state_mesh.control_plane(istiod(**container))
    assert (result["scoped"], result["enhanced"]) == (scoped, enhanced)


@pytest.mark.parametrize(
    ("args", "domain", "member_roll"),
    [
        ([], "cluster.local", False),
        (["discovery", "--domain", "corp.example"], "corp.example", False),
        (["discovery", "--domain=corp.example", "--memberRollName=default"], "corp.example", True),
        (["discovery", "--domain"], "cluster.local", False),
    ],
)
def test_the_arguments_of_istiod(args, domain, member_roll):
    result = _state_mesh.control_plane(istiod(args=args))
    assert (result["domain"], result["member_roll"]) == (domain, member_roll)


@pytest.mark.parametrize(("revision", "name"), [("default", "istio"), ("basic", "istio-basic")])
def test_where_the_mesh_config_is(revision, name):
    assert _state_mesh.config_name({"revision": revision}) == name


def test_a_mesh_config():
    nothing = {"discovery_selectors": [], "export_to": ["*"], "root_namespace": "", "unprivileged": False}
    assert _state_mesh.mesh_config({}) == nothing
    assert _state_mesh.mesh_config({"defaultConfig": {"proxyMetadata": {"OTHER": "true"}}}) == nothing
    selector = {"matchLabels": {"mesh": "a"}}
    assert _state_mesh.mesh_config(
        {
            "discoverySelectors": [selector],
            "defaultVirtualServiceExportTo": ["."],
            "rootNamespace": "mesh-config",
            "defaultConfig": {"proxyMetadata": {"ISTIO_META_UNPRIVILEGED_POD": True}},
        }
    ) == {"discovery_selectors": [selector], "export_to": ["."], "root_namespace": "mesh-config", "unprivileged": True}


def pod(name, owner=None, labels=(), **annotations):
    """Return a pod's metadata."""
    owners = [{"kind": "ReplicaSet", "name": owner, "controller": True}] if owner else []
    return {
        "metadata": {
            "name": name,
            "namespace": "gateways",
            "labels": dict(labels),
            "annotations": annotations,
            "ownerReferences": [{"kind": "Other", "name": "x"}, *owners],
        }
    }


def test_pods_with_equal_labels_are_one_workload():
    labels = {"istio": "edge", "pod-template-hash": "abc"}
    pods = [
        pod("edge-abc-1", "edge-abc", labels),
        pod("edge-abc-2", "edge-abc", labels),
        # During a rollout the hashes differ.
        pod("edge-def-1", "edge-def", {**labels, "pod-template-hash": "def"}),
        pod("alone"),
    ]
    found = _state_mesh.workloads(pods)
    assert [(item["name"], item["pods"], item["labels"]) for item in found] == [
        ("alone", 1, {}),
        ("edge", 3, {"istio": "edge"}),
    ]


@pytest.mark.parametrize(
    ("labels", "annotations", "found"),
    [
        ({}, {}, ("", False, False)),
        ({"istio.io/rev": "v1"}, {}, ("v1", False, False)),
        ({"istio.io/rev": "tag"}, {"istio.io/rev": "v1"}, ("v1", False, False)),
        ({}, {"inject.istio.io/templates": "gateway"}, ("", True, False)),
        ({}, {"inject.istio.io/templates": "sidecar,gateway"}, ("", True, False)),
        ({}, {"inject.istio.io/templates": "mygateway"}, ("", False, False)),
        (
            {},
            {"proxy.istio.io/config": "proxyMetadata:\n  ISTIO_META_UNPRIVILEGED_POD: 'true'"},
            ("", False, True),
        ),
        ({}, {"proxy.istio.io/config": "proxyMetadata: {}"}, ("", False, False)),
        ({}, {"proxy.istio.io/config": "just text"}, ("", False, False)),
    ],
)
def test_what_pods_say_of_themselves(labels, annotations, found):
    [item] = _state_mesh.workloads([pod("p", None, labels, **annotations)], yaml.safe_load)
    assert (item["revision"], item["gateway"], item["unprivileged"]) == found
