#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tcp_publish
short_description: Publish a set of TCP ports through mesh gateways, or withdraw it
version_added: 0.1.0
author:
  - servicemesh.tcp developers (@servicemesh-tcp)
description:
  - Reads the cluster, plans the set, tries every write on the API server with a dry run, and writes what differs, all
    in one process. Where anything stands in the way, all findings are reported together and nothing is written.
  - Of two runs at once on one gateway, one waits. A run that has something to write takes a Lease of each of its
    gateways (C(coordination.k8s.io/v1), of the gateway's name), reads and plans anew, checks the Lease before each
    write, and gives it back. A run that has nothing to write takes none. A Lease that a dead run left is taken over
    after O(lease_duration).
  - The plan is that of P(servicemesh.tcp.gateway_port_map#filter) and P(servicemesh.tcp.exposure_steps#filter), and for
    the gateways that of P(servicemesh.tcp.gateway_steps#filter).
  - It does not prove the ports; M(servicemesh.tcp.tcp_probe) does.
options:
  ports:
    description: The port records, see role P(servicemesh.tcp.expose#role), C(expose_ports).
    type: list
    elements: dict
    default: []
  gateways:
    description: The gateways that the records name, see role P(servicemesh.tcp.gateways#role), C(gateways_definitions).
    type: list
    elements: dict
    default: []
  gateways_state:
    description: >-
      Whether O(gateways) that are defined are made and mended in the same run (V(present)), or must be there
      (V(required)).
    type: str
    choices: [present, required]
    default: required
  set:
    description: The set that owns the ports.
    type: str
    default: default
  state:
    description: Whether the set publishes O(ports), or is withdrawn.
    type: str
    choices: [present, absent]
    default: present
  withdraw:
    description: With O(state=absent), the names of the records to withdraw. Empty means the whole set.
    type: list
    elements: str
    default: []
  prune:
    description: Whether ports that the set has on the cluster and that O(ports) does not name are withdrawn.
    type: bool
    default: true
  allow_withdraw:
    description: Names of records that this run may withdraw, or V(all); see C(SET_SHRINKS) in C(docs/findings.md).
    type: list
    elements: str
    default: []
  adopt:
    description:
      - Names of records that take over what somebody published by hand on their ports, or V(all). It counts beside the
        records' own C(adopt).
    type: list
    elements: str
    default: []
  source:
    description: What O(ports) comes from. It is noted on the cluster and compared by the next run.
    type: str
    default: ""
  namespace_state:
    description: Whether the gateways' namespaces must be there (V(required)), or are made (V(present)).
    type: str
    choices: [required, present]
    default: required
  cluster_domain:
    description: The DNS domain of the cluster.
    type: str
    default: cluster.local
  planned_services:
    description: >-
      Backends that count as there although they are not, each as C(namespace), C(service) and C(port). Meant for check
      mode.
    type: list
    elements: dict
    default: []
  publish_endpoints:
    description:
      - Whether a ConfigMap beside each record's backend Service says where clients reach it. See role
        P(servicemesh.tcp.expose#role), C(expose_publish_endpoints).
      - With O(state=absent) those of the withdrawn records are removed in any case.
    type: bool
    default: false
  wait_timeout:
    description: Seconds to wait until what was written is in force. With V(0) nothing is waited for.
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
  lease_timeout:
    description: Seconds to wait for another run that writes to the same gateway (C(LEASE_HELD)).
    type: int
    default: 60
  lease_duration:
    description: >-
      Seconds after which the Lease of a run that died may be taken over. It is also the longest pause that a run may
      make between two writes (C(LEASE_LOST)).
    type: int
    default: 30
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
      Each write is tried on the API server with a dry run, and no Lease is taken. What is in a namespace or of a kind
      that is not there yet cannot be tried, and counts as one that would be made.
  diff_mode:
    support: full
    description: Shows each object before and after, as the API server would store it.
seealso:
  - module: servicemesh.tcp.tcp_probe
  - module: servicemesh.tcp.mesh_state
"""

EXAMPLES = r"""
# The gateway 'edge' is there already, and the set 'reports' is this play's own.
- name: Show what publishing a port would change
  servicemesh.tcp.tcp_publish: &reports
    set: reports
    gateways:
      - name: edge
        namespace: gateways
    ports:
      - name: reports-db
        gateway: edge
        port: 5433
        backend: {namespace: orders, service: postgres, port: 5432}
  check_mode: true
  register: shown

- name: Publish it, waiting at most two minutes for another run on that gateway
  servicemesh.tcp.tcp_publish:
    <<: *reports
    lease_timeout: 120
  register: published

- name: It was done as shown
  ansible.builtin.assert:
    that: published.changes == shown.changes

- name: Withdraw one record of the set
  servicemesh.tcp.tcp_publish:
    set: reports
    state: absent
    withdraw: [reports-db]
"""

RETURN = r"""
ports:
  description: >-
    The port map, as P(servicemesh.tcp.gateway_port_map#filter) returns it, planned from what was there just before the
    first write.
  returned: success
  type: list
  elements: dict
findings:
  description: What was found; with an error among them the module fails and nothing was written.
  returned: always
  type: list
  elements: dict
withdrawn:
  description: The ports that are withdrawn.
  returned: success
  type: list
  elements: dict
  sample: [{"namespace": "gateways", "gateway": "edge", "port": 8083}]
closed:
  description: >-
    The ports that the set had before and has no more, withdrawn or left by a record that moved. It is what
    M(servicemesh.tcp.tcp_gone) takes. One with several backends or a subset has them all as C(backends).
  returned: success
  type: list
  elements: dict
  sample:
    - namespace: gateways
      gateway: edge
      service: edge
      port: 8083
      target_port: 8083
      node_port: 31083
      name: ""
      backend: {namespace: echo, service: echo-8083, port: 8083}
changes:
  description: What was done, or would be in check mode, one line per object that differs.
  returned: success
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
  returned: when the API server takes the steps
  type: list
  elements: dict
  contains:
    gateway:
      description: The gateway; of a record that leads past it, the Service that is its door.
      type: str
      returned: always
      sample: edge
    door:
      description: Which door that Service is.
      type: str
      returned: if the port is not a gateway's
      sample: node_port
    namespace:
      description: The gateway's namespace, or the door's.
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
  description: >-
    The gateways' front Services, and those of other doors, as they are afterwards, in the form of
    M(servicemesh.tcp.mesh_state).
  returned: success
  type: list
  elements: dict
nodes:
  description: The nodes' addresses, where one of RV(services) is of type C(NodePort).
  returned: success
  type: list
  elements: dict
planned:
  description: Whether this was check mode, so that nothing was written.
  returned: success
  type: bool
  sample: false
api_requests:
  description: How many requests the API server was sent, by HTTP method; discovery by the client is not in it.
  returned: success
  type: dict
  sample: {"GET": 24, "PATCH": 12}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.servicemesh.tcp.plugins.module_utils import _apply, _publish
from ansible_collections.servicemesh.tcp.plugins.module_utils._announce import outcome
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api, ApiError, auth_argument_spec
from ansible_collections.servicemesh.tcp.plugins.module_utils._endpoint_maps import endpoint_maps, map_steps
from ansible_collections.servicemesh.tcp.plugins.module_utils._failure import explain
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import Stopped, render
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import GATEWAY_LABEL
from ansible_collections.servicemesh.tcp.plugins.module_utils._read import read_nodes
from ansible_collections.servicemesh.tcp.plugins.module_utils._settle import services_of, settle
from ansible_collections.servicemesh.tcp.plugins.module_utils._steps import complete

ARGUMENTS: dict[str, Any] = {
    "ports": {"type": "list", "elements": "dict", "default": []},
    "gateways": {"type": "list", "elements": "dict", "default": []},
    "gateways_state": {"type": "str", "choices": ["present", "required"], "default": "required"},
    "set": {"type": "str", "default": "default"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "withdraw": {"type": "list", "elements": "str", "default": []},
    "prune": {"type": "bool", "default": True},
    "allow_withdraw": {"type": "list", "elements": "str", "default": []},
    "adopt": {"type": "list", "elements": "str", "default": []},
    "source": {"type": "str", "default": ""},
    "namespace_state": {"type": "str", "choices": ["required", "present"], "default": "required"},
    "cluster_domain": {"type": "str", "default": "cluster.local"},
    "planned_services": {"type": "list", "elements": "dict", "default": []},
    "publish_endpoints": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 300},
    "session_policy": {"type": "str", "choices": ["warn", "refuse"], "default": "warn"},
    "allow_drain": {"type": "list", "elements": "str", "default": []},
    "lease_timeout": {"type": "int", "default": 60},
    "lease_duration": {"type": "int", "default": 30},
    "progress_file": {"type": "path"},
}


def carry_out(module: AnsibleModule, api: Api) -> tuple[_publish.Attempt, list[dict[str, Any]], list[dict[str, Any]]]:
    """Publish, wait, and return what was done, with the front Services and their nodes as they are then."""
    wanted = module.params
    done = _publish.foresee(api, wanted) if module.check_mode else _publish.publish(api, wanted)
    steps = [change.step for change in done.changes]
    nodes = done.state["nodes"]
    # Somebody else's carries no label where nothing was added to it.
    asked = {(port["namespace"], port["service"]) for port in [*done.plan["ports"], *done.plan["closed"]]}
    fronts = [
        item
        for item in done.state["services"]
        if GATEWAY_LABEL in item["labels"] or (item["namespace"], item["name"]) in asked
    ]
    if not module.check_mode:
        settle(api, module, steps, done.plan["findings"])
        written = services_of(api, steps)
        places = {(item["namespace"], item["name"]) for item in written}
        fronts = written + [item for item in fronts if (item["namespace"], item["name"]) not in places]
        # A front Service that this run has made was not there when the nodes were read.
        nodes = nodes or read_nodes(api, fronts)
        done = done._replace(changes=[*done.changes, *tell_addresses(api, wanted, done, fronts, nodes)])
    return done, fronts, nodes


def tell_addresses(
    api: Api, wanted: dict[str, Any], done: _publish.Attempt, fronts: list[Any], nodes: list[Any]
) -> list[_apply.Change]:
    """Write into the ConfigMaps beside the backends what a run that has just made it did not know before."""
    if not wanted["publish_endpoints"] or wanted["state"] == "absent":
        return []
    planned = [change.step["object"] for change in done.changes if change.kind == "ConfigMap"]
    maps = endpoint_maps(done.plan["ports"], fronts, nodes)
    steps = [step for step in map_steps(maps, wanted["set"]) if step["object"] not in planned]
    changes = _apply.plan(api, [complete(step) for step in steps], lenient=False)
    _apply.write(api, changes)
    return changes


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={**auth_argument_spec(), **ARGUMENTS}, supports_check_mode=True)
    try:
        api = Api(module)
        done, fronts, nodes = carry_out(module, api)
    except _apply.Refused as refused:
        module.fail_json(**refused.result())
    except Stopped as stop:
        module.fail_json(msg=render([stop.finding]), findings=[stop.finding])
    except ApiError as error:
        module.fail_json(**explain(error))
    module.exit_json(
        **outcome(done.changes, done.told, api, module),
        ports=done.plan["ports"],
        findings=[*done.plan["findings"], *done.told.findings],
        withdrawn=done.plan["withdrawn"],
        closed=done.plan["closed"],
        services=fronts,
        nodes=nodes,
    )


if __name__ == "__main__":
    main()
