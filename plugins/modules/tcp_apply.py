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
  - What somebody changed by hand in an object of this collection is set back, and RV(plan) says so.
  - While it waits, a line every ten seconds shows what for.
  - Where a change ends sessions on a gateway's ports, the gateway's Envoys are asked how many are open, through the API
    server's port forwarding. Without the right to do that RV(plan) says that they could not be seen.
options:
  steps:
    description: The steps, in the order in which they are carried out.
    type: list
    elements: dict
    required: true
    suboptions:
      state:
        description: >-
          Whether the object is applied, removed, changed by O(steps[].patch) or O(steps[].merge), or only waited for
          because somebody else makes it.
        type: str
        choices: [present, absent, patched, merged, awaited]
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
          - Wait for the object once everything is written. Waits until a Deployment, StatefulSet or DaemonSet is
            rolled out, until a Service of type C(LoadBalancer) has an address, until the operator of a C(Subscription)
            is installed, until a member roll has configured who joins and let go of who leaves, until a
            C(ServiceMeshMember) is ready, or until a removed object is gone. Other kinds need only be there.
          - Where waiting longer is of no use, the wait ends at once with the reason.
        type: bool
        default: false
      until:
        description:
          - What an object is held against while it is waited for.
          - For a C(Subscription), C(csv) is the ClusterServiceVersion that has to be installed, by default whichever
            is. With C(resolved=true) it is enough that an InstallPlan was made.
          - For a C(ServiceMeshMemberRoll), C(joined) are namespaces that it must have configured, C(left) ones that it
            may not have any more.
          - For a C(Service), C(ports) are ports that it must have. Where O(steps[].gateway) is given, it is the front
            Service of that gateway that must have them, and nothing is waited for of the object itself.
          - With C(absent=true), an object that somebody else removes must be gone.
        type: dict
        default: {}
      drain:
        description:
          - Listeners (target ports) of the gateway that the object belongs to. Before the step is written, the sessions
            that are open on them are waited for, until they have ended or the gateway's drain time is over. Nothing is
            waited for where no session is open, or where not even the drain time can be seen.
        type: list
        elements: int
        default: []
      patch:
        description: A JSON patch (RFC 6902), for O(steps[].state=patched). An object that is gone is left so.
        type: list
        elements: dict
        default: []
      merge:
        description:
          - For O(steps[].state=merged), what becomes of a plain list below C(spec) that others write to as well, such
            as a member roll's. Keys are C(list), the list's name; C(add), entries that it is to have; C(remove),
            entries that it is not to have any more, if this collection added them.
          - It is written at the version that was read. Where somebody else was faster, it is read and merged again.
        type: dict
        default: {}
      adopt:
        description:
          - Change or remove the object although it was made by somebody else. Meant for what is adopted, and for our
            share of a front Service or control plane that stays its owner's.
        type: bool
        default: false
      gateway:
        description:
          - The gateway that the object belongs to, as C(namespace) and C(name), where the object's labels do not say
            so. Meant for a C(ServiceMeshControlPlane).
        type: dict
        default: {}
  wait_timeout:
    description: >-
      Seconds to wait for all steps together, and as long again for sessions to end. With V(0) nothing is waited for.
    type: int
    default: 300
  session_policy:
    description: What becomes of a run that would end open sessions.
    type: str
    default: warn
    choices:
      warn: It goes on. RV(findings) holds C(SESSIONS_WOULD_END), or C(SESSIONS_UNSEEN) if that could not be seen.
      refuse: It fails with these findings, and nothing is written.
  allow_drain:
    description: >-
      Ports, and ranges of ports such as V(20000-20099), whose sessions may be ended whatever O(session_policy) says.
      V(all) stands for all ports.
    type: list
    elements: str
    default: []
  progress_file:
    description:
      - A file to which a line on what is waited for is appended every ten seconds.
      - Not meant to be set. Over the connection C(local) the module's action plugin sets it, and shows the lines while
        the task runs.
    type: path
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - servicemesh.tcp.cluster
attributes:
  check_mode:
    support: full
    description: >-
      Each step is tried on the API server with a dry run. What is in a namespace or of a kind that is not there yet
      cannot be tried, and counts as one that would be made.
  diff_mode:
    support: full
    description: Shows each object before and after, as the API server would store it.
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
plan:
  description:
    - The plan for people. A line for each object that differs, for each group of ports that something happens to, and
      for each field that somebody changed by hand and that is set back. It does not grow with the number of ports.
  returned: when the API server takes the steps
  type: list
  elements: str
  sample:
    - change VirtualService gateways/edge-default-2f6f0c1d
    - >-
      gateway gateways/edge: port 8081 drains (its destination changes); 3 open sessions, they end 45 s after the change
    - "drift: Deployment gateways/edge spec.replicas was set to 3 by kubectl; set back to 1"
impacts:
  description: What becomes of each port of the gateways that the steps are about.
  returned: success
  type: list
  elements: dict
  contains:
    gateway:
      description: The gateway.
      type: str
      returned: always
      sample: edge
    namespace:
      description: The gateway's namespace.
      type: str
      returned: always
      sample: gateways
    port:
      description: The port.
      type: int
      returned: always
      sample: 8081
    port_name:
      description: The name of the port on the front Service, which carries the set and the record.
      type: str
      returned: always
      sample: tcp-8081-1f2e3d4c
    listener:
      description: The port on which the gateway's pods listen for it.
      type: int
      returned: always
      sample: 8081
    impact:
      description: >-
        What happens to the sessions of the port. V(none), V(opens) (it is new), V(drains) (they are cut when the
        listener has drained), V(closes) (the port goes), or V(restarts) (pods of the gateway are replaced or go).
      type: str
      returned: always
      sample: drains
    why:
      description: What does that.
      type: str
      returned: always
      sample: its destination changes
    sessions:
      description: How many sessions are open now. Null if none would be cut, or if they could not be seen.
      type: int
      returned: always
      sample: 3
    unseen:
      description: Why they could not be seen, or not on all pods.
      type: str
      returned: always
      sample: ""
    ends:
      description: After how many seconds they are cut, by the drain time that the gateway runs with. Null if unknown.
      type: float
      returned: always
      sample: 45.0
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
  description: What the API server or an object's owner refused, and open sessions that would end.
  returned: always
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
from ansible_collections.servicemesh.tcp.plugins.module_utils._announce import (
    DrainWait,
    announce_or_refuse,
    look_of,
    outcome,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api, ApiError, auth_argument_spec
from ansible_collections.servicemesh.tcp.plugins.module_utils._failure import explain
from ansible_collections.servicemesh.tcp.plugins.module_utils._settle import services_of, settle
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import DEFAULTS

STEP_SPEC = {
    "state": {
        "type": "str",
        "choices": ["present", "absent", "patched", "merged", "awaited"],
        "default": DEFAULTS["state"],
    },
    "object": {"type": "dict", "required": True},
    "manager": {"type": "str", "default": DEFAULTS["manager"]},
    "force": {"type": "bool", "default": DEFAULTS["force"]},
    "existing": {"type": "bool", "default": DEFAULTS["existing"]},
    "wait": {"type": "bool", "default": DEFAULTS["wait"]},
    "until": {"type": "dict", "default": DEFAULTS["until"]},
    "drain": {"type": "list", "elements": "int", "default": DEFAULTS["drain"]},
    "patch": {"type": "list", "elements": "dict", "default": DEFAULTS["patch"]},
    "merge": {"type": "dict", "default": DEFAULTS["merge"]},
    "adopt": {"type": "bool", "default": DEFAULTS["adopt"]},
    "gateway": {"type": "dict", "default": DEFAULTS["gateway"]},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **auth_argument_spec(),
            "steps": {"type": "list", "elements": "dict", "required": True, "options": STEP_SPEC},
            "wait_timeout": {"type": "int", "default": 300},
            "session_policy": {"type": "str", "choices": ["warn", "refuse"], "default": "warn"},
            "allow_drain": {"type": "list", "elements": "str", "default": []},
            "progress_file": {"type": "path"},
        },
        supports_check_mode=True,
    )
    steps = module.params["steps"]
    try:
        api = Api(module)
        look = look_of(api)
        changes = _apply.plan(api, steps, lenient=module.check_mode)
        told = announce_or_refuse(changes, look, module.params)
        if not module.check_mode:
            _apply.write(api, changes, DrainWait(look, module.params["wait_timeout"]))
            settle(api, module, steps)
        services = services_of(api, steps)
    except _apply.Refused as refused:
        module.fail_json(**refused.result())
    except ApiError as error:
        module.fail_json(**explain(error))
    module.exit_json(**outcome(changes, told, api, module), findings=told.findings, services=services)


if __name__ == "__main__":
    main()
