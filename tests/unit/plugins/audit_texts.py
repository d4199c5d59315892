# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an audit's findings say, word for word, and a cluster that provokes each of them."""

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import _audit_read
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit import audit
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_read import read_audit
from ansible_collections.servicemesh.tcp.tests.unit.plugins import audit_builders as build


def provoked() -> list[dict[str, Any]]:
    """Return the findings of a cluster with one of everything, and of a worse one."""
    objects = build.busy()
    for pod in objects[build.POD_PATH]:
        pod["metadata"]["annotations"]["proxy.istio.io/config"] = (
            '{"proxyMetadata": {"ISTIO_META_UNPRIVILEGED_POD": "true"}}'
        )
    objects[build.GATEWAYS] += [
        build.istio_gateway("mail", "legacy", build.INGRESS, 587),
        build.istio_gateway("own", "legacy", build.INGRESS, 15090),
        build.istio_gateway(
            "hidden", "legacy", build.INGRESS, build.tcp_server(8444, tls={"mode": "SIMPLE", "credentialName": "gone"})
        ),
    ]
    objects[build.VIRTUAL_SERVICES].append(
        build.routes("own", "legacy", "own", (15090, "rabbitmq.orders.svc.cluster.local", 5672))
    )
    objects["/api/v1/namespaces/legacy/secrets"][0]["data"]["tls.crt"] = build.certificate(-3)
    api = build.PagedApi(objects)
    api.refused.add(_audit_read.ROUTES)
    record = {
        "name": "orders-db",
        "gateway": "edge",
        "port": 5432,
        "backend": {"namespace": "orders", "service": "postgres", "port": 5432},
    }
    declared = {
        "ports": [record],
        "gateways": [{"name": "edge", "namespace": "gateways"}],
        "set_name": "default",
        "cluster_domain": "cluster.local",
    }
    worse = audit(read_audit(api), build.NOW, declared=declared)
    return audit(read_audit(build.PagedApi(build.busy())), build.NOW)["findings"] + worse["findings"]


# Each with its severity.
TEXTS: dict[str, tuple[str, str]] = {
    "ADDRESS_MISSING": (
        "warning",
        "Service legacy/partner-lb: its load balancer has no address, so nobody reaches port 3306. Look at the "
        "object's events: the load balancer's controller says there what keeps it from giving one.",
    ),
    "AUDIT_UNSEEN": (
        "note",
        "cluster https://cluster.test:6443: there is no right to read /apis/route.openshift.io/v1/routes; not seen is"
        " passthrough Routes. Grant the right; docs/rbac.yaml holds all that this collection needs.",
    ),
    "BACKEND_DEAD": (
        "error",
        "Service files/sftp: nothing behind its port 2222 is ready, and that is where these lead: Service "
        "gateways/edge port 2222. Look at the Service's pods (selector, readiness), or close the port.",
    ),
    "BACKEND_GONE": (
        "error",
        "Service shop/mysql: it does not exist or lacks port 3306, and that is where these lead: Service "
        "legacy/istio-ingressgateway port 3306. Create the Service or its port, mend the route, or close the port.",
    ),
    "CERTIFICATE_EXPIRED": (
        "error",
        "Secret legacy/db-cert: its certificate ended on 2026-11-18. Renew it; clients that verify are refused.",
    ),
    "CERTIFICATE_EXPIRES": (
        "warning",
        "Secret legacy/db-cert: its certificate ends on 2026-11-26, in 5 days. Renew it before; tcp_audit_expiry_days"
        " says how early this is told.",
    ),
    "CERTIFICATE_UNSEEN": (
        "note",
        "cluster https://cluster.test:6443: the certificates of gateways/gone, legacy/gone were not seen, so when "
        "they end is not known. Let the audit read Secrets of type kubernetes.io/tls in those namespaces, or look "
        "there yourself.",
    ),
    "LISTENER_RESERVED": (
        "warning",
        "Gateway legacy/own: its server on port 15090 gets no listener on the pods of legacy/istio-ingressgateway: "
        "the port is the proxy's own. Choose another port.",
    ),
    "LISTENER_UNREACHED": (
        "note",
        "Gateway legacy/inner: it listens on port 7000 of the pods of legacy/istio-ingressgateway, but no Service "
        "leads there from outside. Add the port to the gateway's Service, or remove the server if nobody inside the "
        "cluster uses it.",
    ),
    "LISTENER_WITHOUT_ROUTE": (
        "warning",
        "Gateway (Gateway API) shop/shared: its server on port 5673 has no TCPRoute or TLSRoute, so connections are "
        "refused. Write the route (its gateway, port and hosts must match the server's), or remove the server.",
    ),
    "OPEN_TO_WORLD": (
        "warning",
        "Route orders/db-tls: anybody on the internet may use port 443 at router.example.com. If that is not meant, "
        "set the Service's source ranges, or an AuthorizationPolicy for the gateway's port.",
    ),
    "PORT_PRIVILEGED": (
        "warning",
        "Gateway legacy/mail: its server on port 587 gets no listener on the pods of legacy/istio-ingressgateway, "
        "which may not bind ports below 1024. Lead the Service's port to a target port from 1024 on.",
    ),
    "PORT_TRANSLATED_TWICE": (
        "warning",
        "gateway pods legacy/istio-ingressgateway: port 3306 is led by Service legacy/istio-ingressgateway to 3306 "
        "and Service legacy/partner-lb to 13306; Istio takes the older Service's, so clients of the other miss the "
        "listener. Give both Services the same target port.",
    ),
    "ROUTE_NOT_ADMITTED": (
        "warning",
        "Route orders/claimed: no router serves it: not admitted: host is claimed by shop/other. Mend what the router"
        " says, or remove the Route.",
    ),
    "ROUTE_WITHOUT_LISTENER": (
        "warning",
        "VirtualService legacy/lost: its rule for port 5998 leads nowhere: Gateway legacy/nowhere does not exist. Add"
        " the server to the Gateway, or remove the rule.",
    ),
    "SERVICE_PORT_WITHOUT_LISTENER": (
        "warning",
        "Service legacy/istio-ingressgateway: nothing listens behind ports 80, 6000 on the pods of legacy/istio-"
        "ingressgateway. Add a Gateway's server with a route, or take the port off the Service.",
    ),
    "SET_DIFFERS": (
        "warning",
        "set 'default': port 2222 of gateway gateways/edge is published, but not declared. Run expose_tcp with this "
        "inventory, or mend the inventory.",
    ),
    "SET_DRIFT": (
        "warning",
        "VirtualService gateways/edge-default-a57d233a: kubectl-edit changed spec.tcp, which this collection writes. "
        "Run expose_tcp for its set, which sets it back, or bring the change into the inventory.",
    ),
    "TCP_ROUTE_LOST": (
        "warning",
        "TCPRoute orders/late: listener amqp of Gateway (Gateway API) shop/shared carries TCPRoute orders/early only,"
        " which is older; nothing on the object says so. Give it a listener of its own, or remove it.",
    ),
}
