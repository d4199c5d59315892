# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Node ports that a run needs against those that are left, at the last that is."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._node_ports import check_node_ports_left
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import (
    front,
    gateway_with,
    loaded,
    service,
    service_port,
    state,
)


def crowded(*services, free):
    """Return a cluster in which just so many node ports are free."""
    used = [service_port(1, node_port=number) for number in range(30000, 32768 - free)]
    return state(service("crowd", "apps", used, type="NodePort"), *services)


def node_port_codes(made, *fronts, cluster):
    """Return the codes that the node ports bring."""
    return [item["code"] for item in check_node_ports_left([made], fronts, View(cluster), "default")]


EXHAUSTED = ["NODE_PORTS_EXHAUSTED"]


@pytest.mark.parametrize(
    ("service_keys", "count", "found"),
    [
        ({}, 10, []),
        ({}, 11, EXHAUSTED),
        ({"type": "NodePort"}, 10, []),
        ({"type": "NodePort"}, 11, EXHAUSTED),
        ({"type": "ClusterIP"}, 11, []),
        ({"allocate_node_ports": False}, 11, []),
        # The health check takes one more, of a load balancer only.
        ({"external_traffic_policy": "Local"}, 9, []),
        ({"external_traffic_policy": "Local"}, 10, EXHAUSTED),
        ({"external_traffic_policy": "Local", "type": "NodePort"}, 10, []),
        ({"limits": {"node_ports": "30000-32768"}}, 11, []),
        ({"limits": {"node_ports": "30000-32766"}}, 10, EXHAUSTED),
    ],
)
def test_node_ports_that_are_left(service_keys, count, found):
    assert node_port_codes(gateway_with(**service_keys), loaded(count), cluster=crowded(free=10)) == found


def test_node_ports_that_a_front_service_has_already_are_not_needed_again():
    has = [service_port(15021, node_port=32766), service_port(20000, node_port=32767)]
    observed = front(has, type="LoadBalancer", health_check_node_port=32765)
    cluster = crowded(observed, free=5)
    made = gateway_with(external_traffic_policy="Local")
    # Three of the five are the front Service's own: two are left.
    assert node_port_codes(made, loaded(4, observed=observed), cluster=cluster) == []
    assert node_port_codes(made, loaded(5, observed=observed), cluster=cluster) == EXHAUSTED


def test_node_ports_of_all_front_services_are_needed_together():
    assert node_port_codes(gateway_with(), loaded(5), loaded(5, "edge-2"), cluster=crowded(free=10)) == []
    assert node_port_codes(gateway_with(), loaded(5), loaded(6, "edge-2"), cluster=crowded(free=10)) == EXHAUSTED
