# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The echo servers of the seeds: one Service per app, and one Deployment, or one for each of its versions.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy_program import arguments, extension, listener
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import errors, finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._gateway_plan import remove_namespaces
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import COLLECTION, MANAGED_BY_LABEL
from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import (
    Problems,
    check_keys,
    check_port,
    read_count,
    read_dict,
    read_flag,
    read_label,
    words,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import Step, apply_step, remove_step
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import (
    bare_object,
    namespace_object,
    new_object,
)

APP_KEYS = words("name namespace ports replicas versions greets http")
# What a server that greets says, seed 001's words; the kubelet puts in what stands in $(...).
GREETING = "Running on Pod $(POD_NAME). In namespace $(POD_NAMESPACE). With IP address $(POD_IP). I am {name}.\n"
DIRECT_RESPONSE = "filters.network.direct_response.v3.Config"
HTTP_MANAGER = "filters.network.http_connection_manager.v3.HttpConnectionManager"
HTTP_ROUTER = "filters.http.router.v3.Router"
POD_FIELDS = {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace", "POD_IP": "status.podIP"}


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
            "versions": _versions(problems, app.get("versions", [])),
            "greets": read_flag(problems, "greets", app.get("greets", False)),
            "http": read_flag(problems, "http", app.get("http", False)),
        }
        if read["greets"] and read["http"]:
            problems.invalid("http", True, "a server of HTTP waits for a request, so it cannot greet")
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


def _versions(problems: Problems, value: Any) -> list[str]:
    """Read the versions of an app, none where there is only one."""
    if not isinstance(value, list) or len(set(map(str, value))) < len(value):
        problems.invalid("versions", value, "it must be a list of different names")
        return []
    return [read_label(problems, "versions", version) for version in value]


def deployment_names(app: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the names of an app's Deployments, each with the labels by which its pods are known."""
    if not app["versions"]:
        return {app["name"]: {"app": app["name"]}}
    return {f"{app['name']}-{version}": {"app": app["name"], "version": version} for version in app["versions"]}


def echo_objects(app: Mapping[str, Any], image: str, pull_policy: str, greeter_image: str = "") -> list[dict[str, Any]]:
    """Return one app: a Service, and a Deployment for each version, which answers by its own name."""
    name, namespace = app["name"], app["namespace"]
    ports = app["ports"]
    protocol = _protocol(app)
    service = new_object(
        "Service",
        name,
        namespace,
        {MANAGED_BY_LABEL: COLLECTION, "app": name},
        spec={
            "type": "ClusterIP",
            "selector": {"app": name},
            # Plain ones are named tcp, or a mesh that sniffs protocols would wait for the client to speak first.
            "ports": [
                {
                    "name": f"{protocol}-{port}",
                    "port": port,
                    "targetPort": port,
                    "protocol": "TCP",
                    "appProtocol": protocol,
                }
                for port in ports
            ],
        },
    )
    program, used = (_echoer, image)
    if app["greets"] or app["http"]:
        program, used = (_http_server if app["http"] else _greeter, greeter_image)
    return [
        service,
        *(
            _deployment(app, own, labels, {**program(own, ports, used), "imagePullPolicy": pull_policy})
            for own, labels in deployment_names(app).items()
        ),
    ]


def _echoer(name: str, ports: Sequence[int], image: str) -> dict[str, Any]:
    """Return what answers each line with its name before it, and logs what it was sent."""
    # istio samples/tcp-echo: PORT[,PORT...] PREFIX
    return {
        "image": image,
        "args": [",".join(str(port) for port in ports), name],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}},
    }


def _greeter(name: str, ports: Sequence[int], image: str) -> dict[str, Any]:
    """Return what speaks first: an Envoy that says who it is and closes the session."""
    greeting = {"inline_string": GREETING.format(name=name)}
    says = extension("envoy.filters.network.direct_response", DIRECT_RESPONSE, response=greeting)
    return _envoy(ports, image, says)


def _http_server(name: str, ports: Sequence[int], image: str) -> dict[str, Any]:
    """Return what answers every request with the same words: an Envoy that says who it is."""
    answer = {"status": 200, "body": {"inline_string": GREETING.format(name=name)}}
    everything = {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "direct_response": answer}]}
    says = extension(
        "envoy.filters.network.http_connection_manager",
        HTTP_MANAGER,
        stat_prefix="echo",
        route_config={"virtual_hosts": [everything]},
        http_filters=[extension("envoy.filters.http.router", HTTP_ROUTER)],
    )
    return _envoy(ports, image, says)


def _envoy(ports: Sequence[int], image: str, says: Mapping[str, Any]) -> dict[str, Any]:
    """Return an Envoy that knows its pod, with one listener for each port."""
    return {
        "image": image,
        "command": ["envoy"],
        "args": arguments(listeners=[listener(f"tcp-{port}", "0.0.0.0", port, says) for port in ports]),
        "env": [{"name": key, "valueFrom": {"fieldRef": {"fieldPath": path}}} for key, path in POD_FIELDS.items()],
        "resources": {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"cpu": "500m", "memory": "192Mi"}},
    }


def _protocol(app: Mapping[str, Any]) -> str:
    """Return what an app speaks, as its ports are called."""
    return "http" if app["http"] else "tcp"


def _deployment(
    app: Mapping[str, Any], name: str, pod_labels: Mapping[str, str], program: Mapping[str, Any]
) -> dict[str, Any]:
    """Return one Deployment."""
    labels = {MANAGED_BY_LABEL: COLLECTION, **pod_labels}
    container = {
        "name": "echo",
        **program,
        "ports": [
            {"name": f"{_protocol(app)}-{port}", "containerPort": port, "protocol": "TCP"} for port in app["ports"]
        ],
        "readinessProbe": {"tcpSocket": {"port": app["ports"][0]}, "periodSeconds": 2},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    return new_object(
        "Deployment",
        name,
        app["namespace"],
        labels,
        spec={
            "replicas": app["replicas"],
            "selector": {"matchLabels": dict(pod_labels)},
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


def echo_plan(
    apps: Iterable[Mapping[str, Any]],
    state: Mapping[str, Any],
    image: str,
    pull_policy: str,
    echo_state: str = "present",
    namespace_state: str = "present",
    greeter_image: str = "",
) -> dict[str, Any]:
    """Plan the echo servers and, where asked, their namespaces: C({steps, findings})."""
    apps, findings = read_apps(apps)
    findings += [
        finding(
            "VALUE_INVALID",
            f"echo server {app['name']!r}",
            key="greets" if app["greets"] else "http",
            value=True,
            rule="that needs echo_server_greeter_image, an image with Envoy, such as the proxy of your mesh",
        )
        for app in apps
        if (app["greets"] or app["http"]) and not greeter_image and echo_state == "present"
    ]
    view = View(state)
    namespaces = sorted({app["namespace"] for app in apps})
    steps: list[Step] = []
    if echo_state == "absent":
        for app in apps:
            steps.append(remove_step(bare_object("Service", app["name"], app["namespace"])))
            steps += [remove_step(bare_object("Deployment", name, app["namespace"])) for name in deployment_names(app)]
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
        objects = echo_objects(app, image, pull_policy, greeter_image)
        steps += [apply_step(obj, wait=obj["kind"] == "Deployment") for obj in objects]
    return {"steps": [] if errors(findings) else steps, "findings": findings}
