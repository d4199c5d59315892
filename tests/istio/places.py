# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where worlds live: the namespaces, gateway pods and control planes that all of them share."""

from __future__ import annotations

from typing import Any, NamedTuple

PREFIX = "is-"
# Every gateway pod carries it; a Gateway that asks for no more reaches all pods of its control plane.
SHARED = {"istio-worlds": "gateway"}
SCOPED_REVISION = "is-scoped"
DISCOVERED = {"istio-worlds-mesh": SCOPED_REVISION}


class Pod(NamedTuple):
    """A gateway workload with one pod."""

    name: str
    namespace: str
    revision: str
    unprivileged: bool = False

    @property
    def key(self) -> str:
        """Its name as listener_tables writes it."""
        return f"{self.namespace}/{self.name}"

    @property
    def labels(self) -> dict[str, str]:
        """The labels that a Gateway may ask for."""
        return {**SHARED, "istio": f"{PREFIX}{self.name}"}


# The lab's own control plane, which sees all namespaces, and one that is scoped and sees some.
PODS = (
    Pod("east", "is-one", "default"),
    Pod("west", "is-two", "default", unprivileged=True),
    Pod("south", "is-scoped-one", SCOPED_REVISION),
)
NAMESPACES = {
    "default": ("is-one", "is-two", "is-three"),
    SCOPED_REVISION: ("is-scoped-one", "is-scoped-two", "is-hidden"),
}
HIDDEN = "is-hidden"
# Backends of which the ports matter: a destination may leave its port out.
BACKENDS = {"single": (7001,), "double": (7002, 7003)}


def namespace_labels(name: str) -> dict[str, str]:
    """Return the labels of a namespace: those that the scoped control plane discovers."""
    return dict(DISCOVERED) if name in NAMESPACES[SCOPED_REVISION] and name != HIDDEN else {}


def backend_services() -> list[dict[str, Any]]:
    """Return the backends of every namespace."""
    found = []
    for namespace in [name for names in NAMESPACES.values() for name in names]:
        specs: dict[str, dict[str, Any]] = {
            name: {"ports": [{"name": f"tcp-{port}", "port": port} for port in ports]}
            for name, ports in BACKENDS.items()
        }
        specs["elsewhere"] = {
            "type": "ExternalName",
            "externalName": "db.test",
            "ports": [{"name": "tcp", "port": 7009}],
        }
        for name, spec in specs.items():
            metadata = {"name": name, "namespace": namespace}
            found.append({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
    return found
