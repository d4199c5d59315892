# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-ins on an API-only lab: what a role that installs operators and control planes meets."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kindlab import procfs
from kindlab.paths import CHECKOUT, lab_paths
from standins.client import MERGE, Api, ApiError
from standins.kinds import KINDS

pytestmark = pytest.mark.own_lab
NAME = "standins-it"
LAB = str(CHECKOUT / "tests" / "lab" / "lab")
STRICT = {"fieldValidation": "Strict"}


def lab(*arguments: str, code: int = 0) -> str:
    command, *rest = arguments
    done = subprocess.run(
        [LAB, command, "--name", NAME, *rest], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


class Cluster:
    """Somebody who writes objects strictly and waits for what becomes of them."""

    def __init__(self) -> None:
        self.api = Api(str(lab_paths(NAME).kubeconfig))

    def create(self, kind: str, namespace: str, name: str, **rest: Any) -> dict[str, Any]:
        metadata = {"name": name} | ({"namespace": namespace} if KINDS[kind].namespaced else {})
        body = {"apiVersion": KINDS[kind].api_version, "kind": kind, "metadata": metadata, **rest}
        return self.api.request("POST", KINDS[kind].path(namespace), body, **STRICT)

    def get(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        try:
            return self.api.request("GET", KINDS[kind].path(namespace, name))
        except ApiError as error:
            if error.status != 404:
                raise
            return None

    def patch(self, kind: str, namespace: str, name: str, patch: dict[str, Any]) -> None:
        self.api.request("PATCH", KINDS[kind].path(namespace, name), patch, MERGE, **STRICT)

    def delete(self, kind: str, namespace: str, name: str) -> None:
        self.api.request("DELETE", KINDS[kind].path(namespace, name))

    def until(
        self, kind: str, namespace: str, name: str, seen: Callable[[dict[str, Any]], object], seconds: float = 20
    ) -> dict[str, Any]:
        until = time.monotonic() + seconds
        while True:
            found = self.get(kind, namespace, name)
            if found and seen(found):
                return found
            assert time.monotonic() < until, found
            time.sleep(0.1)

    def switch(self, **data: str | None) -> None:
        values = {key.replace("__", ".").replace("_", "-"): value for key, value in data.items()}
        if not self.get("ConfigMap", "kube-system", "standins"):
            self.create("ConfigMap", "kube-system", "standins")
        self.patch("ConfigMap", "kube-system", "standins", {"data": values})

    def subscribe(self, namespace: str, package: str, group: dict[str, Any] | None, **spec: Any) -> None:
        self.create("Namespace", "", namespace)
        if group is not None:
            self.create("OperatorGroup", namespace, "group", spec=group)
        self.subscription(namespace, package, package, **spec)

    def subscription(self, namespace: str, name: str, package: str, **spec: Any) -> None:
        spec = {"name": package, "source": "redhat-operators", "sourceNamespace": "openshift-marketplace"} | spec
        self.create("Subscription", namespace, name, spec=spec)


def condition(one: dict[str, Any], kind: str) -> dict[str, Any]:
    found = [c for c in one.get("status", {}).get("conditions", []) if c.get("type") == kind]
    return found[0] if found else {}


def phase(wanted: str) -> Callable[[dict[str, Any]], bool]:
    return lambda one: one.get("status", {}).get("phase") == wanted


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    lab("down")
    lab("up", "--api-only", "--with", "olm,ossm2", "--with", "sail,openshift")
    yield Cluster()
    lab("down")


def test_a_subscription_becomes_an_operator(cluster: Cluster) -> None:
    cluster.subscribe("auto", "kiali-ossm", {})
    found = cluster.until(
        "Subscription", "auto", "kiali-ossm", lambda one: one.get("status", {}).get("state") == "AtLatestKnown"
    )
    assert found["status"]["installedCSV"] == "kiali-operator.v2.22.0"
    cluster.until("ClusterServiceVersion", "auto", "kiali-operator.v2.22.0", phase("Succeeded"))
    plan = cluster.get("InstallPlan", "auto", found["status"]["installPlanRef"]["name"])
    assert plan["status"]["phase"] == "Complete"
    crd = cluster.get("CustomResourceDefinition", "", "kialis.kiali.io")
    assert condition(crd, "Established")["status"] == "True"
    # A settled world is left alone.
    time.sleep(1)
    assert cluster.get("Subscription", "auto", "kiali-ossm") == cluster.until(
        "Subscription", "auto", "kiali-ossm", lambda one: True
    )


def test_manual_approval_waits_and_goes_along_the_channel(cluster: Cluster) -> None:
    cluster.subscribe(
        "manual",
        "servicemeshoperator",
        {},
        channel="stable",
        startingCSV="servicemeshoperator.v2.6.13",
        installPlanApproval="Manual",
    )
    for version in ("v2.6.13", "v2.6.14"):
        csv = f"servicemeshoperator.{version}"
        found = cluster.until(
            "Subscription",
            "manual",
            "servicemeshoperator",
            lambda one, csv=csv: (
                one.get("status", {}).get("currentCSV") == csv
                and condition(one, "InstallPlanPending").get("reason") == "RequiresApproval"
            ),
        )
        assert cluster.get("ClusterServiceVersion", "manual", csv) is None
        plan = found["status"]["installPlanRef"]["name"]
        assert cluster.get("InstallPlan", "manual", plan)["spec"]["clusterServiceVersionNames"] == [csv]
        cluster.patch("InstallPlan", "manual", plan, {"spec": {"approved": True}})
        cluster.until("ClusterServiceVersion", "manual", csv, phase("Succeeded"))
    until = time.monotonic() + 10
    while cluster.get("ClusterServiceVersion", "manual", "servicemeshoperator.v2.6.13"):
        assert time.monotonic() < until, "the version before stays"
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"source": "nobody"}, "no operators found from catalog nobody"),
        ({"channel": "stable-9"}, "no operators found in channel stable-9 of package kiali-ossm"),
        ({"package": "nothing"}, "no operators found in package nothing"),
        ({"package": "jaeger-product"}, "no operators found in package jaeger-product"),
        ({"startingCSV": "kiali-operator.v1"}, "no operators found with name kiali-operator.v1"),
    ],
)
def test_what_cannot_be_resolved_says_why(cluster: Cluster, spec: dict[str, str], message: str) -> None:
    namespace = f"unresolved-{abs(hash(message)) % 10**6}"
    cluster.create("Namespace", "", namespace)
    cluster.subscription(namespace, "one", **({"package": "kiali-ossm"} | spec))
    found = cluster.until("Subscription", namespace, "one", lambda one: condition(one, "ResolutionFailed"))
    assert message in condition(found, "ResolutionFailed")["message"]


@pytest.mark.parametrize(
    ("groups", "reason"),
    [(0, "InstallCheckFailed"), (2, "InstallCheckFailed")],
)
def test_a_namespace_needs_exactly_one_operator_group(cluster: Cluster, groups: int, reason: str) -> None:
    namespace = f"groups-{groups}"
    cluster.create("Namespace", "", namespace)
    for number in range(groups):
        cluster.create("OperatorGroup", namespace, f"group-{number}", spec={})
    cluster.subscription(namespace, "one", "tempo-product")
    found = cluster.until("Subscription", namespace, "one", lambda one: one.get("status", {}).get("installPlanRef"))
    plan = found["status"]["installPlanRef"]["name"]
    found = cluster.until("InstallPlan", namespace, plan, lambda one: condition(one, "Installed"))
    assert condition(found, "Installed")["reason"] == reason
    assert not cluster.get("ClusterServiceVersion", namespace, "tempo-operator.v0.20.0")
    for number in range(max(groups, 1))[1:] or [9]:
        if groups:
            cluster.delete("OperatorGroup", namespace, f"group-{number}")
        else:
            cluster.create("OperatorGroup", namespace, "group", spec={})
    cluster.until("ClusterServiceVersion", namespace, "tempo-operator.v0.20.0", phase("Succeeded"))


def test_an_operator_for_all_namespaces_refuses_a_group_for_one(cluster: Cluster) -> None:
    cluster.subscribe("own", "opentelemetry-product", {"targetNamespaces": ["own"]})
    found = cluster.until("ClusterServiceVersion", "own", "opentelemetry-operator.v0.140.0", phase("Failed"))
    assert found["status"]["reason"] == "UnsupportedOperatorGroup"


def test_a_csv_that_was_left_behind_blocks_the_next_subscription(cluster: Cluster) -> None:
    cluster.subscribe("orphan", "tempo-product", {})
    cluster.until("ClusterServiceVersion", "orphan", "tempo-operator.v0.20.0", phase("Succeeded"))
    cluster.delete("Subscription", "orphan", "tempo-product")
    assert cluster.get("ClusterServiceVersion", "orphan", "tempo-operator.v0.20.0")
    cluster.subscription("orphan", "again", "tempo-product")
    found = cluster.until("Subscription", "orphan", "again", lambda one: condition(one, "ResolutionFailed"))
    assert "exists and is not referenced by a subscription" in condition(found, "ResolutionFailed")["message"]
    cluster.delete("ClusterServiceVersion", "orphan", "tempo-operator.v0.20.0")
    cluster.until("Subscription", "orphan", "again", lambda one: one["status"].get("state") == "AtLatestKnown")


def test_a_subscription_that_lacks_what_it_needs_is_refused(cluster: Cluster) -> None:
    for missing in ("name", "source", "sourceNamespace"):
        spec = {"name": "x", "source": "y", "sourceNamespace": "z"}
        del spec[missing]
        with pytest.raises(ApiError, match=f"spec.{missing}: Required"):
            cluster.create("Subscription", "default", "bad", spec=spec)
    with pytest.raises(ApiError, match="unknown field"):
        cluster.create("OperatorGroup", "default", "bad", spec={"targetNamespace": "x"})


@pytest.fixture(scope="module")
def ossm2(cluster: Cluster) -> Cluster:
    """OSSM 2 installed by OLM."""
    cluster.subscription("openshift-operators", "servicemeshoperator", "servicemeshoperator", channel="stable")
    cluster.until("ClusterServiceVersion", "openshift-operators", "servicemeshoperator.v2.6.14", phase("Succeeded"))
    return cluster


PLAIN = {
    "version": "v2.6",
    "tracing": {"type": "None"},
    "addons": {name: {"enabled": False} for name in ("grafana", "kiali", "prometheus")},
}


def done(one: dict[str, Any]) -> bool:
    """What a role waits for: all three conditions of this very generation."""
    status = one.get("status", {})
    return status.get("observedGeneration") == one["metadata"]["generation"] and all(
        condition(one, kind).get("status") == "True" for kind in ("Installed", "Reconciled", "Ready")
    )


def smcp(cluster: Cluster, namespace: str, **spec: Any) -> None:
    cluster.create("Namespace", "", namespace)
    cluster.create("ServiceMeshControlPlane", namespace, "basic", spec=PLAIN | spec)


def test_a_control_plane_and_its_gateways(ossm2: Cluster) -> None:
    ports = [{"name": "status-port", "port": 15021}, {"name": "tcp-5432", "port": 5432, "targetPort": 5432}]
    service = {
        "type": "LoadBalancer",
        "ports": ports,
        "loadBalancerClass": "ignored.example/class",
        "metadata": {"annotations": {"a/b": "c"}},
    }
    more = {"enabled": True, "service": {"metadata": {"labels": {"istio": "edge"}}}}
    smcp(
        ossm2,
        "cp",
        gateways={
            "ingress": {"service": service},
            "egress": {"enabled": False},
            "additionalIngress": {"edge": more, "off": {}},
        },
    )
    found = ossm2.until("ServiceMeshControlPlane", "cp", "basic", done)
    assert condition(found, "Ready")["reason"] == "ComponentsReady"
    ready = found["status"]["readiness"]["components"]["ready"]
    assert found["status"]["annotations"]["readyComponentCount"] == f"{len(ready)}/{len(ready)}"
    assert {"istio-discovery", "istio-ingress", "edge"} <= set(ready)
    assert not {"istio-egress", "off"} & set(ready)
    front = ossm2.get("Service", "cp", "istio-ingressgateway")
    assert [one["port"] for one in front["spec"]["ports"]] == [15021, 5432]
    assert front["spec"]["type"] == "LoadBalancer"
    assert "loadBalancerClass" not in front["spec"]
    assert front["metadata"]["annotations"]["a/b"] == "c"
    assert front["spec"]["selector"] == {"app": "istio-ingressgateway", "istio": "ingressgateway"}
    edge = ossm2.get("Deployment", "cp", "edge")
    assert edge["spec"]["selector"]["matchLabels"] == {"app": "edge", "istio": "edge"}
    env = edge["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "ISTIO_META_UNPRIVILEGED_POD", "value": "true"} in env
    assert [one["port"] for one in ossm2.get("Service", "cp", "edge")["spec"]["ports"]] == [15021, 80, 443]
    # A port added by hand lives until the next render of `ports`, and no longer.
    ossm2.patch("Service", "cp", "istio-ingressgateway", {"spec": {"ports": [*ports, {"name": "mine", "port": 9}]}})
    ossm2.patch("ServiceMeshControlPlane", "cp", "basic", {"spec": {"general": {"validationMessages": True}}})
    ossm2.until("ServiceMeshControlPlane", "cp", "basic", done)
    assert 9 in [one["port"] for one in ossm2.get("Service", "cp", "istio-ingressgateway")["spec"]["ports"]]
    ports = [*ports, {"name": "tcp-5433", "port": 5433}]
    patch = {"spec": {"gateways": {"ingress": {"service": {"ports": ports}}}}}
    ossm2.patch("ServiceMeshControlPlane", "cp", "basic", patch)
    ossm2.until("ServiceMeshControlPlane", "cp", "basic", done)
    held = ossm2.get("Service", "cp", "istio-ingressgateway")["spec"]["ports"]
    assert [one["port"] for one in held] == [15021, 5432, 5433]
    # A gateway that is asked for no more goes.
    patch = {"spec": {"gateways": {"additionalIngress": {"edge": {"enabled": False}}}}}
    ossm2.patch("ServiceMeshControlPlane", "cp", "basic", patch)
    ossm2.until("ServiceMeshControlPlane", "cp", "basic", done)
    assert ossm2.get("Service", "cp", "edge") is None


def test_members(ossm2: Cluster) -> None:
    smcp(ossm2, "mesh-a")
    for name in ("app-a", "app-b"):
        ossm2.create("Namespace", "", name)
    spec = {"members": ["app-a", "later", "kube-system", "mesh-a"]}
    ossm2.create("ServiceMeshMemberRoll", "mesh-a", "default", spec=spec)
    found = ossm2.until(
        "ServiceMeshMemberRoll",
        "mesh-a",
        "default",
        lambda one: one.get("status", {}).get("configuredMembers") == ["app-a"],
    )
    assert found["status"]["pendingMembers"] == ["later"]
    states = {one["namespace"]: one["conditions"][0] for one in found["status"]["memberStatuses"]}
    assert states["later"]["reason"] == "NamespaceNotExists"
    assert ossm2.get("Namespace", "", "app-a")["metadata"]["labels"]["maistra.io/member-of"] == "mesh-a"
    assert ossm2.get("NetworkPolicy", "app-a", "istio-mesh-basic")
    ossm2.create("Namespace", "", "later")
    reference = {"controlPlaneRef": {"name": "basic", "namespace": "mesh-a"}}
    ossm2.create("ServiceMeshMember", "app-b", "default", spec=reference)
    found = ossm2.until(
        "ServiceMeshMemberRoll",
        "mesh-a",
        "default",
        lambda one: one["status"].get("configuredMembers") == ["app-a", "app-b", "later"],
    )
    assert condition(found, "Ready")["reason"] == "Configured"
    ossm2.until("ServiceMeshMember", "app-b", "default", lambda one: condition(one, "Ready").get("status") == "True")
    # One namespace, one mesh: the second roll is told so.
    smcp(ossm2, "mesh-b")
    ossm2.create("ServiceMeshMemberRoll", "mesh-b", "default", spec={"members": ["app-a"]})
    found = ossm2.until(
        "ServiceMeshMemberRoll", "mesh-b", "default", lambda one: one.get("status", {}).get("memberStatuses")
    )
    assert found["status"]["memberStatuses"][0]["conditions"][0]["reason"] in (
        "ReferencesDifferentControlPlane",
        "SMCPReconciling",
    )
    # Out of the roll, out of the mesh.
    ossm2.patch("ServiceMeshMemberRoll", "mesh-a", "default", {"spec": {"members": ["later"]}})
    ossm2.until("Namespace", "", "app-a", lambda one: one["metadata"]["labels"].get("maistra.io/member-of") == "mesh-b")


def test_what_the_webhook_refuses(ossm2: Cluster) -> None:
    ossm2.create("Namespace", "", "refused")
    with pytest.raises(ApiError, match=r"must be one of: v2\.4, v2\.5, v2\.6"):
        ossm2.create("ServiceMeshControlPlane", "refused", "basic", spec=PLAIN | {"version": "v2.1"})
    with pytest.raises(ApiError, match="unknown field"):
        ossm2.create("ServiceMeshControlPlane", "refused", "basic", spec=PLAIN | {"gateway": {}})
    old = {
        "apiVersion": "maistra.io/v1",
        "kind": "ServiceMeshControlPlane",
        "metadata": {"name": "basic"},
        "spec": {"version": "v2.6", "istio": {"gateways": {}}},
    }
    path = "/apis/maistra.io/v1/namespaces/refused/servicemeshcontrolplanes"
    with pytest.raises(ApiError, match=r"use maistra\.io/v2"):
        ossm2.api.request("POST", path, old)
    with pytest.raises(ApiError, match=r"controlPlaneRef\.namespace: Required"):
        ossm2.create("ServiceMeshMember", "refused", "default", spec={"controlPlaneRef": {"name": "basic"}})


def test_a_second_control_plane_and_a_missing_dependency(ossm2: Cluster) -> None:
    smcp(ossm2, "twice", tracing={"type": "Jaeger"})

    def reason(wanted: str) -> Callable[[dict[str, Any]], bool]:
        return lambda one: condition(one, "Reconciled").get("reason") == wanted

    ossm2.until("ServiceMeshControlPlane", "twice", "basic", reason("DependencyMissingError"))
    time.sleep(1)  # the age that decides has seconds
    ossm2.create("ServiceMeshControlPlane", "twice", "second", spec=PLAIN)
    ossm2.until("ServiceMeshControlPlane", "twice", "second", reason("ErrMultipleSMCPs"))


def test_the_switches_of_ossm2(ossm2: Cluster) -> None:
    ossm2.switch(ossm2__reconcile_error="faulty-mesh/: ReconcileError: no such image", ossm2__silent="quiet-mesh/")
    smcp(ossm2, "faulty-mesh")
    smcp(ossm2, "quiet-mesh")
    name = ("ServiceMeshControlPlane", "faulty-mesh", "basic")
    ossm2.until(*name, lambda one: condition(one, "Reconciled").get("message") == "no such image")
    ossm2.switch(ossm2__reconcile_error=None, ossm2__never_ready="faulty-mesh/basic")
    found = ossm2.until(*name, lambda one: condition(one, "Ready").get("reason") == "ComponentsNotReady")
    assert condition(found, "Reconciled")["status"] == "True"
    ossm2.switch(ossm2__never_ready=None, ossm2__components_not_ready="faulty-mesh/: istio-egress")
    ossm2.until(*name, lambda one: one["status"]["readiness"]["components"]["unready"] == ["istio-egress"])
    ossm2.switch(ossm2__components_not_ready=None, ossm2__member_refused="faulty-app: ReconcileError: not allowed")
    ossm2.until(*name, done)
    ossm2.create("Namespace", "", "faulty-app")
    ossm2.create("ServiceMeshMemberRoll", "faulty-mesh", "default", spec={"members": ["faulty-app"]})

    def told(one: dict[str, Any]) -> bool:
        summaries = one.get("status", {}).get("memberStatuses") or []
        return any(c.get("message") == "not allowed" for each in summaries for c in each["conditions"])

    ossm2.until("ServiceMeshMemberRoll", "faulty-mesh", "default", told)
    assert "status" not in ossm2.get("ServiceMeshControlPlane", "quiet-mesh", "basic")
    ossm2.switch(ossm2__member_refused=None, ossm2__silent=None)
    ossm2.until("ServiceMeshControlPlane", "quiet-mesh", "basic", done)


@pytest.fixture(scope="module")
def sail(cluster: Cluster) -> Cluster:
    """OSSM 3 installed by OLM, as OpenShift's console does."""
    cluster.subscription("openshift-operators", "ossm3", "servicemeshoperator3", channel="stable")
    cluster.until("ClusterServiceVersion", "openshift-operators", "servicemeshoperator3.v3.4.1", phase("Succeeded"))
    for namespace in ("istio-system", "istio-cni"):
        cluster.create("Namespace", "", namespace)
    return cluster


def state(wanted: str) -> Callable[[dict[str, Any]], bool]:
    """What a role waits for: a state of this very generation."""
    return lambda one: (
        one.get("status", {}).get("state") == wanted
        and one["status"]["observedGeneration"] == one["metadata"]["generation"]
    )


def test_istio_in_place_and_by_revision(sail: Cluster) -> None:
    sail.create("Istio", "", "default", spec={"version": "v1.28-latest"})
    # OpenShift's profile needs the CNI.
    found = sail.until("Istio", "", "default", state("IstioCNINotFound"))
    assert condition(found, "DependenciesHealthy")["status"] == "False"
    sail.create("IstioCNI", "", "default", spec={"namespace": "istio-cni"})
    found = sail.until("Istio", "", "default", state("Healthy"))
    assert found["status"]["activeRevisionName"] == "default"
    assert sail.get("IstioRevision", "", "default")["spec"]["version"] == "v1.28.10"
    sail.patch("Istio", "", "default", {"spec": {"version": "v1.30.3"}})
    sail.until("Istio", "", "default", state("Healthy"))
    assert sail.get("IstioRevision", "", "default")["spec"]["version"] == "v1.30.3"
    strategy = {"type": "RevisionBased", "inactiveRevisionDeletionGracePeriodSeconds": 1}
    sail.create("Istio", "", "blue", spec={"version": "v1.28.10", "updateStrategy": strategy})
    sail.until("Istio", "", "blue", state("Healthy"))
    sail.create("Namespace", "", "uses-blue")
    sail.patch("Namespace", "", "uses-blue", {"metadata": {"labels": {"istio.io/rev": "blue-v1-28-10"}}})
    sail.until("IstioRevision", "", "blue-v1-28-10", lambda one: condition(one, "InUse")["status"] == "True")
    sail.patch("Istio", "", "blue", {"spec": {"version": "v1.30.3"}})
    found = sail.until("Istio", "", "blue", lambda one: one["status"].get("activeRevisionName") == "blue-v1-30-3")
    time.sleep(2)
    assert sail.get("IstioRevision", "", "blue-v1-28-10"), "a revision in use was removed"
    sail.create("IstioRevisionTag", "", "prod", spec={"targetRef": {"kind": "Istio", "name": "blue"}})
    found = sail.until("IstioRevisionTag", "", "prod", state("Healthy"))
    assert found["status"]["istioRevision"] == "blue-v1-30-3"
    sail.patch("Namespace", "", "uses-blue", {"metadata": {"labels": {"istio.io/rev": "prod"}}})
    sail.until("Istio", "", "blue", lambda one: one["status"]["revisions"] == {"total": 1, "ready": 1, "inUse": 1})
    assert sail.get("IstioRevision", "", "blue-v1-28-10") is None


def test_what_sail_refuses(sail: Cluster) -> None:
    with pytest.raises(ApiError, match="must be 'default'"):
        sail.create("IstioCNI", "", "other", spec={})
    with pytest.raises(ApiError, match="Unsupported value"):
        sail.create("Istio", "", "bad", spec={"updateStrategy": {"type": "Sideways"}})
    with pytest.raises(ApiError, match=r"targetRef\.kind: Required"):
        sail.create("IstioRevisionTag", "", "bad", spec={"targetRef": {"name": "default"}})
    sail.create("Istio", "", "lost", spec={"namespace": "nowhere"})
    found = sail.until("Istio", "", "lost", state("ReconcileError"))
    assert condition(found, "Reconciled")["message"] == 'namespace "nowhere" does not exist'
    sail.create("Istio", "", "odd", spec={"version": "v9.9.9"})
    found = sail.until("Istio", "", "odd", state("ReconcileError"))
    assert "version v9.9.9 not found" in condition(found, "Reconciled")["message"]
    with pytest.raises(ApiError, match="immutable"):
        sail.patch("Istio", "", "odd", {"spec": {"namespace": "elsewhere"}})


def test_the_switches_of_sail(sail: Cluster) -> None:
    sail.switch(sail__cni_not_ready="default", sail__reconcile_error="faulty: ReconcileError: no image")
    sail.until("IstioCNI", "", "default", state("DaemonSetNotReady"))
    sail.create("Istio", "", "faulty", spec={"values": {"pilot": {"cni": {"enabled": False}}}})
    found = sail.until("Istio", "", "faulty", state("ReconcileError"))
    assert condition(found, "Reconciled")["message"] == "no image"
    sail.switch(sail__cni_not_ready=None, sail__reconcile_error=None, sail__never_healthy="faulty")
    sail.until("Istio", "", "faulty", state("IstiodNotReady"))
    sail.switch(sail__never_healthy=None)
    sail.until("Istio", "", "faulty", state("Healthy"))
    sail.delete("Istio", "", "faulty")
    until = time.monotonic() + 10
    while sail.get("IstioRevision", "", "faulty"):
        assert time.monotonic() < until, "the revision of a deleted Istio stays"
        time.sleep(0.1)


def test_openshift(cluster: Cluster) -> None:
    cluster.until("ClusterVersion", "", "version", lambda one: one["status"]["desired"]["version"] == "4.18.22")
    cluster.switch(openshift__operator_degraded="authentication: OAuthDown: no route")
    found = cluster.until(
        "ClusterOperator", "", "authentication", lambda one: condition(one, "Degraded").get("status") == "True"
    )
    assert condition(found, "Degraded")["message"] == "no route"
    cluster.switch(openshift__operator_degraded=None)
    cluster.create("Namespace", "", "project")
    cluster.until(
        "Namespace",
        "",
        "project",
        lambda one: "openshift.io/sa.scc.uid-range" in one["metadata"].get("annotations", {}),
    )
    cluster.create("Route", "project", "web", spec={"to": {"kind": "Service", "name": "web"}})
    found = cluster.until("Route", "project", "web", lambda one: one.get("status"))
    assert found["spec"]["host"] == "web-project.apps.lab.test"
    assert condition({"status": found["status"]["ingress"][0]}, "Admitted")["status"] == "True"


def test_the_switches_of_olm(cluster: Cluster) -> None:
    cluster.switch(olm__csv_fails="faulty/kiali-ossm: InstallComponentFailed: quota exceeded")
    cluster.subscribe("faulty", "kiali-ossm", {})
    csv = "kiali-operator.v2.22.0"
    found = cluster.until("ClusterServiceVersion", "faulty", csv, phase("Failed"))
    assert (found["status"]["reason"], found["status"]["message"]) == ("InstallComponentFailed", "quota exceeded")
    cluster.switch(olm__csv_fails=None, olm__csv_hangs="faulty/")
    found = cluster.until("ClusterServiceVersion", "faulty", csv, phase("Installing"))
    cluster.until("ClusterServiceVersion", "faulty", csv, lambda one: one["status"]["reason"] == "InstallWaiting")
    cluster.switch(olm__csv_hangs=None, olm__catalog_down="redhat-operators")
    cluster.until("ClusterServiceVersion", "faulty", csv, phase("Succeeded"))
    found = cluster.until("Subscription", "faulty", "kiali-ossm", lambda one: condition(one, "ResolutionFailed"))
    assert condition(found, "ResolutionFailed")["reason"] == "ErrorPreventedResolution"
    cluster.switch(olm__catalog_down=None, olm__installplan_fails="tempo-product: InstallComponentFailed: no room")
    cluster.subscription("faulty", "tempo", "tempo-product")
    found = cluster.until("Subscription", "faulty", "tempo", lambda one: condition(one, "InstallPlanFailed"))
    assert condition(found, "InstallPlanFailed")["message"] == "no room"
    cluster.switch(olm__installplan_fails=None, olm__never_resolves="quiet")
    cluster.subscription("faulty", "quiet", "opentelemetry-product")
    time.sleep(1)
    assert "status" not in cluster.get("Subscription", "faulty", "quiet")
    cluster.switch(olm__never_resolves=None)
    cluster.until("Subscription", "faulty", "quiet", lambda one: one.get("status", {}).get("installedCSV"))


def test_istio_v1_is_not_served_and_the_rest_is(ossm2: Cluster) -> None:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    versions = [{"name": name, "served": True, "storage": name == "v1", "schema": schema} for name in ("v1", "v1beta1")]
    spec = {
        "group": "networking.istio.io",
        "scope": "Namespaced",
        "names": {"kind": "Gateway", "plural": "gateways"},
        "versions": versions,
    }
    ossm2.create("CustomResourceDefinition", "", "gateways.networking.istio.io", spec=spec)
    ossm2.until(
        "CustomResourceDefinition",
        "",
        "gateways.networking.istio.io",
        lambda one: condition(one, "Established").get("status") == "True",
    )
    paths = lab_paths(NAME)
    direct = Api(str(paths.direct_kubeconfig))
    group = "/apis/networking.istio.io"
    until = time.monotonic() + 20
    while "v1" not in [one["version"] for one in direct.request("GET", group)["versions"]]:
        assert time.monotonic() < until
        time.sleep(0.2)
    assert direct.request("GET", f"{group}/v1/gateways")["items"] == []
    limited = Api(str(paths.tcp_kubeconfig))
    for api in (ossm2.api, limited):
        served = api.request("GET", group)
        assert [one["version"] for one in served["versions"]] == ["v1beta1"]
        assert served["preferredVersion"]["version"] == "v1beta1"
        groups = {one["name"]: one for one in api.request("GET", "/apis")["groups"]}
        assert [one["version"] for one in groups["networking.istio.io"]["versions"]] == ["v1beta1"]
        assert "v1" in [one["version"] for one in groups["apps"]["versions"]]
        for path in (f"{group}/v1", f"{group}/v1/namespaces/default/gateways"):
            with pytest.raises(ApiError, match="404"):
                api.request("GET", path)
        assert api.request("GET", f"{group}/v1beta1/gateways")["items"] == []
    # Everybody keeps the rights that they have.
    with pytest.raises(ApiError, match="403"):
        limited.request("GET", "/api/v1/nodes/none")
    shown = lab("exec", "--", "kubectl", "api-resources", "--api-group=networking.istio.io", "--no-headers")
    assert "networking.istio.io/v1beta1" in shown
    assert "networking.istio.io/v1 " not in shown


def test_a_killed_stand_in_is_mended(cluster: Cluster) -> None:
    paths = lab_paths(NAME)
    lab("status")
    procfs.end(procfs.with_arguments(f"--lab={paths.state_dir}"))
    lab("status", code=3)
    lab("up", "--api-only")
    lab("status")
    assert Api(str(paths.kubeconfig)).request("GET", "/api/v1/namespaces")["items"]
    assert "create OperatorGroup openshift-operators/global-operators" in lab("logs", "standin-olm", "--lines", "9999")


def test_the_stand_ins_end_without_the_lab(cluster: Cluster) -> None:
    paths = lab_paths(NAME)
    lab("up", "--api-only", "--with", "none")
    assert not procfs.with_arguments(f"--lab={paths.state_dir}")
    assert paths.direct_kubeconfig == paths.kubeconfig
    for kubeconfig in (paths.kubeconfig, paths.tcp_kubeconfig):
        Api(str(kubeconfig)).request("GET", "/apis/networking.istio.io/v1/gateways")
    lab("status")
