# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about weighted backends, subsets and DestinationRules.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.servicemesh.tcp.plugins.module_utils._rule import Rule

RULES: Mapping[str, Rule] = {
    "BACKEND_PROTOCOL": Rule(
        "error",
        "port {port} of backend Service {service} is declared as {protocol}, so the sidecars of its pods wait for HTTP"
        " requests, and what the record's probe says is none (mode {mode}).",
        "Have the Service's port named tcp-... or given appProtocol tcp by its owner, or have it mended with"
        " fix_protocol: true in the record.",
    ),
    "EXTERNAL_INSIDE": Rule(
        "error",
        "backend host {address} is an address of Service {service} of this cluster.",
        "Write the backend as namespace and service; the gateway then knows its pods, and its claims hold.",
    ),
    "EXTERNAL_TLS": Rule(
        "error",
        "DestinationRule {rule} holds for every host, {host} among them, and has the gateway speak TLS (mode {mode}) to"
        " {servers}, which is outside of the mesh.",
        "Have that rule name the hosts of the mesh only (*.local, since Istio finds out about mTLS by itself), or write"
        " one into namespace {namespace} for *.servicemesh-tcp.external with tls.mode DISABLE.",
    ),
    "EXTERNAL_UNSEEN": Rule(
        "error",
        "a backend of it is outside of the cluster, and there is no right to list ServiceEntries: what is left over of"
        " former ones is not seen.",
        "Grant the right; docs/rbac.yaml holds all that publishing needs.",
    ),
    "PROTOCOL_HELD": Rule(
        "error",
        "appProtocol of port {port} of backend Service {service} is {value!r}, said by {holder}, and fix_protocol"
        " writes only what nobody else says.",
        "Have its owner say tcp there, or take fix_protocol out of the record.",
    ),
    "PROTOCOL_WRITTEN": Rule(
        "warning",
        "fix_protocol writes appProtocol tcp on port {port} of Service {service}, WHICH IS SOMEBODY ELSE'S; sidecars"
        " take up their listeners for that port anew, and end the sessions that it has when their drain time is over.",
        "Tell its owner: when a file or chart of his says another appProtocol, or leaves the port out, one of the two"
        " is refused. It is taken back when no record asks for it any more.",
    ),
    "PROTOCOL_UDP": Rule(
        "error",
        "protocol is udp, and no Istio gateway carries UDP: Envoy's listeners from a Gateway are TCP.",
        "Lead UDP past the mesh, with a Service of type LoadBalancer or NodePort, or with externalIPs, that selects the"
        " server's own pods.",
    ),
    "RULES_UNSEEN": Rule(
        "error",
        "it has a subset, and there is no right to list DestinationRules: which settings of the host a rule of this"
        " collection would hide is not seen.",
        "Grant the right; docs/rbac.yaml holds all that publishing needs.",
    ),
    "RULE_BESIDE": Rule(
        "error",
        "DestinationRule {rule} is for {host} in the gateway's own namespace and lacks subset {subset} ({labels}); with"
        " one of this collection beside it, Istio would choose between the two.",
        "Add the subset there, then none is written beside it. Or have it moved to the Service's namespace, from where"
        " its settings are carried over.",
    ),
    "RULE_CARRIED": Rule(
        "note",
        "the set's DestinationRule for {host} hides {rules} from gateway {gateway}, so it carries the settings of"
        " {that} over.",
        "When {that} changes, run this again: the gateway keeps the old settings until then.",
    ),
    "RULE_STALE": Rule(
        "warning",
        "set {set!r} has DestinationRule {rule} for {host} beside the one of this set, and it carries other settings"
        " over than {theirs} has now; in one namespace the oldest rule's settings count.",
        "Run set {set!r} again.",
    ),
    "SUBSET_DIFFERS": Rule(
        "error",
        "subset {subset} of {host} has the labels {labels}, but in {holder} a subset of that name has {others}.",
        "Give one of the two another name; Istio would take the older one for both.",
    ),
    "SUBSET_EMPTY": Rule(
        "error",
        "no pod that Service {service} selects has the labels {labels} of subset {subset}; its share of the sessions"
        " would be cut.",
        "Mend the labels, deploy that version first, or give it the weight 0.",
    ),
}
