# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Istio's AuthorizationPolicies say to a TCP connection (istio.io "Authorization Policy").

DENY goes before ALLOW; where any ALLOW policy is about a pod, what none of them allows is denied. A rule that asks for
anything of HTTP allows no TCP; in a DENY rule what it asks of HTTP is left out, so that it denies the more.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._network_policies import in_ranges
from ansible_collections.servicemesh.tcp.plugins.module_utils._texts import place_text

ADDRESS_KEYS = {"ipBlocks", "notIpBlocks", "remoteIpBlocks", "notRemoteIpBlocks"}
IDENTITY_KEYS = {"principals", "notPrincipals", "namespaces", "notNamespaces", "serviceAccounts", "notServiceAccounts"}
REQUEST_KEYS = {"requestPrincipals", "notRequestPrincipals"}
HTTP_KEYS = {"hosts", "notHosts", "methods", "notMethods", "paths", "notPaths"}


def denied_by(
    policies: Iterable[Mapping[str, Any]],
    root: str,
    namespace: str,
    labels: Mapping[str, str],
    port: int,
    client: str = "",
) -> tuple[list[str], bool]:
    """Return the policies that deny a client a TCP port of a pod, and whether that is certain; none where it passes.

    C(policies) are those of the pod's namespace and of the root one. C(client) is the address with which a client from
    outside arrives. Without one it is a pod of the mesh, of which neither address nor identity is known.
    """
    applied = policies_of(policies, namespace, labels, (root,))
    unclear: list[str] = []
    for item in applied:
        if action_of(item) == "DENY":
            verdict = _matches_any(item, port, client)
            if verdict:
                return [place_text(item["metadata"])], True
            if verdict is None:
                unclear.append(place_text(item["metadata"]))
    allowing = [item for item in applied if action_of(item) == "ALLOW"]
    verdicts = [_matches_any(item, port, client) for item in allowing]
    if allowing and True not in verdicts:
        return [place_text(item["metadata"]) for item in allowing], None not in verdicts
    return unclear, False


def policies_of(
    policies: Iterable[Mapping[str, Any]], namespace: str, labels: Mapping[str, str], roots: Iterable[str]
) -> list[Mapping[str, Any]]:
    """Return the policies that are about a pod: of its namespace or a root one, with labels that the pod has.

    One that is only tried (istio.io/dry-run) is about nobody.
    """
    places = {namespace, *roots}
    return [item for item in policies if item["metadata"]["namespace"] in places and _is_about(item, labels)]


def _is_about(policy: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Tell whether a policy that a pod could have is about it."""
    spec = policy.get("spec") or {}
    # targetRefs are about Gateway API objects.
    if spec.get("targetRefs") or spec.get("targetRef"):
        return False
    if (policy["metadata"].get("annotations") or {}).get("istio.io/dry-run") == "true":
        return False
    wanted = (spec.get("selector") or {}).get("matchLabels") or {}
    return wanted.items() <= labels.items()


def action_of(policy: Mapping[str, Any]) -> str:
    """Return a policy's action."""
    return (policy.get("spec") or {}).get("action", "ALLOW")


def _matches_any(policy: Mapping[str, Any], port: int, client: str) -> bool | None:
    """Tell whether any rule of a policy matches; V(None) where that is not known."""
    verdicts = [_matches(rule, port, client, action_of(policy) == "DENY") for rule in _rules(policy)]
    return True if True in verdicts else None if None in verdicts else False


def rules_for(policy: Mapping[str, Any], port: int) -> list[Mapping[str, Any]]:
    """Return the rules of a policy that may match TCP on a port, whoever the client is."""
    denies = action_of(policy) == "DENY"
    return [rule for rule in _rules(policy) if False not in _about_port(rule, port, "", denies)]


def _rules(policy: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return a policy's rules."""
    return (policy.get("spec") or {}).get("rules") or []


def _matches(rule: Mapping[str, Any], port: int, client: str, denies: bool) -> bool | None:
    """Tell whether one rule matches a TCP connection."""
    sources = [item.get("source") or {} for item in rule.get("from") or []] or [{}]
    parts = [*_about_port(rule, port, client, denies), _or(_source(item, client, denies) for item in sources)]
    return False if False in parts else None if None in parts else True


def _about_port(rule: Mapping[str, Any], port: int, client: str, denies: bool) -> list[bool | None]:
    """Return what a rule says beside its sources, all of which must hold."""
    operations = [item.get("operation") or {} for item in rule.get("to") or []] or [{}]
    return [
        _or(_operation(item, port, denies) for item in operations),
        *(_condition(item, port, client, denies) for item in rule.get("when") or []),
    ]


def _or(verdicts: Iterable[bool | None]) -> bool | None:
    """Return whether any holds."""
    given = list(verdicts)
    return True if True in given else None if None in given else False


def _operation(operation: Mapping[str, Any], port: int, denies: bool) -> bool | None:
    """Tell whether an operation is this port; one that asks for HTTP is no TCP."""
    if operation.keys() & HTTP_KEYS and not denies:
        return False
    ports, others = operation.get("ports"), operation.get("notPorts")
    return (not ports or str(port) in ports) and not (others and str(port) in others)


def _source(source: Mapping[str, Any], client: str, denies: bool) -> bool | None:
    """Tell whether a source is this client, V(None) where that is not known."""
    if source.keys() & REQUEST_KEYS and not denies:
        return False
    if source.keys() & IDENTITY_KEYS:
        if not client:
            return None
        # A client from outside is nobody in the mesh, and so not somebody.
        if any(source.get(key) for key in IDENTITY_KEYS if not key.startswith("not")):
            return False
    if not source.keys() & ADDRESS_KEYS:
        return True
    return _in_blocks(
        [*source.get("ipBlocks", ()), *source.get("remoteIpBlocks", ())],
        [*source.get("notIpBlocks", ()), *source.get("notRemoteIpBlocks", ())],
        client,
    )


def _in_blocks(blocks: Sequence[str], others: Sequence[str], client: str) -> bool | None:
    """Tell whether an address is in one of some blocks, no blocks being all, and in none of others."""
    if not client:
        return None
    return (not blocks or in_ranges(blocks, client)) and not in_ranges(others, client)


def _condition(condition: Mapping[str, Any], port: int, client: str, denies: bool) -> bool | None:
    """Tell whether a condition holds, V(None) where it is about what is not known of the client."""
    key, values, others = condition["key"], condition.get("values"), condition.get("notValues")
    if key == "destination.port":
        return (not values or str(port) in values) and not (others and str(port) in others)
    if key in ("source.ip", "remote.ip"):
        return _in_blocks(values or (), others or (), client)
    return denies if key.startswith("request.") else None
