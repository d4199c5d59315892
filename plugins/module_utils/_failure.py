# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn a refusal of the API server into a finding: the server's answer is told apart from our own checks.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding, render

if TYPE_CHECKING:
    from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError

VERBS = {"GET": "read", "PATCH": "write", "DELETE": "remove", "POST": "write"}


def finding_of(error: ApiError, subject: str | None = None) -> dict[str, str] | None:
    """Return the finding behind an answer, V(None) where the catalogue has no word for it."""
    if error.status == 0:
        return finding("CLUSTER_UNREACHABLE", subject or "cluster", message=error.message)
    if error.status == 401:
        return finding("UNAUTHENTICATED", subject or "cluster", message=error.message)
    if error.status == 403:
        return finding("FORBIDDEN", subject or error.path, verb=VERBS[error.method], message=error.message)
    return None


def explain(error: ApiError, subject: str | None = None) -> dict[str, Any]:
    """Return what a module fails with."""
    found = finding_of(error, subject)
    if found:
        return {"msg": render([found]), "findings": [found]}
    where = f"{subject}: " if subject else ""
    return {
        "msg": f"{where}the API server answered {error.status} {error.reason} to {error.method} {error.path}: "
        f"{error.message}",
        "findings": [],
    }
