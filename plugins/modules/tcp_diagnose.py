#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the first broken hop of TCP ports whose proof failed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tcp_diagnose
short_description: Find the first broken hop of TCP ports whose proof failed
version_added: 0.1.0
author:
  - servicemesh.tcp developers (@servicemesh-tcp)
description:
  - Walks the chain of each broken port once, from the client to the backend's pod, and names the first hop that is
    broken, what was seen there, and the remedy. The verdicts are the C(HOP_) codes of C(docs/findings.md).
  - The order is this. Front Service, address, gateway pods, server and listener, who is let in, backend Service,
    Envoy's cluster, what both ends speak, the backend's pods, and last what stands between here and the cluster.
  - A port that is reached by another door than the gateway has the hops of its backend only.
  - Reads the cluster anew, opens one trial session to each broken port, and asks the Envoys of the gateways before and
    meanwhile. What they saw goes before what settings would have them do.
  - Ports that are to be proven from inside the cluster (C(probe.from)) are tried from there, by a pod as
    M(servicemesh.tcp.tcp_probe) makes it.
  - If nothing is broken nothing is read. A port that is broken does not fail the task. If the cluster cannot be read,
    the endpoints come back as they were, with a warning.
  - Needs the rights of ClusterRole C(servicemesh-tcp-diagnose) in C(docs/rbac.yaml). Where one of them lacks, the walk
    goes on, and a verdict that depends on it is C(HOP_UNSEEN), which says what could not be seen.
options:
  ports:
    description: The port map, as M(servicemesh.tcp.tcp_publish) returned it.
    type: list
    elements: dict
    required: true
  endpoints:
    description: >-
      The endpoints of O(ports), one for each of them in the same order, as P(servicemesh.tcp.tcp_endpoints#filter)
      returned them.
    type: list
    elements: dict
    required: true
  results:
    description: What M(servicemesh.tcp.tcp_probe) returned as RV(servicemesh.tcp.tcp_probe#module:results).
    type: list
    elements: dict
    default: []
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - servicemesh.tcp.cluster
  - servicemesh.tcp.cluster.reading
notes:
  - NetworkPolicies are evaluated, whether the cluster's network enforces them or not. They are named only where the
    connection did not pass.
  - The address of this machine may be another one when it arrives at the gateway. A rule about addresses is named if
    nothing else explains what was seen.
seealso:
  - module: servicemesh.tcp.tcp_probe
  - plugin: servicemesh.tcp.tcp_endpoints
    plugin_type: filter
"""

EXAMPLES = r"""
# published is what a task with servicemesh.tcp.tcp_publish has registered, probe one with servicemesh.tcp.tcp_probe,
# and endpoints what the filter servicemesh.tcp.tcp_endpoints made of both.
- name: Find out where the chain breaks
  servicemesh.tcp.tcp_diagnose:
    ports: "{{ published.ports }}"
    endpoints: "{{ endpoints }}"
    results: "{{ probe.results }}"
  register: diagnosed

- name: Show what is broken and how to mend it
  ansible.builtin.debug:
    msg: "{{ diagnosed.findings | servicemesh.tcp.findings_text }}"
"""

RETURN = r"""
endpoints:
  description: >-
    O(endpoints), with C(hop) of each broken one as the verdict, one finding.
  returned: success
  type: list
  elements: dict
  sample:
    - name: orders-db
      port: 5432
      proof: broken
      hop:
        code: HOP_BACKEND_EMPTY
        severity: error
        subject: record 'orders-db'
        message: >-
          record 'orders-db': port 5432 of backend Service orders/postgres has no ready endpoint: no pod has its labels
          (app=postgres).
        remedy: Start the backend's pods, or mend the Service's selector or target port.
findings:
  description: The verdicts, each once.
  returned: success
  type: list
  elements: dict
  sample: []
api_requests:
  description: How many requests were sent to the API server.
  returned: success
  type: int
  sample: 24
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api, ApiError, auth_argument_spec
from ansible_collections.servicemesh.tcp.plugins.module_utils._diagnosis import diagnose


def argument_spec() -> dict[str, Any]:
    """Return the options of the module."""
    return {
        **auth_argument_spec(),
        "ports": {"type": "list", "elements": "dict", "required": True},
        "endpoints": {"type": "list", "elements": "dict", "required": True},
        "results": {"type": "list", "elements": "dict", "default": []},
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    endpoints, ports = module.params["endpoints"], module.params["ports"]
    if len(endpoints) != len(ports):
        module.fail_json(msg=f"there are {len(ports)} ports and {len(endpoints)} endpoints; give one for each")
    broken = [index for index, item in enumerate(endpoints) if item.get("proof") == "broken"]
    verdicts: list[dict[str, str]] = []
    requests = 0
    if broken:
        try:
            api = Api(module)
            # Here, because its libraries take half a second to load.
            from ansible_collections.servicemesh.tcp.plugins.module_utils._portforward import EnvoyReader

            verdicts = diagnose(
                api,
                [ports[index] for index in broken],
                [endpoints[index] for index in broken],
                module.params["results"],
                EnvoyReader(api),
                module.check_mode,
            )
            requests = sum(api.requests.values())
        except ApiError as error:
            module.warn(f"Where the broken ports break could not be found out: {error}")
    hops = dict(zip(broken, verdicts, strict=False))
    module.exit_json(
        changed=False,
        endpoints=[{**item, "hop": hops.get(index)} for index, item in enumerate(endpoints)],
        findings=list({item["message"]: item for item in verdicts}.values()),
        api_requests=requests,
    )


if __name__ == "__main__":
    main()
