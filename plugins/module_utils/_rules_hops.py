# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts: the first broken hop of a port whose proof failed.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.servicemesh.tcp.plugins.module_utils._rule import Rule

RULES: Mapping[str, Rule] = {
    "HOP_ADDRESS_SILENT": Rule(
        "error",
        "everything in the cluster is in order for port {port}, but nothing answers at {address}, on no port: {seen}.",
        "Look at the load balancer and the way to it: is the address its own, is it routed here, does it reach a node?"
        " Where this machine cannot reach it, prove from one that can.",
    ),
    "HOP_APPLICATION": Rule(
        "error",
        "port {port} reaches {service} at {endpoints}, which accepts the connection, but: {seen}.",
        "Look at the application: its log, what it speaks, and whether it is the one that the record means; or mend the"
        " record's probe.",
    ),
    "HOP_BACKEND_EMPTY": Rule(
        "error",
        "port {backend_port} of backend Service {service} has no ready endpoint: {why}.",
        "Start the backend's pods, or mend the Service's selector or target port.",
    ),
    "HOP_BACKEND_MISSING": Rule(
        "error",
        "backend Service {service} is not there.",
        "Create it, or mend the record's backend.",
    ),
    "HOP_BACKEND_PORT": Rule(
        "error",
        "backend Service {service} has no TCP port {backend_port}; it has {has}.",
        "Add the port, or mend the record's backend.port.",
    ),
    "HOP_BACKEND_REFUSES": Rule(
        "error",
        "the gateway's connection to the backend's {endpoints} is {seen}.",
        "Look whether the application listens on that port and on the pod's address, and whether a firewall between the"
        " nodes drops it. No NetworkPolicy was found that would.",
    ),
    "HOP_CLUSTER_EMPTY": Rule(
        "error",
        "{seen}, though the backend's Service has ready ones.",
        "Look at the DestinationRules of that host (outlier detection, subsets) and at the log of istiod {plane}.",
    ),
    "HOP_CLUSTER_UNKNOWN": Rule(
        "error",
        "the Envoy of gateway pod {pods} does not know cluster {cluster}, though the Service is there.",
        "Let the mesh see it: the discovery selectors or members of istiod {plane}, the Service's annotation"
        " networking.istio.io/exportTo, the subsets of a DestinationRule.",
    ),
    "HOP_DENIED": Rule(
        "error",
        "AuthorizationPolicy {policies} does not let in {client} on pod port {target}.",
        "Allow it there (ports are those of the pod, not of the Service), or prove from an address that is let in.",
    ),
    "HOP_EXTERNAL_EMPTY": Rule(
        "error",
        "the gateway has no address of {servers}, which is outside of the cluster: {seen}.",
        "Look whether the gateway's pods can resolve the name: the cluster's DNS asks for it, not this machine.",
    ),
    "HOP_EXTERNAL_MISSING": Rule(
        "error",
        "the ServiceEntry for {servers} (host {host}) is not there.",
        "Run expose_tcp, which makes it; if it goes again, somebody removes it.",
    ),
    "HOP_EXTERNAL_REFUSES": Rule(
        "error",
        "the gateway's connection to {servers}, outside of the cluster, is {seen}.",
        "Look whether a server listens there, and whether anything lets no pods of this cluster out or in: a firewall,"
        " an EgressFirewall of OpenShift, the server's own allow list, a missing route.",
    ),
    "HOP_FIREWALL": Rule(
        "error",
        "everything in the cluster is in order for port {port}, and {address} answers on other ports, but this one does"
        " not reach the gateway: {seen}.",
        "Look for what stands between: a firewall or security group without this port, or a load balancer that has not"
        " taken it up.",
    ),
    "HOP_FRONT_MISSING": Rule(
        "error",
        "front Service {service} is not there.",
        "Run expose_tcp, which makes it.",
    ),
    "HOP_FRONT_PORT": Rule(
        "error",
        "front Service {service} has no port {port}; it has {has}.",
        "Run expose_tcp, which adds it; if it goes again, somebody else writes the Service's ports.",
    ),
    "HOP_FRONT_SELECTS_NOTHING": Rule(
        "error",
        "front Service {service} selects {selector}, which is not what the gateway's pods have ({labels}).",
        "Run the role gateways, which sets the selector back.",
    ),
    "HOP_FRONT_TARGET": Rule(
        "error",
        "front Service {service} leads port {port} to {target!r}, and the gateway listens on {listener}.",
        "Run expose_tcp, which sets the target port back. Another Service on the same pods that leads that number"
        " elsewhere, a target port by name, or a label that turns port translation off does the same.",
    ),
    "HOP_GATEWAY_UNSEEN": Rule(
        "error",
        "{object} is there, but istiod {plane} does not apply it to the gateway's pods.",
        "Compare its selector with the pods' labels, and look at istiod's discovery selectors and revision.",
    ),
    "HOP_LISTENER_LOST": Rule(
        "error",
        "pod port {target} is served by {winner}, which is older, so Istio drops ours without a word.",
        "Have that one give up the port, or choose another port.",
    ),
    "HOP_LISTENER_MISSING": Rule(
        "error",
        "the Envoy of gateway pod {pods} does not listen on {target}, though the configuration is in order.",
        "Look whether the pod is connected to istiod {plane} (istioctl proxy-status) and at istiod's log.",
    ),
    "HOP_LISTENER_PRIVILEGED": Rule(
        "error",
        "pod port {target} is below 1024, and the gateway's pods may not bind such ports, so Istio leaves it out.",
        "Choose a target_port from 1024 on; clients need not notice.",
    ),
    "HOP_LISTENER_REJECTED": Rule(
        "error",
        "Envoy refuses the listener on {target} (pods: {pods}): {seen}.",
        "Mend what it says: often an EnvoyFilter, or Gateways of different owners on one port.",
    ),
    "HOP_LISTENER_RESERVED": Rule(
        "error",
        "pod port {target} is one of the proxy's own, so that no listener can have it.",
        "Choose another target_port.",
    ),
    "HOP_MTLS": Rule(
        "error",
        "gateway and backend do not speak the same: {why}.",
        "Make the DestinationRule and the PeerAuthentication agree; without either, Istio finds out by itself.",
    ),
    "HOP_NAME_UNRESOLVED": Rule(
        "error",
        "{address} does not resolve from here: {seen}",
        "Wait for the name of a new load balancer, or mend the DNS that this machine asks.",
    ),
    "HOP_NETWORK_POLICY": Rule(
        "error",
        "NetworkPolicy {policies} does not let {source} reach {destination}.",
        "Allow it there, or in one more policy: what any policy allows is allowed.",
    ),
    "HOP_NOT_FOUND": Rule(
        "error",
        "no hop was found broken, but port {port} is not proven: {seen}.",
        "Run it again, if it was just starting; else look at the logs of the gateway and of the backend.",
    ),
    "HOP_NO_ADDRESS": Rule(
        "error",
        "front Service {service} of type {type} has no address.",
        "Look at the events of the Service: is there a controller for load balancers, of this class, with addresses"
        " left?",
    ),
    "HOP_PODS_MISSING": Rule(
        "error",
        "gateway {gateway} has no pod: {why}.",
        "Run the role gateways, or look at the events of its ReplicaSet (quota, admission).",
    ),
    "HOP_PODS_NOT_INJECTED": Rule(
        "error",
        "gateway pod {pod} was not injected, its image is still 'auto': {why}.",
        "Mend that, look whether istiod runs, and delete the pod: it is injected when it is made.",
    ),
    "HOP_PODS_NOT_READY": Rule(
        "error",
        "none of the {count} gateway pod(s) is ready; {pod}: {why}.",
        "Look at the pod's events and log.",
    ),
    "HOP_PODS_NO_CERTIFICATE": Rule(
        "error",
        "gateway pod {pod} is not ready, because its proxy has no certificate from the mesh (revision {revision!r}).",
        "Look whether the pod reaches istiod's port 15012 (its log), and whether istiod takes the pod's token.",
    ),
    "HOP_PODS_REVISION": Rule(
        "error",
        "gateway pod {pod} asks for revision {revision!r}, and the injectors are of {known}.",
        "Name a revision that is there in the gateway's 'mesh', or on its namespace.",
    ),
    "HOP_ROUTE_MISSING": Rule(
        "error",
        "no VirtualService has a rule for port {port} of Gateway {object}, so that nothing listens.",
        "Run expose_tcp, which writes it.",
    ),
    "HOP_ROUTE_TAKEN": Rule(
        "error",
        "port {port} follows {route} to cluster {cluster}, and not {own} to its own backend.",
        "Have that rule taken away, or let expose_tcp write its own back.",
    ),
    "HOP_SECRET_MISSING": Rule(
        "error",
        "Secret {secret}, which {object} names for port {port}, is not there.",
        "Create it in the gateway's namespace.",
    ),
    "HOP_SERVER_MISSING": Rule(
        "error",
        "{object} has no server for port {port}, or is not there.",
        "Run expose_tcp, which writes it.",
    ),
    "HOP_SNIFFING": Rule(
        "error",
        "the server behind port {backend_port} of Service {service} speaks first, and its sidecar waits for the"
        " client's bytes: {why}.",
        "Name the Service's port tcp-... (or appProtocol: tcp), and let the gateway speak mTLS, or exempt the port with"
        " a PeerAuthentication of mode DISABLE.",
    ),
    "HOP_SOURCE_RANGE": Rule(
        "error",
        "front Service {service} lets in {ranges} only, and the connection comes {client}.",
        "Add this machine to service.source_ranges, or prove from an address that is let in.",
    ),
    "HOP_UNSEEN": Rule(
        "error",
        "what could be seen of port {port} is in order, but it is not proven ({seen}). Not to be seen was: {unseen}.",
        "Mend what is named there, mostly by the rights of docs/rbac.yaml (servicemesh-tcp-diagnose and, for"
        " probe.from: cluster, servicemesh-tcp-probe), and run it again.",
    ),
    "HOP_SUBSET_EMPTY": Rule(
        "error",
        "subset {subset} ({labels}) of backend Service {service} has no ready endpoint on port {backend_port}: {why}.",
        "Start that version's pods, mend the subset's labels, or give it the weight 0.",
    ),
    "HOP_SUBSET_MISSING": Rule(
        "error",
        "the gateway's namespace is to see subset {subset} ({labels}) of {host}, but {seen}.",
        "Run it again: the set's DestinationRule was removed, changed or hidden since.",
    ),
}
