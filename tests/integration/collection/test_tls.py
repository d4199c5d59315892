# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS records with real connections: by name to their own backends, by another name to none, and until they leave."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
from harness import Cluster, Exposure
from tls_servers import Authority, Session, secret_of, serve

PORT = 8443
# Servers of the pod: within TLS with a certificate of their own, and plain ones.
TLS_A, TLS_B, PLAIN_C, PLAIN_ECHO = 9301, 9302, 9303, 9304


class Door:
    """An exposure with TLS servers and certificates beside its echo server."""

    def __init__(self, exposure: Exposure, cluster: Cluster, folder: Path) -> None:
        self.exposure = exposure
        self.cluster = cluster
        self.folder = folder
        self.ca = folder / "ca.pem"
        authority = Authority()
        self.ca.write_text(authority.certificate)
        client = authority.pair("client.test")
        (folder / "client.pem").write_text(client.certificate)
        (folder / "client.key").write_text(client.key)
        space = exposure.name
        cluster.apply(
            secret_of("cert-c", space, authority.pair("c.test")),
            secret_of("cert-d", space, authority.pair("d.test", days=10)),
            secret_of("cert-m", space, authority.pair("m.test"), authority.certificate),
        )
        servers = {
            TLS_A: ("", authority.pair("a.test")),
            TLS_B: ("", authority.pair("b.test", "*.wild.test")),
            PLAIN_C: ("I am c\n", None),
            PLAIN_ECHO: ("", None),
        }
        serve(exposure, cluster, servers)

    def record(self, name: str, behind: int, *hosts: str, **more: Any) -> dict[str, Any]:
        """Return a TLS record of the shared port."""
        backend = {"namespace": self.exposure.echo, "service": "tls", "port": behind}
        found = {"name": name, "gateway": "edge", "port": PORT, "protocol": "tls", "hosts": list(hosts)}
        return {**found, "backend": backend, **more}

    def records(self) -> list[dict[str, Any]]:
        """Return a plain record, and one of each kind of TLS."""
        pair = {"cert": str(self.folder / "client.pem"), "key": str(self.folder / "client.key")}
        says = {"mode": "send", "send": "hello\\n"}
        return [
            self.exposure.record("first", 8000),
            self.record("pass-a", TLS_A, "a.test"),
            self.record("pass-b", TLS_B, "b.test", "*.wild.test"),
            self.record(
                "ends-c", PLAIN_C, "c.test", tls={"mode": "terminate", "secret": "cert-c"}, probe={"mode": "banner"}
            ),
            # Without a word on its proof: a silent session, of which the gateway's Envoy is the witness.
            self.record(
                "ends-d", PLAIN_ECHO, "d.test", tls={"mode": "terminate", "secret": "cert-d", "min_version": 1.3}
            ),
            self.record(
                "mutual-m", PLAIN_ECHO, "m.test", tls={"mode": "mutual", "secret": "cert-m"}, probe={**says, **pair}
            ),
        ]

    def session(self, address: str, name: str, **more: Any) -> Session:
        """Open a session as a client that verifies the certificate for the name."""
        return Session(address, PORT, name, self.ca, **more)

    def refused(self, address: str, name: str, **more: Any) -> bool:
        """Tell whether no bytes come back for a name; TLS 1.3 learns of a certificate that lacks when it reads."""
        try:
            session = self.session(address, name, **more)
            session.say("hello\n")
        except OSError:
            return True
        session.close()
        return False


@pytest.fixture(scope="module")
def door(exposure: Exposure, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Door:
    """Return the door of this module's tests."""
    return Door(exposure, cluster, tmp_path_factory.mktemp("door"))


def closed(address: str) -> bool:
    """Tell whether nothing answers on the port any more."""
    with socket.socket() as client:
        client.settimeout(2)
        return client.connect_ex((address, PORT)) != 0


def left(door: Door) -> list[str]:
    """Return the Istio objects in the gateway's namespace, and the ports of its front Service."""
    api = kubernetes.client.CustomObjectsApi(door.cluster.client())
    found = []
    for plural in ("gateways", "virtualservices"):
        space = door.exposure.name
        items = api.list_namespaced_custom_object("networking.istio.io", "v1beta1", space, plural)["items"]
        found += [f"{plural} {item['metadata']['name']}" for item in items]
    core = kubernetes.client.CoreV1Api(door.cluster.client())
    ports = core.read_namespaced_service("edge", door.exposure.name).spec.ports
    return [*found, *(f"port {item.port} {item.name}" for item in ports)]


def test_every_kind_of_tls_on_one_port(door: Door) -> None:
    run = door.exposure.expose(door.records())
    assert run.code == 0, run.output
    assert {item["name"]: item["proof"] for item in run.endpoints} == dict.fromkeys(
        [record["name"] for record in door.records()], "proven"
    )
    # The certificate that ends within days is told, and no key is in what was said or written.
    assert "SECRET_ENDS record 'ends-d'" in run.said
    assert "PRIVATE KEY" not in run.output

    address = run.endpoints[0]["addresses"][0]
    # Whose certificate comes back, and whose words.
    for name, names, words in (
        ("a.test", ["a.test"], "hello\n"),
        ("b.test", ["b.test", "*.wild.test"], "hello\n"),
        ("x.wild.test", ["b.test", "*.wild.test"], "hello\n"),
        ("d.test", ["d.test"], "hello\n"),
    ):
        session = door.session(address, name)
        assert (session.names, session.say("hello\n")) == (names, words)
        session.close()
    assert door.session(address, "c.test").say() == "I am c\n"
    client = (str(door.folder / "client.pem"), str(door.folder / "client.key"))
    assert door.session(address, "m.test", client=client).say("hello\n") == "hello\n"

    assert door.refused(address, "m.test")
    assert door.refused(address, "other.test")
    assert door.refused(address, "d.test", newest=ssl.TLSVersion.TLSv1_2)
    assert not door.refused(address, "a.test", newest=ssl.TLSVersion.TLSv1_2)

    again = door.exposure.expose(door.records())
    assert (again.code, again.changed) == (0, 0), again.output
    assert "SECRET_ENDS" in again.said

    by_name = {item["name"]: item for item in run.endpoints}
    through_stunnel(door, by_name["ends-d"])
    with_openssl(door, by_name["ends-c"])

    gone = door.exposure.unexpose(tcp_allow_drain=["all"])
    assert gone.code == 0, gone.output
    assert left(door) == ["port 15021 status-port"]
    assert closed(address)


def through_stunnel(door: Door, endpoint: dict[str, Any]) -> None:
    """Start a real stunnel with just what the endpoint says, and talk through it as a client that knows no TLS."""
    stunnel = shutil.which("stunnel")
    assert stunnel, "stunnel is missing: python tests/tools/stunnel.py"
    settings = door.folder / "stunnel.conf"
    settings.write_text(endpoint["client"]["stunnel"])
    log = (door.folder / "stunnel.log").open("w")
    with log, subprocess.Popen([stunnel, str(settings)], cwd=door.folder, stdout=log, stderr=log) as process:
        try:
            said = b""
            until = time.monotonic() + 20
            while not said and time.monotonic() < until:
                try:
                    with socket.create_connection(("127.0.0.1", PLAIN_ECHO), timeout=5) as plain:
                        plain.sendall(b"plain words\n")
                        said = plain.recv(100)
                except OSError:
                    time.sleep(0.2)
            assert said == b"plain words\n", (door.folder / "stunnel.log").read_text()
        finally:
            process.terminate()


def with_openssl(door: Door, endpoint: dict[str, Any]) -> None:
    """Run the line of the endpoint as it is, and with another authority."""
    done = subprocess.run(
        endpoint["client"]["openssl"].split(), cwd=door.folder, input="", capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout) == (0, "I am c\n"), done.stderr
    wrong = endpoint["client"]["openssl"].replace("ca.pem", "client.pem")
    done = subprocess.run(wrong.split(), cwd=door.folder, input="", capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    assert done.stdout == ""


@pytest.fixture
def held(door: Door) -> Iterator[Session]:
    """Hold a session on one of the names while others come and go."""
    run = door.exposure.expose(door.records())
    assert run.code == 0, run.output
    session = door.session(run.endpoints[0]["addresses"][0], "a.test")
    yield session
    session.close()


@pytest.mark.slow
def test_another_set_joins_is_kept_off_the_names_and_leaves(door: Door, held: Session) -> None:
    space = door.exposure.name
    gateway = {"name": "edge", "namespace": space}
    other = {"tcp_set": f"{space}-b", "tcp_gateways": [gateway]}

    def publish(*records: dict[str, Any], **more: Any) -> Any:
        return door.exposure.playbooks.run("expose_tcp", door.exposure.variables(list(records), **{**other, **more}))

    taken = publish(door.record("mine", TLS_A, "x.wild.test"), door.record("too", TLS_A, "a.test"))
    assert taken.code != 0
    assert f"meets '*.wild.test', which set '{space}'" in taken.said
    assert f"meets 'a.test', which set '{space}'" in taken.said

    joined = publish(door.record("mine", TLS_B, "*.new.test", probe={"mode": "tls"}))
    assert joined.code == 0, joined.output
    assert joined.endpoints[0]["proof"] == "proven"
    address = joined.endpoints[0]["addresses"][0]
    assert held.say("still here\n") == "still here\n"

    # The set that came first leaves: the port stays with the other one.
    gone = door.exposure.unexpose(tcp_allow_drain=["all"])
    assert gone.code == 0, gone.output
    assert door.refused(address, "c.test")
    again = publish(door.record("mine", TLS_B, "*.new.test", probe={"mode": "tls"}))
    assert (again.code, again.changed) == (0, 0), again.output
    assert [line for line in left(door) if line.startswith("port")] == [
        "port 15021 status-port",
        f"port {PORT} tls-{PORT}",
    ]

    gone = door.exposure.playbooks.run("unexpose_tcp", {"tcp_set": other["tcp_set"]})
    assert gone.code == 0, gone.output
    assert left(door) == ["port 15021 status-port"]
    assert closed(address)
