# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a stand-in sees and what it may do: a reconcile is a function from a world to writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .kinds import KIND_OF, MADE_BY
from .switches import NAME, NAMESPACE, Switches

Object = dict[str, Any]


@dataclass
class World:
    """The objects of the cluster by kind and (namespace, name), and the time.

    `pods` is whether Deployments can run here; without, a Deployment counts as available once it is written.
    """

    objects: dict[str, dict[tuple[str, str], Object]] = field(default_factory=dict)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    parts: frozenset[str] = frozenset()
    pods: bool = False
    # Control planes by the key of their Render: those that were brought, and what a program said where one failed.
    planes: frozenset[str] = frozenset()
    render_errors: dict[str, str] = field(default_factory=dict)

    @property
    def switches(self) -> Switches:
        """The failure switches."""
        held = self.get("ConfigMap", NAMESPACE, NAME)
        return Switches(held.get("data") if held else None)

    @property
    def stamp(self) -> str:
        """The time as the API server writes it."""
        return self.now.strftime("%Y-%m-%dT%H:%M:%SZ")

    def all(self, kind: str, namespace: str | None = None) -> list[Object]:
        """The objects of a kind, oldest first."""
        found = [
            one for (where, _), one in self.objects.get(kind, {}).items() if namespace is None or where == namespace
        ]
        return sorted(found, key=lambda one: (one["metadata"].get("creationTimestamp", ""), ref(one)))

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """One object, or None."""
        return self.objects.get(kind, {}).get((namespace, name))

    def serves(self, crd: str) -> bool:
        """Whether a CustomResourceDefinition is established, and what there is of its kind was read."""
        return self.established(crd) and KIND_OF.get(crd) in (None, *self.objects)

    def established(self, crd: str) -> bool:
        """Whether a CustomResourceDefinition is established."""
        found = self.get("CustomResourceDefinition", "", crd)
        return found is not None and established(found)

    def available(self, deployment: Object | None) -> bool:
        """Whether a Deployment runs with all its pods."""
        if deployment is None:
            return False
        if not self.pods:
            return True
        status = deployment.get("status", {})
        return (
            status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
            and status.get("availableReplicas", 0) >= deployment["spec"].get("replicas", 1)
            and status.get("updatedReplicas", 0) >= deployment["spec"].get("replicas", 1)
        )


@dataclass(frozen=True)
class Create:
    """Create an object where it is not there."""

    object: Object


@dataclass(frozen=True)
class Status:
    """Replace an object's status, where it differs."""

    object: Object
    status: Object


@dataclass(frozen=True)
class Patch:
    """Merge a patch into an object."""

    kind: str
    namespace: str
    name: str
    patch: Object


@dataclass(frozen=True)
class Delete:
    """Delete an object, where it is there."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True)
class Crds:
    """Apply CustomResourceDefinitions (by name), where they are not there."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Render:
    """Bring a control plane to what `settings` say, in the background; `key` names it in `render_errors`."""

    key: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Unrender:
    """Remove the control plane of a Render."""

    key: str


@dataclass(frozen=True)
class Later:
    """Reconcile again after some seconds, though nothing changed."""

    seconds: float


Write = Create | Status | Patch | Delete | Crds | Render | Unrender | Later


def ref(one: Object) -> tuple[str, str]:
    """Namespace and name of an object."""
    return one["metadata"].get("namespace", ""), one["metadata"]["name"]


def established(crd: Object) -> bool:
    """Whether the API server serves a CustomResourceDefinition."""
    return condition(crd, "Established") == "True"


def condition(one: Object, kind: str) -> str:
    """The status of a condition, or an empty string."""
    return next((c["status"] for c in one.get("status", {}).get("conditions") or [] if c["type"] == kind), "")


def conditions(world: World, one: Object, *wanted: tuple[str, str, str, str]) -> list[Object]:
    """Conditions from (type, status, reason, message); the time of one whose status stays is kept."""
    held = {c["type"]: c for c in one.get("status", {}).get("conditions", [])}
    result = []
    for kind, status, reason, message in wanted:
        before = held.get(kind, {})
        since = before.get("lastTransitionTime") if before.get("status") == status else None
        result.append(
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastTransitionTime": since or world.stamp,
            }
        )
    return result


def owned_by(owner: Object) -> list[Object]:
    """The ownerReferences that name an object as the controller."""
    return [
        {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": False,
        }
    ]


def made(kind: str, api_version: str, namespace: str, name: str, by: str, **rest: Any) -> Object:
    """A new object with the label of its stand-in."""
    metadata: Object = {"name": name, "labels": {MADE_BY: by}} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}


def index(objects: Iterable[Object]) -> dict[str, dict[tuple[str, str], Object]]:
    """Objects by kind and (namespace, name)."""
    result: dict[str, dict[tuple[str, str], Object]] = {}
    for one in objects:
        result.setdefault(one["kind"], {})[ref(one)] = one
    return result
