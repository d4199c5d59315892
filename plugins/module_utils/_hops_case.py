# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One broken port with all that is known of its chain, and what its trial session showed.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._backends import backends_of, clusters_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._conditions import is_ready, is_serving
from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy import Endpoint
from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy_view import PodView
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_mesh import plane_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_names import is_address
from ansible_collections.servicemesh.tcp.plugins.module_utils._mtls import has_sidecar
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import pods_behind
from ansible_collections.servicemesh.tcp.plugins.module_utils._network_policies import End
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_target import CUT
from ansible_collections.servicemesh.tcp.plugins.module_utils._texts import some
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View

Object = Mapping[str, Any]
# Rows of a listener table by Gateway ("namespace/name") and the server's number.
Rows = Mapping[tuple[str, int], Sequence[Object]]
# How a trial session ends that never reached anybody.
SHUT = ("timeout", "refused", "unreachable", "unresolved")


@dataclass(frozen=True)
class Looks:
    """What the Envoys of one gateway's pods showed before and while the trial sessions were open, by pod."""

    before: Mapping[str, PodView] = field(default_factory=dict)
    after: Mapping[str, PodView] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """What was read of the cluster for all broken ports; lists by namespace, V(None) for what may not be read."""

    view: View
    pods: Mapping[str, Sequence[Object] | None] = field(default_factory=dict)
    slices: Mapping[str, Sequence[Object] | None] = field(default_factory=dict)
    network_policies: Mapping[str, Sequence[Object] | None] = field(default_factory=dict)
    authorizations: Mapping[str, Sequence[Object] | None] = field(default_factory=dict)
    peers: Mapping[str, Sequence[Object] | None] = field(default_factory=dict)
    rules: Mapping[str, Sequence[Object] | None] = field(default_factory=dict)
    # Ranges that a front Service lets in, by namespace and name.
    source_ranges: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)
    # Whether the Secret of a server is there, by namespace and name.
    secrets: Mapping[tuple[str, str], bool | None] = field(default_factory=dict)
    # By the namespace and name of the gateway.
    looks: Mapping[tuple[str, str], Looks] = field(default_factory=dict)
    # What could not be seen, in words.
    unseen: Sequence[str] = ()
    # This machine's address on its way to each address that was tried.
    clients: Mapping[str, str] = field(default_factory=dict)
    # Addresses on which any connection could be made.
    answering: frozenset[str] = frozenset()
    _tables: dict[int, tuple[Object, Rows, Rows]] = field(default_factory=dict, repr=False)

    def table(self, workload: Object) -> tuple[Rows, Rows]:
        """Return a workload's listeners and lost servers by Gateway and number, computed once for all ports."""
        if id(workload) not in self._tables:
            rows, lost = self.view.world.table(workload)
            self._tables[id(workload)] = (workload, _by_server(rows), _by_server(lost))
        return self._tables[id(workload)][1:]


@dataclass(frozen=True)
class Case:
    """One broken port: its entry of the port map, where clients reach it, and how its trial sessions ended."""

    port: Object
    addresses: Sequence[str]
    facts: Facts
    # Of tcp_probe, one for each address: the proof's last ones, and those of the trial.
    results: Sequence[Object] = ()
    trial: Sequence[Object] = ()

    def found(self, code: str, **values: Any) -> dict[str, str]:
        """Return a verdict on this port."""
        return finding(code, f"record {self.port['name']!r}", port=self.port["port"], **values)

    def kept_out(self, namespace: str, names: Iterable[str], source: str, destination: str) -> dict[str, str]:
        """Return the verdict that NetworkPolicies of a namespace let nothing through."""
        policies = some(f"{namespace}/{name}" for name in names)
        return self.found("HOP_NETWORK_POLICY", policies=policies, source=source, destination=destination)

    # Gateway

    @property
    def place(self) -> tuple[str, str]:
        """The gateway's namespace and name."""
        return (self.port["namespace"], self.port["gateway"])

    @property
    def front(self) -> Object | None:
        """The front Service that the port is on."""
        return self.facts.view.services.get((self.port["namespace"], self.port["service"]))

    @property
    def pod_labels(self) -> dict[str, str]:
        """The labels by which the gateway's pods are known."""
        return pods_behind(self.front, self.port["gateway"], self.port["namespace"])

    @property
    def gateway(self) -> Object:
        """The gateway, as the model of Istio asks for it."""
        return {
            "name": self.port["gateway"],
            "namespace": self.port["namespace"],
            "mesh": "",
            "selector": self.pod_labels,
        }

    @cached_property
    def pods(self) -> list[Object]:
        """The gateway's pods that are not on their way out."""
        return _living(self.facts.pods.get(self.port["namespace"]), self.pod_labels)

    @cached_property
    def ready_pods(self) -> list[Object]:
        """Those of them that get traffic."""
        return [pod for pod in self.pods if is_ready(pod)]

    @cached_property
    def plane(self) -> Object:
        """The control plane of the gateway."""
        workload = {
            "namespace": self.port["namespace"],
            "labels": (self.pods[0]["metadata"].get("labels") or {}) if self.pods else {},
            "revision": ((self.pods[0]["metadata"].get("annotations") or {}).get("istio.io/rev", ""))
            if self.pods
            else "",
        }
        return plane_of(workload, self.facts.view.state)

    @property
    def target(self) -> int:
        """The pods' port: where the front Service leads by now, which Istio's listener follows, or was to lead."""
        ports = (self.front or {"ports": []})["ports"]
        target = next((item["target_port"] for item in ports if item["port"] == self.port["port"]), None)
        return target if isinstance(target, int) else self.port["target_port"]

    @property
    def looks(self) -> Looks:
        """What the gateway's Envoys showed."""
        return self.facts.looks.get(self.place, Looks())

    @cached_property
    def views(self) -> Mapping[str, PodView]:
        """What the Envoys of the pods that get traffic have now; one that is still starting lacks much."""
        ready = {pod["metadata"]["name"] for pod in self.ready_pods}
        return {name: view for name, view in (self.looks.after or self.looks.before).items() if name in ready}

    # Backend

    @cached_property
    def by_backend(self) -> list[Case]:
        """The same case with one of the port's backends each; itself where there is only one."""
        backends = backends_of(self.port)
        if len(backends) == 1:
            return [self]
        return [replace(self, port={**self.port, **_as_only(item)}) for item in backends]

    @property
    def subset(self) -> Object | None:
        """The subset of the port's only backend, V(None) where it is a whole Service."""
        return backends_of(self.port)[0]["subset"]

    @property
    def external(self) -> Sequence[str]:
        """The servers outside of the cluster that the port's only backend is, none where it is a Service."""
        return self.port["backend"].get("external") or ()

    @property
    def backend(self) -> Object | None:
        """The Service behind the port."""
        backend = self.port["backend"]
        return self.facts.view.services.get((backend["namespace"], backend["service"]))

    @cached_property
    def backend_port(self) -> Object | None:
        """That Service's port."""
        wanted = self.port["backend"]["port"]
        ports = (self.backend or {"ports": []})["ports"]
        return next((item for item in ports if item["port"] == wanted and item["protocol"] == "TCP"), None)

    @cached_property
    def backend_pods(self) -> list[Object]:
        """The pods that the backend's Service selects, and its subset."""
        selector = (self.backend or {}).get("selector")
        if not selector:
            return []
        wanted = {**selector, **(self.subset or {"labels": {}})["labels"]}
        return _living(self.facts.pods.get(self.port["backend"]["namespace"]), wanted)

    @cached_property
    def endpoints(self) -> list[tuple[str, int]] | None:
        """The ready addresses and ports behind the backend's port, V(None) where they may not be read."""
        if self.external:
            # What a name stands for, only the gateway's Envoy knows.
            found = [(address, self.port["backend"]["port"]) for address in self.external if is_address(address)]
            return found if len(found) == len(self.external) else None
        slices = self.facts.slices.get(self.port["backend"]["namespace"])
        if slices is None or self.backend_port is None:
            return None
        # Which of them are the subset's, the pods' labels tell.
        if self.subset and self.facts.pods.get(self.port["backend"]["namespace"]) is None:
            return None
        among = {pod.get("status", {}).get("podIP") for pod in self.backend_pods} if self.subset else None
        return sorted(
            {
                (address, port["port"])
                for item in slices
                if (item["metadata"].get("labels") or {}).get("kubernetes.io/service-name")
                == self.port["backend"]["service"]
                for port in item.get("ports") or []
                if (port.get("name") or "") == self.backend_port["name"] and port.get("port")
                for endpoint in item.get("endpoints") or []
                if is_serving(endpoint)
                for address in endpoint["addresses"]
                if among is None or address in among
            }
        )

    @property
    def has_sidecar(self) -> bool:
        """Whether the backend's pods speak mTLS."""
        return any(map(has_sidecar, self.backend_pods))

    # What the trial showed

    @property
    def state(self) -> str:
        """How the trial ended at the first address where it did not stay open, '' where it did at all."""
        return next((item["state"] for item in self.trial if item["state"] in (*SHUT, *CUT)), "")

    @property
    def was_cut(self) -> bool:
        """Whether a session of the proof or of the trial was closed."""
        return any(item["state"] in CUT for item in (*self.results, *self.trial))

    @property
    def client(self) -> str:
        """This machine's address on the way to the first of the port's addresses."""
        return next(
            (self.facts.clients[item["address"]] for item in self.trial if item["address"] in self.facts.clients), ""
        )

    def grown(self, count: str) -> int | None:
        """Return by how much a counter of the backends' clusters grew during the trial, V(None) where nobody saw it."""
        both = [name for name in self.looks.after if name in self.looks.before]
        if not both:
            return None
        total = 0
        for name, cluster in product(both, clusters_of(self.port)):
            now = self.looks.after[name].clusters.get(cluster, {})
            then = self.looks.before[name].clusters.get(cluster, {})
            for address, endpoint in now.items():
                total += max(getattr(endpoint, count) - getattr(then.get(address, NOTHING), count), 0)
        return total

    @cached_property
    def accepted(self) -> bool | None:
        """Whether a backend accepted what the gateway began for the trial."""
        grown = self.grown("accepted")
        return None if grown is None else grown > 0

    @cached_property
    def tried(self) -> bool | None:
        """Whether the gateway began a connection to the backend."""
        grown = self.grown("tried")
        return None if grown is None else grown > 0 or bool(self.accepted)

    @property
    def _was_answered(self) -> bool:
        """Whether HTTP came back, which the gateway at least has sent."""
        return any(item["state"] in ("proven", "wrong_answer") for item in (*self.results, *self.trial))

    @cached_property
    def arrived(self) -> bool | None:
        """Whether the trial's session reached the gateway's listener."""
        if self.tried or (self.port.get("http") and self._was_answered):
            return True
        counted = [
            (view.sessions, self.looks.before[name].sessions)
            for name, view in self.looks.after.items()
            if view.sessions is not None and name in self.looks.before and self.looks.before[name].sessions is not None
        ]
        if any(now.get(self.target, 0) > then.get(self.target, 0) for now, then in counted):
            return True
        if not self.trial:
            # Nobody came, so that it says nothing that none was counted.
            return None
        # A session that was cut is counted no more.
        return False if self.state in SHUT or (counted and not self.state) else None


NOTHING = Endpoint(0, False)


def _as_only(backend: Object) -> Object:
    """Return the keys of a port map's entry that leads to one of its backends only."""
    plain = {key: backend[key] for key in ("namespace", "service", "port", "host", "external") if key in backend}
    return {"backend": plain, "backends": [backend], "cluster": backend["cluster"]}


def _by_server(rows: Iterable[Object]) -> dict[tuple[str, int], list[Object]]:
    """Index rows of a listener table."""
    found: dict[tuple[str, int], list[Object]] = {}
    for row in rows:
        found.setdefault((row["gateway"], row["number"]), []).append(row)
    return found


def _living(pods: Iterable[Object] | None, selector: Mapping[str, str]) -> list[Object]:
    """Return the pods of a selector that are not on their way out or at their end."""
    return [
        pod
        for pod in pods or ()
        if selector.items() <= (pod["metadata"].get("labels") or {}).items()
        and not pod["metadata"].get("deletionTimestamp")
        and pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
    ]


def why_not_ready(pod: Object) -> str:
    """Say why a pod is not ready, in Kubernetes' own words."""
    status = pod.get("status", {})
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        state = container.get("state") or {}
        ended = state.get("terminated") or (container.get("lastState") or {}).get("terminated") or {}
        reason = (state.get("waiting") or {}).get("reason") or (None if container.get("ready") else ended.get("reason"))
        if reason and reason != "Completed":
            return f"container {container['name']}: {reason}"
    for condition in status.get("conditions") or []:
        if condition["status"] == "False" and condition.get("message"):
            return condition["message"]
    return status.get("phase", "unknown")


def end_of(pod: Object, namespaces: Mapping[str, Any]) -> End:
    """Return a pod as an end of a connection."""
    namespace = pod["metadata"]["namespace"]
    ports = [item for container in pod["spec"]["containers"] for item in container.get("ports") or []]
    return End(
        ip=pod.get("status", {}).get("podIP", ""),
        namespace=namespace,
        labels=pod["metadata"].get("labels") or {},
        # Every namespace has this one (kubernetes.io, "Well-Known Labels").
        namespace_labels={
            "kubernetes.io/metadata.name": namespace,
            **(namespaces.get(namespace) or {}).get("labels", {}),
        },
        ports={item["name"]: item["containerPort"] for item in ports if item.get("name")},
    )
