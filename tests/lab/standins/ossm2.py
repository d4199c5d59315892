# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the OSSM 2 operator: ServiceMeshControlPlane; the rest is in ossm2_gateways.py and ossm2_members.py.

Sources: mesh-facts 1.2 (versions), 1.3 (fields, gateways, reconcile), 1.4 (status), 1.1 (missing dependencies).

On a kind lab every SMCP gets an istiod of its own (revision = its name, as in OSSM 2), rendered by the lab's istioctl,
that sees the SMCP's namespace and its members only; in a namespace that holds an istiod already, that one serves.

What it does not do: run the version of Istio that is asked for (there is one); most of the spec (proxy, telemetry,
policy, certificates, runtime of istiod: accepted, without effect); profiles; Routes and IOR; Kiali, Jaeger, Prometheus
and Grafana (counted as components, not made); finalizers; the webhook's defaults (`status.appliedSpec` has them).
All control planes share one CA, since they would otherwise fight for the same ConfigMap in a namespace.
"""

from __future__ import annotations

from collections.abc import Iterator

from . import ossm2_gateways as charts
from . import ossm2_members as membership
from .catalogue import OSSM2_CRDS
from .lastapplied import bring
from .olm import operator
from .world import Crds, Create, Delete, Later, Object, Render, Status, Unrender, World, Write, conditions, made, ref

VERSION = "2.6.14"
PACKAGE = "servicemeshoperator"
NEWEST = "v2.6"
# Kinds of which an SMCP's objects are; what of them it renders no longer goes.
OWNED = (
    "Deployment",
    "Service",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "HorizontalPodAutoscaler",
    "NetworkPolicy",
)


def reconcile(world: World) -> Iterator[Write]:
    """Everything that the operator would do next; nothing while it is not installed."""
    if "olm" not in world.parts:
        yield Crds(OSSM2_CRDS)
    if not all(world.serves(crd) for crd in OSSM2_CRDS):
        if "olm" not in world.parts:
            yield Later(0.2)
        return
    if operator(world, PACKAGE) is None:
        return
    for smcp in world.all("ServiceMeshControlPlane"):
        if not membership.silent(world, smcp):
            yield from _control_plane(world, smcp)
    yield from membership.reconcile(world)
    yield from _orphans(world)


def _control_plane(world: World, smcp: Object) -> Iterator[Write]:
    namespace, name = ref(smcp)
    first = membership.mesh_of(world, namespace)
    if first and first["metadata"]["uid"] != smcp["metadata"]["uid"]:
        text = "Multiple ServiceMeshControlPlane resources exist in the namespace"
        yield Status(smcp, _status(world, smcp, ("False", "ErrMultipleSMCPs", text)))
        return
    held = smcp.get("status", {})
    if held.get("observedGeneration") != smcp["metadata"]["generation"]:
        # Seen, not done: whoever waits for `Reconciled` must not take the last generation's.
        first_time = "observedGeneration" not in held
        reason = "ResourceCreated" if first_time else "SpecUpdated"
        text = f"{'Installing' if first_time else 'Updating'} mesh generation {smcp['metadata']['generation']}"
        yield Status(smcp, _status(world, smcp, ("False", reason, text)))
        return
    if error := _error(world, smcp):
        yield Status(smcp, _status(world, smcp, ("False", *error)))
        return
    if smcp["spec"].get("mode") == "ClusterWide" and not world.get("ServiceMeshMemberRoll", namespace, "default"):
        # mesh-facts 1.5
        spec = {"memberSelectors": [{"matchLabels": {"istio-injection": "enabled"}}]}
        yield Create(made("ServiceMeshMemberRoll", "maistra.io/v1", namespace, "default", "ossm2", spec=spec))
    revision, foreign = istiod(world, namespace, name)
    if world.pods and not foreign:
        yield Render(key(smcp), _settings(smcp))
    if not _istiod_ready(world, namespace):
        # As the operator does, gateways wait for istiod: a pod that nobody injects would keep its image `auto`.
        reason = "PausingInstall" if "chartVersion" not in held else "PausingUpdate"
        text = "Paused until the following components become ready: [istio-discovery]"
        yield Status(smcp, _status(world, smcp, ("False", reason, text)))
        return
    wanted = [*charts.render(smcp, revision), *membership.network_policies(smcp, namespace)]
    for one in wanted:
        yield from bring(world, one)
    yield from _prune(world, smcp, {(one["kind"], *ref(one)) for one in wanted})
    first_time = not any(c["type"] == "Installed" and c["status"] == "True" for c in held.get("conditions", []))
    reason = "InstallSuccessful" if first_time or smcp["metadata"]["generation"] == 1 else "UpdateSuccessful"
    yield Status(smcp, _status(world, smcp, ("True", reason, "Successfully installed all mesh components")))


def key(smcp: Object) -> str:
    """The name of an SMCP's control plane among all."""
    return "smcp-" + "-".join(ref(smcp))


def istiod(world: World, namespace: str, name: str) -> tuple[str, bool]:
    """The revision that serves a control plane's namespace, and whether somebody else's istiod does."""
    for one in world.all("Deployment", namespace):
        labels = one["metadata"].get("labels", {})
        if labels.get("app") == "istiod" and "standins/made-by" not in labels:
            return labels.get("istio.io/rev", "default"), True
    return name, False


def _istiod_ready(world: World, namespace: str) -> bool:
    return not world.pods or any(
        one["metadata"].get("labels", {}).get("app") == "istiod" and world.available(one)
        for one in world.all("Deployment", namespace)
    )


def _settings(smcp: Object) -> Object:
    namespace, name = ref(smcp)
    return {"namespace": namespace, "revision": name, "by": "ossm2", "members": membership.MEMBER_OF, "values": {}}


def _error(world: World, smcp: Object) -> tuple[str, str] | None:
    """Reason and message of what keeps the mesh from being reconciled."""
    if fault := world.switches.on("ossm2.reconcile-error", *ref(smcp)):
        return fault.reason or "ReconcileError", fault.message or "the switch ossm2.reconcile-error"
    spec = applied(smcp)
    for wanted, kind, crd in (
        (spec["addons"]["kiali"]["enabled"], "Kiali", "kialis.kiali.io"),
        (spec["tracing"]["type"] == "Jaeger", "Jaeger", "jaegers.jaegertracing.io"),
    ):
        if wanted and not world.established(crd):
            return "DependencyMissingError", f"{kind} is enabled, but the {kind} CRD is not installed: {crd}"
    if failed := world.render_errors.get(key(smcp)):
        return "ReconcileError", failed[:1000]
    return None


def applied(smcp: Object) -> Object:
    """The spec with the defaults that matter here. The default profile has the add-ons on; 2.6 left Jaeger out."""
    spec = dict(smcp["spec"])
    version = spec.setdefault("version", NEWEST)
    spec.setdefault("profiles", ["default"])
    spec.setdefault("mode", "MultiTenant")
    spec["tracing"] = {"type": "None" if version == NEWEST else "Jaeger"} | spec.get("tracing", {})
    addons = dict(spec.get("addons", {}))
    for one in ("grafana", "kiali", "prometheus"):
        addons[one] = {"enabled": True} | addons.get(one, {})
    spec["addons"] = addons
    return spec


# What is no longer wanted


def _prune(world: World, smcp: Object, wanted: set[tuple[str, str, str]]) -> Iterator[Write]:
    """Objects of this SMCP that it renders no longer; not those in member namespaces, and not what was adopted."""
    home, name = ref(smcp)
    elsewhere = set(membership.members(world, smcp))
    for kind in OWNED:
        for one in world.all(kind):
            if not _belongs(one, home, name) or (kind, *ref(one)) in wanted:
                continue
            if kind == "NetworkPolicy" and ref(one)[0] in elsewhere and "app" not in one["metadata"]["labels"]:
                continue
            yield Delete(kind, *ref(one))


def _belongs(one: Object, home: str, name: str) -> bool:
    labels = one["metadata"].get("labels", {})
    # mesh-facts 1.3: who takes this label off keeps the Service.
    return (
        labels.get("app.kubernetes.io/managed-by") == charts.MANAGED_BY
        and labels.get("maistra.io/owner") == home
        and labels.get("maistra.io/owner-name") == name
    )


def _orphans(world: World) -> Iterator[Write]:
    """What a deleted SMCP left; on an API-only lab nobody else collects it."""
    there = {ref(smcp) for smcp in world.all("ServiceMeshControlPlane")}
    for kind in OWNED:
        for one in world.all(kind):
            labels = one["metadata"].get("labels", {})
            owner = labels.get("maistra.io/owner", ""), labels.get("maistra.io/owner-name", "")
            if _belongs(one, *owner) and all(owner) and owner not in there:
                yield Delete(kind, *ref(one))
    wanted = {key(smcp) for smcp in world.all("ServiceMeshControlPlane")}
    for plane in sorted(world.planes - wanted):
        if plane.startswith("smcp-"):
            yield Unrender(plane)


# Status


def _components(world: World, smcp: Object) -> dict[str, bool]:
    """Component -> whether it is ready."""
    namespace, _ = ref(smcp)
    spec = applied(smcp)
    ready = dict.fromkeys(("mesh-config", "rbac", "telemetry-common"), True)
    ready |= {one: True for one in ("grafana", "kiali", "prometheus") if spec["addons"][one]["enabled"]}
    ready |= {"tracing": True} if spec["tracing"]["type"] == "Jaeger" else {}
    ready["istio-discovery"] = _istiod_ready(world, namespace)
    for gateway in charts.gateways(smcp):
        ready[gateway.component] = world.available(world.get("Deployment", gateway.namespace, gateway.name))
    return dict(sorted(ready.items()))


def _status(world: World, smcp: Object, reconciled: tuple[str, str, str]) -> Object:
    held = smcp.get("status", {})
    installed_before = any(c["type"] == "Installed" and c["status"] == "True" for c in held.get("conditions", []))
    status: Object = {
        "observedGeneration": smcp["metadata"]["generation"],
        "operatorVersion": VERSION,
        "annotations": held.get("annotations", {}),
        "readiness": held.get("readiness", {"components": {}}),
    }
    installed = reconciled if not installed_before else ("True", "InstallSuccessful", "")
    if reconciled[0] == "True":
        installed = ("True", "InstallSuccessful", "Successfully installed all mesh components")
        groups = _readiness(world, smcp)
        total = sum(map(len, groups.values()))
        status["readiness"] = {"components": groups}
        status["annotations"] = {"readyComponentCount": f"{len(groups['ready'])}/{total}"}
        status |= {"chartVersion": VERSION, "appliedSpec": applied(smcp)}
        missing = sorted(groups["pending"] + groups["unready"])
        ready = ("True", "ComponentsReady", "All component deployments are Available")
        if missing:
            text = f"Some components are not fully available: {', '.join(missing)}"
            ready = ("False", "ComponentsNotReady", text)
    else:
        status |= {key: held[key] for key in ("chartVersion", "appliedSpec") if key in held}
        ready = ("False", *reconciled[1:])
    states = [("Installed", *installed), ("Reconciled", *reconciled), ("Ready", *ready)]
    status["conditions"] = conditions(world, smcp, *states)
    return status


def _readiness(world: World, smcp: Object) -> dict[str, list[str]]:
    components = _components(world, smcp)
    groups: dict[str, list[str]] = {"ready": [], "unready": [], "pending": []}
    never = world.switches.on("ossm2.never-ready", *ref(smcp))
    some = world.switches.on("ossm2.components-not-ready", *ref(smcp))
    unready = {one.strip() for one in (some.reason or "istio-ingress").split(",")} if some else set()
    for component, ready in components.items():
        if never and component != "istio-discovery":
            groups["pending"].append(component)
        elif component in unready:
            groups["unready"].append(component)
        else:
            groups["ready" if ready else "pending"].append(component)
    return groups
