# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab under the worlds: what is made on it, read from it, and taken away again."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import yaml
from ansible_collections.servicemesh.tcp.plugins.module_utils import _portforward
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api, ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import collection_path, object_path
from ansible_collections.servicemesh.tcp.plugins.modules import mesh_state

from istio import observed, scenery
from istio.model import Listeners
from istio.places import NAMESPACES, PODS, Pod
from istio.worlds import WAVES, World

WRITERS = 6
# Seconds until something that must happen is given up.
PATIENCE = 180
# Ports of markers; those of worlds lie below.
MARKERS = 50000


class Lab:
    """A running lab, through several connections to its API server."""

    def __init__(self, kubeconfig: Path) -> None:
        def fail(msg: str, **_more: Any) -> None:
            raise RuntimeError(msg)

        module = SimpleNamespace(params={"kubeconfig": str(kubeconfig)}, fail_json=fail)
        self._pool: SimpleQueue[Api] = SimpleQueue()
        for _writer in range(WRITERS):
            self._pool.put(Api(module))

    @contextlib.contextmanager
    def api(self) -> Iterator[Api]:
        """Lend a connection to one thread."""
        api = self._pool.get()
        try:
            yield api
        finally:
            self._pool.put(api)

    # What is there once.

    def prepare(self) -> None:
        """Make namespaces, backends, gateway pods and the scoped istiod, and wait until they are ready."""
        self.create(scenery.namespaces())
        with self.api() as api:
            istiod = api.get(f"{collection_path('Deployment', scenery.MESH_NAMESPACE)}/istiod")
            config = api.get(f"{collection_path('ConfigMap', scenery.MESH_NAMESPACE)}/istio")
        scoped = scenery.scoped_istiod(
            {"apiVersion": "apps/v1", "kind": "Deployment", **istiod}, yaml.safe_load(config["data"]["mesh"])
        )
        self.create(scoped)
        self.create(scenery.shared_objects())
        self.wait(lambda: self._is_ready(scenery.MESH_NAMESPACE, scenery.SCOPED_ISTIOD), "the scoped istiod")
        self.create([scenery.gateway_pod(pod) for pod in PODS])
        for pod in PODS:
            self.wait(lambda pod=pod: self._is_ready(pod.namespace, pod.name), f"gateway {pod.key}")

    def remove(self) -> None:
        """Take everything away again."""
        with self.api() as api:
            for kind, name in (
                ("Deployment", scenery.SCOPED_ISTIOD),
                ("Service", scenery.SCOPED_ISTIOD),
                ("ConfigMap", f"istio-{scenery.SCOPED_REVISION}"),
            ):
                self._delete(api, f"{collection_path(kind, scenery.MESH_NAMESPACE)}/{name}")
            names = [name for group in NAMESPACES.values() for name in group]
            for name in names:
                self._delete(api, f"{collection_path('Namespace')}/{name}")
            for name in names:
                self.wait(lambda name=name: api.find(f"{collection_path('Namespace')}/{name}") is None, f"{name} to go")

    # What comes and goes with worlds.

    def apply(self, worlds: Sequence[World]) -> None:
        """Create worlds wave by wave; a wave of one world is created by one thread, as fast as it goes."""
        for wave in range(WAVES):
            shares = [[obj for place, obj in world.objects if place == wave] for world in worlds]
            with ThreadPoolExecutor(WRITERS) as pool:
                list(pool.map(self.create, shares))
            # Creation times have seconds only: what comes next is younger.
            time.sleep(1.05)

    def clear(self, worlds: Iterable[World]) -> None:
        """Delete worlds: Gateways first, so that no listener moves to another port on its way out."""
        objects = [obj for world in worlds for _wave, obj in world.objects]
        for kind in ("Gateway", "VirtualService", "Service"):
            self._delete_all(object_path(obj) for obj in objects if obj["kind"] == kind)

    def _replace(self, pod: Pod) -> None:
        """Start a pod anew."""
        with self.api() as api:
            name = self._pod_name(api, pod)
            self._delete(api, f"{collection_path('Pod', pod.namespace)}/{name}")
        self.wait(lambda: self._is_replaced(pod, name), f"gateway {pod.key}")

    def _is_replaced(self, pod: Pod, old: str) -> bool:
        """Tell whether another pod runs; it is not ready while Envoy refuses any of its listeners."""
        with self.api() as api:
            items = self._pods(api, pod)
        return [item["status"]["phase"] for item in items if item["metadata"]["name"] != old] == ["Running"]

    def _delete_all(self, paths: Iterable[str]) -> None:
        def delete(path: str) -> None:
            with self.api() as api:
                self._delete(api, path)

        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(delete, paths))

    def settle(self) -> dict[str, Listeners]:
        """Wait until istiod knows all that was written before, and return what a fresh Envoy gets of it.

        An Envoy that was there before may keep what it had: a listener whose new version it refused, and, seen three
        times in some thousand worlds on a machine with a load above 30, one that was to go.
        """
        number = max([MARKERS, *(port + 1 for table in self.listeners().values() for _address, port in table)])
        expected = scenery.marker_listeners(number)
        markers = {pod: scenery.marker(pod, number) for pod in PODS}
        for objects in markers.values():
            self.create(objects)
        try:
            for pod in PODS:
                self._settled(pod, expected)
            with ThreadPoolExecutor(len(PODS)) as pool:
                list(pool.map(self._replace, PODS))
            return {pod.key: self._settled(pod, expected) for pod in PODS}
        finally:
            self._delete_all(object_path(obj) for objects in markers.values() for obj in objects)

    def listeners(self) -> dict[str, Listeners]:
        """Return the listeners of every pod as they are now."""
        return {pod.key: observed.listeners(self.dump(pod)) for pod in PODS}

    def state(self) -> dict[str, Any]:
        """Read the cluster as the collection does."""
        with self.api() as api:
            state = mesh_state.read(api)
        revisions = {(pod.name, pod.namespace): pod.revision for pod in PODS}
        for item in state["workloads"]:
            # The lab's injector noted its own revision on the pod that listens to the other istiod.
            item["revision"] = revisions.get((item["name"], item["namespace"]), item["revision"])
        return state

    # How.

    def create(self, objects: Iterable[dict[str, Any]]) -> None:
        """Create objects one after another; those that are there already stay."""
        with self.api() as api:
            for obj in objects:
                path = object_path(obj).rpartition("/")[0]
                try:
                    api.request("POST", path, body=obj)
                except ApiError as error:
                    if error.status != 409:
                        raise RuntimeError(f"{object_path(obj)}: {error.message}") from error

    @staticmethod
    def _delete(api: Api, path: str) -> None:
        try:
            api.request("DELETE", path)
        except ApiError as error:
            if error.status != 404:
                raise

    def _is_ready(self, namespace: str, name: str) -> bool:
        with self.api() as api:
            found = api.find(f"{collection_path('Deployment', namespace)}/{name}")
        return bool(found and found["status"].get("readyReplicas"))

    @staticmethod
    def wait(reached: Any, what: str) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + PATIENCE
        while not reached():
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {PATIENCE} s for {what}")
            time.sleep(0.5)

    def _settled(self, pod: Pod, marker: Listeners) -> Listeners:
        """Return a pod's listeners once the marker's are among them and none is warming."""
        found: Listeners = {}

        def reached() -> bool:
            nonlocal found
            try:
                dump = self.dump(pod)
            except (OSError, http.client.HTTPException):
                return False  # it has only just begun
            found = observed.listeners(dump)
            return marker.items() <= found.items() and not observed.is_warming(dump)

        self.wait(reached, f"the marker on {pod.key}")
        return found

    def dump(self, pod: Pod) -> dict[str, Any]:
        """Read a pod's listeners and routes from its Envoy."""
        with self.api() as api:
            return ask_envoy(api, pod.namespace, self._pod_name(api, pod), "/config_dump")

    def _pod_name(self, api: Api, pod: Pod) -> str:
        [item] = self._pods(api, pod)
        return item["metadata"]["name"]

    @staticmethod
    def _pods(api: Api, pod: Pod) -> list[dict[str, Any]]:
        """Return the pods of a workload that are not on their way out."""
        selector = ",".join(f"{key}={value}" for key, value in pod.labels.items())
        items = api.get(collection_path("Pod", pod.namespace), labelSelector=selector)["items"]
        return [item for item in items if "deletionTimestamp" not in item["metadata"]]


def ask_envoy(api: Api, namespace: str, pod: str, path: str) -> dict[str, Any]:
    """Ask an Envoy's admin interface through the API server's port forwarding."""
    websocket = _portforward.EnvoyReader(api).forward(namespace, pod, _portforward.ADMIN_PORT)
    try:
        websocket.settimeout(30)
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        _portforward.transmit(websocket, request)
        response = http.client.HTTPResponse(_portforward._Channel(websocket))
        response.begin()
        return json.loads(response.read())
    finally:
        websocket.shutdown()
