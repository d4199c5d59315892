# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control planes on a cluster in memory: read, plan, apply, and what is refused before anything is written."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _apply
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import errors
from ansible_collections.servicemesh.tcp.plugins.module_utils._onboarding import onboarding_plan
from ansible_collections.servicemesh.tcp.plugins.module_utils._planes import plane_plan
from ansible_collections.servicemesh.tcp.plugins.module_utils._read import read
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import complete
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import step_lines
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi

SMCP = {"provider": "ossm2", "namespace": "mesh", "namespace_state": "present"}
SAIL = {"provider": "sail", "namespace": "istio-system", "namespace_state": "present"}
OURS = {"app.kubernetes.io/managed-by": "servicemesh.tcp"}


def cluster() -> FakeApi:
    api = FakeApi(istio=False)
    api.served = ["maistra.io/v2", "sailoperator.io/v1"]
    return api


def plan(api: FakeApi, wanted, **arguments):
    return plane_plan(wanted, read(api, ["mesh", "planes"]), **arguments)


def run(api: FakeApi, wanted, **arguments) -> list[str]:
    """Plan and write; return what changed."""
    planned = plan(api, wanted, **arguments)
    assert planned["findings"] == []
    written = []
    for phase in ("steps", "after"):
        changes = _apply.plan(api, [complete(step) for step in planned[phase]], lenient=False)
        written += [f"{change.action} {change.name}" for change in _apply.write(api, changes)]
    return written


def codes(planned) -> list[str]:
    return [item["code"] for item in planned["findings"]]


def smcp_spec(api: FakeApi, name="basic"):
    return api.object("ServiceMeshControlPlane", name, "mesh")["spec"]


def istiod(name: str, namespace: str, revision: str, **labels: str):
    template = {"spec": {"containers": [{"image": "hub/pilot:1.30.3"}]}}
    found = new_object("Deployment", name, namespace, {"app": "istiod", "istio.io/rev": revision, **labels})
    return {**found, "spec": {"template": template}}


@pytest.mark.parametrize(
    ("wanted", "made"),
    [
        (SMCP, ["create Namespace mesh", "create ServiceMeshControlPlane mesh/basic"]),
        (
            {**SAIL, "cni": "enabled", "tag": "prod"},
            [
                "create Namespace istio-cni",
                "create Namespace istio-system",
                "create IstioCNI default",
                "create Istio default",
                "create IstioRevisionTag prod",
            ],
        ),
    ],
)
def test_made_once_and_removed_without_a_trace(wanted, made):
    api = cluster()
    assert run(api, wanted) == made
    assert run(api, wanted) == []
    gone = run(api, wanted, plane_state="absent")
    # What depends on the other goes first, and namespaces last.
    assert [line for line in gone if "Namespace" not in line] == [
        line.replace("create", "remove") for line in reversed(made) if "Namespace" not in line
    ]
    assert api.snapshot() == {}


def test_nothing_that_needs_another_operator_is_on_unless_asked_for():
    api = cluster()
    run(api, SMCP)
    assert smcp_spec(api)["tracing"] == {"type": "None"}
    assert smcp_spec(api)["addons"] == {name: {"enabled": False} for name in ("kiali", "grafana", "prometheus")}
    definition = {"spec": {"addons": {"kiali": {"enabled": True}}, "tracing": {"type": "Jaeger"}}}
    run(api, {**SMCP, "definition": definition, "addons": ["grafana"]})
    assert smcp_spec(api)["tracing"] == {"type": "Jaeger"}
    assert [name for name, addon in smcp_spec(api)["addons"].items() if addon["enabled"]] == ["kiali", "grafana"]


def test_arguments_of_the_seeds_become_an_smcp():
    api = cluster()
    gateways = [
        {"name": "istio-ingressgateway", "type": "LoadBalancer", "annotations": {"lb": "nlb"}, "ports": [8081, 22]},
        {"name": "edge", "ports": [{"port": 9091, "target_port": 9191, "name": "tcp-x"}]},
        {"name": "out", "direction": "egress", "enabled": False},
    ]
    run(api, {**SMCP, "version": "v2.6", "mode": "ClusterWide", "identity": "ThirdParty", "gateways": gateways})
    spec = smcp_spec(api)
    assert (spec["version"], spec["mode"]) == ("v2.6", "ClusterWide")
    assert spec["security"] == {"identity": {"type": "ThirdParty"}}
    service = spec["gateways"]["ingress"]["service"]
    assert (service["type"], service["metadata"]["annotations"]) == ("LoadBalancer", {"lb": "nlb"})
    # A list of ports replaces the chart's own, and pods of an SMCP may not listen below 1024.
    assert [(port["port"], port["targetPort"]) for port in service["ports"]] == [
        (15021, 15021),
        (80, 8080),
        (443, 8443),
        (8081, 8081),
        (22, 10022),
    ]
    # Without a label of its own, every Gateway for istio=ingressgateway would land on its pods as well.
    edge = spec["gateways"]["additionalIngress"]["edge"]
    assert (edge["enabled"], edge["service"]["metadata"]["labels"]) == (True, {"istio": "edge"})
    assert edge["service"]["ports"][-1] == {"name": "tcp-x", "port": 9091, "targetPort": 9191, "protocol": "TCP"}
    assert spec["gateways"]["additionalEgress"]["out"]["enabled"] is False


def test_ports_that_were_published_on_the_smcp_stay_and_those_of_this_role_go():
    api = cluster()
    wanted = {**SMCP, "gateways": [{"name": "istio-ingressgateway", "ports": [8081, 8082]}]}
    run(api, wanted)
    smcp = api.object("ServiceMeshControlPlane", "basic", "mesh")
    smcp["spec"]["gateways"]["ingress"]["service"]["ports"].append({"name": "theirs", "port": 5432, "targetPort": 5432})
    api.add({key: smcp[key] for key in ("apiVersion", "kind", "metadata", "spec")})
    run(api, {**SMCP, "gateways": [{"name": "istio-ingressgateway", "ports": [8081]}]})
    ports = smcp_spec(api)["gateways"]["ingress"]["service"]["ports"]
    assert [port["port"] for port in ports] == [15021, 80, 443, 8081, 5432]


@pytest.mark.parametrize(
    ("kind", "namespace", "wanted", "there"),
    [
        ("ServiceMeshControlPlane", "mesh", {**SMCP, "version": "v2.6"}, {"version": "v2.5"}),
        ("Istio", None, {**SAIL, "version": "v1.30.3"}, {"version": "v1.29.4", "namespace": "istio-system"}),
    ],
)
def test_somebody_elses_is_left_alone_unless_adopted(kind, namespace, wanted, there):
    api = cluster()
    name = "basic" if namespace else "default"
    api.add(new_object("Namespace", wanted["namespace"], None, {}))
    api.add({**new_object(kind, name, namespace, {}), "spec": there})
    before = api.snapshot()
    refused = plan(api, wanted)
    assert codes(refused) == ["PLANE_NOT_OURS"]
    assert refused["steps"] == []
    message = refused["findings"][0]["message"]
    assert f"spec.version is {there['version']!r}, wanted {wanted['version']!r}" in message
    assert codes(plan(api, wanted, plane_state="absent")) == ["PLANE_NOT_OURS"]
    assert api.snapshot() == before
    assert run(api, {**wanted, "adopt": True}) == [f"change {kind} {namespace + '/' if namespace else ''}{name}"]
    assert api.object(kind, name, namespace)["spec"]["version"] == wanted["version"]
    assert run(api, wanted) == []


def test_somebody_elses_that_is_as_wanted_is_only_waited_for():
    api = cluster()
    api.add(new_object("Namespace", "istio-system", None, {}))
    there = {"namespace": "istio-system", "version": "v1.30.3", "values": {"pilot": {"env": {"X": "1"}}}}
    api.add({**new_object("Istio", "default", None, {}), "spec": there})
    planned = plan(api, {**SAIL, "version": "v1.30.3"})
    assert planned["findings"] == []
    assert [(step["state"], step["wait"]) for step in planned["steps"]] == [("awaited", True)]


@pytest.mark.parametrize(
    ("wanted", "code", "word"),
    [
        ({**SMCP, "profile": "demo"}, "VALUE_INVALID", "provider ossm2 does not know it"),
        ({**SAIL, "identity": "ThirdParty"}, "VALUE_INVALID", "provider sail does not know it"),
        ({**SMCP, "version": "v1.1"}, "VALUE_INVALID", "v2.6"),
        ({**SAIL, "version": "1.30.3"}, "VALUE_INVALID", "v1.30.3"),
        ({**SMCP, "namespace": ""}, "VALUE_INVALID", "namespace"),
        ({**SMCP, "namespace_state": "required"}, "NAMESPACE_MISSING", "'mesh'"),
        ({**SMCP, "definition": {"kind": "Istio"}}, "VALUE_INVALID", "ServiceMeshControlPlane"),
        ({**SMCP, "gateways": [{"name": "edge", "port": [1]}]}, "KEY_UNKNOWN", "'ports'"),
        (
            {**SMCP, "gateways": [{"name": "edge", "ports": [{"port": 90, "target_port": 91}]}]},
            "PORT_OUT_OF_RANGE",
            "91",
        ),
        ({**SMCP, "gateways": [{"name": "istio-egressgateway", "direction": "ingress"}]}, "VALUE_INVALID", "egress"),
        ({"provider": "helm", "namespace": "istio-system"}, "VALUE_INVALID", "both charts"),
    ],
)
def test_what_cannot_work_is_refused(wanted, code, word):
    api = cluster()
    refused = plan(api, wanted)
    assert codes(refused) == [code]
    assert word in refused["findings"][0]["message"] + refused["findings"][0]["remedy"]
    assert refused["steps"] == refused["after"] == []


def test_a_second_smcp_in_a_namespace_is_refused():
    api = cluster()
    run(api, SMCP)
    assert codes(plan(api, {**SMCP, "name": "other"})) == ["PLANE_SECOND"]


def test_an_istio_does_not_move():
    api = cluster()
    run(api, SAIL)
    assert codes(plan(api, {**SAIL, "namespace": "elsewhere"})) == ["PLANE_ELSEWHERE"]


def test_an_ignored_field_is_warned_of():
    definition = {"spec": {"gateways": {"ingress": {"service": {"loadBalancerClass": "x"}}}}}
    found = plan(cluster(), {**SMCP, "definition": definition})
    assert [(item["code"], item["severity"]) for item in found["findings"]] == [("SMCP_FIELD_IGNORED", "warning")]
    assert "istio-ingressgateway.service.loadBalancerClass" in found["findings"][0]["message"]


def test_without_the_operator_nothing_is_written_unless_it_is_coming():
    api = cluster()
    api.served = []
    refused = plan(api, SMCP)
    assert codes(refused) == ["OPERATOR_MISSING"]
    assert "ServiceMeshControlPlane" in refused["findings"][0]["message"]
    assert codes(plan(api, SMCP, operator_coming=True)) == []


def test_rights_are_given_and_taken_back():
    api = cluster()
    people = [{"kind": "User", "name": "user1"}, {"kind": "Group", "name": "ops"}]
    run(api, {**SMCP, "rights": people})
    bindings = [api.object("RoleBinding", f"servicemesh-tcp-basic-{role}", "mesh") for role in ("edit", "mesh-user")]
    assert [item["roleRef"]["kind"] for item in bindings] == ["ClusterRole", "Role"]
    assert [item["name"] for item in bindings[0]["subjects"]] == ["ops", "user1"]
    run(api, SMCP)
    assert api.object("RoleBinding", "servicemesh-tcp-basic-edit", "mesh") is None


def test_a_control_plane_with_gateways_elsewhere_is_kept():
    api = cluster()
    api.istio = True
    run(api, SAIL)
    api.add({**new_object("IstioRevision", "default", None, {}), "spec": {"namespace": "istio-system"}})
    api.add(istiod("istiod", "istio-system", "default"))
    api.add(new_object("Namespace", "gateways", None, {}))
    pod = new_object("Pod", "edge-1", "gateways", {"service.istio.io/canonical-name": "edge"}, spec={})
    pod["metadata"]["annotations"] = {"inject.istio.io/templates": "gateway"}
    api.add(pod)
    refused = plan(api, SAIL, plane_state="absent")
    assert codes(refused) == ["PLANE_IN_USE"]
    assert "gateways/edge" in refused["findings"][0]["message"]


def test_the_cni_stays_while_another_istio_needs_it():
    api = cluster()
    run(api, {**SAIL, "cni": "enabled"})
    run(api, {**SAIL, "name": "second", "namespace": "mesh2", "cni": "enabled"})
    gone = run(api, {**SAIL, "cni": "enabled"}, plane_state="absent")
    assert gone == ["remove Istio default", "remove Namespace istio-system"]
    assert api.object("IstioCNI", "default") is not None


def test_meshes_are_told_apart():
    api = cluster()
    run(api, SMCP)
    run(api, SAIL)
    api.add({**new_object("IstioRevision", "default", None, {}), "spec": {"namespace": "istio-system"}})
    api.add(istiod("istiod", "istio-system", "default"))
    api.add(new_object("Namespace", "plain", None, {}))
    api.add(istiod("istiod-canary", "plain", "canary"))
    lines = plan(api, {"provider": "existing"})["meshes"]
    assert [line.split(":")[0] for line in lines] == [
        "mesh istio-system/default (sail)",
        "mesh mesh/basic (ossm2)",
        "mesh plain/canary (istio)",
    ]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, ["ISTIOD_NOT_READY", "INJECTOR_MISSING"]),
        ({"name": "other"}, ["PLANE_UNKNOWN"]),
        ({"namespace": "elsewhere"}, ["PLANE_UNKNOWN"]),
    ],
)
def test_what_an_existing_mesh_lacks(wanted, found):
    api = FakeApi()
    api.add(new_object("Namespace", "istio-system", None, {}))
    dead = istiod("istiod", "istio-system", "default")
    dead["spec"]["replicas"] = 0
    api.add(dead)
    assert codes(plan(api, {"provider": "existing", **wanted})) == found
    assert codes(plan(FakeApi(istio=False), {"provider": "existing"})) == ["NO_ISTIO"]


CHARTS = {"chart_base": "charts/base", "chart_istiod": "charts/istiod", "version": "1.30.3"}
HELM = {"provider": "helm", "namespace": "istio-system", "namespace_state": "present", **CHARTS}


def test_helm_releases():
    api = cluster()
    wanted = {**HELM, "name": "blue", "tag": "prod", "values": {"pilot": {"replicaCount": 2}}, "profile": "demo"}
    releases = plan(api, wanted)["releases"]
    assert releases["base"]["chart_values"] == {
        "defaultRevision": "blue",
        "global": {"istioNamespace": "istio-system"},
    }
    assert releases["istiod"]["name"] == "istiod-blue"
    assert releases["istiod"]["chart_values"] == {
        "global": {"istioNamespace": "istio-system"},
        "pilot": {"replicaCount": 2},
        "profile": "demo",
        "revision": "blue",
        "revisionTags": ["prod"],
    }
    run(api, wanted)
    # The second revision's validation and definitions stay when the first goes.
    run(api, HELM)
    assert plan(api, wanted, plane_state="absent")["releases"]["last"] is False
    assert "revision" not in plan(api, HELM)["releases"]["istiod"]["chart_values"]


def test_helm_does_not_take_over_somebody_elses_istiod():
    api = cluster()
    api.add(new_object("Namespace", "istio-system", None, {}))
    api.add(istiod("istiod", "istio-system", "default"))
    refused = plan(api, HELM)
    assert codes(refused) == ["PLANE_NOT_OURS"]
    assert refused["releases"] == {}
    assert codes(plan(api, HELM, plane_state="absent")) == ["PLANE_NOT_OURS"]


SELECTORS = [{"matchLabels": {"mesh": "a"}}]


@pytest.mark.parametrize(
    ("wanted", "written", "labels"),
    [
        (SMCP, ["present Namespace shop", "merged ServiceMeshMemberRoll mesh/default"], {}),
        ({**SAIL, "discovery_selectors": SELECTORS}, ["present Namespace shop"], {"mesh": "a"}),
        (
            {**SAIL, "definition": {"spec": {"values": {"meshConfig": {"discoverySelectors": SELECTORS}}}}},
            ["present Namespace shop"],
            {"mesh": "a"},
        ),
        (
            {**SAIL, "update_strategy": "RevisionBased", "version": "v1.31.0"},
            ["present Namespace shop"],
            {"istio.io/rev": "default-v1-31-0"},
        ),
    ],
)
def test_namespaces_are_planned_into_a_mesh_that_is_coming(wanted, written, labels):
    api, shop = (
        cluster(),
        [{"name": "shop", "state": "present", "injection": "enabled" if "istio.io/rev" in labels else "pod"}],
    )
    coming = plan(api, wanted)["coming"]
    joined = onboarding_plan(shop, read(api, ["mesh", "members"]), coming=coming)
    assert errors(joined["findings"]) == []
    assert step_lines(joined) == written
    assert joined["steps"][0]["object"]["metadata"]["labels"] == {**OURS, **labels}
    # Once it is there it counts once.
    run(api, wanted)
    api.add(istiod("istiod", wanted["namespace"], plan(api, wanted)["coming"]["name"]))
    assert errors(onboarding_plan(shop, read(api, ["mesh", "members"]), coming=coming)["findings"]) == []


@pytest.mark.parametrize(
    ("wanted", "arguments"),
    [
        ({**SAIL, "update_strategy": "RevisionBased"}, {}),
        ({**SAIL, "update_strategy": "RevisionBased", "version": "v1.31-latest"}, {}),
        ({**SMCP, "version": "2"}, {}),
        (SMCP, {"plane_state": "absent"}),
        ({"provider": "existing"}, {}),
    ],
)
def test_no_mesh_is_coming_where_none_is_made_or_its_revision_is_not_known(wanted, arguments):
    assert plan(cluster(), wanted, **arguments)["coming"] == {}
