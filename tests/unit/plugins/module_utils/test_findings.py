# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue: every code is provoked here once, and its whole text compared."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _apply
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._failure import explain
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import CATALOGUE, errors, finding, render
from ansible_collections.servicemesh.tcp.plugins.module_utils._plan import exposure_plan, gateway_plan, withdrawal_plan
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import (
    EDGE,
    EDGE_REFERENCE,
    deployment,
    front,
    istio_gateway,
    owned_front,
    record,
    service,
    service_port,
    state,
    workload,
)
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi
from ansible_collections.servicemesh.tcp.tests.unit.plugins.whole_runs import as_options

MESH = state()["mesh"]
OURS = {"app.kubernetes.io/managed-by": "servicemesh.tcp"}
DATES = [f"2026-0{month}-01T00:00:00Z" for month in (1, 2, 3)]
OLD = istio_gateway(("x", 7001), set_name="team-b", created=DATES[0])
YOUNG = istio_gateway(("x", 7001), name="young", labels={}, created=DATES[2])
ROLE = new_object("Namespace", "apps", None, OURS)


def mapped(*records, gateways=(EDGE,), cluster=None, **arguments):
    """Provoke findings of the planner."""
    return port_map(records, gateways, state() if cluster is None else cluster, **arguments)["findings"]


def explained(status, message):
    """Provoke what a module says when the API server does not let it in."""
    return explain(ApiError(status, "", message, "GET", "/version"))["findings"]


def refused(step, prepare):
    """Provoke what a dry run brings."""
    api = FakeApi()
    prepare(api)
    with pytest.raises(_apply.Refused) as caught:
        _apply.plan(api, as_options([step]), lenient=False)
    return caught.value.findings


def forbidden(api):
    """Refuse the right to write."""
    api.refuse("PATCH", ROLE, 403, "Forbidden", 'namespaces "apps" is forbidden')


def two_owners(api):
    """Let somebody else own a field that is applied."""
    api.add(new_object("Namespace", "apps", None, {**OURS, "team": "x"}), manager="team-x")


def others_inside(api):
    """Let somebody else's pod live in a namespace of ours."""
    api.add(ROLE)
    api.add(new_object("Pod", "intruder", "apps", {}))


TEXTS = {
    "BACKEND_MISSING": (
        lambda: mapped(record(backend={"namespace": "apps", "service": "ecko", "port": 9000})),
        "record 'a': there is no Service 'ecko' in namespace 'apps'."
        " Create the Service, or mend the record's backend. (did you mean 'echo'?)",
    ),
    "BACKEND_PORT_MISSING": (
        lambda: mapped(record(backend={"namespace": "apps", "service": "echo", "port": 1})),
        "record 'a': Service apps/echo has no TCP port 1; it has 9000."
        " Use one of the Service's own ports (not the pods' target port) as backend.port.",
    ),
    "CLASH_ELSEWHERE": (
        lambda: mapped(cluster=state(gateways=[OLD, YOUNG], workloads=[workload()])),
        "Gateway gateways/young (created 2026-03-01T00:00:00Z): its server on 7001 gets no listener on the pods of"
        " gateways/edge, because set 'team-b' (Gateway gateways/edge-team-b-7861013b, created 2026-01-01T00:00:00Z) is"
        " older and has the port. Tell its owner, Istio does not; this run touches neither of the two.",
    ),
    "CLUSTER_UNREACHABLE": (
        lambda: explained(0, "connection refused"),
        "cluster: the API server does not answer: connection refused."
        " Check tcp_kubeconfig, tcp_context and tcp_host (or K8S_AUTH_*), and that this machine reaches that address.",
    ),
    "FIELD_CONFLICT": (
        lambda: refused({"object": new_object("Namespace", "apps", None, {"team": "y"})}, two_owners),
        'Namespace apps: Apply failed with 1 conflict: conflict with "team-x": .metadata.labels.team.'
        " Somebody else owns that field. Let them give it up, or choose another port or name; nothing was forced.",
    ),
    "FORBIDDEN": (
        lambda: refused({"object": ROLE}, forbidden),
        'Namespace apps: the API server refuses to write: namespaces "apps" is forbidden.'
        " Grant the right; docs/rbac.yaml holds all that this collection needs.",
    ),
    "GATEWAY_DEFINED_ELSEWHERE": (
        lambda: mapped(cluster=state(deployments=[deployment("other")])),
        "gateway 'edge': the gateway was defined by set 'other'; set 'default' may not define it again."
        " Refer to it by name and namespace only, or change it in set 'other'.",
    ),
    "GATEWAY_IN_USE": (
        lambda: gateway_plan([EDGE], state(owned_front(("a", 8081))), gateways_state="absent")["findings"],
        "gateway 'edge': the gateway still carries ports of set 'default'."
        " Withdraw those first; a gateway that others publish on is not deleted.",
    ),
    "GATEWAY_MISSING": (
        lambda: mapped(gateways=[EDGE_REFERENCE]),
        "gateway 'edge': there is no front Service gateways/edge, so there is no such gateway to publish on."
        " Define the gateway (service, replicas, ...) in one inventory and run role gateways, or mend its name.",
    ),
    "GATEWAY_UNKNOWN": (
        lambda: mapped(record(gateway="egde")),
        "record 'a': gateway 'egde' is not defined; defined are edge."
        " Add it to tcp_gateways, or mend the record's gateway. (did you mean 'edge'?)",
    ),
    "KEY_NOT_BUILT": (
        lambda: mapped(record(hosts=["a"])),
        "record 'a': 'hosts' is a key of the design, but this version of the collection does not build it yet."
        " Leave it out, or use a version that lists it in its changelog.",
    ),
    "KEY_UNKNOWN": (
        lambda: mapped(record(prot="tcp")),
        "record 'a': 'prot' is not a known key; did you mean 'port'? Mend the spelling, or take the key out.",
    ),
    "MESH_UNSEEN": (
        lambda: mapped(cluster=state(mesh={**MESH, "unread": ["/api/v1/pods"]})),
        "cluster https://cluster.test:6443: there is no right to read /api/v1/pods, so who gets in whose way there is"
        " not seen. Grant the right; docs/rbac.yaml holds all that this collection needs.",
    ),
    "NAMESPACE_IN_USE": (
        lambda: refused({"state": "absent", "object": ROLE}, others_inside),
        "Namespace apps: the namespace was made by this collection, but others use it by now: Pod intruder."
        " Move those away, or remove the namespace by hand.",
    ),
    "NAMESPACE_MISSING": (
        lambda: mapped(cluster=state(namespaces={})),
        "gateway 'edge': namespace 'gateways' does not exist, and this run was not asked to make it."
        " Create it, or set tcp_namespace_state to 'present'.",
    ),
    "NAME_TAKEN": (
        lambda: mapped(record("a", 1), record("a", 2)),
        "record 'a': the name 'a' is used 2 times. Names are unique: a record's name is unique in its set.",
    ),
    "NODE_PORT_TAKEN": (
        lambda: mapped(
            record(node_port=30001), cluster=state(service("x", "apps", [service_port(80, node_port=30001)]))
        ),
        "record 'a': node port 30001 is already held by Service apps/x port 80."
        " Choose another node_port, or leave it out and let Kubernetes choose.",
    ),
    "NOT_OURS": (
        lambda: mapped(cluster=state(front(labels={}))),
        "gateway 'edge': Service gateways/edge exists and was not made by this collection"
        " (no label app.kubernetes.io/managed-by=servicemesh.tcp)."
        " Rename the gateway or the set, or remove that object by hand. Taking it over is not built yet.",
    ),
    "NO_ISTIO": (
        lambda: mapped(cluster=state(mesh={**MESH, "served": False})),
        "cluster https://cluster.test:6443: there is no Istio on this cluster: its API server does not know"
        " networking.istio.io/v1beta1."
        " Install a mesh first; the collection needs networking.istio.io/v1beta1 and a running istiod.",
    ),
    "PORT_KILLS": (
        lambda: mapped(
            record("b", 7001), cluster=state(gateways=[YOUNG, istio_gateway(("a", 8081), created=DATES[1])])
        ),
        "record 'b': port 7001 on gateway edge is served by Gateway gateways/young (created 2026-03-01T00:00:00Z);"
        " set 'default' (Gateway gateways/edge-default-a57d233a, created 2026-02-01T00:00:00Z) is older, so Istio would"
        " drop theirs without a word. Choose another port, or let its owner give it up first.",
    ),
    "PORT_OUT_OF_RANGE": (
        lambda: mapped(record(port=70000)),
        "record 'a': port 70000 is out of range; allowed is 1 to 65535. Choose a port within the range.",
    ),
    "PORT_RESERVED": (
        lambda: mapped(record(port=15021)),
        "record 'a': port 15021 lies within 15000-15099, which Istio's proxy keeps for itself (15021 is its health"
        " port). Choose another port.",
    ),
    "PORT_TAKEN": (
        lambda: mapped(record("a"), record("b")),
        "record 'b': port 8081 on gateway edge is already held by record 'a' of the same set."
        " Choose another port: Istio would drop the later of the two without a word.",
    ),
    "REVISION_UNCLEAR": (
        lambda: mapped(cluster=state(mesh={**MESH, "revisions": ["v1", "v2"]})),
        "gateway 'edge': the cluster has several mesh revisions (v1, v2) and none is the default."
        " Name one in the gateway's 'mesh'.",
    ),
    "REVISION_UNKNOWN": (
        lambda: mapped(gateways=[{**EDGE, "mesh": "v9"}]),
        "gateway 'edge': the mesh has no revision 'v9'; it has default. Mend the gateway's 'mesh', or leave it out.",
    ),
    "SET_SHRINKS": (
        lambda: exposure_plan({"ports": [], "findings": []}, state(owned_front(("a", 8081))))["findings"],
        "set 'default': this run would withdraw 1 of the 1 ports of the set (8081), and it declares no port at all."
        " If that is meant, name the records in tcp_allow_withdraw, or set it to 'all'.",
    ),
    "UNAUTHENTICATED": (
        lambda: explained(401, "Unauthorized"),
        "cluster: the API server does not take the credential: Unauthorized."
        " Check tcp_kubeconfig or tcp_api_key (or K8S_AUTH_*); a token may have expired.",
    ),
    "VALUE_INVALID": (
        lambda: mapped(record(port="http")),
        "record 'a': port: 'http' is not valid; a port is a whole number. Mend the value.",
    ),
    "WITHDRAW_UNKNOWN": (
        lambda: withdrawal_plan(state(), names=["a"])["findings"],
        "set 'default': the set has no record 'a' on the cluster."
        " Nothing to do; check the spelling if it should have been there.",
    ),
}


@pytest.mark.parametrize("code", TEXTS)
def test_the_whole_text_of_a_finding(code):
    provoke, text = TEXTS[code]
    assert render(provoke()) == f"{code} {text}"


def test_every_code_is_provoked():
    assert set(TEXTS) == set(CATALOGUE)


def test_a_code_keeps_its_severity():
    others = {code: rule.severity for code, rule in CATALOGUE.items() if rule.severity != "error"}
    assert others == {"CLASH_ELSEWHERE": "warning", "MESH_UNSEEN": "note", "WITHDRAW_UNKNOWN": "warning"}
    warning = finding("WITHDRAW_UNKNOWN", "set 'a'", name="b")
    error = finding("NAME_TAKEN", "record 'a'", name="a", times=2, scope="x")
    assert errors([warning, error]) == [error]


def test_values_with_braces_are_shown_as_they_are():
    found = finding("VALUE_INVALID", "record '{x}'", key="{key}", value={"a": 1}, rule="{rule}")
    assert found["message"] == "record '{x}': {key}: {'a': 1} is not valid; {rule}."


@pytest.mark.parametrize("end", [".", "?", "!"])
def test_a_sentence_that_has_an_end_gets_no_other(end):
    assert finding("FIELD_CONFLICT", "Service a/b", message=f"no{end}")["message"] == f"Service a/b: no{end}"


def test_findings_are_rendered_one_a_line():
    found = [finding("WITHDRAW_UNKNOWN", "set 'a'", name=name) for name in ("x", "y")]
    assert len(render(found).splitlines()) == 2
    assert render([]) == ""
