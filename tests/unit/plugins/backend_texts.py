# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each finding about weighted backends and subsets, with what provokes it and its whole text."""

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._names import set_labels
from ansible_collections.servicemesh.tcp.plugins.module_utils._plan import exposure_plan
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import (
    BACKEND,
    BACKEND_HOST,
    EDGE,
    record,
    service_port,
    state,
)

V1 = {"name": "v1", "labels": {"version": "v1"}}
POLICY = {"connectionPool": {"tcp": {"maxConnections": 7}}}


def rule(name: str, namespace: str, *subsets: Any, policy: Any = None, labels: Any = None) -> dict[str, Any]:
    """Return a projected DestinationRule for the usual backend."""
    return {
        "name": name,
        "namespace": namespace,
        "uid": "",
        "labels": labels or {},
        "created": "",
        "host": BACKEND_HOST,
        "export_to": [],
        "selects": False,
        "traffic_policy": policy,
        "subsets": list(subsets),
    }


def said(*rules: Any, unreadable: bool = False, **more: Any) -> list[dict[str, str]]:
    """Return what planning a record with subset v1 says on a cluster with these rules."""
    wanted = record(backends=[{**BACKEND, "subset": V1}])
    del wanted["backend"]
    seen = state(destination_rules=None if unreadable else list(rules), **more)
    seen["services"][0]["selector"] = {"app": "echo"}
    return port_map([wanted], [EDGE], seen)["findings"]


def outside_ports(host: str = "db.example.com", **more: Any) -> list[dict[str, Any]]:
    """Return the port map of a record whose backend is outside of the cluster."""
    return port_map([record(backend={"host": host, "port": 5432})], [EDGE], **more)["ports"]


def outside(*rules: Any, host: str = "db.example.com") -> list[dict[str, str]]:
    """Return what planning such a record says on a cluster with these rules."""
    seen = state(destination_rules=list(rules))
    return port_map([record(backend={"host": host, "port": 5432})], [EDGE], seen)["findings"]


EXTERNAL_HOST = outside_ports()[0]["backend"]["host"]
FOR_ALL = {**rule("default", "istio-system", policy={"tls": {"mode": "ISTIO_MUTUAL"}}), "host": "*"}
THEIRS = rule("db", "apps", policy=POLICY)


def http_declared() -> list[dict[str, str]]:
    """Return what planning a server that speaks first says, whose Service's port is declared as HTTP."""
    sidecar = {"app": "echo", "security.istio.io/tlsMode": "istio"}
    seen = state(backend_pods={"apps": [sidecar]})
    seen["services"][0] |= {"selector": {"app": "echo"}, "ports": [service_port(9000, name="http-x")]}
    return port_map([record(probe={"mode": "ssh"})], [EDGE], seen)["findings"]


def mended(**port: Any) -> list[dict[str, str]]:
    """Return what planning says of a backend whose protocol is to be mended."""
    seen = state()
    seen["services"][0] |= {"ports": [service_port(9000, **port)], "managers": {"argocd": [9000]}}
    return port_map([record(fix_protocol=True)], [EDGE], seen)["findings"]


TEXTS = {
    "BACKEND_PROTOCOL": (
        http_declared,
        "record 'a': port 9000 of backend Service apps/echo is declared as http, so the sidecars of its pods wait for"
        " HTTP requests, and what the record's probe says is none (mode ssh)."
        " Have the Service's port named tcp-... or given appProtocol tcp by its owner, or have it mended with"
        " fix_protocol: true in the record.",
    ),
    "EXTERNAL_INSIDE": (
        lambda: outside(host="10.96.0.1"),
        "record 'a': backend host 10.96.0.1 is an address of Service apps/echo of this cluster."
        " Write the backend as namespace and service; the gateway then knows its pods, and its claims hold.",
    ),
    "EXTERNAL_TLS": (
        lambda: outside(FOR_ALL),
        f"record 'a': DestinationRule istio-system/default holds for every host, {EXTERNAL_HOST} among them, and has"
        " the gateway speak TLS (mode ISTIO_MUTUAL) to db.example.com, which is outside of the mesh."
        " Have that rule name the hosts of the mesh only (*.local, since Istio finds out about mTLS by itself), or"
        " write one into namespace gateways for *.servicemesh-tcp.external with tls.mode DISABLE.",
    ),
    "EXTERNAL_UNSEEN": (
        lambda: exposure_plan({"ports": outside_ports(), "findings": []}, state(service_entries=None))["findings"],
        "set 'default': a backend of it is outside of the cluster, and there is no right to list ServiceEntries: what"
        " is left over of former ones is not seen. Grant the right; docs/rbac.yaml holds all that publishing needs.",
    ),
    "PROTOCOL_HELD": (
        lambda: mended(app_protocol="grpc"),
        "set 'default': appProtocol of port 9000 of backend Service apps/echo is 'grpc', said by field manager argocd,"
        " and fix_protocol writes only what nobody else says."
        " Have its owner say tcp there, or take fix_protocol out of the record.",
    ),
    "PROTOCOL_WRITTEN": (
        mended,
        "set 'default': fix_protocol writes appProtocol tcp on port 9000 of Service apps/echo, WHICH IS SOMEBODY"
        " ELSE'S; sidecars take up their listeners for that port anew, and end the sessions that it has when their"
        " drain time is over."
        " Tell its owner: when a file or chart of his says another appProtocol, or leaves the port out, one of the two"
        " is refused. It is taken back when no record asks for it any more.",
    ),
    "PROTOCOL_UDP": (
        lambda: port_map([record(protocol="udp")], [EDGE])["findings"],
        "record 'a': protocol is udp, and no Istio gateway carries UDP: Envoy's listeners from a Gateway are TCP."
        " Lead UDP past the mesh, with a Service of type LoadBalancer or NodePort, or with externalIPs, that selects"
        " the server's own pods.",
    ),
    "RULES_UNSEEN": (
        lambda: said(unreadable=True),
        "record 'a': it has a subset, and there is no right to list DestinationRules: which settings of the host a rule"
        " of this collection would hide is not seen. Grant the right; docs/rbac.yaml holds all that publishing needs.",
    ),
    "RULE_BESIDE": (
        lambda: said(rule("by-hand", "gateways")),
        f"record 'a': DestinationRule gateways/by-hand is for {BACKEND_HOST} in the gateway's own namespace and lacks"
        " subset v1 (version=v1); with one of this collection beside it, Istio would choose between the two."
        " Add the subset there, then none is written beside it. Or have it moved to the Service's namespace, from where"
        " its settings are carried over.",
    ),
    "RULE_CARRIED": (
        lambda: said(THEIRS),
        f"set 'default': the set's DestinationRule for {BACKEND_HOST} hides DestinationRule apps/db from gateway"
        " gateways/edge, so it carries the settings of that one over."
        " When that one changes, run this again: the gateway keeps the old settings until then.",
    ),
    "RULE_STALE": (
        lambda: said(THEIRS, rule("x", "gateways", V1, labels=set_labels("edge", "other")))[1:],
        f"gateway 'edge': set 'other' has DestinationRule gateways/x for {BACKEND_HOST} beside the one of this set, and"
        " it carries other settings over than DestinationRule apps/db has now; in one namespace the oldest rule's"
        " settings count. Run set 'other' again.",
    ),
    "SUBSET_DIFFERS": (
        lambda: said(rule("x", "gateways", {**V1, "labels": {"a": "b"}}, labels=set_labels("edge", "other"))),
        f"record 'a': subset v1 of {BACKEND_HOST} has the labels version=v1, but in DestinationRule gateways/x a subset"
        " of that name has a=b. Give one of the two another name; Istio would take the older one for both.",
    ),
    "SUBSET_EMPTY": (
        lambda: said(backend_pods={"apps": [{"app": "echo"}, {"version": "v1"}]}),
        "record 'a': no pod that Service apps/echo selects has the labels version=v1 of subset v1; its share of the"
        " sessions would be cut. Mend the labels, deploy that version first, or give it the weight 0.",
    ),
}
