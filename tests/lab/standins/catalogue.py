# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What OLM's catalogues hold. Packages, channels and sources: mesh-facts 1.1, 2.1.

Versions of Service Mesh 2 and 3: mesh-facts 1.2, 2.1. The other packages' versions are of our choosing.
"""

from __future__ import annotations

from dataclasses import dataclass

# CatalogSource -> (namespace, display name). The first two are OpenShift's, the third is OLM's on plain Kubernetes.
SOURCES = {
    "redhat-operators": ("openshift-marketplace", "Red Hat Operators"),
    "community-operators": ("openshift-marketplace", "Community Operators"),
    "operatorhubio-catalog": ("olm", "Community Operators"),
}
# The annotation by which a CatalogSource of another name has the contents of one of these.
CONTENTS = "standins/contents"

OSSM2_CRDS = (
    "servicemeshcontrolplanes.maistra.io",
    "servicemeshmemberrolls.maistra.io",
    "servicemeshmembers.maistra.io",
)
SAIL_CRDS = (
    "istios.sailoperator.io",
    "istiocnis.sailoperator.io",
    "istiorevisions.sailoperator.io",
    "istiorevisiontags.sailoperator.io",
)


@dataclass(frozen=True)
class Csv:
    """One version of an operator; `replaces` is the version before it."""

    name: str
    version: str
    replaces: str = ""


@dataclass(frozen=True)
class Package:
    """An operator: where it is to be had, its channels (name -> CSVs, the head last), and the CRDs that it owns."""

    name: str
    title: str
    sources: tuple[str, ...]
    default_channel: str
    channels: dict[str, tuple[Csv, ...]]
    crds: tuple[str, ...]
    deployment: str
    install_modes: tuple[str, ...] = ("AllNamespaces",)
    retired: bool = False

    def csv(self, name: str) -> Csv | None:
        """A CSV of any channel."""
        return next((csv for entries in self.channels.values() for csv in entries if csv.name == name), None)


def _chain(prefix: str, *versions: str, build: str = "") -> tuple[Csv, ...]:
    names = [f"{prefix}.v{version}" for version in versions]
    return tuple(
        Csv(name, version + build, before) for name, version, before in zip(names, versions, ["", *names], strict=False)
    )


_OSSM3 = _chain("servicemeshoperator3", "3.0.14", "3.1.11", "3.2.8", "3.3.6", "3.4.1")
_RED_HAT = ("redhat-operators",)

_ALL = (
    Package(
        "servicemeshoperator",
        "Red Hat OpenShift Service Mesh 2",
        _RED_HAT,
        "stable",
        {"stable": _chain("servicemeshoperator", "2.6.13", "2.6.14", build="-0")},
        OSSM2_CRDS,
        "istio-operator",
    ),
    Package(
        "servicemeshoperator3",
        "Red Hat OpenShift Service Mesh 3",
        _RED_HAT,
        "stable",
        {"stable": _OSSM3, "candidates": _OSSM3}
        | {f"stable-3.{minor}": _OSSM3[: minor + 1] for minor in range(len(_OSSM3))},
        SAIL_CRDS,
        "servicemesh-operator3",
    ),
    Package(
        "sailoperator",
        "Sail Operator",
        ("community-operators", "operatorhubio-catalog"),
        "stable",
        {"stable": _chain("sailoperator", "1.30.0", "1.31.0")},
        SAIL_CRDS,
        "sail-operator",
    ),
    Package(
        "kiali-ossm",
        "Kiali Operator",
        _RED_HAT,
        "stable",
        {"stable": _chain("kiali-operator", "2.22.0")},
        ("kialis.kiali.io",),
        "kiali-operator",
    ),
    Package(
        "tempo-product",
        "Tempo Operator",
        _RED_HAT,
        "stable",
        {"stable": _chain("tempo-operator", "0.20.0")},
        ("tempostacks.tempo.grafana.com",),
        "tempo-operator-controller",
    ),
    Package(
        "opentelemetry-product",
        "Red Hat build of OpenTelemetry",
        _RED_HAT,
        "stable",
        {"stable": _chain("opentelemetry-operator", "0.140.0")},
        ("opentelemetrycollectors.opentelemetry.io",),
        "opentelemetry-operator-controller-manager",
    ),
    Package(
        "jaeger-product",
        "Red Hat OpenShift distributed tracing platform",
        _RED_HAT,
        "stable",
        {"stable": _chain("jaeger-operator", "1.65.0")},
        ("jaegers.jaegertracing.io",),
        "jaeger-operator",
        retired=True,
    ),
    Package(
        "elasticsearch-operator",
        "OpenShift Elasticsearch Operator",
        _RED_HAT,
        "stable",
        {"stable": _chain("elasticsearch-operator", "5.8.21")},
        ("elasticsearches.logging.openshift.io",),
        "elasticsearch-operator",
        retired=True,
    ),
)
PACKAGES = {package.name: package for package in _ALL}


def package_of(csv: str) -> Package | None:
    """The package that a CSV of this name belongs to."""
    return next((package for package in _ALL if package.csv(csv)), None)


# Versions of Istio that come with an operator (mesh-facts 2.1): "only the newest Istio per operator release is
# supported", but an operator still knows those before it.
_BY_OSSM3 = ("v1.24.6", "v1.26.8", "v1.27.9", "v1.28.10", "v1.30.3")
UPSTREAM_ISTIO = ("v1.29.4", "v1.30.3", "v1.31.0")


def istio_versions(csv: str) -> tuple[str, ...]:
    """The versions of Istio that an operator knows, oldest first; without a CSV, those of the newest Sail."""
    for number, one in enumerate(_OSSM3):
        if one.name == csv:
            return _BY_OSSM3[: number + 1]
    return UPSTREAM_ISTIO[:2] if csv == "sailoperator.v1.30.0" else UPSTREAM_ISTIO
