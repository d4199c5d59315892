# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until what was written is in force, and read what the cluster's controllers made of it.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.servicemesh.tcp.plugins.module_utils import _state
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import collection_path, describe, object_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._wait import lacks, pod_troubles

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule
    from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api

POLL_SECONDS = 0.5


def wait_for(api: Api, steps: Iterable[Mapping[str, Any]], seconds: int) -> list[str]:
    """Wait until every step that asks for it is as wanted; return what still lacks when time is up."""
    pending = [step for step in steps if step["wait"]]
    deadline = time.monotonic() + seconds
    while pending and seconds:
        lacking = []
        for step in pending:
            obj = api.find(object_path(step["object"]))
            lack = lacks(step["state"], obj)
            if lack:
                lacking.append((step, obj, lack))
        pending = [step for step, _obj, _lack in lacking]
        if pending and time.monotonic() >= deadline:
            return [
                f"{describe(step['object'])}: {'; '.join([lack, *_pods_of(api, obj)])}" for step, obj, lack in lacking
            ]
        if pending:
            time.sleep(POLL_SECONDS)
    return []


def settle(api: Api, module: AnsibleModule, steps: Sequence[Mapping[str, Any]], findings: Sequence[Any] = ()) -> None:
    """Wait as long as the module's option C(wait_timeout) says, and fail with what still lacks then."""
    seconds = module.params["wait_timeout"]
    lacking = wait_for(api, steps, seconds)
    if lacking:
        module.fail_json(msg=f"Not ready after {seconds} s: " + " | ".join(lacking), findings=list(findings))


def _pods_of(api: Api, obj: Mapping[str, Any] | None) -> list[str]:
    """Say what holds the pods of a Deployment."""
    if not obj or obj["kind"] != "Deployment":
        return []
    labels = obj["spec"]["selector"].get("matchLabels") or {}
    selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    try:
        pods = api.get(collection_path("Pod", obj["metadata"]["namespace"]), labelSelector=selector)["items"]
    except ApiError as error:
        return [f"its pods could not be read ({error.message})"]
    return pod_troubles(pods)


def services_of(api: Api, steps: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Read the Services among the steps as they are now."""
    found = {}
    for step in steps:
        if step["object"]["kind"] == "Service" and step["state"] == "present":
            path = object_path(step["object"])
            if path not in found:
                found[path] = api.find(path)
    return [_state.service(obj) for obj in found.values() if obj]
