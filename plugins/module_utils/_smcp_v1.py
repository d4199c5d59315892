# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The v2 form of a ServiceMeshControlPlane that is written as C(maistra.io/v1), as in seed 004.

From release 2.0 on the operator refuses the v1 form (maistra/istio-operator, conversion and webhook). What is known
here is what seed 004 and the legacy form of gateways say; everything else is named, never dropped without a word.
Targets: maistra/istio-operator, pkg/apis/maistra/v2 and the conversions in pkg/apis/maistra/conversion.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

# The Kubernetes client and Ansible need it too.
with contextlib.suppress(ImportError):
    import yaml

Way = tuple[str, ...]
V1_API = "maistra.io/v1"
V2_API = "maistra.io/v2"
GATEWAYS = {"istio-ingressgateway": "ingress", "istio-egressgateway": "egress"}
# v1 way below spec -> v2 way below spec; the value stays.
MOVED: Mapping[Way, Way] = {
    ("istio", "global", "mtls"): ("security", "dataPlane", "mtls"),
    ("istio", "global", "proxy", "resources"): ("proxy", "runtime", "container", "resources"),
    ("istio", "pilot", "resources"): ("runtime", "components", "pilot", "container", "resources"),
    ("istio", "pilot", "autoscaleEnabled"): (
        "runtime",
        "components",
        "pilot",
        "deployment",
        "autoScaling",
        "enabled",
    ),
    ("istio", "kiali", "enabled"): ("addons", "kiali", "enabled"),
    ("istio", "grafana", "enabled"): ("addons", "grafana", "enabled"),
    ("version",): ("version",),
    **{
        ("istio", "gateways", old, key): ("gateways", new, *way)
        for old, new in GATEWAYS.items()
        for key, way in (
            ("enabled", ("enabled",)),
            ("autoscaleEnabled", ("runtime", "deployment", "autoScaling", "enabled")),
            ("ports", ("service", "ports")),
            ("type", ("service", "type")),
            ("resources", ("runtime", "container", "resources")),
        )
    },
    ("istio", "gateways", "istio-ingressgateway", "ior_enabled"): ("gateways", "openshiftRoute", "enabled"),
}
# v1 way below spec -> why nothing takes its place.
GONE: Mapping[Way, str] = {
    ("threeScale",): "the 3scale adapter needed Mixer, which left with 2.1",
    ("istio", "global", "disablePolicyChecks"): "policy checks were Mixer's, which left with 2.1",
    ("istio", "mixer"): "Mixer left with 2.1",
    ("istio", "kiali", "dashboard"): "Kiali logs in through OpenShift",
}


def is_v1(definition: Mapping[str, Any]) -> bool:
    """Tell whether a definition is of the v1 form: by its apiVersion, or by the key that only v1 has."""
    spec = definition.get("spec")
    return definition.get("apiVersion") == V1_API or (isinstance(spec, Mapping) and "istio" in spec)


def convert(definition: Mapping[str, Any], version: str) -> tuple[dict[str, Any], list[str]]:
    """Return the v2 form of a v1 SMCP, and what has no place in it as sentences."""
    spec: dict[str, Any] = {}
    notes: dict[str, None] = {}
    for way, value in _leaves(definition.get("spec") or {}):
        gone = next((known for known in GONE if way[: len(known)] == known), None)
        moved = next((known for known in MOVED if way[: len(known)] == known), None)
        if gone:
            notes[f"spec.{'.'.join(gone)} is left out: {GONE[gone]}."] = None
        elif moved:
            _set(spec, (*MOVED[moved], *way[len(moved) :]), value)
        elif way == ("istio", "tracing", "enabled"):
            _set(spec, ("tracing", "type"), "Jaeger" if value else "None")
        elif way == ("istio", "pilot", "traceSampling"):
            # v1 counts in per cent, v2 in hundredths of one (pkg/apis/maistra/v2/tracing.go).
            _set(spec, ("tracing", "sampling"), round(float(value) * 100))
        else:
            notes[f"spec.{'.'.join(way)} is not known to this converter; look it up."] = None
    # A v1 object says nothing of its version, or says a v1 one.
    if not str(spec.get("version", "")).startswith("v2"):
        spec["version"] = version
    metadata = {key: value for key, value in (definition.get("metadata") or {}).items() if key in ("name", "namespace")}
    return {"apiVersion": V2_API, "kind": "ServiceMeshControlPlane", "metadata": metadata, "spec": spec}, list(notes)


def as_text(obj: Mapping[str, Any]) -> str:
    """Return an object as people would write it into a file."""
    return yaml.safe_dump(dict(obj), sort_keys=False, default_flow_style=False)


def _leaves(value: Mapping[str, Any], way: Way = ()) -> Iterator[tuple[Way, Any]]:
    """Yield all values that are no mapping with the way to them; lists count as one value."""
    for key, item in value.items():
        here = (*way, str(key))
        if isinstance(item, Mapping) and item:
            yield from _leaves(item, here)
        else:
            yield here, item


def _set(target: dict[str, Any], way: Way, value: Any) -> None:
    """Put a value below a mapping."""
    *above, last = way
    for key in above:
        target = target.setdefault(key, {})
    target[last] = value
