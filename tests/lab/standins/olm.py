# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for OLM: CatalogSource, Subscription, InstallPlan, ClusterServiceVersion, OperatorGroup.

What it does, where mesh-facts 1.1 and 2.1 say nothing all of it (bk):
- A namespace is resolved as a whole: one Subscription that cannot be satisfied holds up all of them, one InstallPlan
  carries all that is to be installed, and it waits for approval as soon as one Subscription is Manual.
- A CSV that no Subscription references stands in the way of a new Subscription for what it provides.
- Deleting a Subscription leaves its CSV; deleting a CSV leaves its CRDs, and its Subscription does not bring it back.
- Updates go along `replaces`, one InstallPlan each.

What it does not do: pull catalogues or bundles, run the operators' Deployments, copy CSVs to other namespaces, make the
operators' roles and webhooks, PackageManifest, dependencies between packages, conflicts between operators of different
namespaces, service accounts of OperatorGroups, finalizers and the garbage collection of InstallPlans.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from .catalogue import CONTENTS, PACKAGES, SOURCES, Csv, Package, package_of
from .crds import kind_and_version
from .switches import Fault
from .world import Crds, Create, Delete, Later, Object, Patch, Status, World, Write, made, ref

GROUP = "operators.coreos.com"
CRDS = tuple(
    f"{plural}.{GROUP}"
    for plural in ("subscriptions", "installplans", "clusterserviceversions", "catalogsources", "operatorgroups")
)
# Where an OperatorGroup for all namespaces is there from the beginning (mesh-facts 1.1).
GLOBAL = ("openshift-operators", "operators")
NAMESPACES = ("openshift-marketplace", "olm", *GLOBAL)


def reconcile(world: World) -> Iterator[Write]:
    """Everything that OLM would do next."""
    yield Crds(CRDS)
    if not all(world.serves(crd) for crd in CRDS):
        yield Later(0.2)
        return
    yield from _defaults(world)
    for source in world.all("CatalogSource"):
        yield Status(source, _source_status(world, source))
    for group in world.all("OperatorGroup"):
        yield Status(group, _group_status(world, group))
    for namespace in sorted({ref(one)[0] for one in world.all("Subscription")}):
        yield from _resolve(world, namespace)
    for plan in world.all("InstallPlan"):
        yield from _install(world, plan)
    for csv in world.all("ClusterServiceVersion"):
        yield from _advance(world, csv)


def operator(world: World, *packages: str) -> str | None:
    """The CSV by which one of these packages is installed; "" for a lab without OLM, None when none works."""
    if "olm" not in world.parts:
        return ""
    for csv in world.all("ClusterServiceVersion"):
        package = package_of(csv["metadata"]["name"])
        if package and package.name in packages and csv.get("status", {}).get("phase") == "Succeeded":
            return csv["metadata"]["name"]
    return None


def _defaults(world: World) -> Iterator[Write]:
    for name in NAMESPACES:
        if not world.get("Namespace", "", name):
            yield Create(made("Namespace", "v1", "", name, "olm"))
    for name, (namespace, title) in SOURCES.items():
        if not world.get("CatalogSource", namespace, name):
            spec = {"sourceType": "grpc", "displayName": title, "publisher": "the lab"}
            yield Create(made("CatalogSource", f"{GROUP}/v1alpha1", namespace, name, "olm", spec=spec))
    for namespace in GLOBAL:
        if not world.all("OperatorGroup", namespace):
            yield Create(made("OperatorGroup", f"{GROUP}/v1", namespace, "global-operators", "olm", spec={}))


# CatalogSource and OperatorGroup


def _down(world: World, source: Object) -> bool:
    namespace, name = ref(source)
    return world.switches.on("olm.catalog-down", namespace, name) is not None


def _source_status(world: World, source: Object) -> Object:
    namespace, name = ref(source)
    state = "TRANSIENT_FAILURE" if _down(world, source) else "READY"
    held = source.get("status", {}).get("connectionState", {})
    since = held.get("lastConnect") if held.get("lastObservedState") == state else None
    address = source.get("spec", {}).get("address") or f"{name}.{namespace}.svc:50051"
    return {"connectionState": {"address": address, "lastConnect": since or world.stamp, "lastObservedState": state}}


def _contents(source: Object) -> str:
    namespace, name = ref(source)
    asked = source["metadata"].get("annotations", {}).get(CONTENTS)
    return asked or (name if SOURCES.get(name, ("",))[0] == namespace else "")


def _targets(world: World, group: Object) -> list[str]:
    """The namespaces of an OperatorGroup; [""] stands for all."""
    spec = group.get("spec", {})
    if spec.get("targetNamespaces"):
        return sorted(spec["targetNamespaces"])
    wanted = spec.get("selector", {}).get("matchLabels", {})
    if not wanted:
        return [""]
    return sorted(
        one["metadata"]["name"]
        for one in world.all("Namespace")
        if wanted.items() <= one["metadata"].get("labels", {}).items()
    )


def _group_status(world: World, group: Object) -> Object:
    namespaces = _targets(world, group)
    held = group.get("status", {})
    since = held.get("lastUpdated") if held.get("namespaces") == namespaces else None
    return {"namespaces": namespaces, "lastUpdated": since or world.stamp}


def _install_mode(namespace: str, targets: list[str]) -> str:
    if targets == [""]:
        return "AllNamespaces"
    if targets == [namespace]:
        return "OwnNamespace"
    return "SingleNamespace" if len(targets) == 1 else "MultiNamespace"


# Subscription -> InstallPlan


@dataclass(frozen=True)
class _Want:
    """What one Subscription comes to: a CSV to install, nothing (it is there), or an error."""

    subscription: Object
    target: Csv | None = None
    reason: str = ""
    error: str = ""


def _resolve(world: World, namespace: str) -> Iterator[Write]:
    subscriptions = [one for one in world.all("Subscription", namespace) if not _ignored(world, one)]
    wants = [_want(world, one) for one in subscriptions]
    failed = [want for want in wants if want.error]
    steps = [want for want in wants if want.target]
    plan: Object | None = None
    if steps and not failed:
        manual = any(one["spec"].get("installPlanApproval") == "Manual" for one in subscriptions)
        new = _plan(world, namespace, steps, manual)
        plan = world.get("InstallPlan", namespace, new["metadata"]["name"])
        if plan is None:
            yield Create(new)
    for want in wants:
        # The condition is the namespace's: a healthy Subscription carries its neighbour's failure too.
        reason = failed[0].reason if failed else ""
        message = _complaint(failed) if failed else ""
        yield from _label(want.subscription)
        yield Status(want.subscription, _subscription_status(world, want, plan, reason, message))


def _ignored(world: World, subscription: Object) -> bool:
    namespace, name = ref(subscription)
    return world.switches.on("olm.never-resolves", namespace, name, subscription["spec"]["name"]) is not None


def _label(subscription: Object) -> Iterator[Write]:
    namespace, name = ref(subscription)
    label = f"{GROUP}/{subscription['spec']['name']}.{namespace}"
    if label not in subscription["metadata"].get("labels", {}):
        yield Patch("Subscription", namespace, name, {"metadata": {"labels": {label: ""}}})


def _complaint(failed: list[_Want]) -> str:
    text = ", ".join(want.error for want in failed)
    return text if failed[0].reason == "ErrorPreventedResolution" else f"constraints not satisfiable: {text}"


def _source_of(world: World, subscription: Object) -> Object | None:
    spec = subscription["spec"]
    return world.get("CatalogSource", spec["sourceNamespace"], spec["source"])


def _want(world: World, subscription: Object) -> _Want:
    namespace, name = ref(subscription)
    spec = subscription["spec"]
    installed = subscription.get("status", {}).get("installedCSV", "")
    if installed and not world.get("ClusterServiceVersion", namespace, installed):
        return _Want(subscription)
    exists = f"subscription {name} exists"
    where = f"the catalog referenced by subscription {name}"
    source = _source_of(world, subscription)

    def unsatisfiable(text: str) -> _Want:
        return _Want(subscription, reason="ConstraintsNotSatisfiable", error=f"{text}, {exists}")

    if source is None:
        missing = f"no operators found from catalog {spec['source']} in namespace {spec['sourceNamespace']}"
        return unsatisfiable(f"{missing} referenced by subscription {name}")
    if _down(world, source):
        cache = f"failed to populate resolver cache from source {spec['source']}/{spec['sourceNamespace']}"
        cause = "failed to list bundles: rpc error: code = Unavailable desc = connection error"
        return _Want(subscription, reason="ErrorPreventedResolution", error=f"{cache}: {cause}")
    package = _package(world, source, spec["name"])
    if package is None:
        return unsatisfiable(f"no operators found in package {spec['name']} in {where}")
    channel = spec.get("channel") or package.default_channel
    entries = package.channels.get(channel)
    if entries is None:
        return unsatisfiable(f"no operators found in channel {channel} of package {package.name} in {where}")
    target = _target(entries, installed, spec.get("startingCSV", ""))
    if target is None:
        if installed:
            return _Want(subscription)
        starting = f"no operators found with name {spec['startingCSV']} in channel {channel}"
        return unsatisfiable(f"{starting} of package {package.name} in {where}")
    orphan = _orphan(world, namespace, package, installed)
    if orphan:
        held = f"clusterserviceversion {orphan} exists and is not referenced by a subscription"
        both = f"@existing/{namespace}//{orphan} and {spec['source']}/{spec['sourceNamespace']}/{channel}/{target.name}"
        return unsatisfiable(f"{held}, {both} provide {package.crds[0]}")
    return _Want(subscription, target)


def _package(world: World, source: Object, name: str) -> Package | None:
    package = PACKAGES.get(name)
    if package is None or _contents(source) not in package.sources:
        return None
    # Jaeger and Elasticsearch left the catalogue in November 2025 (mesh-facts 1.1).
    if package.retired and not world.switches.on("olm.jaeger-in-catalog"):
        return None
    return package


def _target(entries: tuple[Csv, ...], installed: str, starting: str) -> Csv | None:
    names = [csv.name for csv in entries]
    if installed:
        following = names.index(installed) + 1 if installed in names else len(names)
        return entries[following] if following < len(names) else None
    if starting:
        return next((csv for csv in entries if csv.name == starting), None)
    return entries[-1]


def _orphan(world: World, namespace: str, package: Package, installed: str) -> str:
    """A CSV that provides the same and belongs to no Subscription."""
    referenced = {installed}
    for one in world.all("Subscription", namespace):
        status = one.get("status", {})
        referenced |= {status.get("installedCSV", ""), status.get("currentCSV", "")}
    for csv in world.all("ClusterServiceVersion", namespace):
        owned = {crd["name"] for crd in csv["spec"].get("customresourcedefinitions", {}).get("owned", [])}
        if csv["metadata"]["name"] not in referenced and owned & set(package.crds):
            return csv["metadata"]["name"]
    return ""


def _plan(world: World, namespace: str, steps: list[_Want], manual: bool) -> Object:
    names = sorted(want.target.name for want in steps if want.target)
    owners = [want.subscription for want in steps]
    # A new Subscription of an old name gets a plan of its own, so its uid is in the plan's name.
    told = "\n".join([*names, *(one["metadata"]["uid"] for one in owners)])
    name = f"install-{hashlib.sha256(told.encode()).hexdigest()[:5]}"
    generation = 1 + max((one["spec"].get("generation", 0) for one in world.all("InstallPlan", namespace)), default=0)
    spec = {
        "approval": "Manual" if manual else "Automatic",
        "approved": not manual,
        "clusterServiceVersionNames": names,
        "generation": generation,
    }
    plan = made("InstallPlan", f"{GROUP}/v1alpha1", namespace, name, "olm", spec=spec)
    plan["metadata"]["ownerReferences"] = [
        {
            "apiVersion": one["apiVersion"],
            "kind": one["kind"],
            "name": one["metadata"]["name"],
            "uid": one["metadata"]["uid"],
            "controller": False,
            "blockOwnerDeletion": False,
        }
        for one in owners
    ]
    return plan


def _subscription_status(world: World, want: _Want, plan: Object | None, reason: str, message: str) -> Object:
    namespace, _ = ref(want.subscription)
    held = want.subscription.get("status", {})
    status = {
        key: held[key]
        for key in ("currentCSV", "installedCSV", "installPlanRef", "installplan", "installPlanGeneration", "state")
        if key in held
    }
    if plan and want.target and want.target.name in plan["spec"]["clusterServiceVersionNames"]:
        status |= _plan_reference(plan) | {"currentCSV": want.target.name, "state": "UpgradePending"}
    current = status.get("currentCSV", "")
    if current and world.get("ClusterServiceVersion", namespace, current):
        status |= {"installedCSV": current, "state": "AtLatestKnown"}
    source = _source_of(world, want.subscription)
    healthy = source is not None and not _down(world, source)
    status["conditions"] = _subscription_conditions(world, want, status, healthy, reason, message)
    status["catalogHealth"] = _catalog_health(world, held)
    return _unless_equal(held, status, world.stamp)


def _plan_reference(plan: Object) -> Object:
    namespace, name = ref(plan)
    told = {"apiVersion": plan["apiVersion"], "kind": plan["kind"], "name": name}
    uid = plan["metadata"]["uid"]
    return {
        "installPlanRef": told | {"namespace": namespace, "uid": uid},
        "installplan": told | {"uuid": uid},
        "installPlanGeneration": plan["spec"].get("generation", 0),
    }


def _subscription_conditions(
    world: World, want: _Want, status: Object, healthy: bool, reason: str, message: str
) -> list[Object]:
    namespace, _ = ref(want.subscription)
    spec = want.subscription["spec"]
    wanted: list[tuple[str, str, str, str]] = []
    if healthy:
        text = "all available catalogsources are healthy"
        wanted.append(("CatalogSourcesUnhealthy", "False", "AllCatalogSourcesHealthy", text))
    else:
        text = f"targeted catalogsource {spec['sourceNamespace']}/{spec['source']} missing"
        if _source_of(world, want.subscription):
            text = f"targeted catalogsource {spec['sourceNamespace']}/{spec['source']} unhealthy"
        wanted.append(("CatalogSourcesUnhealthy", "True", "UnhealthyCatalogSourceFound", text))
    if reason:
        wanted.append(("ResolutionFailed", "True", reason, message))
    plan = world.get("InstallPlan", namespace, status.get("installPlanRef", {}).get("name", ""))
    phase = plan.get("status", {}).get("phase") if plan else None
    if phase == "Failed" and plan:
        cause = plan["status"]["conditions"][0]
        wanted.append(("InstallPlanFailed", "True", cause["reason"], cause["message"]))
    elif phase in ("RequiresApproval", "Installing"):
        wanted.append(("InstallPlanPending", "True", phase, ""))
    held = {one["type"]: one for one in want.subscription.get("status", {}).get("conditions", [])}
    result = []
    for kind, value, why, text in wanted:
        before = held.get(kind, {})
        since = before.get("lastTransitionTime") if before.get("status") == value else None
        one = {"type": kind, "status": value, "reason": why, "lastTransitionTime": since or world.stamp}
        result.append(one | ({"message": text} if text else {}))
    return result


def _catalog_health(world: World, held: Object) -> list[Object]:
    before = {
        (one["catalogSourceRef"]["name"], one["healthy"]): one["lastUpdated"] for one in held.get("catalogHealth", [])
    }
    result = []
    for source in world.all("CatalogSource"):
        namespace, name = ref(source)
        healthy = not _down(world, source)
        told = {"apiVersion": source["apiVersion"], "kind": "CatalogSource", "name": name, "namespace": namespace}
        since = before.get((name, healthy), world.stamp)
        result.append({"catalogSourceRef": told, "healthy": healthy, "lastUpdated": since})
    return result


def _unless_equal(held: Object, status: Object, stamp: str) -> Object:
    """The status with `lastUpdated`: the old one when nothing else changed."""
    same = {key: value for key, value in held.items() if key != "lastUpdated"} == status
    return status | {"lastUpdated": held["lastUpdated"] if same and "lastUpdated" in held else stamp}


# InstallPlan -> CSV and CRDs


def _install(world: World, plan: Object) -> Iterator[Write]:
    namespace, _ = ref(plan)
    spec, held = plan["spec"], plan.get("status", {})
    if held.get("phase") == "Complete":
        return
    if not spec["approved"]:
        yield Status(plan, {"phase": "RequiresApproval", "catalogSources": []})
        return
    if held.get("phase") in (None, "RequiresApproval"):
        yield Status(plan, {"phase": "Installing", "catalogSources": [], "startTime": world.stamp})
        return
    packages = [package for package in map(package_of, spec["clusterServiceVersionNames"]) if package]
    refused = _group_error(world, namespace)
    if refused:
        text = f"attenuated service account query failed - {refused}"
        yield Status(plan, _plan_status(world, held, "Installing", "False", "InstallCheckFailed", text))
        return
    fault = _plan_fault(world, plan, packages)
    if fault:
        reason, message = fault.reason or "InstallComponentFailed", fault.message or "the switch olm.installplan-fails"
        yield Status(plan, _plan_status(world, held, "Failed", "False", reason, message))
        return
    crds = tuple(crd for package in packages for crd in package.crds)
    yield Crds(crds)
    for name in spec["clusterServiceVersionNames"]:
        package = package_of(name)
        csv = package.csv(name) if package else None
        if package and csv and not world.get("ClusterServiceVersion", namespace, name):
            yield Create(_csv(namespace, package, csv))
    yield Status(plan, _plan_status(world, held, "Complete", "True", "", ""))


def _plan_fault(world: World, plan: Object, packages: list[Package]) -> Fault | None:
    namespace, _ = ref(plan)
    for package in packages:
        names = [one["name"] for one in plan["metadata"].get("ownerReferences", [])]
        if fault := world.switches.on("olm.installplan-fails", namespace, package.name, *names):
            return fault
    return None


def _plan_status(world: World, held: Object, phase: str, installed: str, reason: str, message: str) -> Object:
    before = (held.get("conditions") or [{}])[0]
    same = before.get("status") == installed and before.get("reason", "") == reason
    since = before["lastTransitionTime"] if same else world.stamp
    one = {"type": "Installed", "status": installed, "lastTransitionTime": since, "lastUpdateTime": since}
    one |= ({"reason": reason} if reason else {}) | ({"message": message} if message else {})
    status = {"phase": phase, "catalogSources": [], "conditions": [one]}
    status |= {"startTime": held["startTime"]} if "startTime" in held else {}
    return status | ({"message": message} if message else {})


def _group_error(world: World, namespace: str) -> str:
    count = len(world.all("OperatorGroup", namespace))
    if count == 0:
        return "no operator group found that is managing this namespace"
    return f"more than one operator group(s) are managing this namespace count={count}" if count > 1 else ""


def _csv(namespace: str, package: Package, csv: Csv) -> Object:
    owned = []
    for crd in package.crds:
        kind, version = kind_and_version(crd)
        owned.append({"name": crd, "kind": kind, "version": version})
    modes = ("OwnNamespace", "SingleNamespace", "MultiNamespace", "AllNamespaces")
    spec = {
        "displayName": package.title,
        "version": csv.version,
        "provider": {"name": "Red Hat"},
        "installModes": [{"type": mode, "supported": mode in package.install_modes} for mode in modes],
        "install": {"strategy": "deployment", "spec": {"deployments": [{"name": package.deployment, "spec": {}}]}},
        "customresourcedefinitions": {"owned": owned},
    } | ({"replaces": csv.replaces} if csv.replaces else {})
    made_csv = made("ClusterServiceVersion", f"{GROUP}/v1alpha1", namespace, csv.name, "olm", spec=spec)
    made_csv["metadata"]["labels"][f"{GROUP}/{package.name}.{namespace}"] = ""
    return made_csv


# CSV

_NEXT = {
    "": ("Pending", "RequirementsUnknown", "requirements not yet checked"),
    "Pending": ("InstallReady", "AllRequirementsMet", "all requirements found, attempting install"),
    "InstallReady": ("Installing", "InstallSucceeded", "waiting for install components to report healthy"),
    "Installing": ("Succeeded", "InstallSucceeded", "install strategy completed with no errors"),
    "Failed": ("Pending", "NeedsReinstall", "installing: the cause of the failure is gone"),
}


def _advance(world: World, csv: Object) -> Iterator[Write]:
    """One step of a CSV's phases; the event of the step brings the next."""
    namespace, name = ref(csv)
    held = csv.get("status", {})
    phase = held.get("phase", "")
    package = package_of(name)
    if package is None or phase == "Replacing":
        return  # somebody else's CSV; or one that goes when its successor works
    if error := _csv_error(world, csv, package):
        yield Status(csv, _csv_status(world, held, "Failed", *error))
        return
    missing = [crd for crd in package.crds if not world.established(crd)]
    if phase == "Pending" and missing:
        text = "one or more requirements couldn't be found"
        yield Status(csv, _csv_status(world, held, "Pending", "RequirementsNotMet", text))
        return
    hangs = phase in ("Installing", "Succeeded") and world.switches.on("olm.csv-hangs", namespace, name, package.name)
    if hangs:
        text = f"installing: waiting for deployment {package.deployment} to become ready: deployment"
        text += f' "{package.deployment}" not available: Deployment does not have minimum availability.'
        yield Status(csv, _csv_status(world, held, "Installing", "InstallWaiting", text))
    elif phase in _NEXT:
        yield Status(csv, _csv_status(world, held, *_NEXT[phase]))
    elif phase == "Succeeded":
        yield from _replace(world, csv)


def _csv_error(world: World, csv: Object, package: Package) -> tuple[str, str] | None:
    namespace, name = ref(csv)
    groups = world.all("OperatorGroup", namespace)
    if not groups:
        return "NoOperatorGroup", "csv in namespace with no operatorgroups"
    if len(groups) > 1:
        text = "csv created in namespace with multiple operatorgroups, can't pick one automatically"
        return "TooManyOperatorGroups", text
    mode = _install_mode(namespace, _targets(world, groups[0]))
    if mode not in package.install_modes:
        what = "all namespaces" if mode == "AllNamespaces" else "own namespace" if mode == "OwnNamespace" else "others"
        text = f"{mode} InstallModeType not supported, cannot configure to watch {what}"
        return "UnsupportedOperatorGroup", text
    if fault := world.switches.on("olm.csv-fails", namespace, name, package.name):
        return fault.reason or "InstallComponentFailed", fault.message or "the switch olm.csv-fails"
    return None


def _csv_status(world: World, held: Object, phase: str, reason: str, message: str) -> Object:
    told = {"phase": phase, "reason": reason, "message": message}
    if told.items() <= held.items():
        return held
    since = held.get("lastTransitionTime") if held.get("phase") == phase else None
    step = told | {"lastTransitionTime": since or world.stamp, "lastUpdateTime": world.stamp}
    return step | {"conditions": [*held.get("conditions", []), step][-10:]}


def _replace(world: World, csv: Object) -> Iterator[Write]:
    """The version before goes when the new one works: first Replacing, then away."""
    namespace, _ = ref(csv)
    old = world.get("ClusterServiceVersion", namespace, csv["spec"].get("replaces", ""))
    if old is None:
        return
    if old.get("status", {}).get("phase") == "Replacing":
        yield Delete("ClusterServiceVersion", *ref(old))
    else:
        text = f"being replaced by csv: {csv['metadata']['name']}"
        yield Status(old, _csv_status(world, old.get("status", {}), "Replacing", "BeingReplaced", text))
