# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a control plane still lacks, in the words of its operator's status.

Sources: maistra/istio-operator, pkg/apis/maistra/status/status.go; istio-ecosystem/sail-operator, docs/api-reference.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._conditions import condition, reason_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._lack import (
    Fatal,
    LackRule,
    Look,
)

# What only a change of the object cures; any other complaint of an operator may pass, and is shown meanwhile.
LASTING = ("ErrMultipleSMCPs", "ValidationError", "NameAlreadyExists")
UNSEEN = "its operator has not seen its newest form yet (does it run?)"


def _unseen(obj: Mapping[str, Any]) -> bool:
    """Tell whether the status is still that of an older form, or of none."""
    status = obj.get("status") or {}
    return status.get("observedGeneration", 0) < obj["metadata"].get("generation", 1)


def _complaint(obj: Mapping[str, Any], kind: str) -> str:
    """Return what a condition that has to be True says, '' where it is; a Fatal where only a change cures it."""
    item = condition(obj, kind)
    if item.get("status") == "True":
        return ""
    text = f"{kind} is {item.get('status', 'not known yet')}"
    if reason_text(item):
        text += f" ({reason_text(item)})"
    return Fatal(text) if item.get("reason") in LASTING else text


def smcp_lacks(obj: Mapping[str, Any], _until: Mapping[str, Any], _look: Look) -> str:
    """Return what a ServiceMeshControlPlane lacks: C(Installed), C(Reconciled), C(Ready), at its newest form."""
    if _unseen(obj):
        return UNSEEN
    complaints = [text for kind in ("Installed", "Reconciled", "Ready") if (text := _complaint(obj, kind))]
    if not complaints:
        return ""
    fatal = next((text for text in complaints if isinstance(text, Fatal)), None)
    return fatal or "; ".join([*_components(obj), *complaints])


def _components(obj: Mapping[str, Any]) -> list[str]:
    """Say how many components are ready, and which are not."""
    status = obj.get("status") or {}
    count = (status.get("annotations") or {}).get("readyComponentCount", "")
    if not count:
        return []
    components = (status.get("readiness") or {}).get("components") or {}
    waiting = sorted({*(components.get("unready") or []), *(components.get("pending") or [])})
    return [f"{count} components are ready" + (f", not {', '.join(waiting)}" if waiting else "")]


def sail_lacks(obj: Mapping[str, Any], _until: Mapping[str, Any], _look: Look) -> str:
    """Return what an Istio or IstioCNI lacks: the state C(Healthy) at its newest form."""
    if _unseen(obj):
        return UNSEEN
    status = obj.get("status") or {}
    if status.get("state") == "Healthy":
        return ""
    named = {item.get("type") for item in status.get("conditions") or []}
    kinds = [kind for kind in ("Reconciled", "DependenciesHealthy", "Ready") if kind in named]
    complaints = [text for kind in kinds if (text := _complaint(obj, kind))]
    fatal = next((text for text in complaints if isinstance(text, Fatal)), None)
    return fatal or "; ".join([f"its state is {status.get('state') or 'not known yet'}", *complaints])


def tag_lacks(obj: Mapping[str, Any], _until: Mapping[str, Any], _look: Look) -> str:
    """Return what an IstioRevisionTag lacks; one that no namespace uses yet is done, and never gets C(InUse)."""
    return UNSEEN if _unseen(obj) else _complaint(obj, "Reconciled")


RULES: Mapping[str, LackRule] = {
    "ServiceMeshControlPlane": smcp_lacks,
    "Istio": sail_lacks,
    "IstioCNI": sail_lacks,
    "IstioRevisionTag": tag_lacks,
}
