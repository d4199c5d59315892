# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ownership under fire: runs that die, runs at once, and others on the same gateway."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _apply
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import Stopped
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import port_name, set_object_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import record
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi
from ansible_collections.servicemesh.tcp.tests.unit.plugins.whole_runs import (
    EDGE,
    Clock,
    killed_at_each_write,
    mesh_cluster,
    publish,
    run_publish,
)

BEFORE = [record("kept", 8080), record("gone", 8081)]
AFTER = [record("kept", 8080), record("new", 8082), record("ssh", 22)]
REFERENCE = [{"name": "edge", "namespace": "gateways"}]
DURATION = 30


def crowded() -> FakeApi:
    """Return a cluster on which two sets, one foreign field manager and a foreign Gateway share gateway edge."""
    api = mesh_cluster()
    publish(api, BEFORE)
    publish(api, [record("theirs", 7001)], set_name="other")
    api.add(
        new_object("Service", "edge", "gateways", {}, spec={"ports": [{"name": "x", "port": 7002}]}), manager="team-x"
    )
    api.add(new_object("Gateway", "foreign", "gateways", {}, spec={"selector": {"app": "x"}, "servers": []}))
    return api


def others(api: FakeApi) -> list[Any]:
    """Return what is not the default set's."""
    service = api.object("Service", "edge", "gateways")
    name = set_object_name("edge", "other")
    return [
        [port for port in service["spec"]["ports"] if port["port"] in (7001, 7002, 15021)],
        [item for item in service["metadata"]["managedFields"] if item["manager"] != "servicemesh.tcp/default"],
        [api.object(kind, name, "gateways") for kind in ("Gateway", "VirtualService", "NetworkPolicy")],
        api.object("Gateway", "foreign", "gateways"),
    ]


def kept_is_whole(api: FakeApi) -> bool:
    """Tell whether the port that stays has its Service port, its server and its rule."""
    name = set_object_name("edge", "default")
    wanted = port_name(8080, "default", "kept")
    ports = api.object("Service", "edge", "gateways")["spec"]["ports"]
    servers = api.object("Gateway", name, "gateways")["spec"]["servers"]
    rules = api.object("VirtualService", name, "gateways")["spec"]["tcp"]
    return (
        any(port.get("name") == wanted for port in ports)
        and any(server["port"]["name"] == wanted for server in servers)
        and any(rule["match"] == [{"port": 8080}] for rule in rules)
    )


def run(api: FakeApi, clock: Clock | None = None, **options: Any) -> list[str]:
    """Publish what the default set wants now."""
    return run_publish(api, clock, ports=AFTER, gateways=REFERENCE, lease_duration=DURATION, **options)


def test_killed_after_every_write_in_turn():
    start = crowded()
    expected = others(start)
    whole = start.copy()
    run(whole)
    # Among the writes are the Lease's own. A killed process does not give its Lease back either.
    for done, api in killed_at_each_write(start, run, whole):
        assert others(api) == expected, done
        assert kept_is_whole(api), done
        clock = Clock()
        run(api, clock)
        assert clock.seconds <= DURATION, done
        assert api.snapshot() == whole.snapshot(), done
        assert run(api) == [], done


def test_a_run_that_was_held_up_stops_when_another_run_of_its_set_has_written():
    start = crowded()
    count = len(run(start.copy()))
    for held_up_after in range(1, count):
        api, clock = start.copy(), Clock()
        written: list[int] = []

        def another(api: FakeApi = api, clock: Clock = clock, written: list[int] = written) -> None:
            if "/leases" in api.log[-1][1]:
                return
            written.append(1)
            if len(written) == held_up_after:  # noqa: B023  each loop has its own list
                api.after_write = lambda: None
                clock.seconds += DURATION
                run_publish(api, clock, ports=BEFORE, gateways=REFERENCE, allow_withdraw=["all"])

        api.after_write = another
        with pytest.raises(Stopped) as stopped:
            run(api, clock)
        assert stopped.value.finding["code"] == "LEASE_LOST"
        assert others(api) == others(start)
        assert api.snapshot() == start.snapshot(), held_up_after


def test_a_foreign_gateway_that_appears_while_a_run_waits_is_found_under_the_lease():
    api = mesh_cluster()
    publish(api, [record("kept", 8080)])
    clock = Clock()
    lease = "/apis/coordination.k8s.io/v1/namespaces/gateways/leases/edge"
    server = {"port": {"number": 8082, "name": "tcp", "protocol": "TCP"}, "hosts": ["*"]}
    foreign = new_object("Gateway", "first", "elsewhere", {}, spec={"selector": {"app": "edge"}, "servers": [server]})

    def appear() -> None:
        if api.log[-1] == ("PUT", lease):
            api.after_write = lambda: None
            api.add(foreign)

    before = api.snapshot()
    api.after_write = appear
    with pytest.raises(_apply.Refused) as refused:
        run(api, clock)
    assert [item["code"] for item in refused.value.findings] == ["PORT_KILLS"]
    del api.objects["/apis/networking.istio.io/v1beta1/namespaces/elsewhere/gateways/first"]
    assert api.snapshot() == before
    assert api.object("Lease", "edge", "gateways")["spec"]["holderIdentity"] == ""


def test_a_run_with_nothing_to_change_takes_no_lease_and_reads_once():
    api = crowded()
    run(api)
    api.log.clear()
    assert run(api) == []
    assert not any("/leases" in path for _method, path in api.log)
    assert [path for _method, path in api.log].count("/version") == 1


def test_gateway_and_ports_are_made_in_one_run():
    api = mesh_cluster(gateways=())
    changes = run_publish(api, ports=AFTER, gateways=[EDGE], gateways_state="present")
    order = [changes.index(f"create {what} gateways/edge") for what in ("Service", "Deployment")]
    assert order < [next(i for i, text in enumerate(changes) if text.startswith("create Gateway"))]
    assert run_publish(api, ports=AFTER, gateways=[EDGE], gateways_state="present") == []


def test_a_namespace_is_made_before_the_lease_in_it():
    api = mesh_cluster(gateways=())
    del api.objects["/api/v1/namespaces/gateways"]
    changes = run_publish(api, ports=AFTER, gateways=[EDGE], gateways_state="present", namespace_state="present")
    assert changes[0] == "create Namespace gateways"
    assert kept_is_whole(api)
