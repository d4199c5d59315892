# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Istio on the cluster: rendered by istioctl, applied as it is, waited for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from . import cache
from .commands import run
from .console import Console

NAMESPACE = "istio-system"

SMALL = {
    "values.global.imagePullPolicy": "IfNotPresent",
    "values.pilot.resources.requests.cpu": "50m",
    "values.pilot.resources.requests.memory": "128Mi",
    "values.pilot.autoscaleEnabled": "false",
    "values.global.proxy.resources.requests.cpu": "10m",
    "values.global.proxy.resources.requests.memory": "32Mi",
}

# The Envoy of the built images is upstream's: it rejects listeners and clusters that name Istio's own filters.
UPSTREAM_ENVOY = {
    "values.telemetry.enabled": "false",
    "values.pilot.env.PILOT_ENABLE_ALPN_FILTER": "false",
    "values.pilot.env.PILOT_ENABLE_METADATA_EXCHANGE": "false",
    "values.pilot.env.PILOT_ENABLE_TELEMETRY_LABEL": "false",
    "values.pilot.env.PILOT_ENDPOINT_TELEMETRY_LABEL": "false",
}


def settings(hub: str, tag: str, built: bool) -> dict[str, str]:
    """The values with which Istio is rendered."""
    return {"profile": "minimal", "hub": hub, "tag": tag} | SMALL | (UPSTREAM_ENVOY if built else {})


def manifest(istioctl: Path, values: Mapping[str, str], env: Mapping[str, str], console: Console) -> Path:
    """Istio's objects as one file, rendered once per istioctl and values."""

    def build(folder: Path, _log: Path, _console: Console) -> None:
        flags = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
        done = run([str(istioctl), "manifest", "generate", *flags], env=env)
        (folder / "istio.yaml").write_text(done.stdout)

    # The folder of a cached program carries the key of everything that went into it.
    inputs = {"istioctl": str(istioctl), "values": dict(values)}
    part = cache.Part("mesh-manifest", "Istio's objects", 2, inputs, build)
    return cache.entry(part, console) / "istio.yaml"


def install(rendered: Path, env: Mapping[str, str]) -> None:
    """Apply Istio; a repeat changes nothing."""
    namespace = f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: {NAMESPACE}}}\n"
    apply = ["kubectl", "apply", "--server-side", "--force-conflicts", "--filename"]
    run([*apply, "-"], env=env, feed=namespace)
    run([*apply, str(rendered)], env=env)


def wait(env: Mapping[str, str], seconds: int = 180) -> None:
    """Wait until istiod is available."""
    command = ["kubectl", "rollout", "status", "deployment/istiod", "--namespace", NAMESPACE, f"--timeout={seconds}s"]
    run(command, env=env, timeout=seconds + 30)


def ready(env: Mapping[str, str]) -> bool:
    """Whether istiod is available, by one short request."""
    command = ["kubectl", "get", "deployment", "istiod", "--namespace", NAMESPACE, "--request-timeout=3s"]
    command += ["--output", "jsonpath={.status.availableReplicas}"]
    done = run(command, env=env, check=False, timeout=10)
    return done.returncode == 0 and done.stdout.strip() not in ("", "0")
