# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What NetworkPolicies let through, by the examples of their documentation."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._network_policies import End, blocking
from ansible_collections.servicemesh.tcp.plugins.module_utils._selectors import selects

POD = End(ip="10.0.0.5", namespace="apps", labels={"app": "db"}, ports={"db": 5432})
FRIEND = End(ip="10.0.1.7", namespace="gw", labels={"app": "edge"}, namespace_labels={"team": "net"})
OUTSIDE = End(ip="198.51.100.7", translated=True)


def policy(name="p", **spec):
    """Return a NetworkPolicy."""
    return {"metadata": {"name": name}, "spec": {"podSelector": {}, **spec}}


def ingress(*rules, **more):
    """Return a policy with ingress rules."""
    return policy(ingress=list(rules), **more)


TEAM = {"namespaceSelector": {"matchLabels": {"team": "net"}}}
BLOCK = {"ipBlock": {"cidr": "198.51.100.0/24", "except": ["198.51.100.128/25"]}}


@pytest.mark.parametrize(
    ("policies", "other", "blocked"),
    [
        ([], FRIEND, ([], True)),
        ([policy(policyTypes=["Ingress"])], FRIEND, (["p"], True)),
        # One about other pods, or about the other direction, says nothing.
        ([policy(podSelector={"matchLabels": {"app": "web"}})], FRIEND, ([], True)),
        ([policy(policyTypes=["Egress"])], FRIEND, ([], True)),
        ([ingress({})], FRIEND, ([], True)),
        ([ingress({"from": [TEAM]})], FRIEND, ([], True)),
        ([ingress({"from": [TEAM]})], OUTSIDE, (["p"], True)),
        # Both selectors of one peer must hold; without one for namespaces the policy's own is meant.
        ([ingress({"from": [{**TEAM, "podSelector": {"matchLabels": {"app": "web"}}}]})], FRIEND, (["p"], True)),
        ([ingress({"from": [{"podSelector": {}}]})], FRIEND, (["p"], True)),
        ([ingress({"from": [{"podSelector": {}}]})], End(namespace="apps"), ([], True)),
        # What one of them lets through is let through.
        ([policy("closed"), ingress({"from": [TEAM]})], FRIEND, ([], True)),
        ([policy("b"), policy("a")], FRIEND, (["a", "b"], True)),
        ([ingress({"from": [BLOCK]})], OUTSIDE, ([], True)),
        # Its address may be another one when it arrives.
        ([ingress({"from": [BLOCK]})], End(ip="198.51.100.200", translated=True), (["p"], False)),
        ([ingress({"from": [BLOCK]})], FRIEND, (["p"], True)),
        ([ingress({"from": [BLOCK]})], End(ip="2001:db8::1", translated=True), (["p"], False)),
        ([ingress({"ports": [{"port": 5432}]})], FRIEND, ([], True)),
        ([ingress({"ports": [{"port": 5432, "protocol": "UDP"}]})], FRIEND, (["p"], True)),
        ([ingress({"ports": [{"port": "db"}]})], FRIEND, ([], True)),
        ([ingress({"ports": [{"port": "web"}]})], FRIEND, (["p"], True)),
        ([ingress({"ports": [{"port": 5000, "endPort": 6000}]})], FRIEND, ([], True)),
        ([ingress({"ports": [{"port": 5000, "endPort": 5400}]})], FRIEND, (["p"], True)),
        ([ingress({"ports": [{"protocol": "TCP"}]})], FRIEND, ([], True)),
    ],
)
def test_who_gets_in(policies, other, blocked):
    assert blocking(policies, "ingress", POD, other, 5432) == blocked


@pytest.mark.parametrize(
    ("spec", "blocked"),
    [
        # A policy with nothing but ingress rules leaves egress alone.
        ({"ingress": []}, []),
        ({"egress": [{"to": [{"ipBlock": {"cidr": "10.0.1.0/24"}}]}]}, []),
        ({"egress": [{"to": [{"ipBlock": {"cidr": "10.0.2.0/24"}}]}]}, ["p"]),
        ({"policyTypes": ["Ingress", "Egress"]}, ["p"]),
    ],
)
def test_who_gets_out(spec, blocked):
    assert blocking([policy(**spec)], "egress", POD, FRIEND, 80)[0] == blocked


@pytest.mark.parametrize(
    ("operator", "values", "labels", "matched"),
    [
        ("In", ["a"], {"k": "a"}, True),
        ("In", ["a"], {}, False),
        ("NotIn", ["a"], {}, True),
        ("NotIn", ["a"], {"k": "a"}, False),
        ("Exists", None, {"k": "b"}, True),
        ("DoesNotExist", None, {"k": "b"}, False),
        # Nobody knows it, so that it selects nothing.
        ("Like", ["a"], {"k": "b"}, False),
    ],
)
def test_expressions(operator, values, labels, matched):
    expression = {"key": "k", "operator": operator, "values": values}
    assert selects({"matchExpressions": [expression]}, labels) is matched
    assert selects(None, labels) is False
