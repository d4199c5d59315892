# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-ins' pure parts: a world in, writes out."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kindlab import standins as process
from kindlab.console import LabError
from standins import catalogue, lastapplied, olm, ossm2, ossm2_gateways, ossm2_members, proxy, sail
from standins.crds import definitions
from standins.kinds import KINDS
from standins.switches import Fault, Switches
from standins.world import Create, Delete, Object, Patch, Render, Status, World, Write, index, ref

FOLDER = Path(olm.__file__).parent


def one(kind: str, namespace: str, name: str, **rest: Any) -> Object:
    metadata = {"name": name, "uid": f"uid-{namespace}-{name}", "generation": 1, "creationTimestamp": f"2026 {name}"}
    metadata |= {"namespace": namespace} if namespace else {}
    metadata |= rest.pop("metadata", {})
    return {"apiVersion": KINDS[kind].api_version, "kind": kind, "metadata": metadata, **rest}


def established(*names: str) -> list[Object]:
    status = {"conditions": [{"type": "Established", "status": "True"}]}
    return [one("CustomResourceDefinition", "", name, status=status) for name in names]


def world(*objects: Object, parts: str = "", **data: str) -> World:
    switches = {key.replace("__", ".").replace("_", "-"): value for key, value in data.items()}
    held = one("ConfigMap", "kube-system", "standins", data=switches)
    crds = established(*definitions())
    found = {kind: {} for kind in KINDS} | index([held, *crds, *objects])
    return World(found, datetime(2026, 11, 21, tzinfo=UTC), frozenset(parts.split(",")))


def settle(reconcile: Callable[[World], Iterator[Write]], here: World, rounds: int = 40) -> World:
    """Let a stand-in act on a world in memory, until it has nothing more to write."""
    for _ in range(rounds):
        before = repr(here.objects)
        for write in reconcile(here):
            _do(here, write)
        if repr(here.objects) == before:
            return here
    raise AssertionError("it never settles")


def _do(here: World, write: Write) -> None:
    match write:
        case Create(new):
            generated = {"uid": f"uid-{'-'.join(ref(new))}", "generation": 1, "creationTimestamp": "2026"}
            held = new | {"metadata": generated | new["metadata"]}
            here.objects.setdefault(new["kind"], {}).setdefault(ref(new), held)
        case Status(old, status):
            if held := here.get(old["kind"], *ref(old)):
                here.objects[old["kind"]][ref(old)] = held | {"status": status}
        case Patch(kind, namespace, name, patch):
            here.objects[kind][namespace, name] = merge(here.objects[kind][namespace, name], patch)
        case Delete(kind, namespace, name):
            here.objects[kind].pop((namespace, name), None)


def merge(old: Object, patch: Object) -> Object:
    """JSON merge patch, as the API server does it."""
    result = dict(old)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key) or {}, value) if isinstance(value, dict) else value
    return result


def conditions(found: Object | None) -> dict[str, tuple[str, str]]:
    assert found is not None
    return {c["type"]: (c["status"], c.get("reason", "")) for c in found["status"]["conditions"]}


def test_nothing_of_the_collection_is_imported() -> None:
    for file in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in getattr(node, "names", [])] + [getattr(node, "module", "") or ""]
            assert not [name for name in names if name.startswith("ansible")], file.name


# switches, kinds, the process


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("true", Fault()),
        ("*: Why: because: of this", Fault("Why", "because: of this")),
        ("other, ns/name: Why", Fault("Why")),
        ("ns/", Fault()),
        ("other\nname: Second", Fault("Second")),
        ("other", None),
        ("ns", None),
        ("ns/other", None),
        ("", None),
    ],
)
def test_a_switch_means_whom_it_names(value: str, fault: Fault | None) -> None:
    assert Switches({"a.b": value}).on("a.b", "ns", "name") == fault


def test_every_custom_kind_has_a_strict_schema() -> None:
    for kind in KINDS.values():
        if kind.crd:
            versions = definitions()[kind.crd]["spec"]["versions"]
            (version,) = [each for each in versions if each["name"] == kind.api_version.rpartition("/")[2]]
            spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
            assert not spec.get("x-kubernetes-preserve-unknown-fields"), kind.kind


def test_what_runs_is_what_was_asked_for_now_and_before() -> None:
    assert process.wanted(["sail,olm"], "") == "olm,sail"
    assert process.wanted(["openshift"], "olm") == "olm,openshift"
    assert process.wanted([], "olm") == "olm"
    assert process.wanted(["none"], "olm,sail") == ""
    assert process.wanted(["none,sail"], "olm") == "sail"
    with pytest.raises(LabError, match="--with istio: there is no such part"):
        process.wanted(["olm,istio"], "")


# OLM


def subscription(name: str, package: str, **spec: str) -> Object:
    source = {"source": "redhat-operators", "sourceNamespace": "openshift-marketplace"}
    return one("Subscription", "ops", name, spec={"name": package} | source | spec)


def group(name: str = "group", **spec: Any) -> Object:
    return one("OperatorGroup", "ops", name, spec=spec)


def test_one_plan_carries_a_namespace_and_the_strictest_approval() -> None:
    here = world(
        group(),
        subscription("a", "kiali-ossm"),
        subscription("b", "servicemeshoperator", installPlanApproval="Manual"),
    )
    settle(olm.reconcile, here)
    (plan,) = here.all("InstallPlan", "ops")
    assert plan["spec"]["clusterServiceVersionNames"] == ["kiali-operator.v2.22.0", "servicemeshoperator.v2.6.14"]
    assert (plan["spec"]["approval"], plan["status"]["phase"]) == ("Manual", "RequiresApproval")
    assert here.all("ClusterServiceVersion") == []


def test_one_that_cannot_be_resolved_holds_up_its_neighbours() -> None:
    here = settle(olm.reconcile, world(group(), subscription("a", "kiali-ossm"), subscription("b", "nothing")))
    assert here.all("InstallPlan", "ops") == []
    for name in "ab":
        held = conditions(here.get("Subscription", "ops", name))
        assert held["ResolutionFailed"] == ("True", "ConstraintsNotSatisfiable")


def test_updates_go_along_the_channel_to_its_head() -> None:
    here = world(group(), subscription("a", "servicemeshoperator3", startingCSV="servicemeshoperator3.v3.1.11"))
    settle(olm.reconcile, here)
    assert [csv["metadata"]["name"] for csv in here.all("ClusterServiceVersion", "ops")] == [
        "servicemeshoperator3.v3.4.1"
    ]
    assert len(here.all("InstallPlan", "ops")) == 4


def test_a_csv_that_somebody_deleted_stays_away() -> None:
    here = settle(olm.reconcile, world(group(), subscription("a", "kiali-ossm"), parts="olm"))
    assert olm.operator(here, "kiali-ossm") == "kiali-operator.v2.22.0"
    del here.objects["ClusterServiceVersion"]["ops", "kiali-operator.v2.22.0"]
    settle(olm.reconcile, here)
    assert olm.operator(here, "kiali-ossm") is None
    assert here.established("kialis.kiali.io")


@pytest.mark.parametrize(
    ("groups", "reason"),
    [
        ([], "NoOperatorGroup"),
        ([group("a"), group("b")], "TooManyOperatorGroups"),
        ([group(targetNamespaces=["ops"])], "UnsupportedOperatorGroup"),
    ],
)
def test_a_csv_fails_for_its_operator_group(groups: list[Object], reason: str) -> None:
    package = catalogue.PACKAGES["kiali-ossm"]
    csv = one(
        "ClusterServiceVersion",
        "ops",
        "kiali-operator.v2.22.0",
        spec=olm._csv("ops", package, package.channels["stable"][0])["spec"],
    )
    here = settle(olm.reconcile, world(*groups, csv))
    status = here.all("ClusterServiceVersion", "ops")[0]["status"]
    assert (status["phase"], status["reason"]) == ("Failed", reason)


# OSSM 2


def smcp(name: str = "basic", namespace: str = "cp", **spec: Any) -> Object:
    off = {each: {"enabled": False} for each in ("kiali", "grafana", "prometheus")}
    plain = {"version": "v2.6", "tracing": {"type": "None"}, "addons": off}
    return one("ServiceMeshControlPlane", namespace, name, spec=plain | spec)


def service(made: Object) -> Object:
    (found,) = [each for each in ossm2_gateways.render(made, "basic") if each["kind"] == "Service"]
    return found


def ingress(**config: Any) -> Object:
    return smcp(gateways={"ingress": config, "egress": {"enabled": False}})


def test_ports_replace_the_defaults_and_the_rest_is_ignored() -> None:
    assert [each["port"] for each in service(ingress())["spec"]["ports"]] == [15021, 80, 443]
    ports = [{"port": 5432, "name": "a", "appProtocol": "tcp"}]
    ignored = {"loadBalancerClass": "x", "selector": {"a": "b"}, "sessionAffinity": "ClientIP", "ipFamilies": ["IPv4"]}
    honoured = {
        "type": "LoadBalancer",
        "loadBalancerIP": "10.0.0.1",
        "loadBalancerSourceRanges": ["10.0.0.0/8"],
        "externalTrafficPolicy": "Local",
    }
    found = service(ingress(service={"ports": ports} | ignored | honoured))
    assert found["spec"] == honoured | {
        "ports": ports,
        "selector": {"app": "istio-ingressgateway", "istio": "ingressgateway"},
    }


def test_additional_gateways_must_be_on_and_share_the_label_unless_told() -> None:
    more = {
        "edge": {"enabled": True, "namespace": "other"},
        "own": {"enabled": True, "service": {"metadata": {"labels": {"istio": "own"}}}},
        "off": {},
        "istio-egressgateway": {"enabled": True},
    }
    found = {
        each.name: each
        for each in ossm2_gateways.gateways(smcp(gateways={"egress": {"enabled": False}, "additionalIngress": more}))
    }
    assert set(found) == {"istio-ingressgateway", "edge", "own"}
    assert found["edge"].labels == {"app": "edge", "istio": "ingressgateway"}
    assert found["edge"].namespace == "other"
    assert found["own"].labels == {"app": "own", "istio": "own"}
    assert ossm2_gateways.gateways(smcp(gateways={"enabled": False})) == []


def test_a_merge_patch_touches_only_what_was_rendered_anew() -> None:
    old, hand = [{"port": 1}], [{"port": 1}, {"port": 9}]
    last = {"spec": {"ports": old, "type": "ClusterIP", "loadBalancerIP": "x"}}
    same = {"spec": {"ports": old, "type": "LoadBalancer"}}
    patch = lastapplied.difference(last, same)
    assert patch == {"spec": {"type": "LoadBalancer", "loadBalancerIP": None}}
    assert merge({"spec": {"ports": hand, "clusterIP": "z"}}, patch)["spec"]["ports"] == hand
    changed = lastapplied.difference(last, {"spec": last["spec"] | {"ports": [{"port": 2}]}})
    assert merge({"spec": {"ports": hand}}, changed)["spec"]["ports"] == [{"port": 2}]
    assert lastapplied.difference(last, last) == {}


def namespace(name: str, **labels: str) -> Object:
    return one("Namespace", "", name, metadata={"labels": labels})


def roll(namespace: str = "cp", **spec: Any) -> Object:
    return one("ServiceMeshMemberRoll", namespace, "default", spec=spec)


def test_a_mesh_never_selects_itself_or_the_platform() -> None:
    names = ("cp", "app", "kube-public", "openshift", "openshift-x", "ibm-x", "kubeish")
    here = world(*map(namespace, names))
    assert ossm2_members.selected(here, roll(members=["*"])) == ["app", "kubeish"]
    assert ossm2_members.selected(here, roll(members=["missing", "kube", "cp"])) == ["missing"]
    here = world(namespace("a", team="x"), namespace("b", team="y"), namespace("c"))
    chosen = [{"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["y"]}]}]
    assert ossm2_members.selected(here, roll(memberSelectors=chosen)) == ["a", "c"]


def test_a_namespace_is_in_one_mesh_at_most() -> None:
    here = world(
        *map(namespace, ("cp", "cp2", "app")),
        smcp(),
        smcp(namespace="cp2"),
        roll(members=["app", "later"]),
        parts="ossm2",
    )
    settle(ossm2.reconcile, here)
    here.objects["ServiceMeshMemberRoll"]["cp2", "default"] = roll("cp2", members=["app"])
    settle(ossm2.reconcile, here)
    first, second = (here.get("ServiceMeshMemberRoll", each, "default")["status"] for each in ("cp", "cp2"))
    assert (first["configuredMembers"], first["pendingMembers"]) == (["app"], ["later"])
    assert second["configuredMembers"] == []
    assert second["memberStatuses"][0]["conditions"][0]["reason"] == "ReferencesDifferentControlPlane"
    assert here.get("Namespace", "", "app")["metadata"]["labels"] == {"maistra.io/member-of": "cp"}


def test_leaving_a_mesh_leaves_nothing() -> None:
    here = world(*map(namespace, ("cp", "app")), smcp(), roll(members=["app"]), parts="ossm2")
    settle(ossm2.reconcile, here)
    assert here.all("NetworkPolicy", "app")
    here.objects["ServiceMeshMemberRoll"]["cp", "default"]["spec"] = {"members": []}
    settle(ossm2.reconcile, here)
    assert here.all("NetworkPolicy", "app") + here.all("ServiceMeshMember", "app") == []
    assert here.get("Namespace", "", "app")["metadata"]["labels"] == {}
    del here.objects["ServiceMeshControlPlane"]["cp", "basic"]
    settle(ossm2.reconcile, here)
    assert here.all("Deployment") + here.all("Service") + here.all("NetworkPolicy") == []


@pytest.mark.parametrize(
    ("spec", "missing", "reason"),
    [
        ({"tracing": {"type": "Jaeger"}}, "jaegers.jaegertracing.io", "DependencyMissingError"),
        ({"addons": {}}, "kialis.kiali.io", "DependencyMissingError"),
        ({}, "kialis.kiali.io", "InstallSuccessful"),
    ],
)
def test_a_dependency_is_missed_only_where_it_is_wanted(spec: Object, missing: str, reason: str) -> None:
    here = world(namespace("cp"), smcp(**spec), parts="ossm2")
    del here.objects["CustomResourceDefinition"]["", missing]
    found = settle(ossm2.reconcile, here).get("ServiceMeshControlPlane", "cp", "basic")
    assert conditions(found)["Reconciled"][1] == reason


def test_with_pods_the_gateways_wait_for_istiod() -> None:
    here = world(namespace("cp"), smcp(), parts="ossm2")
    here.pods = True
    settle(ossm2.reconcile, here)
    assert conditions(here.get("ServiceMeshControlPlane", "cp", "basic"))["Reconciled"][1] == "PausingInstall"
    assert here.all("Deployment") == []
    assert any(isinstance(write, Render) and write.key == "smcp-cp-basic" for write in ossm2.reconcile(here))


def test_nothing_acts_while_its_operator_is_not_installed() -> None:
    here = world(namespace("cp"), smcp(), parts="olm,ossm2,sail")
    assert list(ossm2.reconcile(here)) + list(sail.reconcile(here)) == []


# Sail


@pytest.mark.parametrize(
    ("asked", "version"),
    [("", "v1.30.3"), ("v1.28-latest", "v1.28.10"), ("v1.28.10", "v1.28.10"), ("v1.2-latest", ""), ("v9", "")],
)
def test_versions_are_those_of_the_operator(asked: str, version: str) -> None:
    assert sail.resolve(asked, catalogue.istio_versions("servicemeshoperator3.v3.4.1")) == version


def test_an_operator_knows_no_later_istio_than_its_own() -> None:
    assert catalogue.istio_versions("servicemeshoperator3.v3.0.14") == ("v1.24.6",)


# the proxy


@pytest.mark.parametrize(
    ("path", "gone"),
    [
        ("/apis/networking.istio.io/v1", True),
        ("/apis/networking.istio.io/v1/gateways?watch=1", True),
        ("/openapi/v3/apis/security.istio.io/v1?hash=x", True),
        ("/apis/networking.istio.io/v1beta1/gateways", False),
        ("/apis/networking.istio.io", False),
        ("/apis/apps/v1", False),
    ],
)
def test_the_proxy_hides_one_version(path: str, gone: bool) -> None:
    assert proxy.hidden(path) is gone


def test_aggregated_discovery_is_filtered_too() -> None:
    versions = [{"version": "v1"}, {"version": "v1beta1"}]
    items = [{"metadata": {"name": name}, "versions": versions} for name in ("networking.istio.io", "apps")]
    found = proxy.filtered({"kind": "APIGroupDiscoveryList", "items": items})["items"]
    assert [each["versions"] for each in found] == [versions[1:], versions]
