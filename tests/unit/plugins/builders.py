# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small builders: records and gateways as people write them, a cluster as mesh_state projects it."""

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._gateways import read_gateways
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import (
    COLLECTION,
    DEFINED_BY_LABEL,
    gateway_labels,
    gateway_pod_labels,
    gateway_selector,
    port_name,
    set_labels,
    set_manager,
    set_object_name,
)

# A gateway that is defined, and the same one only referred to.
EDGE = {"name": "edge", "namespace": "gateways", "service": {"type": "LoadBalancer"}}
EDGE_REFERENCE = {"name": "edge", "namespace": "gateways"}
BACKEND = {"namespace": "apps", "service": "echo", "port": 9000}
BACKEND_HOST = "echo.apps.svc.cluster.local"


def gateway_with(**service_keys: Any) -> dict[str, Any]:
    """Return gateway edge as it is read, its front Service defined by these keys."""
    (found,), findings = read_gateways([{**EDGE, "service": service_keys}])
    assert findings == []
    return found


def loaded(count: int, name: str = "edge", first: int = 20000, observed: Any = None) -> dict[str, Any]:
    """Return a front Service of edge as it is after a run, with a number of ports, the health port among them."""
    numbers = [15021, *range(first, first + count - 1)]
    ports = [{"port": port, "name": f"tcp-{port}-00000000", "node_port": None} for port in numbers]
    return {"gateway": "edge", "namespace": "gateways", "name": name, "ports": ports, "observed": observed}


def record(name: str = "a", port: Any = 8081, **more: Any) -> dict[str, Any]:
    """Return a port record on gateway edge."""
    return {"name": name, "gateway": "edge", "port": port, "backend": dict(BACKEND), **more}


def service_port(port: int, target: int | str | None = None, name: str = "", **more: Any) -> dict[str, Any]:
    """Return one projected port of a Service."""
    return {
        "name": name,
        "port": port,
        "target_port": port if target is None else target,
        "node_port": None,
        "protocol": "TCP",
        "app_protocol": "",
        **more,
    }


def own_port(record_name: str, port: int, target: int | None = None, set_name: str = "default") -> dict[str, Any]:
    """Return a projected port of a front Service as a set writes it."""
    return service_port(port, target, port_name(port, set_name, record_name))


def service(name: str, namespace: str, ports: Any = (), **more: Any) -> dict[str, Any]:
    """Return a projected Service."""
    return {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{namespace}-{name}",
        "labels": {},
        "created": "",
        "type": "ClusterIP",
        "class": "",
        "annotations": {},
        "definition": None,
        "in_charge": None,
        "source": "",
        "selector": {},
        "ports": list(ports),
        "external_name": "",
        "health_check_node_port": None,
        "cluster_ip": "10.96.0.1",
        "external_ips": [],
        "addresses": [],
        "managers": {},
        "edited": [],
        **more,
    }


def front(ports: Any = (), managers: dict[str, list[int]] | None = None, **more: Any) -> dict[str, Any]:
    """Return the projected front Service of gateway edge; managers are field managers with their ports."""
    shared = {"labels": gateway_labels("edge"), "selector": gateway_selector("edge", "gateways")}
    return service("edge", "gateways", ports, **{**shared, "managers": managers or {}, **more})


def further_front(number: int, *records: tuple[str, int], set_name: str = "default", **more: Any) -> dict[str, Any]:
    """Return a further front Service of edge with the ports of one set."""
    ports = [service_port(15021, name="status-port"), *(own_port(*item, set_name=set_name) for item in records)]
    managers = {COLLECTION: [15021], set_manager(set_name): [item[1] for item in records]}
    labels = gateway_labels("edge")
    return service(f"edge-{number}", "gateways", ports, **{"labels": labels, "managers": managers, **more})


def owned_front(*records: tuple[str, int] | tuple[str, int, int], set_name: str = "default") -> dict[str, Any]:
    """Return edge's front Service with the ports of one set, given as (record, port) or (record, port, target)."""
    ports = [own_port(*item, set_name=set_name) for item in records]
    return front(ports, {set_manager(set_name): [item[1] for item in records]})


def istio_gateway(*servers: tuple[str, int], set_name: str = "default", **more: Any) -> dict[str, Any]:
    """Return the projected Istio Gateway of a set on edge, its servers given as (record, port)."""
    return {
        "name": set_object_name("edge", set_name),
        "namespace": "gateways",
        "uid": "",
        "labels": set_labels("edge", set_name),
        "created": "",
        "source": "",
        "selector": gateway_selector("edge", "gateways"),
        "servers": [
            {
                "port": port,
                "name": port_name(port, set_name, name),
                "protocol": "TCP",
                "bind": "",
                "hosts": ["./*"],
                "tls": "",
                "credential": "",
            }
            for name, port in servers
        ],
        **more,
    }


def virtual_service(*ports: int, set_name: str = "default") -> dict[str, Any]:
    """Return the projected VirtualService of a set on edge, all rules to the usual backend."""
    name = set_object_name("edge", set_name)
    destination = {"host": BACKEND_HOST, "port": BACKEND["port"], "subset": "", "weight": 0}
    rules = [{"ports": [port], "match_gateways": [[]], "destinations": [dict(destination)]} for port in ports]
    return {
        "name": name,
        "namespace": "gateways",
        "uid": "",
        "labels": set_labels("edge", set_name),
        "created": "",
        "hosts": ["*"],
        "gateways": [name],
        "export_to": ["."],
        "tcp": rules,
        "tls": [],
        "http": False,
    }


def control_plane(**more: Any) -> dict[str, Any]:
    """Return a projected istiod without settings."""
    return {
        "name": "istiod",
        "namespace": "istio-system",
        "revision": "default",
        "version": "1.31",
        "ready": True,
        "scoped": False,
        "enhanced": None,
        "member_roll": False,
        "domain": "cluster.local",
        "config": {"discovery_selectors": [], "export_to": ["*"], "root_namespace": "", "unprivileged": False},
        **more,
    }


def workload(name: str = "edge", namespace: str = "gateways", **more: Any) -> dict[str, Any]:
    """Return a projected gateway workload with the labels that this collection gives."""
    return {
        "name": name,
        "namespace": namespace,
        "labels": gateway_pod_labels(name, namespace),
        "pods": 1,
        "revision": "default",
        "gateway": True,
        "unprivileged": False,
        **more,
    }


def deployment(defined_by: str = "default") -> dict[str, Any]:
    """Return the projected Deployment of gateway edge."""
    return {
        "name": "edge",
        "namespace": "gateways",
        "uid": "",
        "labels": {**gateway_labels("edge"), DEFINED_BY_LABEL: defined_by},
        "created": "",
        "replicas": 1,
        "available": 1,
    }


def namespaces(*names: str) -> dict[str, Any]:
    """Return projected namespaces without labels."""
    return {name: {"labels": {}, "terminating": False} for name in names}


def state(*services: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a projection of a cluster with a ready mesh, the usual backend and gateway edge's Deployment."""
    return {
        "version": 2,
        "cluster": {"host": "https://cluster.test:6443", "kubernetes": "v1.34.4", "openshift": False},
        "mesh": {"served": True, "revisions": ["default"], "control_planes": [control_plane()], "unread": []},
        "namespaces": namespaces("gateways", "apps"),
        "services": [service("echo", "apps", [service_port(9000)]), *services],
        "gateways": [],
        "virtual_services": [],
        "workloads": [],
        "deployments": [deployment()],
        "smcps": [],
        "nodes": [],
        **more,
    }


def joining(**more: Any) -> dict[str, Any]:
    """Return a cluster's projection as onboarding reads it; C(members) adds to what is read of members."""
    members = {"control_planes": [], "rolls": [], "members": [], **more.pop("members", {})}
    return {**state(**more), "members": members}


def member_roll(*names: str, namespace: str = "istio-system", **more: Any) -> dict[str, Any]:
    """Return a projected ServiceMeshMemberRoll that names these namespaces."""
    empty = {"labels": {}, "selectors": [], "ours": [], "configured": []}
    return {"namespace": namespace, "members": list(names), **empty, **more}


def messages(findings: list[dict[str, str]]) -> list[str]:
    """Return what findings say, each with its code."""
    return [f"{item['code']} {item['message']}" for item in findings]


def step_lines(plan: dict[str, Any]) -> list[str]:
    """Return a plan's steps as short lines."""
    shown = []
    for step in plan["steps"]:
        obj = step["object"]
        place = "/".join(filter(None, [obj["metadata"].get("namespace"), obj["metadata"]["name"]]))
        shown.append(f"{step['state']} {obj['kind']} {place}")
    return shown
