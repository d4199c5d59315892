# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a member roll lacks, in its operator's words."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._wait import lacks


def roll(configured=(), statuses=(), conditions=(), observed=2):
    """Return a member roll with a status."""
    status = {
        "observedGeneration": observed,
        "configuredMembers": list(configured),
        "memberStatuses": list(statuses),
        "conditions": list(conditions),
    }
    return {"kind": "ServiceMeshMemberRoll", "metadata": {"generation": 2}, "spec": {}, "status": status}


def refused(reason, message):
    """Return a condition that does not hold."""
    return {"type": "Reconciled", "status": "False", "reason": reason, "message": message}


NO_SMCP = {"type": "Ready", "status": "False", "reason": "ErrSMCPMissing", "message": "no control plane"}


@pytest.mark.parametrize(
    ("obj", "until", "said"),
    [
        (roll(["a", "b"]), {"joined": ["a"], "left": []}, ""),
        # Namespaces that nobody waits for may be pending for ever.
        (roll(["a"], [{"namespace": "soon", "conditions": [refused("x", "y")]}]), {"joined": ["a"], "left": []}, ""),
        (roll(["a"]), {"joined": ["a", "b"], "left": []}, "namespace b is not a member yet"),
        (
            roll([], [{"namespace": "a", "conditions": [refused("ReconcileError", "quota exceeded")]}]),
            {"joined": ["a"], "left": []},
            "namespace a is not a member yet (ReconcileError: quota exceeded)",
        ),
        (
            roll([], conditions=[NO_SMCP]),
            {"joined": ["a"], "left": []},
            "namespace a is not a member yet (ErrSMCPMissing: no control plane)",
        ),
        (roll(["a"]), {"joined": [], "left": ["a"]}, "namespace a is still a member"),
        (roll(["b"]), {"joined": ["b"], "left": ["a"]}, ""),
        (roll(["a"], observed=1), {"joined": ["a"], "left": []}, "its operator has not seen it yet"),
        (None, {"joined": ["a"], "left": []}, "there is no member roll for a"),
        # The roll went with its last member.
        (None, {"joined": [], "left": ["a"]}, ""),
    ],
)
def test_a_roll(obj, until, said):
    assert lacks("merged", obj, until) == said


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"observedGeneration": 1, "conditions": [{"type": "Ready", "status": "True"}]}, ""),
        ({}, "its operator has not seen it yet"),
        (
            {
                "observedGeneration": 1,
                "conditions": [{"type": "Ready", "status": "False"}, refused("CreateMemberRollFailed", "no")],
            },
            "its namespace is not a member yet (Ready; CreateMemberRollFailed: no)",
        ),
    ],
)
def test_a_member_of_its_own(status, said):
    obj = {"kind": "ServiceMeshMember", "metadata": {"generation": 1}, "spec": {}, "status": status}
    assert lacks("present", obj) == said
