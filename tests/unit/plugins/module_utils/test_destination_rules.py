# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole runs with subsets: which DestinationRules are written, and what of others' rules is carried over."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _apply
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit import audit
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_declared import differences
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_read import read_audit
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._destination_rules import rule_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import gateway_pod_labels
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.plugins.modules import mesh_state
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import EDGE_REFERENCE, messages
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi
from ansible_collections.servicemesh.tcp.tests.unit.plugins.whole_runs import (
    killed_at_each_write,
    mesh_cluster,
    publish,
    withdraw,
)

HOST = "db.apps.svc.cluster.local"
NAME = rule_name("edge", "default", HOST)
V1, V2 = ({"name": name, "labels": {"version": name}} for name in ("v1", "v2"))


def shop() -> FakeApi:
    """Return a cluster with a backend of two versions."""
    api = mesh_cluster()
    ports = [{"port": 9000, "protocol": "TCP"}]
    api.add(new_object("Service", "db", "apps", {}, spec={"ports": ports, "selector": {"app": "db"}}))
    for version in ("v1", "v2"):
        api.add(new_object("Pod", f"db-{version}", "apps", {"app": "db", "version": version}, spec={}))
    return api


def record(name: str = "a", port: int = 8081, **weights: int) -> dict[str, Any]:
    """Return a record that leads to versions by weight."""
    plain = {"namespace": "apps", "service": "db", "port": 9000}
    subsets = {version: {"name": version, "labels": {"version": version}} for version in weights}
    backends = [{**plain, "weight": weight, "subset": subsets[version]} for version, weight in weights.items()]
    return {"name": name, "gateway": "edge", "port": port, "backends": backends}


def rule(host: str = HOST, name: str = "db", namespace: str = "apps", **spec: Any) -> dict[str, Any]:
    """Return a DestinationRule of the application's team."""
    return new_object("DestinationRule", name, namespace, {}, spec={"host": host, **spec})


def written(api: FakeApi, name: str = NAME) -> dict[str, Any] | None:
    """Return the spec of our rule as it is on the cluster."""
    found = api.object("DestinationRule", name, "gateways")
    return found and found["spec"]


def found(api: FakeApi, *records: dict[str, Any], set_name: str = "default") -> list[str]:
    """Return what planning records says."""
    return messages(port_map(records, [EDGE_REFERENCE], mesh_state.read(api), set_name=set_name)["findings"])


def routes(api: FakeApi) -> dict[int, list[tuple[str, Any]]]:
    """Return the subsets and weights of our rules by port."""
    (spec,) = [stored.full()["spec"] for path, stored in api.objects.items() if "/virtualservices/" in path]
    return {
        item["match"][0]["port"]: [(one["destination"].get("subset"), one.get("weight")) for one in item["route"]]
        for item in spec["tcp"]
    }


def test_a_canary_in_steps_and_back():
    api = shop()
    subsets = []
    for weights in ({"v1": 100, "v2": 0}, {"v1": 90, "v2": 10}, {"v1": 7, "v2": 3}, {"v1": 0, "v2": 1}, {"v1": 1}):
        written_now = publish(api, [record(**weights)])
        assert publish(api, [record(**weights)]) == []
        subsets.append([subset["name"] for subset in written(api)["subsets"]])
        # What routes lead to is there before them, and goes after them.
        changes = [line for line in written_now if "DestinationRule" in line or "VirtualService" in line]
        if weights == {"v1": 0, "v2": 1}:
            assert [line.split()[1] for line in changes] == ["VirtualService", "DestinationRule"]
            assert routes(api) == {8081: [("v2", None)]}
        if weights == {"v1": 7, "v2": 3}:
            assert routes(api) == {8081: [("v1", 7), ("v2", 3)]}
        if weights == {"v1": 1}:
            # v1 comes before the route, v2 goes after it.
            assert [line.split()[1] for line in changes] == ["DestinationRule", "VirtualService", "DestinationRule"]
    assert subsets == [["v1"], ["v1", "v2"], ["v1", "v2"], ["v2"], ["v1"]]
    withdraw(api)
    assert not [path for path in api.objects if "networking.istio.io" in path]


def test_killed_after_every_write_in_turn():
    start = shop()
    publish(start, [record(v1=1, v2=1), record("b", 8082, v2=1)])
    for then in (lambda api: publish(api, [record(v1=1)]), withdraw):
        whole = start.copy()
        then(whole)
        for done, api in killed_at_each_write(start, then, whole):
            # Wherever it stopped, no rule of ours leads to a subset that is not there.
            if any("/virtualservices/" in path for path in api.objects):
                named = {subset for route in routes(api).values() for subset, _weight in route}
                assert named <= {subset["name"] for subset in written(api)["subsets"]}, done
            then(api)
            assert api.snapshot() == whole.snapshot(), done


def test_settings_of_the_application_s_team_are_carried_over():
    api = shop()
    policy = {"connectionPool": {"tcp": {"maxConnections": 7}}}
    own = {**V1, "trafficPolicy": {"outlierDetection": {"consecutive5xxErrors": 3}}}
    other = {"name": "theirs", "labels": {"tier": "gold"}}
    api.add(rule("db", trafficPolicy=policy, subsets=[own, other]))
    # More general ones, and those of others, do not count.
    api.add(rule("*.apps.svc.cluster.local", "wide", trafficPolicy={"tls": {"mode": "DISABLE"}}))
    api.add(rule(HOST, "private", "elsewhere", trafficPolicy={"tls": {"mode": "SIMPLE"}}))
    publish(api, [record(v1=1, v2=1)])
    assert written(api) == {"host": HOST, "exportTo": ["."], "trafficPolicy": policy, "subsets": [other, own, V2]}
    (said,) = found(api, record(v1=1, v2=1))
    assert said.startswith(f"RULE_CARRIED set 'default': the set's DestinationRule for {HOST} hides")
    # What they change is there after the next run.
    api.add(rule("db", trafficPolicy={}, subsets=[other]))
    assert publish(api, [record(v1=1, v2=1)]) == [f"change DestinationRule gateways/{NAME}"]
    assert written(api) == {"host": HOST, "exportTo": ["."], "subsets": [other, V1, V2]}


def test_a_wide_rule_in_the_root_namespace_is_carried_over_where_nothing_is_nearer():
    api = shop()
    api.add(rule("*.local", "mesh-wide", "istio-system", trafficPolicy={"tls": {"mode": "ISTIO_MUTUAL"}}))
    publish(api, [record(v1=1)])
    assert written(api)["trafficPolicy"] == {"tls": {"mode": "ISTIO_MUTUAL"}}


def test_a_gateway_in_the_root_namespace_takes_what_is_nearer_before_what_is_said_to_all():
    policy = {"connectionPool": {"tcp": {"maxConnections": 7}}}
    for keys, expected in (({}, policy), ({"exportTo": ["."]}, {"tls": {"mode": "SIMPLE"}})):
        api = shop()
        config = new_object("ConfigMap", "istio", "istio-system", {})
        api.add({**config, "data": {"mesh": "rootNamespace: gateways"}})
        api.add(rule("*.local", "mesh-wide", "gateways", trafficPolicy={"tls": {"mode": "SIMPLE"}}, **keys))
        api.add(rule("db", trafficPolicy=policy))
        publish(api, [record(v1=1)])
        assert written(api)["trafficPolicy"] == expected


def test_subsets_of_one_name_on_two_hosts_keep_their_labels():
    api = shop()
    ports = [{"port": 9000, "protocol": "TCP"}]
    api.add(new_object("Service", "web", "apps", {}, spec={"ports": ports, "selector": {"app": "db"}}))
    other = record("b", 8082, v1=1)
    other["backends"][0] |= {"service": "web", "subset": {"name": "v1", "labels": {"app": "db"}}}
    publish(api, [record(v1=1), other])
    before = api.snapshot()
    # Both are kept as they are by a run that names neither.
    publish(api, [], prune=False)
    assert api.snapshot() == before
    assert written(api, rule_name("edge", "default", "web.apps.svc.cluster.local"))["subsets"] == [
        {"name": "v1", "labels": {"app": "db"}}
    ]


@pytest.mark.parametrize("keys", [{"exportTo": ["."]}, {"workloadSelector": {"matchLabels": {"a": "b"}}}])
def test_what_is_kept_private_by_its_owner_is_not_carried_over(keys):
    api = shop()
    api.add(rule(trafficPolicy={"tls": {"mode": "SIMPLE"}}, **keys))
    publish(api, [record(v1=1)])
    assert written(api) == {"host": HOST, "exportTo": ["."], "subsets": [V1]}


def test_nothing_is_written_where_others_have_the_subsets():
    api = shop()
    api.add(rule("db", subsets=[V1, V2]))
    publish(api, [record(v1=1, v2=1)])
    assert written(api) is None
    assert found(api, record(v1=1)) == []
    # Without theirs, ours comes, also for a record that this run only keeps.
    del api.objects["/apis/networking.istio.io/v1beta1/namespaces/apps/destinationrules/db"]
    publish(api, [record(v1=1, v2=1)])
    publish(api, [record("b", 8082, v1=1)], prune=False)
    assert written(api)["subsets"] == [V1, V2]


def test_two_sets_on_one_host():
    api = shop()
    publish(api, [record(v1=1)])
    publish(api, [record("b", 8082, v1=1, v2=1)], set_name="other")
    assert written(api, rule_name("edge", "other", HOST))["subsets"] == [V1, V2]
    withdraw(api)
    assert written(api) is None
    assert written(api, rule_name("edge", "other", HOST))["subsets"] == [V1, V2]


def differing(name: str, port: int) -> dict[str, Any]:
    """Return a record whose subset v1 has other labels."""
    changed = record(name, port, v1=1)
    changed["backends"][0]["subset"] = {"name": "v1", "labels": {"app": "db"}}
    return changed


def test_one_name_with_two_meanings_is_refused():
    said = f"subset v1 of {HOST} has the labels app=db, but in {{}} a subset of that name has version=v1."
    api = shop()
    within = said.format("record 'a'")
    assert found(api, record(v1=1), differing("b", 8082)) == [f"SUBSET_DIFFERS record 'b': {within}"]
    publish(api, [record(v1=1)])
    holder = f"DestinationRule gateways/{NAME}"
    assert found(api, differing("b", 8082), set_name="other") == [f"SUBSET_DIFFERS record 'b': {said.format(holder)}"]
    # The set itself may change its mind.
    assert found(api, differing("a", 8081)) == []
    theirs = shop()
    theirs.add(rule("db", subsets=[V1]))
    assert found(theirs, differing("a", 8081))[0] == (
        f"SUBSET_DIFFERS record 'a': {said.format('DestinationRule apps/db')}"
    )


def test_a_rule_of_others_in_the_gateway_s_namespace_is_not_mixed_with():
    api = shop()
    api.add(rule(HOST, "by-hand", "gateways", subsets=[V1]))
    assert found(api, record(v1=1)) == []
    (said,) = found(api, record(v1=1, v2=1))
    assert said.startswith("RULE_BESIDE record 'a': DestinationRule gateways/by-hand is for")


def test_another_set_s_old_copy_is_told():
    api = shop()
    publish(api, [record(v1=1)])
    api.add(rule("db", trafficPolicy={"connectionPool": {"tcp": {"maxConnections": 7}}}))
    said = found(api, record("b", 8082, v1=1), set_name="other")
    assert [line.split()[0] for line in said] == ["RULE_CARRIED", "RULE_STALE"]
    assert "set 'default' has DestinationRule" in said[1]


def test_a_subset_without_pods_is_refused_unless_it_gets_nothing():
    api = shop()
    said = "SUBSET_EMPTY record 'a': no pod that Service apps/db selects has the labels version=v2 of subset v2;"
    del api.objects["/api/v1/namespaces/apps/pods/db-v2"]
    with pytest.raises(_apply.Refused) as refused:
        publish(api, [record(v1=1, v2=1)])
    assert [line[: len(said)] for line in messages(refused.value.findings)] == [said]
    publish(api, [record(v1=1, v2=0)])


def test_without_the_right_to_see_rules_subsets_are_refused_and_nothing_else():
    api = shop()
    path = "/apis/networking.istio.io/v1beta1/destinationrules"
    api.refusals["GET", path] = ApiError(403, "Forbidden", "no", "GET", path)
    with pytest.raises(_apply.Refused) as refused:
        publish(api, [record(v1=1)])
    assert [item["code"] for item in refused.value.findings if item["severity"] == "error"] == ["RULES_UNSEEN"]
    plain = {
        "name": "a",
        "gateway": "edge",
        "port": 8081,
        "backend": {"namespace": "apps", "service": "db", "port": 9000},
    }
    publish(api, [plain])


def test_an_audit_finds_other_weights_than_declared():
    api = shop()
    publish(api, [record(v1=1, v2=1)])
    differ = [
        differences(mesh_state.read(api), [record(**weights)], [EDGE_REFERENCE], "default", "cluster.local")
        for weights in ({"v1": 1, "v2": 1}, {"v1": 1, "v2": 2})
    ]
    assert [len(item) for item in differ] == [0, 1]
    assert "published to another backend than declared" in differ[1][0]["message"]


@pytest.mark.parametrize(
    ("port", "mode", "sidecar", "code"),
    [
        ({"name": "http-db"}, "mysql", True, "BACKEND_PROTOCOL"),
        ({"name": "db", "appProtocol": "grpc"}, "banner", True, "BACKEND_PROTOCOL"),
        # The gateway itself passes all on, and mTLS tells a sidecar that it is TCP.
        ({"name": "http-db"}, "mysql", False, None),
        ({"name": "db"}, "mysql", True, None),
        ({"name": "http-db", "appProtocol": "tcp"}, "mysql", True, None),
        # It may be HTTP.
        ({"name": "http-db"}, "http", True, None),
        ({"name": "http-db"}, "connect", True, None),
    ],
)
def test_sidecars_that_wait_for_http(port, mode, sidecar, code):
    api = shop()
    ports = [{"port": 9000, "protocol": "TCP", **port}]
    api.add(new_object("Service", "db", "apps", {}, spec={"ports": ports, "selector": {"app": "db"}}))
    if sidecar:
        api.add(new_object("Pod", "db-v1", "apps", {"app": "db", "security.istio.io/tlsMode": "istio"}, spec={}))
    wanted = {**record(), "backends": [{"namespace": "apps", "service": "db", "port": 9000}], "probe": {"mode": mode}}
    if code is None:
        publish(api, [wanted])
    else:
        with pytest.raises(_apply.Refused) as refused:
            publish(api, [wanted])
        assert [item["code"] for item in refused.value.findings] == [code]


def audited(api: FakeApi) -> list[tuple[str, int | None, str]]:
    """Return subset, ready endpoints and state of the backends of port 8081."""
    document = audit(read_audit(api), datetime(2026, 11, 21, tzinfo=UTC))
    (row,) = [row for row in document["rows"] if row["service_port"] == 8081]
    return [(item["subset"], item["ready"], item["state"]) for item in row["backends"]]


def test_an_audit_counts_the_endpoints_of_each_subset():
    api = shop()
    api.served = ["discovery.k8s.io/v1"]
    labels = {"kubernetes.io/service-name": "db"}
    slices = new_object("EndpointSlice", "db-1", "apps", labels)
    slices |= {
        "ports": [{"name": "", "port": 9000}],
        "endpoints": [
            {"targetRef": {"name": "db-v1"}, "conditions": {"ready": True}},
            {"targetRef": {"name": "db-v2"}, "conditions": {"ready": False}},
        ],
    }
    api.add(slices)
    pod = new_object("Pod", "edge-1", "gateways", gateway_pod_labels("edge", "gateways"))
    pod["metadata"] |= {"annotations": {"inject.istio.io/templates": "gateway", "istio.io/rev": "default"}}
    pod["metadata"]["labels"]["service.istio.io/canonical-name"] = "edge"
    api.add({**pod, "spec": {"containers": []}})
    publish(api, [record(v1=1, v2=1)])
    assert audited(api) == [("v1", 1, "ready"), ("v2", 0, "dead")]
    del api.objects[f"/apis/networking.istio.io/v1beta1/namespaces/gateways/destinationrules/{NAME}"]
    assert audited(api) == [("v1", None, "missing"), ("v2", None, "missing")]
