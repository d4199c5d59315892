# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole runs on a cluster in memory: read, plan, try, write, as the roles do it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.servicemesh.tcp.plugins.module_utils import _apply, _publish
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import errors
from ansible_collections.servicemesh.tcp.plugins.module_utils._gateway_plan import gateway_plan
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.plugins.modules import mesh_state, tcp_apply, tcp_publish
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import EDGE
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi, Killed

Changes = list[str]
DOOR = {"name": "door", "namespace": "gateways", "service": {"type": "ClusterIP"}}
GATEWAYS = (EDGE, DOOR)
REFERENCES = tuple({key: gateway[key] for key in ("name", "namespace")} for gateway in GATEWAYS)


def add_mesh(api: FakeApi) -> None:
    """Put a ready istiod with its injector on a cluster."""
    istiod = new_object("Deployment", "istiod", "istio-system", {"app": "istiod", "istio.io/rev": "default"}, spec={})
    api.add(istiod)
    webhook = new_object(
        "MutatingWebhookConfiguration", "injector", None, {"app": "sidecar-injector", "istio.io/rev": "default"}
    )
    api.add(webhook)


def mesh_cluster(gateways: Sequence[Mapping[str, Any]] = GATEWAYS) -> FakeApi:
    """Return a cluster with a mesh, the usual backend and the gateways' workloads."""
    api = FakeApi()
    add_mesh(api)
    for name in ("gateways", "apps"):
        api.add(new_object("Namespace", name, None, {}))
    api.add(new_object("Service", "echo", "apps", {}, spec={"ports": [{"port": 9000, "protocol": "TCP"}]}))
    if gateways:
        make_gateways(api, gateways)
    return api


def make_gateways(api: FakeApi, gateways: Sequence[Mapping[str, Any]] = GATEWAYS, **arguments: Any) -> Changes:
    """Run the role gateways."""
    return _carry_out(api, gateway_plan(gateways, mesh_state.read(api), **arguments))


def wanted(**options: Any) -> dict[str, Any]:
    """Return tcp_publish's options as its own specification reads them, with its defaults."""
    validated = ArgumentSpecValidator(tcp_publish.ARGUMENTS).validate(options)
    assert not validated.error_messages, validated.error_messages
    return validated.validated_parameters


class Clock:
    """A clock that only sleeping moves."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Pass time."""
        self.seconds += seconds


def run_publish(api: FakeApi, clock: Clock | None = None, **options: Any) -> Changes:
    """Run tcp_publish, and return what was written."""
    clock = clock or Clock()
    done = _publish.publish(api, wanted(**options), clock=clock, sleep=clock.sleep)
    return [change.text for change in done.changes if change.action != "nothing"]


def publish(
    api: FakeApi,
    records: Sequence[Mapping[str, Any]],
    set_name: str = "default",
    gateways: Sequence[Mapping[str, Any]] = REFERENCES,
    **options: Any,
) -> Changes:
    """Run the role expose with state present."""
    return run_publish(api, ports=list(records), gateways=list(gateways), set=set_name, **options)


def withdraw(api: FakeApi, set_name: str = "default", names: Sequence[str] = ()) -> Changes:
    """Run the role expose with state absent."""
    return run_publish(api, state="absent", set=set_name, withdraw=list(names))


def killed_at_each_write(
    start: FakeApi, then: Callable[[FakeApi], object], whole: FakeApi
) -> Iterator[tuple[int, FakeApi]]:
    """Stop a run after none of its writes, after one, and so on; C(whole) is where the run came to its end."""
    writes = sum(method in ("PATCH", "POST", "PUT", "DELETE") for method, _path in whole.log)
    for done in range(writes):
        api = start.copy()
        api.writes_left = done
        with pytest.raises(Killed):
            then(api)
        api.writes_left = None
        yield done, api


def as_options(steps: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return steps as tcp_apply's own specification reads them, with its defaults."""
    spec = {"steps": {"type": "list", "elements": "dict", "options": tcp_apply.STEP_SPEC}}
    validated = ArgumentSpecValidator(spec).validate({"steps": list(steps)})
    assert not validated.error_messages, validated.error_messages
    return validated.validated_parameters["steps"]


def _carry_out(api: FakeApi, plan: Mapping[str, Any]) -> Changes:
    """Apply a plan as tcp_apply does, and return what was written."""
    assert not errors(plan["findings"]), plan["findings"]
    written = _apply.write(api, _apply.plan(api, as_options(plan["steps"]), lenient=False))
    return [change.text for change in written]
