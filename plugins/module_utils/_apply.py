# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carry out a plan's steps: try every one on the API server first, then write only what differs.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import _shared_list
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._drift import may_set_back
from ansible_collections.servicemesh.tcp.plugins.module_utils._failure import finding_of
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import Stopped, finding, render
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import collection_path, describe, object_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import is_ours
from ansible_collections.servicemesh.tcp.plugins.module_utils._state import port_managers

if TYPE_CHECKING:
    from ansible_collections.servicemesh.tcp.plugins.module_utils._announce import Announcement
    from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api

APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
# What the API server changes by itself, and what therefore is no difference.
BOOKKEEPING = ("managedFields", "resourceVersion", "generation", "creationTimestamp", "uid", "selfLink")


@dataclass
class Change:
    """What one step would do: C(action) is create, change, remove or nothing."""

    step: Mapping[str, Any]
    action: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    tried: bool = True

    @property
    def kind(self) -> str:
        """The object's kind."""
        return self.step["object"]["kind"]

    @property
    def name(self) -> str:
        """How people name the object."""
        return describe(self.step["object"])

    @property
    def text(self) -> str:
        """What is done to which object."""
        return f"{self.action} {self.name}"


class Stale(ApiError):
    """A control plane that is patched is no longer the one that was read."""

    def __init__(self, error: ApiError) -> None:
        message = f"it was changed since it was read, or takes no such change ({error.message})"
        super().__init__(error.status, error.reason, message, error.method, error.path)


class Refused(Exception):
    """The API server, the owner of an object or our own check does not let a plan through; nothing was written."""

    def __init__(
        self, findings: list[dict[str, str]], answers: Sequence[str] = (), told: Announcement | None = None
    ) -> None:
        super().__init__("refused")
        self.findings = findings
        self.answers = answers
        self.told = told

    def text(self) -> str:
        """Return all of it as people read it."""
        parts = [render(self.findings)] if self.findings else []
        parts += [f"The API server refuses {answer}" for answer in self.answers]
        return "\n".join([*parts, "Nothing was written."])

    def result(self) -> dict[str, Any]:
        """Return what a module fails with."""
        # Not the impacts: Ansible prints a failed result as a whole, and there may be a thousand.
        shown = {"plan": self.told.lines} if self.told else {}
        return {"msg": self.text(), "findings": self.findings, **shown}


def plan(api: Api, steps: Iterable[Mapping[str, Any]], lenient: bool) -> list[Change]:
    """Try every step with a server-side dry run; raise Refused with all that stands in the way.

    The server's own answer decides what differs: it knows defaults, owners, admission and rights.
    With C(lenient) (check mode) an object whose namespace or kind is not there yet counts as one that would be made.
    """
    changes: list[Change] = []
    findings: list[dict[str, str]] = []
    answers: list[str] = []
    coming: set[str] = set()
    seen: dict[str, Mapping[str, Any]] = {}
    for step in steps:
        try:
            change = _try(api, step, coming, lenient, seen)
        except Stale:
            raise
        except ApiError as error:
            found = _refusal(error, step)
            if found:
                findings.append(found)
            else:
                answers.append(f"{describe(step['object'])}: {error.status} {error.reason}: {error.message}")
            continue
        except Stopped as stop:
            findings.append(stop.finding)
            continue
        ours = change.before is None or step["adopt"] or is_ours(_labels(change.before))
        if change.action != "nothing" and not ours:
            findings.append(finding("NOT_OURS", change.name, object=change.name))
            continue
        changes.append(change)
        if change.action == "create" and step["object"]["kind"] == "Namespace":
            coming.add(step["object"]["metadata"]["name"])
    if findings or answers:
        raise Refused(findings, answers)
    return changes


def _labels(obj: Mapping[str, Any]) -> Mapping[str, str]:
    """Return an object's labels."""
    return obj["metadata"].get("labels") or {}


def _try(
    api: Api,
    step: Mapping[str, Any],
    coming: set[str],
    lenient: bool,
    seen: dict[str, Mapping[str, Any]],
) -> Change:
    """Find out what one step would do."""
    obj = step["object"]
    path = object_path(obj)
    before = api.find(path)
    if step["state"] == "awaited":
        return Change(step, "nothing", before, before)
    if step["state"] == "absent":
        if before is None or "deletionTimestamp" in before["metadata"]:
            return Change(step, "nothing", before, None)
        if step["adopt"] or is_ours(_labels(before)):
            api.request("DELETE", path, body=_delete_options(step, before, dry_run=True))
            if obj["kind"] == "Namespace":
                _check_empty(api, obj["metadata"]["name"])
            if obj["kind"] == "CustomResourceDefinition":
                _check_unused(api, before)
        return Change(step, "remove", before, None)
    if step["state"] == "patched":
        if before is None:
            return Change(step, "nothing", None, None)
        after = _patch(api, step, dry_run=True)
        return Change(step, "nothing" if _content(before) == _content(after) else "change", before, after)
    if step["state"] == "merged":
        return _try_merge(api, step, before, lenient)
    if before is None and step["existing"] and path in seen:
        # A set's share of a front Service that an earlier step of the same plan makes: there is nothing to try it on.
        made, seen[path] = seen[path], _with_ports(seen[path], obj)
        return Change(step, "change", made, seen[path], tried=False)
    if before is None and step["existing"] and not lenient:
        raise Stopped(_missing(obj))
    if before is None and obj["metadata"].get("namespace") in coming:
        seen[path] = obj
        return Change(step, "create", None, obj, tried=False)
    try:
        after = _apply(api, step, dry_run=True)
    except ApiError as error:
        if error.status == 404 and (lenient or _role_is_coming(obj, seen)):
            seen[path] = obj
            return Change(step, "create", None, obj, tried=False)
        if error.status != 409 or before is None or not may_set_back(before, obj, step["manager"]):
            raise
        # What was changed by hand in our share is set back; what somebody else applies is theirs.
        step = {**step, "force": True}
        after = _apply(api, step, dry_run=True)
    # A later step on the same object starts from where the earlier one leaves it.
    base = seen.get(path, before)
    seen[path] = after
    if base is None:
        return Change(step, "create", None, after)
    same = _content(base) == _content(after) and _owned_ports(base, step) == _owned_ports(after, step)
    return Change(step, "nothing" if same else "change", base, after)


def _owned_ports(obj: Mapping[str, Any], step: Mapping[str, Any]) -> list[int]:
    """Return the ports of a Service that a step's manager owns.

    Sets that share a port by name own it together, so that it stays until the last of them leaves. Joining and leaving
    changes nothing else.
    """
    return port_managers(obj).get(step["manager"], []) if obj["kind"] == "Service" else []


def _missing(obj: Mapping[str, Any]) -> dict[str, str]:
    """Say that an object of which only a share is written is not there any more."""
    if obj["kind"] != "Service":
        return finding("OBJECT_GONE", describe(obj))
    name, namespace = obj["metadata"]["name"], obj["metadata"]["namespace"]
    return finding("GATEWAY_MISSING", f"gateway {name!r}", name=name, namespace=namespace)


def _try_merge(api: Api, step: Mapping[str, Any], before: Mapping[str, Any] | None, lenient: bool) -> Change:
    """Find out what merging entries into a shared list would do."""
    after = _shared_list.merged(before, step)
    if _shared_list.same(before, after):
        return Change(step, "nothing", before, before)
    action = "create" if before is None else "remove" if after is None else "change"
    try:
        _shared_list.send(api, step, before, after, dry_run=True)
    except ApiError as error:
        # In a dry run 409 says that it was changed just now: it is read again before it is written.
        if error.status != 409 and not (error.status == 404 and lenient):
            raise
    return Change(step, action, before, after)


def _role_is_coming(obj: Mapping[str, Any], seen: Mapping[str, Any]) -> bool:
    """Tell whether an object binds a Role that an earlier step of the same plan makes.

    Who may not bind every role is asked for the Role's rules, and the API server answers 404 while it is not there yet
    (kubernetes, pkg/registry/rbac/rolebinding/policybased).
    """
    role = obj.get("roleRef", {})
    if role.get("kind") != "Role":
        return False
    named = {"kind": "Role", "metadata": {"name": role["name"], "namespace": obj["metadata"]["namespace"]}}
    return object_path(named) in seen


def _with_ports(service: Mapping[str, Any], share: Mapping[str, Any]) -> dict[str, Any]:
    """Return a Service with the ports of a share added to its own."""
    ports = [*service["spec"]["ports"], *share.get("spec", {}).get("ports", [])]
    return {**service, "spec": {**service["spec"], "ports": ports}}


def _check_empty(api: Api, namespace: str) -> None:
    """Refuse to remove a namespace in which anybody else's pods or Services are."""
    holders = [
        f"{kind} {item['metadata']['name']}"
        for kind in ("Pod", "Service")
        for item in (api.find(collection_path(kind, namespace)) or {"items": []})["items"]
        if not is_ours(_labels(item)) and "deletionTimestamp" not in item["metadata"]
    ]
    if holders:
        shown = ", ".join(holders[:5]) + (", ..." if len(holders) > 5 else "")
        raise Stopped(finding("NAMESPACE_IN_USE", f"Namespace {namespace}", holders=shown))


def _check_unused(api: Api, crd: Mapping[str, Any]) -> None:
    """Refuse to remove a definition of which there are objects."""
    spec = crd["spec"]
    version = next(item["name"] for item in spec["versions"] if item["served"])
    found = api.find(f"/apis/{spec['group']}/{version}/{spec['names']['plural']}", limit="5")
    names = [item["metadata"] for item in (found or {"items": []})["items"]]
    if names:
        shown = ", ".join("/".join(filter(None, (name.get("namespace"), name["name"]))) for name in names)
        raise Stopped(finding("CRD_IN_USE", f"CustomResourceDefinition {crd['metadata']['name']}", objects=shown))


def _apply(api: Api, step: Mapping[str, Any], dry_run: bool) -> dict[str, Any]:
    """Send one server-side apply."""
    query = {
        "fieldManager": step["manager"],
        "force": "true" if step["force"] else "false",
        "fieldValidation": "Strict",
        "dryRun": "All" if dry_run else None,
    }
    return api.request("PATCH", object_path(step["object"]), body=step["object"], query=query, content_type=APPLY)


def _patch(api: Api, step: Mapping[str, Any], dry_run: bool) -> dict[str, Any]:
    """Send one JSON patch; its own tests stop it where the object is no longer the one that was read."""
    query = {"fieldManager": step["manager"], "fieldValidation": "Strict", "dryRun": "All" if dry_run else None}
    uid = step["object"]["metadata"].get("uid")
    same = [{"op": "test", "path": "/metadata/uid", "value": uid}] if uid else []
    body = [*same, *step["patch"]]
    try:
        return api.request("PATCH", object_path(step["object"]), body=body, query=query, content_type=JSON_PATCH)
    except ApiError as error:
        # The API server answers 422 to a test that fails, as to any patch that it cannot apply.
        if step["gateway"] and error.status in (409, 422):
            raise Stale(error) from error
        raise


def _delete_options(step: Mapping[str, Any], before: Mapping[str, Any], dry_run: bool) -> dict[str, Any]:
    """Remove just the object that was read, and what it owns after it.

    The dry run stands here and not in the query: the API server ignores a query beside a body, and really deletes.
    """
    return {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "propagationPolicy": "Background",
        "preconditions": {"uid": step["object"]["metadata"].get("uid") or before["metadata"]["uid"]},
        "dryRun": ["All"] if dry_run else [],
    }


def _content(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object without what the API server writes by itself."""
    content = {key: value for key, value in obj.items() if key != "status"}
    content["metadata"] = {key: value for key, value in obj["metadata"].items() if key not in BOOKKEEPING}
    return content


def _refusal(error: ApiError, step: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the finding behind an answer, where the catalogue has a word for it."""
    name = describe(step["object"])
    if error.status == 409 and "conflict" in error.message.lower():
        return finding("FIELD_CONFLICT", name, message=error.message)
    return finding_of(error, name)


def write(
    api: Api,
    changes: Iterable[Change],
    before_write: Callable[[Change], None] = lambda _change: None,
    after_write: Callable[[Change], None] = lambda _change: None,
) -> list[Change]:
    """Write what differs, in order; an error ends it, and what was written stays for the next run to finish.

    C(before_write) is called with each change just before it is written, C(after_write) when it is.
    """
    written = []
    for change in changes:
        if change.action == "nothing":
            continue
        before_write(change)
        if change.action == "remove" and change.step["state"] != "merged":
            path = object_path(change.step["object"])
            try:
                api.request("DELETE", path, body=_delete_options(change.step, change.before or {}, dry_run=False))
            except ApiError as error:
                if error.status != 404:
                    raise
        elif change.step["state"] == "patched":
            _patch(api, change.step, dry_run=False)
        elif change.step["state"] == "merged":
            _shared_list.write(api, change.step, change.before)
        else:
            _apply(api, change.step, dry_run=False)
        written.append(change)
        after_write(change)
    return written


def readable(obj: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return an object as a diff shows it."""
    if obj is None:
        return {}
    return copy.deepcopy(_content(obj))


def diff(changes: Iterable[Change]) -> list[dict[str, Any]]:
    """Return changes as Ansible shows them with --diff."""
    return [
        {
            "before_header": change.name,
            "after_header": change.name,
            "before": readable(change.before),
            "after": readable(change.after),
        }
        for change in changes
    ]
