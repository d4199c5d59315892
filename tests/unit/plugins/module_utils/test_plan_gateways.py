# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans for the gateways' workloads: what is made, what is removed, and who is in the way of a removal."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._gateway_plan import gateway_plan
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import (
    EDGE,
    EDGE_REFERENCE,
    deployment,
    front,
    istio_gateway,
    messages,
    owned_front,
    service_port,
    state,
    step_lines,
)

WORKLOAD = ["ServiceAccount", "Role", "RoleBinding", "NetworkPolicy", "Service", "Deployment"]


@pytest.mark.parametrize(
    ("raw", "cluster", "arguments", "steps"),
    [
        (
            EDGE,
            state(),
            {},
            [f"present {kind} gateways/edge" for kind in WORKLOAD]
            + ["absent HorizontalPodAutoscaler gateways/edge", "absent PodDisruptionBudget gateways/edge"],
        ),
        (
            {**EDGE, "autoscale": {}},
            state(),
            {},
            [f"present {kind} gateways/edge" for kind in [*WORKLOAD, "HorizontalPodAutoscaler", "PodDisruptionBudget"]],
        ),
        (EDGE_REFERENCE, state(front()), {}, []),
        (EDGE_REFERENCE, state(front()), {"gateways_state": "absent"}, []),
        (
            EDGE,
            state(front([service_port(15021)], {"servicemesh.tcp": [15021]})),
            {"gateways_state": "absent"},
            [
                f"absent {kind} gateways/edge"
                for kind in [
                    "Service",
                    "HorizontalPodAutoscaler",
                    "PodDisruptionBudget",
                    "Deployment",
                    "NetworkPolicy",
                    "RoleBinding",
                    "Role",
                    "ServiceAccount",
                    "Lease",
                ]
            ],
        ),
    ],
)
def test_steps_for_a_gateway(raw, cluster, arguments, steps):
    plan = gateway_plan([raw], cluster, **arguments)
    assert plan["findings"] == []
    assert step_lines(plan) == steps


def test_a_namespace_is_made_and_removed_only_when_asked_and_only_if_it_is_ours():
    made = step_lines(gateway_plan([EDGE], state(namespaces={}), namespace_state="present"))
    assert made[0] == "present Namespace gateways"
    assert "present Namespace gateways" not in step_lines(gateway_plan([EDGE], state(), namespace_state="present"))
    ours = {"gateways": {"labels": {"app.kubernetes.io/managed-by": "servicemesh.tcp"}, "terminating": False}}
    for namespaces, namespace_state, removed in (
        (ours, "present", True),
        (ours, "required", False),
        (state()["namespaces"], "present", False),
    ):
        plan = gateway_plan(
            [EDGE], state(namespaces=namespaces), gateways_state="absent", namespace_state=namespace_state
        )
        assert ("absent Namespace gateways" in step_lines(plan)) is removed


@pytest.mark.parametrize(
    ("cluster", "said"),
    [
        (
            state(owned_front(("a", 8081)), gateways=[istio_gateway(set_name="b")]),
            "GATEWAY_IN_USE gateway 'edge': the gateway still carries ports of set 'b', set 'default'.",
        ),
        (
            state(front([service_port(9000)], {"kubectl": [9000]})),
            "GATEWAY_IN_USE gateway 'edge': the gateway still carries ports of field manager 'kubectl'"
            " (Service gateways/edge) port 9000.",
        ),
        (
            state(front([service_port(53, protocol="UDP")])),
            "GATEWAY_IN_USE gateway 'edge': the gateway still carries ports of a port that was added by hand"
            " (Service gateways/edge) port 53.",
        ),
        (
            state(deployments=[deployment("other")]),
            "GATEWAY_DEFINED_ELSEWHERE gateway 'edge': the gateway was defined by set 'other', and set 'default'"
            " defines it otherwise: service.",
        ),
    ],
)
def test_a_gateway_that_others_rely_on_is_not_removed(cluster, said):
    plan = gateway_plan([EDGE], cluster, gateways_state="absent")
    assert messages(plan["findings"]) == [said]
    assert plan["steps"] == []


def test_a_gateway_s_revision_is_on_its_pods():
    cluster = state(mesh={**state()["mesh"], "revisions": ["v1"]})
    (step,) = [step for step in gateway_plan([EDGE], cluster)["steps"] if step["object"]["kind"] == "Deployment"]
    assert step["object"]["spec"]["template"]["metadata"]["labels"]["istio.io/rev"] == "v1"
    assert step["wait"] is True


def test_an_error_leaves_no_step():
    assert gateway_plan([EDGE], state(namespaces={}))["steps"] == []
