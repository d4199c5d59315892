# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of an authority of the tests' own, TLS servers on the lab, and a client that says what it saw."""

from __future__ import annotations

import base64
import datetime
import json
import socket
import ssl
from pathlib import Path
from typing import Any, NamedTuple

import kubernetes
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from harness import Cluster, Exposure

PEM = serialization.Encoding.PEM
TYPES = "type.googleapis.com/envoy.extensions"


class Pair(NamedTuple):
    """A certificate and its key, in PEM."""

    certificate: str
    key: str


class Authority:
    """Signs certificates for names."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
        usage = x509.BasicConstraints(ca=True, path_length=None)
        self.certificate = self._sign(self._name, self._key, datetime.timedelta(days=1), usage)

    def pair(self, *names: str, days: float = 365) -> Pair:
        """Return a certificate for names that ends in some days."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
        alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        certificate = self._sign(subject, key, datetime.timedelta(days=days, minutes=5), alternative)
        secret = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return Pair(certificate, secret.decode())

    def _sign(self, subject: x509.Name, key: Any, lasts: datetime.timedelta, extension: x509.ExtensionType) -> str:
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=400))
            .not_valid_after(now + lasts)
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(PEM).decode()


def secret_of(name: str, namespace: str, pair: Pair, authority: str = "") -> dict[str, Any]:
    """Return a Secret with a certificate, and the authority of clients where there is one."""
    data = {"tls.crt": pair.certificate, "tls.key": pair.key, **({"ca.crt": authority} if authority else {})}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": name, "namespace": namespace},
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in data.items()},
    }


def listener(port: int, network_filter: dict[str, Any], pair: Pair | None = None) -> dict[str, Any]:
    """Return a listener of Envoy with one filter, within TLS with a pair."""
    chain: dict[str, Any] = {"filters": [network_filter]}
    if pair:
        files = {"certificate_chain": {"inline_string": pair.certificate}, "private_key": {"inline_string": pair.key}}
        chain["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": f"{TYPES}.transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": {"tls_certificates": [files]},
            },
        }
    address = {"socket_address": {"address": "0.0.0.0", "port_value": port}}
    return {"name": f"port-{port}", "address": address, "filter_chains": [chain]}


def answer(text: str) -> dict[str, Any]:
    """Return a filter that says something and closes."""
    kind = f"{TYPES}.filters.network.direct_response.v3.Config"
    says = {"@type": kind, "response": {"inline_string": text}}
    return {"name": "envoy.filters.network.direct_response", "typed_config": says}


def echo() -> dict[str, Any]:
    """Return a filter that sends back what it is sent."""
    return {"name": "envoy.filters.network.echo", "typed_config": {"@type": f"{TYPES}.filters.network.echo.v3.Echo"}}


def serve(exposure: Exposure, cluster: Cluster, ports: dict[int, tuple[str, Pair | None]]) -> None:
    """Run one pod with a server for each port beside an exposure's echo server, as Service C(tls)."""
    client = cluster.client()
    core, apps = kubernetes.client.CoreV1Api(client), kubernetes.client.AppsV1Api(client)
    pods = core.list_namespaced_pod(exposure.name, label_selector="servicemesh.tcp/gateway=edge").items
    listeners = [listener(port, answer(text) if text else echo(), pair) for port, (text, pair) in ports.items()]
    settings = {"static_resources": {"listeners": listeners}}
    container = {
        "name": "tls",
        # The one image with a TLS server that the lab has: the gateway's own.
        "image": next(item.image for item in pods[0].spec.containers if item.name == "istio-proxy"),
        "imagePullPolicy": "IfNotPresent",
        "command": ["/usr/local/bin/envoy", "--config-yaml", json.dumps(settings), "--concurrency", "1"],
        "readinessProbe": {"tcpSocket": {"port": next(iter(ports))}, "periodSeconds": 1},
    }
    labels = {"app": "tls"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 0}}
    spec = {"selector": {"matchLabels": labels}, "template": pod}
    apps.create_namespaced_deployment(exposure.echo, {"metadata": {"name": "tls"}, "spec": spec})
    listed = [{"name": f"tcp-{port}", "port": port} for port in ports]
    service = {"metadata": {"name": "tls"}, "spec": {"selector": labels, "ports": listed}}
    core.create_namespaced_service(exposure.echo, service)


class Session:
    """A TLS session as a client has it; raises OSError (ssl.SSLError among them) where there is none."""

    def __init__(
        self, address: str, port: int, name: str, ca: Path, client: tuple[str, str] | None = None, **more: Any
    ) -> None:
        context = ssl.create_default_context(cafile=str(ca))
        context.minimum_version = more.get("oldest", ssl.TLSVersion.TLSv1_2)
        context.maximum_version = more.get("newest", ssl.TLSVersion.TLSv1_3)
        if client:
            context.load_cert_chain(*client)
        plain = socket.create_connection((address, port), timeout=10)
        self._socket = context.wrap_socket(plain, server_hostname=name)

    @property
    def names(self) -> list[str]:
        """The names of the server's certificate, which was verified."""
        return [value for kind, value in self._socket.getpeercert()["subjectAltName"] if kind == "DNS"]

    def say(self, text: str = "") -> str:
        """Send a text, and return what comes back."""
        if text:
            self._socket.sendall(text.encode())
        return self._socket.recv(4096).decode()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()
