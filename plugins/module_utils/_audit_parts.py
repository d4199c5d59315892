# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an audit keeps of endpoints, pods and certificates: small, while the lists go by.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._conditions import is_serving

# ansible-core needs it too, so it is there wherever the controller runs the module.
with contextlib.suppress(ImportError):
    from cryptography import x509

Place = tuple[str, str]
# A backend's ready endpoints by the name of its port, as EndpointSlices have them.
Endpoints = dict[Place, dict[str, int]]


def ready_backends(pages: Iterable[Iterable[Mapping[str, Any]]]) -> Endpoints:
    """Count the ready endpoints of each Service's port.

    Kubernetes API, EndpointSlice: no ports mean none.
    """
    found: Endpoints = {}
    for page in pages:
        for item in page:
            name = (item["metadata"].get("labels") or {}).get("kubernetes.io/service-name")
            if not name:
                continue
            ports = found.setdefault((item["metadata"]["namespace"], name), {})
            ready = sum(map(is_serving, item.get("endpoints") or []))
            for port in item.get("ports") or []:
                key = port.get("name") or ""
                ports[key] = ports.get(key, 0) + ready
    return found


def host_pods(pages: Iterable[Iterable[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Return the workloads whose pods have ports of their nodes, each port with the number of pods.

    A pod in the host's network may listen on more than it declares; with none declared its port is V(None).
    """
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for page in pages:
        for pod in page:
            spec, metadata = pod["spec"], pod["metadata"]
            if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
                continue
            whole = bool(spec.get("hostNetwork"))
            ports = sorted(
                {
                    port.get("hostPort") or port["containerPort"]
                    for container in spec.get("containers") or []
                    for port in container.get("ports") or []
                    if (whole or port.get("hostPort")) and port.get("protocol", "TCP") == "TCP"
                }
            )
            name = _workload(metadata, spec.get("nodeName", ""))
            for port in ports or ([None] if whole else []):
                key = (metadata["namespace"], name, whole, port)
                entry = found.setdefault(
                    key,
                    {
                        "namespace": metadata["namespace"],
                        "name": name,
                        "host_network": whole,
                        "port": port,
                        "pods": 0,
                        "nodes": [],
                        "metadata": {
                            key: metadata[key]
                            for key in ("labels", "annotations", "ownerReferences", "creationTimestamp")
                            if key in metadata
                        },
                    },
                )
                entry["pods"] += 1
                entry["nodes"].append(spec.get("nodeName", ""))
    return [found[key] for key in sorted(found, key=lambda key: (key[0], key[1], key[2], key[3] or 0))]


def _workload(metadata: Mapping[str, Any], node: str) -> str:
    """Name what a pod belongs to: its controller without a ReplicaSet's hash, a static pod without its node."""
    owner = next((item for item in metadata.get("ownerReferences") or [] if item.get("controller")), None)
    if owner is None or owner["kind"] == "Node":
        return metadata["name"].removesuffix(f"-{node}") if node else metadata["name"]
    template = (metadata.get("labels") or {}).get("pod-template-hash", "")
    return owner["name"].removesuffix(f"-{template}") if template else owner["name"]


def not_after(encoded: str) -> datetime | None:
    """Return when the first certificate of a Secret's C(tls.crt) ends, V(None) where it cannot be read."""
    try:
        certificate = x509.load_pem_x509_certificate(base64.b64decode(encoded))
    except (binascii.Error, ValueError, NameError):
        return None
    # cryptography before 42 has the time without its zone, which is always UTC.
    if hasattr(certificate, "not_valid_after_utc"):
        return certificate.not_valid_after_utc
    return certificate.not_valid_after.replace(tzinfo=timezone.utc)
