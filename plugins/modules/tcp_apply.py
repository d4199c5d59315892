#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tcp_apply
short_description: Carry out the steps of a plan on a cluster
version_added: 0.1.0
author:
  - servicemesh.tcp developers (@servicemesh-tcp)
description:
  - Takes the steps that the filters of this collection planned, and carries them out in their order with server-side
    apply.
  - Every step is tried on the API server with a dry run first. When any of them is refused (a right is missing, an
    admission webhook says no, a field belongs to somebody else), all refusals are reported together and nothing is
    written.
  - Only what differs is written. What the server itself adds or defaults is no difference.
  - An object without the label C(app.kubernetes.io/managed-by=servicemesh.tcp) is neither changed nor removed.
options:
  steps:
    description: The steps, in the order in which they are carried out.
    type: list
    elements: dict
    required: true
    suboptions:
      state:
        description: Whether the object is applied or removed.
        type: str
        choices: [present, absent]
        default: present
      object:
        description: The object, with the fields that the manager owns. A removal needs kind and metadata only.
        type: dict
        required: true
      manager:
        description: The field manager of the server-side apply.
        type: str
        default: servicemesh.tcp
      force:
        description: Take fields over from other managers. Meant for objects that belong to this collection as a whole.
        type: bool
        default: false
      existing:
        description:
          - Refuse to make the object. Meant for a share of an object that somebody else makes, such as one set's ports
            of a gateway's front Service.
        type: bool
        default: false
      wait:
        description:
          - Wait for the object once everything is written. Waits until a Deployment is rolled out, until a Service of
            type C(LoadBalancer) has an address, or until a removed object is gone.
        type: bool
        default: false
  wait_timeout:
    description: Seconds to wait for all steps together. With V(0) nothing is waited for.
    type: int
    default: 300
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
attributes:
  check_mode:
    support: full
    description: >-
      Each step is tried on the API server with a dry run. What is in a namespace or of a kind that is not there yet
      cannot be tried, and counts as one that would be made.
  diff_mode:
    support: full
    description: Shows each object before and after, as the API server would store it.
requirements:
  - python >= 3.10
  - kubernetes >= 24.2.0
"""

EXAMPLES = r"""
- name: Make a namespace that the collection may remove again
  servicemesh.tcp.tcp_apply:
    steps:
      - object:
          apiVersion: v1
          kind: Namespace
          metadata:
            name: tcp-apply-example
            labels:
              app.kubernetes.io/managed-by: servicemesh.tcp

- name: Remove it and wait until it is gone
  servicemesh.tcp.tcp_apply:
    steps:
      - state: absent
        wait: true
        object:
          apiVersion: v1
          kind: Namespace
          metadata:
            name: tcp-apply-example
"""

RETURN = r"""
changes:
  description: What was done, or would be in check mode, one line per object that differs.
  returned: always
  type: list
  elements: str
  sample: ["create Gateway gateways/edge-default-2f6f0c1d", "change Service gateways/edge"]
services:
  description: The Services among the steps as they are afterwards, in the form of M(servicemesh.tcp.mesh_state).
  returned: success
  type: list
  elements: dict
planned:
  description: Whether this was check mode, so that nothing was written.
  returned: success
  type: bool
  sample: false
findings:
  description: What the API server or an object's owner refused.
  returned: failure
  type: list
  elements: dict
  sample: []
api_requests:
  description: How many requests the API server was sent, by HTTP method; discovery by the client is not in it.
  returned: always
  type: dict
  sample: {"GET": 4, "PATCH": 4}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.servicemesh.tcp.plugins.module_utils import _apply
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api, ApiError, auth_argument_spec
from ansible_collections.servicemesh.tcp.plugins.module_utils._failure import explain
from ansible_collections.servicemesh.tcp.plugins.module_utils._settle import services_of, wait_for
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import DEFAULTS

STEP_SPEC = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": DEFAULTS["state"]},
    "object": {"type": "dict", "required": True},
    "manager": {"type": "str", "default": DEFAULTS["manager"]},
    "force": {"type": "bool", "default": DEFAULTS["force"]},
    "existing": {"type": "bool", "default": DEFAULTS["existing"]},
    "wait": {"type": "bool", "default": DEFAULTS["wait"]},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **auth_argument_spec(),
            "steps": {"type": "list", "elements": "dict", "required": True, "options": STEP_SPEC},
            "wait_timeout": {"type": "int", "default": 300},
        },
        supports_check_mode=True,
    )
    steps = module.params["steps"]
    try:
        api = Api(module)
        changes = _apply.plan(api, steps, lenient=module.check_mode)
        if not module.check_mode:
            _apply.write(api, changes)
            lacking = wait_for(api, steps, module.params["wait_timeout"])
            if lacking:
                seconds = module.params["wait_timeout"]
                module.fail_json(msg=f"Not ready after {seconds} s: " + " | ".join(lacking), findings=[])
        services = services_of(api, steps)
    except _apply.Refused as refused:
        module.fail_json(msg=refused.text(), findings=refused.findings)
    except ApiError as error:
        module.fail_json(**explain(error))
    different = [change for change in changes if change.action != "nothing"]
    module.exit_json(
        changed=bool(different),
        changes=[f"{change.action} {change.name}" for change in different],
        services=services,
        planned=module.check_mode,
        diff=_apply.diff(different) if module._diff else [],
        api_requests=dict(api.requests),
    )


if __name__ == "__main__":
    main()
