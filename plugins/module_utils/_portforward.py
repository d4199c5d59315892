# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the Envoys of a gateway for their clusters, through the API server's port forwarding.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import http.client
import io
import re
import threading
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api, ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy import Clusters, Snapshot, parse_clusters

try:
    from kubernetes.client.exceptions import ApiException
    from kubernetes.stream import stream
    from websocket import ABNF, WebSocketException
except ImportError:  # Api says so when the module runs
    pass

# Envoy's admin API listens on the pod's loopback only, which is where a forwarded port ends.
ADMIN_PORT = 15000
CLUSTERS_REQUEST = b"GET /clusters?format=json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
# Seconds without a byte until an answer is given up.
READ_TIMEOUT = 15.0
# Gateway pods asked at the same time.
READERS = 8


@dataclass(frozen=True)
class Gateway:
    """Where a gateway's pods are found."""

    name: str
    namespace: str
    selector: Mapping[str, str]


class Unreadable(Exception):
    """A pod's Envoy did not tell its clusters; C(retry) is false where asking again cannot help."""

    def __init__(self, message: str, retry: bool = True) -> None:
        super().__init__(message)
        self.retry = retry


class EnvoyReader:
    """Reads the clusters of all pods of a gateway; safe to call from several threads."""

    def __init__(self, api: Api) -> None:
        """Use this connection to the API server; the requests made are counted in it."""
        self._api = api
        # The client swaps a method of the shared connection while it opens a stream.
        self._opening = threading.Lock()

    def snapshot(self, gateway: Gateway, wanted: Collection[str], pods: Sequence[str] | None = None) -> Snapshot:
        """Read the wanted clusters of these pods, or of all that are ready; what goes wrong is in the snapshot."""
        try:
            names = self._ready_pods(gateway) if pods is None else pods
        except ApiError as error:
            right = f"get, list of pods in namespace {gateway.namespace}"
            text = f"no right to {right}" if error.status == 403 else f"pods were not listed: {error}"
            return Snapshot(problems=(text,), retry=error.status not in (401, 403))
        if not names:
            text = f"gateway {gateway.name} has no ready pod in namespace {gateway.namespace}"
            return Snapshot(problems=(text,))
        read: dict[str, Clusters] = {}
        problems: dict[str, bool] = {}
        with ThreadPoolExecutor(min(len(names), READERS)) as pool:
            answers = {name: pool.submit(self._clusters, gateway.namespace, name, wanted) for name in names}
        for name, answer in answers.items():
            try:
                read[name] = answer.result()
            except Unreadable as error:
                problems[str(error)] = error.retry
        return Snapshot(read, tuple(problems), all(problems.values()))

    def _ready_pods(self, gateway: Gateway) -> list[str]:
        """Name the gateway's pods that get traffic."""
        selector = ",".join(f"{key}={value}" for key, value in sorted(gateway.selector.items()))
        with self._opening:
            answer = self._api.get(f"/api/v1/namespaces/{gateway.namespace}/pods", labelSelector=selector)
        return sorted(pod["metadata"]["name"] for pod in answer["items"] if _is_ready(pod))

    def _clusters(self, namespace: str, pod: str, wanted: Collection[str]) -> Clusters:
        """Read one pod's clusters; raise Unreadable with the reason otherwise."""
        try:
            with self._opening:
                self._api.requests["GET"] += 1
                connect = self._api.core.connect_get_namespaced_pod_portforward
                forward = stream(connect, pod, namespace, ports=str(ADMIN_PORT), _preload_content=False)
        except ApiException as error:
            raise _refusal(error, namespace, pod) from error
        try:
            # The frames are read here: the client's own port forwarding uses select(), which fails once the
            # process has more than 1,024 descriptors, and held sessions are that many.
            return parse_clusters(http_body(_talk(forward.sock)), wanted)
        except (WebSocketException, OSError, ValueError, http.client.HTTPException) as error:
            raise Unreadable(f"the Envoy of pod {namespace}/{pod} gave no usable answer: {error}") from error
        finally:
            forward.close()


def _talk(socket: Any) -> bytes:
    """Send the request over a forwarded port's websocket and return all that comes back."""
    socket.settimeout(READ_TIMEOUT)
    # The first byte of a frame is its channel: 0 is the port's data, 1 its errors.
    socket.send(b"\0" + CLUSTERS_REQUEST, opcode=ABNF.OPCODE_BINARY)
    channels: dict[int, list[bytes]] = {0: [], 1: []}
    while True:
        opcode, frame = socket.recv_data()
        if opcode == ABNF.OPCODE_CLOSE:
            break
        channel = frame[0]
        if channel in channels:
            channels[channel].append(frame[1:])
        elif channels[0]:
            break  # the newer protocol's word for the end of a channel
    # Both channels begin with a frame that repeats the port number.
    if len(channels[1]) > 1:
        raise ValueError(b"".join(channels[1][1:]).decode(errors="replace"))
    return b"".join(channels[0][1:])


def http_body(answer: bytes) -> bytes:
    """Return the body of an HTTP answer; raise HTTPException unless it is whole and a success."""
    if not answer:
        raise http.client.HTTPException("nothing came back from its admin port")
    response = http.client.HTTPResponse(_Bytes(answer))
    response.begin()
    body = response.read()
    if response.status != 200:
        raise http.client.HTTPException(f"HTTP {response.status} {response.reason}")
    return body


class _Bytes:
    """Bytes that already arrived, in the shape of the socket that C(HTTPResponse) reads from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        """Return a file of the bytes."""
        return io.BytesIO(self._data)


def _refusal(error: Any, namespace: str, pod: str) -> Unreadable:
    """Say why no port could be forwarded."""
    # The client hides the status of a refused handshake in its text.
    found = re.search(r"Handshake status (\d+)", str(error.reason))
    status = int(found[1]) if found else error.status
    if status in (401, 403):
        right = f"get, create of pods/portforward in namespace {namespace}"
        return Unreadable(f"no right to {right}, so the gateway's Envoy could not be asked", retry=False)
    if status == 404:
        return Unreadable(f"pod {namespace}/{pod} is gone")
    text = str(error.reason).split(" -+-+- ")[0]
    return Unreadable(f"no port of pod {namespace}/{pod} could be forwarded: {text}")


def _is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether a pod is ready and not on its way out."""
    conditions = pod.get("status", {}).get("conditions") or []
    ready = any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")
