# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold backends against the cluster's pods and DestinationRules, before anything is written.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._backends import backends_of, place_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._destination_rules import Theirs
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_ports import HTTP
from ansible_collections.servicemesh.tcp.plugins.module_utils._mtls import SIDECAR_LABEL
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import GATEWAY_LABEL, SET_LABEL
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_talk import NO_HTTP
from ansible_collections.servicemesh.tcp.plugins.module_utils._read_backends import declared_protocol
from ansible_collections.servicemesh.tcp.plugins.module_utils._selectors import labels_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._service_entries import external_hosts
from ansible_collections.servicemesh.tcp.plugins.module_utils._texts import place_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View

# A backend with a subset, and the entry of the port map that it is of.
Used = tuple[Mapping[str, Any], Mapping[str, Any]]


def check_subsets(ports: Iterable[Mapping[str, Any]], view: View, set_name: str) -> list[dict[str, str]]:
    """Check the subsets of a port map; one finding for each record and mistake, however many ports it has."""
    used = [(port, item) for port in ports for item in port.get("backends", ()) if item["subset"]]
    if not view.rules.known:
        names = sorted({port["name"] for port, _item in used})
        return [finding("RULES_UNSEEN", f"record {name!r}") for name in names]
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for one in (*_differing(used, view, set_name), *_beside(used, view), *_empty(used, view)):
        found.setdefault((one["code"], one["message"]), one)
    return [*found.values(), *_carried(used, view, set_name)]


def check_rules_seen(listeners: Iterable[Mapping[str, Any]], view: View, set_name: str) -> list[dict[str, str]]:
    """Check that what goes with a set's subsets can be seen, and so changed or removed."""
    subsets = any(one["subset"] for item in listeners for one in item.get("destinations", ()))
    return [finding("RULES_UNSEEN", f"set {set_name!r}")] if subsets and not view.rules.known else []


def check_entries_seen(listeners: Iterable[Mapping[str, Any]], view: View, set_name: str) -> list[dict[str, str]]:
    """Check that what goes with a set's servers outside of the cluster can be seen, and so changed or removed."""
    if view.entries.known or not external_hosts(listeners):
        return []
    return [finding("EXTERNAL_UNSEEN", f"set {set_name!r}")]


def check_external(ports: Iterable[Mapping[str, Any]], view: View) -> list[dict[str, str]]:
    """Check servers outside of the cluster: that they are outside, and what the mesh says to every host."""
    # Led to the address of a gateway's own front, sessions would go round for ever.
    services = {
        address: item
        for item in view.services.values()
        for address in (item.get("cluster_ip"), *item.get("external_ips", ()), *item.get("addresses", ()))
    }
    found = {}
    for port in ports:
        for item in backends_of(port):
            for address in item.get("external", ()):
                if address in services:
                    values = {"address": address, "service": place_text(services[address])}
                    found[port["name"], address] = finding("EXTERNAL_INSIDE", f"record {port['name']!r}", **values)
            if item.get("external"):
                rules = view.rules.theirs(item["host"], port["namespace"])
                mode = ((rules.policy or {}).get("tls") or {}).get("mode", "DISABLE")
                if mode != "DISABLE":
                    values = {"rule": ", ".join(rules.names), "mode": mode, "host": item["host"]}
                    values |= {"servers": place_of(item), "namespace": port["namespace"]}
                    found[port["name"], item["host"]] = finding("EXTERNAL_TLS", f"record {port['name']!r}", **values)
    return list(found.values())


def check_protocols(ports: Iterable[Mapping[str, Any]], view: View) -> list[dict[str, str]]:
    """Find backends whose sidecars read HTTP where the record's probe says something else.

    Without a sidecar the gateway passes all bytes on, whatever the Service's port is called, and so it does to a port
    without a declared protocol: mTLS tells the sidecar that it is TCP (both seen on the lab).
    """
    pods = view.state.get("backend_pods") or {}
    found = {}
    for port in ports:
        mode = port["probe"]["mode"]
        # What is to be mended is checked where that is.
        for item in backends_of(port) if mode in NO_HTTP and not port.get("fix_protocol") else ():
            protocol = declared_protocol(view.services, item)
            selector = (view.services.get((item["namespace"], item["service"])) or {}).get("selector")
            if protocol not in HTTP or not selector:
                continue
            behind = [labels for labels in pods.get(item["namespace"]) or () if selector.items() <= labels.items()]
            if any(labels.get(SIDECAR_LABEL) == "istio" for labels in behind):
                service = f"{item['namespace']}/{item['service']}"
                values = {"port": item["port"], "service": service, "protocol": protocol, "mode": mode}
                found[port["name"], service, item["port"]] = finding(
                    "BACKEND_PROTOCOL", f"record {port['name']!r}", **values
                )
    return list(found.values())


def _differing(used: Iterable[Used], view: View, set_name: str) -> Iterator[dict[str, str]]:
    """Find subsets of one host and name with other labels: in the set itself, in other sets, in others' rules."""
    first: dict[tuple[str, str, str], tuple[Mapping[str, Any], Mapping[str, str]]] = {}
    for port, item in used:
        name, labels, namespace = item["subset"]["name"], item["subset"]["labels"], port["namespace"]
        holders = [
            (f"DestinationRule {rule['namespace']}/{rule['name']}", subset["labels"])
            for rule in view.rules.beside(item["host"], namespace, (namespace, port["gateway"]), set_name)
            # What the set has on another gateway in that namespace is what this run writes there, too.
            if rule["labels"].get(SET_LABEL) != set_name
            for subset in rule["subsets"]
            if subset["name"] == name
        ]
        theirs = view.rules.theirs(item["host"], namespace)
        if name in theirs.subsets:
            holders.append((f"DestinationRule {', '.join(theirs.names)}", theirs.subsets[name]["labels"]))
        other, others = first.setdefault((namespace, item["host"], name), (port, labels))
        holders.append((f"record {other['name']!r}", others))
        for holder, wanted in holders:
            if wanted != labels:
                subject = f"record {port['name']!r}"
                values = {"subset": name, "host": item["host"], "holder": holder}
                yield finding(
                    "SUBSET_DIFFERS", subject, **values, labels=labels_text(labels), others=labels_text(wanted)
                )


def _beside(used: Iterable[Used], view: View) -> Iterator[dict[str, str]]:
    """Find rules of others in the gateway's namespace that would stand beside ours."""
    for port, item in used:
        theirs = view.rules.theirs(item["host"], port["namespace"])
        name, labels = item["subset"]["name"], item["subset"]["labels"]
        if theirs.beside and name not in theirs.subsets:
            values = {"rule": ", ".join(theirs.names), "host": item["host"], "subset": name}
            yield finding("RULE_BESIDE", f"record {port['name']!r}", **values, labels=labels_text(labels))


def _empty(used: Iterable[Used], view: View) -> Iterator[dict[str, str]]:
    """Find subsets that no pod is in; whether it is ready is for the proof to say."""
    pods = view.state.get("backend_pods") or {}
    for port, item in used:
        service = view.services.get((item["namespace"], item["service"]))
        there = pods.get(item["namespace"])
        # A Service that is still to be made says nothing of its pods yet.
        if there is None or service is None or "selector" not in service:
            continue
        wanted = {**service["selector"], **item["subset"]["labels"]}
        if not service["selector"] or not any(wanted.items() <= labels.items() for labels in there):
            values = {"service": f"{item['namespace']}/{item['service']}", "subset": item["subset"]["name"]}
            yield finding(
                "SUBSET_EMPTY", f"record {port['name']!r}", **values, labels=labels_text(item["subset"]["labels"])
            )


def _carried(used: Iterable[Used], view: View, set_name: str) -> Iterator[dict[str, str]]:
    """Say once for each host and gateway whose settings are carried over, and where another set's copy is old."""
    hosts: dict[tuple[str, str, str], dict[str, Mapping[str, str]]] = {}
    for port, item in used:
        key = (port["namespace"], port["gateway"], item["host"])
        hosts.setdefault(key, {})[item["subset"]["name"]] = item["subset"]["labels"]
    for (namespace, gateway, host), subsets in sorted(hosts.items()):
        theirs = view.rules.theirs(host, namespace)
        others = view.rules.beside(host, namespace, (namespace, gateway), set_name)
        if theirs.names and not theirs.beside and (others or not theirs.has(subsets)):
            values = {"host": host, "gateway": f"{namespace}/{gateway}"}
            rules = "DestinationRule " + ", ".join(theirs.names)
            that = "that one" if len(theirs.names) == 1 else "those"
            yield finding("RULE_CARRIED", f"set {set_name!r}", **values, rules=rules, that=that)
        yield from _stale(host, theirs, others, set_name)


def _stale(host: str, theirs: Theirs, others: Iterable[Mapping[str, Any]], set_name: str) -> Iterator[dict[str, str]]:
    """Find rules of other sets for a host that carry something else than this set's will."""
    for rule in others:
        if rule["traffic_policy"] != theirs.policy:
            values = {"set": rule["labels"].get(SET_LABEL, ""), "rule": f"{rule['namespace']}/{rule['name']}"}
            named = "DestinationRule " + ", ".join(theirs.names) if theirs.names else "any other one"
            gateway = rule["labels"].get(GATEWAY_LABEL, "")
            if values["set"] != set_name:
                yield finding("RULE_STALE", f"gateway {gateway!r}", **values, host=host, theirs=named)
