# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small builders for the Istio model: projected Gateways, VirtualServices and Services in few words."""

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import control_plane, service, service_port
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import state as whole_state

PODS = {"istio": "ingress"}


def day(number: int) -> str:
    """Return a creation time; greater is younger."""
    return f"2026-01-{number:02}T00:00:00Z"


def server(port: int, protocol: str = "TCP", tls: str = "", hosts: Any = ("*",), **more: Any) -> dict[str, Any]:
    """Return a Gateway's server; the name of its port is made of both."""
    name = f"{protocol.lower()}-{port}"
    found = {"port": port, "name": name, "protocol": protocol, "bind": "", "hosts": list(hosts), "tls": tls}
    return {**found, "credential": "", **more}


def passthrough(port: int, *hosts: str, **more: Any) -> dict[str, Any]:
    """Return a server that passes TLS on."""
    return server(port, "TLS", "PASSTHROUGH", hosts, **more)


def ended(port: int, *hosts: str, **more: Any) -> dict[str, Any]:
    """Return a server that ends TLS."""
    return server(port, "TLS", "SIMPLE", hosts, **more)


def gateway(name: str, *servers: Any, created: int = 1, namespace: str = "gateways", **more: Any) -> dict[str, Any]:
    """Return a Gateway for the usual pods; a number is a TCP server on that port."""
    listed = [server(item) if isinstance(item, int) else item for item in servers]
    common = {"uid": "", "labels": {}, "source": "", "selector": dict(PODS)}
    return {"name": name, "namespace": namespace, "created": day(created), **common, "servers": listed, **more}


def rule(
    *ports: int | None, to: str = "db.apps.svc.cluster.local", port: int | None = 5432, **more: Any
) -> dict[str, Any]:
    """Return a rule with a match for each port, and one destination."""
    destination = {"host": to, "port": port, "subset": "", "weight": 0}
    return {"ports": list(ports), "match_gateways": [[] for _ in ports], "destinations": [destination], **more}


def sni_rule(*names: str, port: int | None = None, **more: Any) -> dict[str, Any]:
    """Return a TLS rule with one match."""
    return {**rule(port, **more), "sni": [list(names)]}


def routes(name: str, *tcp: Any, created: int = 1, namespace: str = "gateways", **more: Any) -> dict[str, Any]:
    """Return a VirtualService, by default for the Gateway of its name."""
    common = {"uid": "", "labels": {}, "hosts": ["*"], "gateways": [name], "export_to": [], "tls": [], "http": False}
    return {"name": name, "namespace": namespace, "created": day(created), **common, "tcp": list(tcp), **more}


def door(name: str, *ports: Any, created: int = 1, namespace: str = "gateways", **more: Any) -> dict[str, Any]:
    """Return a Service in front of the usual pods; a pair is a port and its target."""
    listed = [service_port(*item, name=f"tcp-{item[0]}") if isinstance(item, tuple) else item for item in ports]
    return service(name, namespace, listed, **{"selector": dict(PODS), "created": day(created), **more})


def pods(name: str = "ingress", namespace: str = "gateways", **more: Any) -> dict[str, Any]:
    """Return the usual workload."""
    common = {"pods": 1, "revision": "default", "gateway": True, "unprivileged": False}
    return {"name": name, "namespace": namespace, "labels": dict(PODS), **common, **more}


def world(*items: dict[str, Any], plane: Any = None, workloads: Any = None, namespaces: Any = None) -> dict[str, Any]:
    """Return a state of Gateways, VirtualServices and Services, told apart by what they have."""
    planes = plane if isinstance(plane, list) else [control_plane(**(plane or {}))]
    found = whole_state(
        gateways=[item for item in items if "servers" in item],
        virtual_services=[item for item in items if "gateways" in item],
        workloads=[pods()] if workloads is None else workloads,
    )
    found["services"] = [item for item in items if "cluster_ip" in item]
    found["mesh"]["control_planes"] = planes
    found["namespaces"] |= namespaces or {}
    return found
