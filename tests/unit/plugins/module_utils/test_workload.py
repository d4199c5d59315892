# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of a gateway, as far as somebody decided what they say."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _workload
from ansible_collections.servicemesh.tcp.plugins.module_utils._gateways import read_gateways
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import EDGE

SELECTOR = {"servicemesh.tcp/gateway": "edge", "servicemesh.tcp/gateway-namespace": "gateways"}


def made(revision=None, set_name="default", **more):
    """Return the objects of gateway edge by kind."""
    (gateway,), findings = read_gateways([{**EDGE, **more}])
    assert findings == []
    return {obj["kind"]: obj for obj in _workload.gateway_objects(gateway, revision, set_name)}


def test_every_object_is_ours_and_of_the_gateway():
    for obj in made(autoscale={}).values():
        assert obj["metadata"]["name"] == "edge"
        assert obj["metadata"]["namespace"] == "gateways"
        assert obj["metadata"]["labels"].items() >= {
            ("app.kubernetes.io/managed-by", "servicemesh.tcp"),
            ("servicemesh.tcp/gateway", "edge"),
        }


@pytest.mark.parametrize(
    ("more", "replicas", "autoscaler", "budget"),
    [
        ({}, 1, None, False),
        ({"replicas": 2}, 2, None, True),
        ({"autoscale": {}}, None, (2, 5, 80), True),
        # One pod at least: a budget would block every drain of a node.
        ({"autoscale": {"min": 1}}, None, (1, 5, 80), False),
    ],
)
def test_replicas_autoscaler_and_budget(more, replicas, autoscaler, budget):
    objects = made(**more)
    assert objects["Deployment"]["spec"].get("replicas") == replicas
    assert ("PodDisruptionBudget" in objects) is budget
    assert ("HorizontalPodAutoscaler" in objects) is (autoscaler is not None)
    if autoscaler:
        spec = objects["HorizontalPodAutoscaler"]["spec"]
        target = spec["metrics"][0]["resource"]["target"]["averageUtilization"]
        assert (spec["minReplicas"], spec["maxReplicas"], target) == autoscaler
        assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "edge"}


def test_the_injector_sees_the_pod():
    template = made()["Deployment"]["spec"]["template"]
    assert template["metadata"]["annotations"]["inject.istio.io/templates"] == "gateway"
    assert template["metadata"]["labels"]["sidecar.istio.io/inject"] == "true"
    assert "istio.io/rev" not in template["metadata"]["labels"]
    (container,) = template["spec"]["containers"]
    assert (container["name"], container["image"]) == ("istio-proxy", "auto")
    assert container["imagePullPolicy"] == "IfNotPresent"


def test_envoy_counts_the_sessions_of_its_listeners():
    annotations = made()["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["sidecar.istio.io/statsInclusionSuffixes"] == "downstream_cx_active"


@pytest.mark.parametrize(
    ("drain", "config", "grace"),
    [
        ({}, None, None),
        ({"listener": 90}, '{"drainDuration": "90s"}', None),
        ({"pod": 20}, '{"terminationDrainDuration": "20s"}', None),
        ({"pod": 20.5}, '{"terminationDrainDuration": "21s"}', 31),
        ({"listener": 0.5, "pod": "60s"}, '{"drainDuration": "1s", "terminationDrainDuration": "60s"}', 70),
    ],
)
def test_drain_times_are_the_pods_own(drain, config, grace):
    template = made(drain=drain)["Deployment"]["spec"]["template"]
    assert template["metadata"]["annotations"].get("proxy.istio.io/config") == config
    assert template["spec"].get("terminationGracePeriodSeconds") == grace


def test_a_revision_is_on_the_pods_but_not_in_the_selector():
    spec = made(revision="v1")["Deployment"]["spec"]
    assert spec["template"]["metadata"]["labels"]["istio.io/rev"] == "v1"
    # A Deployment's selector can never change.
    assert spec["selector"]["matchLabels"] == SELECTOR


@pytest.mark.parametrize("kind", ["NetworkPolicy", "PodDisruptionBudget", "Service", "Deployment"])
def test_selectors_match_the_pods(kind):
    objects = made(replicas=2)
    spec = objects[kind]["spec"]
    selector = spec.get("podSelector", spec.get("selector"))
    selector = selector.get("matchLabels", selector)
    pods = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert selector == SELECTOR
    assert pods.items() >= selector.items()


def test_a_pod_may_do_nothing_that_a_restricted_namespace_forbids():
    pod = made()["Deployment"]["spec"]["template"]["spec"]
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    security = pod["containers"][0]["securityContext"]
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["runAsNonRoot"] is True


def test_what_people_may_choose_of_the_pod():
    resources = {"limits": {"memory": "2Gi"}}
    objects = made(image="hub/proxyv2:1", image_pull_policy="Always", resources=resources)
    (container,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["imagePullPolicy"], container["resources"]) == (
        "hub/proxyv2:1",
        "Always",
        resources,
    )


def test_the_deployment_remembers_the_set_that_defined_it():
    objects = made(set_name="team-a")
    assert objects["Deployment"]["metadata"]["labels"]["servicemesh.tcp/defined-by"] == "team-a"
    assert "servicemesh.tcp/defined-by" not in objects["Service"]["metadata"]["labels"]


HEALTH = [{"name": "status-port", "port": 15021, "targetPort": 15021, "protocol": "TCP"}]


@pytest.mark.parametrize(
    ("service", "spec"),
    [
        ({}, {"type": "LoadBalancer"}),
        (
            {"class": "c", "source_ranges": ["10.0.0.0/8"], "external_traffic_policy": "Local"},
            {
                "type": "LoadBalancer",
                "loadBalancerClass": "c",
                "loadBalancerSourceRanges": ["10.0.0.0/8"],
                "externalTrafficPolicy": "Local",
            },
        ),
        ({"type": "NodePort"}, {"type": "NodePort"}),
        (
            {"type": "ClusterIP", "external_ips": ["198.18.0.9"]},
            {"type": "ClusterIP", "externalIPs": ["198.18.0.9"]},
        ),
    ],
)
def test_the_front_service_has_its_health_port_and_nothing_unasked(service, spec):
    found = made(service=service)["Service"]
    assert found["spec"] == {"selector": SELECTOR, "ports": HEALTH, **spec}
    assert list(found["metadata"]["annotations"]) == ["servicemesh.tcp/definition"]


def test_annotations_are_text():
    found = made(service={"annotations": {"a": 1, "b": "x"}})["Service"]
    assert found["metadata"]["annotations"].items() >= {("a", "1"), ("b", "x")}


def test_health_and_scraping_are_let_in():
    policy = made()["NetworkPolicy"]["spec"]
    assert [port["port"] for rule in policy["ingress"] for port in rule["ports"]] == [15021, 15020, 15090]


def test_the_gateway_may_read_certificates_in_its_namespace():
    objects = made()
    assert objects["Role"]["rules"] == [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "watch", "list"]}
    ]
    assert objects["RoleBinding"]["roleRef"]["name"] == "edge"
    assert objects["RoleBinding"]["subjects"] == [{"kind": "ServiceAccount", "name": "edge", "namespace": "gateways"}]
    assert objects["Deployment"]["spec"]["template"]["spec"]["serviceAccountName"] == "edge"


def test_all_that_is_made_is_removed():
    # The Lease is made by whoever writes first.
    assert {*made(autoscale={}), "Lease"} == set(_workload.GATEWAY_KINDS)


def test_only_namespaces_of_ours_in_which_no_service_stays_are_removed():
    ours = {"labels": {"app.kubernetes.io/managed-by": "servicemesh.tcp"}, "terminating": False}
    observed = {"b": ours, "a": ours, "used": ours, "theirs": {"labels": {}, "terminating": False}}
    removed = [_workload.bare_object("Service", "edge", "a"), _workload.bare_object("Service", "edge", "used")]
    services = [("a", "edge"), ("used", "edge"), ("used", "door"), ("elsewhere", "x")]
    found = _workload.namespace_removals(["b", "theirs", "a", "used", "b", "gone"], removed, observed, services)
    assert [obj["metadata"]["name"] for obj in found] == ["a", "b"]


def test_a_namespace_that_is_made_is_ours():
    assert _workload.namespace_object("a") == {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "a", "labels": {"app.kubernetes.io/managed-by": "servicemesh.tcp"}},
    }
