# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of a set on one gateway."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _exposure
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import port_name, set_object_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import BACKEND_HOST, EDGE, record

NAME = set_object_name("edge", "default")
LABELS = {
    "app.kubernetes.io/managed-by": "servicemesh.tcp",
    "servicemesh.tcp/gateway": "edge",
    "servicemesh.tcp/set": "default",
}
METADATA = {"name": NAME, "namespace": "gateways", "labels": LABELS}
SELECTOR = {"servicemesh.tcp/gateway": "edge", "servicemesh.tcp/gateway-namespace": "gateways"}
SSH, WEB = port_name(22, "default", "ssh"), port_name(8081, "default", "web")


@pytest.fixture
def listeners():
    """The listeners of two records, one of them privileged and on a node port."""
    found = port_map([record("ssh", 22, node_port=30022), record("web", 8081)], [EDGE])
    return [_exposure.listener_of(port) for port in found["ports"]]


def test_a_share_of_the_front_service(listeners):
    assert _exposure.service_share("edge", "gateways", listeners, "u") == {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "edge", "namespace": "gateways", "uid": "u"},
        "spec": {
            "ports": [
                {"name": SSH, "port": 22, "targetPort": 10022, "protocol": "TCP", "nodePort": 30022},
                {"name": WEB, "port": 8081, "targetPort": 8081, "protocol": "TCP"},
            ]
        },
    }


def test_an_empty_share_owns_nothing():
    # Labels in it would be taken away from the Service with the last port.
    share = _exposure.service_share("edge", "gateways", [], None)
    assert share == {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "edge", "namespace": "gateways"}}


def test_an_istio_gateway(listeners):
    assert _exposure.istio_gateway("edge", "gateways", "default", listeners, "hosts.yml") == {
        "apiVersion": "networking.istio.io/v1beta1",
        "kind": "Gateway",
        "metadata": {**METADATA, "annotations": {"servicemesh.tcp/source": "hosts.yml"}},
        "spec": {
            "selector": SELECTOR,
            # The Service's port, not the one in the pods: the mesh translates it.
            "servers": [
                {"port": {"number": 22, "name": SSH, "protocol": "TCP"}, "hosts": ["./*"]},
                {"port": {"number": 8081, "name": WEB, "protocol": "TCP"}, "hosts": ["./*"]},
            ],
        },
    }


def test_a_virtual_service(listeners):
    route = [{"destination": {"host": BACKEND_HOST, "port": {"number": 9000}}}]
    assert _exposure.virtual_service("edge", "gateways", "default", listeners) == {
        "apiVersion": "networking.istio.io/v1beta1",
        "kind": "VirtualService",
        "metadata": METADATA,
        "spec": {
            "hosts": ["*"],
            "gateways": [NAME],
            "exportTo": ["."],
            "tcp": [{"match": [{"port": 22}], "route": route}, {"match": [{"port": 8081}], "route": route}],
        },
    }


def test_a_network_policy_opens_the_ports_in_the_pods(listeners):
    assert _exposure.network_policy("edge", "gateways", "default", listeners) == {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": METADATA,
        "spec": {
            "podSelector": {"matchLabels": SELECTOR},
            "policyTypes": ["Ingress"],
            "ingress": [{"ports": [{"port": 8081, "protocol": "TCP"}, {"port": 10022, "protocol": "TCP"}]}],
        },
    }
