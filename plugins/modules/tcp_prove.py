#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove that published TCP ports answer, and name where the chain breaks for those that do not."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tcp_prove
short_description: Prove that published TCP ports answer, and name where the chain breaks for those that do not
version_added: 0.1.0
author:
  - servicemesh.tcp developers (@servicemesh-tcp)
description:
  - Connects to every port that M(servicemesh.tcp.tcp_publish) has published, all at once, as each record's C(probe)
    says, and returns where each of them answers and how that is proven. See M(servicemesh.tcp.tcp_probe) for what
    counts.
  - Walks the chain of each port that is broken once, from the client to the backend's pod, and names the first hop that
    is broken, what was seen there, and the remedy. The verdicts are the C(HOP_) codes of C(docs/findings.md).
  - The order of the walk is this. Front Service, address, gateway pods, server and listener, who is let in, backend
    Service, Envoy's cluster, what both ends speak, the backend's pods, and last what stands between here and the
    cluster. A port with another door than the gateway has the hops of its backend only, and the verdicts C(DOOR_MTLS)
    and C(DOOR_BROKEN).
  - The walk reads the cluster anew, opens one trial session to each broken port, and asks the Envoys of the gateways
    before and meanwhile. What they saw goes before what settings would have them do.
  - Ports that are to be proven from inside the cluster (C(probe.from)) are tried from there, by a pod beside the
    gateway's. In check mode no pod is made.
  - A port that is broken does not fail the task. Look at RV(endpoints). If the cluster cannot be read for the walk, the
    endpoints come back without it, with a warning.
  - Needs the rights that M(servicemesh.tcp.tcp_probe) names, and for the walk those of ClusterRole
    C(servicemesh-tcp-diagnose) in C(docs/rbac.yaml). Where one of these lacks, the walk goes on, and a verdict that
    depends on it is C(HOP_UNSEEN), which says what could not be seen.
options:
  ports:
    description: The port map, as M(servicemesh.tcp.tcp_publish) returned it.
    type: list
    elements: dict
    required: true
  services:
    description: >-
      The Services as they are after the writes, as M(servicemesh.tcp.tcp_publish) returned them.
    type: list
    elements: dict
    required: true
  nodes:
    description: >-
      The nodes, as M(servicemesh.tcp.tcp_publish) returned them. Needed for front Services of type V(NodePort) only.
    type: list
    elements: dict
    default: []
  cluster:
    description: What the cluster is called in RV(endpoints), usually its inventory host.
    type: str
    default: ""
  probe:
    description: Whether to connect at all. With V(false) each port is V(unproven).
    type: bool
    default: true
  planned:
    description: Whether the ports are not published yet, because this is a plan only. Each is V(planned) then.
    type: bool
    default: false
  deadline:
    description: Seconds during which ports that do not answer as they should are tried again. V(0) is one attempt.
    type: float
    default: 60.0
  report:
    description: >-
      A file that gets RV(endpoints) as JSON, on the host on which the task runs. Its folder must be there. Check mode
      writes none. By default there is none.
    type: path
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
  - module: servicemesh.tcp.tcp_gone
  - plugin: servicemesh.tcp.tcp_endpoints
    plugin_type: filter
"""

EXAMPLES = r"""
# published is what a task with servicemesh.tcp.tcp_publish has registered.
- name: Prove what was published
  servicemesh.tcp.tcp_prove:
    ports: "{{ published.ports }}"
    services: "{{ published.services }}"
    nodes: "{{ published.nodes }}"
    deadline: 20
  register: proved

- name: Show how
  ansible.builtin.debug:
    msg: "{{ proved.endpoints | servicemesh.tcp.endpoint_table }}"

- name: Show what is broken and how to mend it
  ansible.builtin.debug:
    msg: "{{ proved.findings | servicemesh.tcp.findings_text }}"
"""

RETURN = r"""
endpoints:
  description: >-
    One entry per port, in the form of P(servicemesh.tcp.tcp_endpoints#filter), with C(hop) of each broken one as the
    verdict, one finding.
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

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api, ApiError, auth_argument_spec
from ansible_collections.servicemesh.tcp.plugins.module_utils._diagnosis import diagnose
from ansible_collections.servicemesh.tcp.plugins.module_utils._endpoints import endpoints, probe_targets
from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy import Gateway
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_target import TargetError, parse_target
from ansible_collections.servicemesh.tcp.plugins.module_utils._probing import UNASKED, probe, reader_of

ARGUMENTS: dict[str, Any] = {
    "ports": {"type": "list", "elements": "dict", "required": True},
    "services": {"type": "list", "elements": "dict", "required": True},
    "nodes": {"type": "list", "elements": "dict", "default": []},
    "cluster": {"type": "str", "default": ""},
    "probe": {"type": "bool", "default": True},
    "planned": {"type": "bool", "default": False},
    "deadline": {"type": "float", "default": 60.0},
    "report": {"type": "path"},
}


class Proof:
    """The proof of a port map: its sessions, what they show, and the walk along what is broken."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        self._connected: list[Api] = []

    def connect(self) -> Api:
        """Return the connection to the API server, made when it is first needed."""
        if not self._connected:
            self._connected.append(Api(self._module))
        return self._connected[0]

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return sum(sum(api.requests.values()) for api in self._connected)

    def results(self) -> list[dict[str, Any]]:
        """Open the sessions that the ports ask for."""
        wanted = self._module.params
        if wanted["planned"] or not wanted["probe"]:
            return []
        asked = probe_targets(wanted["ports"], wanted["services"], wanted["nodes"])
        targets = [parse_target(item) for item in asked["targets"]]
        gateways = {item["name"]: Gateway(**item) for item in asked["gateways"]}
        return probe(self.connect, targets, gateways, wanted["deadline"], planned=self._module.check_mode)

    def verdicts(self, rows: Sequence[dict[str, Any]], results: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
        """Give each broken endpoint its first broken hop, and return the verdicts."""
        broken = [index for index, item in enumerate(rows) if item["proof"] == "broken"]
        if not broken:
            return []
        ports = [self._module.params["ports"][index] for index in broken]
        ends = [rows[index] for index in broken]
        try:
            api = self.connect()
            found = diagnose(api, ports, ends, results, reader_of(api), self._module.check_mode)
        except ApiError as error:
            self._module.warn(f"Where the broken ports break could not be found out: {error}")
            return []
        for row, verdict in zip(ends, found, strict=True):
            row["hop"] = verdict
        return list({item["message"]: item for item in found}.values())


def write_report(path: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the endpoints into a file that everybody may read."""
    file = Path(path)
    file.write_text(json.dumps(rows, indent=4, sort_keys=True) + "\n", encoding="utf-8")
    file.chmod(0o644)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={**auth_argument_spec(), **ARGUMENTS}, supports_check_mode=True)
    wanted, proof = module.params, Proof(module)
    report = None if module.check_mode else wanted["report"]
    if report and not Path(report).parent.is_dir():
        module.fail_json(msg=f"The report cannot be written: there is no folder {Path(report).parent}.")
    try:
        results = proof.results()
    except TargetError as error:
        module.fail_json(msg=str(error))
    except ApiError as error:
        module.fail_json(msg=f"{UNASKED}: {error}")
    rows = endpoints(
        wanted["ports"],
        wanted["services"],
        wanted["nodes"],
        results,
        cluster=wanted["cluster"],
        probed=wanted["probe"],
        planned=wanted["planned"],
    )
    findings = proof.verdicts(rows, results)
    if report:
        write_report(report, rows)
    module.exit_json(changed=False, endpoints=rows, findings=findings, api_requests=proof.requests)


if __name__ == "__main__":
    main()
