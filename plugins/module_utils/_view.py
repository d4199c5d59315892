# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The observed cluster, indexed: what is where, who holds which port of a gateway.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._by_name import KIND_OF_SERVER, KINDS, shared_port_name
from ansible_collections.servicemesh.tcp.plugins.module_utils._destination_rules import rules_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._http_objects import observed as observed_http
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio import World
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_holders import Holder, foreign_listeners
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_names import age_key
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import (
    COLLECTION,
    DOOR_LABEL,
    GATEWAY_LABEL,
    SET_LABEL,
    front_number,
    is_of_set,
    is_ours,
    manager_set,
    port_place,
    record_hash,
    set_manager,
    set_object_name,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._service_entries import Entries
from ansible_collections.servicemesh.tcp.plugins.module_utils._smcp import as_front
from ansible_collections.servicemesh.tcp.plugins.module_utils._targets import first_choice
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls_objects import (
    NOWHERE,
    observed,
    rule_object_name,
)


class View:
    """Look-ups on one projection of C(mesh_state), each built once."""

    def __init__(self, state: Mapping[str, Any], planned_services: Iterable[Mapping[str, Any]] = ()) -> None:
        """Index a projection; planned services are backends that check mode was told of and did not make."""
        self.state = state
        self.namespaces: Mapping[str, Mapping[str, Any]] = state["namespaces"]
        self.services = {(item["namespace"], item["name"]): item for item in state["services"]}
        for planned in planned_services:
            place = (planned["namespace"], planned["service"])
            self.services.setdefault(place, _planned_service(planned))
        # Oldest first: Istio lets the older of two servers on a port win.
        self.gateways = sorted(state["gateways"], key=age_key)
        self.virtual_services = {(item["namespace"], item["name"]): item for item in state["virtual_services"]}
        self._http = self._read_http()
        self.deployments = {(item["namespace"], item["name"]): item for item in state["deployments"]}
        self._planes: dict[tuple[str, str], Mapping[str, Any]] = {}
        self._add_planes()
        self._fronts = _front_services(self.services.values())
        self.rules = rules_of(state)
        self.entries = Entries(state.get("service_entries", ()))
        self.world = World(state)
        self._foreign: dict[tuple[str, str, str], tuple[dict[int, Holder], dict[int, Holder]]] = {}

    def _add_planes(self) -> None:
        """Show the front Services of ServiceMeshControlPlanes with the ports and owners of the control plane's list."""
        for plane in self.state.get("smcps") or ():
            for name, section in plane["gateways"].items():
                place = (section["namespace"], name)
                self._planes[place] = plane
                if place in self.services:
                    self.services[place] = as_front(self.services[place], plane, self._served(place))

    def _served(self, place: tuple[str, str]) -> dict[str, dict[int, str]]:
        """Return port and name of each server that sets have on a gateway, by set."""
        return {
            item["labels"][SET_LABEL]: {server["port"]: server["name"] for server in item["servers"]}
            for item in self.gateways
            if (item["namespace"], item["labels"].get(GATEWAY_LABEL)) == place
            and is_ours(item["labels"])
            and SET_LABEL in item["labels"]
        }

    def plane_of(self, gateway: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the ServiceMeshControlPlane that a gateway with C(owner=smcp) belongs to."""
        if gateway.get("owner") != "smcp":
            return None
        plane = self.plane_at((gateway["namespace"], gateway["name"]))
        return plane if plane is not None and plane is self.plane_named(gateway["control_plane"]) else None

    def plane_at(self, place: tuple[str, str]) -> Mapping[str, Any] | None:
        """Return the ServiceMeshControlPlane that has a gateway with this front Service."""
        return self._planes.get(place)

    def plane_named(self, wanted: Mapping[str, str]) -> Mapping[str, Any] | None:
        """Return the ServiceMeshControlPlane of a name and namespace."""
        planes = self.state.get("smcps") or ()
        place = (wanted["namespace"], wanted["name"])
        return next((item for item in planes if (item["namespace"], item["name"]) == place), None)

    def own_gateway(self, place: tuple[str, str], set_name: str) -> Mapping[str, Any] | None:
        """Return the Istio Gateway of a set on the gateway at a place."""
        found = (place[0], set_object_name(place[1], set_name))
        return next((item for item in self.gateways if (item["namespace"], item["name"]) == found), None)

    def lent_ports(self, gateway: Mapping[str, Any]) -> dict[int, int]:
        """Return the ports of somebody else's front Service that are no set's, and where they lead: they can be used.

        A port that the Service has and its control plane does not know is none: it goes with the next render.
        """
        service = self.front_service(gateway)
        if service is None or gateway.get("owner", "injection") == "injection":
            return {}
        of_sets = {
            port for manager, ports in service["managers"].items() if manager_set(manager) is not None for port in ports
        }
        unsafe = of_sets | set(service.get("borrowed", ()))
        ports = [item for item in service["ports"] if item["protocol"] == "TCP" and item["port"] not in unsafe]
        return {item["port"]: item["target_port"] for item in ports if isinstance(item["target_port"], int)}

    def has_namespace(self, name: str) -> bool:
        """Tell whether a namespace is there to stay."""
        return name in self.namespaces and not self.namespaces[name]["terminating"]

    def front_service(self, gateway: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the front Service of a gateway's own name, V(None) before it was made."""
        return self.services.get((gateway["namespace"], gateway["name"]))

    def front_services(self, gateway: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Return all front Services of a gateway: the one of its own name first, then C(<name>-2) and so on."""
        first = self.front_service(gateway)
        return ([first] if first else []) + self.further_services(gateway)

    def further_services(self, gateway: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """Return the front Services that a gateway has beside the one of its own name."""
        found = self._fronts.get((gateway["namespace"], gateway["name"]), [])
        return [service for service in found if service["name"] != gateway["name"]]

    def sets_on(self, gateway: Mapping[str, Any]) -> list[str]:
        """Return the sets that have anything on a gateway: an Istio Gateway, or ports of its front Service."""
        services = self.front_services(gateway)
        found = {manager_set(manager) for service in services for manager in service["managers"]}
        found |= {
            item["labels"].get(SET_LABEL)
            for item in self.gateways
            if is_ours(item["labels"])
            and item["namespace"] == gateway["namespace"]
            and item["labels"].get(GATEWAY_LABEL) == gateway["name"]
        }
        return sorted(name for name in found if name)

    def _foreign_listeners(
        self, gateway: Mapping[str, Any], set_name: str
    ) -> tuple[dict[int, Holder], dict[int, Holder]]:
        """Return who else holds server numbers and listeners on a gateway's pods; asked for several times in a plan."""
        key = (gateway["namespace"], gateway["name"], set_name)
        if key not in self._foreign:
            self._foreign[key] = foreign_listeners(self.world, gateway, set_name)
        return self._foreign[key]

    def ports_of_other_sets(self, service: Mapping[str, Any], set_name: str) -> set[int]:
        """Return the ports of a front Service that other sets own, alone or with this one."""
        owners = ((manager_set(manager), ports) for manager, ports in service["managers"].items())
        return {port for name, ports in owners if name not in (None, set_name) for port in ports}

    def foreign_ports(self, gateway: Mapping[str, Any], set_name: str) -> dict[int, str]:
        """Return the ports of a gateway that are not this set's to publish, with who holds them.

        Those are ports of its front Services, and numbers of other people's servers on its pods: a server's number is
        translated by the Service, so a second server of that number lands on the same listener.
        """
        found: dict[int, str] = dict(self._foreign_listeners(gateway, set_name)[0])
        for service in self.front_services(gateway):
            free = {*service["managers"].get(set_manager(set_name), []), *self.lent_ports(gateway)}
            found |= {
                port["port"]: _port_holder(service, port["port"])
                for port in service["ports"]
                if port["protocol"] == "TCP" and port["port"] not in free
            }
        return found

    def stray_ports(self, gateway: Mapping[str, Any]) -> dict[int, str]:
        """Return the ports of a gateway's front Services that neither this collection nor a set applied."""
        found = {}
        for service in self.front_services(gateway):
            managers = service["managers"].items()
            known = {port for name, ports in managers if name == COLLECTION or manager_set(name) for port in ports}
            ports = [port["port"] for port in service["ports"] if port["port"] not in known]
            found |= {port: _port_holder(service, port) for port in ports}
        return found

    def foreign_targets(self, gateway: Mapping[str, Any], set_name: str) -> dict[int, str]:
        """Return the target ports that others hold on a gateway's pods, with who holds them.

        Two plain servers on one resolved port of a workload do not merge: Istio keeps the older and drops the other
        without a word (istio pilot/pkg/model/gateway.go, mergeGateways).
        """
        foreign = self.foreign_ports(gateway, set_name)
        by_port = self.numeric_targets(gateway)
        held = {by_port[port]: holder for port, holder in foreign.items() if port in by_port}
        held |= {
            target: _port_holder(self.services[(gateway["namespace"], gateway["name"])], port)
            for port, target in self.lent_ports(gateway).items()
        }
        return self._foreign_listeners(gateway, set_name)[1] | held

    def numeric_targets(self, gateway: Mapping[str, Any]) -> dict[int, int]:
        """Return the target port behind each port of a gateway's front Services."""
        ports = [port for service in self.front_services(gateway) for port in service["ports"]]
        return {port["port"]: port["target_port"] for port in ports if isinstance(port["target_port"], int)}

    def target_ports(self, gateway: Mapping[str, Any]) -> dict[str, int]:
        """Return the target port of each named port of a gateway's front Services."""
        ports = [port for service in self.front_services(gateway) for port in service["ports"]]
        return {port["name"]: port["target_port"] for port in ports if isinstance(port["target_port"], int)}

    def listeners(self, set_name: str) -> list[dict[str, Any]]:
        """Return the listeners that a set has on the cluster, read back from its own objects.

        A port of the front Service without a listener (a run that was stopped between the two) is among them,
        with no host.
        """
        places = {
            (item["namespace"], item["labels"].get(GATEWAY_LABEL, ""))
            for item in self.gateways
            if is_of_set(item["labels"], set_name)
        }
        found = []
        for place in {*self._fronts, *places}:
            found += self._listeners_of(place, set_name)
        return sorted(found, key=port_place)

    def _listeners_of(self, place: tuple[str, str], set_name: str) -> list[dict[str, Any]]:
        """Put one gateway's Service ports, Gateway servers and VirtualService rules of a set together again."""
        namespace, gateway = place
        services = self._fronts.get(place) or ([self.services[place]] if place in self.services else [])
        manager = set_manager(set_name)
        own = {port for service in services for port in service["managers"].get(manager, [])}
        shown = {
            port["port"]: {**port, "service": service["name"], "lent": not is_ours(service["labels"])}
            for service in services
            for port in service["ports"]
            if port["protocol"] == "TCP"
        }
        istio_gateway = self.own_gateway(place, set_name)
        servers: dict[int, list[Mapping[str, Any]]] = {}
        for server in istio_gateway["servers"] if istio_gateway else ():
            servers.setdefault(server["port"], []).append(server)
        name = set_object_name(gateway, set_name)
        main = self.virtual_services.get((namespace, name))
        rules = main["tcp"] if main else []
        destinations = {port: rule["destinations"] for rule in rules for port in rule["ports"]}
        result = []
        for number in sorted({*servers, *own}):
            front = shown.get(number, {})
            port_name = servers[number][0]["name"] if number in servers else front.get("name", "")
            common = {
                "gateway": gateway,
                "namespace": namespace,
                "service": front.get("service", gateway),
                "port": number,
                "target_port": front.get("target_port", first_choice(number)),
                "node_port": None,
                # Somebody else's port of somebody else's Service, which only the server is added to.
                **({"lent": True} if front.get("lent") and number not in own else {}),
            }
            by_name = [server for server in servers.get(number, ()) if server["protocol"] == "TLS"]
            records = observed(
                by_name,
                main,
                lambda digest, port=number: self.virtual_services.get(
                    (namespace, rule_object_name(gateway, set_name, port, digest))
                ),
            )
            kind = next((KIND_OF_SERVER.get(server["protocol"], "") for server in servers.get(number, ())), "")
            if kind == "http":
                records = self.http_records(place, set_name, number)
            plain = {"hash": record_hash(port_name), "destinations": destinations.get(number) or [NOWHERE]}
            for item in records or [plain]:
                leads = item.get("destinations") or [item.get("destination", NOWHERE)]
                several = len(leads) > 1 or leads[0].get("subset")
                result.append(
                    {
                        **common,
                        "port_name": shared_port_name(kind, number) if kind else port_name,
                        "hash": item["hash"],
                        "host": leads[0]["host"],
                        "backend_port": leads[0]["port"],
                        **{key: item[key] for key in KINDS if key in item},
                        **({"destinations": self._with_labels(leads, place, set_name)} if several else {}),
                    }
                )
        return result

    def http_records(self, place: tuple[str, str], set_name: str, port: int) -> list[dict[str, Any]]:
        """Return the HTTP records that a set has on a port of the gateway at a place, read back from its rules."""
        return self._http.get((*place, set_name), {}).get(port, [])

    def _read_http(self) -> dict[tuple[str, str, str], dict[int, list[dict[str, Any]]]]:
        """Read all HTTP records back, by the namespace and name of the gateway, and the set."""
        found: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
        for item in self.virtual_services.values():
            if item.get("routes"):
                key = (item["namespace"], item["labels"].get(GATEWAY_LABEL, ""), item["labels"].get(SET_LABEL, ""))
                found.setdefault(key, []).append(item)
        return {key: observed_http(items) for key, items in found.items()}

    def _with_labels(
        self, destinations: Iterable[Mapping[str, Any]], place: tuple[str, str], set_name: str
    ) -> list[dict[str, Any]]:
        """Return destinations with the labels of their subsets, V(None) where no rule says them."""
        found = []
        for item in destinations:
            rules = [rule for rule in self.rules.of_set(place, set_name) if rule["host"] == item["host"]]
            own = [subset for rule in rules for subset in rule["subsets"]]
            theirs = self.rules.theirs(item["host"], place[0]).subsets.values()
            named = [subset["labels"] for subset in [*own, *theirs] if subset["name"] == item["subset"]]
            found.append({**item, "labels": dict(named[0]) if named else None})
        return found

    def source_of(self, set_name: str) -> str:
        """Return from which source (inventory or job template) a set was last written, '' where unknown."""
        for item in self.gateways:
            if is_of_set(item["labels"], set_name) and item["source"]:
                return item["source"]
        doors = [item for item in self.services.values() if DOOR_LABEL in item["labels"]]
        doors += self.state.get("routes") or []
        return next((item["source"] for item in doors if is_of_set(item["labels"], set_name)), "")


def view_of(state: Mapping[str, Any] | View, planned_services: Iterable[Mapping[str, Any]] = ()) -> View:
    """Return a state indexed, just as it is where it was indexed already."""
    return state if isinstance(state, View) else View(state, planned_services)


def _planned_service(planned: Mapping[str, Any]) -> dict[str, Any]:
    """Return a Service that is still to be made, as far as a backend's check needs it."""
    ports = [{"name": "", "port": planned["port"], "target_port": None, "node_port": None, "protocol": "TCP"}]
    return {"namespace": planned["namespace"], "name": planned["service"], "labels": {}, "ports": ports}


def _front_services(services: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    """Return the front Services that ports are published on by namespace and gateway, each gateway's in their order.

    One that somebody else made carries our label and definition.
    """
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for service in services:
        gateway = service["labels"].get(GATEWAY_LABEL)
        if gateway and (is_ours(service["labels"]) or service["definition"] is not None):
            found.setdefault((service["namespace"], gateway), []).append(service)
    for (_namespace, gateway), group in found.items():
        group.sort(key=lambda item: front_number(gateway, item["name"]))
    return found


def _port_holder(service: Mapping[str, Any], port: int) -> str:
    """Say who holds a port of a front Service."""
    where = f"Service {service['namespace']}/{service['name']}"
    managers = [manager for manager, ports in service["managers"].items() if port in ports]
    for manager in managers:
        if manager_set(manager):
            return f"set {manager_set(manager)!r} ({where})"
    if managers:
        return f"field manager {managers[0]!r} ({where})"
    return f"a port that was added by hand ({where})"
