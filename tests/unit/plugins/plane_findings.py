# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each finding about control planes, with what provokes it and its whole text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._planes import plane_plan
from ansible_collections.servicemesh.tcp.plugins.module_utils._read import read
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi

SMCP = {"provider": "ossm2", "namespace": "mesh", "namespace_state": "present"}
SAIL = {"provider": "sail", "namespace": "mesh", "namespace_state": "present"}
LOOK = {"provider": "existing"}
INGRESS = {"service": {"sessionAffinity": "ClientIP"}}


def istiod(replicas: int = 1) -> dict[str, Any]:
    """Return an istiod without a revision."""
    spec = {"replicas": replicas, "template": {"spec": {"containers": [{"image": "hub/pilot:1.30.3"}]}}}
    return new_object("Deployment", "istiod", "mesh", {"app": "istiod"}, spec=spec)


def plane(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    """Return what somebody else made a control plane from."""
    namespace = "mesh" if kind == "ServiceMeshControlPlane" else None
    return new_object(kind, name, namespace, {}, spec=spec)


def gateway_pod() -> dict[str, Any]:
    """Return a gateway's pod outside the control plane's namespace."""
    pod = new_object("Pod", "edge", "gateways", {"service.istio.io/canonical-name": "edge"}, spec={})
    pod["metadata"]["annotations"] = {"inject.istio.io/templates": "gateway"}
    return pod


def said(
    wanted: dict[str, Any], *objects: dict[str, Any], operators: bool = True, **arguments: Any
) -> Callable[[], list[dict[str, str]]]:
    """Return what plans a control plane on a cluster with these objects."""

    def provoke() -> list[dict[str, str]]:
        api = FakeApi()
        api.served = ["maistra.io/v2", "sailoperator.io/v1"] if operators else []
        for obj in objects:
            api.add(obj)
        return plane_plan(wanted, read(api, ["mesh", "planes"]), **arguments)["findings"]

    return provoke


WEBHOOK = new_object("MutatingWebhookConfiguration", "injector", None, {"app": "sidecar-injector"})
TEXTS: dict[str, tuple[Callable[[], list[dict[str, str]]], str]] = {
    "INJECTOR_MISSING": (
        said(LOOK, istiod()),
        "mesh mesh/default: no webhook injects revision 'default', so a gateway that is made here stays without its"
        " proxy. Have it installed with its injector, or publish on gateways that run already.",
    ),
    "ISTIOD_NOT_READY": (
        said(LOOK, istiod(replicas=0), WEBHOOK),
        "mesh mesh/default: its istiod is not ready: no pod of it is ready."
        " Look at the istiod pods and at what their operator says, and run this again.",
    ),
    "OPERATOR_MISSING": (
        said(SMCP, operators=False),
        "control plane 'basic': the API server does not know ServiceMeshControlPlane, so nobody would act on it."
        " Install the operator first (servicemeshoperator): role operators does it, or playbook install_mesh as a"
        " whole.",
    ),
    "PLANE_ELSEWHERE": (
        said({**SAIL, "adopt": True}, plane("Istio", "default", namespace="istio-system")),
        "control plane 'default': the Istio of that name has its istiod in namespace 'istio-system', and it cannot move"
        " to 'mesh'. Say that namespace, or choose another name.",
    ),
    "PLANE_IN_USE": (
        said(SAIL, istiod(), plane("IstioRevision", "default", namespace="mesh"), gateway_pod(), plane_state="absent"),
        "control plane 'default': gateways of it still run: gateways/edge."
        " Withdraw their ports and remove them first; without their istiod they would keep what they have and learn"
        " nothing new.",
    ),
    "PLANE_NOT_OURS": (
        said({**SAIL, "version": "v1.30.3"}, plane("Istio", "default", namespace="mesh")),
        "control plane 'default': Istio default was not made by this collection, and is left alone: spec.version is"
        " None, wanted 'v1.30.3'. Take over its settings or choose another name. With control_plane_adopt=true it is"
        " taken over, and changed or removed like one of ours.",
    ),
    "PLANE_SECOND": (
        said(SMCP, plane("ServiceMeshControlPlane", "other")),
        "control plane 'basic': namespace 'mesh' has an SMCP already (other), and its operator takes one for each"
        " namespace (ErrMultipleSMCPs). Use that name, or another namespace.",
    ),
    "PLANE_UNKNOWN": (
        said({**LOOK, "name": "canary"}, istiod()),
        "control plane 'canary': there is no such mesh; there are mesh/default."
        " Mend the name or the namespace, or leave both out to look at all of them.",
    ),
    "SMCP_FIELD_IGNORED": (
        said({**SMCP, "definition": {"spec": {"gateways": {"ingress": INGRESS}}}}),
        "control plane 'basic': istio-ingressgateway.service.sessionAffinity is taken by the schema and ignored by the"
        " chart that makes the gateway's Service. Leave it out. Where it is needed, run an injected gateway (role"
        " gateways), whose Service takes it.",
    ),
    "SMCP_V1": (
        said({**SMCP, "definition": {"apiVersion": "maistra.io/v1", "metadata": {"name": "x"}, "spec": {}}}),
        "control plane 'basic': its definition is of the form maistra.io/v1, which the operator refuses from 2.0 on."
        " In the form of v2 it is:\napiVersion: maistra.io/v2\nkind: ServiceMeshControlPlane\nmetadata:\n  name: x\n"
        "spec:\n  version: v2.6\n# End of the v2 form. Look it over, and use that as the definition.",
    ),
}
