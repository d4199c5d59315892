# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The projection of a ServiceMeshControlPlane, as far as ports of its gateways go.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import _state
from ansible_collections.servicemesh.tcp.plugins.module_utils._in_charge import in_charge

# Whose ports of which gateway are in a control plane's list, which has no owners inside it: one annotation for each
# gateway, written in the same patch as the ports, so that the two cannot differ.
NOTE_PREFIX = "ports.servicemesh.tcp/"
# What a gateway's record wrote beside the ports, and what was there before, so that it can be given back.
SETTINGS_PREFIX = "settings.servicemesh.tcp/"
INGRESS = "istio-ingressgateway"


def smcp(obj: Mapping[str, Any]) -> dict[str, Any]:
    """Project a control plane.

    C(gateways) are its ingress gateways by the name of their Service, with C(path) to each, the C(sets) that have ports
    there and whether this collection C(began) its list of ports, the C(settings) that its record wrote, and whether
    there is C(more) to its Service than what is kept of it. C(tree) is what of the object a patch may change, and
    C(version) the resource version of it all.
    """
    metadata = obj["metadata"]
    annotations = metadata.get("annotations")
    notes = {key: value for key, value in (annotations or {}).items() if key.startswith((NOTE_PREFIX, SETTINGS_PREFIX))}
    gateways: dict[str, Any] = {}
    tree: dict[str, Any] = {"metadata": {} if annotations is None else {"annotations": notes}}
    spec = obj.get("spec") or {}
    for name, path, section in _ingresses(spec):
        gateways[name] = {
            "path": path,
            "namespace": (section or {}).get("namespace") or metadata["namespace"],
            **read_note(notes.get(NOTE_PREFIX + name)),
            "settings": read_settings(notes.get(SETTINGS_PREFIX + name)),
            "more": _has_more((section or {}).get("service") or {}),
        }
        _graft(tree, {"spec": spec}, path, _settings(section))
    return {
        **_state.identity(obj),
        "version": metadata.get("resourceVersion", ""),
        "in_charge": in_charge(obj),
        "gateways": gateways,
        "tree": tree,
    }


def _ingresses(spec: Mapping[str, Any]) -> Iterator[tuple[str, list[str], Mapping[str, Any] | None]]:
    """Return the ingress gateways with their paths: the one of the operator's template, and further enabled ones.

    A further one without C(enabled) is passed over (maistra istio-operator, strategy_v2_5.go).
    """
    gateways = spec.get("gateways") or {}
    if gateways.get("enabled") is False:
        return
    ingress = gateways.get("ingress")
    if (ingress or {}).get("enabled") is not False:
        yield INGRESS, ["spec", "gateways", "ingress"], ingress
    for name, section in sorted((gateways.get("additionalIngress") or {}).items()):
        if (section or {}).get("enabled"):
            yield name, ["spec", "gateways", "additionalIngress", name], section


def _settings(section: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what is kept of a gateway: type, annotations and ports of its Service, each only where it is there."""
    service = (section or {}).get("service")
    if service is None:
        return {}
    kept = {key: service[key] for key in ("type", "ports") if service.get(key) is not None}
    metadata = service.get("metadata")
    if metadata is not None:
        annotations = metadata.get("annotations")
        kept["metadata"] = {} if annotations is None else {"annotations": annotations}
    return {"service": kept}


def _has_more(service: Mapping[str, Any]) -> bool:
    """Tell whether a gateway's Service has keys that C(_settings) does not keep."""
    return bool(service.keys() - {"type", "ports", "metadata"}) or bool(
        (service.get("metadata") or {}).keys() - {"annotations"}
    )


def _graft(tree: dict[str, Any], obj: Mapping[str, Any], path: list[str], leaf: Mapping[str, Any]) -> None:
    """Put a leaf into a tree as far as its path is there in an object."""
    for key in path[:-1]:
        if obj.get(key) is None:
            return
        obj, tree = obj[key], tree.setdefault(key, {})
    if obj.get(path[-1]) is not None:
        tree[path[-1]] = dict(leaf)


def read_note(text: str | None) -> dict[str, Any]:
    """Read the annotation: C(sets), lists of ports by set, and C(began); what is no such note says nothing."""
    try:
        found = json.loads(text or "{}")
        sets = {str(name): sorted(int(port) for port in ports) for name, ports in found.get("sets", {}).items()}
        return {"sets": sets, "began": found.get("began") is True}
    except (ValueError, TypeError, AttributeError):
        return {"sets": {}, "began": False}


def written_note(sets: Mapping[str, list[int]], began: bool) -> str | None:
    """Return the text of the annotation, V(None) where there is nothing to note."""
    kept = {name: sorted(ports) for name, ports in sets.items() if ports}
    if not kept:
        return None
    return json.dumps({"sets": kept, **({"began": True} if began else {})}, sort_keys=True, separators=(",", ":"))


def read_settings(text: str | None) -> list[dict[str, Any]]:
    """Read the annotation with what was set: C(path) below the Service, C(ours), C(before); nonsense says nothing."""
    try:
        return [
            {"path": [str(key) for key in item["path"]], "ours": item["ours"], "before": item["before"]}
            for item in json.loads(text or "[]")
        ]
    except (ValueError, TypeError, KeyError):
        return []


def written_settings(settings: Iterable[Mapping[str, Any]]) -> str | None:
    """Return the text of that annotation, V(None) where nothing is set."""
    kept = sorted(settings, key=lambda item: item["path"])
    return json.dumps(kept, sort_keys=True, separators=(",", ":")) if kept else None
