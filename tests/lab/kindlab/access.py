# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's second kubeconfig: a service account with only the rights that docs/rbac.yaml gives."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from .commands import run
from .console import Console
from .paths import CHECKOUT, LabPaths

RBAC = CHECKOUT / "docs" / "rbac.yaml"
ACCOUNT = NAMESPACE = "servicemesh-tcp"
TOKEN_HOURS = 24 * 365


def digest(rbac: Path = RBAC) -> str:
    """What is written down, so that `up` sees a change; empty while the file is not there."""
    return hashlib.sha256(rbac.read_bytes()).hexdigest()[:12] if rbac.is_file() else ""


def with_token(admin: Mapping[str, object], token: str, user: str) -> dict[str, object]:
    """The admin's kubeconfig with another user: same cluster, a token instead of certificates."""
    cluster = admin["clusters"][0]  # type: ignore[index]
    context = {"cluster": cluster["name"], "user": user}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [cluster],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": user, "context": context}],
        "current-context": user,
    }


def grant(paths: LabPaths, env: Mapping[str, str], console: Console) -> str:
    """Apply docs/rbac.yaml and write the account's kubeconfig; return the digest of what was applied."""
    if not RBAC.is_file():
        console.note(f"service account: skipped, {RBAC.relative_to(CHECKOUT)} does not exist yet")
        return ""
    run(["kubectl", "apply", "--server-side", "--force-conflicts", "--filename", str(RBAC)], env=env)
    # By the token request, not by a Secret: that also works on an API server without controllers.
    command = ["kubectl", "create", "token", ACCOUNT, "--namespace", NAMESPACE, f"--duration={TOKEN_HOURS}h"]
    token = run(command, env=env).stdout.strip()
    admin = json.loads(run(["kubectl", "config", "view", "--raw", "--output=json"], env=env).stdout)
    write_private(paths.tcp_kubeconfig, json.dumps(with_token(admin, token, ACCOUNT), indent=1) + "\n")
    return digest()


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads."""
    path.touch(mode=0o600)
    path.write_text(text)
