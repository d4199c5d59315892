# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS records: what is refused, and whole runs of sets that share a port by name, held against the model of Istio."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _apply, _tls
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_declared import differences
from ansible_collections.servicemesh.tcp.plugins.module_utils._hops_case import Case, Facts
from ansible_collections.servicemesh.tcp.plugins.module_utils._hops_gateway import gateway_server, listener
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio import listener_tables
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import object_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import set_object_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._plan import withdrawal_plan
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.plugins.module_utils._records import read_records
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls_objects import same_tls
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.plugins.modules import mesh_state
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import BACKEND, EDGE, messages, record, workload
from ansible_collections.servicemesh.tcp.tests.unit.plugins.certificates import secret
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi
from ansible_collections.servicemesh.tcp.tests.unit.plugins.whole_runs import (
    make_gateways,
    mesh_cluster,
    publish,
    withdraw,
)

INVALID = "VALUE_INVALID record 'a': "
MAIN = set_object_name("edge", "default")
PORT = 8443


def passed(name: str, *hosts: str, port: int = PORT, **more: Any) -> dict[str, Any]:
    """Return a record whose TLS the backend ends."""
    return record(name, port, protocol="tls", hosts=list(hosts), **more)


def ended(name: str, *hosts: str, secret: str = "cert", **more: Any) -> dict[str, Any]:
    """Return a record whose TLS the gateway ends."""
    tls = {"mode": "terminate", "secret": secret}
    return record(name, PORT, protocol="tls", tls=tls, **({"hosts": list(hosts)} if hosts else {}), **more)


def tls_cluster() -> FakeApi:
    """Return a cluster with two backends beside the usual one, and a certificate."""
    api = mesh_cluster()
    api.add(secret("cert", "gateways", "*.example.com"))
    for name in ("db", "queue"):
        api.add(new_object("Service", name, "apps", {}, spec={"ports": [{"port": 9000, "protocol": "TCP"}]}))
    return api


def to(service: str) -> dict[str, Any]:
    """Return another backend than the usual one."""
    return {**BACKEND, "service": service}


def state_of(api: FakeApi) -> dict[str, Any]:
    """Return what is on a cluster, with the gateway's pods."""
    return {**mesh_state.read(api), "workloads": [workload()]}


def routes(api: FakeApi) -> dict[str, str]:
    """Return where the model of Istio leads each name of the port, and nothing where it drops anything."""
    found = listener_tables(state_of(api))
    if found["lost"]:
        return {"lost": str(found["lost"])}
    return {
        name: row["clusters"][0].split("|")[3].split(".")[0]
        for row in found["tables"]["gateways/edge"]
        for name in row["sni"] or [row["number"]]
    }


def rule_objects(api: FakeApi) -> list[str]:
    """Return the names of the VirtualServices, shortened."""
    items = mesh_state.read(api)["virtual_services"]
    return sorted(item["name"].replace(set_object_name("edge", "default"), "main") for item in items)


# What a record may say


def test_defaults_of_a_name_that_is_passed_through():
    (found,), findings = read_records([passed("a", "a.example.com", "*.b.example.com")])
    assert findings == []
    assert found["tls"] == {
        "mode": "passthrough",
        "hosts": ["a.example.com", "*.b.example.com"],
        "secret": None,
        "ca": None,
        "min_version": None,
    }
    assert found["probe"] == {"mode": "tls", "sni": "a.example.com", "timeout": 5}


def test_where_the_gateway_ends_tls_a_handshake_proves_nothing():
    (found,), findings = read_records([ended("a", "*.example.com")])
    assert findings == []
    assert found["probe"] == {"mode": "connect", "tls": True, "sni": "tcp-probe.example.com", "timeout": 5}
    (found,), findings = read_records([ended("a", probe={"send": "x"})])
    assert findings == []
    assert found["tls"]["hosts"] == ["*"]
    assert found["probe"] == {"mode": "send", "tls": True, "send": "x", "timeout": 5}


HOST_RULE = "it must be a host name of two labels or more in lower case, such as db.example.com or *.example.com"
REFUSED = [
    (passed("a"), "hosts: [] is not valid; TLS is told apart by the names that clients ask for; give at least one."),
    *(
        (passed("a", bad), f"hosts: {bad!r} is not valid; {HOST_RULE}.")
        for bad in ("*", "db", "A.example.com", "a.*.com", "*a.example.com", "a..b", f"{'a' * 64}.com")
    ),
    (record(hosts=["a.b"]), "hosts: ['a.b'] is not valid; it needs protocol: tls or http."),
    (record(tls={}), "tls: {} is not valid; it needs protocol: tls."),
    (
        passed("a", "a.b", port="auto"),
        "port: 'auto' is not valid; records share a port of TLS by their names, so each has to say which.",
    ),
    (
        passed("a", "a.b", tls={"secret": "x"}),
        "tls.secret: 'x' is not valid; with mode passthrough the backend shows its own certificate.",
    ),
    (
        passed("a", "a.b", tls={"min_version": "1.2"}),
        "tls.min_version: '1.2' is not valid; with mode passthrough the backend decides.",
    ),
    (
        passed("a", "a.b", tls={"mode": "terminate"}),
        "tls.secret: None is not valid; it must be the name of a Secret in the gateway's namespace.",
    ),
    (
        passed("a", "a.b", tls={"mode": "terminate", "secret": "x", "min_version": 1.1}),
        "tls.min_version: 1.1 is not valid; it must be one of 1.2, 1.3.",
    ),
    (
        passed("a", "a.b", tls={"mode": "terminate", "secret": "x", "ca": "x"}),
        "tls.ca: 'x' is not valid; it is used with mode mutual only.",
    ),
    (
        passed("a", "a.b", tls={"mode": "mutual", "secret": "x", "ca": "y"}, probe={"mode": "none"}),
        "tls.ca: 'y' is not valid; Istio looks in Secret x and Secret x-cacert only.",
    ),
    (
        passed("a", "a.b", tls={"mode": "mutual", "secret": "x"}),
        "probe.cert: None is not valid; the gateway wants a certificate of every client, of the prober too; give cert"
        " and key, or mode none.",
    ),
    (
        passed("a", "a.b", tls={"mode": "terminate", "secret": "x"}, probe={"mode": "tls"}),
        "probe.mode: 'tls' is not valid; with tls.mode 'terminate' it proves the gateway, which ends TLS, and not the"
        " backend; use send, banner or connect.",
    ),
    (
        passed("a", "a.b", tls={"mode": "terminate", "secret": "x"}, probe={"mode": "postgres"}),
        "probe.mode: 'postgres' is not valid; with tls.mode 'terminate' it is not spoken within TLS; use send, banner"
        " or connect.",
    ),
]


@pytest.mark.parametrize(("raw", "said"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be(raw, said):
    records, findings = read_records([raw])
    assert records == []
    assert messages(findings) == [INVALID + said]


@pytest.mark.parametrize(
    ("change", "protocol", "seen"),
    [
        ({"backend": {**BACKEND, "port": 5432}}, "PostgreSQL", "backend port 5432"),
        ({"backend": {**BACKEND, "port": 389}}, "LDAP", "backend port 389"),
        ({"probe": {"mode": "smtp"}}, "SMTP", "probe.mode 'smtp'"),
        ({"probe": {"mode": "mysql"}}, "MySQL", "probe.mode 'mysql'"),
    ],
)
def test_protocols_that_ask_for_tls_later_are_not_told_apart_by_name(change, protocol, seen):
    records, findings = read_records([passed("a", "a.example.com", **change)])
    assert records == []
    assert [item["code"] for item in findings] == ["SNI_STARTTLS"]
    assert f"a client of {protocol} ({seen}) begins in plain words" in findings[0]["message"]


@pytest.mark.parametrize(
    "raw",
    [
        # PostgreSQL 17 with sslnegotiation=direct: the proof tries it.
        passed("a", "a.example.com", backend={**BACKEND, "port": 5432}, probe={"mode": "tls"}),
        # Behind stunnel.
        ended("a", "a.example.com", backend={**BACKEND, "port": 5432}),
        passed("a", "a.example.com", backend={**BACKEND, "port": 636}),
    ],
)
def test_protocols_that_speak_tls_at_once(raw):
    assert read_records([raw])[1] == []


def test_a_wildcard_takes_any_number_of_labels():
    assert _tls.wildcards_of("x.a.b") == ["*.a.b", "*.b", "*"]
    assert _tls.wildcards_of("*.a.b") == ["*.b", "*"]
    assert _tls.wildcards_of("*") == []


# Whole runs


def test_many_names_on_one_port_lead_each_to_its_backend():
    api = tls_cluster()
    records = [
        record("plain", 8080),
        passed("a", "a.example.com", "*.wild.example.com"),
        passed("b", "b.example.com", "x.wild.example.com", backend=to("db")),
        ended("c", "c.example.com", backend=to("queue")),
        ended("d", "d.example.com", backend=to("db")),
    ]
    publish(api, records)
    assert routes(api) == {
        8080: "echo",
        "a.example.com": "echo",
        "*.wild.example.com": "echo",
        "b.example.com": "db",
        "x.wild.example.com": "db",
        "c.example.com": "queue",
        "d.example.com": "db",
    }
    servers = api.object("Gateway", MAIN, "gateways")["spec"]["servers"]
    assert [(item["port"]["name"].split("-")[:2], item["tls"]) for item in servers if "tls" in item] == [
        (["tls", "8443"], {"mode": "PASSTHROUGH"}),
        (["tls", "8443"], {"mode": "SIMPLE", "credentialName": "cert"}),
        (["tls", "8443"], {"mode": "SIMPLE", "credentialName": "cert"}),
    ]
    ports = api.object("Service", "edge", "gateways")["spec"]["ports"]
    assert [item["port"] for item in ports if item["name"] == "tls-8443"] == [PORT]
    # What was written is read back as it was asked for, and nothing is written twice.
    mapped = port_map(records, [EDGE], state_of(api))
    there = {item["hash"]: item for item in View(state_of(api)).listeners("default")}
    assert all(same_tls(item["tls"], there[item["hash"]].get("tls")) for item in mapped["ports"])
    assert publish(api, records) == []


def test_only_names_for_which_the_gateway_ends_tls_need_no_common_rules():
    api = tls_cluster()
    publish(api, [ended("c", "c.example.com"), ended("d", "d.example.com", backend=to("db"))])
    assert routes(api) == {"c.example.com": "echo", "d.example.com": "db"}
    assert len(rule_objects(api)) == 2
    assert "main" not in rule_objects(api)
    # One turns into the other: its own VirtualService goes, the common one comes, and is left at the end.
    publish(api, [passed("c", "c.example.com"), ended("d", "d.example.com", backend=to("db"))])
    assert routes(api) == {"c.example.com": "echo", "d.example.com": "db"}
    assert len(rule_objects(api)) == 2
    publish(api, [passed("c", "c.example.com"), passed("d", "d.example.com", backend=to("db"))])
    assert rule_objects(api) == ["main"]
    assert routes(api) == {"c.example.com": "echo", "d.example.com": "db"}


def test_a_certificate_for_whatever_name():
    api = tls_cluster()
    publish(api, [ended("c"), record("plain", 8080)])
    assert routes(api) == {"*": "echo", 8080: "echo"}


def test_withdrawing_one_name_leaves_the_others():
    api = tls_cluster()
    publish(api, [passed("a", "a.example.com"), passed("b", "b.example.com"), ended("c", "c.example.com")])
    withdraw(api, names=["b"])
    assert routes(api) == {"a.example.com": "echo", "c.example.com": "echo"}
    withdraw(api, names=["c"])
    assert routes(api) == {"a.example.com": "echo"}
    assert rule_objects(api) == ["main"]
    withdraw(api)
    left = mesh_state.read(api)
    assert (left["gateways"], left["virtual_services"]) == ([], [])
    assert [item["port"] for item in api.object("Service", "edge", "gateways")["spec"]["ports"]] == [15021]


def test_a_run_without_pruning_keeps_names_and_their_claims():
    api = tls_cluster()
    publish(api, [passed("a", "a.example.com"), ended("c", "c.example.com")])
    publish(api, [passed("b", "b.example.com", backend=to("db"))], prune=False)
    assert routes(api) == {"a.example.com": "echo", "c.example.com": "echo", "b.example.com": "db"}
    with pytest.raises(_apply.Refused) as refused:
        publish(api, [passed("d", "*.example.com")], prune=False)
    assert {item["code"] for item in refused.value.findings} == {"SNI_TAKEN"}
    assert "a record that this run keeps" in str(refused.value.findings)


def test_two_sets_share_a_port_and_leave_it_one_by_one():
    api = tls_cluster()
    publish(api, [passed("a", "a.example.com"), ended("c", "c.example.com")])
    target = api.object("Service", "edge", "gateways")["spec"]["ports"][-1]["targetPort"]
    assert publish(api, [passed("b", "b.example.com", backend=to("db"))], set_name="other")
    assert publish(api, [passed("b", "b.example.com", backend=to("db"))], set_name="other") == []
    assert routes(api) == {"a.example.com": "echo", "c.example.com": "echo", "b.example.com": "db"}
    assert publish(api, [passed("a", "a.example.com"), ended("c", "c.example.com")]) == []
    withdraw(api)
    assert routes(api) == {"b.example.com": "db"}
    (port,) = [item for item in api.object("Service", "edge", "gateways")["spec"]["ports"] if item["port"] == PORT]
    assert (port["name"], port["targetPort"]) == ("tls-8443", target)
    withdraw(api, "other")
    assert [item["port"] for item in api.object("Service", "edge", "gateways")["spec"]["ports"]] == [15021]


def test_who_leaves_a_shared_port_waits_for_nobody():
    api = tls_cluster()
    publish(api, [passed("a", "a.example.com")])
    publish(api, [passed("b", "b.example.com")], set_name="other")
    plan = withdrawal_plan(state_of(api))
    assert [step.get("drain", []) for step in plan["steps"] if step["object"]["kind"] == "Service"] == [[]]
    # The port goes on answering for the other set's name, so nobody is to find it closed.
    assert plan["closed"] == []
    withdraw(api)
    publish(api, [passed("b", "b.example.com"), passed("c", "c.example.com")], set_name="other")
    assert [item["port"] for item in withdrawal_plan(state_of(api), "other")["closed"]] == [PORT]
    (share,) = [
        step for step in withdrawal_plan(state_of(api), "other")["steps"] if step["object"]["kind"] == "Service"
    ]
    assert share["drain"] == [PORT]


def test_a_shared_port_stays_on_the_front_service_that_has_it():
    gateway = {**EDGE, "service": {"type": "LoadBalancer", "max_ports": 2}}
    api = tls_cluster()
    make_gateways(api, [gateway])
    publish(api, [record("plain", 8080), passed("a", "a.example.com")], gateways=[gateway])
    assert [item["port"] for item in api.object("Service", "edge-2", "gateways")["spec"]["ports"]] == [15021, PORT]
    withdraw(api, names=["plain"])
    assert publish(api, [passed("b", "b.example.com")], set_name="other")
    assert [item["port"] for item in api.object("Service", "edge", "gateways")["spec"]["ports"]] == [15021]
    assert routes(api) == {"a.example.com": "echo", "b.example.com": "echo"}


def test_names_of_another_set_are_not_taken_not_even_in_part():
    api = tls_cluster()
    publish(api, [passed("a", "a.example.com", "*.wild.example.com")])
    for name, met in (
        ("a.example.com", "a.example.com"),
        ("*.example.com", "a.example.com"),
        ("x.wild.example.com", "*.wild.example.com"),
    ):
        with pytest.raises(_apply.Refused) as refused:
            publish(api, [passed("b", name)], set_name="other")
        (found,) = refused.value.findings
        assert found["code"] == "SNI_TAKEN"
        assert f"the name '{name}' on port 8443 of gateway edge meets '{met}', which set 'default'" in found["message"]
    # Plain TCP on a port of names, and names on a plain port.
    for mine in (record("b", PORT), passed("b", "b.example.com", port=PORT, target_port=9999)):
        with pytest.raises(_apply.Refused) as refused:
            publish(api, [mine], set_name="other")
        assert [item["code"] for item in refused.value.findings] == ["PORT_TAKEN"]
    publish(api, [record("p", 8080)], set_name="third")
    with pytest.raises(_apply.Refused) as refused:
        publish(api, [passed("b", "b.example.com", port=8080)], set_name="other")
    assert [item["code"] for item in refused.value.findings] == ["PORT_TAKEN"]


def test_clashes_within_a_set():
    def codes(*records):
        found = port_map(list(records), [EDGE])["findings"]
        return [(item["code"], item["subject"]) for item in found]

    a = passed("a", "a.example.com")
    assert codes(a, passed("b", "b.example.com")) == []
    assert codes(a, passed("b", "*.example.com")) == []
    assert codes(a, passed("b", "a.example.com", port=8444)) == []
    assert codes(a, passed("b", "a.example.com")) == [("SNI_TAKEN", "record 'b'")]
    assert codes(a, ended("b", "a.example.com")) == [("SNI_TAKEN", "record 'b'")]
    assert codes(ended("a", "a.example.com"), ended("b", "*.example.com")) == [("SNI_OVERLAP", "record 'a'")]
    assert codes(ended("a", "a.example.com"), ended("b")) == [("SNI_OVERLAP", "record 'a'")]
    assert codes(ended("a", "a.example.com"), passed("b", "*.example.com")) == []
    assert codes(a, record("b", PORT)) == [("PORT_TAKEN", "record 'b'")]


def test_a_strangers_names_on_a_port_that_he_lends():
    """A TLS server of somebody else's on his own front Service: further names may join it, his own may not be taken."""
    api = mesh_cluster()
    selector = {"istio": "theirs"}
    port = {"name": "https", "port": 443, "targetPort": 8443, "protocol": "TCP"}
    api.add(new_object("Service", "theirs", "apps", {}, spec={"selector": selector, "ports": [port]}))
    server = {
        "port": {"number": 443, "name": "https", "protocol": "HTTPS"},
        "hosts": ["shop.example.com"],
        "tls": {"mode": "SIMPLE", "credentialName": "shop"},
    }
    api.add(new_object("Gateway", "shop", "apps", {}, spec={"selector": selector, "servers": [server]}))
    gateways = [{"name": "theirs", "namespace": "apps", "owner": "existing"}]
    mine = record("a", 443, gateway="theirs", protocol="tls", hosts=["db.example.com"])
    assert publish(api, [mine], gateways=gateways)
    assert publish(api, [mine], gateways=gateways) == []
    with pytest.raises(_apply.Refused) as refused:
        publish(api, [{**mine, "hosts": ["shop.example.com"]}], gateways=gateways)
    assert [item["code"] for item in refused.value.findings] == ["SNI_TAKEN"]
    withdraw(api)
    assert api.object("Service", "theirs", "apps")["spec"]["ports"] == [port]


def test_an_smcp_gateway_takes_none():
    plane = {"name": "basic", "namespace": "istio-system"}
    gateway = {"name": "edge", "namespace": "gateways", "owner": "smcp", "control_plane": plane}
    found = port_map([passed("a", "a.example.com")], [gateway])["findings"]
    assert [item["code"] for item in found] == ["KEY_NOT_BUILT"]


def test_the_walk_along_the_hops_tells_names_apart():
    api = tls_cluster()
    records = [
        passed("a", "a.example.com"),
        passed("b", "b.example.com"),
        ended("c", "c.example.com"),
        ended("d", "d.b"),
    ]
    records[3]["tls"]["secret"] = "other"
    api.add(secret("other", "gateways", "d.b"))
    publish(api, records)
    mapped = {item["name"]: item for item in port_map(records, [EDGE], state_of(api))["ports"]}

    def hops(secrets=None):
        facts = Facts(view=View(state_of(api)), secrets=secrets or {})
        cases = {name: Case(port, [], facts) for name, port in mapped.items()}
        found = {name: gateway_server(case) or listener(case) for name, case in cases.items()}
        return {name: verdict["code"] for name, verdict in found.items() if verdict}

    assert hops() == {}
    assert hops({("gateways", "other"): False}) == {"d": "HOP_SECRET_MISSING"}
    # The rule of one record is gone, with its VirtualService, and another is led astray.
    main = api.object("VirtualService", MAIN, "gateways")
    main["spec"]["tls"][1]["route"][0]["destination"]["host"] = "queue.apps.svc.cluster.local"
    api.add({key: main[key] for key in ("apiVersion", "kind", "metadata", "spec")})
    (own,) = [item for item in rule_objects(api) if mapped["c"]["hash"] in item]
    del api.objects[object_path(new_object("VirtualService", own.replace("main", MAIN), "gateways", {}))]
    assert hops() == {"b": "HOP_ROUTE_TAKEN", "c": "HOP_ROUTE_MISSING"}


def test_the_audit_tells_what_a_set_has_otherwise():
    api = tls_cluster()
    publish(api, [passed("a", "a.example.com"), ended("c", "c.example.com")])

    def differs(*records):
        return [
            item["message"] for item in differences(state_of(api), list(records), [EDGE], "default", "cluster.local")
        ]

    same = passed("a", "a.example.com")
    assert differs(same, ended("c", "c.example.com")) == []
    assert "with other TLS settings than declared" in str(differs(same, ended("c", "c.example.com", secret="new")))
    assert "published, but not declared" in str(differs(same))
    assert "to another backend" in str(differs(same, ended("c", "c.example.com", backend=to("db"))))
