# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The echo servers of the seeds: one Deployment and one Service per app.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import errors, finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import COLLECTION, MANAGED_BY_LABEL
from ansible_collections.servicemesh.tcp.plugins.module_utils._plan import (
    Step,
    apply_step,
    remove_namespaces,
    remove_step,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import (
    Problems,
    check_keys,
    check_port,
    read_count,
    read_dict,
    read_label,
    words,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import (
    bare_object,
    namespace_object,
    new_object,
)

APP_KEYS = words("name namespace ports replicas")


def read_apps(raw_apps: Iterable[Any]) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Read the apps: what is good, and the findings about what is not."""
    apps: list[dict[str, Any]] = []
    findings: list[dict[str, str]] = []
    seen: Counter[tuple[str, str]] = Counter()
    for index, raw in enumerate(raw_apps):
        problems = Problems(f"echo_apps[{index}]")
        app = read_dict(problems, "app", raw)
        check_keys(problems, "", app, APP_KEYS, APP_KEYS)
        ports = app.get("ports")
        if not isinstance(ports, list) or not ports:
            problems.invalid("ports", ports, "an echo server needs a list of at least one port")
            ports = []
        read = {
            "name": read_label(problems, "name", app.get("name")),
            "namespace": read_label(problems, "namespace", app.get("namespace")),
            "ports": [check_port(problems, "ports", port) for port in ports],
            "replicas": read_count(problems, "replicas", app.get("replicas", 1)),
        }
        findings += problems.findings
        if not problems.findings:
            apps.append(read)
            seen[read["namespace"], read["name"]] += 1
    findings += [
        finding(
            "NAME_TAKEN",
            f"echo server {name!r}",
            name=name,
            times=times,
            scope="an app's name is unique in its namespace",
        )
        for (_namespace, name), times in sorted(seen.items())
        if times > 1
    ]
    return apps, findings


def echo_objects(app: Mapping[str, Any], image: str, pull_policy: str) -> list[dict[str, Any]]:
    """Return one echo server; it answers each line with its own name before it, and logs what it was sent."""
    name, namespace = app["name"], app["namespace"]
    labels = {MANAGED_BY_LABEL: COLLECTION, "app": name}
    ports = app["ports"]
    container = {
        "name": "echo",
        "image": image,
        "imagePullPolicy": pull_policy,
        # istio samples/tcp-echo: PORT[,PORT...] PREFIX
        "args": [",".join(str(port) for port in ports), name],
        "ports": [{"name": f"tcp-{port}", "containerPort": port, "protocol": "TCP"} for port in ports],
        "readinessProbe": {"tcpSocket": {"port": ports[0]}, "periodSeconds": 2},
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    deployment = new_object(
        "Deployment",
        name,
        namespace,
        labels,
        spec={
            "replicas": app["replicas"],
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [container],
                    "automountServiceAccountToken": False,
                    "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
                },
            },
        },
    )
    service = new_object(
        "Service",
        name,
        namespace,
        labels,
        spec={
            "type": "ClusterIP",
            "selector": {"app": name},
            # Named tcp, or a mesh that sniffs protocols would wait for the client to speak first.
            "ports": [
                {"name": f"tcp-{port}", "port": port, "targetPort": port, "protocol": "TCP", "appProtocol": "tcp"}
                for port in ports
            ],
        },
    )
    return [service, deployment]


def echo_plan(
    apps: Iterable[Mapping[str, Any]],
    state: Mapping[str, Any],
    image: str,
    pull_policy: str,
    echo_state: str = "present",
    namespace_state: str = "present",
) -> dict[str, Any]:
    """Plan the echo servers and, where asked, their namespaces: C({steps, findings})."""
    apps, findings = read_apps(apps)
    view = View(state)
    namespaces = sorted({app["namespace"] for app in apps})
    steps: list[Step] = []
    if echo_state == "absent":
        for app in apps:
            steps += [
                remove_step(bare_object("Service", app["name"], app["namespace"])),
                remove_step(bare_object("Deployment", app["name"], app["namespace"])),
            ]
        if namespace_state == "present":
            steps += remove_namespaces(namespaces, steps, view)
        return {"steps": [] if errors(findings) else steps, "findings": findings}
    for name in namespaces:
        if view.has_namespace(name):
            continue
        if namespace_state == "present":
            steps.append(apply_step(namespace_object(name)))
        else:
            findings.append(
                finding("NAMESPACE_MISSING", "echo servers", namespace=name, argument="echo_namespace_state")
            )
    for app in apps:
        steps += [apply_step(obj, wait=obj["kind"] == "Deployment") for obj in echo_objects(app, image, pull_policy)]
    return {"steps": [] if errors(findings) else steps, "findings": findings}
