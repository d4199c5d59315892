# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Estimated sizes against what the lab's API server took and refused."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _exposure
from ansible_collections.servicemesh.tcp.plugins.module_utils._gateways import read_gateways
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import port_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._object_sizes import OBJECT_BYTES, check_sizes
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import apply_step, remove_step
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import EDGE

GATEWAY, SET = "edge-of-the-city", "team-payments"


def listeners(count):
    """Return listeners as they were when the lab was measured."""
    return [
        {
            "port": port,
            "port_name": port_name(port, SET, f"r{port}"),
            "target_port": port,
            "node_port": None,
            "host": f"postgres-{port}.orders-production.svc.cluster.local",
            "backend_port": 5432,
        }
        for port in range(65535, 65535 - count, -1)
    ]


def gateways(**limits):
    """Return the gateway as it is read."""
    found, findings = read_gateways([{**EDGE, "name": GATEWAY, "namespace": "li", "service": {"limits": limits}}])
    assert findings == []
    return found


def front(count, node_port=None):
    """Return the gateway's front Service with a number of ports."""
    ports = [{"port": item["port"], "name": item["port_name"], "node_port": node_port} for item in listeners(count)]
    return {"gateway": GATEWAY, "namespace": "li", "name": GATEWAY, "ports": ports}


def sizes(fronts=(), objects=(), **limits):
    """Return the subjects of what is too large."""
    found = check_sizes(gateways(**limits), fronts, [apply_step(obj) for obj in objects])
    assert {item["code"] for item in found} <= {"OBJECT_TOO_LARGE"}
    return [item["subject"] for item in found]


def istio_gateway(count):
    """Return the Istio Gateway."""
    return _exposure.istio_gateway(GATEWAY, "li", SET, listeners(count), "inventories/prod")


def virtual_service(count):
    """Return the VirtualService."""
    return _exposure.virtual_service(GATEWAY, "li", SET, listeners(count))


# Taken on the lab, and refused: the estimate may be early by half a per cent, and never late.
MEASURED = [
    (lambda count: sizes([front(count)]), 10331, 10366),
    (lambda count: sizes(objects=[istio_gateway(count)]), 18049, 18077),
    (lambda count: sizes(objects=[virtual_service(count)]), 11386, 11421),
]


@pytest.mark.parametrize(("found", "taken", "refused"), MEASURED)
def test_the_estimate_agrees_with_the_lab(found, taken, refused):
    assert found(taken * 995 // 1000) == []
    assert len(found(refused)) == 1


def test_a_given_limit_holds_for_its_gateway():
    fronts = [front(100), {**front(100), "gateway": "other"}]
    objects = [istio_gateway(100), virtual_service(100)]
    assert sizes(fronts, objects) == []
    assert sizes(fronts, objects, object_bytes=5000) == [
        f"Service li/{GATEWAY}",
        f"Gateway li/{objects[0]['metadata']['name']}",
        f"VirtualService li/{objects[1]['metadata']['name']}",
    ]


def test_given_node_ports_count_and_removals_do_not():
    count = 10300
    assert sizes([front(count)]) == []
    assert sizes([front(count, node_port=30000)]) == [f"Service li/{GATEWAY}"]
    assert check_sizes(gateways(object_bytes=1), [], [remove_step(istio_gateway(1))]) == []


def test_the_limit_is_that_of_etcd():
    assert OBJECT_BYTES == 1572864
