# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster as the API server shows it, for audits: whole objects, served in pages."""

from __future__ import annotations

import base64
import datetime
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import _audit_read
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api, ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import (
    gateway_labels,
    gateway_pod_labels,
    gateway_selector,
    port_name,
    set_labels,
    set_manager,
    set_object_name,
)

NOW = datetime.datetime(2026, 11, 21, 15, 0, tzinfo=datetime.UTC)
ISTIO = "/apis/networking.istio.io/v1beta1"
SERVICES = "/api/v1/services"
GATEWAYS = f"{ISTIO}/gateways"
VIRTUAL_SERVICES = f"{ISTIO}/virtualservices"
GROUPS = {
    "networking.istio.io": ["v1", "v1beta1"],
    "security.istio.io": ["v1", "v1beta1"],
    "route.openshift.io": ["v1"],
    "gateway.networking.k8s.io": ["v1", "v1alpha2"],
}
Objects = dict[str, list[dict[str, Any]]]


class PagedApi(Api):
    """The reading half of an API server: lists by path, in pages, with label and field selectors left to the test."""

    host = "https://cluster.test:6443"

    def __init__(self, objects: Objects, groups: Mapping[str, list[str]] = GROUPS) -> None:
        self.objects, self.groups = objects, groups
        self.requests: Counter[str] = Counter()
        self.log: list[str] = []
        self.refused: set[str] = set()

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        content_type: str | None = None,
        accept: str | None = None,
    ) -> dict[str, Any]:
        """Answer one request; anything but reading is a mistake of an audit."""
        assert method == "GET", (method, path)
        self.requests[method] += 1
        self.log.append(path)
        if path in self.refused:
            raise ApiError(403, "Forbidden", "no", method, path)
        if path == "/version":
            return {"gitVersion": "v1.34.4"}
        if path == "/apis":
            return {
                "groups": [
                    {"name": name, "versions": [{"version": one} for one in versions]}
                    for name, versions in self.groups.items()
                ]
            }
        query = query or {}
        # A Secret of another kind may hold anything, and is not an audit's to read.
        assert not path.endswith("/secrets") or query.get("fieldSelector") == "type=kubernetes.io/tls"
        if query.get("labelSelector"):
            path = f"{path}?{query['labelSelector']}"
        if path not in self.objects:
            if query.get("labelSelector"):
                return {"items": []}
            if path.startswith("/apis/gateway.networking.k8s.io/") or "/configmaps/" in path:
                raise ApiError(404, "NotFound", "no", method, path)
        items = self.objects.get(path, [])
        first, limit = int(query.get("continue") or 0), query.get("limit") or len(items) or 1
        more = {"continue": str(first + limit)} if first + limit < len(items) else {}
        return {"items": items[first : first + limit], "metadata": more}


def meta(name: str, namespace: str, day: int = 1, **more: Any) -> dict[str, Any]:
    """Return an object's metadata."""
    return {"name": name, "namespace": namespace, "creationTimestamp": f"2026-10-{day:02}T08:00:00Z", **more}


def by(manager: str, fields: Any = None, operation: str = "Update", **more: Any) -> dict[str, Any]:
    """Return an entry of managedFields."""
    return {
        "manager": manager,
        "operation": operation,
        "time": "2026-10-02T08:00:00Z",
        "fieldsV1": {"f:spec": fields or {"f:selector": {}}},
        **more,
    }


def port(number: int, target: Any = None, name: str = "", **more: Any) -> dict[str, Any]:
    """Return a port of a Service."""
    return {
        "name": name or f"tcp-{number}",
        "port": number,
        "targetPort": number if target is None else target,
        "protocol": "TCP",
        **more,
    }


def service(name: str, namespace: str, *ports: Any, address: str = "", day: int = 1, **more: Any) -> dict[str, Any]:
    """Return a Service; with an address its load balancer has that."""
    metadata = meta(name, namespace, day, **more.pop("metadata", {}))
    ingress = {"loadBalancer": {"ingress": [{"ip": address}]}} if address else {}
    spec = {"type": "ClusterIP", "clusterIP": "10.96.0.9", "ports": [*ports], **more}
    return {"metadata": metadata, "spec": spec, "status": ingress}


def slices(*services: Mapping[str, Any], ready: int = 1) -> list[dict[str, Any]]:
    """Return the EndpointSlices of Services, each port with so many ready endpoints."""
    return [
        {
            "metadata": meta(
                f"{item['metadata']['name']}-x",
                item["metadata"]["namespace"],
                labels={"kubernetes.io/service-name": item["metadata"]["name"]},
            ),
            "endpoints": [{"conditions": {"ready": True}}] * ready or [{"conditions": {"ready": False}}],
            "ports": [{"name": one["name"], "port": 1} for one in item["spec"]["ports"]],
        }
        for item in services
    ]


def tcp_server(number: int, **more: Any) -> dict[str, Any]:
    """Return a plain server of a Gateway."""
    return {"port": {"number": number, "name": f"tcp-{number}", "protocol": "TCP"}, "hosts": ["*"], **more}


def istio_gateway(
    name: str, namespace: str, selector: Mapping[str, str], *servers: Any, day: int = 1, **metadata: Any
) -> dict[str, Any]:
    """Return an Istio Gateway; a number is a plain server."""
    listed = [tcp_server(item) if isinstance(item, int) else item for item in servers]
    return {
        "metadata": meta(name, namespace, day, **metadata),
        "spec": {"selector": dict(selector), "servers": listed},
    }


def routes(
    name: str, namespace: str, gateway: str, *rules: tuple[int, str, int], day: int = 1, **metadata: Any
) -> dict[str, Any]:
    """Return a VirtualService with a rule for each (port, host, port behind)."""
    return {
        "metadata": meta(name, namespace, day, **metadata),
        "spec": {
            "hosts": ["*"],
            "gateways": [gateway],
            "tcp": [
                {
                    "match": [{"port": number}],
                    "route": [{"destination": {"host": host, "port": {"number": behind}}}],
                }
                for number, host, behind in rules
            ],
        },
    }


def gateway_pods(name: str, namespace: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return a gateway's pod as its metadata tells."""
    return {
        "metadata": meta(
            f"{name}-7d9f-abcde",
            namespace,
            labels={**labels, "pod-template-hash": "7d9f"},
            annotations={"inject.istio.io/templates": "gateway", "istio.io/rev": "default"},
            ownerReferences=[{"kind": "ReplicaSet", "name": f"{name}-7d9f", "controller": True}],
        )
    }


def bare() -> Objects:
    """Return a cluster with an istiod and nothing else."""
    istiod = {
        "metadata": meta("istiod", "istio-system", labels={"app": "istiod", "istio.io/rev": "default"}),
        "spec": {"template": {"spec": {"containers": [{"image": "pilot:1.31.0"}]}}},
        "status": {"readyReplicas": 1},
    }
    injector = {"metadata": {"name": "injector", "labels": {"istio.io/rev": "default"}}}
    found: Objects = {
        "/apis/apps/v1/deployments?app=istiod": [istiod],
        "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations?app=sidecar-injector": [injector],
    }
    names = ("gateways", "orders", "files", "shop", "legacy", "istio-system")
    found["/api/v1/namespaces"] = [{"metadata": {"name": name}} for name in names]
    return found


POD_PATH = "/api/v1/pods?service.istio.io/canonical-name,!security.istio.io/tlsMode"
INGRESS = {"istio": "ingressgateway"}


def set_front(*records: tuple[str, int], address: str = "203.0.114.10", **more: Any) -> dict[str, Any]:
    """Return edge's front Service with the ports of the set 'default', as server-side apply keeps them."""
    ports = [port(15021, name="status-port")]
    ports += [port(number, name=port_name(number, "default", name)) for name, number in records]
    owned = {
        f'k:{{"port":{number},"protocol":"TCP"}}': {".": {}, "f:port": {}, "f:targetPort": {}, "f:name": {}}
        for _name, number in records
    }
    fields = [by(set_manager("default"), {"f:ports": owned}, "Apply"), *more.pop("fields", [])]
    return service(
        "edge",
        "gateways",
        *ports,
        type="LoadBalancer",
        address=address,
        selector=gateway_selector("edge", "gateways"),
        metadata={"labels": gateway_labels("edge"), "managedFields": fields},
        **more,
    )


def set_objects(*records: tuple[str, int, str, int]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the Gateway and the VirtualService of the set 'default' on edge: (name, port, host, port behind)."""
    name, labels = set_object_name("edge", "default"), set_labels("edge", "default")
    servers = [
        {
            "port": {"number": number, "name": port_name(number, "default", record), "protocol": "TCP"},
            "hosts": ["./*"],
        }
        for record, number, _host, _behind in records
    ]
    fields = [by(set_manager("default"), {"f:servers": {}}, "Apply")]
    gateway = istio_gateway(name, "gateways", gateway_selector("edge", "gateways"), *servers, labels=labels)
    gateway["metadata"]["managedFields"] = fields
    rules = [(number, host, behind) for _record, number, host, behind in records]
    return gateway, routes(name, "gateways", name, *rules, labels=labels, managedFields=[*fields])


def certificate(days: int) -> str:
    """Return tls.crt of a certificate that ends so many days after NOW."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "db.example.com")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - datetime.timedelta(days=400))
        .not_valid_after(NOW + datetime.timedelta(days=days, hours=1))
        .sign(key, hashes.SHA256())
    )
    return base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()


def busy() -> Objects:
    """Return a cluster with one of everything: a set's gateway, a hand-made one beside it, and all other doors."""
    db = service("postgres", "orders", port(5432, name="tcp-postgres"), selector={"app": "postgres"})
    sftp = service("sftp", "files", port(2222), selector={"app": "sftp"})
    queue = service("rabbitmq", "orders", port(5672), selector={"app": "rabbitmq"})
    own_gateway, own_routes = set_objects(
        ("orders-db", 5432, "postgres.orders.svc.cluster.local", 5432),
        ("file-drop", 2222, "sftp.files.svc.cluster.local", 2222),
    )
    # Somebody changed a rule of the set by hand.
    own_routes["metadata"]["managedFields"].append(by("kubectl-edit", {"f:tcp": {}}))
    front = set_front(("orders-db", 5432), ("file-drop", 2222))
    ingress = service(
        "istio-ingressgateway",
        "legacy",
        port(15021, name="status-port"),
        port(80, 8080, "http2"),
        port(3306),
        port(5671),
        port(9092),
        port(6000),
        port(8443, name="tls-8443"),
        type="LoadBalancer",
        address="8.8.4.4",
        selector=dict(INGRESS),
        metadata={
            "labels": {"app.kubernetes.io/managed-by": "Helm"},
            "annotations": {"meta.helm.sh/release-name": "ingress", "meta.helm.sh/release-namespace": "legacy"},
        },
    )
    # Leads one port to another target than the gateway's own Service.
    second = service("partner-lb", "legacy", port(3306, 13306), type="LoadBalancer", selector=dict(INGRESS), day=3)
    tls = {"port": {"number": 8443, "name": "tls-8443", "protocol": "TLS"}, "hosts": ["db.example.com"]}
    gateways = [
        own_gateway,
        istio_gateway("mysql", "legacy", INGRESS, 3306, managedFields=[by("kubectl-client-side-apply")]),
        # Younger than mysql, so Istio drops it without a word.
        istio_gateway("mysql-too", "shop", INGRESS, 3306, day=5, managedFields=[by("Mozilla")]),
        istio_gateway("queue", "legacy", INGRESS, 5671, labels={"argocd.argoproj.io/instance": "queues"}),
        istio_gateway("empty", "legacy", INGRESS, 9092, managedFields=[by("oc")]),
        istio_gateway("inner", "legacy", INGRESS, 7000),
        istio_gateway("tls", "legacy", INGRESS, {**tls, "tls": {"mode": "SIMPLE", "credentialName": "db-cert"}}, day=2),
    ]
    virtual = [
        own_routes,
        routes("mysql", "legacy", "mysql", (3306, "mysql.shop.svc.cluster.local", 3306)),
        routes("queue", "legacy", "queue", (5671, "rabbitmq.orders.svc.cluster.local", 5672)),
        routes("inner", "legacy", "inner", (7000, "rabbitmq.orders.svc.cluster.local", 5672)),
        routes("tls", "legacy", "tls", (8443, "postgres.orders.svc.cluster.local", 5432)),
        routes("stray", "legacy", "queue", (5999, "rabbitmq.orders.svc.cluster.local", 5672)),
        routes("lost", "legacy", "nowhere", (5998, "rabbitmq.orders.svc.cluster.local", 5672)),
    ]
    cache = service("redis", "shop", port(6379, nodePort=30379), type="NodePort", selector={"app": "redis"})
    bare_ip = service("syslog", "files", port(514), externalIPs=["198.18.26.7"], selector={"app": "syslog"})
    pending = service("game", "shop", port(7777), type="LoadBalancer", selector={"app": "game"})
    flux = {"labels": {"kustomize.toolkit.fluxcd.io/name": "shop", "kustomize.toolkit.fluxcd.io/namespace": "flux"}}
    limited = service(
        "ledger",
        "shop",
        port(7000),
        type="LoadBalancer",
        address="8.8.8.8",
        loadBalancerSourceRanges=["192.0.2.0/24"],
        selector={"app": "ledger"},
        metadata=flux,
    )
    services = [db, sftp, queue, front, ingress, second, cache, bare_ip, pending, limited]
    policy = {
        "metadata": meta("only-us", "gateways"),
        "spec": {
            "selector": {"matchLabels": gateway_selector("edge", "gateways")},
            "action": "ALLOW",
            "rules": [
                {
                    "from": [{"source": {"remoteIpBlocks": ["192.0.2.0/24"]}}],
                    "to": [{"operation": {"ports": ["5432"]}}],
                },
                {"to": [{"operation": {"ports": ["2222", "15021"]}}]},
            ],
        },
    }
    pods = [
        {
            "metadata": meta(
                f"logger-{letter}",
                "files",
                ownerReferences=[{"kind": "DaemonSet", "name": "logger", "controller": True}],
            ),
            "spec": {
                "nodeName": f"node-{letter}",
                "containers": [{"ports": [{"containerPort": 24224, "hostPort": 24224}, {"containerPort": 80}]}],
            },
            "status": {"phase": "Running"},
        }
        for letter in "ab"
    ]
    nodes = [
        {"metadata": {"name": f"node-{letter}"}, "status": {"addresses": [{"type": "InternalIP", "address": ip}]}}
        for letter, ip in (("a", "10.1.0.1"), ("b", "10.1.0.2"))
    ]
    found = bare()
    found |= {
        SERVICES: services,
        GATEWAYS: gateways,
        VIRTUAL_SERVICES: virtual,
        POD_PATH: [
            gateway_pods("edge", "gateways", gateway_pod_labels("edge", "gateways")),
            gateway_pods("istio-ingressgateway", "legacy", INGRESS),
        ],
        _audit_read.PODS: pods,
        _audit_read.NODES: nodes,
        _audit_read.ENDPOINT_SLICES: [*slices(db, queue, cache, bare_ip, limited, ready=2), *slices(sftp, ready=0)],
        _audit_read.POLICIES: [policy],
        _audit_read.ROUTES: openshift_routes(),
        "/apis/gateway.networking.k8s.io/v1/gateways": [gateway_api()],
        "/apis/gateway.networking.k8s.io/v1alpha2/tcproutes": tcp_routes(),
        "/apis/gateway.networking.k8s.io/v1/tlsroutes": [],
        "/api/v1/namespaces/legacy/secrets": [
            {"metadata": meta("db-cert", "legacy"), "data": {"tls.crt": certificate(5), "tls.key": "c2VjcmV0"}}
        ],
    }
    return found


def openshift_routes() -> list[dict[str, Any]]:
    """Return a passthrough Route that is served, one that is not, and one that speaks HTTP."""
    admitted = {"conditions": [{"type": "Admitted", "status": "True"}], "routerCanonicalHostname": "router.example.com"}
    refused = {"conditions": [{"type": "Admitted", "status": "False", "message": "host is claimed by shop/other"}]}
    return [
        route("db-tls", "db.apps.example.com", admitted),
        route("claimed", "taken.apps.example.com", refused),
        {**route("web", "web.apps.example.com", admitted), "spec": {"tls": {"termination": "edge"}, "to": {}}},
    ]


def route(name: str, host: str, ingress: Mapping[str, Any]) -> dict[str, Any]:
    """Return a passthrough Route to the database."""
    return {
        "metadata": meta(name, "orders"),
        "spec": {
            "host": host,
            "tls": {"termination": "passthrough"},
            "to": {"name": "postgres"},
            "port": {"targetPort": "tcp-postgres"},
        },
        "status": {"ingress": [dict(ingress)]},
    }


def gateway_api() -> dict[str, Any]:
    """Return a Gateway of the Gateway API with a listener that two routes want, and one that none does."""
    listeners = [{"name": name, "port": number, "protocol": "TCP"} for name, number in (("amqp", 5672), ("idle", 5673))]
    return {
        "metadata": meta("shared", "shop"),
        "spec": {"listeners": listeners},
        "status": {"addresses": [{"value": "10.9.9.9"}]},
    }


def tcp_routes() -> list[dict[str, Any]]:
    """Return two TCPRoutes on one listener; the older one carries the traffic."""
    return [
        {
            "metadata": meta(name, "orders", day),
            "spec": {
                "parentRefs": [{"name": "shared", "namespace": "shop", "sectionName": "amqp"}],
                "rules": [{"backendRefs": [{"name": backend, "port": number}]}],
            },
        }
        for name, day, backend, number in (("late", 9, "postgres", 5432), ("early", 2, "rabbitmq", 5672))
    ]


def ways(rows: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return rows by their id."""
    return {row["id"]: row for row in rows}
