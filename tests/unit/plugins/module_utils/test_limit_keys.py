# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people say of a load balancer and of its limits, read key by key."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._limit_keys import LIMIT_KEYS, read_limit_keys
from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import Problems
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import messages


def read(**service):
    """Read a gateway's service, and return what was read and what was said."""
    problems = Problems("gateway 'edge'")
    return read_limit_keys(problems, service), messages(problems.findings)


def test_defaults():
    found, said = read()
    assert found == {"allocate_node_ports": True, "limits": {}, "max_ports": None, "provider": None}
    assert said == []


def test_everything_that_can_be_given():
    limits = dict.fromkeys(LIMIT_KEYS, 7) | {"node_ports": " 30000 - 31000 ", "listeners": "60"}
    found, said = read(allocate_node_ports=False, limits=limits, max_ports="49", provider="aws-nlb")
    assert said == []
    assert found["limits"] == dict.fromkeys(LIMIT_KEYS, 7) | {"node_ports": [30000, 31000], "listeners": 60}
    assert (found["allocate_node_ports"], found["max_ports"], found["provider"]) == (False, 49, "aws-nlb")


RANGE = "it must be a range like 30000-32767."
FROM_TWO = "it must be a whole number from 2 on, because the health port 15021 counts too."
PROVIDERS = "aws-classic, aws-nlb, aws-nlb-controller, azure, gcp, gcp-internal, in-cluster, metallb"


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ({"allocate_node_ports": "no"}, "service.allocate_node_ports: 'no' is not valid; it must be true or false."),
        (
            {"allocate_node_ports": False, "type": "NodePort"},
            "service.allocate_node_ports: False is not valid; only a Service of type LoadBalancer can do without.",
        ),
        ({"provider": "nlb"}, f"service.provider: 'nlb' is not valid; it must be one of {PROVIDERS}."),
        (
            {"provider": "metallb", "type": "ClusterIP"},
            "service.provider: 'metallb' is not valid; only a Service of type LoadBalancer has it.",
        ),
        ({"max_ports": 1}, f"service.max_ports: 1 is not valid; {FROM_TWO}"),
        ({"max_ports": "all"}, f"service.max_ports: 'all' is not valid; {FROM_TWO}"),
        ({"limits": []}, "service.limits: [] is not valid; it must be a mapping."),
        (
            {"limits": {"listeners": "many"}},
            "service.limits.listeners: 'many' is not valid; it must be a whole number from 1 on.",
        ),
        ({"limits": {"node_ports": 2768}}, f"service.limits.node_ports: 2768 is not valid; {RANGE}"),
        ({"limits": {"node_ports": "3-2"}}, f"service.limits.node_ports: '3-2' is not valid; {RANGE}"),
        ({"limits": {"node_ports": "1-70000"}}, f"service.limits.node_ports: '1-70000' is not valid; {RANGE}"),
    ],
)
def test_a_mistake(service, said):
    assert read(**service)[1] == [f"VALUE_INVALID gateway 'edge': {said}"]


def test_a_limit_that_nobody_knows():
    assert read(limits={"listener": 1})[1] == [
        "KEY_UNKNOWN gateway 'edge': 'service.limits.listener' is not a known key; did you mean 'listeners'?"
    ]
