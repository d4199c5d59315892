# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole runs on gateways that somebody else owns, and on one that was made by hand and is adopted."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _apply, _publish
from ansible_collections.servicemesh.tcp.plugins.module_utils._gateway_plan import gateway_plan
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import port_name, set_object_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._publication import publication
from ansible_collections.servicemesh.tcp.plugins.module_utils._read import read
from ansible_collections.servicemesh.tcp.plugins.module_utils._settle import wait_for
from ansible_collections.servicemesh.tcp.plugins.module_utils._smcp import DEFAULT_PORTS
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import complete
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import BACKEND_HOST, record
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import BY_HAND, FakeApi, Killed
from ansible_collections.servicemesh.tcp.tests.unit.plugins.whole_runs import (
    make_gateways,
    mesh_cluster,
    publish,
    wanted,
    withdraw,
)

REFERENCE = {"name": "edge", "namespace": "gateways"}
EXISTING = {**REFERENCE, "owner": "existing"}
ADOPTED = {**REFERENCE, "adopt": True}
PODS = {"app": "their-gateway"}
HELM = {"meta.helm.sh/release-name": "ingress", "meta.helm.sh/release-namespace": "infra"}
HEALTH = {"name": "status-port", "port": 15021, "targetPort": 15021, "protocol": "TCP"}
NAME = set_object_name("edge", "default")


def theirs(*ports: dict[str, Any], **annotations: str) -> FakeApi:
    """Return a cluster with somebody else's gateway."""
    api = mesh_cluster([])
    service = new_object(
        "Service", "edge", "gateways", {"team": "x"}, spec={"selector": PODS, "ports": [HEALTH, *ports]}
    )
    service["metadata"]["annotations"] = annotations
    api.add(service)
    return api


def port(number: int, target: int | None = None, name: str = "") -> dict[str, Any]:
    """Return a port as somebody else writes it."""
    return {"name": name or f"x-{number}", "port": number, "targetPort": target or number, "protocol": "TCP"}


def front(api: FakeApi) -> dict[str, Any]:
    """Return the front Service as it is."""
    found = api.object("Service", "edge", "gateways")
    assert found
    return found


def ports_of(api: FakeApi) -> dict[int, int]:
    """Return the ports of the front Service with their targets."""
    return {item["port"]: item["targetPort"] for item in front(api)["spec"]["ports"]}


def refusal(api: FakeApi, *arguments: Any, **options: Any) -> list[str]:
    """Return the codes of a run that is refused, and that has written nothing."""
    before = api.snapshot()
    with pytest.raises(_apply.Refused) as refused:
        publish(api, *arguments, **options)
    assert api.snapshot() == before
    return [item["code"] for item in refused.value.findings if item["severity"] == "error"]


# owner: existing


def test_ports_are_added_to_a_service_that_nobody_keeps_and_leave_it_as_it_was():
    api = theirs()
    before = api.snapshot()
    publish(api, [record("a", 8081), record("ssh", 22)], gateways=[EXISTING])
    assert ports_of(api) == {15021: 15021, 8081: 8081, 22: 10022}
    # Nothing else of the Service is ours: the rest stays its owner's.
    shares = api.objects[_path("services", "edge")].shares
    assert list(shares) == [BY_HAND, "servicemesh.tcp", "servicemesh.tcp/default"]
    assert set(shares["servicemesh.tcp"]["metadata"]) == {"name", "namespace", "labels", "annotations"}
    assert shares["servicemesh.tcp"]["metadata"]["labels"] == {"servicemesh.tcp/gateway": "edge"}
    assert front(api)["spec"]["selector"] == PODS
    assert api.object("Gateway", NAME, "gateways")["spec"]["selector"] == PODS
    # A first policy for their pods would shut everything else.
    assert api.object("NetworkPolicy", NAME, "gateways") is None
    assert publish(api, [record("a", 8081), record("ssh", 22)], gateways=[EXISTING]) == []
    withdraw(api)
    assert ports_of(api) == {15021: 15021}
    make_gateways(api, [EXISTING], gateways_state="absent")
    assert api.snapshot() == before


def _path(plural: str, name: str) -> str:
    return f"/api/v1/namespaces/gateways/{plural}/{name}"


def test_a_service_that_somebody_deletes_meanwhile_is_not_made_anew():
    api = theirs()
    steps = publication(wanted(ports=[record("a", 8081)], gateways=[EXISTING]), read(api))["steps"]
    services = [step["object"] for step in steps if step["object"]["kind"] == "Service"]
    assert [item["metadata"]["uid"] for item in services] == [front(api)["metadata"]["uid"]] * 2


def test_a_port_that_its_owner_has_there_is_used_and_nothing_is_written_to_the_service():
    api = theirs(port(22, 2222), port(8081, 9081), **HELM)
    before = copy.deepcopy(front(api))
    changes = publish(api, [record("ssh", 22), record("a", 8081)], gateways=[EXISTING])
    assert changes == [f"create Gateway gateways/{NAME}", f"create VirtualService gateways/{NAME}"]
    assert front(api) == before
    assert publish(api, [record("ssh", 22), record("a", 8081)], gateways=[EXISTING]) == []
    # One of two goes, and the other one is still taken for what it is.
    withdraw(api, names=["a"])
    assert [item["port"]["number"] for item in api.object("Gateway", NAME, "gateways")["spec"]["servers"]] == [22]
    assert api.object("Gateway", NAME, "gateways")["spec"]["selector"] == PODS
    withdraw(api)
    assert front(api) == before


def test_a_port_of_its_owner_counts_once_among_those_of_the_load_balancer():
    limits = {"provider": "aws-nlb", "limits": {"listeners": 4}}
    api = theirs(port(22, 2222), port(8081))
    api.objects[_path("services", "edge")].shares[BY_HAND]["spec"]["type"] = "LoadBalancer"
    gateways = [{**EXISTING, "service": limits}]
    records = [record("ssh", 22), record("a", 8081), record("b", 8082)]
    publish(api, records, gateways=gateways)
    assert refusal(api, [*records, record("c", 8083)], gateways=gateways) == ["LB_LIMIT"]


def test_a_port_of_its_owner_leads_where_he_says():
    assert refusal(theirs(port(22, 2222)), [record("ssh", 22, target_port=3333)], gateways=[EXISTING]) == ["PORT_TAKEN"]


@pytest.mark.parametrize(
    ("annotations", "more", "codes"),
    [
        (HELM, {}, ["FRONT_PORTS_MISSING"]),
        ({}, {"ports": "own"}, ["FRONT_PORTS_MISSING"]),
        ({"argocd.argoproj.io/tracking-id": "mesh:v1/Service:gateways/edge"}, {}, ["FRONT_PORTS_MISSING"]),
        (HELM, {"adopt": True}, ["GATEWAY_NOT_ADOPTABLE"]),
    ],
)
def test_nothing_is_added_where_somebody_would_undo_it(annotations, more, codes):
    assert refusal(theirs(**annotations), [record("a", 8081)], gateways=[{**EXISTING, **more}])[:1] == codes


def test_with_patch_ports_are_added_whoever_keeps_the_service():
    api = theirs(**HELM)
    publish(api, [record("a", 8081)], gateways=[{**EXISTING, "ports": "patch"}])
    assert ports_of(api) == {15021: 15021, 8081: 8081}


def test_a_second_set_refers_to_what_the_first_one_noted():
    api = theirs()
    publish(api, [record("a", "auto")], gateways=[{**EXISTING, "pool": "9000-9009"}])
    publish(api, [record("b", "auto")], set_name="other", gateways=[REFERENCE])
    assert ports_of(api) == {15021: 15021, 9000: 9000, 9001: 9001}
    assert api.object("Gateway", set_object_name("edge", "other"), "gateways")["spec"]["selector"] == PODS
    assert refusal(api, [record("b", 9001)], set_name="other", gateways=[EXISTING]) == ["GATEWAY_DEFINED_ELSEWHERE"]
    assert publish(api, [record("b", 9001)], "other", [{**EXISTING, "pool": "9000-9009"}]) == []
    found = gateway_plan([EXISTING], read(api), "other", gateways_state="absent")["findings"]
    assert [item["code"] for item in found] == ["GATEWAY_DEFINED_ELSEWHERE", "GATEWAY_IN_USE"]
    withdraw(api)
    assert ports_of(api) == {15021: 15021, 9001: 9001}
    assert publish(api, [record("b", "auto")], set_name="other", gateways=[REFERENCE]) == []


def test_a_lent_port_of_one_set_is_not_another_s():
    api = theirs(port(8081))
    publish(api, [record("a", 8081)], gateways=[EXISTING])
    assert refusal(api, [record("b", 8081)], set_name="other", gateways=[REFERENCE]) == ["PORT_TAKEN"]


# owner: smcp


OF_SMCP = {**REFERENCE, "owner": "smcp", "control_plane": {"name": "basic", "namespace": "gateways"}}
PLANE = "/apis/maistra.io/v2/namespaces/gateways/servicemeshcontrolplanes/basic"


class Operator:
    """Renders the gateway's Service from the control plane: the list of ports as a whole, when it has changed.

    maistra istio-operator, pkg/controller/common/helm/patch.go.
    """

    def __init__(self, api: FakeApi) -> None:
        self.api, self.last = api, None
        api.after_write = self.render
        self.render()

    def render(self) -> None:
        """Bring the Service up to date."""
        section = listed(self.api, "edge")
        if section != self.last:
            service = self.api.objects[_path("services", "edge")]
            for share in service.shares.values():
                share.get("spec", {}).pop("ports", None)
            service.shares[BY_HAND].setdefault("spec", {})["ports"] = copy.deepcopy(section or list(DEFAULT_PORTS))
            self.last = copy.deepcopy(section)


def section_of(api: FakeApi, gateway: str) -> dict[str, Any]:
    """Return a gateway's section of the control plane."""
    gateways = api.objects[PLANE].full()["spec"].get("gateways") or {}
    found = (gateways.get("additionalIngress") or {}).get(gateway) or {}
    return found.get("service") or {}


def listed(api: FakeApi, gateway: str) -> list[dict[str, Any]] | None:
    """Return the control plane's list of ports for a gateway."""
    return section_of(api, gateway).get("ports")


def with_smcp(ports: list[dict[str, Any]] | None = None, **more: Any) -> FakeApi:
    """Return a cluster with a ServiceMeshControlPlane that has a gateway."""
    api = theirs()
    api.maistra = True
    api.objects[_path("services", "edge")].shares[BY_HAND]["metadata"]["labels"] = {"maistra.io/owner": "gateways"}
    section: dict[str, Any] = {"enabled": True}
    if ports is not None:
        section["service"] = {"ports": [*DEFAULT_PORTS, *ports], **more}
    plane = new_object("ServiceMeshControlPlane", "basic", "gateways", {})
    api.add({**plane, "spec": {"version": "v2.6", "gateways": {"additionalIngress": {"edge": section}}}})
    Operator(api)
    return api


def entries(api: FakeApi) -> dict[int, str]:
    """Return the names of the control plane's entries by port."""
    return {item["port"]: item["name"] for item in listed(api, "edge") or []}


def test_http_goes_by_a_port_that_the_control_plane_has_by_itself():
    api = with_smcp([])
    before = api.snapshot()
    server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["theirs.example.com"]}
    web = {"protocol": "http", "hosts": ["mine.example.com"], "probe": {"mode": "none"}}
    publish(api, [record("a", 80, **web)], gateways=[OF_SMCP])
    assert publish(api, [record("a", 80, **web)], gateways=[OF_SMCP]) == []
    withdraw(api)
    make_gateways(api, [OF_SMCP], gateways_state="absent")
    # The port was never the set's, and the list was never touched.
    assert api.snapshot() == before
    # A host of somebody else's stays his.
    api.add(new_object("Gateway", "theirs", "gateways", {}, spec={"selector": PODS, "servers": [server]}))
    assert publish(api, [record("a", 80, **web)], gateways=[OF_SMCP])
    withdraw(api)
    taken = {**web, "hosts": ["theirs.example.com"]}
    assert refusal(api, [record("a", 80, **taken)], gateways=[OF_SMCP]) == ["HTTP_HOST_TAKEN"]
    assert refusal(api, [record("a", 8080, **web)], gateways=[OF_SMCP]) == ["KEY_NOT_BUILT"]


@pytest.mark.parametrize("start", [lambda: with_smcp(), lambda: with_smcp([port(7000)])])
def test_ports_go_into_the_control_plane_s_list_and_come_out_again(start):
    api = start()
    before = api.snapshot()
    others = entries(api)
    records = [record("a", 8081), record("ssh", 22)]
    publish(api, records, gateways=[OF_SMCP])
    found = entries(api)
    names = {8081: port_name(8081, "default", "a"), 22: port_name(22, "default", "ssh")}
    assert found == {15021: "status-port", 80: "http2", 443: "https", **others, **names}
    # The operator has rendered them; below 1024 an unprivileged pod cannot listen.
    assert {ports_of(api)[8081], ports_of(api)[22]} == {8081, 10022}
    # Whoever renders the Service must not find ports of ours that are not in the list.
    assert "ports" not in api.objects[_path("services", "edge")].shares["servicemesh.tcp"].get("spec", {})
    assert api.object("NetworkPolicy", NAME, "gateways") is None
    assert publish(api, records, gateways=[OF_SMCP]) == []
    publish(api, records[:1], gateways=[OF_SMCP])
    assert 22 not in entries(api)
    assert publish(api, records[:1], gateways=[OF_SMCP]) == []
    withdraw(api)
    make_gateways(api, [OF_SMCP], gateways_state="absent")
    after = api.snapshot()
    assert after.keys() == before.keys()
    assert after[PLANE][0]["spec"]["gateways"]["additionalIngress"]["edge"].get("service", {}).get("ports") == (
        before[PLANE][0]["spec"]["gateways"]["additionalIngress"]["edge"].get("service", {}).get("ports")
    )
    assert not after[PLANE][0]["metadata"].get("annotations")
    assert ports_of(api) == {item["port"]: item["targetPort"] for item in listed(api, "edge") or DEFAULT_PORTS}


def test_two_sets_share_a_control_plane_s_list():
    api = with_smcp([port(7000)])
    publish(api, [record("a", 8081)], gateways=[OF_SMCP])
    publish(api, [record("b", 8082)], set_name="other", gateways=[REFERENCE])
    assert refusal(api, [record("c", 8081)], set_name="third", gateways=[REFERENCE]) == ["PORT_TAKEN"]
    withdraw(api)
    assert entries(api)[8082] == port_name(8082, "other", "b")
    assert 8081 not in entries(api)
    assert publish(api, [record("b", 8082)], set_name="other", gateways=[REFERENCE]) == []


def test_another_ingress_of_one_control_plane_is_apart():
    api = with_smcp([])
    plane = api.objects[PLANE].shares[BY_HAND]
    plane["spec"]["gateways"]["additionalIngress"]["door"] = {"enabled": True, "service": {"ports": [*DEFAULT_PORTS]}}
    api.add(
        new_object("Service", "door", "gateways", {}, spec={"selector": {"app": "door"}, "ports": [*DEFAULT_PORTS]})
    )
    door = {**OF_SMCP, "name": "door"}
    publish(
        api, [record("a", 8081), {**record("b", 8081), "gateway": "door"}], gateways=[OF_SMCP, door], wait_timeout=0
    )
    assert entries(api)[8081] == port_name(8081, "default", "a")
    assert [item["name"] for item in listed(api, "door")][-1:] == [port_name(8081, "default", "b")]
    assert publish(api, [{**record("b", 8081), "gateway": "door"}, record("a", 8081)], gateways=[OF_SMCP, door]) == []


def test_a_port_that_somebody_else_listed_is_used_as_it_is():
    api = with_smcp([port(8081, 9081)])
    before = copy.deepcopy(listed(api, "edge"))
    publish(api, [record("a", 8081), record("web", 443)], gateways=[OF_SMCP])
    assert listed(api, "edge") == before
    assert publish(api, [record("a", 8081), record("web", 443)], gateways=[OF_SMCP]) == []
    publish(api, [record("web", 443)], gateways=[OF_SMCP])
    withdraw(api)
    assert listed(api, "edge") == before


def test_a_port_that_only_the_service_has_is_no_safe_one_to_use():
    api = with_smcp([])
    api.objects[_path("services", "edge")].shares[BY_HAND]["spec"]["ports"].append(port(9999, 9998))
    assert refusal(api, [record("a", 9999)], gateways=[OF_SMCP]) == ["PORT_TAKEN"]
    # Taken over, it goes into the list, with the target port that its sessions are on.
    publish(api, [record("a", 9999, adopt=True)], gateways=[OF_SMCP])
    assert entries(api)[9999] == port_name(9999, "default", "a")
    assert ports_of(api)[9999] == 9998
    assert publish(api, [record("a", 9999, adopt=True)], gateways=[OF_SMCP]) == []


@pytest.mark.parametrize("moment", ["dry run", "write"])
def test_a_control_plane_that_changes_meanwhile_is_read_again(moment):
    api = with_smcp([port(7000)])
    request, told = api.request, []

    def interfere(method: str, path: str, *arguments: Any, **options: Any) -> Any:
        dry = (options.get("query") or {}).get("dryRun") == "All"
        if path == PLANE and method == "PATCH" and dry is (moment == "dry run") and not told:
            told.append(path)
            stored = api.objects[PLANE]
            stored.shares[BY_HAND]["spec"]["gateways"]["additionalIngress"]["edge"]["service"]["ports"].append(
                port(7001)
            )
            stored.version += 1
        return request(method, path, *arguments, **options)

    api.request = interfere
    publish(api, [record("a", 8081)], gateways=[OF_SMCP])
    assert told
    assert list(entries(api)) == [15021, 80, 443, 7000, 7001, 8081]
    assert publish(api, [record("a", 8081)], gateways=[OF_SMCP]) == []


def test_a_run_that_dies_leaves_nothing_of_others_changed_and_the_next_one_goes_on():
    def start() -> FakeApi:
        api = with_smcp([port(7000)])
        publish(api, [record("gone", 8080), record("kept", 8081)], gateways=[OF_SMCP])
        publish(api, [record("b", 8082)], set_name="other", gateways=[REFERENCE])
        return api

    records = [record("kept", 8081), record("new", 8083)]
    whole = start()
    whole.log.clear()
    publish(whole, records, gateways=[OF_SMCP])
    writes = sum(method in ("PATCH", "POST", "PUT", "DELETE") for method, _path in whole.log)
    assert writes > 5
    for done in range(writes):
        api = start()
        api.writes_left = done
        with pytest.raises(Killed):
            publish(api, records, gateways=[OF_SMCP])
        assert {7000: "x-7000", 8082: port_name(8082, "other", "b")}.items() <= entries(api).items(), done
        assert 8081 in entries(api), done
        api.writes_left = None
        publish(api, records, gateways=[OF_SMCP])
        assert entries(api) == entries(whole), done
        assert publish(api, records, gateways=[OF_SMCP]) == [], done
        withdraw(api)
        assert sorted(entries(api)) == [80, 443, 7000, 8082, 15021], done


def test_without_our_note_the_set_s_own_gateway_says_which_ports_are_its():
    api = with_smcp([port(7000)])
    publish(api, [record("a", 8081)], gateways=[OF_SMCP])
    del api.objects[PLANE].shares[BY_HAND]["metadata"]["annotations"]
    withdraw(api)
    assert list(entries(api)) == [15021, 80, 443, 7000]


def test_ports_come_out_of_the_list_also_where_the_operator_made_the_service_anew():
    api = with_smcp([port(7000)])
    publish(api, [record("a", 8081), record("b", 8082)], gateways=[OF_SMCP])
    service = api.objects[_path("services", "edge")]
    service.shares = {BY_HAND: service.shares[BY_HAND]}
    withdraw(api, names=["b"])
    assert list(entries(api)) == [15021, 80, 443, 7000, 8081]
    withdraw(api)
    assert list(entries(api)) == [15021, 80, 443, 7000]


def test_type_and_annotations_of_the_service_are_written_only_where_the_record_names_them():
    api = with_smcp([port(7000)], type="ClusterIP")
    publish(api, [record("a", 8081)], gateways=[OF_SMCP])
    assert section_of(api, "edge").keys() == {"type", "ports"}
    assert section_of(api, "edge")["type"] == "ClusterIP"
    service = {"type": "NodePort", "annotations": {"a/b": "c"}}
    publish(api, [record("a", 8081)], gateways=[{**OF_SMCP, "service": service}])
    assert section_of(api, "edge")["type"] == "NodePort"
    assert section_of(api, "edge")["metadata"] == {"annotations": {"a/b": "c"}}
    assert publish(api, [record("a", 8081)], gateways=[{**OF_SMCP, "service": service}]) == []


@pytest.mark.parametrize(
    "start",
    [
        lambda: with_smcp([port(7000)], type="ClusterIP", metadata={"annotations": {"a/b": "theirs"}}),
        lambda: with_smcp([port(7000)], metadata={"labels": {"x": "y"}}),
        lambda: with_smcp([port(7000)]),
        with_smcp,
    ],
)
@pytest.mark.parametrize("named", [{"type": "NodePort"}, {"type": "NodePort", "annotations": {"a/b": "c", "d": "e"}}])
def test_type_and_annotations_are_given_back_with_the_gateway(start, named):
    api = start()
    before = copy.deepcopy(api.objects[PLANE].full()["spec"])
    publish(api, [record("a", 8081)], gateways=[{**OF_SMCP, "service": named}])
    changed = {**named, "type": "LoadBalancer"}
    publish(api, [record("a", 8081)], gateways=[{**OF_SMCP, "service": changed}])
    assert section_of(api, "edge")["type"] == "LoadBalancer"
    withdraw(api)
    make_gateways(api, [{**OF_SMCP, "service": changed}], gateways_state="absent")
    after = api.objects[PLANE].full()
    # An empty Service may be left of a list of ports that was ours.
    section = after["spec"]["gateways"]["additionalIngress"]["edge"]
    if not section.get("service"):
        section.pop("service", None)
    assert after["spec"] == before
    assert not after["metadata"].get("annotations")


def test_a_run_that_plans_anew_halfway_still_shows_all_that_it_wrote():
    api = with_smcp()
    own = {"name": "own", "namespace": "gateways", "service": {"type": "ClusterIP"}}
    records = [record("a", 8081), record("b", 8081, gateway="own")]
    gateways = [own, {**OF_SMCP, "service": {"type": "NodePort"}}]
    done = _publish.publish(api, wanted(ports=records, gateways=gateways, gateways_state="present"))
    texts = [change.text for change in done.changes if change.action != "nothing"]
    # The type and the ports are two patches of what was not there, and the second takes another look.
    assert texts.count("change ServiceMeshControlPlane gateways/basic") == 2
    assert [text for text in texts if text not in done.told.lines] == []


def test_a_setting_that_is_not_named_any_more_is_given_back_and_one_that_somebody_changed_is_his():
    api = with_smcp([port(7000)], type="ClusterIP")
    named = {"type": "NodePort", "annotations": {"a/b": "c", "d": "e"}}
    publish(api, [record("a", 8081)], gateways=[{**OF_SMCP, "service": named}])
    section = api.objects[PLANE].shares[BY_HAND]["spec"]["gateways"]["additionalIngress"]["edge"]["service"]
    section["metadata"]["annotations"]["d"] = "his"
    publish(api, [record("a", 8081)], gateways=[OF_SMCP])
    assert section_of(api, "edge")["type"] == "ClusterIP"
    assert section_of(api, "edge")["metadata"] == {"annotations": {"d": "his"}}
    assert publish(api, [record("a", 8081)], gateways=[OF_SMCP]) == []


def test_a_control_plane_under_gitops_is_left_alone_unless_told():
    api = with_smcp([])
    plane = api.objects[PLANE].shares[BY_HAND]
    plane["metadata"]["annotations"] = {"argocd.argoproj.io/tracking-id": "mesh:maistra.io/ServiceMeshControlPlane:x/y"}
    assert refusal(api, [record("a", 8081)], gateways=[OF_SMCP]) == ["FRONT_PORTS_MISSING"]
    publish(api, [record("a", 8081)], gateways=[{**OF_SMCP, "ports": "patch"}])
    assert 8081 in entries(api)


def test_a_wait_for_an_operator_that_is_in_trouble_says_what_it_says():
    api = with_smcp([])
    api.after_write = lambda: None
    publish(api, [record("a", 8081)], gateways=[OF_SMCP])
    condition = {"type": "Reconciled", "status": "False", "reason": "ReconcileError", "message": "no rights"}
    api.objects[PLANE].shares[BY_HAND]["status"] = {"conditions": [condition, {"type": "Installed", "status": "True"}]}
    steps = [
        complete(step)
        for step in publication(wanted(ports=[record("a", 8081)], gateways=[OF_SMCP]), read(api))["steps"]
    ]
    assert wait_for(api, steps, 1) == (
        "Not ready after 1 s: ServiceMeshControlPlane gateways/basic: its Service edge does not have 8081 yet;"
        " Reconciled is False (ReconcileError: no rights)"
    )
    Operator(api)
    assert wait_for(api, steps, 1) == ""


def test_the_lease_is_held_also_where_only_the_control_plane_is_left_to_write():
    api = with_smcp([port(7000)])
    publish(api, [record("a", 8081)], gateways=[OF_SMCP])
    before = copy.deepcopy(api.objects[PLANE])
    withdraw(api)
    # As a removal leaves it that died before its last writes, but one.
    api.objects[PLANE] = before
    api.after_write()
    api.log.clear()
    assert withdraw(api) == ["change ServiceMeshControlPlane gateways/basic"]
    writes = [path.rsplit("/", 2)[-2] for method, path in api.log if method in ("POST", "PUT", "PATCH")]
    assert writes[0] == "leases"
    assert "servicemeshcontrolplanes" in writes


# adopt: true


def by_hand(*numbers: int) -> FakeApi:
    """Return a cluster with a gateway and what is published on it, all made by hand as the seed does."""
    api = theirs(*(port(number, number + 1000) for number in numbers))
    servers = [
        {"port": {"number": number, "name": f"x-{number}", "protocol": "TCP"}, "hosts": ["*"]} for number in numbers
    ]
    rules = [
        {"match": [{"port": number}], "route": [{"destination": {"host": BACKEND_HOST, "port": {"number": 9000}}}]}
        for number in numbers
    ]
    api.add(new_object("Gateway", "hand", "gateways", {}, spec={"selector": PODS, "servers": servers}))
    spec = {"hosts": ["*"], "gateways": ["hand"], "tcp": rules}
    api.add(new_object("VirtualService", "hand", "gateways", {}, spec=spec))
    return api


def test_a_gateway_made_by_hand_is_taken_over_only_where_its_record_says_so():
    api = by_hand(8081)
    assert refusal(api, [record("a", 8081)], gateways=[REFERENCE])[-1:] == ["GATEWAY_ADOPTABLE"]
    assert refusal(api, [record("a", 8081)], gateways=[EXISTING]) == ["PORT_ADOPTABLE"]


def test_an_adopted_gateway_keeps_its_pods_and_its_ports_and_is_given_back():
    api = by_hand(8081, 8082)
    records = [record("a", 8081), record("b", 8082), record("new", 8083)]
    changes = publish(api, records, gateways=[ADOPTED])
    assert changes[-2:] == ["remove Gateway gateways/hand", "remove VirtualService gateways/hand"]
    assert not any("Deployment" in change or "NetworkPolicy" in change for change in changes)
    assert ports_of(api) == {15021: 15021, 8081: 9081, 8082: 9082, 8083: 8083}
    names = {item["port"]: item["name"] for item in front(api)["spec"]["ports"]}
    assert names[8081] == port_name(8081, "default", "a")
    assert front(api)["spec"]["selector"] == PODS
    assert publish(api, records, gateways=[ADOPTED]) == []
    # Another set needs no word of it.
    publish(api, [record("theirs", 7001)], set_name="other", gateways=[REFERENCE])
    withdraw(api, "other")
    publish(api, [*records[1:], record("next", 8084)], gateways=[ADOPTED])
    assert sorted(ports_of(api)) == [8082, 8083, 8084, 15021]
    withdraw(api)
    assert ports_of(api) == {15021: 15021}
    make_gateways(api, [ADOPTED], gateways_state="absent")
    given = front(api)
    assert given["metadata"]["labels"] == {"team": "x"}
    assert not given["metadata"].get("annotations")
    assert given["spec"]["selector"] == PODS
