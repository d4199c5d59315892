# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real control planes on a kind lab: rendered by the lab's istioctl, applied and removed with kubectl.

What each got is kept in a file beside the lab's state, so that it can be removed by a process that did not bring it.
All istiods share one CA: each writes its root certificate into the same ConfigMap of every namespace that it sees, so
two CAs would fight for it.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from .client import MERGE, Api, ApiError
from .kinds import MADE_BY

PLANE = "standins/plane"
CA = "istio-ca-secret"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


class Planes:
    """Brings and removes control planes. `settings` is what `lab up` says: istioctl's path and the lab's values."""

    def __init__(self, api: Api, folder: Path, kubeconfig: str, settings: Mapping[str, Any]) -> None:
        self._api = api
        self._folder = folder
        self._settings = settings
        self._env = {**os.environ, "KUBECONFIG": kubeconfig}
        self._one = threading.Lock()  # one at a time: istioctl and a starting istiod want the CPU

    def brought(self) -> frozenset[str]:
        """The keys of the control planes that are here, or half here."""
        return frozenset(file.stem for file in self._folder.glob("*.json"))

    def bring(self, key: str, settings: Mapping[str, Any]) -> None:
        """Render and apply a control plane; a repeat changes nothing. Raises RuntimeError with what a program said."""
        with self._one:
            objects = self._render(settings)
            for one in objects:
                _mark(one, key, settings["by"])
            if settings.get("members"):
                _inject_members(objects, settings["namespace"], settings["members"])
            file = self._file(key)
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
            self._share_ca(settings["namespace"])
            # istiod fills in the webhooks' caBundle, so fields of others are taken by force but not cleared.
            apply = ["kubectl", "apply", "--server-side", "--force-conflicts", "--field-manager=standins"]
            self._run([*apply, "--filename", str(file)])
            if settings.get("members"):
                self._keep_off(settings["namespace"], settings["members"])

    def remove(self, key: str) -> None:
        """Remove a control plane; CustomResourceDefinitions stay."""
        with self._one:
            file = self._file(key)
            if not file.exists():
                return
            objects = [one for one in json.loads(file.read_text())["items"] if not _shared(one)]
            rest = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
            self._run(["kubectl", "delete", "--ignore-not-found", "--wait=false", "--filename", "-"], rest)
            file.unlink()

    def _file(self, key: str) -> Path:
        return self._folder / f"{key}.json"

    def _render(self, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
        values = dict(settings["values"])
        mesh_config = values.pop("meshConfig", {})
        namespace = settings["namespace"]
        if settings.get("members"):
            # Like OSSM 2: nothing but the mesh's namespaces is seen, and only pods that ask are injected.
            values["global"] = {"proxy": {"autoInject": "disabled"}}
            values["gateways"] = {"securityContext": {"runAsNonRoot": True, "runAsUser": 1337, "runAsGroup": 1337}}
            mesh_config["discoverySelectors"] = [
                {"matchLabels": {settings["members"]: namespace}},
                {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            ]
        operator = {
            "apiVersion": "install.istio.io/v1alpha1",
            "kind": "IstioOperator",
            "spec": {"values": values, "meshConfig": mesh_config},
        }
        flags = dict(self._settings["values"]) | {"values.global.istioNamespace": namespace}
        if settings["revision"]:
            flags["revision"] = settings["revision"]
        words = [word for name, value in flags.items() for word in ("--set", f"{name}={value}")]
        command = [self._settings["istioctl"], "manifest", "generate", "--filename", "-", *words]
        text = self._run(command, json.dumps(operator))
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        return [one for one in yaml.load_all(text, Loader=loader) if one]

    def _share_ca(self, namespace: str) -> None:
        """Give the new control plane the CA that another one has, before it makes its own."""
        path = f"/api/v1/namespaces/{namespace}/secrets"
        try:
            self._api.request("GET", f"{path}/{CA}")
            return
        except ApiError as error:
            if error.status != 404:
                raise
        found = self._api.request("GET", "/api/v1/secrets", fieldSelector=f"metadata.name={CA}")["items"]
        if found:
            metadata = {"name": CA, "namespace": namespace, "labels": {MADE_BY: "planes"}}
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}
            self._api.request("POST", path, secret | {key: found[0][key] for key in ("data", "type")})

    def _keep_off(self, namespace: str, label: str) -> None:
        """Other istiods must not inject into this mesh's members: their webhooks leave out what carries its label."""
        for one in self._api.request("GET", WEBHOOKS)["items"]:
            labels = one["metadata"].get("labels", {})
            if labels.get("app") != "sidecar-injector" or labels.get(MADE_BY) == "ossm2":
                continue
            changed = False
            for webhook in one["webhooks"]:
                expressions = webhook.setdefault("namespaceSelector", {}).setdefault("matchExpressions", [])
                rule = next((rule for rule in expressions if rule["key"] == label), None)
                if rule is None:
                    rule = {"key": label, "operator": "NotIn", "values": []}
                    expressions.append(rule)
                if namespace not in rule["values"]:
                    rule["values"].append(namespace)
                    changed = True
            if changed:
                self._api.request(
                    "PATCH", f"{WEBHOOKS}/{one['metadata']['name']}", {"webhooks": one["webhooks"]}, MERGE
                )

    def _run(self, command: Sequence[str], feed: str = "") -> str:
        done = subprocess.run(
            list(command), input=feed, env=self._env, capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode != 0:
            raise RuntimeError((done.stderr or done.stdout).strip()[-600:])
        return done.stdout


def _shared(one: Mapping[str, Any]) -> bool:
    """Whether other control planes need it too."""
    return one["kind"] == "CustomResourceDefinition"


def _mark(one: dict[str, Any], key: str, by: str) -> None:
    if not _shared(one):
        one["metadata"].setdefault("labels", {}).update({MADE_BY: by, PLANE: key})


def _inject_members(objects: Sequence[dict[str, Any]], namespace: str, label: str) -> None:
    """OSSM 2's injector acts in the mesh's namespaces, without labels of revisions."""
    for one in objects:
        if one["kind"] != "MutatingWebhookConfiguration":
            continue
        (webhook,) = [each for each in one["webhooks"] if each["name"].startswith("rev.namespace.")]
        wanted = [
            {"key": "sidecar.istio.io/inject", "operator": "NotIn", "values": ["false"]},
        ]
        off = {"key": "istio-injection", "operator": "NotIn", "values": ["disabled"]}
        ignored = {"key": "maistra.io/ignore-namespace", "operator": "DoesNotExist"}
        member = {"key": label, "operator": "In", "values": [namespace]}
        home = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": [namespace]}
        one["webhooks"] = [
            webhook
            | {
                "name": name,
                "namespaceSelector": {"matchExpressions": [which, off, ignored]},
                "objectSelector": {"matchExpressions": wanted},
            }
            for name, which in (
                ("rev.namespace.sidecar-injector.istio.io", member),
                ("rev.object.sidecar-injector.istio.io", home),
            )
        ]
