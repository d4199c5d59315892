# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose an object is, and whom its ports are open to: the rules one by one."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_access import (
    Access,
    is_internal,
    open_to,
    source_ranges,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_owner import owner_of, owner_text
from ansible_collections.servicemesh.tcp.tests.unit.plugins import audit_builders as build

HAND = [build.by("kubectl-edit")]
HELM = {"meta.helm.sh/release-name": "r", "meta.helm.sh/release-namespace": "n"}


@pytest.mark.parametrize(
    ("metadata", "text"),
    [
        ({}, "unknown"),
        ({"managedFields": HAND}, "by hand (kubectl-edit)"),
        # Status is written by controllers; who wrote the spec last counts.
        ({"managedFields": [build.by("cloud", subresource="status"), *HAND]}, "by hand (kubectl-edit)"),
        ({"managedFields": [{**build.by("helm"), "time": "2026-11-01T00:00:00Z"}, *HAND]}, "helm"),
        ({"managedFields": [build.by("my-operator")]}, "controller my-operator"),
        ({"managedFields": [build.by("servicemesh.tcp/blue", operation="Apply")]}, "set blue"),
        ({"annotations": HELM, "managedFields": HAND}, "helm n/r"),
        ({"labels": {"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": "r"}}, "helm r"),
        ({"labels": {"app.kubernetes.io/managed-by": "cdk8s"}}, "tool cdk8s"),
        # What would write it again comes before what the chart says.
        (
            {"annotations": {**HELM, "argocd.argoproj.io/tracking-id": "shop:/Service:shop/x"}, "managedFields": HAND},
            "argocd shop",
        ),
        ({"annotations": HELM, "labels": {"helm.toolkit.fluxcd.io/name": "shop"}}, "flux shop"),
        ({"labels": {"olm.owner": "servicemeshoperator.v2"}}, "olm servicemeshoperator.v2"),
        (
            {"ownerReferences": [{"kind": "ServiceMeshControlPlane", "name": "basic", "controller": True}]},
            "operator ServiceMeshControlPlane basic",
        ),
        ({"ownerReferences": [{"kind": "DaemonSet", "name": "log", "controller": True}]}, "workload DaemonSet log"),
        (
            {"labels": {"app.kubernetes.io/managed-by": "servicemesh.tcp", "servicemesh.tcp/set": "red"}},
            "set red",
        ),
        (
            {"labels": {"app.kubernetes.io/managed-by": "servicemesh.tcp", "servicemesh.tcp/gateway": "edge"}},
            "gateway edge",
        ),
    ],
)
def test_owner(metadata, text):
    assert owner_text(owner_of(metadata)) == text


def policy(action="ALLOW", *rules, namespace="gateways", name="p", **spec):
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"action": action, "rules": list(rules), **spec},
    }


def rule(sources=None, ports=(), **more):
    found = dict(more)
    if sources is not None:
        found["from"] = [{"source": sources}]
    if ports:
        found["to"] = [{"operation": {"ports": [str(port) for port in ports]}}]
    return found


US, THEM = {"remoteIpBlocks": ["192.0.2.0/24"]}, {"ipBlocks": ["198.51.100.0/24"]}


@pytest.mark.parametrize(
    ("policies", "allowed", "denied"),
    [
        ([], None, []),
        # One that allows nothing shuts everybody out; one for another port too.
        ([policy()], [], []),
        ([policy("ALLOW", rule(US, [9999]))], [], []),
        ([policy("ALLOW", rule(US, [5432]))], ["192.0.2.0/24"], []),
        ([policy("ALLOW", rule(US)), policy("ALLOW", rule(THEM))], ["192.0.2.0/24", "198.51.100.0/24"], []),
        ([policy("ALLOW", rule(US)), policy("ALLOW", rule(None, [5432]))], None, []),
        # A client from outside has no identity of the mesh.
        ([policy("ALLOW", rule({"principals": ["a"]}))], [], []),
        ([policy("ALLOW", rule({"notIpBlocks": ["192.0.2.9/32"]}))], ["not 192.0.2.9/32"], []),
        ([policy("ALLOW", rule({"ipBlocks": ["0.0.0.0/0"]}))], None, []),
        # Fields of HTTP: an allowing rule never matches TCP, a denying one does (istio#25832).
        ([policy("ALLOW", {"to": [{"operation": {"methods": ["GET"]}}]})], [], []),
        ([policy("ALLOW", {"to": [{"operation": {"notMethods": ["GET"]}}]})], [], []),
        ([policy("DENY", {"to": [{"operation": {"methods": ["GET"]}}]})], None, None),
        ([policy("DENY", rule(THEM, [5432]))], None, ["198.51.100.0/24"]),
        ([policy("DENY", rule(THEM, [80]))], None, []),
        ([policy("DENY", {"when": [{"key": "destination.port", "values": ["5432"]}]})], None, None),
        ([policy("ALLOW", {"when": [{"key": "destination.port", "notValues": ["5432"]}]})], [], []),
        ([policy("AUDIT", rule(US))], None, []),
    ],
)
def test_whom_policies_let_in(policies, allowed, denied):
    found = Access(policies).of(5432)
    assert (found["allowed"], found["denied"]) == (allowed, denied)


@pytest.mark.parametrize(
    ("address", "ranges", "internal", "scope", "text"),
    [
        ("8.8.8.8", [], False, "world", "the whole internet"),
        # A host name may be anywhere, so it counts.
        ("a.elb.amazonaws.com", [], False, "world", "the whole internet"),
        ("a.elb.amazonaws.com", [], True, "network", "whoever reaches it"),
        ("10.0.0.1", [], False, "network", "whoever reaches it"),
        ("8.8.8.8", ["192.0.2.0/24"], False, "ranges", "192.0.2.0/24"),
    ],
)
def test_scope(address, ranges, internal, scope, text):
    found = open_to([address], ranges, internal, None)
    assert (found["scope"], found["text"]) == (scope, text)


def test_ranges_and_policies_together():
    access = {"allowed": ["192.0.2.9/32"], "denied": ["192.0.2.10/32"], "policies": ["gateways/p"]}
    found = open_to(["8.8.8.8"], ["192.0.2.0/24"], False, access)
    assert found["text"] == "192.0.2.0/24, of these 192.0.2.9/32, but not 192.0.2.10/32"
    assert open_to(["8.8.8.8"], [], False, {**access, "allowed": []})["scope"] == "nobody"
    assert open_to(["8.8.8.8"], [], False, {**access, "denied": None})["scope"] == "nobody"


@pytest.mark.parametrize(
    ("spec", "annotations", "ranges"),
    [
        ({"type": "LoadBalancer"}, {}, []),
        ({"type": "LoadBalancer", "loadBalancerSourceRanges": ["192.0.2.0/24"]}, {}, ["192.0.2.0/24"]),
        ({"type": "LoadBalancer", "loadBalancerSourceRanges": ["192.0.2.0/24", "0.0.0.0/0"]}, {}, []),
        (
            {"type": "LoadBalancer"},
            {"service.beta.kubernetes.io/load-balancer-source-ranges": "192.0.2.0/24, 10.0.0.0/8"},
            ["10.0.0.0/8", "192.0.2.0/24"],
        ),
        ({"type": "NodePort", "loadBalancerSourceRanges": ["192.0.2.0/24"]}, {}, []),
    ],
)
def test_source_ranges(spec, annotations, ranges):
    assert source_ranges({"spec": spec, "metadata": {"annotations": annotations}}) == ranges


@pytest.mark.parametrize(
    ("annotations", "internal"),
    [
        ({}, False),
        ({"service.beta.kubernetes.io/aws-load-balancer-scheme": "internal"}, True),
        ({"service.beta.kubernetes.io/aws-load-balancer-scheme": "internet-facing"}, False),
        ({"networking.gke.io/load-balancer-type": "Internal"}, True),
    ],
)
def test_internal_load_balancers(annotations, internal):
    assert is_internal({"metadata": {"annotations": annotations}}) is internal
