#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove that TCP ports work, many at once."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tcp_probe
short_description: Prove that TCP ports work, many at once
version_added: 0.1.0
author:
  - servicemesh.tcp developers (@servicemesh-tcp)
description:
  - Connects to TCP ports from where it runs, all at once, and tells for each address whether a backend is behind it.
  - An open port proves nothing, because Envoy, load balancers and node ports accept a connection before there is a
    backend. So a port is V(proven) only if the expected bytes came back (every mode but V(connect)), or, for a protocol
    whose server stays silent (mode V(connect)), if the session stays open and the Envoys of the gateway counted a
    connection that a backend accepted and have a healthy endpoint.
  - The Envoys are asked through the API server's port forwarding, once before and once after all sessions are opened.
    Ports that share an Envoy cluster share its counters. They are proven together, which RV(results[].detail) says, and
    looked at in halves where fewer sessions arrived than were opened.
  - With O(targets[].from=cluster) the sessions come from a pod that is made beside the pods of O(targets[].gateway),
    for where the load balancer is out of reach from here. One pod serves all targets. It runs the image of the
    gateway's pods, and its Envoy relays what comes over the API server's port forwarding, so that no right to
    C(pods/exec) is needed. It is removed at the end. If the module is killed the cluster ends it after 15 minutes and
    removes it.
  - A port that does not answer does not fail the task. Look at RV(results).
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
attributes:
  check_mode:
    support: partial
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    details:
      - Connects to the ports as usual, and changes nothing. No pod is made, so that targets with
        O(targets[].from=cluster) are V(unreachable).
  diff_mode:
    support: none
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)) in diff mode.
    details:
      - There is nothing that could change.
requirements:
  - python >= 3.10
  - kubernetes >= 24.2.0, where O(targets[].gateway) is used
options:
  targets:
    description:
      - The ports to prove.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - What the results call it.
        type: str
        required: true
      addresses:
        description:
          - IP addresses or host names. Each of them must answer, and each address of a name.
        type: list
        elements: str
        required: true
      port:
        description:
          - The port to connect to, from 1 to 65535.
        type: int
        required: true
      mode:
        description:
          - How the port is proven.
        type: str
        default: connect
        choices:
          connect: Nothing is sent. The Envoys of O(targets[].gateway) say whether a backend accepted the session.
          send: O(targets[].send) is sent, and O(targets[].expect) must be in the answer.
          banner: Nothing is sent, and O(targets[].expect), or anything, must come. For servers that speak first.
          http: A C(GET) request is sent. The status must be O(targets[].status), and O(targets[].expect) in the body.
          tls: A TLS session is set up, and nothing sent. This proves whoever ends TLS, which is the backend unless the
            gateway does.
          ssh: An SSH server must give its version, as it does unasked.
          smtp: A mail server must greet with C(220), as it does unasked.
          ftp: An FTP server must greet with C(220), as it does unasked.
          mysql: A MySQL or MariaDB server must greet, as it does unasked; its refusal of this host is an answer, too.
          postgres: C(SSLRequest) is sent, and a PostgreSQL server must say yes or no to it.
          redis: C(PING) is sent, and a Redis server must answer, or ask for a password.
      send:
        description:
          - The text to send. V(\\n), V(\\r), V(\\t), V(\\0), V(\\\\) and V(\\xNN) are bytes that are hard to write.
            V(hex:) before pairs of hexadecimal digits stands for those bytes, such as V(hex:00 ff).
          - Needed with O(targets[].mode=send), refused otherwise.
        type: str
      expect:
        description:
          - What must be within the first 64 KiB of the answer. Text, with the same escapes as O(targets[].send), or a
            regular expression (Python, on bytes) between two slashes, such as V(/^SSH-2/).
          - Defaults to what was sent, less white space at both ends, which is right for an echo server, and to anything
            with O(targets[].mode=banner) and O(targets[].mode=http). Refused with the other modes.
        type: str
      calls:
        description:
          - How many sessions make one attempt, from 1 to 1000, one after the other. Each of them must be right.
            RV(results[].tally) says how often which answer came, for weighted backends.
          - Defaults to V(1). Refused with O(targets[].mode=connect) and O(targets[].mode=tls).
        type: int
      half_close:
        description:
          - Whether our side is closed after O(targets[].send). The right answer must come all the same, and the server
            must close its side then. Only with O(targets[].mode=send), and not within TLS.
        type: bool
      proxy_protocol:
        description:
          - Which version of the PROXY protocol is sent first, with the real ends of the session. For gateways that want
            one, as they do behind some load balancers.
        type: str
        choices: [v1, v2]
      tls:
        description:
          - Whether to talk within TLS. With the modes V(connect), V(send), V(banner), V(http), V(smtp), V(ftp) and
            V(redis).
        type: bool
      from:
        description:
          - Where the sessions come from. V(controller) is where this module runs. V(cluster) is a pod of the cluster;
            then O(targets[].gateway) is needed, and O(targets[].half_close) and O(targets[].proxy_protocol) are
            refused. Names are resolved where this module runs, and the times are those of the way through the API
            server.
        type: str
        default: controller
        choices: [controller, cluster]
      sni:
        description:
          - The server name that TLS sends and verifies. Defaults to the address, if that is a name.
        type: str
      verify:
        description:
          - Whether the server's certificate must be valid, for this name, and of an authority that is trusted. The
            default is that it need not, because RV(results[].certificate) says what there is to know.
        type: bool
      ca:
        description:
          - With O(targets[].verify=true), the authorities that are trusted, as PEM text. Defaults to the system's.
        type: str
      cert:
        description:
          - The path of this client's own certificate, in PEM, for servers that ask for one. Goes with O(targets[].key).
        type: path
      key:
        description:
          - The path of the key of O(targets[].cert), in PEM and without a password.
        type: path
      path:
        description:
          - What O(targets[].mode=http) asks for. Defaults to V(/).
        type: str
      host:
        description:
          - The C(Host) header of O(targets[].mode=http). Defaults to O(targets[].sni), or else the address.
        type: str
      status:
        description:
          - The status that O(targets[].mode=http) must bring. Defaults to any from 200 to 299, because a gateway makes
            others itself.
        type: int
      timeout:
        description:
          - Seconds for one session, from the connection request to the answer.
        type: float
        default: 5.0
      gateway:
        description:
          - The name of an entry of O(gateways). With O(targets[].from=cluster) it says where the pod runs.
          - Without it, an open session of mode V(connect) stays V(unseen).
        type: str
      cluster:
        description:
          - The Envoy clusters behind the port, as Envoy names them, such as
            V(outbound|8081||echo-8081.echoserver-8000.svc.cluster.local), one per weighted backend.
          - Name them with the other modes, too, where silent ports lead to the same cluster, so that its connections
            are not taken for theirs.
        type: list
        elements: str
        default: []
  gateways:
    description:
      - Where the pods of the gateways are. Reading them needs the right to C(list) C(pods), and to C(get) and C(create)
        C(pods/portforward), in their namespaces.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - What O(targets[].gateway) calls it.
        type: str
        required: true
      namespace:
        description:
          - The namespace of its pods.
        type: str
        required: true
      selector:
        description:
          - The labels of its pods.
        type: dict
        required: true
  concurrency:
    description:
      - Connections that are being made or talked on at the same time. Open silent sessions do not count. Both are kept
        within the hard limit of open files of the process.
    type: int
    default: 200
  deadline:
    description:
      - Seconds during which ports that are not proven are tried again, with pauses of 0.2 to 2 seconds. V(0) is one
        attempt. An attempt that has begun is finished, so the task may take O(targets[].timeout) longer.
    type: float
    default: 60.0
  hold:
    description:
      - Seconds that a session of mode V(connect) must stay open.
    type: float
    default: 1.0
notes:
  - O(targets[].from=cluster) needs the ClusterRole C(servicemesh-tcp-probe) of C(docs/rbac.yaml) in the namespace of
    the first of these gateways. A NetworkPolicy that keeps pods there from connecting out keeps the proof from it.
  - A backend pod with a sidecar has the sidecar accept the session, so mode V(connect) proves the way to the sidecar.
    If the application refuses, the sidecar closes the session, which O(hold) notices.
  - Clients other than this module may use a cluster during the proof. Their connections cannot be told from ours, and
    RV(results[].detail) says when there were any.
seealso:
  - module: kubernetes.core.k8s_info
"""

EXAMPLES = r"""
# edge_address is where the clients of the gateway 'edge' connect to.
- name: Prove an echo server by what it sends back
  servicemesh.tcp.tcp_probe:
    targets:
      - name: file-drop
        addresses: ["{{ edge_address }}"]
        port: 22
        mode: send
        send: hello\n
        expect: /^sftp hello$/
  register: probe

- name: Prove a silent port by the gateway's own count, trying for 20 seconds
  servicemesh.tcp.tcp_probe:
    deadline: 20
    targets:
      - name: orders-db
        addresses: ["{{ edge_address }}"]
        port: 5432
        gateway: edge
        cluster: ["outbound|5432||postgres.orders.svc.cluster.local"]
    gateways:
      - name: edge
        namespace: gateways
        selector:
          istio: edge
  register: probe

- name: Prove it from inside the cluster, where the load balancer is out of reach from here
  servicemesh.tcp.tcp_probe:
    deadline: 20
    targets:
      - name: file-drop
        addresses: ["{{ edge_address }}"]
        port: 22
        from: cluster
        gateway: edge
        mode: send
        send: hello\n
        expect: /^sftp hello$/
    gateways:
      - name: edge
        namespace: gateways
        selector:
          istio: edge
  register: probe

- name: Fail unless every port is proven
  ansible.builtin.assert:
    that: probe.summary.proven == probe.summary.total
    fail_msg: "{{ probe.results | rejectattr('state', 'eq', 'proven') | map(attribute='detail') }}"

- name: Prove a database by its protocol, and a TLS port by a certificate that is valid for its name
  servicemesh.tcp.tcp_probe:
    deadline: 5
    targets:
      - name: orders-db
        addresses: ["{{ edge_address }}"]
        port: 5432
        mode: postgres
      - name: billing
        addresses: ["{{ edge_address }}"]
        port: 8443
        mode: tls
        sni: billing.example.com
        verify: true
  register: probe
"""

RETURN = r"""
results:
  description: One entry per address of each target, in the order of O(targets) and O(targets[].addresses).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name of the target.
      returned: always
      type: str
      sample: echo-8081
    host:
      description: The address as O(targets[].addresses) has it.
      returned: always
      type: str
      sample: tcp.example.com
    address:
      description: The IP address that was tried, or the name while it does not resolve.
      returned: always
      type: str
      sample: 198.18.255.1
    port:
      description: The port that was tried.
      returned: always
      type: int
      sample: 8081
    state:
      description:
        - How the last attempt ended.
        - V(proven), a backend answered, or accepted the session.
        - V(wrong_answer), something else than O(targets[].expect) came back.
        - V(no_answer), connected, and nothing came back.
        - V(untrusted), TLS, and its certificate is not valid for O(targets[].verify=true).
        - V(closed), connected, and the peer closed the session.
        - V(reset), connected, and the session was cut off.
        - V(refused), the connection was refused.
        - V(timeout), the connection request was not answered.
        - V(unresolved), the name does not resolve.
        - V(unreachable), there is no way to the address from here.
        - V(no_upstream), the session is open, but the gateway's Envoy has no connection to a backend for it, or no
          healthy endpoint.
        - V(unseen), the session is open, but the gateway's Envoy could not be asked.
      returned: always
      type: str
      sample: proven
    connect_ms:
      description: Milliseconds until the connection was made; null where it was not.
      returned: always
      type: float
      sample: 0.9
    first_byte_ms:
      description: Milliseconds from the beginning of the attempt to the first byte of the answer; null where none came.
      returned: always
      type: float
      sample: 2.3
    attempts:
      description: How often it was tried.
      returned: always
      type: int
      sample: 1
    answer:
      description: The first 200 characters that came back in the last attempt.
      returned: always
      type: str
      sample: "hello\n"
    tally:
      description: >-
        With O(targets[].calls) above 1, how often each answer came in the last attempt. An answer is what the first
        group of a pattern in O(targets[].expect) matched, or else all of it. Past 20 different ones the rest are
        C((others)).
      returned: always
      type: dict
      sample: {"v1": 7, "v2": 3}
    certificate:
      description: Of the server in the last attempt, where there was TLS; null otherwise.
      returned: always
      type: dict
      sample: {"names": ["db.example.com"], "not_after": "2027-05-01T12:00:00Z"}
      contains:
        names:
          description: The alternative names, or the common name where there are none.
          returned: always
          type: list
          elements: str
          sample: [db.example.com]
        not_after:
          description: The last moment that it is valid.
          returned: always
          type: str
          sample: "2027-05-01T12:00:00Z"
    detail:
      description: What was seen, in one sentence; empty where V(proven) needs no comment.
      returned: always
      type: str
      sample: "the connection was refused: nothing listens there"
  sample:
    - name: echo-8081
      host: tcp.example.com
      address: 198.18.255.1
      port: 8081
      state: proven
      connect_ms: 0.9
      first_byte_ms: 2.3
      attempts: 1
      answer: "hello\n"
      tally: {}
      certificate: null
      detail: ""
summary:
  description: How many results there are (C(total)), and how many of each state.
  returned: success
  type: dict
  contains:
    total:
      description: The number of results.
      returned: always
      type: int
      sample: 6
    proven:
      description: The number of results with this RV(results[].state). Every other state has a key of its own, too.
      returned: always
      type: int
      sample: 6
  sample: {total: 6, proven: 5, wrong_answer: 0, untrusted: 0, no_answer: 0, closed: 1, reset: 0, refused: 0,
    timeout: 0, unresolved: 0, unreachable: 0, no_upstream: 0, unseen: 0}
api_requests:
  description: How many requests were sent to the API server.
  returned: success
  type: int
  sample: 3
"""

import math
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api, ApiError, auth_argument_spec
from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy import Gateway
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_talk import MODES, ORIGINS
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_target import (
    Target,
    TargetError,
    parse_target,
    summarize,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._probing import CONCURRENCY, HOLD, UNASKED, probe


def argument_spec() -> dict[str, Any]:
    """Return the options of the module."""
    targets = {
        "name": {"type": "str", "required": True},
        "addresses": {"type": "list", "elements": "str", "required": True},
        "port": {"type": "int", "required": True},
        "mode": {"type": "str", "default": "connect", "choices": list(MODES)},
        "send": {"type": "str"},
        "expect": {"type": "str"},
        "calls": {"type": "int"},
        "half_close": {"type": "bool"},
        "proxy_protocol": {"type": "str", "choices": ["v1", "v2"]},
        "tls": {"type": "bool"},
        "from": {"type": "str", "default": "controller", "choices": list(ORIGINS)},
        "sni": {"type": "str"},
        "verify": {"type": "bool"},
        "ca": {"type": "str"},
        "cert": {"type": "path"},
        "key": {"type": "path", "no_log": False},
        "path": {"type": "str"},
        "host": {"type": "str"},
        "status": {"type": "int"},
        "timeout": {"type": "float", "default": 5.0},
        "gateway": {"type": "str"},
        "cluster": {"type": "list", "elements": "str", "default": []},
    }
    gateways = {
        "name": {"type": "str", "required": True},
        "namespace": {"type": "str", "required": True},
        "selector": {"type": "dict", "required": True},
    }
    return {
        **auth_argument_spec(),
        "targets": {"type": "list", "elements": "dict", "required": True, "options": targets},
        "gateways": {"type": "list", "elements": "dict", "default": [], "options": gateways},
        "concurrency": {"type": "int", "default": CONCURRENCY},
        "deadline": {"type": "float", "default": 60.0},
        "hold": {"type": "float", "default": HOLD},
    }


def check_options(params: dict[str, Any]) -> tuple[list[Target], dict[str, Gateway]]:
    """Turn the options into targets and gateways; raise TargetError for what cannot be right."""
    for name, least in (("concurrency", 1), ("deadline", 0), ("hold", 0)):
        if not least <= params[name] < math.inf:
            raise TargetError(f"{name} is {params[name]}; give a number from {least} on")
    gateways = {}
    for entry in params["gateways"]:
        if not entry["selector"]:
            raise TargetError(f"gateway {entry['name']}: the selector is empty; give the labels of its pods")
        if entry["name"] in gateways:
            raise TargetError(f"gateway {entry['name']} is given twice")
        gateways[entry["name"]] = Gateway(**entry)
    targets = [parse_target(record) for record in params["targets"]]
    for target in targets:
        if target.gateway and target.gateway not in gateways:
            known = ", ".join(sorted(gateways)) or "none"
            raise TargetError(f"target {target.name}: gateway {target.gateway} is not in gateways; there are: {known}")
        if target.talk.inside and not target.gateway:
            raise TargetError(f"target {target.name}: from: cluster needs the gateway beside which the pod is to run")
    return targets, gateways


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    connected: list[Api] = []

    def connect() -> Api:
        try:
            connected.append(Api(module))
        except ApiError as error:
            module.fail_json(msg=f"{UNASKED}: {error}")
        return connected[0]

    wanted = {key: module.params[key] for key in ("deadline", "concurrency", "hold")}
    try:
        targets, gateways = check_options(module.params)
        results = probe(connect, targets, gateways, **wanted, planned=module.check_mode)
    except TargetError as error:
        module.fail_json(msg=str(error))
    requests = sum(sum(api.requests.values()) for api in connected)
    module.exit_json(changed=False, results=results, summary=summarize(results), api_requests=requests)


if __name__ == "__main__":
    main()
