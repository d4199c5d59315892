# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of ours in a plain list that others write to as well, such as a member roll's C(spec.members).

Such a list has no owners inside it, so server-side apply would take everybody else's entries away. It is read, merged
and written at the resource version read; if it has changed meanwhile (409), it is read and merged again. An annotation
on the same object, written in the same request, records which entries are ours.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import collection_path, object_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import ENTRIES_ANNOTATION, is_ours
from ansible_collections.servicemesh.tcp.plugins.module_utils._state_members import entries

if TYPE_CHECKING:
    from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api

MERGE_PATCH = "application/merge-patch+json"
# How often a list that others keep changing is read anew before the run gives up.
ATTEMPTS = 10


def merged(before: Mapping[str, Any] | None, step: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return an object with our entries added to its list and others of ours taken out.

    V(None) stands for an object that is better removed: one that we made, with nothing left in it. Entries that
    somebody else added stay theirs, also those that are wanted here.
    """
    merge = step["merge"]
    after = copy.deepcopy(dict(before or step["object"]))
    spec = after["spec"] = dict(after.get("spec") or {})
    listed = list(spec.get(merge["list"]) or [])
    recorded = [item for item in entries(after) if item in listed]
    leaving = [item for item in merge["remove"] if item in recorded]
    coming = [item for item in merge["add"] if item not in listed]
    kept = [item for item in listed if item not in leaving]
    ours = sorted({*recorded, *coming} - set(leaving))
    if before is None and not coming:
        return None
    if leaving or coming:
        spec[merge["list"]] = [*kept, *coming]
    annotations = {**(after["metadata"].get("annotations") or {}), ENTRIES_ANNOTATION: json.dumps(ours)}
    if not ours:
        del annotations[ENTRIES_ANNOTATION]
    after["metadata"]["annotations"] = annotations
    if not annotations:
        del after["metadata"]["annotations"]
    emptied = before is not None and is_ours(before["metadata"].get("labels")) and bool(leaving)
    return None if emptied and not any(spec.values()) else after


def patch_of(before: Mapping[str, Any], after: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the merge patch that writes a merged list, and nothing if the object is no longer the one read."""
    recorded = (after["metadata"].get("annotations") or {}).get(ENTRIES_ANNOTATION)
    return {
        "metadata": {
            "resourceVersion": before["metadata"]["resourceVersion"],
            # null takes the annotation away (RFC 7396).
            "annotations": {ENTRIES_ANNOTATION: recorded},
        },
        "spec": {name: after["spec"].get(name)},
    }


def same(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> bool:
    """Tell whether there is nothing to write."""
    if before is None or after is None:
        return before is after
    return (before.get("spec") or {}, entries(before)) == (after.get("spec") or {}, entries(after))


def send(
    api: Api, step: Mapping[str, Any], before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, dry_run: bool
) -> dict[str, Any] | None:
    """Write a merged object once: make it, patch it, or remove it; 409 if it is no longer the one read."""
    query = {"fieldManager": step["manager"], "fieldValidation": "Strict", "dryRun": "All" if dry_run else None}
    if before is None:
        obj = step["object"]
        return api.request("POST", collection_path(obj["kind"], obj["metadata"]["namespace"]), body=after, query=query)
    path = object_path(step["object"])
    if after is None:
        seen = {key: before["metadata"][key] for key in ("uid", "resourceVersion")}
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": seen}
        api.request("DELETE", path, body={**options, "dryRun": ["All"] if dry_run else []})
        return None
    body = patch_of(before, after, step["merge"]["list"])
    return api.request("PATCH", path, body=body, query=query, content_type=MERGE_PATCH)


def write(api: Api, step: Mapping[str, Any], before: Mapping[str, Any] | None) -> None:
    """Write a merged list, starting from what was read.

    Where somebody else was faster it is read and merged again, so that neither takes the other's entries away.
    """
    for attempt in range(1, ATTEMPTS + 1):
        after = merged(before, step)
        if same(before, after):
            return
        try:
            send(api, step, before, after, dry_run=False)
            return
        except ApiError as error:
            # 404: removed since it was read, or the namespace is gone; the second read tells which.
            if error.status not in (404, 409) or attempt == ATTEMPTS:
                raise
        before = api.find(object_path(step["object"]))
