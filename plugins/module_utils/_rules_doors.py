# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about doors beside the mesh's gateway.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.servicemesh.tcp.plugins.module_utils._rule import Rule

RULES: Mapping[str, Rule] = {
    "DOOR_BROKEN": Rule(
        "error",
        "port {port} of door {door} ({name}) is not proven at {address}, though nothing was found broken at the"
        " backend: {seen}.",
        "Look at what stands between, a firewall before the nodes, the load balancer, a NetworkPolicy, the router; and"
        " whether the application answers as the record's probe says.",
    ),
    "DOOR_MTLS": Rule(
        "error",
        "clients of door {door} come to port {port} past the mesh, and the sidecars of the backend's pods take mutual"
        " TLS only ({said_by}).",
        "Publish the record through a gateway, or have the pods' port {backend_port} excepted there (portLevelMtls).",
    ),
    "DOOR_CANNOT": Rule(
        "error",
        "{key!r} is nothing for door {door}: {why}.",
        "Leave it out, or publish the record through a gateway (with 'gateway' and without 'door'); docs/doors.md"
        " compares them.",
    ),
    "DOOR_NO_SELECTOR": Rule(
        "error",
        "Service {service} has no selector ({kind}), so that a door's Service cannot lead to the same pods.",
        "Publish the record through a gateway, which asks for the Service by its name.",
    ),
    "DOOR_SILENT": Rule(
        "error",
        "door {door} cannot prove a session in which nobody speaks: an open port proves nothing, and no gateway's Envoy"
        " stands behind the door that could be asked whether the backend was reached.",
        "Say in 'probe' what the server answers (send, banner, or its protocol), or leave the record unproven with"
        " probe.mode none.",
    ),
    "EXTERNAL_IP_ALONE": Rule(
        "note",
        "{addresses} {reaches} the backend only where the network leads {them} to a node of the cluster. Kubernetes"
        " announces no external IP, so there is no failover when that node is gone.",
        "Have something announce the address (keepalived, MetalLB, BGP of the network plugin), or choose door"
        " load_balancer.",
    ),
    "EXTERNAL_IP_POLICY": Rule(
        "error",
        "external IP {address} is against the cluster's policy: {why} (Network.config.openshift.io cluster,"
        " spec.externalIP.policy).",
        "Choose an address that the policy allows, or have its owner, the cluster's administrator, change it.",
    ),
    "ROUTE_HOST_TAKEN": Rule(
        "error",
        "{host} is already the name of {holder}, and routers serve the older one only.",
        "Choose another name, or have the owner of that Route give it up first.",
    ),
    "ROUTE_UNAVAILABLE": Rule(
        "error",
        "door route needs the Routes of OpenShift, and {why}.",
        "Publish the record through a gateway, where protocol tls shares a port by name as well; or grant the right.",
    ),
    "EXTERNAL_IP_TAKEN": Rule(
        "error",
        "port {port} of external IP {address} is already held by {holder}.",
        "Choose another port or address; of two Services with one address and port, clients reach either.",
    ),
}
