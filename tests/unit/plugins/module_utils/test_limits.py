# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each limit at its edge: the last number that passes, the first that is warned of, the first that is refused."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _limits
from ansible_collections.servicemesh.tcp.plugins.module_utils._limit_keys import LIMIT_KEYS
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import (
    front,
    gateway_with,
    loaded,
    service,
    service_port,
    state,
)

AWS = "service.beta.kubernetes.io/aws-load-balancer-"


def codes(made, *fronts, cluster=None):
    """Return the codes that the load balancers of a gateway bring."""
    return [item["code"] for item in _limits.check_load_balancers(made, fronts, View(cluster or state()))]


@pytest.mark.parametrize(
    ("provider", "limit"), [("aws-nlb", 50), ("aws-nlb-controller", 50), ("aws-classic", 100), ("azure", 300)]
)
def test_listeners_at_their_limit(provider, limit):
    # Enough rules in the security group: that is another matter.
    made = gateway_with(provider=provider, limits={"security_group_rules": 10000})
    near = -(-limit * 9 // 10)
    assert codes(made, loaded(near - 1)) == []
    assert codes(made, loaded(near)) == ["LB_LIMIT_NEAR"]
    assert codes(made, loaded(limit)) == ["LB_LIMIT_NEAR"]
    assert codes(made, loaded(limit + 1)) == ["LB_LIMIT"]


@pytest.mark.parametrize("provider", ["metallb", "in-cluster", "gcp", "gcp-internal", None])
def test_where_no_limit_is_known(provider):
    more = {"provider": provider} if provider else {}
    assert set(codes(gateway_with(**more), loaded(5000))) <= {"LB_SPAN"}
    assert "LB_LIMIT" in codes(gateway_with(limits={"listeners": 40}, **more), loaded(41))


def test_each_front_service_has_a_load_balancer_of_its_own():
    made = gateway_with(provider="aws-nlb", limits={"security_group_rules": 10000})
    assert codes(made, loaded(44), loaded(44, "edge-2"), loaded(51, "edge-3")) == ["LB_LIMIT"]


def test_azure_counts_all_services_behind_its_one_load_balancer():
    def cluster(**more):
        ports = [service_port(port) for port in range(1, 101)]
        return state(service("other", "apps", ports, **{"type": "LoadBalancer", **more}))

    made = gateway_with(provider="azure")
    assert codes(made, loaded(100), loaded(100, "edge-2"), cluster=cluster()) == ["LB_LIMIT_NEAR"]
    assert codes(made, loaded(100), loaded(101, "edge-2"), cluster=cluster()) == ["LB_LIMIT"]
    # Another controller's load balancer, and no load balancer at all.
    for more in ({"class": "example.org/own"}, {"type": "NodePort"}):
        assert codes(made, loaded(100), loaded(101, "edge-2"), cluster=cluster(**more)) == []


@pytest.mark.parametrize(
    ("ports", "limits", "found"),
    [
        (40, {}, []),
        (40, {"nodes": 33}, []),
        # 500 in a zone: 40 x 12 and 40 x 13.
        (40, {"nodes": 36}, ["LB_LIMIT_NEAR"]),
        (40, {"nodes": 37}, ["LB_LIMIT"]),
        (40, {"nodes": 37, "targets_per_zone": 600}, []),
        (40, {"nodes": 37, "zones": 4}, []),
        (40, {"nodes": 75, "zones": 75}, ["LB_LIMIT_NEAR"]),
        (40, {"nodes": 76, "zones": 76}, ["LB_LIMIT"]),
        (40, {"nodes": 76, "zones": 76, "targets": 5000}, []),
    ],
)
def test_targets_are_ports_times_nodes(ports, limits, found):
    made = gateway_with(provider="aws-nlb", limits={"security_group_rules": 10000, **limits})
    assert codes(made, loaded(ports)) == found


def test_nodes_count_where_they_were_read_and_pods_are_no_nodes():
    nodes = [{"name": str(number), "addresses": [], "provider": ""} for number in range(40)]
    annotations = {f"{AWS}type": "external"}
    made = gateway_with(annotations=annotations)
    assert codes(made, loaded(40), cluster=state(nodes=nodes)) == ["LB_LIMIT"]
    made = gateway_with(annotations={**annotations, f"{AWS}nlb-target-type": "ip"})
    assert codes(made, loaded(40), cluster=state(nodes=nodes)) == []


RANGES = ["10.0.0.0/8", "198.18.0.0/15"]


@pytest.mark.parametrize(
    ("service_keys", "last"),
    [
        # 59 ports from everywhere and one rule for ICMP, were 50 listeners not the end.
        ({"provider": "aws-nlb"}, 59),
        # Per port one rule for the range and three for the subnets' health checks, and one for ICMP.
        ({"provider": "aws-nlb", "source_ranges": RANGES[:1]}, 14),
        ({"provider": "aws-nlb", "source_ranges": RANGES}, 11),
        ({"provider": "aws-nlb", "source_ranges": RANGES[:1], "limits": {"zones": 1}}, 29),
        # Local has one health check port for all.
        ({"provider": "aws-nlb", "source_ranges": RANGES[:1], "external_traffic_policy": "Local"}, 56),
        ({"provider": "aws-nlb", "external_traffic_policy": "Local"}, 56),
        ({"provider": "aws-classic"}, 59),
        ({"provider": "aws-classic", "source_ranges": RANGES}, 29),
        ({"provider": "aws-nlb-controller"}, 60),
        ({"provider": "aws-nlb-controller", "source_ranges": RANGES}, 30),
        ({"provider": "aws-classic", "limits": {"security_group_rules": 91}}, 90),
    ],
)
def test_rules_of_a_security_group(service_keys, last):
    def rules(count):
        return [code for code in codes(made, loaded(count)) if code == "SECURITY_GROUP_RULES"]

    made = gateway_with(**service_keys)
    assert rules(last) == []
    assert rules(last + 1) == ["SECURITY_GROUP_RULES"]


def test_network_load_balancers_share_the_nodes_group_and_others_do_not():
    spread = [loaded(30), loaded(31, "edge-2")]
    assert codes(gateway_with(provider="aws-nlb"), *spread) == ["SECURITY_GROUP_RULES"]
    assert codes(gateway_with(provider="aws-classic"), *spread) == []
    assert codes(gateway_with(provider="aws-nlb-controller"), *spread) == []


def test_a_security_group_of_their_own_is_theirs_to_count():
    made = gateway_with(provider="aws-classic", annotations={f"{AWS}security-groups": "sg-1"})
    assert codes(made, loaded(80)) == []


@pytest.mark.parametrize(
    ("service_keys", "needed"),
    [
        ({"provider": "aws-nlb"}, True),
        ({"provider": "aws-classic"}, True),
        ({"provider": "aws-nlb-controller"}, True),
        ({"provider": "aws-nlb-controller", "annotations": {f"{AWS}nlb-target-type": "ip"}}, False),
        ({"annotations": {f"{AWS}type": "nlb-ip"}}, False),
        ({"provider": "metallb"}, False),
        ({}, False),
    ],
)
def test_who_cannot_do_without_node_ports(service_keys, needed):
    made = gateway_with(allocate_node_ports=False, **service_keys)
    assert codes(made, loaded(2)) == (["NODE_PORTS_NEEDED"] if needed else [])
    assert codes(gateway_with(**service_keys), loaded(2)) == []


@pytest.mark.parametrize(
    ("provider", "fronted", "noted"),
    [
        ("gcp", loaded(5), False),
        ("gcp", loaded(6), True),
        # 15021 to 15026: nothing lies between.
        ("gcp", loaded(6, first=15022), False),
        ("gcp-internal", loaded(5), False),
        ("gcp-internal", loaded(6, first=15022), True),
    ],
)
def test_google_forwards_spans(provider, fronted, noted):
    assert codes(gateway_with(provider=provider), fronted) == (["LB_SPAN"] if noted else [])


@pytest.mark.parametrize("kind", ["NodePort", "ClusterIP"])
def test_without_a_load_balancer_it_has_no_limits(kind):
    assert codes(gateway_with(type=kind, limits={"listeners": 1}), loaded(400)) == []


def test_every_limit_names_its_source_and_can_be_given():
    for limits in _limits.LIMITS.values():
        assert set(limits) <= LIMIT_KEYS
        assert all(limit.number > 0 and limit.noun and limit.source for limit in limits.values())
    given = gateway_with(limits={"listeners": 60})["service"]
    assert _limits.limit_of(given, "aws-nlb", "listeners") == (60, "listeners", "service.limits.listeners")
    assert _limits.limit_of(given, "metallb", "listeners") == (60, "listeners", "service.limits.listeners")
    assert _limits.limit_of(given, "metallb", "targets") is None


def test_a_run_that_adds_nothing_may_go_on_beyond_a_limit():
    made = gateway_with(provider="aws-nlb", limits={"security_group_rules": 10000})
    over = loaded(60)
    ports = [service_port(item["port"]) for item in over["ports"]]
    assert codes(made, {**over, "observed": front(ports)}) == ["LB_LIMIT_NEAR"]
    assert codes(made, {**over, "observed": front(ports[1:])}) == ["LB_LIMIT"]
    assert codes(made, {**over, "observed": front([*ports, service_port(1)])}) == ["LB_LIMIT_NEAR"]


@pytest.mark.parametrize(
    ("max_ports", "count", "found"),
    [
        (50, 50, []),
        # Beyond what the bound lets a run come to, it is no comfort any more.
        (50, 51, ["LB_LIMIT"]),
        (51, 50, ["LB_LIMIT_NEAR"]),
    ],
)
def test_a_bound_within_the_limit_needs_no_warning(max_ports, count, found):
    made = gateway_with(provider="aws-nlb", max_ports=max_ports, limits={"security_group_rules": 10000})
    assert codes(made, loaded(count)) == found
    made = gateway_with(provider="aws-nlb", max_ports=max_ports // 2, limits={"nodes": 60, "listeners": 10000})
    targets = [code for code in codes(made, loaded(25)) if code != "SECURITY_GROUP_RULES"]
    assert targets == []
