# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit as a whole, on a cluster with one of everything: its rows, findings, rights, pages and comparisons."""

from __future__ import annotations

import copy
import datetime

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _audit_read
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit import audit, failing
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_compare import compare
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_owner import owner_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_read import read_audit
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_records import adoption
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import gateway_selector
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.tests.unit.plugins import audit_builders as build

RABBIT, MYSQL = "rabbitmq.orders.svc.cluster.local", "mysql.shop.svc.cluster.local"


def audited(objects=None, **more):
    return audit(read_audit(build.PagedApi(objects or build.busy())), build.NOW, "prod", **more)


def codes(document):
    return [(item["code"], item["subject"]) for item in document["findings"]]


def test_every_way_in_with_its_owner_its_clients_and_where_it_breaks():
    rows = audited()["rows"]
    assert [
        (row["id"], row["door"], owner_text(row["owner"]), row["open_to"]["text"], row["broken_at"] or row["state"])
        for row in rows
    ] == [
        ("Gateway (Gateway API) shop/shared 5672 amqp", "GatewayAPI", "unknown", "whoever reaches it", "complete"),
        ("Gateway (Gateway API) shop/shared 5673 idle", "GatewayAPI", "unknown", "whoever reaches it", "route"),
        ("Service gateways/edge 2222", "LoadBalancer", "set default", "the whole internet", "backend"),
        ("Service gateways/edge 5432", "LoadBalancer", "set default", "192.0.2.0/24", "complete"),
        ("Service gateways/edge 15021", "LoadBalancer", "gateway edge", "the whole internet", "complete"),
        (
            "Service legacy/istio-ingressgateway 80",
            "LoadBalancer",
            "helm legacy/ingress",
            "the whole internet",
            "listener",
        ),
        (
            "Service legacy/istio-ingressgateway 3306",
            "LoadBalancer",
            "by hand (kubectl-client-side-apply)",
            "the whole internet",
            "backend",
        ),
        (
            "Service legacy/istio-ingressgateway 5671",
            "LoadBalancer",
            "argocd queues",
            "the whole internet",
            "complete",
        ),
        (
            "Service legacy/istio-ingressgateway 6000",
            "LoadBalancer",
            "helm legacy/ingress",
            "the whole internet",
            "listener",
        ),
        (
            "Service legacy/istio-ingressgateway 8443 db.example.com",
            "LoadBalancer",
            "unknown",
            "the whole internet",
            "complete",
        ),
        ("Service legacy/istio-ingressgateway 9092", "LoadBalancer", "by hand (oc)", "the whole internet", "route"),
        (
            "Service legacy/istio-ingressgateway 15021",
            "LoadBalancer",
            "helm legacy/ingress",
            "the whole internet",
            "complete",
        ),
        ("Service legacy/partner-lb 3306", "LoadBalancer", "unknown", "whoever reaches it", "address"),
        ("Service shop/game 7777", "LoadBalancer", "unknown", "whoever reaches it", "address"),
        ("Service shop/ledger 7000", "LoadBalancer", "flux flux/shop", "192.0.2.0/24", "complete"),
        ("Service shop/redis 30379", "NodePort", "unknown", "whoever reaches it", "complete"),
        (
            "Route orders/claimed 443 taken.apps.example.com",
            "Route",
            "unknown",
            "whoever reaches it",
            "address",
        ),
        ("Route orders/db-tls 443 db.apps.example.com", "Route", "unknown", "the whole internet", "complete"),
        ("Service files/syslog 514", "externalIPs", "unknown", "whoever reaches it", "complete"),
        ("Pods files/logger 24224", "hostPort", "workload DaemonSet logger", "whoever reaches it", "complete"),
        ("Gateway legacy/inner 7000", "inside", "unknown", "whoever reaches it", "complete"),
    ]


def test_what_a_row_says_of_its_chain():
    rows = build.ways(audited()["rows"])
    row = rows["Service legacy/istio-ingressgateway 5671"]
    assert row["addresses"] == ["8.8.4.4"]
    assert (row["gateway"], row["listener"]) == ("legacy/istio-ingressgateway", "legacy/queue")
    assert row["route"] == "legacy/queue tcp[0]"
    assert row["backends"] == [
        {"namespace": "orders", "service": "rabbitmq", "port": 5672, "subset": "", "ready": 2, "state": "ready"}
    ]
    # The Gateway API: of two TCPRoutes the older one counts, whichever comes first.
    row = rows["Gateway (Gateway API) shop/shared 5672 amqp"]
    assert (row["route"], row["since"]) == ("TCPRoute orders/early", "2026-10-02T08:00:00Z")
    assert [item["service"] for item in row["backends"]] == ["rabbitmq"]
    row = rows["Service shop/redis 30379"]
    assert (row["addresses"], row["service_port"]) == (["10.1.0.1", "10.1.0.2"], 6379)
    # A Service older than the Gateway was not open before that.
    assert rows["Service legacy/istio-ingressgateway 8443 db.example.com"]["since"] == "2026-10-02T08:00:00Z"


@pytest.mark.parametrize(
    ("namespace", "annotations", "more", "text"),
    [
        ("gateways", {}, {}, "nobody, a policy refuses all"),
        ("istio-system", {}, {}, "nobody, a policy refuses all"),
        ("shop", {}, {}, "the whole internet"),
        ("gateways", {"istio.io/dry-run": "true"}, {}, "the whole internet"),
        ("gateways", {}, {"targetRef": {"kind": "Gateway", "name": "edge"}}, "the whole internet"),
        ("gateways", {}, {"selector": {"matchLabels": {"app": "other"}}}, "the whole internet"),
    ],
)
def test_only_policies_that_are_in_force_for_the_pods_close_a_port(namespace, annotations, more, text):
    objects = build.busy()
    metadata = build.meta("closed", namespace, annotations=annotations)
    objects[_audit_read.POLICIES].append({"metadata": metadata, "spec": {"action": "DENY", "rules": [{}], **more}})
    rows = build.ways(audited(objects)["rows"])
    assert rows["Service gateways/edge 2222"]["open_to"]["text"] == text


def test_every_finding_with_its_subject():
    assert codes(audited()) == [
        ("BACKEND_DEAD", "Service files/sftp"),
        ("BACKEND_DEAD", "Service shop/game"),
        ("BACKEND_GONE", "Service shop/mysql"),
        ("ADDRESS_MISSING", "Service legacy/partner-lb"),
        ("ADDRESS_MISSING", "Service shop/game"),
        ("CERTIFICATE_EXPIRES", "Secret legacy/db-cert"),
        ("CLASH_ELSEWHERE", "Gateway shop/mysql-too (created 2026-10-05T08:00:00Z)"),
        ("LISTENER_WITHOUT_ROUTE", "Gateway (Gateway API) shop/shared"),
        ("LISTENER_WITHOUT_ROUTE", "Gateway legacy/empty"),
        ("OPEN_TO_WORLD", "Route orders/db-tls"),
        ("OPEN_TO_WORLD", "Service gateways/edge"),
        ("OPEN_TO_WORLD", "Service legacy/istio-ingressgateway"),
        ("PORT_TRANSLATED_TWICE", "gateway pods legacy/istio-ingressgateway"),
        ("ROUTE_NOT_ADMITTED", "Route orders/claimed"),
        ("ROUTE_WITHOUT_LISTENER", "VirtualService legacy/lost"),
        ("ROUTE_WITHOUT_LISTENER", "VirtualService legacy/stray"),
        ("SERVICE_PORT_WITHOUT_LISTENER", "Service legacy/istio-ingressgateway"),
        ("SET_DRIFT", f"VirtualService gateways/{build.set_objects()[1]['metadata']['name']}"),
        ("TCP_ROUTE_LOST", "TCPRoute orders/late"),
        ("LISTENER_UNREACHED", "Gateway legacy/inner"),
    ]


def test_findings_and_rows_name_each_other():
    document = audited()
    row = build.ways(document["rows"])["Service gateways/edge 2222"]
    assert row["findings"] == ["BACKEND_DEAD", "OPEN_TO_WORLD"]
    row = build.ways(document["rows"])["Service legacy/istio-ingressgateway 9092"]
    assert row["findings"] == ["LISTENER_WITHOUT_ROUTE", "OPEN_TO_WORLD"]
    dead = document["findings"][0]
    assert dead["rows"] == ["Service gateways/edge 2222"]
    assert dead["message"] == (
        "Service files/sftp: nothing behind its port 2222 is ready, and that is where these lead: "
        "Service gateways/edge port 2222."
    )


def test_reading_asks_by_pages_and_not_by_objects():
    def asked(count):
        objects = build.busy()
        numbers = range(20000, 20000 + count)
        objects[build.SERVICES] += [build.service(f"s{number}", "shop", build.port(number)) for number in numbers]
        objects[build.GATEWAYS] += [
            build.istio_gateway(f"g{number}", "legacy", build.INGRESS, number) for number in numbers
        ]
        api = build.PagedApi(objects)
        document = audit(read_audit(api), build.NOW)
        assert document["summary"]["doors"]["LoadBalancer"] == 13
        return dict(api.requests)

    few, many = asked(10), asked(1990)
    assert few == {"GET": 26}
    # 2,000 Services and 1,997 Gateways: three pages of 500 more of each.
    assert many == {"GET": 26 + 2 * 3}


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (_audit_read.ENDPOINT_SLICES, "whether backends have a ready endpoint"),
        (_audit_read.POLICIES, "whom AuthorizationPolicies let in"),
        (_audit_read.ROUTES, "passthrough Routes"),
        (_audit_read.NODES, "the nodes' addresses"),
        ("/apis/gateway.networking.k8s.io/v1/gateways", "what the Gateway API lets in"),
        ("/api/v1/namespaces/legacy/secrets", "when certificates there end"),
    ],
)
def test_what_there_is_no_right_to_is_told_and_not_guessed(path, told):
    api = build.PagedApi(build.busy())
    api.refused.add(path)
    document = audit(read_audit(api), build.NOW)
    assert any(item["code"] == "AUDIT_UNSEEN" and told in item["message"] for item in document["findings"])
    if path == _audit_read.ENDPOINT_SLICES:
        row = build.ways(document["rows"])["Service gateways/edge 2222"]
        assert (row["state"], row["backends"][0]["ready"]) == ("unseen", None)
    if path.endswith("secrets"):
        assert ("CERTIFICATE_UNSEEN", "cluster https://cluster.test:6443") in codes(document)


def test_a_cluster_without_a_mesh_is_audited_too():
    objects = {
        build.SERVICES: [build.service("game", "shop", build.port(7777), type="LoadBalancer", address="8.8.8.8")],
        _audit_read.ENDPOINT_SLICES: [],
    }
    api = build.PagedApi(objects, groups={})
    document = audit(read_audit(api), build.NOW)
    assert [(row["id"], row["broken_at"]) for row in document["rows"]] == [("Service shop/game 7777", "backend")]
    assert not [path for path in api.log if "istio" in path or "gateway.networking" in path or "route" in path]


@pytest.mark.parametrize(
    ("days", "code"),
    [(-1, "CERTIFICATE_EXPIRED"), (0, "CERTIFICATE_EXPIRES"), (29, "CERTIFICATE_EXPIRES"), (30, None)],
)
def test_a_certificate_is_told_before_it_ends(days, code):
    objects = build.busy()
    [secret] = objects["/api/v1/namespaces/legacy/secrets"]
    secret["data"]["tls.crt"] = build.certificate(days)
    found = [item for item, _subject in codes(audited(objects)) if item.startswith("CERTIFICATE")]
    assert found == ([code] if code else [])


def test_secrets_are_not_asked_for_where_that_is_not_wanted():
    api = build.PagedApi(build.busy())
    document = audit(read_audit(api, certificates=False), build.NOW)
    assert not [path for path in api.log if "secrets" in path]
    assert [item for item, _subject in codes(document) if item.startswith("CERTIFICATE")] == ["CERTIFICATE_UNSEEN"]


def test_keys_of_certificates_are_dropped():
    read = read_audit(build.PagedApi(build.busy()))
    assert "c2VjcmV0" not in str(read["secrets"])
    assert list(read["secrets"]) == [("legacy", "db-cert")]


def test_a_port_below_1024_on_pods_that_may_not_bind_it():
    objects = build.busy()
    for pod in objects[build.POD_PATH]:
        pod["metadata"]["annotations"]["proxy.istio.io/config"] = (
            '{"proxyMetadata": {"ISTIO_META_UNPRIVILEGED_POD": "true"}}'
        )
    objects[build.GATEWAYS].append(build.istio_gateway("mail", "legacy", build.INGRESS, 587))
    assert ("PORT_PRIVILEGED", "Gateway legacy/mail") in codes(audited(objects))


def test_a_load_balancer_near_its_limit():
    objects = build.busy()
    many = [build.port(number) for number in range(20000, 20048)]
    aws = {"annotations": {"service.beta.kubernetes.io/aws-load-balancer-type": "nlb"}}
    objects[build.SERVICES].append(build.service("wide", "shop", *many, type="LoadBalancer", metadata=aws))
    assert ("LB_LIMIT_NEAR", "Service shop/wide") in codes(audited(objects))


def test_the_nodes_tell_which_load_balancer_a_service_has():
    objects = build.busy()
    for node in objects[_audit_read.NODES]:
        node["spec"] = {"providerID": f"aws:///eu-west-1a/{node['metadata']['name']}"}
    many = [build.port(number) for number in range(20000, 20095)]
    objects[build.SERVICES].append(build.service("wide", "shop", *many, type="LoadBalancer"))
    [near] = [item for item in audited(objects)["findings"] if item["code"] == "LB_LIMIT_NEAR"]
    assert "95 listeners" in near["message"]
    assert "AWS Classic Load Balancer" in near["message"]


def test_a_hand_on_a_port_of_a_set_is_drift_and_a_hand_beside_it_is_none():
    objects = build.busy()
    front = objects[build.SERVICES][3]
    fields = front["metadata"]["managedFields"]
    fields.append(build.by("kubectl-edit", {"f:ports": {'k:{"port":9999,"protocol":"TCP"}': {"f:port": {}}}}))
    assert ("SET_DRIFT", "Service gateways/edge") not in codes(audited(objects))
    fields.append(build.by("kubectl-edit", {"f:ports": {'k:{"port":5432,"protocol":"TCP"}': {"f:targetPort": {}}}}))
    document = audited(objects)
    assert ("SET_DRIFT", "Service gateways/edge") in codes(document)
    [drift] = [
        item for item in document["findings"] if item["subject"] == "Service gateways/edge" and "DRIFT" in item["code"]
    ]
    assert "kubectl-edit changed spec.ports.[5432].targetPort" in drift["message"]


def declared(*records, **more):
    gateways = [{"name": "edge", "namespace": "gateways"}]
    return {
        "ports": list(records),
        "gateways": gateways,
        "set_name": "default",
        "cluster_domain": "cluster.local",
        **more,
    }


def record(name, port, namespace, service, behind):
    return {
        "name": name,
        "gateway": "edge",
        "port": port,
        "backend": {"namespace": namespace, "service": service, "port": behind},
    }


DB, DROP = record("orders-db", 5432, "orders", "postgres", 5432), record("file-drop", 2222, "files", "sftp", 2222)


@pytest.mark.parametrize(
    ("records", "says"),
    [
        ([DB, DROP], []),
        ([DB], ["port 2222 of gateway gateways/edge is published, but not declared"]),
        (
            [DB, DROP, record("q", 5999, "orders", "rabbitmq", 5672)],
            ["port 5999 of gateway gateways/edge is declared, but not published"],
        ),
        (
            [DB, record("file-drop", 2222, "orders", "rabbitmq", 5672)],
            ["port 2222 of gateway gateways/edge is published to another backend than declared"],
        ),
        (
            [record("orders-db", 70000, "orders", "postgres", 5432)],
            ["its records are refused as the cluster is now (PORT_OUT_OF_RANGE), so they were not compared"],
        ),
    ],
)
def test_a_set_is_held_against_its_inventory(records, says):
    document = audited(declared=declared(*records))
    found = [item["message"] for item in document["findings"] if item["code"] == "SET_DIFFERS"]
    assert found == [f"set 'default': {text}." for text in says]


def test_what_came_went_and_changed():
    before = audited()
    objects = build.busy()
    services = objects[build.SERVICES]
    services[:] = [item for item in services if item["metadata"]["name"] != "redis"]
    services.append(build.service("new", "shop", build.port(1234), type="LoadBalancer", address="10.0.0.1"))
    objects[_audit_read.ENDPOINT_SLICES] += build.slices(services[1])
    after = audited(objects)
    found = compare(before, after)
    assert (found["came"], found["went"]) == (["Service shop/new 1234"], ["Service shop/redis 30379"])
    assert found["changed"] == [
        {"id": "Service gateways/edge 2222", "what": "state", "before": "broken", "after": "complete"}
    ]
    assert [text.partition(":")[0] for text in found["findings"]["gone"]] == ["Service files/sftp"]
    again = compare(after, copy.deepcopy(after))
    assert (again["came"], again["went"], again["changed"]) == ([], [], [])


def test_what_an_audit_fails_for():
    findings = audited()["findings"]
    assert len(failing(findings, ["error"])) == 3
    assert len(failing(findings, ["warning"])) == len(findings) - 1
    assert len(failing(findings, ["note"])) == len(findings)
    assert {item["code"] for item in failing(findings, ["SET_DRIFT", "BACKEND_GONE"])} == {"SET_DRIFT", "BACKEND_GONE"}
    assert failing(findings, []) == []


def hand_made(*, ours):
    """Return a cluster where somebody published two ports by hand, on a gateway of ours or on one of their own."""
    objects = build.busy()
    selector = gateway_selector("edge", "gateways") if ours else build.INGRESS
    namespace = "gateways" if ours else "legacy"
    objects[build.GATEWAYS] = [
        build.istio_gateway("amqp", namespace, selector, 5671, managedFields=[build.by("kubectl-edit")]),
        build.istio_gateway("two", namespace, selector, 9092),
    ]
    objects[build.VIRTUAL_SERVICES] = [
        build.routes("amqp", namespace, "amqp", (5671, RABBIT, 5672)),
        build.routes("two", namespace, "two", (9092, RABBIT, 5672)),
    ]
    [rule] = objects[build.VIRTUAL_SERVICES][1]["spec"]["tcp"]
    rule["route"] = [{**rule["route"][0], "weight": 50}] * 2
    if ours:
        front = build.set_front()
        front["spec"]["ports"] += [build.port(5671), build.port(9092)]
        objects[build.SERVICES][3] = front
    return objects


def test_records_for_adoption_are_taken_by_the_planner():
    read = read_audit(build.PagedApi(hand_made(ours=True)))
    document = audit(read, build.NOW)
    records = adoption(document["rows"], read["state"]["services"])
    assert records["tcp_gateways"] == [{"name": "edge", "namespace": "gateways"}]
    assert [item["why"] for item in records["left_out"]] == ["it has 2 destinations"]
    mapped = port_map(records["tcp_ports"], records["tcp_gateways"], read["state"])
    assert [item for item in mapped["findings"] if item["severity"] == "error"] == []
    [port] = mapped["ports"]
    assert (port["name"], port["port"], port["backend"]["service"]) == ("rabbitmq-5671", 5671, "rabbitmq")
    assert port["adopts"]["gateway"] == ("gateways", "amqp")


def test_records_of_somebody_else_s_gateway_say_whose_it_is():
    read = read_audit(build.PagedApi(hand_made(ours=False)))
    records = adoption(audit(read, build.NOW)["rows"], read["state"]["services"])
    existing = {"name": "istio-ingressgateway", "namespace": "legacy", "owner": "existing"}
    assert records["tcp_gateways"] == [existing]
    assert [item["name"] for item in records["tcp_ports"]] == ["rabbitmq-5671"]


def test_the_time_of_reading_is_part_of_the_document():
    document = audit(read_audit(build.PagedApi(build.busy())), build.NOW + datetime.timedelta(days=1))
    assert document["taken"] == "2026-11-22T15:00:00Z"
