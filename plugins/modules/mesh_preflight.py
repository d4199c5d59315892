#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_preflight
short_description: Look at a cluster before a mesh is installed
version_added: 0.2.0
author:
  - servicemesh.tcp developers (@servicemesh-tcp)
description:
  - Asks the API server who the user is and whether that user has the rights that an installation needs, and reads the
    versions, the nodes, OpenShift's cluster operators and the catalogues of the Operator Lifecycle Manager.
  - Never fails because of what it sees. That is in RV(findings), where a missing right is an error.
options:
  rights:
    description: >-
      What is to be installed, and so which rights are asked for. The file C(docs/rbac-install.yaml) grants them.
    type: list
    elements: str
    default: [operators]
    choices:
      operators: Operators, by the role P(servicemesh.tcp.operators#role).
      ossm2: Control planes and member rolls of OpenShift Service Mesh 2.
      sail: Control planes of OpenShift Service Mesh 3 or of the community's Sail operator.
      helm: Istio's own charts.
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - servicemesh.tcp.cluster
  - servicemesh.tcp.cluster.reading
"""

EXAMPLES = r"""
- name: See whether OpenShift Service Mesh 3 can be installed
  servicemesh.tcp.mesh_preflight:
    rights: [operators, sail]
  register: seen

- name: Show it
  ansible.builtin.debug:
    msg: "{{ seen.table }}"
"""

RETURN = r"""
table:
  description: What was seen, for people, one line per check. C(!!) stands before what is not as it should be.
  returned: success
  type: list
  elements: str
  sample:
    - "ok  user               system:admin"
    - "!!  cluster operators  32 of 33 well; ingress: degraded (IngressDegraded: no default router)"
findings:
  description: Findings in the form of RV(servicemesh.tcp.gateway_port_map#filter:_value.findings).
  returned: always
  type: list
  elements: dict
  sample: []
seen:
  description:
    - What was seen, for other tasks. C(denied) are rights that are missing, as group, resource and verb.
    - C(nodes), C(cluster_operators) and C(catalogs) are lists of what there is, with C(trouble), or for catalogues
      C(state), saying how it is. C(unread) lists the paths that there was no right to read.
  returned: success
  type: dict
  sample:
    user: system:admin
    denied: []
    kubernetes: v1.34.4
    openshift: 4.18.22
    olm: true
    nodes: [{"name": "master-0", "trouble": ""}]
    cluster_operators: [{"name": "ingress", "trouble": "degraded (IngressDegraded: no default router)"}]
    catalogs: [{"name": "redhat-operators", "namespace": "openshift-marketplace", "state": "READY"}]
    unread: []
api_requests:
  description: How many requests the API server was sent, by HTTP method; discovery by the client is not in it.
  returned: success
  type: dict
  sample: {"GET": 6, "POST": 2}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api, ApiError, auth_argument_spec
from ansible_collections.servicemesh.tcp.plugins.module_utils._failure import explain
from ansible_collections.servicemesh.tcp.plugins.module_utils._preflight import report
from ansible_collections.servicemesh.tcp.plugins.module_utils._read_preflight import look
from ansible_collections.servicemesh.tcp.plugins.module_utils._rights import RIGHTS


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **auth_argument_spec(),
            "rights": {"type": "list", "elements": "str", "choices": list(RIGHTS), "default": ["operators"]},
        },
        supports_check_mode=True,
    )
    try:
        api = Api(module)
        seen = look(api, module.params["rights"])
    except ApiError as error:
        module.fail_json(**explain(error))
    module.exit_json(changed=False, **report(seen), seen=seen, api_requests=dict(api.requests))


if __name__ == "__main__":
    main()
