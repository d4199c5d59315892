# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about operators, and about a cluster that is to get them.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.servicemesh.tcp.plugins.module_utils._rule import Rule

RULES: Mapping[str, Rule] = {
    "CATALOG_MISSING": Rule(
        "error",
        "there is no CatalogSource {catalog} to take it from; there are {known}.",
        "Name one of these in source and source_namespace, or have that catalogue enabled.",
    ),
    "CATALOG_NOT_READY": Rule(
        "warning",
        "the connection to CatalogSource {catalog} is {state}, and OLM resolves nothing while it is so.",
        "Look at that catalogue's pod; the run waits for it until its time is up.",
    ),
    "CLUSTER_OPERATOR_UNWELL": Rule(
        "warning",
        "it is {trouble}.",
        "See 'oc describe' of it; an installation may fail for the same cause.",
    ),
    "CRD_IN_USE": Rule(
        "error",
        "there are still objects of that kind ({objects}), which would be lost with it.",
        "Remove those first, or leave operators_crd_state at 'kept'.",
    ),
    "INSTALL_PLAN_OTHER": Rule(
        "error",
        "InstallPlan {plan} waits for approval and holds {csvs}, not {wanted}.",
        "OLM goes from version to version: name one of these as starting_csv first, or leave starting_csv out.",
    ),
    "INSTALL_PLAN_SHARED": Rule(
        "error",
        "InstallPlan {plan} waits for approval and holds {others} beside {wanted}; OLM puts all that a namespace is to"
        " get into one plan.",
        "Let its owners approve it, or add those operators to operators_wanted; only what is wanted is approved.",
    ),
    "INSTALL_PLAN_WAITS": Rule(
        "error",
        "InstallPlan {plan} ({csvs}) of somebody else's Subscription waits for approval.",
        "Let its owner approve it, or give the record approval: Manual, and this run approves it.",
    ),
    "NODE_NOT_READY": Rule(
        "warning",
        "it is not ready: {trouble}.",
        "Nothing is scheduled there; see that the other nodes have room.",
    ),
    "OLM_MISSING": Rule(
        "error",
        "the cluster does not serve operators.coreos.com/v1alpha1, so it has no Operator Lifecycle Manager (OLM)"
        " to install {packages}.",
        "Install OLM, or install the mesh without operators (provider helm or existing of role control_plane).",
    ),
    "OPERATOR_BY_HAND": Rule(
        "note",
        "Deployment {deployment} runs it without OLM, from a manifest or a chart.",
        "Nothing to do; it is used as it is, and neither upgraded nor removed by this collection.",
    ),
    "OPERATOR_GROUP_UNFIT": Rule(
        "error",
        "namespace {namespace!r} has OperatorGroup {groups}: {why}.",
        "Name another namespace for the operator, or mend the OperatorGroups there.",
    ),
    "OPERATOR_LEFT_CATALOG": Rule(
        "warning",
        "the package left Red Hat's catalogue {left}.",
        "Take tempo-product and opentelemetry-product for tracing; only a mirrored catalogue can still hold this one.",
    ),
    "OPERATOR_RIVAL": Rule(
        "error",
        "it owns the same API groups ({groups}) as {rival}; OLM refuses a second owner.",
        "Want only one of the two.",
    ),
    "OPERATOR_STAYS": Rule(
        "note",
        "{place} was not made by this collection, and stays.",
        "Nothing to do; remove it by hand if it is to go.",
    ),
    "OPERATOR_TWICE": Rule(
        "error",
        "there are several Subscriptions to it ({places}), which get in each other's way.",
        "Remove all but one by hand.",
    ),
    "OPERATOR_UNSUBSCRIBED": Rule(
        "warning",
        "ClusterServiceVersion {csv} is there ({phase}) and no Subscription refers to it, so it is not upgraded,"
        " and OLM would refuse a new Subscription.",
        "It is used as it is. To have it subscribed to again, delete that ClusterServiceVersion first; meshes stay.",
    ),
    "RIGHT_MISSING": Rule(
        "error",
        "it lacks rights that the installation needs: {rights}.",
        "Grant them; docs/rbac-install.yaml holds all that installing needs.",
    ),
    "SUBSCRIPTION_DIFFERS": Rule(
        "warning",
        "Subscription {place} has {differs}, and is left so.",
        "Mend the record, or let it take the Subscription over with adopt: true; a namespace cannot be changed.",
    ),
    "SUBSCRIPTION_FOUND": Rule(
        "note",
        "Subscription {place} (channel {channel}, installed {csv}) belongs to OpenShift's ingress operator, which"
        " installs Service Mesh 3 for the Gateway API from 4.19 on.",
        "Nothing to do; the operator is used as it is.",
    ),
    "SUBSCRIPTION_OF_INGRESS": Rule(
        "error",
        "Subscription {place} belongs to OpenShift's ingress operator and has {differs}; that operator would set"
        " a change back.",
        "Take adopt and what differs out of the record.",
    ),
}
