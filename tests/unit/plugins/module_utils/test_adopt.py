# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hand-made exposures are equal to a record's, and what is taken away of them."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._adopt import (
    difference,
    hand_made,
    removals,
    rule_removals,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_names import full_host
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import complete
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import BACKEND_HOST, istio_gateway, virtual_service

DOMAIN = "cluster.local"


def seed_gateway(*ports: int, name: str = "gateway-8000", **more: Any) -> dict[str, Any]:
    """Return a hand-made Gateway as in seed 000."""
    servers = [("x", port) for port in ports]
    return istio_gateway(*servers, name=name, namespace="gateways", uid=f"uid-{name}", labels={}, **more)


def seed_rules(
    *ports: int, name: str = "gateway-8000", gateways: tuple[str, ...] = ("gateway-8000",)
) -> dict[str, Any]:
    """Return the hand-made VirtualService of a hand-made Gateway."""
    return {**virtual_service(*ports), "name": name, "uid": f"uid-{name}", "labels": {}, "gateways": list(gateways)}


def judged(gateway: dict[str, Any], *rules: dict[str, Any], port: int = 8081, backend_port: int = 9000) -> str:
    """Say what differs between the seed's exposure of a port and a record's."""
    return difference(port, BACKEND_HOST, backend_port, hand_made([gateway], rules)[port], DOMAIN)


def test_the_seed_is_equal_to_a_record():
    assert judged(seed_gateway(8081, 8082), seed_rules(8081, 8082)) == ""


def test_a_gateway_named_with_its_namespace_is_the_same_one():
    assert judged(seed_gateway(8081), seed_rules(8081, gateways=("gateways/gateway-8000",))) == ""
    assert judged(seed_gateway(8081), seed_rules(8081, gateways=("elsewhere/gateway-8000",))) == (
        "0 rules of VirtualServices are for port 8081"
    )


def test_a_short_host_is_of_the_virtual_service_s_namespace():
    rules = seed_rules(8081)
    rules["tcp"][0]["destinations"] = [{"host": "echo", "port": 9000}]
    assert judged(seed_gateway(8081), rules) == "it leads to echo.gateways.svc.cluster.local:9000"
    rules["namespace"] = "apps"
    rules["gateways"] = ["gateways/gateway-8000"]
    assert judged(seed_gateway(8081), rules) == ""
    assert full_host("echo", "apps", "example.org") == "echo.apps.svc.example.org"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"protocol": "HTTP"}, "its server speaks HTTP"),
        ({"bind": "10.0.0.1"}, "its server is bound to 10.0.0.1"),
    ],
)
def test_another_kind_of_server_differs(change, said):
    gateway = seed_gateway(8081)
    gateway["servers"][0] |= change
    assert judged(gateway, seed_rules(8081)) == said


def test_rules_that_are_not_just_the_port_s_differ():
    assert judged(seed_gateway(8081)) == "0 rules of VirtualServices are for port 8081"
    twice = (seed_rules(8081), seed_rules(8081, name="another"))
    assert judged(seed_gateway(8081), *twice) == "2 rules of VirtualServices are for port 8081"
    every = seed_rules(8081)
    every["tcp"][0] |= {"ports": [], "match_gateways": []}
    assert (
        judged(seed_gateway(8081), every)
        == "the rule of VirtualService gateways/gateway-8000 is for more than port 8081"
    )


def test_a_rule_for_another_gateway_is_not_for_this_one():
    rules = seed_rules(8081, gateways=("gateway-8000", "another"))
    rules["tcp"][0]["match_gateways"] = [["another"]]
    assert judged(seed_gateway(8081), rules) == "0 rules of VirtualServices are for port 8081"


def test_a_rule_that_another_gateway_needs_differs():
    rules = seed_rules(8081, gateways=("gateway-8000", "another"))
    said = "the rule of VirtualService gateways/gateway-8000 is also for Gateway gateways/another"
    assert judged(seed_gateway(8081), rules) == said
    rules["tcp"][0]["match_gateways"] = [["gateway-8000"]]
    assert judged(seed_gateway(8081), rules) == ""


def test_other_destinations_differ():
    assert judged(seed_gateway(8081), seed_rules(8081), backend_port=1) == f"it leads to {BACKEND_HOST}:9000"
    rules = seed_rules(8081)
    rules["tcp"][0]["destinations"] *= 2
    assert judged(seed_gateway(8081), rules) == "its rule has 2 destinations"
    rules = seed_rules(8081)
    rules["tcp"][0]["destinations"][0]["subset"] = "v1"
    assert judged(seed_gateway(8081), rules) == "its destination is subset v1"


def test_the_oldest_server_of_a_port_is_the_one_that_counts_and_ours_are_none():
    found = hand_made([istio_gateway(("a", 8081)), seed_gateway(8081), seed_gateway(8081, name="later")], [])
    assert found[8081]["gateway"]["name"] == "gateway-8000"


def test_a_gateway_of_which_nothing_is_left_goes_and_another_is_shortened():
    gateways = [seed_gateway(8081, 8082), seed_gateway(8083, name="whole"), seed_gateway(8084, name="other")]
    steps = removals({("gateways", "gateway-8000"): [8081], ("gateways", "whole"): [8083]}, gateways)
    bare = {"apiVersion": "networking.istio.io/v1beta1", "kind": "Gateway"}
    expected = [
        {
            "state": "patched",
            "object": {
                **bare,
                "metadata": {"name": "gateway-8000", "namespace": "gateways", "uid": "uid-gateway-8000"},
            },
            "patch": [
                {"op": "test", "path": "/spec/servers/0/port/number", "value": 8081},
                {"op": "remove", "path": "/spec/servers/0"},
            ],
            "adopt": True,
        },
        {
            "state": "absent",
            "object": {**bare, "metadata": {"name": "whole", "namespace": "gateways", "uid": "uid-whole"}},
            "adopt": True,
        },
    ]
    assert [*map(complete, steps)] == [*map(complete, expected)]


def test_servers_are_taken_out_from_the_last_so_that_the_others_keep_their_place():
    [step] = removals({("gateways", "gateway-8000"): [8081, 8083]}, [seed_gateway(8081, 8082, 8083)])
    assert [item["path"] for item in step["patch"] if item["op"] == "remove"] == ["/spec/servers/2", "/spec/servers/0"]


def test_rules_go_with_their_servers():
    services = [
        seed_rules(8081, 8082),
        seed_rules(8083, name="whole"),
        {**seed_rules(8084, name="http"), "http": True},
    ]
    adopted = {("gateways", "gateway-8000"): [8082], ("gateways", "whole"): [8083], ("gateways", "http"): [8084]}
    steps = rule_removals(adopted, services)
    assert [(step["state"], step["object"]["metadata"]["name"]) for step in steps] == [
        ("patched", "gateway-8000"),
        ("absent", "whole"),
        ("patched", "http"),
    ]
    assert steps[0]["patch"] == [
        {"op": "test", "path": "/spec/tcp/1/match/0/port", "value": 8082},
        {"op": "remove", "path": "/spec/tcp/1"},
    ]
