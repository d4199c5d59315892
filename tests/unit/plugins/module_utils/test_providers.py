# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What provides a load balancer, told by each sign on its own and by their order."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._providers import (
    load_balancer_annotations,
    provider_of,
)
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import front

AWS = "service.beta.kubernetes.io/aws-load-balancer-"


def told(wanted=(), observed=None, namespaces=(), nodes=()):
    """Return the provider that is recognised."""
    service = {"type": "LoadBalancer", "provider": None, "class": None, "annotations": {}, **dict(wanted)}
    return provider_of(service, observed, namespaces, [{"provider": name} for name in nodes])


@pytest.mark.parametrize(
    ("annotations", "provider"),
    [
        ({}, ""),
        ({f"{AWS}type": "nlb"}, "aws-nlb"),
        ({f"{AWS}type": "external", f"{AWS}nlb-target-type": "ip"}, "aws-nlb-controller"),
        ({f"{AWS}type": "nlb-ip"}, "aws-nlb-controller"),
        ({f"{AWS}type": "something"}, ""),
        ({f"{AWS}internal": "true"}, "aws-classic"),
        ({"service.beta.kubernetes.io/azure-load-balancer-internal": "true"}, "azure"),
        ({"networking.gke.io/load-balancer-type": "Internal"}, "gcp-internal"),
        ({"cloud.google.com/load-balancer-type": "internal"}, "gcp-internal"),
        ({"cloud.google.com/l4-rbs": "enabled"}, "gcp"),
        ({"metallb.io/ip-allocated-from-pool": "a"}, "metallb"),
        ({"metallb.universe.tf/address-pool": "a"}, "metallb"),
        ({"lbipam.cilium.io/ips": "198.18.0.1"}, "in-cluster"),
        ({"kube-vip.io/loadbalancerIPs": "198.18.0.1"}, "in-cluster"),
        ({"example.org/aws": "nlb"}, ""),
    ],
)
def test_by_annotations_wanted_or_observed(annotations, provider):
    assert told({"annotations": annotations}) == provider
    assert told(observed=front(annotations=annotations)) == provider


@pytest.mark.parametrize(
    ("lb_class", "provider"),
    [
        ("service.k8s.aws/nlb", "aws-nlb-controller"),
        ("networking.gke.io/l4-regional-external", "gcp"),
        ("networking.gke.io/l4-regional-internal", "gcp-internal"),
        ("io.cilium/bgp-control-plane", "in-cluster"),
        ("kube-vip.io/kube-vip-class", "in-cluster"),
        ("metallb", "metallb"),
        ("example.org/own", ""),
    ],
)
def test_by_class_wanted_or_observed(lb_class, provider):
    # A class beats annotations: only its controller looks at the Service.
    annotations = {f"{AWS}type": "nlb"}
    assert told({"class": lb_class, "annotations": annotations}) == provider
    assert told({"annotations": annotations}, front(**{"class": lb_class})) == provider


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("a1b2-0123456789.elb.eu-west-1.amazonaws.com", "aws-nlb"),
        ("a1b2-0123456789.elb.cn-north-1.amazonaws.com.cn", "aws-nlb"),
        ("a1b2-123.eu-west-1.elb.amazonaws.com", "aws-classic"),
        ("internal-a1b2-123.eu-west-1.elb.amazonaws.com", "aws-classic"),
        ("a1b2-123.cn-north-1.elb.amazonaws.com.cn", "aws-classic"),
        ("lb.example.org", ""),
        ("198.18.25.1", ""),
        ("x.elb.eu-west-1.amazonaws.com.example.org", ""),
    ],
)
def test_by_the_address(host, provider):
    assert told(observed=front(addresses=[host])) == provider


@pytest.mark.parametrize(
    ("nodes", "provider"),
    [
        (["aws"], "aws-classic"),
        (["azure", "azure"], "azure"),
        (["gce"], "gcp"),
        (["aws", "gce"], ""),
        (["kind"], ""),
        ([], ""),
    ],
)
def test_by_the_nodes_where_they_were_read(nodes, provider):
    assert told(nodes=nodes) == provider


def test_what_people_say_comes_first_and_the_cluster_last():
    annotated = {"annotations": {f"{AWS}type": "nlb"}}
    host = front(addresses=["a-1.eu-west-1.elb.amazonaws.com"])
    assert told({**annotated, "provider": "azure"}, host, ["metallb-system"]) == "azure"
    assert told(annotated, host, ["metallb-system"]) == "aws-nlb"
    assert told((), host, ["metallb-system"]) == "aws-classic"
    assert told((), front(addresses=["198.18.25.1"]), ["metallb-system"], ["aws"]) == "metallb"


@pytest.mark.parametrize("kind", ["NodePort", "ClusterIP"])
def test_without_a_load_balancer_nobody_provides_one(kind):
    assert told({"type": kind, "annotations": {f"{AWS}type": "nlb"}}, None, ["metallb-system"], ["aws"]) == ""


def test_only_annotations_of_load_balancers_are_kept():
    kept = {f"{AWS}type": "nlb", "metallb.io/address-pool": "a"}
    assert load_balancer_annotations({**kept, "kubectl.kubernetes.io/last-applied-configuration": "x"}) == kept
