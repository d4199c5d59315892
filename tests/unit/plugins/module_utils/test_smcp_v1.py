# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The v1 control plane of seed 004 in its v2 form."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.servicemesh.tcp.plugins.module_utils._planes import plane_plan
from ansible_collections.servicemesh.tcp.plugins.module_utils._read import read
from ansible_collections.servicemesh.tcp.plugins.module_utils._smcp_v1 import convert, is_v1
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi

# As it stands in seed 004.
SEED = yaml.safe_load("""
apiVersion: maistra.io/v1
kind: ServiceMeshControlPlane
metadata:
  name: service-mesh-installation
spec:
  threeScale:
    enabled: false
  istio:
    global:
      mtls: false
      disablePolicyChecks: false
      proxy:
        resources:
          requests: {cpu: 100m, memory: 128Mi}
          limits: {cpu: 500m, memory: 128Mi}
    gateways:
      istio-egressgateway: {autoscaleEnabled: false}
      istio-ingressgateway: {autoscaleEnabled: false, ior_enabled: false}
    mixer:
      policy: {autoscaleEnabled: false}
      telemetry:
        autoscaleEnabled: false
        resources:
          requests: {cpu: 100m, memory: 1G}
          limits: {cpu: 500m, memory: 4G}
    pilot: {autoscaleEnabled: false, traceSampling: 100.0}
    kiali:
      dashboard: {user: admin, passphrase: redhat}
    tracing: {enabled: true}
""")
OFF = {"deployment": {"autoScaling": {"enabled": False}}}


def test_seed_004():
    form, notes = convert(SEED, "v2.6")
    assert (form["apiVersion"], form["metadata"]) == ("maistra.io/v2", {"name": "service-mesh-installation"})
    assert form["spec"] == {
        "version": "v2.6",
        "security": {"dataPlane": {"mtls": False}},
        "proxy": {"runtime": {"container": {"resources": SEED["spec"]["istio"]["global"]["proxy"]["resources"]}}},
        "gateways": {
            "egress": {"runtime": OFF},
            "ingress": {"runtime": OFF},
            "openshiftRoute": {"enabled": False},
        },
        "runtime": {"components": {"pilot": OFF}},
        # 100 per cent, in hundredths of one.
        "tracing": {"sampling": 10000, "type": "Jaeger"},
    }
    assert sorted(note.split()[0] for note in notes) == [
        "spec.istio.global.disablePolicyChecks",
        "spec.istio.kiali.dashboard",
        "spec.istio.mixer",
        "spec.threeScale",
    ]


def test_the_legacy_form_of_gateways_and_what_is_not_known():
    ports = [{"name": "tcp-8081", "port": 8081}]
    gateway = {"type": "LoadBalancer", "ports": ports, "sds": {"enabled": True}}
    spec = {"version": "v1.1", "istio": {"gateways": {"istio-ingressgateway": gateway}}}
    form, notes = convert({"spec": spec}, "v2.5")
    assert form["spec"] == {
        "version": "v2.5",
        "gateways": {"ingress": {"service": {"type": "LoadBalancer", "ports": ports}}},
    }
    assert notes == ["spec.istio.gateways.istio-ingressgateway.sds.enabled is not known to this converter; look it up."]


@pytest.mark.parametrize(
    ("definition", "old"),
    [
        ({"apiVersion": "maistra.io/v1", "spec": {}}, True),
        ({"spec": {"istio": {}}}, True),
        ({"apiVersion": "maistra.io/v2", "spec": {"version": "v2.6"}}, False),
        ({}, False),
    ],
)
def test_which_form_it_is(definition, old):
    assert is_v1(definition) is old


def test_a_v1_definition_is_refused_with_a_v2_form_that_is_taken():
    api = FakeApi()
    api.served = ["maistra.io/v2"]
    wanted = {"provider": "ossm2", "namespace": "mesh", "namespace_state": "present"}
    refused = plane_plan({**wanted, "definition": SEED}, read(api, ["mesh", "planes"]))
    assert [item["code"] for item in refused["findings"]] == ["SMCP_V1"]
    assert refused["steps"] == []
    shown = refused["findings"][0]["message"].partition("it is:\n")[2]
    taken = plane_plan({**wanted, "definition": yaml.safe_load(shown)}, read(api, ["mesh", "planes"]))
    assert taken["findings"] == []
    spec = taken["steps"][-1]["object"]["spec"]
    assert (spec["tracing"]["type"], spec["version"]) == ("Jaeger", "v2.6")
