# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operators that people want: what is known of the usual ones, and the records that ask for them.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import (
    Problems,
    check_keys,
    read_all,
    read_choice,
    read_flag,
    read_label,
    words,
)

NONE: Mapping[str, str] = MappingProxyType({})
REDHAT = (("redhat-operators", "openshift-marketplace"),)
COMMUNITY = (("community-operators", "openshift-marketplace"), ("operatorhubio-catalog", "olm"))
# Where an OperatorGroup for all namespaces is there already: OpenShift's namespace, and that of OLM's own manifests.
GLOBAL = ("openshift-operators", "operators")


class Preset(NamedTuple):
    """What is known of a package: where it comes from, and by what its operator is recognised.

    C(csv) is what its ClusterServiceVersions' names begin with, C(groups) are the API groups that it brings,
    C(deployments) the operator's own names in manifests and charts without OLM. C(left) says when it left the
    catalogue.
    """

    csv: str
    groups: tuple[str, ...]
    deployments: tuple[str, ...]
    channel: str = "stable"
    sources: tuple[tuple[str, str], ...] = REDHAT
    namespaces: tuple[str, ...] = GLOBAL
    namespace_labels: Mapping[str, str] = NONE
    namespace_annotations: Mapping[str, str] = NONE
    left: str = ""


# Sources: maistra/istio-operator manifests-servicemesh, openshift-service-mesh/sail-operator bundle and
# docs/ossm/ossm2-migration, OpenShift's documentation of logging 4.12 and of distributed tracing 4.12 to 4.20; of the
# names of Deployments only istio-operator has a source (seed of Service Mesh 1.0), the others are background knowledge.
PRESETS: Mapping[str, Preset] = {
    "servicemeshoperator": Preset("servicemeshoperator.", ("maistra.io",), ("istio-operator",)),
    "servicemeshoperator3": Preset(
        "servicemeshoperator3.", ("sailoperator.io",), ("sail-operator", "servicemesh-operator3")
    ),
    "sailoperator": Preset("sailoperator.", ("sailoperator.io",), ("sail-operator",), sources=COMMUNITY),
    "kiali-ossm": Preset("kiali-operator.", ("kiali.io",), ("kiali-operator",)),
    "jaeger-product": Preset(
        "jaeger-operator.", ("jaegertracing.io",), ("jaeger-operator",), left="on 2025-11-03, when its support ended"
    ),
    "elasticsearch-operator": Preset(
        "elasticsearch-operator.",
        ("logging.openshift.io",),
        ("elasticsearch-operator",),
        namespaces=("openshift-operators-redhat",),
        namespace_labels={"openshift.io/cluster-monitoring": "true"},
        namespace_annotations={"openshift.io/node-selector": ""},
        left="in November 2025 with Jaeger, which it stored for",
    ),
    "tempo-product": Preset(
        "tempo-operator.",
        ("tempo.grafana.com",),
        ("tempo-operator-controller",),
        namespaces=("openshift-tempo-operator",),
    ),
    "opentelemetry-product": Preset(
        "opentelemetry-operator.",
        ("opentelemetry.io",),
        ("opentelemetry-operator-controller-manager",),
        namespaces=("openshift-opentelemetry-operator",),
    ),
}

OPERATOR_KEYS = words("name channel source source_namespace namespace starting_csv approval adopt")


def preset_of(name: str) -> Preset:
    """Return what is known of a package; of one that is not known, just how its versions are usually named."""
    return PRESETS.get(name) or Preset(f"{name}.", (), (), "", (), ())


def _read_operator(raw: Mapping[str, Any], subject: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Read one record; V(None) stands for a key that is not given."""
    problems = Problems(subject)
    check_keys(problems, "", raw, OPERATOR_KEYS, OPERATOR_KEYS)
    name = raw.get("name")
    if not isinstance(name, str) or not name:
        problems.invalid("name", name, "it is the name of a package, such as servicemeshoperator3")
    item: dict[str, Any] = {"name": name}
    for key in ("channel", "source", "starting_csv"):
        item[key] = raw.get(key)
        if item[key] is not None and (not isinstance(item[key], str) or not item[key]):
            problems.invalid(key, item[key], "it must be a text")
    for key in ("source_namespace", "namespace"):
        item[key] = None if raw.get(key) is None else read_label(problems, key, raw[key])
    approval = raw.get("approval")
    item["approval"] = approval and read_choice(problems, "approval", approval, ("Automatic", "Manual"))
    item["adopt"] = read_flag(problems, "adopt", raw.get("adopt", False))
    if name not in PRESETS:
        for key in ("channel", "source", "source_namespace", "namespace"):
            if raw.get(key) is None:
                problems.invalid(key, None, "it must be given, as nothing is known of this package")
    return item, problems.findings


def read_operators(raw_operators: Iterable[Any]) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """Read all records: what is good, and the findings about what is not."""
    return read_all(raw_operators, "operator", "operators_wanted", _read_operator, "a package is wanted once")
