# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask the Envoys of a gateway for their clusters and sessions, through the API server's port forwarding.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import http.client
import io
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api, ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._conditions import is_ready
from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy import (
    Clusters,
    Gateway,
    Snapshot,
    parse_clusters,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy_view import (
    LISTENERS_PATH,
    VIEW_PATHS,
    PodView,
    parse_bound,
    parse_view,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._selectors import labels_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._sessions import (
    INFO_PATH,
    STATS_PATH,
    Sessions,
    gather,
    parse_drains,
    parse_listeners,
)

try:
    from kubernetes.stream.ws_client import create_websocket
    from websocket import ABNF, WebSocketBadStatusException, WebSocketException
except ImportError:  # Api says so when the module runs
    pass

# Envoy's admin API listens on the pod's loopback only, which is where a forwarded port ends.
ADMIN_PORT = 15000
CLUSTERS_PATH = "/clusters?format=json"
# The first byte of a frame is its channel: the port's data or its errors.
DATA, ERRORS = 0, 1
# Seconds without a byte until an answer is given up.
READ_TIMEOUT = 15.0
# Gateway pods asked at the same time.
READERS = 8

Answer = TypeVar("Answer")
Pod = Mapping[str, Any]


class Unreadable(Exception):
    """A pod's Envoy did not tell what it was asked; C(retry) is false where asking again cannot help."""

    def __init__(self, message: str, retry: bool = True) -> None:
        super().__init__(message)
        self.retry = retry


class EnvoyReader:
    """Asks all pods of a gateway; safe to call from several threads."""

    def __init__(self, api: Api) -> None:
        """Use this connection to the API server; the requests made are counted in it."""
        self._api = api
        # The connection and its counter serve one thread at a time.
        self._lock = threading.Lock()

    def snapshot(self, gateway: Gateway, wanted: Collection[str], pods: Sequence[str] | None = None) -> Snapshot:
        """Read the wanted clusters of these pods, or of all that are ready; what goes wrong is in the snapshot."""
        try:
            names = sorted(map(_name, self._ready_pods(gateway))) if pods is None else pods
        except ApiError as error:
            return Snapshot(problems=(_no_list(gateway, error),), retry=error.status not in (401, 403))
        if not names:
            text = f"gateway {gateway.name} has no ready pod in namespace {gateway.namespace}"
            return Snapshot(problems=(text,))

        def read(pod: str) -> Clusters:
            return self._ask_pod(
                gateway.namespace, pod, [CLUSTERS_PATH], lambda bodies: parse_clusters(*bodies, wanted)
            )

        answers, problems = _of_all(names, read)
        return Snapshot(answers, tuple(problems), all(problems.values()))

    def sessions(self, gateway: Gateway) -> Sessions:
        """Read the open sessions of a gateway's listeners and its drain times: one connection per ready pod.

        A gateway without a ready pod has no session.
        """
        try:
            pods = {_name(pod): pod for pod in self._ready_pods(gateway)}
        except ApiError as error:
            return Sessions(problems=(_no_list(gateway, error),))

        uncounted: list[str] = []

        def read(name: str) -> tuple[dict[int, int], float | None, float | None]:
            def parse(bodies: Sequence[bytes]) -> tuple[dict[int, int], float | None, float | None]:
                stats, info = (body.decode(errors="replace") for body in bodies)
                drains = parse_drains(info, pods[name])
                try:
                    return parse_listeners(stats), *drains
                except ValueError as error:
                    # So it is with pods of somebody else; for how long it drains it says all the same.
                    uncounted.append(f"the Envoy of pod {gateway.namespace}/{name} gave no usable answer: {error}")
                    return {}, *drains

            return self._ask_pod(gateway.namespace, name, [STATS_PATH, INFO_PATH], parse)

        answers, problems = _of_all(sorted(pods), read)
        return gather(answers.values(), [*problems, *uncounted])

    def listeners(self, gateway: Gateway) -> tuple[dict[str, frozenset[int]], list[str]]:
        """Read on which ports each ready pod of a gateway listens, and what went wrong: one connection per pod."""
        try:
            pods = sorted(map(_name, self._ready_pods(gateway)))
        except ApiError as error:
            return {}, [_no_list(gateway, error)]

        def read(pod: str) -> frozenset[int]:
            return self._ask_pod(gateway.namespace, pod, [LISTENERS_PATH], lambda bodies: parse_bound(*bodies))

        answers, problems = _of_all(pods, read)
        return answers, list(problems)

    def views(
        self, namespace: str, pods: Sequence[str], wanted: Collection[str]
    ) -> tuple[dict[str, PodView], list[str]]:
        """Read what the Envoys of these pods have, ready or not, and what went wrong: one connection per pod."""

        def read(pod: str) -> PodView:
            return self._ask_pod(namespace, pod, VIEW_PATHS, lambda bodies: parse_view(bodies, wanted))

        answers, problems = _of_all(sorted(pods), read)
        return answers, list(problems)

    def _ready_pods(self, gateway: Gateway) -> list[Pod]:
        """Return the gateway's pods that get traffic."""
        selector = labels_text(gateway.selector)
        with self._lock:
            answer = self._api.get(f"/api/v1/namespaces/{gateway.namespace}/pods", labelSelector=selector)
        return [pod for pod in answer["items"] if _serves(pod)]

    def _ask_pod(
        self, namespace: str, pod: str, paths: Sequence[str], parse: Callable[[Sequence[bytes]], Answer]
    ) -> Answer:
        """Ask one pod's Envoy over one connection; raise Unreadable with the reason where that fails."""
        try:
            websocket = self.forward(namespace, pod, ADMIN_PORT)
        except (WebSocketException, OSError) as error:
            raise _refusal(error, namespace, pod) from error
        try:
            return parse(_ask(websocket, paths))
        except (WebSocketException, OSError, ValueError, http.client.HTTPException) as error:
            raise Unreadable(f"the Envoy of pod {namespace}/{pod} gave no usable answer: {error}") from error
        finally:
            websocket.shutdown()

    def forward(self, namespace: str, pod: str, port: int) -> Any:
        """Open a websocket to a port of a pod's loopback, with the connection's own authentication.

        The client's stream() would do, but importing the CoreV1Api that it wants costs a second of CPU; its
        portforward() runs select(), which fails once held sessions make more than 1,024 descriptors.
        """
        with self._lock:
            self._api.requests["GET"] += 1
        client = self._api.client
        headers = {name.lower(): value for name, value in client.default_headers.items()}
        if token := client.configuration.auth_settings().get("BearerToken"):
            headers["authorization"] = token["value"]
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward?ports={port}"
        url = client.configuration.host.replace("http", "ws", 1) + path
        return create_websocket(client.configuration, url, headers)


def receive(websocket: Any, begun: set[int]) -> bytes | None:
    """Return what the next frame of a forwarded port brings, V(None) at the end; raise OSError where that fails.

    Both channels begin with a frame that repeats the port number; C(begun) are those that have.
    """
    opcode, frame = websocket.recv_data()
    if opcode == ABNF.OPCODE_CLOSE or frame[0] not in (DATA, ERRORS):
        return None
    if frame[0] not in begun:
        begun.add(frame[0])
        return b""
    if frame[0] == ERRORS:
        raise OSError(frame[1:].decode(errors="replace"))
    return frame[1:]


def transmit(websocket: Any, data: bytes) -> None:
    """Send bytes to a forwarded port."""
    websocket.send(bytes([DATA]) + data, opcode=ABNF.OPCODE_BINARY)


class _Channel(io.RawIOBase):
    """The data channel of a forwarded port as a file; its frames are read when they are asked for."""

    def __init__(self, websocket: Any) -> None:
        super().__init__()
        self._websocket = websocket
        self._rest = b""
        self._begun: set[int] = set()

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return a file of this channel, as C(HTTPResponse) asks of a socket."""
        return io.BufferedReader(self)

    def close(self) -> None:
        """Stay open: an answer that was read closes its file, and the next one comes over the same channel."""

    def readable(self) -> bool:
        """Say that this file can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what is there, waiting for the next frame if nothing is; 0 is the end."""
        while not self._rest:
            payload = receive(self._websocket, self._begun)
            if payload is None:
                return 0
            self._rest = payload
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def _ask(websocket: Any, paths: Sequence[str]) -> list[bytes]:
    """Send requests one after the other over a forwarded port's websocket and return the bodies of the answers."""
    websocket.settimeout(READ_TIMEOUT)
    channel = _Channel(websocket)
    bodies = []
    for path in paths:
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        transmit(websocket, request.encode())
        # Read to the end of the answer, not of the connection: the kubelet takes a second to close it.
        response = http.client.HTTPResponse(channel)
        response.begin()
        bodies.append(response.read())
        if response.status != 200:
            raise http.client.HTTPException(f"HTTP {response.status} {response.reason}")
    return bodies


def _of_all(names: Sequence[str], read: Callable[[str], Answer]) -> tuple[dict[str, Answer], dict[str, bool]]:
    """Ask all pods at once; return the answers by pod, and what went wrong with whether asking again can help."""
    answers: dict[str, Answer] = {}
    problems: dict[str, bool] = {}
    with ThreadPoolExecutor(max(1, min(len(names), READERS))) as pool:
        waiting = {name: pool.submit(read, name) for name in names}
    for name, answer in waiting.items():
        try:
            answers[name] = answer.result()
        except Unreadable as error:
            problems[str(error)] = error.retry
    return answers, problems


def _name(pod: Pod) -> str:
    """Return a pod's name."""
    return pod["metadata"]["name"]


def _no_list(gateway: Gateway, error: ApiError) -> str:
    """Say why a gateway's pods could not be listed."""
    if error.status == 403:
        return f"no right to list pods in namespace {gateway.namespace}"
    return f"the pods of gateway {gateway.name} could not be listed: {error}"


def _refusal(error: Exception, namespace: str, pod: str) -> Unreadable:
    """Say why no port could be forwarded."""
    status = error.status_code if isinstance(error, WebSocketBadStatusException) else 0
    if status in (401, 403):
        right = f"get and create pods/portforward in namespace {namespace}"
        return Unreadable(f"no right to {right}, so the gateway's Envoy could not be asked", retry=False)
    if status == 404:
        return Unreadable(f"pod {namespace}/{pod} is gone")
    return Unreadable(not_forwarded(error, namespace, pod))


def not_forwarded(error: Exception, namespace: str, pod: str) -> str:
    """Write that no port of a pod could be forwarded."""
    # The rest of the text is the answer's headers and body.
    text = str(error).split(" -+-+- ", maxsplit=1)[0]
    return f"no port of pod {namespace}/{pod} could be forwarded: {text}"


def _serves(pod: Mapping[str, Any]) -> bool:
    """Whether a pod is ready and not on its way out."""
    return is_ready(pod) and not pod["metadata"].get("deletionTimestamp")
