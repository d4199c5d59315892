#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tcp_audit_fleet
short_description: Write the page that shows the audits of several clusters, a row for each
version_added: 0.1.0
author:
  - servicemesh.tcp developers (@servicemesh-tcp)
description:
  - Writes one self-contained HTML page and the same as JSON, from what M(servicemesh.tcp.tcp_audit) returned for each
    cluster. It asks no cluster anything.
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - servicemesh.tcp.cluster.reading
attributes:
  check_mode:
    description: In check mode no file is written.
options:
  clusters:
    description:
      - The clusters, in any order. C(name) (required); C(summary) and C(taken) as the audit returned them; without a
        summary the cluster shows as not read, with C(why) as the reason.
    type: list
    elements: dict
    required: true
  report_dir:
    description:
      - The folder in which the audits of the clusters are; the page is written beside them.
    type: path
    required: true
  templates:
    description:
      - The folder with the templates of the page. The role P(servicemesh.tcp.audit#role) has it as C(files/report).
    type: path
    required: true
requirements:
  - python >= 3.10
  - jinja2, which ansible-core brings
seealso:
  - module: servicemesh.tcp.tcp_audit
notes:
  - It takes the options of the connection, as all modules of this collection do, and uses none of them.
"""

EXAMPLES = r"""
# audited is what a task with servicemesh.tcp.tcp_audit has registered, and report_templates the folder
# roles/audit/files/report of this collection.
- name: Put two clusters on one page
  servicemesh.tcp.tcp_audit_fleet:
    report_dir: reports
    templates: "{{ report_templates }}"
    clusters:
      - {name: prod, summary: "{{ audited.summary }}", taken: "{{ audited.taken }}"}
      - {name: stage, why: The API server did not answer.}
"""

RETURN = r"""
files:
  description: The paths of the files that were written.
  returned: success
  type: list
  elements: str
  sample: ["reports/fleet.audit.html", "reports/fleet.audit.json"]
"""

import json
from datetime import datetime, timezone

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import auth_argument_spec
from ansible_collections.servicemesh.tcp.plugins.module_utils._report_files import file_name, write
from ansible_collections.servicemesh.tcp.plugins.module_utils._report_html import to_fleet_html

ARGUMENTS = {
    "clusters": {"type": "list", "elements": "dict", "required": True},
    "report_dir": {"type": "path", "required": True},
    "templates": {"type": "path", "required": True},
}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={**auth_argument_spec(), **ARGUMENTS}, supports_check_mode=True)
    options = module.params
    taken = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    clusters = [
        # The file is there only where the cluster was read.
        {**item, "file": file_name(item["name"], "html") if item.get("summary") else ""}
        for item in sorted(options["clusters"], key=lambda item: item["name"])
    ]
    contents = {
        file_name("fleet", "html"): to_fleet_html(clusters, options["templates"], taken),
        file_name("fleet", "json"): json.dumps({"version": 1, "taken": taken, "clusters": clusters}, indent=1) + "\n",
    }
    try:
        written = [] if module.check_mode else write(options["report_dir"], contents)
    except OSError as error:
        module.fail_json(msg=f"the page cannot be written: {error}")
    module.exit_json(changed=False, files=written)


if __name__ == "__main__":
    main()
