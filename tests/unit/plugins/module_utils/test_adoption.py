# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole runs that take over what somebody published by hand, as the seeds do it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _apply
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import gateway_selector, set_object_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import BACKEND_HOST, record
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi, Killed
from ansible_collections.servicemesh.tcp.tests.unit.plugins.whole_runs import mesh_cluster, publish

PORTS = (8081, 8082)


def by_hand(*ports: int) -> FakeApi:
    """Return a cluster on which somebody published ports of gateway edge by hand."""
    api = mesh_cluster()
    servers = [{"port": {"number": port, "name": f"tcp-{port}", "protocol": "TCP"}, "hosts": ["*"]} for port in ports]
    rules = [
        {
            "match": [{"port": port}],
            "route": [{"destination": {"host": BACKEND_HOST, "port": {"number": 9000}}}],
        }
        for port in ports
    ]
    selector = gateway_selector("edge", "gateways")
    api.add(new_object("Gateway", "hand", "gateways", {}, spec={"selector": selector, "servers": servers}))
    spec = {"hosts": ["*"], "gateways": ["hand"], "tcp": rules}
    api.add(new_object("VirtualService", "hand", "gateways", {}, spec=spec))
    share = [{"name": f"by-hand-{port}", "port": port, "targetPort": port + 1000, "protocol": "TCP"} for port in ports]
    api.add(new_object("Service", "edge", "gateways", {}, spec={"ports": share}))
    return api


def records(*ports: int, **more: Any) -> list[dict[str, Any]]:
    """Return records for the same ports and backend."""
    return [record(f"r-{port}", port, **more) for port in ports]


def front_ports(api: FakeApi) -> dict[int, tuple[str, int]]:
    """Return name and target of each port of the front Service."""
    ports = api.object("Service", "edge", "gateways")["spec"]["ports"]
    return {port["port"]: (port["name"], port["targetPort"]) for port in ports}


def test_without_a_word_nothing_is_taken():
    api = by_hand(*PORTS)
    before = api.snapshot()
    with pytest.raises(_apply.Refused) as refused:
        publish(api, records(*PORTS))
    assert [item["code"] for item in refused.value.findings] == ["PORT_ADOPTABLE"] * 2
    assert api.snapshot() == before


@pytest.mark.parametrize("asked", [{"adopt": ["all"]}, {"adopt": ["r-8081", "r-8082"]}, {}])
def test_all_of_it_is_taken_over_at_the_same_target_ports(asked):
    api = by_hand(*PORTS)
    changes = publish(api, records(*PORTS, **({} if asked else {"adopt": True})), **asked)
    assert changes[-2:] == ["remove Gateway gateways/hand", "remove VirtualService gateways/hand"]
    shown = front_ports(api)
    assert {port: target for port, (_name, target) in shown.items()} == {15021: 15021, 8081: 9081, 8082: 9082}
    assert shown[8081][0].startswith("tcp-8081-")
    assert publish(api, records(*PORTS), **asked) == []


def test_what_is_not_adopted_stays():
    api = by_hand(*PORTS)
    publish(api, records(8081), adopt=["all"])
    servers = api.object("Gateway", "hand", "gateways")["spec"]["servers"]
    rules = api.object("VirtualService", "hand", "gateways")["spec"]["tcp"]
    assert [item["port"]["number"] for item in servers] == [8082]
    assert [item["match"][0]["port"] for item in rules] == [8082]
    assert front_ports(api)[8082] == ("by-hand-8082", 9082)
    assert publish(api, records(8081), adopt=["all"]) == []


def test_ours_stands_before_theirs_goes():
    api = by_hand(8081)
    seen = []

    def look() -> None:
        ours = api.object("VirtualService", set_object_name("edge", "default"), "gateways")
        seen.append((bool(api.object("Gateway", "hand", "gateways")), bool(ours)))

    api.after_write = look
    publish(api, records(8081), adopt=["all"])
    assert (False, False) not in seen
    assert seen[-1] == (False, True)


def test_an_adoption_that_was_killed_is_finished_by_the_next_run():
    whole = by_hand(*PORTS)
    writes = len(publish(whole, records(*PORTS), adopt=["all"])) + 2
    for done in range(writes):
        api = by_hand(*PORTS)
        api.writes_left = done
        with pytest.raises(Killed):
            publish(api, records(*PORTS), adopt=["all"])
        api.writes_left = None
        publish(api, records(*PORTS), adopt=["all"])
        assert front_ports(api) == front_ports(whole), done
        assert api.object("Gateway", "hand", "gateways") is None
        assert publish(api, records(*PORTS), adopt=["all"]) == [], done


def test_another_backend_is_refused_with_what_differs():
    api = by_hand(8081)
    with pytest.raises(_apply.Refused) as refused:
        publish(api, [record("r", 8081, target_port=8081, adopt=True)])
    assert [item["code"] for item in refused.value.findings] == ["ADOPTION_DIFFERS"]
    assert "it listens on 9081, and the record asks for 8081" in refused.value.findings[0]["message"]
