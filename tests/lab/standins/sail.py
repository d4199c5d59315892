# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the Sail operator (OSSM 3 and community): Istio, IstioRevision, IstioRevisionTag, IstioCNI.

Sources: mesh-facts 2.1 (versions), 2.2 (kinds, status), 2.3 (revisions); conditions and reasons after SAIL api/v1.

On a kind lab an IstioRevision is a real istiod, rendered by the lab's istioctl with the namespace, revision, tags and
values that were asked for; where an istiod of that revision runs in that namespace already, that one serves. On an
API-only lab no istiod can run, so the conditions are simulated.

What it does not do: run the version that is asked for (there is one istiod, whatever the version); IstioCNI's
DaemonSet (its status is simulated, and istiods are rendered without CNI); ZTunnel, ambient, remote profiles, profiles
at all but for the CNI of OpenShift's; `updateWorkloads`; finalizers. The real CRDs default `spec.version` and refuse
unknown ones by an enumeration; here the controller does both. A revision counts as used by labels of namespaces and of
Deployments' pod templates, not by pods. All control planes share one CA.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from .catalogue import SAIL_CRDS, istio_versions
from .kinds import MADE_BY
from .lastapplied import difference
from .olm import operator
from .world import (
    Crds,
    Create,
    Delete,
    Later,
    Object,
    Patch,
    Render,
    Status,
    Unrender,
    World,
    Write,
    condition,
    conditions,
    made,
    owned_by,
    ref,
)

PACKAGES = ("servicemeshoperator3", "sailoperator")
API = "sailoperator.io/v1"
DEFAULT = "default"
GRACE = 30  # mesh-facts 2.2
HEALTHY = "Healthy"

State = tuple[str, str, str, str]


def reconcile(world: World) -> Iterator[Write]:
    """Everything that the operator would do next; nothing while it is not installed."""
    if "olm" not in world.parts:
        yield Crds(SAIL_CRDS)
    if not all(world.serves(crd) for crd in SAIL_CRDS):
        if "olm" not in world.parts:
            yield Later(0.2)
        return
    csv = operator(world, *PACKAGES)
    if csv is None:
        return
    versions = istio_versions(csv)
    for cni in world.all("IstioCNI"):
        if not _silent(world, cni):
            yield Status(cni, _cni_status(world, cni, versions))
    for istio in world.all("Istio"):
        if not _silent(world, istio):
            yield from _istio(world, istio, versions)
    for revision in world.all("IstioRevision"):
        if not _silent(world, revision):
            yield from _revision(world, revision)
    for tag in world.all("IstioRevisionTag"):
        yield Status(tag, _tag_status(world, tag))
    yield from _orphans(world)


def _silent(world: World, one: Object) -> bool:
    return world.switches.on("sail.silent", "", one["metadata"]["name"]) is not None


def resolve(asked: str, versions: tuple[str, ...]) -> str:
    """The version behind `vX.Y.Z`, `vX.Y-latest` or nothing; empty for one that this operator does not know."""
    if not asked:
        return versions[-1]
    if asked.endswith("-latest"):
        minor = asked.removesuffix("latest").replace("-", ".")
        return next((one for one in reversed(versions) if one.startswith(minor)), "")
    return asked if asked in versions else ""


def revision_name(istio: Object, version: str) -> str:
    """mesh-facts 2.3: the Istio's name, or with RevisionBased that and the version."""
    name = istio["metadata"]["name"]
    based = istio["spec"].get("updateStrategy", {}).get("type") == "RevisionBased"
    return f"{name}-{version.replace('.', '-')}" if based else name


# Istio


def _istio(world: World, istio: Object, versions: tuple[str, ...]) -> Iterator[Write]:
    version = resolve(istio["spec"].get("version", ""), versions)
    error = _spec_error(world, istio, version, versions)
    if error:
        yield Status(istio, _istio_status(world, istio, "", error))
        return
    active = revision_name(istio, version)
    held = world.get("IstioRevision", "", active)
    wanted = _wanted_revision(istio, active, version)
    if held is None:
        yield Create(wanted)
    elif patch := difference(held["spec"], wanted["spec"]):
        yield Patch("IstioRevision", "", active, {"spec": patch})
    yield Status(istio, _istio_status(world, istio, active, ""))
    yield from _retire(world, istio, active)


def _spec_error(world: World, one: Object, version: str, versions: tuple[str, ...]) -> str:
    """Why an Istio or IstioCNI cannot be reconciled."""
    if fault := world.switches.on("sail.reconcile-error", "", one["metadata"]["name"]):
        return fault.message or "the switch sail.reconcile-error"
    if not version:
        return f"version {one['spec'].get('version')} not found; supported versions: {', '.join(versions)}"
    namespace = world.get("Namespace", "", one["spec"]["namespace"])
    if namespace is None:
        return f'namespace "{one["spec"]["namespace"]}" does not exist'
    return "namespace is being deleted" if "deletionTimestamp" in namespace["metadata"] else ""


def _wanted_revision(istio: Object, name: str, version: str) -> Object:
    values = dict(istio["spec"].get("values", {}))
    values["global"] = values.get("global", {}) | {"istioNamespace": istio["spec"]["namespace"]}
    values["revision"] = "" if name == DEFAULT else name
    spec = {"version": version, "namespace": istio["spec"]["namespace"], "values": values}
    revision = made("IstioRevision", API, "", name, "sail", spec=spec)
    revision["metadata"]["ownerReferences"] = owned_by(istio)
    return revision


def _revisions(world: World, istio: Object) -> list[Object]:
    return [one for one in world.all("IstioRevision") if _owner(one) == istio["metadata"]["uid"]]


def _owner(one: Object) -> str:
    return next((owner["uid"] for owner in one["metadata"].get("ownerReferences", [])), "")


def _istio_status(world: World, istio: Object, active: str, error: str) -> Object:
    owned = _revisions(world, istio)
    revision = next((one for one in owned if one["metadata"]["name"] == active), None)
    states: list[State]
    if error:
        fault = world.switches.on("sail.reconcile-error", "", istio["metadata"]["name"])
        reason = (fault.reason if fault else "") or "ReconcileError"
        states = [("Reconciled", "False", reason, error)]
        text = "cannot determine readiness because the Istio is not reconciled"
        states.append(("Ready", "Unknown", "ReconcileError", text))
    elif revision is None or revision.get("status", {}).get("observedGeneration") != revision["metadata"]["generation"]:
        text = "active IstioRevision not found" if revision is None else "active IstioRevision is not observed yet"
        states = [("Reconciled", "False", "ActiveRevisionNotFound", text)]
        states.append(("Ready", "False", "ActiveRevisionNotFound", text))
    else:
        states = [
            (one["type"], one["status"], one.get("reason", ""), one.get("message", ""))
            for one in revision["status"]["conditions"]
            if one["type"] != "InUse"
        ]
    status: Object = {
        "observedGeneration": istio["metadata"]["generation"],
        "conditions": conditions(world, istio, *states),
        "state": _state(states),
        "revisions": {
            "total": len(owned),
            "ready": sum(condition(one, "Ready") == "True" for one in owned),
            "inUse": sum(condition(one, "InUse") == "True" for one in owned),
        },
    }
    return status | ({"activeRevisionName": active} if active else {})


def _state(states: list[State]) -> str:
    """`Healthy`, or the reason of the first condition that is not."""
    return next((reason for kind, value, reason, _ in states if kind != "InUse" and value != "True"), HEALTHY)


def _retire(world: World, istio: Object, active: str) -> Iterator[Write]:
    """Delete revisions that are neither active nor used, after the grace period."""
    strategy = istio["spec"].get("updateStrategy", {})
    grace = timedelta(seconds=strategy.get("inactiveRevisionDeletionGracePeriodSeconds", GRACE))
    for one in _revisions(world, istio):
        used = next((c for c in one.get("status", {}).get("conditions", []) if c["type"] == "InUse"), None)
        if one["metadata"]["name"] == active or used is None or used["status"] == "True":
            continue
        left = datetime.fromisoformat(used["lastTransitionTime"]) + grace - world.now
        if left <= timedelta():
            yield Delete("IstioRevision", *ref(one))
        else:
            yield Later(left.total_seconds())


# IstioRevision


def _revision(world: World, revision: Object) -> Iterator[Write]:
    name, namespace = revision["metadata"]["name"], revision["spec"]["namespace"]
    plane = _istiod(world, namespace, name)
    foreign = plane is not None and MADE_BY not in plane["metadata"].get("labels", {})
    if world.pods and not foreign and world.get("Namespace", "", namespace):
        tags = sorted(one["metadata"]["name"] for one in world.all("IstioRevisionTag") if _target(world, one) == name)
        yield Render(_key(name), _settings(revision, tags))
    states: list[State] = []
    if failed := world.render_errors.get(_key(name)):
        states.append(("Reconciled", "False", "ReconcileError", failed[:1000]))
    else:
        states.append(("Reconciled", "True", "", ""))
    owner = next((one["name"] for one in revision["metadata"].get("ownerReferences", [])), name)
    if fault := world.switches.on("sail.never-healthy", "", owner):
        text = fault.message or "not all istiod pods are ready"
        states.append(("Ready", "False", fault.reason or "IstiodNotReady", text))
    elif world.pods and not world.available(plane):
        text = "not all istiod pods are ready" if plane else "istiod Deployment not found"
        states.append(("Ready", "False", "IstiodNotReady", text))
    else:
        states.append(("Ready", "True", "", ""))
    states.append(_dependencies(world, revision))
    if _used(world, name):
        states.append(("InUse", "True", "ReferencedByWorkloads", "Referenced by at least one pod or namespace"))
    else:
        states.append(("InUse", "False", "NotReferencedByAnything", "Not referenced by any pod or namespace"))
    status = {
        "observedGeneration": revision["metadata"]["generation"],
        "conditions": conditions(world, revision, *states),
        "state": _state(states),
    }
    yield Status(revision, status)


def _key(revision: str) -> str:
    return f"sail-{revision}"


def _settings(revision: Object, tags: list[str]) -> Object:
    values = {key: value for key, value in revision["spec"].get("values", {}).items() if key != "profile"}
    pilot = {key: value for key, value in values.get("pilot", {}).items() if key != "cni"}
    name = revision["metadata"]["name"]
    return {
        "namespace": revision["spec"]["namespace"],
        "revision": "" if name == DEFAULT else name,
        "by": "sail",
        "values": values | {"pilot": pilot, "revisionTags": tags},
    }


def _istiod(world: World, namespace: str, revision: str) -> Object | None:
    for one in world.all("Deployment", namespace):
        labels = one["metadata"].get("labels", {})
        if labels.get("app") == "istiod" and labels.get("istio.io/rev", DEFAULT) == revision:
            return one
    return None


def _dependencies(world: World, revision: Object) -> State:
    """mesh-facts 2.2: on OpenShift, or where CNI is switched on, the IstioCNI must be there and healthy."""
    asked = revision["spec"].get("values", {}).get("pilot", {}).get("cni", {}).get("enabled")
    if not (asked if asked is not None else "openshift" in world.parts):
        return "DependenciesHealthy", "True", "", ""
    cni = world.get("IstioCNI", "", DEFAULT)
    if cni is None:
        text = "IstioCNI resource does not exist"
        return "DependenciesHealthy", "False", "IstioCNINotFound", text
    if cni.get("status", {}).get("state") != HEALTHY:
        text = "IstioCNI resource status indicates that the component is not healthy"
        return "DependenciesHealthy", "False", "IstioCNINotHealthy", text
    return "DependenciesHealthy", "True", "", ""


def _used(world: World, revision: str) -> bool:
    """Whether a namespace or a Deployment names the revision, or a tag of it."""
    names = {revision}
    names |= {one["metadata"]["name"] for one in world.all("IstioRevisionTag") if _target(world, one) == revision}
    for namespace in world.all("Namespace"):
        labels = namespace["metadata"].get("labels", {})
        # mesh-facts 2.3: `istio-injection` wins.
        named = DEFAULT if labels.get("istio-injection") == "enabled" else labels.get("istio.io/rev")
        if named in names:
            return True
    templates = [one["spec"]["template"]["metadata"].get("labels", {}) for one in world.all("Deployment")]
    return any(labels.get("istio.io/rev") in names for labels in templates)


# IstioRevisionTag


def _target(world: World, tag: Object) -> str:
    """The revision that a tag stands for; empty where its target is not there."""
    target = tag["spec"]["targetRef"]
    if target["kind"] == "Istio":
        istio = world.get("Istio", "", target["name"])
        return (istio or {}).get("status", {}).get("activeRevisionName", "")
    held = world.get("IstioRevision", "", target["name"])
    return target["name"] if held and target["kind"] == "IstioRevision" else ""


def _tag_status(world: World, tag: Object) -> Object:
    name, target = tag["metadata"]["name"], _target(world, tag)
    revision = world.get("IstioRevision", "", target)
    states: list[State]
    if world.get("IstioRevision", "", name):
        text = "an IstioRevision exists with this name"
        states = [("Reconciled", "False", "NameAlreadyExists", text)]
    elif revision is None:
        states = [("Reconciled", "False", "RefNotFound", "referenced Istio resource does not exist")]
    else:
        states = [("Reconciled", "True", "", "")]
    if revision and _used(world, name):
        states.append(("InUse", "True", "ReferencedByWorkloads", "Referenced by at least one pod or namespace"))
    else:
        states.append(("InUse", "False", "NotReferencedByAnything", "Not referenced by any pod or namespace"))
    status: Object = {
        "observedGeneration": tag["metadata"]["generation"],
        "conditions": conditions(world, tag, *states),
        "state": _state(states),
    }
    where = {"istioRevision": target, "istiodNamespace": revision["spec"]["namespace"]} if revision else {}
    return status | where


# IstioCNI


def _cni_status(world: World, cni: Object, versions: tuple[str, ...]) -> Object:
    version = resolve(cni["spec"].get("version", ""), versions)
    name = cni["metadata"]["name"]
    if error := _spec_error(world, cni, version, versions):
        fault = world.switches.on("sail.reconcile-error", "", name)
        reason = (fault.reason if fault else "") or "ReconcileError"
        states = [("Reconciled", "False", reason, error), ("Ready", "Unknown", "ReconcileError", "not reconciled")]
    elif fault := world.switches.on("sail.cni-not-ready", "", name):
        text = fault.message or "not all istio-cni-node pods are ready"
        states = [("Reconciled", "True", "", ""), ("Ready", "False", "DaemonSetNotReady", text)]
    else:
        states = [("Reconciled", "True", "", ""), ("Ready", "True", "", "")]
    return {
        "observedGeneration": cni["metadata"]["generation"],
        "conditions": conditions(world, cni, *states),
        "state": _state(states),
    }


# What is left behind


def _orphans(world: World) -> Iterator[Write]:
    """Revisions of a deleted Istio (nobody collects them on an API-only lab), and istiods of deleted revisions."""
    owners = {istio["metadata"]["uid"] for istio in world.all("Istio")}
    for one in world.all("IstioRevision"):
        if _owner(one) and _owner(one) not in owners:
            yield Delete("IstioRevision", *ref(one))
    wanted = {_key(one["metadata"]["name"]) for one in world.all("IstioRevision")}
    for plane in sorted(world.planes - wanted):
        if plane.startswith("sail-"):
            yield Unrender(plane)
