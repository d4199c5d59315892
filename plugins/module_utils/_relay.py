# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open connections from inside the cluster: a short-lived pod whose Envoy relays what comes over port forwarding.

The pod runs the gateway's own image, which is on the cluster already, and needs neither a shell nor a right to exec.
Its Envoy listens on the pod's loopback only and serves CONNECT, so that the prober here speaks every protocol by it.
It is a Job, because those end by themselves: also where the run that made one is killed, the cluster ends it
(activeDeadlineSeconds) and takes it away (ttlSecondsAfterFinished).

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import http.client
import selectors
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy_program import arguments, extension, listener
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import KINDS, collection_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import COLLECTION, MANAGED_BY_LABEL
from ansible_collections.servicemesh.tcp.plugins.module_utils._portforward import not_forwarded, receive, transmit
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe import ANSWER_LIMIT
from ansible_collections.servicemesh.tcp.plugins.module_utils._selectors import labels_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._texts import host_port
from ansible_collections.servicemesh.tcp.plugins.module_utils._wait import pod_troubles

if TYPE_CHECKING:
    from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api
    from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy import Gateway
    from ansible_collections.servicemesh.tcp.plugins.module_utils._portforward import EnvoyReader

RELAY_LABEL = "servicemesh.tcp/probe"
RELAY_PORT = 15001
# Sessions that are being opened at the same time.
OPENERS = 16
# Seconds until the pod must run, between two looks, that it may live at most, and that its Job stays when it has ended.
START_TIMEOUT, POLL, LIFETIME, KEPT = 60.0, 0.3, 900, 60
# Seconds for the tunnel's own connection request; the prober's time-out is the one that counts.
CONNECT_TIMEOUT = 60
HTTP_MANAGER = "filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "filters.http.router.v3.Router"
HEADER = "x-envoy-original-dst-host"


def envoy_resources() -> dict[str, Any]:
    """Return what makes an Envoy serve CONNECT to the address that a header names."""
    route = {
        "match": {"connect_matcher": {}},
        "route": {
            "cluster": "anywhere",
            "timeout": "0s",
            "upgrade_configs": [{"upgrade_type": "CONNECT", "connect_config": {}}],
        },
    }
    manager = extension(
        "envoy.filters.network.http_connection_manager",
        HTTP_MANAGER,
        stat_prefix="relay",
        upgrade_configs=[{"upgrade_type": "CONNECT"}],
        stream_idle_timeout="0s",
        http_filters=[extension("envoy.filters.http.router", ROUTER)],
        route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
    )
    cluster = {
        "name": "anywhere",
        "type": "ORIGINAL_DST",
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": f"{CONNECT_TIMEOUT}s",
        "original_dst_lb_config": {"use_http_header": True},
    }
    # On the loopback: nobody in the cluster but who may forward ports is to use it.
    return {"listeners": [listener("relay", "127.0.0.1", RELAY_PORT, manager)], "clusters": [cluster]}


def relay_job(name: str, namespace: str, pod: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Job of a relay that may run where this pod of a gateway does: its image, account and user."""
    spec = pod["spec"]
    container = next((item for item in spec["containers"] if item["name"] == "istio-proxy"), spec["containers"][0])
    contexts = {**(spec.get("securityContext") or {}), **(container.get("securityContext") or {})}
    user = {key: contexts[key] for key in ("runAsUser", "runAsGroup") if key in contexts}
    labels = {MANAGED_BY_LABEL: COLLECTION, RELAY_LABEL: name}
    template = {
        # It is no part of the mesh, as a client outside of it.
        "metadata": {"labels": {**labels, "sidecar.istio.io/inject": "false"}},
        "spec": {
            "restartPolicy": "Never",
            "serviceAccountName": spec.get("serviceAccountName", "default"),
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 1,
            **{key: spec[key] for key in ("imagePullSecrets", "tolerations") if spec.get(key)},
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "relay",
                    "image": container["image"],
                    "imagePullPolicy": container.get("imagePullPolicy", "IfNotPresent"),
                    "command": ["/usr/local/bin/envoy", *arguments(**envoy_resources())],
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "64Mi"},
                        "limits": {"cpu": "500m", "memory": "256Mi"},
                    },
                    "securityContext": {
                        **user,
                        "runAsNonRoot": True,
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }
    return {
        "apiVersion": KINDS["Job"].api_version,
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": LIFETIME,
            "ttlSecondsAfterFinished": KEPT,
            "template": template,
        },
    }


class Unrelayed(OSError):
    """There is no way through the relay, for this reason."""


class Relay:
    """A pod that opens connections; without one every connection fails with the reason."""

    def __init__(
        self, reader: EnvoyReader, namespace: str = "", pod: str = "", address: str = "", why: str = ""
    ) -> None:
        self._reader, self._namespace, self._pod = reader, namespace, pod
        self.address = address
        self.why = why
        self._openers = ThreadPoolExecutor(OPENERS)

    async def dial(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection from the pod to an IP address; raise OSError where that fails."""
        if self.why:
            raise Unrelayed(self.why)
        ours, theirs = socket.socketpair()
        try:
            websocket = await asyncio.get_running_loop().run_in_executor(self._openers, self._open)
            threading.Thread(target=carry, args=(theirs, websocket), daemon=True).start()
            reader, writer = await asyncio.open_connection(sock=ours, limit=ANSWER_LIMIT)
        except BaseException:
            # Also where the prober has waited long enough; a thread that runs ends by it.
            ours.close()
            raise
        try:
            await connect_through(reader, writer, host_port(host, port))
        except BaseException:
            writer.transport.abort()
            raise
        return reader, writer

    def _open(self) -> Any:
        """Open a forwarded port to the pod."""
        try:
            return self._reader.forward(self._namespace, self._pod, RELAY_PORT)
        except Exception as error:
            raise Unrelayed(not_forwarded(error, self._namespace, self._pod)) from error


async def connect_through(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: str) -> None:
    """Ask an Envoy for a tunnel to an address and port; raise OSError where there is none."""
    writer.write(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{HEADER}: {place}\r\n\r\n".encode())
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        if status == http.client.OK:
            return
        text = (await reader.read(ANSWER_LIMIT)).decode(errors="replace").strip()
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, IndexError, ValueError) as error:
        raise Unrelayed("the pod that was to connect from inside the cluster gave no answer") from error
    if "timeout" in text:
        raise TimeoutError(errno.ETIMEDOUT, text)
    if "connection failure" in text:
        raise ConnectionRefusedError(errno.ECONNREFUSED, text)
    raise Unrelayed(f"the pod that was to connect from inside the cluster answered {status}: {text}")


def carry(ours: socket.socket, websocket: Any) -> None:
    """Carry bytes between a socket and a forwarded port until either ends.

    In one thread: OpenSSL does not allow to read and write a session at once. Not by select(), which knows no
    descriptor above 1,023.
    """
    begun: set[int] = set()
    tunnel = websocket.sock
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(ours, selectors.EVENT_READ)
            selector.register(tunnel, selectors.EVENT_READ)
            while True:
                # What TLS has decrypted already makes no descriptor readable.
                waiting = bool(getattr(tunnel, "pending", lambda: 0)())
                ready = {key.fileobj for key, _events in selector.select(0 if waiting else None)}
                if ours in ready:
                    data = ours.recv(ANSWER_LIMIT)
                    if not data:
                        return
                    transmit(websocket, data)
                if waiting or tunnel in ready:
                    payload = receive(websocket, begun)
                    if payload is None:
                        return
                    ours.sendall(payload)
    except Exception:  # whatever ends the tunnel, the prober sees its end
        return
    finally:
        with contextlib.suppress(OSError):
            ours.shutdown(socket.SHUT_RDWR)
            # What is left unread would make a reset of the end.
            while ours.recv(ANSWER_LIMIT):
                pass
        ours.close()
        with contextlib.suppress(Exception):
            websocket.shutdown()


@contextlib.contextmanager
def relay(
    api: Api,
    reader: EnvoyReader,
    gateway: Gateway,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Relay]:
    """Run a relay in a gateway's namespace for as long as the block takes, and remove it whatever happens."""
    name = f"tcp-probe-{uuid.uuid4().hex[:8]}"
    jobs = collection_path("Job", gateway.namespace)
    made = False
    try:
        try:
            job = relay_job(name, gateway.namespace, _pod_of(api, gateway))
            api.request("POST", jobs, body=job, query={"fieldValidation": "Strict"})
            made = True
            pod = _started(api, gateway.namespace, name, clock, sleep)
            found = Relay(reader, gateway.namespace, pod["metadata"]["name"], pod["status"].get("podIP", ""))
            _answers(found, clock, sleep)
        except ApiError as error:
            right = "" if error.status != 403 else " (ClusterRole servicemesh-tcp-probe of docs/rbac.yaml)"
            found = Relay(reader, why=f"no pod could be made to connect from inside the cluster: {error}{right}")
        except Unrelayed as error:
            found = Relay(reader, why=str(error))
        yield found
    finally:
        if made:
            with contextlib.suppress(ApiError):  # it ends by itself
                body = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
                api.request("DELETE", f"{jobs}/{name}", body=body)


def _pod_of(api: Api, gateway: Gateway) -> Mapping[str, Any]:
    """Return a pod of a gateway that runs: what it runs can be had on this cluster."""
    pods = api.get(collection_path("Pod", gateway.namespace), labelSelector=labels_text(gateway.selector))["items"]
    running = [pod for pod in pods if pod.get("status", {}).get("phase") == "Running"]
    if not running:
        raise Unrelayed(f"gateway {gateway.name} has no running pod, whose image a pod inside the cluster could run")
    return running[0]


def _started(
    api: Api, namespace: str, name: str, clock: Callable[[], float], sleep: Callable[[float], None]
) -> Mapping[str, Any]:
    """Wait until the relay's pod runs, and return it."""
    end = clock() + START_TIMEOUT
    pods: list[Mapping[str, Any]] = []
    while clock() < end:
        pods = api.get(collection_path("Pod", namespace), labelSelector=f"{RELAY_LABEL}={name}")["items"]
        running = [pod for pod in pods if pod.get("status", {}).get("phase") == "Running"]
        if running:
            return running[0]
        sleep(POLL)
    # Nothing at all where an admission plugin, a quota or a policy does not let it in.
    troubles = "; ".join(pod_troubles(pods)) or "its Job made no pod (a quota, or an admission policy)"
    raise Unrelayed(f"the pod to connect from inside the cluster did not start in {START_TIMEOUT:g} s: {troubles}")


def _answers(found: Relay, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
    """Wait until the relay's Envoy listens, by a tunnel to itself."""
    end = clock() + START_TIMEOUT

    async def try_it() -> None:
        _reader, writer = await asyncio.wait_for(found.dial("127.0.0.1", RELAY_PORT), START_TIMEOUT)
        writer.transport.abort()

    while True:
        try:
            return asyncio.run(try_it())
        except (OSError, asyncio.TimeoutError) as error:
            if clock() > end:
                raise Unrelayed(f"the Envoy of pod {found._pod} does not answer: {error}") from error
            sleep(POLL)


def relay_beside(
    api: Api, reader: EnvoyReader, gateway: Gateway, planned: bool
) -> contextlib.AbstractContextManager[Relay]:
    """Return a relay beside a gateway's pods to enter; in check mode one that only says that it is none."""
    if planned:
        return contextlib.nullcontext(Relay(reader, why="check mode makes no pod to connect from inside the cluster"))
    return relay(api, reader, gateway)
