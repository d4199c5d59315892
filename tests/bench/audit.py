# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long an audit takes: on an API server of its own, without a mesh, with as many objects as the budget says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "playbooks" / "collections"))

from ansible_collections.servicemesh.tcp.plugins.module_utils import _audit_read
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit import audit
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_records import adoption
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api, ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._report_files import files
from ansible_collections.servicemesh.tcp.tests.unit.plugins import audit_builders as build

ROOT = Path(__file__).resolve().parents[2]
LAB = "bench-audit"
NAMESPACE = "bench"
WORKLOADS = 10
WRITERS = 6
Object = dict[str, Any]


def crd(kind: str, plural: str) -> Object:
    """Return a definition of one of Istio's kinds that takes anything: no istiod reads it here."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1beta1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.networking.istio.io"},
        "spec": {
            "group": "networking.istio.io",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "scope": "Namespaced",
            "versions": [version],
        },
    }


def cluster(services: int, gateways: int, ports: int) -> Iterator[tuple[str, Object]]:
    """Return the path and the object of everything that is made; ports are spread over the Gateways."""
    each = ports // gateways
    core, istio = f"/api/v1/namespaces/{NAMESPACE}", f"/apis/networking.istio.io/v1beta1/namespaces/{NAMESPACE}"
    backends = [f"backend-{number}" for number in range(services - WORKLOADS)]
    for name in backends:
        item = build.service(name, NAMESPACE, build.port(5432), selector={"app": name})
        service = bare(item, "v1", "Service")
        # The API server of this lab has 254 addresses for Services.
        service["spec"]["clusterIP"] = "None"
        yield f"{core}/services", service
        [piece] = build.slices(item)
        piece["addressType"] = "IPv4"
        piece["endpoints"] = [{"addresses": ["10.1.2.3"], "conditions": {"ready": True}}]
        place = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"
        yield place, bare(piece, "discovery.k8s.io/v1", "EndpointSlice")
    numbers: dict[int, list[int]] = {workload: [] for workload in range(WORKLOADS)}
    for number in range(gateways):
        workload = number % WORKLOADS
        mine = [20000 + number // WORKLOADS * each + step for step in range(each)]
        numbers[workload] += mine
        item = build.istio_gateway(f"g{number}", NAMESPACE, {"app": f"w{workload}"}, *mine)
        yield f"{istio}/gateways", bare(item, "networking.istio.io/v1beta1", "Gateway")
        rules = [(one, f"{backends[one % len(backends)]}.{NAMESPACE}.svc.cluster.local", 5432) for one in mine]
        routes = build.routes(f"g{number}", NAMESPACE, f"g{number}", *rules)
        yield f"{istio}/virtualservices", bare(routes, "networking.istio.io/v1beta1", "VirtualService")
    for workload, mine in numbers.items():
        labels = {"app": f"w{workload}", "service.istio.io/canonical-name": f"w{workload}"}
        pod = build.gateway_pods(f"w{workload}", NAMESPACE, labels)
        pod["metadata"].pop("ownerReferences")
        pod["spec"] = {"containers": [{"name": "proxy", "image": "x"}], "automountServiceAccountToken": False}
        yield f"{core}/pods", bare(pod, "v1", "Pod")
        front = build.service(
            f"w{workload}",
            NAMESPACE,
            *map(build.port, mine),
            type="LoadBalancer",
            allocateLoadBalancerNodePorts=False,
            selector={"app": f"w{workload}"},
        )
        yield f"{core}/services", bare(front, "v1", "Service")


def bare(item: Mapping[str, Any], version: str, kind: str) -> Object:
    """Return an object as somebody would create it."""
    metadata = {key: value for key, value in item["metadata"].items() if key != "creationTimestamp"}
    spec = {key: value for key, value in item.get("spec", {}).items() if key != "clusterIP"}
    rest = {key: value for key, value in item.items() if key not in ("metadata", "spec", "status")}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **({"spec": spec} if spec else {}), **rest}


def connect(kubeconfig: Path) -> Api:
    """Connect as a module does."""

    def fail(msg: str, **_more: Any) -> None:
        raise RuntimeError(msg)

    return Api(SimpleNamespace(params={"kubeconfig": str(kubeconfig)}, fail_json=fail))


def make(kubeconfig: Path, objects: Iterable[tuple[str, Object]]) -> None:
    """Make everything, several at a time."""
    api = connect(kubeconfig)
    api.request("POST", "/api/v1/namespaces", body={"metadata": {"name": NAMESPACE}})
    account = {"metadata": {"name": "default"}}
    api.request("POST", f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts", body=account)
    for kind, plural in (("Gateway", "gateways"), ("VirtualService", "virtualservices")):
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        api.request("POST", path, body=crd(kind, plural))
        while True:
            try:
                api.get(f"/apis/networking.istio.io/v1beta1/{plural}")
                break
            except ApiError:
                time.sleep(0.2)
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda item: api.request("POST", item[0], body=item[1]), objects))


def measure(kubeconfig: Path) -> list[str]:
    """Return the seconds of each part, of the whole playbook, and the number of requests."""
    started = time.monotonic()
    api = connect(kubeconfig)
    read = _audit_read.read_audit(api)
    seen = time.monotonic()
    document = audit(read, datetime.now(UTC), "bench")
    judged = time.monotonic()
    files(document, adoption(document["rows"], read["state"]["services"]), str(ROOT / "roles/audit/files/report"))
    written = time.monotonic()
    assert document["summary"]["ways_in"] == len(document["rows"]), document["summary"]
    with tempfile.TemporaryDirectory() as folder:
        hosts = Path(folder) / "hosts.json"
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        hosts.write_text(json.dumps({"clusters": {"hosts": {"bench": {**host, "tcp_kubeconfig": str(kubeconfig)}}}}))
        command = ["ansible-playbook", "-i", str(hosts), "servicemesh.tcp.audit_tcp"]
        options = ["-e", json.dumps({"tcp_report_dir": folder, "tcp_audit_fail_on": []})]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
        began = time.monotonic()
        subprocess.run([*command, *options], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        whole = time.monotonic() - began
    seconds = [seen - started, judged - seen, written - judged, whole]
    return [*(f"{number:.1f} s" for number in seconds), str(api.requests["GET"]), str(len(document["rows"]))]


def rows(sizes: Iterable[tuple[int, int, int]] = ((100, 50, 500), (1000, 500, 5000))) -> list[list[str]]:
    """Measure each size (Services, Gateways, ports) on an API server of its own, the best of three."""
    found = []
    for services, gateways, ports in sizes:
        lab = [str(ROOT / "tests/lab/lab")]
        subprocess.run([*lab, "up", "--name", LAB, "--api-only"], check=True, stdout=subprocess.DEVNULL)
        try:
            kubeconfig = ROOT / ".lab" / LAB / "kubeconfig"
            make(kubeconfig, cluster(services, gateways, ports))
            best = min((measure(kubeconfig) for _attempt in range(3)), key=lambda row: float(row[3].split()[0]))
        finally:
            subprocess.run([*lab, "down", "--name", LAB], check=True, stdout=subprocess.DEVNULL)
        assert best[5] == str(ports), best
        found.append([f"{services:,}", f"{gateways:,}", f"{ports:,}", *best[:5]])
        print("  ".join(found[-1]), flush=True)
    return found
