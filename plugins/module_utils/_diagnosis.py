# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what the walk along a broken chain needs, and open one trial session to each broken port.

One list per kind and namespace. What may not be read is noted, and the walk goes on without it.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import _hops_door
from ansible_collections.servicemesh.tcp.plugins.module_utils._backends import clusters_of, namespaces_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._doors import is_door
from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy import Gateway, Snapshot
from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy_view import PodView
from ansible_collections.servicemesh.tcp.plugins.module_utils._hops import first_broken_hop
from ansible_collections.servicemesh.tcp.plugins.module_utils._hops_case import Case, Facts, Looks
from ansible_collections.servicemesh.tcp.plugins.module_utils._http import probe_with_http
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import collection_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import pods_behind, set_object_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe import Prober, sockets_allowed
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_target import is_address, parse_target
from ansible_collections.servicemesh.tcp.plugins.module_utils._probing import way_in
from ansible_collections.servicemesh.tcp.plugins.module_utils._read import read
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import HEALTH_PORT

if TYPE_CHECKING:
    from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api
    from ansible_collections.servicemesh.tcp.plugins.module_utils._relay import Relay

Place = tuple[str, str]
Port = Mapping[str, Any]
# Seconds for the trial's connection requests, and that its sessions are held.
TRIAL_TIMEOUT, TRIAL_HOLD = 2.0, 1.5


class _Reading:
    """Lists objects, each list once, and notes what may not be read."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.unseen: list[str] = []

    def lists(self, kind: str, namespaces: Collection[str]) -> dict[str, list[dict[str, Any]] | None]:
        """Return the objects of a kind by namespace, V(None) where they may not be read."""
        return {namespace: self._list(kind, namespace) for namespace in sorted(namespaces)}

    def _list(self, kind: str, namespace: str) -> list[dict[str, Any]] | None:
        """Return the objects of a kind in a namespace; a kind that is not served has none."""
        try:
            found = self._api.find(collection_path(kind, namespace))
        except ApiError as error:
            if error.status != 403:
                raise
            self.unseen.append(f"{collection_path(kind).rpartition('/')[2]} in {namespace}")
            return None
        return found["items"] if found else []

    def is_there(self, kind: str, namespace: str, name: str) -> bool | None:
        """Tell whether an object is there without reading what is in it, V(None) where that may not be known."""
        try:
            path = collection_path(kind, namespace)
            return bool(self._api.metadata(path, fieldSelector=f"metadata.name={name}"))
        except ApiError as error:
            if error.status != 403:
                raise
            self.unseen.append(f"{collection_path(kind).rpartition('/')[2]} in {namespace}")
            return None


def diagnose(
    api: Api,
    ports: Sequence[Port],
    endpoints: Sequence[Mapping[str, Any]],
    results: Sequence[Port],
    reader: Any,
    planned: bool = False,
) -> list[dict[str, str]]:
    """Return the verdict on each broken port, in the order given; C(endpoints) go with C(ports), one by one.

    With C(planned) no pod is made to try those that are to be proven from inside the cluster.
    """
    reading = _Reading(api)
    state = read(api)
    view = View(state)
    spaces = {port["namespace"] for port in ports}
    behind = {namespace for port in ports for namespace in namespaces_of(port)} - {""}
    roots = {plane["namespace"] for plane in state["mesh"]["control_planes"]}
    pods = reading.lists("Pod", spaces | behind)
    # What leads past the gateways meets no Envoy that a trial could be watched by.
    watched = [index for index, port in enumerate(ports) if not is_door(port)]
    with way_in(api, reader, _gateway_to_come_from(ports, view), planned) as relay:
        trial = _Trial(
            reader, [ports[index] for index in watched], [endpoints[index] for index in watched], pods, view, relay
        )
        tried = dict(zip(watched, trial.run() if watched else [], strict=True))
    facts = Facts(
        view=view,
        pods=pods,
        slices=reading.lists("EndpointSlice", behind),
        network_policies=reading.lists("NetworkPolicy", spaces | behind),
        authorizations=reading.lists("AuthorizationPolicy", spaces | behind | roots),
        peers=reading.lists("PeerAuthentication", behind | roots),
        rules=reading.lists("DestinationRule", spaces | behind | roots),
        source_ranges=_source_ranges(api, ports, view),
        secrets=_secrets(reading, ports, view),
        looks=trial.looks,
        unseen=[*dict.fromkeys([*reading.unseen, *trial.problems])],
        clients=trial.clients,
        answering=trial.answering | _answering(results),
    )
    cases = [
        Case(
            port,
            endpoint["addresses"],
            facts,
            results=[item for item in results if _is_of(item, port, endpoint)],
            trial=tried.get(index, ()),
        )
        for index, (port, endpoint) in enumerate(zip(ports, endpoints, strict=True))
    ]
    return [_hops_door.first_broken_hop(case) if is_door(case.port) else first_broken_hop(case) for case in cases]


def _gateway_to_come_from(ports: Sequence[Port], view: View) -> Gateway | None:
    """Return the gateway beside which to connect from inside the cluster, V(None) where no port wants that."""
    port = next((item for item in ports if item["probe"].get("from") == "cluster"), None)
    if port is None:
        return None
    labels = pods_behind(view.services.get((port["namespace"], port["service"])), port["gateway"], port["namespace"])
    return Gateway(port["gateway"], port["namespace"], labels)


def _is_of(result: Mapping[str, Any], port: Port, endpoint: Mapping[str, Any]) -> bool:
    """Whether a result of the proof is about a port."""
    return (result["name"], result["port"]) == (port["name"], endpoint["port"])


def _answering(results: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """Return the addresses on which the proof could make any connection."""
    return frozenset(item["address"] for item in results if item["connect_ms"] is not None)


def _source_ranges(api: Api, ports: Sequence[Port], view: View) -> dict[Place, list[str]]:
    """Read the source ranges of the front Services."""
    found = {}
    for place in sorted({(port["namespace"], port["service"]) for port in ports} & set(view.services)):
        service = api.find(f"{collection_path('Service', place[0])}/{place[1]}")
        found[place] = (service or {}).get("spec", {}).get("loadBalancerSourceRanges") or []
    return found


def _secrets(reading: _Reading, ports: Sequence[Port], view: View) -> dict[Place, bool | None]:
    """Look whether the Secrets that our servers name are there."""
    own = {(port["namespace"], set_object_name(port["gateway"], port["set"])) for port in ports}
    named = {
        (item["namespace"], server["credential"])
        for item in view.gateways
        if (item["namespace"], item["name"]) in own
        for server in item["servers"]
        if server["credential"]
    }
    return {place: reading.is_there("Secret", *place) for place in sorted(named)}


class _Trial:
    """Opens a session to each address of each broken port, and looks at the gateways' Envoys before and meanwhile."""

    def __init__(
        self,
        reader: Any,
        ports: Sequence[Port],
        endpoints: Sequence[Mapping[str, Any]],
        pods: Mapping[str, Sequence[Mapping[str, Any]] | None],
        view: View,
        relay: Relay | None,
    ) -> None:
        self._reader = reader
        self._relay = relay
        self._ports = ports
        self._endpoints = endpoints
        self._wanted: dict[Place, set[str]] = {}
        self._pods: dict[Place, list[str]] = {}
        for port in ports:
            namespace, gateway = place = (port["namespace"], port["gateway"])
            self._wanted.setdefault(place, set()).update(clusters_of(port))
            labels = pods_behind(view.services.get((namespace, port["service"])), gateway, namespace)
            self._pods[place] = _running(labels, pods.get(namespace))
        self.looks: dict[Place, Looks] = {}
        self.problems: list[str] = [relay.why] if relay and relay.why else []
        self.clients: dict[str, str] = {}
        self.answering: frozenset[str] = frozenset()

    def run(self) -> list[list[dict[str, Any]]]:
        """Return how the sessions of each port ended."""
        before = self._look()
        meanwhile: list[dict[Place, dict[str, PodView]]] = []

        async def observe(_gateway: str, _wanted: Collection[str], pods: Sequence[str] | None) -> Snapshot:
            # Asked for the second time while all sessions are held.
            if pods is not None:
                meanwhile.append(await asyncio.to_thread(self._look))
            return Snapshot({"all": {}})

        targets = [self._target(index) for index, end in enumerate(self._endpoints) if end["addresses"]]
        # Where the address is tried from: one that a port wants from inside the cluster need not be reached from here.
        origins: dict[str, str | None] = {}
        for port, end in zip(self._ports, self._endpoints, strict=True):
            for address in end["addresses"]:
                origins[address] = origins.get(address) or port["probe"].get("from")
        health = [
            {"name": "health", "addresses": [address], "port": HEALTH_PORT, "timeout": TRIAL_TIMEOUT, "from": origin}
            for address, origin in origins.items()
        ]
        # Without a pod to come from, what a session would meet is no word on the port.
        stranded = bool(self._relay and self._relay.why)
        tries = [item for item in [*targets, *health] if not (stranded and item["from"] == "cluster")]
        prober = Prober(
            [parse_target(item) for item in tries],
            observe,
            deadline=0,
            hold=TRIAL_HOLD,
            sockets=sockets_allowed(),
            dial=self._relay.dial if self._relay else None,
        )
        results = asyncio.run(prober.run())
        after = meanwhile[-1] if meanwhile else self._look()
        if meanwhile and any(port.get("http") for port in self._ports):
            # A request is over when others are held, or comes later; what backends accepted only grows.
            after = _with_clusters(after, self._look())
        self.looks = {place: Looks(before[place], after[place]) for place in self._wanted}
        self.answering = frozenset(item["address"] for item in results if item["connect_ms"] is not None)
        for item in results:
            if is_address(item["address"]):
                inside = self._relay and origins.get(item["host"]) == "cluster"
                client = self._relay.address if inside else _local_address(item["address"])
                self.clients.setdefault(item["address"], client)
        return [[item for item in results if item["name"] == str(index)] for index in range(len(self._ports))]

    def _target(self, index: int) -> dict[str, Any]:
        """Return a trial session: nothing is said but what the gateway has to know before it asks the backend."""
        port, end = self._ports[index], self._endpoints[index]
        return {
            "name": str(index),
            "addresses": end["addresses"],
            "port": end["port"],
            # Envoy asks no backend before it has a request.
            **(probe_with_http({}, port["http"]) if port.get("http") else {"mode": "connect"}),
            "timeout": TRIAL_TIMEOUT,
            "proxy_protocol": port["probe"].get("proxy_protocol"),
            "from": port["probe"].get("from"),
            # Envoy goes no further before it knows which name is meant.
            **({"tls": True, "sni": port["probe"].get("sni")} if port.get("tls") else {}),
            # One group for all, so that all are held at the same time.
            "gateway": "all",
            "cluster": ["all"],
        }

    def _look(self) -> dict[Place, dict[str, PodView]]:
        """Look at all gateways' Envoys."""
        found = {}
        for place, clusters in self._wanted.items():
            found[place], problems = self._reader.views(place[0], self._pods[place], clusters)
            self.problems += problems
        return found


def _with_clusters(
    views: Mapping[Place, Mapping[str, PodView]], later: Mapping[Place, Mapping[str, PodView]]
) -> dict[Place, dict[str, PodView]]:
    """Return looks with what a later one says of the clusters."""
    return {
        place: {
            name: replace(view, clusters=later[place][name].clusters) if name in later.get(place, {}) else view
            for name, view in pods.items()
        }
        for place, pods in views.items()
    }


def _running(labels: Mapping[str, str], pods: Sequence[Mapping[str, Any]] | None) -> list[str]:
    """Return the names of a gateway's pods whose Envoy can be asked."""
    return [
        pod["metadata"]["name"]
        for pod in pods or ()
        if labels.items() <= (pod["metadata"].get("labels") or {}).items()
        and not pod["metadata"].get("deletionTimestamp")
        and any(
            (item.get("state") or {}).get("running") for item in pod.get("status", {}).get("containerStatuses") or []
        )
    ]


def _local_address(address: str) -> str:
    """Return this machine's address on the way to another one; nothing is sent for it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return ""
