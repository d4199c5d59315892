# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each finding about doors beside the gateway, with what provokes it and its whole text."""

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import _hops_door
from ansible_collections.servicemesh.tcp.plugins.module_utils._hops_case import Case, Facts
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import BACKEND, service, service_port, state

SAYS = {"mode": "send", "send": "hello"}
AT = {"external_ips": ["198.18.9.1"]}
ALONE = (
    "record 'a': external IP 198.18.9.1 reaches the backend only where the network leads it to a node of the cluster."
    " Kubernetes announces no external IP, so there is no failover when that node is gone. Have something announce the"
    " address (keepalived, MetalLB, BGP of the network plugin), or choose door load_balancer."
)


def door(kind: str = "external_ip", name: str = "a", **more: Any) -> dict[str, Any]:
    """Return a record that leads past the gateway to the usual backend."""
    at = {"service": AT} if kind == "external_ip" else {}
    return {"name": name, "door": kind, "backend": dict(BACKEND), "probe": dict(SAYS), **at, **more}


def with_backend(*services: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return a cluster whose usual backend selects its pods."""
    found = state(*services, **more)
    found["services"][0]["selector"] = {"app": "echo"}
    return found


def said(*records: dict[str, Any], cluster: Any = None, code: str = "") -> list[dict[str, str]]:
    """Return what planning these records says, of one code if that is given."""
    found = port_map(list(records), [], cluster or with_backend())["findings"]
    return [item for item in found if code in ("", item["code"])]


def policed(**policy: Any) -> list[dict[str, str]]:
    """Return what OpenShift's policy on external IPs has against the usual one."""
    return said(door(), cluster=with_backend(external_ip_policy=policy), code="EXTERNAL_IP_POLICY")


def walked(peer: dict[str, Any] | None = None) -> list[dict[str, str]]:
    """Return the verdict on a door whose backend is in order but for its sidecar's PeerAuthentication."""
    cluster = with_backend()
    (port,) = port_map([door("node_port", node_port=30500)], [], cluster)["ports"]
    labels = {"app": "echo", **({"security.istio.io/tlsMode": "istio"} if peer else {})}
    pod = {"metadata": {"name": "echo-1", "namespace": "apps", "labels": labels}, "status": {"podIP": "10.0.0.7"}}
    part = {
        "metadata": {"labels": {"kubernetes.io/service-name": "echo"}},
        "ports": [{"name": "", "port": 9000}],
        "endpoints": [{"addresses": ["10.0.0.7"], "conditions": {"ready": True}}],
    }
    facts = Facts(View(cluster), {"apps": [pod]}, {"apps": [part]}, peers={"apps": [peer] if peer else []})
    result = {"name": "a", "address": "198.18.1.1", "port": 30500, "state": "refused", "detail": "errno 111"}
    return [_hops_door.first_broken_hop(Case(port, ["198.18.1.1"], facts, results=[result]))]


STRICT = {"metadata": {"name": "all", "namespace": "apps"}, "spec": {"mtls": {"mode": "STRICT"}}}
TEXTS = {
    "DOOR_BROKEN": (
        walked,
        "record 'a': port 9000 of door node_port (apps/echo-tcp-9414e6f6) is not proven at 198.18.1.1, though nothing"
        " was found broken at the backend: the connection is refused (errno 111). Look at what stands between, a"
        " firewall before the nodes, the load balancer, a NetworkPolicy, the router; and whether the application"
        " answers as the record's probe says.",
    ),
    "DOOR_MTLS": (
        lambda: walked(STRICT),
        "record 'a': clients of door node_port come to port 9000 past the mesh, and the sidecars of the backend's pods"
        " take mutual TLS only (PeerAuthentication apps/all). Publish the record through a gateway, or have the pods'"
        " port 9000 excepted there (portLevelMtls).",
    ),
    "DOOR_CANNOT": (
        lambda: said(door("node_port", target_port=9000)),
        "record 'a': 'target_port' is nothing for door node_port: it leads to the pods' own port, which the backend"
        " Service names. Leave it out, or publish the record through a gateway (with 'gateway' and without 'door');"
        " docs/doors.md compares them.",
    ),
    "DOOR_NO_SELECTOR": (
        lambda: said(door("load_balancer"), cluster=state()),
        "record 'a': Service apps/echo has no selector (its endpoints are kept by somebody else), so that a door's"
        " Service cannot lead to the same pods. Publish the record through a gateway, which asks for the Service by its"
        " name.",
    ),
    "DOOR_SILENT": (
        lambda: said(door("node_port", probe={})),
        "record 'a': door node_port cannot prove a session in which nobody speaks: an open port proves nothing, and no"
        " gateway's Envoy stands behind the door that could be asked whether the backend was reached. Say in 'probe'"
        " what the server answers (send, banner, or its protocol), or leave the record unproven with probe.mode none.",
    ),
    "ROUTE_HOST_TAKEN": (
        lambda: said(
            door("route", hosts="db.example.com", probe={}),
            cluster=with_backend(
                routes=[], route_hosts=[{"namespace": "shop", "name": "db", "host": "db.example.com"}]
            ),
        ),
        "record 'a': db.example.com is already the name of Route shop/db, and routers serve the older one only. Choose"
        " another name, or have the owner of that Route give it up first.",
    ),
    "ROUTE_UNAVAILABLE": (
        lambda: said(door("route", hosts="db.example.com", probe={})),
        "record 'a': door route needs the Routes of OpenShift, and the API server does not know route.openshift.io/v1."
        " Publish the record through a gateway, where protocol tls shares a port by name as well; or grant the right.",
    ),
    "EXTERNAL_IP_ALONE": (lambda: said(door()), ALONE),
    "EXTERNAL_IP_POLICY": (
        lambda: policed(rejectedCIDRs=["198.18.8.0/23"], allowedCIDRs=["198.18.0.0/16"]),
        "record 'a': external IP 198.18.9.1 is against the cluster's policy: it lies in 198.18.8.0/23, which"
        " rejectedCIDRs has (Network.config.openshift.io cluster, spec.externalIP.policy). Choose an address that the"
        " policy allows, or have its owner, the cluster's administrator, change it.",
    ),
    "EXTERNAL_IP_TAKEN": (
        lambda: said(
            door(),
            cluster=with_backend(service("theirs", "apps", [service_port(9000)], external_ips=["198.18.9.1"])),
            code="EXTERNAL_IP_TAKEN",
        ),
        "record 'a': port 9000 of external IP 198.18.9.1 is already held by Service apps/theirs. Choose another port or"
        " address; of two Services with one address and port, clients reach either.",
    ),
}
