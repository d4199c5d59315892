# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for what the collection sees of OpenShift: versions, cluster operators, Routes, namespace annotations.

Sources: seed 004 (cluster operators), mesh-facts 2.1 (the ingress operator's own subscription), the rest (bk).

What it does not do: Projects and project requests (an aggregated API; namespaces are what remains of them), SCCs and
their admission, the router, authentication. Versions are data: nothing is upgraded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from .switches import Fault
from .world import Crds, Create, Later, Object, Patch, Status, World, Write, conditions, made, ref

CONFIG = "config.openshift.io"
CRDS = (
    f"clusterversions.{CONFIG}",
    f"clusteroperators.{CONFIG}",
    f"infrastructures.{CONFIG}",
    "routes.route.openshift.io",
)
VERSION = "4.18.22"
OPERATORS = (
    "authentication",
    "console",
    "dns",
    "etcd",
    "image-registry",
    "ingress",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "marketplace",
    "monitoring",
    "network",
    "openshift-apiserver",
    "operator-lifecycle-manager",
    "operator-lifecycle-manager-catalog",
    "operator-lifecycle-manager-packageserver",
    "storage",
)
DOMAIN = "apps.lab.test"
# The ingress operator's own: mesh-facts 2.1; version by OpenShift's (4.19, 4.20 to 4.22, later).
MESH_BY_MINOR = {19: "v3.1.11", 20: "v3.3.6", 21: "v3.3.6", 22: "v3.3.6"}
MESH = "servicemeshoperator3"


def reconcile(world: World) -> Iterator[Write]:
    """Everything that OpenShift would do next."""
    yield Crds(CRDS)
    yield from _namespaces(world)
    if not all(world.serves(crd) for crd in CRDS):
        yield Later(0.2)
        return
    yield from _version(world)
    for name in OPERATORS:
        yield from _operator(world, name)
    yield from _infrastructure(world)
    for route in world.all("Route"):
        yield from _route(world, route)
    if world.switches.on("openshift.ingress-mesh"):
        yield from _ingress_mesh(world)


def version(world: World) -> str:
    """The version of OpenShift."""
    return world.switches.value("openshift.version", VERSION)


def _namespaces(world: World) -> Iterator[Write]:
    """The ranges from which OpenShift takes a namespace's user ids and SELinux level."""
    if not world.get("Namespace", "", "openshift-ingress"):
        namespace = made("Namespace", "v1", "", "openshift-ingress", "openshift")
        # mesh-facts 1.6: by this label NetworkPolicies let the routers in.
        namespace["metadata"]["labels"]["network.openshift.io/policy-group"] = "ingress"
        yield Create(namespace)
    for namespace in world.all("Namespace"):
        metadata = namespace["metadata"]
        if "openshift.io/sa.scc.uid-range" not in metadata.get("annotations", {}):
            number = int(hashlib.sha256(metadata["name"].encode()).hexdigest()[:4], 16) % 50000
            block = f"{1000000000 + number * 10000}/10000"
            ranges = {
                "openshift.io/sa.scc.mcs": f"s0:c{number % 1024},c{number // 1024}",
                "openshift.io/sa.scc.supplemental-groups": block,
                "openshift.io/sa.scc.uid-range": block,
            }
            yield Patch("Namespace", "", metadata["name"], {"metadata": {"annotations": ranges}})


def _version(world: World) -> Iterator[Write]:
    held = world.get("ClusterVersion", "", "version")
    if held is None:
        spec = {"clusterID": "00000000-0000-4000-8000-000000000000", "channel": "stable"}
        yield Create(made("ClusterVersion", f"{CONFIG}/v1", "", "version", "openshift", spec=spec))
        return
    number = version(world)
    since = held["metadata"]["creationTimestamp"]
    states = [
        ("Available", "True", "", f"Done applying {number}"),
        ("Failing", "False", "", ""),
        ("Progressing", "False", "", f"Cluster version is {number}"),
    ]
    step = {"state": "Completed", "version": number, "image": "", "verified": True}
    step |= {"startedTime": since, "completionTime": since}
    status = {
        "desired": {"version": number, "image": ""},
        "history": [step],
        "observedGeneration": held["metadata"]["generation"],
        "versionHash": "",
        "conditions": conditions(world, held, *states),
    }
    yield Status(held, status)


def _operator(world: World, name: str) -> Iterator[Write]:
    held = world.get("ClusterOperator", "", name)
    if held is None:
        yield Create(made("ClusterOperator", f"{CONFIG}/v1", "", name, "openshift", spec={}))
        return
    away = world.switches.on("openshift.operator-unavailable", "", name)
    bad = world.switches.on("openshift.operator-degraded", "", name)
    states = [
        ("Available", "False" if away else "True", *_told(away, "openshift.operator-unavailable")),
        ("Progressing", "False", "AsExpected", "All is well"),
        ("Degraded", "True" if bad else "False", *_told(bad, "openshift.operator-degraded")),
        ("Upgradeable", "True", "AsExpected", "All is well"),
    ]
    versions = [{"name": "operator", "version": version(world)}]
    yield Status(held, {"conditions": conditions(world, held, *states), "versions": versions})


def _told(fault: Fault | None, switch: str) -> tuple[str, str]:
    if fault is None:
        return "AsExpected", "All is well"
    return fault.reason or "Failing", fault.message or f"the switch {switch}"


def _infrastructure(world: World) -> Iterator[Write]:
    held = world.get("Infrastructure", "", "cluster")
    if held is None:
        spec = {"platformSpec": {"type": "None"}}
        yield Create(made("Infrastructure", f"{CONFIG}/v1", "", "cluster", "openshift", spec=spec))
        return
    status = {
        "infrastructureName": "lab",
        "platform": "None",
        "platformStatus": {"type": "None"},
        "controlPlaneTopology": "SingleReplica",
        "apiServerURL": "https://api.lab.test:6443",
    }
    yield Status(held, status)


def _route(world: World, route: Object) -> Iterator[Write]:
    namespace, name = ref(route)
    host = route["spec"].get("host")
    if not host:
        generated = {"metadata": {"annotations": {"openshift.io/host.generated": "true"}}}
        yield Patch("Route", namespace, name, generated | {"spec": {"host": f"{name}-{namespace}.{DOMAIN}"}})
        return
    path = route["spec"].get("path", "")
    rivals = [one for one in world.all("Route") if one["spec"].get("host") == host]
    first = next(one for one in rivals if one["spec"].get("path", "") == path or ref(one)[0] != namespace)
    held = {"status": next(iter(route.get("status", {}).get("ingress", [])), {})}
    if ref(first) == ref(route) or ref(first)[0] == namespace:
        states = conditions(world, held, ("Admitted", "True", "", ""))
    else:
        text = f"route {ref(first)[1]} already exposes {host} and is older"
        states = conditions(world, held, ("Admitted", "False", "HostAlreadyClaimed", text))
    entry = {
        "host": host,
        "routerName": "default",
        "routerCanonicalHostname": f"router-default.{DOMAIN}",
        "wildcardPolicy": "None",
        "conditions": states,
    }
    yield Status(route, {"ingress": [entry]})


def _ingress_mesh(world: World) -> Iterator[Write]:
    """mesh-facts 2.1: from 4.19 on the ingress operator subscribes itself; it approves its own version by hand (bk)."""
    minor = int(version(world).split(".")[1])
    if minor < 19 or not world.serves("subscriptions.operators.coreos.com"):
        return
    namespace, csv = "openshift-operators", f"{MESH}.{MESH_BY_MINOR.get(minor, 'v3.4.1')}"
    if not world.get("Subscription", namespace, MESH):
        spec = {
            "name": MESH,
            "channel": "stable",
            "source": "redhat-operators",
            "sourceNamespace": "openshift-marketplace",
            "startingCSV": csv,
            "installPlanApproval": "Manual",
        }
        subscription = made("Subscription", "operators.coreos.com/v1alpha1", namespace, MESH, "openshift", spec=spec)
        subscription["metadata"]["annotations"] = {"ingress.operator.openshift.io/owned": ""}
        yield Create(subscription)
    for plan in world.all("InstallPlan", namespace):
        if plan["spec"]["clusterServiceVersionNames"] == [csv] and not plan["spec"]["approved"]:
            yield Patch("InstallPlan", *ref(plan), {"spec": {"approved": True}})
