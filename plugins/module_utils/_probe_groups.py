# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which silent ports are proven together, and what the evidence then says of each. Pure: no I/O.

Ports that share a cluster share its counters, so their sessions are counted together; where fewer arrived than were
opened, halves are looked at one after the other until the ports that work are told from those that do not.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy import Snapshot, Verdict, judge, lacks
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_target import CUT, Probe

Item = TypeVar("Item")


@dataclass(frozen=True)
class Group:
    """Silent probes whose evidence is counted together: their clusters overlap on one gateway."""

    gateway: str | None
    clusters: frozenset[str]
    probes: tuple[Probe, ...]


def make_groups(probes: Sequence[Probe], size: int) -> list[Group]:
    """Group probes whose clusters overlap on one gateway, at most C(size) in a group."""
    return [
        Group(chunk[0].target.gateway, frozenset().union(*(probe.target.clusters for probe in chunk)), tuple(chunk))
        for component in components(probes, _evidence_keys)
        for chunk in _chunks(component, size)
    ]


def next_wave(groups: list[Group], room: int) -> tuple[list[Group], list[Group]]:
    """Choose groups that fit into C(room) and share no cluster; return them and the ones left for later."""
    wave, later, busy = [], [], set()
    for group in groups:
        keys = {(group.gateway, cluster) for cluster in group.clusters}
        if keys & busy or len(group.probes) > room:
            later.append(group)
            continue
        wave.append(group)
        busy |= keys
        room -= len(group.probes)
    return wave, later


def judge_group(
    group: Group, before: Mapping[str, Snapshot], after: Mapping[str, Snapshot], others: Mapping[str, int]
) -> list[Group]:
    """Write a group's verdict into its probes; return parts of the group where a further look can tell them apart."""
    for probe in group.probes:
        if probe.session and (probe.session[0].at_eof() or probe.session[0].exception()):
            word = "reset" if probe.session[0].exception() else "closed"
            probe.end(word, f"the session was {word} after {probe.elapsed_ms():g} ms")
            probe.hang_up()
        if probe.state in CUT and group.gateway:
            probe.detail += f"; {missing}" if (missing := lacks(before[group.gateway], group.clusters)) else ""
    held = [probe for probe in group.probes if probe.session]
    if not held:
        return []
    if not (group.gateway and group.clusters):
        for probe in held:
            probe.end("unseen", "the session is open, but no gateway and cluster are named to confirm it", retry=False)
        return []
    # Sessions that were closed meanwhile may have reached a backend, too.
    cut = sum(1 for probe in group.probes if probe.state in CUT)
    cut += sum(others.get(cluster, 0) for cluster in group.clusters)
    evidence = judge(before[group.gateway], after[group.gateway], group.clusters, len(held), cut)
    state = {Verdict.PROVEN: "proven", Verdict.UNSEEN: "unseen"}.get(evidence.verdict, "no_upstream")
    for probe in held:
        probe.end(state, evidence.detail, evidence.retry)
        # One session meets one backend of several; the others must be there as well.
        if state == "proven" and (missing := _lacking(probe, after[group.gateway])):
            probe.end("no_upstream", missing)
    if evidence.verdict is not Verdict.SOME or len(group.probes) == 1:
        return []
    return [Group(group.gateway, group.clusters, tuple(half)) for half in _chunks(held, (len(held) + 1) // 2)]


def _lacking(probe: Probe, after: Snapshot) -> str:
    """Say which of a port's clusters has no backend, '' where each has."""
    return "; ".join(filter(None, (lacks(after, [cluster]) for cluster in sorted(probe.target.clusters))))


def _evidence_keys(probe: Probe) -> Collection[Hashable]:
    """Return what a silent probe's evidence is counted by; a probe without evidence stands alone."""
    target = probe.target
    if not (target.gateway and target.clusters):
        return (probe,)
    return [(target.gateway, cluster) for cluster in target.clusters]


def components(items: Sequence[Item], keys_of: Callable[[Item], Collection[Hashable]]) -> list[list[Item]]:
    """Group items that share a key, directly or by way of others; the order of the items is kept."""
    parent: dict[Hashable, Hashable] = {}

    def root(key: Hashable) -> Hashable:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for item in items:
        first, *rest = keys_of(item)
        for key in rest:
            parent[root(key)] = root(first)
    groups: dict[Hashable, list[Item]] = {}
    for item in items:
        groups.setdefault(root(next(iter(keys_of(item)))), []).append(item)
    return list(groups.values())


def _chunks(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Cut a sequence into pieces of at most C(size)."""
    return [items[start : start + size] for start in range(0, len(items), size)]
