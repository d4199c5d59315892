# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What load balancers can take: every number once, with its source.

A front here is one front Service as it is after a run, see C(_fronts.fronts_after).

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._providers import AWS, PROVIDERS, provider_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._view import View

Front = Mapping[str, Any]
Findings = list[dict[str, str]]


class Limit(NamedTuple):
    """A number, what it counts, and where it comes from."""

    number: int
    noun: str
    source: str


_NLB = "AWS, 'Quotas for your Network Load Balancers'"
_VPC = "AWS, 'Amazon VPC quotas'"
_NLB_LIMITS = {
    "listeners": Limit(50, "listeners", f"{_NLB}, not adjustable"),
    # A node counts once for each port; with cross-zone balancing the quota of a zone holds for all of them.
    "targets": Limit(3000, "targets", f"{_NLB}, adjustable"),
    "targets_per_zone": Limit(500, "targets in a zone", f"{_NLB}, adjustable"),
    "security_group_rules": Limit(60, "inbound rules", f"{_VPC}, adjustable"),
}
# The keys are those of service.limits. What is not here has no limit that anybody documents: MetalLB and its like
# (metallb, website/content/usage), and Google's, which forward spans of ports (see _spans).
LIMITS: Mapping[str, Mapping[str, Limit]] = {
    "aws-classic": {
        "listeners": Limit(100, "listeners", "AWS, 'Quotas for your Classic Load Balancer', adjustable"),
        "security_group_rules": Limit(60, "inbound rules", f"{_VPC}, adjustable"),
    },
    "aws-nlb": _NLB_LIMITS,
    "aws-nlb-controller": _NLB_LIMITS,
    "azure": {
        # All Services share it. cloud-provider-azure's own cap (maximumLoadBalancerRuleCount, 250) is asked for Basic
        # load balancers only (azure_loadbalancer.go, selectLoadBalancer).
        "listeners": Limit(
            300, "rules of all Services together", "cloud-provider-azure, 'Multiple Standard LoadBalancers': per NIC"
        ),
    },
}
# Warned of from here on.
NEAR_PERCENT = 90
# How many zones an AWS load balancer is taken to reach, each with a subnet of its own.
ZONES = 3
# More ports than these, and Google forwards a span or all of them (ingress-gce, maxForwardedPorts and maxL4ILBPorts).
GCP_SINGLE_PORTS = 5
ALL_ADDRESSES = "0.0.0.0/0"


def limit_of(wanted: Mapping[str, Any], provider: str, key: str) -> Limit | None:
    """Return one limit of a front Service: the one in C(service.limits), else the provider's."""
    known = LIMITS.get(provider, {}).get(key)
    given = wanted["limits"].get(key)
    if given is None:
        return known
    return Limit(given, known.noun if known else key, f"service.limits.{key}")


def check_load_balancers(gateway: Mapping[str, Any], fronts: Sequence[Front], view: View) -> Findings:
    """Hold a gateway's front Services against what their load balancers can take."""
    wanted = gateway["service"]
    if wanted["type"] != "LoadBalancer":
        return []
    findings: Findings = []
    for front in fronts:
        provider = provider_of(wanted, front["observed"], view.namespaces, view.state["nodes"])
        findings += _check_node_ports(wanted, front, provider)
        findings += _check_listeners(wanted, front, provider, fronts, view)
        findings += _check_targets(wanted, front, provider, view)
        findings += _spans(front, provider)
    return findings + _check_security_groups(wanted, fronts, view)


def _subject(front: Front) -> str:
    """Name a front Service as findings do."""
    return f"Service {front['namespace']}/{front['name']}"


def _grows(front: Front) -> bool:
    """Tell whether a run adds a port to a front Service."""
    observed = front["observed"] or {"ports": []}
    return bool({item["port"] for item in front["ports"]} - {item["port"] for item in observed["ports"]})


def _check_number(
    front: Front, provider: str, limit: Limit, count: int, counted: str, cure: str, grows: bool, most: int | None
) -> Findings:
    """Compare one number with its limit; a run that adds nothing may go on where others went too far.

    C(most) is what service.max_ports lets the number come to: within the limit, nothing will ever be refused.
    """
    safe = most is not None and max(most, count) <= limit.number
    if safe or count * 100 < limit.number * NEAR_PERCENT:
        return []
    code = "LB_LIMIT" if count > limit.number and grows else "LB_LIMIT_NEAR"
    values = {
        "count": count,
        "counted": counted,
        "noun": limit.noun,
        "provider": PROVIDERS.get(provider, "load balancer of this Service"),
        "limit": limit.number,
        "source": limit.source,
        "cure": cure,
    }
    return [finding(code, _subject(front), **values)]


def _check_node_ports(wanted: Mapping[str, Any], front: Front, provider: str) -> Findings:
    """Refuse to leave out node ports that the load balancer needs.

    cloud-provider-aws ignores a port without one (aws.go); the AWS Load Balancer Controller refuses it for target type
    instance (model_build_target_group.go).
    """
    needs = provider in ("aws-classic", "aws-nlb", "aws-nlb-controller") and not _targets_pods(wanted, provider)
    if wanted["allocate_node_ports"] or not needs:
        return []
    return [finding("NODE_PORTS_NEEDED", _subject(front), provider=PROVIDERS[provider])]


def _targets_pods(wanted: Mapping[str, Any], provider: str) -> bool:
    """Tell whether a load balancer sends to pods and not to node ports (its nlb.md, "IP mode")."""
    annotations = wanted["annotations"]
    ip_mode = annotations.get(f"{AWS}nlb-target-type") == "ip" or annotations.get(f"{AWS}type") == "nlb-ip"
    return provider == "aws-nlb-controller" and ip_mode


def _check_listeners(
    wanted: Mapping[str, Any], front: Front, provider: str, fronts: Sequence[Front], view: View
) -> Findings:
    """Count one listener per port, the health port too; on Azure those of all Services."""
    limit = limit_of(wanted, provider, "listeners")
    if limit is None:
        return []
    count = len(front["ports"])
    if provider != "azure":
        cure = f"Set service.max_ports to {limit.number} or less, so that ports beyond it go to further front Services"
        most = wanted["max_ports"]
        return _check_number(front, provider, limit, count, "with its health port", cure, _grows(front), most)
    if front is not fronts[0]:
        return []
    ours = {(item["namespace"], item["name"]) for item in fronts}
    others = sum(
        len(item["ports"])
        for place, item in view.services.items()
        if place not in ours and item.get("type") == "LoadBalancer" and not item.get("class")
    )
    here = sum(len(item["ports"]) for item in fronts)
    counted = f"{here} of this gateway, {others} of other Services"
    cure = "Take service.type ClusterIP or NodePort"
    return _check_number(front, provider, limit, here + others, counted, cure, any(map(_grows, fronts)), None)


def _check_targets(wanted: Mapping[str, Any], front: Front, provider: str, view: View) -> Findings:
    """Count ports times nodes, where it is known how many nodes there are (AWS, 'Quotas', note 2)."""
    nodes = wanted["limits"].get("nodes") or len(view.state["nodes"])
    if not nodes or _targets_pods(wanted, provider):
        return []
    zones = wanted["limits"].get("zones", ZONES)
    ports = len(front["ports"])
    findings = []
    for key, there in (("targets", nodes), ("targets_per_zone", math.ceil(nodes / zones))):
        limit = limit_of(wanted, provider, key)
        if limit:
            cure = f"Set service.max_ports to {max(limit.number // there, 2)} or less"
            counted = f"{ports} ports on {there} nodes"
            most = wanted["max_ports"] * there if wanted["max_ports"] else None
            findings += _check_number(front, provider, limit, ports * there, counted, cure, _grows(front), most)
    return findings


def _check_security_groups(wanted: Mapping[str, Any], fronts: Sequence[Front], view: View) -> Findings:
    """Count the rules that one security group needs; more of them are a warning, because the quota can be raised.

    cloud-provider-aws writes them on the nodes' group, which all Network Load Balancers share
    (aws_loadbalancer.go, updateInstanceSecurityGroupsForNLB); for a Classic one, and with the AWS Load Balancer
    Controller (model_build_managed_sg.go), each load balancer has a group of its own.
    """
    by_provider: dict[str, list[Front]] = {}
    for front in fronts:
        provider = provider_of(wanted, front["observed"], view.namespaces, view.state["nodes"])
        by_provider.setdefault(provider, []).append(front)
    findings = []
    for provider, group in by_provider.items():
        limit = limit_of(wanted, provider, "security_group_rules")
        if limit is None or f"{AWS}security-groups" in wanted["annotations"]:
            continue
        for shared in [group] if provider == "aws-nlb" else [[front] for front in group]:
            rules, sum_text = _security_group_rules(wanted, provider, sum(len(front["ports"]) for front in shared))
            if rules > limit.number:
                values = {"rules": rules, "sum": sum_text, "limit": limit.number, "source": limit.source}
                findings.append(finding("SECURITY_GROUP_RULES", _subject(shared[0]), **values))
    return findings


def _security_group_rules(wanted: Mapping[str, Any], provider: str, ports: int) -> tuple[int, str]:
    """Return how many inbound rules a number of ports needs, and the sum as people check it."""
    ranges = wanted["source_ranges"] or [ALL_ADDRESSES]
    rules = ports * len(ranges)
    text = f"{ports} x {len(ranges)} for source ranges"
    if provider == "aws-nlb-controller":
        return rules, text
    # One for path MTU discovery from each range.
    rules, text = rules + len(ranges), f"{text} + {len(ranges)} for ICMP"
    local = wanted["external_traffic_policy"] == "Local"
    # Rules from all addresses to the very ports that are checked make those for health checks needless.
    if provider == "aws-nlb" and (local or ranges != [ALL_ADDRESSES]):
        zones = wanted["limits"].get("zones", ZONES)
        checked = 1 if local else ports
        rules, text = rules + checked * zones, f"{text} + {checked} x {zones} for health checks from subnets"
    return rules, text


def _spans(front: Front, provider: str) -> Findings:
    """Say which ports Google forwards beside the published ones; a firewall still lets only those in.

    Sources: cloud-provider-gcp, gce_loadbalancer_external.go and gce_loadbalancer_internal.go.
    """
    numbers = sorted(item["port"] for item in front["ports"])
    if provider not in ("gcp", "gcp-internal") or len(numbers) <= GCP_SINGLE_PORTS:
        return []
    if provider == "gcp-internal":
        span = "all ports"
    elif numbers[-1] - numbers[0] + 1 == len(numbers):
        return []
    else:
        span = f"ports {numbers[0]} to {numbers[-1]}"
    return [finding("LB_SPAN", _subject(front), count=len(numbers), span=span, provider=PROVIDERS[provider])]
