# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an audit finds in a cluster.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.servicemesh.tcp.plugins.module_utils._rule import Rule

RULES: Mapping[str, Rule] = {
    "ADDRESS_MISSING": Rule(
        "warning",
        "its load balancer has no address, so nobody reaches {ports}.",
        "Look at the object's events: the load balancer's controller says there what keeps it from giving one.",
    ),
    "AUDIT_UNSEEN": Rule(
        "note",
        "there is no right to read {paths}; not seen is {what}.",
        "Grant the right; docs/rbac.yaml holds all that this collection needs.",
    ),
    "BACKEND_DEAD": Rule(
        "error",
        "nothing behind its port {port} is ready, and that is where these lead: {doors}.",
        "Look at the Service's pods (selector, readiness), or close the port.",
    ),
    "BACKEND_GONE": Rule(
        "error",
        "it does not exist or lacks port {port}, and that is where these lead: {doors}.",
        "Create the Service or its port, mend the route, or close the port.",
    ),
    "CERTIFICATE_EXPIRED": Rule(
        "error",
        "its certificate ended on {end}.",
        "Renew it; clients that verify are refused.",
    ),
    "CERTIFICATE_EXPIRES": Rule(
        "warning",
        "its certificate ends on {end}, in {days} days.",
        "Renew it before; tcp_audit_expiry_days says how early this is told.",
    ),
    "CERTIFICATE_UNSEEN": Rule(
        "note",
        "the certificates of {secrets} were not seen, so when they end is not known.",
        "Let the audit read Secrets of type kubernetes.io/tls in those namespaces, or look there yourself.",
    ),
    "LISTENER_RESERVED": Rule(
        "warning",
        "its server on {ports} gets no listener on the pods of {gateway}: the port is the proxy's own.",
        "Choose another port.",
    ),
    "LISTENER_UNREACHED": Rule(
        "note",
        "it listens on {ports} of the pods of {gateway}, but no Service leads there from outside.",
        "Add the port to the gateway's Service, or remove the server if nobody inside the cluster uses it.",
    ),
    "LISTENER_WITHOUT_ROUTE": Rule(
        "warning",
        "its server on {ports} has no {kinds}, so connections are refused.",
        "Write the route (its gateway, port and hosts must match the server's), or remove the server.",
    ),
    "OPEN_TO_WORLD": Rule(
        "warning",
        "anybody on the internet may use {ports} at {addresses}.",
        "If that is not meant, set the Service's source ranges, or an AuthorizationPolicy for the gateway's port.",
    ),
    "PORT_PRIVILEGED": Rule(
        "warning",
        "its server on {ports} gets no listener on the pods of {gateway}, which may not bind ports below 1024.",
        "Lead the Service's port to a target port from 1024 on.",
    ),
    "PORT_TRANSLATED_TWICE": Rule(
        "warning",
        "port {port} is led by {services}; Istio takes the older Service's, so clients of the other miss the listener.",
        "Give both Services the same target port.",
    ),
    "ROUTE_NOT_ADMITTED": Rule(
        "warning",
        "no router serves it: {why}.",
        "Mend what the router says, or remove the Route.",
    ),
    "ROUTE_WITHOUT_LISTENER": Rule(
        "warning",
        "its rule for {ports} leads nowhere: Gateway {gateway} {what}.",
        "Add the server to the Gateway, or remove the rule.",
    ),
    "SERVICE_PORT_WITHOUT_LISTENER": Rule(
        "warning",
        "nothing listens behind {ports} on the pods of {gateway}.",
        "Add a Gateway's server with a route, or take the port off the Service.",
    ),
    "SET_DIFFERS": Rule(
        "warning",
        "{what}.",
        "Run expose_tcp with this inventory, or mend the inventory.",
    ),
    "SET_DRIFT": Rule(
        "warning",
        "{manager} changed {fields}, which this collection writes.",
        "Run expose_tcp for its set, which sets it back, or bring the change into the inventory.",
    ),
    "TCP_ROUTE_LOST": Rule(
        "warning",
        "listener {listener} of {gateway} carries {winner} only, which is older; nothing on the object says so.",
        "Give it a listener of its own, or remove it.",
    ),
}
