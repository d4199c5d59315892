#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tcp_audit
short_description: Find everything that lets TCP into a cluster, and what is wrong with it
version_added: 0.1.0
author:
  - servicemesh.tcp developers (@servicemesh-tcp)
description:
  - Reads a cluster once, in pages and several lists at a time, and changes nothing on it. It opens no connection
    either, so that a chain is called complete, not proven.
  - It finds Services of type C(LoadBalancer) and C(NodePort), C(externalIPs), C(hostPort) and C(hostNetwork) of pods,
    the listeners of Istio's gateways, passthrough Routes, and the listeners of the Gateway API. It tells of each who
    owns it, since when, what is behind it and whom it is open to.
  - With O(report_dir) it writes the audit as JSON (its form is C(docs/schemas/audit.json)), CSV, SARIF 2.1.0, HTML and
    Markdown, and records that would take over what was published by hand. The folder is on the host that runs this.
  - The number of requests to the API server depends on the number of objects only by the pages of 500 that they fill.
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - servicemesh.tcp.cluster
  - servicemesh.tcp.cluster.reading
attributes:
  check_mode:
    description: In check mode no file is written.
options:
  name:
    description:
      - What people call the cluster; without it, the address of its API server.
      - The files are named after it.
    type: str
    default: ''
  ports:
    description:
      - The records of O(set), to hold the cluster against; without any, that is not done.
    type: list
    elements: dict
    default: []
  gateways:
    description:
      - The gateways that O(ports) name.
    type: list
    elements: dict
    default: []
  set:
    description:
      - The set that O(ports) are.
    type: str
    default: default
  cluster_domain:
    description:
      - The DNS domain of the cluster.
    type: str
    default: cluster.local
  certificates:
    description:
      - Whether the certificates of TLS servers are read, from Secrets of type C(kubernetes.io/tls) in the namespaces
        where gateways look for them. Their keys are dropped at once. Where the right lacks, that is a finding.
    type: bool
    default: true
  expiry_days:
    description:
      - How many days before its end a certificate is a finding.
    type: int
    default: 30
  compare_with:
    description:
      - The path of the JSON of an earlier audit. What came, went and changed since is then part of the audit.
      - It is read before O(report_dir) is written, so it may be the very file that this audit replaces.
    type: path
  report_dir:
    description:
      - The folder for the files; it is made where it is missing. Without it no file is written.
    type: path
  templates:
    description:
      - The folder with the templates of the HTML page; the role P(servicemesh.tcp.audit#role) has it as
        C(files/report).
      - Required with O(report_dir).
    type: path
  fleet:
    description:
      - Whether the HTML page links to the page of a fleet beside it, see M(servicemesh.tcp.tcp_audit_fleet).
    type: bool
    default: false
  fail_on:
    description:
      - Which findings RV(failing) lists. V(error), V(warning) and V(note) stand for that severity and worse; other
        words are codes of findings.
      - The module does not fail because of them, so that what it found can be shown first.
    type: list
    elements: str
    default: [error]
  table_rows:
    description:
      - How many rows RV(table) has at most, the broken ones first.
    type: int
    default: 50
  return_rows:
    description:
      - Whether RV(rows) is returned. With thousands of ways in that takes Ansible longer than the audit itself.
    type: bool
    default: false
requirements:
  - jinja2, cryptography and PyYAML, which ansible-core brings, for files and certificates
seealso:
  - module: servicemesh.tcp.tcp_audit_fleet
  - module: servicemesh.tcp.mesh_state
"""

EXAMPLES = r"""
# report_templates is the folder roles/audit/files/report of this collection.
- name: Look at the cluster of the current kubeconfig
  servicemesh.tcp.tcp_audit:
  register: audited

- name: Show what is open, and what is wrong with it
  ansible.builtin.debug:
    msg: "{{ audited.table + audited.findings | map(attribute='message') }}"

- name: Write the report
  servicemesh.tcp.tcp_audit:
    name: prod
    report_dir: reports
    templates: "{{ report_templates }}"

- name: Write it again, some day, with what came and went since the last one
  servicemesh.tcp.tcp_audit:
    name: prod
    report_dir: reports
    templates: "{{ report_templates }}"
    compare_with: reports/prod.audit.json
  register: audited
"""

RETURN = r"""
summary:
  description: Numbers of ways in by door, state, owner and whom they are open to, and of findings by severity.
  returned: success
  type: dict
  sample:
    ways_in: 3
    inside: 0
    doors: {"LoadBalancer": 3}
    states: {"broken": 1, "complete": 2}
    owners: {"hand": 1, "set": 2}
    open_to: {"network": 3}
    gateways: 1
    findings: {"error": 1, "warning": 0, "note": 0}
taken:
  description: When the cluster was read, in UTC.
  returned: success
  type: str
  sample: "2026-11-21T15:00:00Z"
lines:
  description: The audit in a few lines, with what came and went.
  returned: always
  type: list
  elements: str
  sample: ["3 ways into cluster prod: 1 broken, 0 open to the whole internet; 1 error."]
table:
  description: The ways in as the lines of a table, the broken ones first.
  returned: always
  type: list
  elements: str
findings:
  description: The findings, the worst first; see C(docs/findings.md). Their C(rows) are ids of rows.
  returned: success
  type: list
  elements: dict
failing:
  description: Those of the findings that O(fail_on) names.
  returned: success
  type: list
  elements: dict
rows:
  description: Every way in, as C(docs/schemas/audit.json) describes it.
  returned: when O(return_rows)
  type: list
  elements: dict
changes:
  description: What came, went and changed; null without O(compare_with).
  returned: success
  type: dict
adoption:
  description: Records that take over what was published by hand, and what was left out of them.
  returned: success
  type: dict
  sample:
    tcp_gateways: [{"name": "edge", "namespace": "gateways"}]
    tcp_ports:
      - name: db-5432
        gateway: edge
        port: 5432
        adopt: true
        backend: {"namespace": "orders", "service": "db", "port": 5432}
    left_out: []
files:
  description: The paths of the files that were written.
  returned: always
  type: list
  elements: str
  sample: ["reports/prod.audit.json", "reports/prod.audit.html"]
api_requests:
  description: How many requests the API server was sent, by HTTP method; discovery by the client is not in it.
  returned: always
  type: dict
  sample: {"GET": 18}
"""

import json
from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit import SEVERITIES, audit, failing
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_compare import compare, readable
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_read import read_audit
from ansible_collections.servicemesh.tcp.plugins.module_utils._audit_records import adoption
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api, ApiError, auth_argument_spec
from ansible_collections.servicemesh.tcp.plugins.module_utils._failure import explain
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import CATALOGUE, Stopped, finding, render
from ansible_collections.servicemesh.tcp.plugins.module_utils._report_files import files, write
from ansible_collections.servicemesh.tcp.plugins.module_utils._report_text import summary_lines, table_lines

ARGUMENTS = {
    "name": {"type": "str", "default": ""},
    "ports": {"type": "list", "elements": "dict", "default": []},
    "gateways": {"type": "list", "elements": "dict", "default": []},
    "set": {"type": "str", "default": "default"},
    "cluster_domain": {"type": "str", "default": "cluster.local"},
    "certificates": {"type": "bool", "default": True},
    "expiry_days": {"type": "int", "default": 30},
    "compare_with": {"type": "path"},
    "report_dir": {"type": "path"},
    "templates": {"type": "path"},
    "fleet": {"type": "bool", "default": False},
    "fail_on": {"type": "list", "elements": "str", "default": ["error"]},
    "table_rows": {"type": "int", "default": 50},
    "return_rows": {"type": "bool", "default": False},
}


def earlier(path: str | None) -> dict[str, Any] | None:
    """Read the audit to compare with, V(None) where none is asked for."""
    if not path:
        return None
    try:
        with open(path, encoding="utf-8") as stream:
            document = json.load(stream)
    except (OSError, ValueError) as error:
        raise _invalid("compare_with", path, f"it must be the JSON of an earlier audit ({error})") from error
    if not readable(document):
        raise _invalid("compare_with", path, "it is no audit of this version")
    return document


def check(options: dict[str, Any]) -> None:
    """Refuse options that only show their mistake after everything was read."""
    unknown = [word for word in options["fail_on"] if word not in CATALOGUE and word not in SEVERITIES]
    if unknown:
        raise _invalid("fail_on", unknown[0], "it must be error, warning, note, or a code of docs/findings.md")
    if options["report_dir"] and not options["templates"]:
        raise _invalid("templates", None, "a report needs the folder with its templates")


def _invalid(key: str, value: Any, rule: str) -> Stopped:
    return Stopped(finding("VALUE_INVALID", "audit", key=key, value=value, rule=rule))


def run(api: Api, options: dict[str, Any], now: datetime, writes: bool) -> dict[str, Any]:
    """Audit a cluster and return what the module returns."""
    check(options)
    before = earlier(options["compare_with"])
    read = read_audit(api, options["certificates"])
    declared = {key: options[key] for key in ("ports", "gateways", "cluster_domain")} | {"set_name": options["set"]}
    document = audit(read, now, options["name"], options["expiry_days"], declared)
    if before:
        document["changes"] = compare(before, document)
    records = adoption(document["rows"], read["state"]["services"])
    written = []
    if options["report_dir"] and writes:
        written = write(options["report_dir"], files(document, records, options["templates"], options["fleet"]))
    return {
        **{key: document[key] for key in ("summary", "taken", "findings", "changes")},
        **({"rows": document["rows"]} if options["return_rows"] else {}),
        "lines": summary_lines(document),
        "table": table_lines(document["rows"], options["table_rows"]),
        "failing": failing(document["findings"], options["fail_on"]),
        "adoption": records,
        "files": written,
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={**auth_argument_spec(), **ARGUMENTS}, supports_check_mode=True)
    # What the playbook ends with, also where nothing could be read.
    nothing = {"lines": ["The cluster was not audited."], "table": table_lines([]), "files": []}
    try:
        api = Api(module)
        result = run(api, module.params, datetime.now(timezone.utc), not module.check_mode)
    except ApiError as error:
        module.fail_json(**explain(error), **nothing)
    except Stopped as stopped:
        module.fail_json(msg=render([stopped.finding]), findings=[stopped.finding], **nothing)
    except OSError as error:
        module.fail_json(msg=f"the report cannot be written: {error}", findings=[], **nothing)
    module.exit_json(changed=False, api_requests=dict(api.requests), **result)


if __name__ == "__main__":
    main()
