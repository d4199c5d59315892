# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Leases a run takes, and what it makes of what others did before it had them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _apply, _publish
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import GATEWAY_LABEL, set_object_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import EDGE, record
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi
from ansible_collections.servicemesh.tcp.tests.unit.plugins.whole_runs import (
    DOOR,
    REFERENCES,
    mesh_cluster,
    publish,
    run_publish,
    wanted,
    withdraw,
)

ON_EDGE = record("a", 8081)
ON_DOOR = record("b", 8082, gateway="door")


def watched(api: FakeApi) -> list[str]:
    """Return a list that fills with the objects that are written while nobody has their gateway's Lease."""
    unheld: list[str] = []
    request = api.request

    def watch(method: str, path: str, body: Any = None, query: Any = None, **more: Any) -> Any:
        stored = api.objects.get(path)
        dry = (query or {}).get("dryRun") or (body or {}).get("dryRun")
        shown = stored.full() if stored else (body or {})
        if method in ("PATCH", "DELETE") and not dry and shown["kind"] != "Namespace":
            metadata = shown["metadata"]
            lease = api.object("Lease", metadata["labels"][GATEWAY_LABEL], metadata["namespace"])
            if not (lease and lease["spec"]["holderIdentity"]):
                unheld.append(f"{method} {path}")
        return request(method, path, body, query, **more)

    api.request = watch
    return unheld


def before_the_first_lease(api: FakeApi, happens: Callable[[], Any]) -> None:
    """Let something happen after a run has planned, before it takes its first Lease."""
    request, pending = api.request, [happens]

    def interrupted(method: str, path: str, *rest: Any, **more: Any) -> Any:
        if "/leases" in path and pending:
            pending.pop()()
        return request(method, path, *rest, **more)

    api.request = interrupted


def leases_of(api: FakeApi) -> set[str]:
    """Return the gateways whose Leases were asked for."""
    return {path.rpartition("/")[2] for method, path in api.log if "/leases/" in path}


def both() -> FakeApi:
    """Return a cluster on which the default set is on both gateways."""
    api = mesh_cluster()
    publish(api, [ON_EDGE, ON_DOOR])
    return api


def half_removed() -> FakeApi:
    """Return a cluster on which the removal of the default set was stopped before its last write."""
    api = mesh_cluster()
    publish(api, [ON_EDGE])
    routes = api.objects[f"/apis/networking.istio.io/v1beta1/namespaces/gateways/virtualservices/{NAME}"]
    path = next(path for path, stored in api.objects.items() if stored is routes)
    withdraw(api)
    api.objects[path] = routes
    return api


NAME = set_object_name("edge", "default")

RUNS = {
    "a set is made": (mesh_cluster, lambda api: publish(api, [ON_EDGE, ON_DOOR])),
    "a set leaves a gateway": (both, lambda api: publish(api, [ON_EDGE])),
    "a set is withdrawn": (both, withdraw),
    "a removal that was stopped is finished": (half_removed, withdraw),
    "a gateway is made without a port": (
        lambda: mesh_cluster(gateways=()),
        lambda api: run_publish(api, gateways=[EDGE], gateways_state="present"),
    ),
    "a gateway is mended on which the set has no port": (
        both,
        lambda api: run_publish(
            api,
            ports=[ON_EDGE, ON_DOOR],
            gateways=[EDGE, {**DOOR, "replicas": 2}, {**EDGE, "name": "third"}],
            gateways_state="present",
        ),
    ),
}


@pytest.mark.parametrize(("before", "run"), RUNS.values(), ids=RUNS)
def test_nothing_of_a_gateway_is_written_without_its_lease(before, run):
    api = before()
    unheld = watched(api)
    assert run(api)
    assert unheld == []
    held = [stored.full() for path, stored in api.objects.items() if "/leases/" in path]
    assert held
    assert not any(lease["spec"]["holderIdentity"] for lease in held)


def test_a_gateway_on_which_nothing_differs_is_left_to_others():
    api = both()
    api.log.clear()
    assert publish(api, [record("c", 8083), ON_EDGE, ON_DOOR])
    assert leases_of(api) == {"edge"}


def test_a_gateway_that_another_run_of_the_set_brought_in_is_taken_too():
    """The plan under the Lease takes the set off a gateway of which the plan before it knew nothing."""
    api = mesh_cluster()
    publish(api, [ON_EDGE])
    before_the_first_lease(api, lambda: publish(api, [ON_EDGE, ON_DOOR]))
    unheld = watched(api)
    publish(api, [ON_EDGE, record("c", 8083)], allow_withdraw=["all"])
    assert unheld == []
    alone = mesh_cluster()
    publish(alone, [ON_EDGE, record("c", 8083)])
    assert api.snapshot() == alone.snapshot()


def test_what_another_run_took_away_before_the_lease_is_made_again():
    """The steps are the same as before, and what they would do is not."""
    api = both()
    records = [{**ON_EDGE, "backend": {**ON_EDGE["backend"], "port": 9000}}, ON_DOOR, record("c", 8083)]
    expected = api.copy()
    publish(expected, records)
    before_the_first_lease(api, lambda: withdraw(api))
    publish(api, records)
    assert api.snapshot() == expected.snapshot()
    assert publish(api, records) == []


def test_what_another_run_has_done_already_is_not_done_again():
    api = both()
    records = [ON_EDGE, ON_DOOR, record("c", 8083)]
    before_the_first_lease(api, lambda: publish(api, records))
    assert publish(api, records) == []


def test_nothing_was_written_is_true_of_a_run_that_would_make_the_namespace():
    """What is refused about live sessions is refused before the first write of all."""
    api = mesh_cluster(gateways=())
    del api.objects["/api/v1/namespaces/gateways"]
    before = api.snapshot()
    with pytest.raises(_apply.Refused) as refused:
        run_publish(
            api,
            ports=[ON_EDGE],
            gateways=[EDGE],
            gateways_state="present",
            namespace_state="present",
            session_policy="refuse",
            allow_drain=["no port"],
        )
    assert "Nothing was written" in refused.value.text()
    assert api.snapshot() == before


def test_the_other_of_two_sets_that_want_one_port_is_refused_under_the_lease():
    """Both plans were right when they were made."""
    api = mesh_cluster()
    before_the_first_lease(api, lambda: publish(api, [record("first", 8081)], set_name="other"))
    before = api.snapshot()
    with pytest.raises(_apply.Refused) as refused:
        publish(api, [ON_EDGE])
    (found,) = refused.value.findings
    assert found["code"] == "PORT_TAKEN"
    assert "set 'other'" in found["message"]
    assert refused.value.text().endswith("Nothing was written.")
    withdraw(api, set_name="other")
    assert api.snapshot() == before


def test_check_mode_takes_no_lease():
    api = mesh_cluster()
    before = api.snapshot()
    found = _publish.foresee(api, wanted(ports=[ON_EDGE], gateways=list(REFERENCES)))
    assert found.differs
    assert leases_of(api) == set()
    assert api.snapshot() == before


def test_what_is_taken_over_is_written_under_the_leases_of_the_records_gateways():
    """The last step of a takeover may be all that is left, and what goes carries no label of ours."""
    hand = new_object("Gateway", "hand", "gateways", {}, spec={"selector": {"istio": "edge"}, "servers": []})
    change = _apply.Change({"object": hand}, "remove", hand, None)
    plan = {"ports": [{"namespace": "gateways", "gateway": name} for name in ("edge", "door")]}
    assert _publish.places_of(_publish.Attempt({}, plan, [change])) == {("gateways", "edge"), ("gateways", "door")}
