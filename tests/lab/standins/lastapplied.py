# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the OSSM 2 operator brings an object to what its charts say (mesh-facts 1.3, MOP pkg/controller/common/helm).

It sends the JSON merge patch between what it rendered last (the last-applied annotation) and what it renders now. So a
port that somebody added to a Service by hand stays until a render changes `ports`, and then the whole array is
replaced: a merge patch knows no merging of lists. Fields that it never rendered are never touched.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from .world import Create, Object, Patch, World, Write, ref

ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"


def bring(world: World, wanted: Object) -> Iterator[Write]:
    """The write that brings one object to what is wanted, if one is needed."""
    held = world.get(wanted["kind"], *ref(wanted))
    text = json.dumps(wanted, sort_keys=True)
    annotated = _annotate(wanted, text)
    if held is None:
        yield Create(annotated)
        return
    last = held["metadata"].get("annotations", {}).get(ANNOTATION)
    # Without an annotation the object itself is what the patch starts from.
    original = json.loads(last) if last else held
    if patch := difference(original, wanted, removing=bool(last)):
        stamp = {"metadata": {"annotations": {ANNOTATION: text}}}
        yield Patch(wanted["kind"], *ref(wanted), _merge(patch, stamp))


def difference(original: Object, wanted: Object, removing: bool = True) -> Object:
    """The JSON merge patch that makes `wanted` of `original`; `removing` says whether fields go as well."""
    patch: Object = {}
    for key, value in wanted.items():
        before = original.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            if inner := difference(before, value, removing):
                patch[key] = inner
        elif key not in original or before != value:
            patch[key] = value
    if removing:
        patch |= {key: None for key in original if key not in wanted}
    return patch


def _annotate(wanted: Object, text: str) -> Object:
    annotations = wanted["metadata"].get("annotations", {}) | {ANNOTATION: text}
    return wanted | {"metadata": wanted["metadata"] | {"annotations": annotations}}


def _merge(one: Object, other: Object) -> Object:
    result = dict(one)
    for key, value in other.items():
        held = result.get(key)
        result[key] = _merge(held, value) if isinstance(held, dict) and isinstance(value, dict) else value
    return result
