#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pod_log_find
short_description: Find texts in the logs of pods
version_added: 0.1.0
author:
  - servicemesh.tcp developers (@servicemesh-tcp)
description:
  - Looks for one text per search in the newest lines of the logs of the pods that a selector names, all in one task.
  - Shows that what a client sent has arrived at the server that was meant.
options:
  searches:
    description: What to look for, and where.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the search, given back with its result.
        type: str
        required: true
      namespace:
        description: Namespace of the pods.
        type: str
        required: true
      selector:
        description: Labels of the pods.
        type: dict
        required: true
      text:
        description: The text that must be in the log.
        type: str
        required: true
  tail_lines:
    description: How many of the newest lines of each log are read.
    type: int
    default: 1000
  deadline:
    description: Seconds until which a text that is not there yet is looked for again.
    type: int
    default: 10
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - servicemesh.tcp.cluster
  - servicemesh.tcp.cluster.reading
seealso:
  - module: servicemesh.tcp.tcp_probe
"""

EXAMPLES = r"""
- name: Find what was sent to an echo server
  servicemesh.tcp.pod_log_find:
    searches:
      - name: file-drop
        namespace: files
        selector: {app: sftp}
        text: hello
  register: found
"""

RETURN = r"""
results:
  description: One result per search, in the order of the searches.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the search.
      type: str
      returned: always
      sample: echo-8081
    found:
      description: Whether the text is in the log of any of the pods.
      type: bool
      returned: always
      sample: true
    pod:
      description: The pod in whose log the text is, V(none) where it is in none.
      type: str
      returned: always
      sample: echo-8081-6c8d9f7b5-abcde
    pods:
      description: The pods that were looked at.
      type: list
      elements: str
      returned: always
      sample: [echo-8081-6c8d9f7b5-abcde]
api_requests:
  description: How many requests the API server was sent, by HTTP method; discovery by the client is not in it.
  returned: always
  type: dict
  sample: {"GET": 2}
"""

import time
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api, ApiError, auth_argument_spec
from ansible_collections.servicemesh.tcp.plugins.module_utils._failure import explain
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import collection_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._selectors import labels_text

SEARCH_SPEC = {
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "selector": {"type": "dict", "required": True},
    "text": {"type": "str", "required": True},
}
PAUSE_SECONDS = 0.5


def look(api: Api, search: Mapping[str, Any], tail_lines: int) -> dict[str, Any]:
    """Look for one text once."""
    selector = labels_text(search["selector"])
    path = collection_path("Pod", search["namespace"])
    names = [pod["metadata"]["name"] for pod in api.get(path, labelSelector=selector)["items"]]
    holder = None
    for name in names:
        try:
            if search["text"] in api.text(f"{path}/{name}/log", tailLines=tail_lines):
                holder = name
                break
        except ApiError as error:
            # A pod that has not started yet, or is gone by now, has no log.
            if error.status not in (400, 404):
                raise
    return {"name": search["name"], "found": holder is not None, "pod": holder, "pods": names}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **auth_argument_spec(),
            "searches": {"type": "list", "elements": "dict", "required": True, "options": SEARCH_SPEC},
            "tail_lines": {"type": "int", "default": 1000},
            "deadline": {"type": "int", "default": 10},
        },
        supports_check_mode=True,
    )
    until = time.monotonic() + module.params["deadline"]
    results: dict[int, dict[str, Any]] = {}
    searches = module.params["searches"]
    try:
        api = Api(module)
        while True:
            for index, search in enumerate(searches):
                if not results.get(index, {}).get("found"):
                    results[index] = look(api, search, module.params["tail_lines"])
            if all(result["found"] for result in results.values()) or time.monotonic() >= until:
                break
            time.sleep(PAUSE_SECONDS)
    except ApiError as error:
        module.fail_json(**explain(error))
    found = [results[index] for index in range(len(searches))]
    module.exit_json(changed=False, results=found, api_requests=dict(api.requests))


if __name__ == "__main__":
    main()
