# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until what was written is in force, and read what the cluster's controllers made of it.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import _state, _wait_olm
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import collection_path, describe, object_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._lack import Fatal
from ansible_collections.servicemesh.tcp.plugins.module_utils._selectors import labels_text
from ansible_collections.servicemesh.tcp.plugins.module_utils._wait import lacks, pod_troubles

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule
    from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api

POLL_SECONDS = 0.5
# Short waits are not worth a word.
TELL_SECONDS = 10.0
MAX_TOLD = 3
# Is told what is waited for.
Tell = Callable[[str], None]


def wait_for(api: Api, steps: Iterable[Mapping[str, Any]], seconds: int, tell: Tell = lambda _text: None) -> str:
    """Wait until every step that asks for it is as wanted; return '', or what still lacks when that is over.

    It is over when time is up, and at once where no waiting helps. C(tell) is told every now and then what lacks.
    """
    pending = [step for step in steps if step["wait"]]
    begun = time.monotonic()
    told = begun
    # Since when a step's lack has been fatal without a pause.
    since: dict[int, float] = {}

    def look(kind: str, name: str, namespace: str | None) -> dict[str, Any] | None:
        return api.find(object_path({"kind": kind, "metadata": {"name": name, "namespace": namespace}}))

    while pending and seconds:
        lacking = []
        for step in pending:
            obj = api.find(path_to_watch(step))
            lack = lacks(step["state"], obj, step["until"], look)
            if lack:
                lacking.append((step, obj, lack))
        now = time.monotonic()
        fatal = {id(step): lack for step, _obj, lack in lacking if isinstance(lack, Fatal)}
        since = {key: since.get(key, now) for key in fatal}
        hopeless = [item for item in lacking if id(item[0]) in fatal and now - since[id(item[0])] >= item[2].patience]
        if hopeless or (lacking and now >= begun + seconds):
            said = [_said(api, *item) for item in hopeless or lacking]
            how = "Waiting longer is of no use" if hopeless else f"Not ready after {seconds} s"
            return f"{how}: " + " | ".join(said)
        pending = [step for step, _obj, _lack in lacking]
        if pending:
            if now >= told + TELL_SECONDS:
                told = now
                texts = [f"{describe(step['object'])}: {lack}" for step, _obj, lack in lacking[:MAX_TOLD]]
                more = [f"and {len(lacking) - MAX_TOLD} more"] if len(lacking) > MAX_TOLD else []
                tell(f"waiting, {now - begun:.0f} s: " + " | ".join(texts + more))
            time.sleep(POLL_SECONDS)
    return ""


def path_to_watch(step: Mapping[str, Any]) -> str:
    """Return the path of what a step waits for: its object, or the front Service that somebody else makes from it."""
    return object_path(_front_of(step) or step["object"])


def _front_of(step: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return which front Service is to have ports that a step writes elsewhere, V(None) for any other step."""
    if not step["gateway"] or not step["until"].get("ports"):
        return None
    return {"kind": "Service", "metadata": dict(step["gateway"])}


def settle(api: Api, module: AnsibleModule, steps: Sequence[Mapping[str, Any]], findings: Sequence[Any] = ()) -> None:
    """Wait as long as the module's option C(wait_timeout) says, and fail with what still lacks then."""
    lacking = wait_for(api, steps, module.params["wait_timeout"], teller(module.params["progress_file"]))
    if lacking:
        module.fail_json(msg=lacking, findings=list(findings))


def _said(api: Api, step: Mapping[str, Any], obj: Mapping[str, Any] | None, lack: str) -> str:
    """Say what an object lacks, and what its helpers know of that."""
    trouble = TROUBLES.get(obj["kind"]) if obj else None
    troubles = [*(trouble(api, obj) if trouble and obj else []), *_conditions_of(api, step)]
    return f"{describe(step['object'])}: " + "; ".join([lack, *troubles])


def _pods_of(api: Api, obj: Mapping[str, Any]) -> list[str]:
    """Say what holds the pods of a Deployment."""
    labels = obj["spec"]["selector"].get("matchLabels") or {}
    try:
        pods = api.get(collection_path("Pod", obj["metadata"]["namespace"]), labelSelector=labels_text(labels))["items"]
    except ApiError as error:
        return [f"its pods could not be read ({error.message})"]
    return pod_troubles(pods)


# What other objects know of an object's lack, by kind; asked when a wait ends without success.
TROUBLES: Mapping[str, Callable[[Any, Mapping[str, Any]], list[str]]] = {
    "Deployment": _pods_of,
    **_wait_olm.TROUBLES,
}


def _conditions_of(api: Api, step: Mapping[str, Any]) -> list[str]:
    """Say what its operator says of a control plane whose Service is waited for."""
    if not _front_of(step):
        return []
    status = (api.find(object_path(step["object"])) or {}).get("status") or {}
    return [
        f"{item['type']} is {item['status']} ({item.get('reason', '')}: {item.get('message', '')})"
        for item in status.get("conditions") or []
        if item["status"] != "True"
    ]


def services_of(api: Api, steps: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Read the Services among the steps as they are now."""
    found = {}
    for step in steps:
        if step["object"]["kind"] == "Service" and step["state"] == "present":
            path = object_path(step["object"])
            if path not in found:
                found[path] = api.find(path)
    return [_state.service(obj) for obj in found.values() if obj]


def teller(path: str | None) -> Tell:
    """Return what appends to the file that an action plugin shows; without one nothing is told."""

    def tell(text: str) -> None:
        # Progress is a comfort: a file that cannot be written ends no run.
        with contextlib.suppress(OSError), open(path or os.devnull, "a", encoding="utf-8") as progress:
            progress.write(text + "\n")

    return tell
