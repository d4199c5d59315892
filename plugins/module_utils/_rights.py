# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rights that installing needs, by what is installed; docs/rbac-install.yaml grants the same.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

READ = ("get", "list")
# Server-side apply makes an object with "create" and changes it with "patch".
WRITE = ("get", "list", "create", "patch", "delete")


class Right(NamedTuple):
    """Verbs on one kind of resource, in the whole cluster."""

    group: str
    resource: str
    verbs: tuple[str, ...]


# What the preflight itself looks at; what may not be read is said to be so.
PREFLIGHT = (
    Right("", "nodes", ("list",)),
    Right("config.openshift.io", "clusteroperators", ("list",)),
    Right("config.openshift.io", "clusterversions", ("list",)),
    Right("operators.coreos.com", "catalogsources", ("list",)),
)
RIGHTS: Mapping[str, tuple[Right, ...]] = {
    "operators": (
        Right("", "namespaces", WRITE),
        # What is still in a namespace that is removed.
        Right("", "pods", ("list",)),
        Right("", "services", ("list",)),
        Right("apiextensions.k8s.io", "customresourcedefinitions", ("get", "delete")),
        Right("apps", "deployments", READ),
        Right("operators.coreos.com", "catalogsources", READ),
        Right("operators.coreos.com", "clusterserviceversions", ("get", "list", "delete")),
        Right("operators.coreos.com", "installplans", ("get", "patch")),
        Right("operators.coreos.com", "operatorgroups", WRITE),
        Right("operators.coreos.com", "subscriptions", WRITE),
    ),
    "ossm2": (
        Right("maistra.io", "servicemeshcontrolplanes", (*WRITE, "use")),
        Right("maistra.io", "servicemeshmemberrolls", WRITE),
        Right("maistra.io", "servicemeshmembers", WRITE),
    ),
    "sail": (
        Right("sailoperator.io", "istiocnis", WRITE),
        Right("sailoperator.io", "istiorevisions", READ),
        Right("sailoperator.io", "istiorevisiontags", WRITE),
        Right("sailoperator.io", "istios", WRITE),
    ),
    "helm": (
        Right("", "configmaps", WRITE),
        Right("", "namespaces", WRITE),
        Right("", "pods", ("list",)),
        # Where Helm keeps its releases.
        Right("", "secrets", (*WRITE, "update")),
        Right("", "serviceaccounts", WRITE),
        Right("", "services", WRITE),
        Right("admissionregistration.k8s.io", "mutatingwebhookconfigurations", WRITE),
        Right("admissionregistration.k8s.io", "validatingwebhookconfigurations", WRITE),
        Right("apiextensions.k8s.io", "customresourcedefinitions", ("get", "list", "create", "patch")),
        Right("apps", "deployments", WRITE),
        Right("apps", "replicasets", ("list",)),
        Right("autoscaling", "horizontalpodautoscalers", WRITE),
        Right("policy", "poddisruptionbudgets", WRITE),
        # What istiod may do is more than who installs it holds.
        Right("rbac.authorization.k8s.io", "clusterrolebindings", WRITE),
        Right("rbac.authorization.k8s.io", "clusterroles", (*WRITE, "bind", "escalate")),
        Right("rbac.authorization.k8s.io", "rolebindings", WRITE),
        Right("rbac.authorization.k8s.io", "roles", (*WRITE, "bind", "escalate")),
    ),
}


def needed(purposes: Iterable[str]) -> list[tuple[str, str, str]]:
    """Return what is needed for some purposes, one (group, resource, verb) each."""
    rights = [right for purpose in purposes for right in RIGHTS[purpose]]
    return sorted({(right.group, right.resource, verb) for right in rights for verb in right.verbs})
