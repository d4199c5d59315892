#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove that TCP ports which were taken away no longer answer."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tcp_gone
short_description: Prove that TCP ports which were taken away no longer answer
version_added: 0.1.0
author:
  - servicemesh.tcp developers (@servicemesh-tcp)
description:
  - Connects to every port that a run of M(servicemesh.tcp.tcp_publish) has closed, looks on which ports the gateways'
    pods still listen, and whether their front Services still have the port, until all of them are gone or O(deadline)
    is over.
  - A port is not gone if it says anything or keeps a session open, which a load balancer may do for a while. It is not
    gone either if no session can be opened from here, but a pod of the gateway listens (or that cannot be seen) and the
    front Service has the port. It is gone if the connection is refused or closed again, and if nothing answers because
    neither the front Service nor the gateway has the port any more.
  - A port that is not gone does not fail the task. Look at RV(findings).
options:
  ports:
    description: The closed ports, as M(servicemesh.tcp.tcp_publish) returned them in C(closed).
    type: list
    elements: dict
    required: true
  cluster:
    description: What the cluster is called in RV(endpoints), usually its inventory host.
    type: str
    default: ""
  set:
    description: The set that had the ports.
    type: str
    default: default
  probe:
    description: Whether to connect at all. With V(false) each port is V(unproven).
    type: bool
    default: true
  planned:
    description: Whether the ports are not closed yet, because this is a plan only. Each is V(planned) then.
    type: bool
    default: false
  deadline:
    description: Seconds during which ports that are not gone are tried again. V(0) is one attempt.
    type: float
    default: 60.0
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - servicemesh.tcp.cluster
  - servicemesh.tcp.cluster.reading
notes:
  - Reading the gateways' pods needs the rights that M(servicemesh.tcp.tcp_probe) names.
seealso:
  - module: servicemesh.tcp.tcp_publish
  - module: servicemesh.tcp.tcp_probe
"""

EXAMPLES = r"""
- name: Withdraw a record
  servicemesh.tcp.tcp_publish:
    state: absent
    withdraw: [file-drop]
  register: published

- name: See that its ports no longer answer
  servicemesh.tcp.tcp_gone:
    ports: "{{ published.closed }}"
    deadline: 20
  register: gone

- name: Show how that was seen
  ansible.builtin.debug:
    msg: "{{ gone.endpoints | servicemesh.tcp.endpoint_table }}"
"""

RETURN = r"""
endpoints:
  description: >-
    One entry per port, in the form of P(servicemesh.tcp.tcp_endpoints#filter). Its C(proof) is V(withdrawn) if the port
    is gone, V(answers) if it is not, V(unproven) without O(probe), and V(planned) with O(planned). C(detail) says what
    shows it, and C(hop) is the finding of a port that V(answers).
  returned: success
  type: list
  elements: dict
  sample:
    - cluster: lab
      set: default
      name: file-drop
      gateway: edge
      door: gateway
      addresses: [198.18.25.3]
      port: 22
      sni: null
      backend: {namespace: files, service: sftp, port: 2222}
      proof: withdrawn
      milliseconds: null
      detail: the connection is refused
      hop: null
findings:
  description: What is not gone, one finding per port.
  returned: success
  type: list
  elements: dict
  sample: []
api_requests:
  description: How many requests were sent to the API server.
  returned: success
  type: int
  sample: 3
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api, ApiError, auth_argument_spec
from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy import Gateway
from ansible_collections.servicemesh.tcp.plugins.module_utils._failure import explain
from ansible_collections.servicemesh.tcp.plugins.module_utils._gone import Watch, closed_endpoints
from ansible_collections.servicemesh.tcp.plugins.module_utils._probing import reader_of

ARGUMENTS: dict[str, Any] = {
    "ports": {"type": "list", "elements": "dict", "required": True},
    "cluster": {"type": "str", "default": ""},
    "set": {"type": "str", "default": "default"},
    "probe": {"type": "bool", "default": True},
    "planned": {"type": "bool", "default": False},
    "deadline": {"type": "float", "default": 60.0},
}


def listeners_of(api: Api) -> Any:
    """Return what asks the Envoys; its libraries take half a second to load, so it does that when it is first asked."""

    def listeners(gateway: Gateway) -> Any:
        return reader_of(api).listeners(gateway)

    return listeners


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={**auth_argument_spec(), **ARGUMENTS}, supports_check_mode=True)
    wanted = module.params
    ports = wanted["ports"]
    try:
        api = Api(module)
        watch = Watch(api, listeners_of(api))
        verdicts = None
        if wanted["probe"] and not wanted["planned"]:
            verdicts = watch.until_gone(ports, wanted["deadline"])
        else:
            watch.read(ports)
    except ApiError as error:
        module.fail_json(**explain(error))
    names = {"cluster": wanted["cluster"], "set_name": wanted["set"], "planned": wanted["planned"]}
    endpoints = closed_endpoints(ports, watch.fronts, watch.nodes, verdicts, **names)
    module.exit_json(
        changed=False,
        endpoints=endpoints,
        findings=[item["hop"] for item in endpoints if item["hop"]],
        api_requests=sum(api.requests.values()),
    )


if __name__ == "__main__":
    main()
