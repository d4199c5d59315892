# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names, labels and field managers: how the cluster tells what belongs to whom.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import functools
import hashlib
import re
import sys
from collections.abc import Mapping
from typing import Any

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
SET_LABEL = "servicemesh.tcp/set"
GATEWAY_LABEL = "servicemesh.tcp/gateway"
# On a Service that leads to a backend past the gateway: which door of a record it is.
DOOR_LABEL = "servicemesh.tcp/door"
# On a Route, whose port carries no name: the hash of set and record.
RECORD_LABEL = "servicemesh.tcp/record"
# On what is made beside a backend: the Service that it is about.
BACKEND_LABEL = "servicemesh.tcp/backend"
GATEWAY_NAMESPACE_LABEL = "servicemesh.tcp/gateway-namespace"
DEFINED_BY_LABEL = "servicemesh.tcp/defined-by"
SOURCE_ANNOTATION = "servicemesh.tcp/source"
DEFINITION_ANNOTATION = "servicemesh.tcp/definition"
# On the ConfigMap that says whose Helm releases these are: the revision that they bring.
PLANE_LABEL = "servicemesh.tcp/control-plane"
# Which entries of a list that has no owners inside it are this collection's: JSON, on the object that holds the list.
ENTRIES_ANNOTATION = "servicemesh.tcp/entries"
# For which mesh a workload's pods were replaced; the value changes only when the mesh does.
RESTARTED_ANNOTATION = "servicemesh.tcp/restarted-for"

COLLECTION = "servicemesh.tcp"
# Each set applies its own ports to the shared front Service under a field manager of its own.
SET_MANAGER_PREFIX = "servicemesh.tcp/"
# The labels of somebody else's namespace that onboarding put there, and can take away again, are this manager's.
ONBOARDING_MANAGER = "servicemesh.tcp-onboarding"

# What Kubernetes allows for the name of a Gateway (Istio: a DNS label) and for a label's value.
LABEL_MAX = 63
PORT_NAME = re.compile(r"tcp-(\d+)-([0-9a-f]{8})")


# A plan asks for a record's several times.
@functools.lru_cache(maxsize=65536)
def short_hash(*parts: str) -> str:
    """Return 8 hex digits that stand for the parts."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:8]


def port_name(port: int, set_name: str, record: str) -> str:
    """Return the name of an exclusive port: C(tcp-<port>-<8 hex of set and record>).

    It carries its record, so that the API server itself refuses a second owner of the port.
    """
    return f"tcp-{port}-{short_hash(set_name, record)}"


def names_of(record: Mapping[str, Any]) -> list[str]:
    """Return the names under which a record's ports may be on the cluster: its own, and its former one."""
    return [record["name"], *([record["was"]] if record["was"] is not None else [])]


def record_hash(name: str | None) -> str | None:
    """Read the record's hash back from the name of a port; V(None) where the name is not ours."""
    match = PORT_NAME.fullmatch(name or "")
    return match.group(2) if match else None


def set_manager(set_name: str) -> str:
    """Return the field manager under which a set's ports are applied to a front Service."""
    return SET_MANAGER_PREFIX + set_name


def manager_set(manager: str) -> str | None:
    """Return the set behind a field manager, V(None) for anybody else's."""
    if manager.startswith(SET_MANAGER_PREFIX):
        return manager[len(SET_MANAGER_PREFIX) :]
    return None


def set_object_name(gateway: str, set_name: str) -> str:
    """Return the name of a set's objects on a gateway; the hash keeps C(a-b)+C(c) apart from C(a)+C(b-c)."""
    suffix = "-" + short_hash(gateway, set_name)
    return f"{gateway}-{set_name}"[: LABEL_MAX - len(suffix)].rstrip("-") + suffix


def door_name(service: str, set_name: str, record: str, door: str) -> str:
    """Return the name of the Service that is a record's door; another door of it is another Service."""
    suffix = "-tcp-" + short_hash(set_name, record, door)
    return service[: LABEL_MAX - len(suffix)].rstrip("-") + suffix


def front_name(gateway: str, number: int) -> str:
    """Return the name of a gateway's front Service: C(edge), C(edge-2), C(edge-3) and so on."""
    if number == 1:
        return gateway
    suffix = f"-{number}"
    return gateway[: LABEL_MAX - len(suffix)].rstrip("-") + suffix


def front_number(gateway: str, name: str) -> int:
    """Return which of a gateway's front Services one is, by its name."""
    if name == gateway:
        return 1
    digits = name.rpartition("-")[2]
    # Whatever carries the gateway's label under a name of another form comes last.
    return int(digits) if digits.isdecimal() else sys.maxsize


def gateway_selector(gateway: str, namespace: str) -> dict[str, str]:
    """Return the pod labels of a gateway.

    The namespace is among them because an Istio Gateway's selector matches pods in all namespaces
    (istio pilot/pkg/model/gateway.go, mergeGateways).
    """
    return {GATEWAY_LABEL: gateway, GATEWAY_NAMESPACE_LABEL: namespace}


def pods_behind(front: Mapping[str, Any] | None, gateway: str, namespace: str) -> dict[str, str]:
    """Return the labels of a gateway's pods: what its front Service selects, where somebody else made that."""
    selector = front["selector"] if front and not is_ours(front["labels"]) else None
    return dict(selector or gateway_selector(gateway, namespace))


def gateway_pod_labels(gateway: str, namespace: str) -> dict[str, str]:
    """Return all labels of a gateway's pods that another Istio Gateway could select."""
    return {
        **gateway_selector(gateway, namespace),
        MANAGED_BY_LABEL: COLLECTION,
        "app": gateway,
        "istio": gateway,
        # Injection is by label: the annotation form is gone in OpenShift Service Mesh 3.
        "sidecar.istio.io/inject": "true",
    }


def gateway_labels(gateway: str) -> dict[str, str]:
    """Return the labels of an object that all sets of a gateway share."""
    return {MANAGED_BY_LABEL: COLLECTION, GATEWAY_LABEL: gateway}


def set_labels(gateway: str, set_name: str) -> dict[str, str]:
    """Return the labels of an object that belongs to one set on one gateway."""
    return {**gateway_labels(gateway), SET_LABEL: set_name}


def is_ours(labels: Mapping[str, Any] | None) -> bool:
    """Tell whether an object was made by this collection."""
    return (labels or {}).get(MANAGED_BY_LABEL) == COLLECTION


def is_of_set(labels: Mapping[str, Any], set_name: str) -> bool:
    """Tell whether an object belongs to a set of this collection."""
    return is_ours(labels) and labels.get(SET_LABEL) == set_name


def port_place(item: Mapping[str, Any]) -> tuple[str, str, int]:
    """Return which port of which gateway a listener or an entry of a port map is: namespace, gateway, port."""
    return item["namespace"], item["gateway"], item["port"]


def host_of(service: str, namespace: str, cluster_domain: str) -> str:
    """Return a Service's full name in DNS, the only form that does not depend on who asks."""
    return f"{service}.{namespace}.svc.{cluster_domain}"


def outbound_cluster(host: str, port: int, subset: str = "") -> str:
    """Return the name that Envoy gives to a Service's port (istio pilot/pkg/model/service.go, BuildSubsetKey)."""
    return f"outbound|{port}|{subset}|{host}"
