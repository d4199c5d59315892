# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a control plane is done, and what its operator says while it is not."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._lack import Fatal
from ansible_collections.servicemesh.tcp.plugins.module_utils._wait import lacks

UNSEEN = "its operator has not seen its newest form yet (does it run?)"


def condition(kind, status="True", reason="", message=""):
    return {"type": kind, "status": status, "reason": reason, "message": message}


def smcp(*conditions, observed=2, **status):
    found = {"observedGeneration": observed, "conditions": list(conditions), **status}
    return {"kind": "ServiceMeshControlPlane", "metadata": {"name": "basic", "generation": 2}, "status": found}


def sail(kind="Istio", observed=2, state="", conditions=()):
    status = {"observedGeneration": observed, "state": state, "conditions": list(conditions)}
    return {"kind": kind, "metadata": {"name": "default", "generation": 2}, "status": status}


DONE = [condition("Installed"), condition("Reconciled"), condition("Ready", reason="ComponentsReady")]


@pytest.mark.parametrize(
    ("obj", "lack"),
    [
        (smcp(*DONE), ""),
        # The conditions of an older form say nothing of this one.
        (smcp(*DONE, observed=1), UNSEEN),
        ({"kind": "ServiceMeshControlPlane", "metadata": {"name": "basic", "generation": 1}}, UNSEEN),
        (
            smcp(
                condition("Installed"),
                condition("Reconciled", "False", "PausingInstall", "waiting"),
                annotations={"readyComponentCount": "3/5"},
                readiness={
                    "components": {"ready": ["istiod"], "unready": ["istio-ingress"], "pending": ["prometheus"]}
                },
            ),
            "3/5 components are ready, not istio-ingress, prometheus; Reconciled is False (PausingInstall: waiting);"
            " Ready is not known yet",
        ),
        (sail(state="Healthy"), ""),
        (sail(state="Healthy", observed=1), UNSEEN),
        (sail(kind="IstioCNI", state="Healthy"), ""),
        (
            sail(state="IstioCNINotFound", conditions=[condition("DependenciesHealthy", "False", "IstioCNINotFound")]),
            "its state is IstioCNINotFound; DependenciesHealthy is False (IstioCNINotFound)",
        ),
        # A tag that no namespace uses yet is done.
        (sail("IstioRevisionTag", state="NotReferencedByAnything", conditions=[condition("Reconciled")]), ""),
        (
            sail("IstioRevisionTag", conditions=[condition("Reconciled", "False", "RefNotFound")]),
            "Reconciled is False (RefNotFound)",
        ),
    ],
)
def test_what_it_lacks(obj, lack):
    found = lacks("present", obj)
    assert found == lack
    assert not isinstance(found, Fatal)


@pytest.mark.parametrize(
    "obj",
    [
        smcp(condition("Reconciled", "False", "ValidationError", "no"), condition("Installed", "False", "Other")),
        smcp(condition("Installed"), condition("Reconciled", "False", "ErrMultipleSMCPs", "two")),
        sail("IstioRevisionTag", conditions=[condition("Reconciled", "False", "NameAlreadyExists")]),
    ],
)
def test_what_no_waiting_cures_ends_the_wait(obj):
    assert isinstance(lacks("present", obj), Fatal)
