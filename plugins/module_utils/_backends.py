# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backends of a record: one Service, or several with weights and subsets.

An entry of the port map whose traffic goes to more than one plain Service has C(backends), a list of C({namespace,
service, port, host, weight, subset, cluster}); its C(backend) and C(cluster) are then those of the first. A backend
with a weight of 0 gets nothing, so that it is as if it was not written: nothing of it is checked or put on the cluster.

A backend outside of the cluster has no namespace and no Service (both are ''), but C(external), the addresses or names
of its servers; its C(host) is one that only our ServiceEntry has, see C(_service_entries).

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_names import is_address
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import host_of, outbound_cluster
from ansible_collections.servicemesh.tcp.plugins.module_utils._ranges import read_beside, written
from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import (
    Problems,
    check_keys,
    read_dict,
    read_label,
    to_port,
    words,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._service_entries import external_host

BACKEND_KEYS = words("namespace service port host")
WEIGHTED_KEYS = BACKEND_KEYS | words("weight subset")
SUBSET_KEYS = words("name labels")
# Envoy adds weights up in 32 bits (TcpProxy.WeightedCluster).
MOST_WEIGHT = 1_000_000
WEIGHT_RULE = f"a weight is a whole number from 0 to {MOST_WEIGHT}"
# Kubernetes, "Labels and Selectors": what a label's key and value may be.
LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?", re.ASCII)
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?)?", re.ASCII)
# RFC 1123 names of two labels and more: a single one would depend on who asks.
HOST_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)+")
HOST_RULE = "it must be an IP address or a DNS name in lower case with at least one dot, or a list of them"
# How sure a proof is to meet every backend, and how many sessions it makes for it at most.
SURENESS, MOST_CALLS = 0.99, 100


def read_backend(problems: Problems, where: str, raw: Any, count: int, keys: Iterable[str]) -> dict[str, Any]:
    """Read what is behind a record's ports: its port for each of them, a single one serves them all."""
    backend = read_dict(problems, where, raw)
    check_keys(problems, f"{where}.", backend, keys, keys)
    port = backend.get("port")
    single = to_port(port)
    ports = read_beside(problems, f"{where}.port", port, count if single is None else 1, repeated=True)
    ports = ports if single is None else ports * count
    if "host" in backend:
        for key in sorted({"namespace", "service", "subset"} & set(backend)):
            problems.invalid(f"{where}.{key}", backend[key], "it has no meaning beside host, outside of the cluster")
        external = _read_hosts(problems, f"{where}.host", backend["host"])
        return {"namespace": "", "service": "", "ports": ports, "external": external}
    return {
        "namespace": read_label(problems, f"{where}.namespace", backend.get("namespace")),
        "service": read_label(problems, f"{where}.service", backend.get("service")),
        "ports": ports,
    }


def _read_hosts(problems: Problems, key: str, raw: Any) -> list[str]:
    """Read the servers outside of the cluster, each once, in an order that does not change."""
    given = raw if isinstance(raw, list) else [raw]
    found = set()
    for item in given:
        if not isinstance(item, str):
            problems.invalid(key, item, HOST_RULE)
        elif why := _unfit(item):
            problems.invalid(key, item, why)
        else:
            found.add(str(ipaddress.ip_address(item)) if is_address(item) else item)
    if not given:
        problems.invalid(key, raw, HOST_RULE)
    return sorted(found)


def _unfit(host: str) -> str:
    """Say why traffic of a gateway cannot be led to an address or a name, '' where it can."""
    if is_address(host):
        address = ipaddress.ip_address(host)
        # An address of IPv4 written as one of IPv6 is that of IPv4 to the kernel.
        address = getattr(address, "ipv4_mapped", None) or address
        if address.is_loopback or address.is_unspecified:
            return "that is the gateway's pod itself"
        if address.is_link_local or address.is_multicast or (address.version == 4 and address.is_reserved):
            return "it is link-local, multicast or reserved, so no server elsewhere"
        return ""
    # What looks like an address is none, and no resolver takes it for a name.
    if not HOST_NAME.fullmatch(host) or host.rpartition(".")[2].isdecimal():
        return HOST_RULE
    if host.endswith((".svc", ".localhost")) or ".svc." in host:
        return "that is a Service of the cluster or this machine; write namespace and service"
    return ""


def read_backends(problems: Problems, raw: Any, count: int) -> list[dict[str, Any]]:
    """Read the backends of a record, those that get anything, each with its C(weight) and its C(subset) or V(None)."""
    if not isinstance(raw, list) or not raw:
        problems.invalid("backends", raw, "it must be a list of backends")
        return []
    before = len(problems.findings)
    found = []
    for index, item in enumerate(raw):
        where = f"backends[{index}]"
        backend = read_backend(problems, where, item, count, WEIGHTED_KEYS)
        given = item if isinstance(item, Mapping) else {}
        subset = given.get("subset")
        backend["subset"] = None if subset is None else _read_subset(problems, f"{where}.subset", subset)
        backend["weight"] = _read_weight(problems, f"{where}.weight", given.get("weight"))
        found.append(backend)
    if len(problems.findings) == before:
        _check_together(problems, raw, found)
    return [item for item in found if item["weight"]]


def _read_weight(problems: Problems, key: str, value: Any) -> int:
    """Read a weight; one that is not given is 1."""
    if value is None:
        return 1
    weight = to_port(value)
    if weight is None or not 0 <= weight <= MOST_WEIGHT:
        problems.invalid(key, value, WEIGHT_RULE)
        return 1
    return weight


def _read_subset(problems: Problems, key: str, raw: Any) -> dict[str, Any]:
    """Read a subset: its name, and the labels that its pods have beside those that the Service selects."""
    subset = read_dict(problems, key, raw)
    check_keys(problems, f"{key}.", subset, SUBSET_KEYS, SUBSET_KEYS)
    labels = subset.get("labels")
    if not isinstance(labels, Mapping) or not labels:
        problems.invalid(f"{key}.labels", labels, "it must be a mapping of at least one label")
        labels = {}
    for name, value in labels.items():
        if not isinstance(name, str) or not LABEL_KEY.fullmatch(name):
            problems.invalid(f"{key}.labels", name, "it is no name of a label")
        elif not isinstance(value, str) or not LABEL_VALUE.fullmatch(value):
            problems.invalid(f"{key}.labels.{name}", value, "it is no value of a label; write numbers in quotes")
    return {"name": read_label(problems, f"{key}.name", subset.get("name")), "labels": dict(labels)}


def _check_together(
    problems: Problems, raw: Sequence[Mapping[str, Any]], backends: Sequence[Mapping[str, Any]]
) -> None:
    """Find what is wrong with backends that are right one by one."""
    given = [item.get("weight") is not None for item in raw]
    if any(given) and not all(given):
        problems.invalid("backends", raw[given.index(False)], "either all backends have a weight, or none has")
    if not any(item["weight"] for item in backends):
        problems.invalid("backends", [item["weight"] for item in backends], "one of the weights must be above 0")
    seen: dict[tuple[Any, ...], Any] = {}
    names: dict[tuple[str, ...], Mapping[str, str]] = {}
    for item in backends:
        place = (item["namespace"], item["service"], *item.get("external", ()))
        subset = item["subset"] or {"name": "", "labels": {}}
        key = (*place, tuple(item["ports"]), subset["name"])
        if key in seen:
            problems.invalid("backends", backend_text(item), "it stands in it more than once; add the weights up")
        seen[key] = item
        labels = names.setdefault((*place, subset["name"]), subset["labels"])
        if labels != subset["labels"]:
            problems.invalid("backends", subset["name"], "a subset of one Service has the same labels everywhere")


def is_plain(backends: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether all goes to one Service, or one server outside, as a whole, as C(backend) says it."""
    return len(backends) == 1 and not backends[0]["subset"]


def calls_for(backends: Sequence[Mapping[str, Any]]) -> int:
    """Return with how many sessions a proof meets every backend, almost surely: the least likely one decides."""
    share = min(item["weight"] for item in backends) / sum(item["weight"] for item in backends)
    if share == 1:
        return 1
    return min(MOST_CALLS, math.ceil(math.log(1 - SURENESS) / math.log(1 - share)))


def backend_entry(backend: Mapping[str, Any], index: int) -> dict[str, Any]:
    """Return a backend for one of the record's ports, as an entry has it."""
    plain = {"namespace": backend["namespace"], "service": backend["service"], "port": backend["ports"][index]}
    return {**plain, **{key: backend[key] for key in ("external", "weight", "subset") if key in backend}}


def backend_mapping(
    entry: Mapping[str, Any], cluster_domain: str, place: tuple[str, str] = ("", ""), set_name: str = ""
) -> dict[str, Any]:
    """Return what the port map says of an entry's backends: C(backend), C(cluster), and C(backends) where needed.

    C(place) is the gateway's namespace and name, and matters with servers outside of the cluster only.
    """
    found = []
    for item in as_given(entry):
        if item.get("external"):
            host = external_host(place, set_name, item["external"])
        else:
            host = host_of(item["service"], item["namespace"], cluster_domain)
        subset = (item.get("subset") or {}).get("name", "")
        found.append({**item, "host": host, "cluster": outbound_cluster(host, item["port"], subset)})
    first = {key: found[0][key] for key in ("namespace", "service", "port", "host", "external") if key in found[0]}
    several = {"backends": found} if "backends" in entry else {}
    return {"backend": first, **several, "cluster": found[0]["cluster"]}


def backends_of(port: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return all backends of an entry of the port map (or, less host and cluster, of a record)."""
    if "backends" in port:
        return list(port["backends"])
    return [{**port["backend"], "weight": 1, "subset": None, "cluster": port.get("cluster", "")}]


def as_given(port: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the backends of a port map's entry, or of one that is still to be mapped, as they stand in it."""
    return port.get("backends") or [port["backend"]]


def namespaces_of(port: Mapping[str, Any]) -> list[str]:
    """Return the namespaces of a port's backends, the first one's first; '' stands for outside of the cluster."""
    given = as_given(port)
    return [given[0]["namespace"]] if len(given) == 1 else list(dict.fromkeys(item["namespace"] for item in given))


def clusters_of(port: Mapping[str, Any]) -> list[str]:
    """Return the Envoy clusters that a port's sessions go to."""
    return [item["cluster"] for item in backends_of(port)]


def shares_text(backends: Sequence[Mapping[str, Any]]) -> str:
    """Write backends with their shares: C(orders/db:5432 v1 70%, orders/db:5432 v2 30%)."""
    total = sum(item["weight"] for item in backends)
    parts = []
    for item in backends:
        share = f" {item['weight'] * 100 / total:.3g}%" if len(backends) > 1 else ""
        parts.append(f"{backend_text(item)}{share}")
    return ", ".join(parts)


def backend_text(backend: Mapping[str, Any]) -> str:
    """Write one backend: C(orders/db:5432), with its subset after it."""
    port = written(backend["ports"]) if "ports" in backend else backend["port"]
    subset = backend.get("subset")
    name = subset["name"] if isinstance(subset, Mapping) else subset
    return f"{place_of(backend)}:{port}" + (f" {name}" if name else "")


def place_of(backend: Mapping[str, Any]) -> str:
    """Write where a backend is: C(orders/db), or C(db.example.com) outside of the cluster."""
    return ",".join(backend.get("external") or ()) or f"{backend['namespace']}/{backend['service']}"
