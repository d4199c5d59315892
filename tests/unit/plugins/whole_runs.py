# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole runs on a cluster in memory: read, plan, try, write, as the roles do it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.servicemesh.tcp.plugins.module_utils import _apply
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import errors
from ansible_collections.servicemesh.tcp.plugins.module_utils._plan import (
    exposure_plan,
    gateway_plan,
    withdrawal_plan,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.plugins.modules import mesh_state, tcp_apply
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import EDGE
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi

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


def publish(
    api: FakeApi,
    records: Sequence[Mapping[str, Any]],
    set_name: str = "default",
    gateways: Sequence[Mapping[str, Any]] = REFERENCES,
    **arguments: Any,
) -> Changes:
    """Run the role expose with state present."""
    state = mesh_state.read(api)
    mapped = port_map(records, gateways, state, set_name=set_name)
    assert not errors(mapped["findings"]), mapped["findings"]
    return _carry_out(api, exposure_plan(mapped, state, set_name=set_name, **arguments))


def withdraw(api: FakeApi, set_name: str = "default", names: Sequence[str] = ()) -> Changes:
    """Run the role expose with state absent."""
    return _carry_out(api, withdrawal_plan(mesh_state.read(api), set_name=set_name, names=names))


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
    return [f"{change.action} {change.name}" for change in written]
