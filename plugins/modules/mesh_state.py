#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mesh_state
short_description: Read what is published through a cluster's mesh gateways
version_added: 0.1.0
author:
  - servicemesh.tcp developers (@servicemesh-tcp)
description:
  - Reads a cluster in one task and one process, and returns a small projection of what planning needs. It returns the
    mesh, namespaces, Services, Istio Gateways and VirtualServices, and the gateways that this collection runs.
  - The number of requests to the API server does not depend on how many ports are published.
  - The filters of this collection take the returned RV(mesh) as their C(state).
options:
  parts:
    description: What is read. Each part brings keys of RV(mesh); C(version), C(cluster) and C(namespaces) always come.
    type: list
    elements: str
    default: [mesh]
    choices:
      mesh: What planning gateways and ports needs.
      members: Who is a member of OpenShift Service Mesh 2's meshes (RV(mesh.members)).
      operators: >-
        What the Operator Lifecycle Manager knows (RV(mesh.operators)). A kind that the cluster does not serve reads as
        having no objects.
      planes: >-
        What operators and Helm make control planes from (RV(mesh.planes)). A kind that the cluster does not serve reads
        as having no objects.
  inside:
    description: Names of namespaces of which it is also read what is in them (RV(mesh.inside)).
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - servicemesh.tcp.cluster
  - servicemesh.tcp.cluster.reading
seealso:
  - plugin: servicemesh.tcp.gateway_port_map
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Read the cluster of the current kubeconfig
  servicemesh.tcp.mesh_state:
  register: observed

- name: Read which operators the Operator Lifecycle Manager has installed
  servicemesh.tcp.mesh_state:
    parts: [operators]
  register: installed

- name: Show which ports the gateways' front Services have
  ansible.builtin.debug:
    msg: "{{ observed.mesh.services | selectattr('managers') | map(attribute='ports') }}"
"""

RETURN = r"""
mesh:
  description: The projection. Its keys do not change their meaning while RV(mesh.version) stays the same.
  returned: success
  type: dict
  contains:
    version:
      description: Version of the projection's form.
      type: int
      returned: success
      sample: 2
    cluster:
      description: Where the API server is, its version, and whether it is OpenShift's.
      type: dict
      returned: success
      sample: {"host": "https://198.18.0.1:6443", "kubernetes": "v1.34.4", "openshift": false}
    mesh:
      description:
        - C(served) tells whether C(networking.istio.io/v1beta1) is known to the API server.
        - C(control_planes) lists the istiod Deployments, C(revisions) the revisions and tags that inject.
        - C(scoped) is C(PILOT_SCOPE_GATEWAY_TO_NAMESPACE), C(enhanced) is C(ENABLE_ENHANCED_RESOURCE_SCOPING), null
          where it is not set. C(member_roll) tells that it sees the members of an OpenShift Service Mesh 2 member roll.
        - C(tags) says which revision each revision tag stands for.
        - C(config) is what counts of the MeshConfig in its ConfigMap; null where that cannot be read.
        - C(unread) lists the paths that there was no right to read and that planning can do without.
      type: dict
      returned: success
      sample:
        served: true
        revisions: ["default"]
        tags: {}
        control_planes:
          - name: istiod
            namespace: istio-system
            revision: default
            version: "1.31.0"
            ready: true
            scoped: false
            enhanced: null
            member_roll: false
            domain: cluster.local
            config: {"discovery_selectors": [], "export_to": ["*"], "root_namespace": "", "unprivileged": false}
        unread: []
    namespaces:
      description:
        - Namespaces by name, with their labels and whether they are on their way out.
        - C(applied) are the labels that the role P(servicemesh.tcp.namespaces#role) put there.
      type: dict
      returned: success
      sample:
        gateways: {"labels": {"kubernetes.io/metadata.name": "gateways"}, "applied": [], "terminating": false}
    services:
      description:
        - All Services with type, selector, ports and addresses.
        - C(annotations) are only those that a load balancer is set up or marked by, C(class) is the load balancer's.
        - C(definition) is what the role P(servicemesh.tcp.gateways#role) stored of a gateway's definition, else null.
        - C(source) is what a set's door past the gateway was last written from, else empty.
        - C(in_charge) is the tool or operator that keeps the Service, as far as labels, annotations, owners and field
          managers tell, else null.
        - C(managers) names the field managers that applied ports with server-side apply, and which.
      type: list
      elements: dict
      returned: success
      sample:
        - name: edge
          namespace: gateways
          uid: 3c8e1b1e-0000-4000-8000-000000000001
          labels: {"servicemesh.tcp/gateway": "edge"}
          created: "2026-11-21T08:00:00Z"
          type: LoadBalancer
          class: ""
          annotations: {"service.beta.kubernetes.io/aws-load-balancer-type": "nlb"}
          definition: {"pool": ["5400-5499"], "service": {"type": "LoadBalancer"}}
          in_charge: null
          source: ""
          selector: {"servicemesh.tcp/gateway": "edge"}
          ports:
            - name: tcp-8081-1f2e3d4c
              port: 8081
              target_port: 8081
              node_port: 30123
              protocol: TCP
              app_protocol: ""
          external_name: ""
          health_check_node_port: null
          cluster_ip: 10.96.0.17
          external_ips: []
          addresses: ["198.18.0.100"]
          managers: {"servicemesh.tcp/default": [8081]}
    gateways:
      description:
        - All Istio Gateways with selector and servers, and the source that a set of this collection recorded.
        - A server's C(tls) is its mode, empty where it has no TLS settings; C(credential) the Secret that it names.
      type: list
      elements: dict
      returned: success
    virtual_services:
      description:
        - All Istio VirtualServices with hosts, gateways, C(exportTo), TCP and TLS rules, and whether they have HTTP
          rules. C(routes) are the HTTP rules of this collection's own.
        - A rule's C(ports), C(match_gateways) and C(sni) have one entry per match; a port of null is any port.
        - C(records) says whose the TLS rules of a set of this collection are, by port and first name.
      type: list
      elements: dict
      returned: success
    routes:
      description:
        - The Routes of OpenShift that sets have as doors (C(door=route)), with C(source), C(host), C(service) and
          C(target_port). Null where Routes are not served, or where there is no right to list them.
      type: list
      elements: dict
      returned: success
    destination_rules:
      description:
        - All Istio DestinationRules with their host, C(exportTo), traffic policy and subsets. C(selects) tells that
          one is for some workloads of its namespace only. Null where there is no right to list them.
      type: list
      elements: dict
      returned: success
    service_entries:
      description:
        - The Istio ServiceEntries of this collection with their hosts, the numbers of their ports and the addresses of
          their endpoints. Null where there is no right to list them.
      type: list
      elements: dict
      returned: success
    workloads:
      description:
        - The pods that Istio could take for gateways, read with their metadata only. Those with equal labels in one
          namespace are one.
        - C(gateway) tells that they were injected as such. C(unprivileged) tells that their annotation
          C(proxy.istio.io/config) sets C(ISTIO_META_UNPRIVILEGED_POD).
      type: list
      elements: dict
      returned: success
      sample:
        - name: edge
          namespace: gateways
          labels: {"servicemesh.tcp/gateway": "edge"}
          pods: 2
          revision: default
          gateway: true
          unprivileged: false
    deployments:
      description: The gateways that this collection runs, with replicas wanted and available.
      type: list
      elements: dict
      returned: success
    smcps:
      description:
        - The control planes of OpenShift Service Mesh 2, read only where the API server knows C(maistra.io/v2). Null
          where there is no right to list them.
        - C(gateways) are their ingress gateways by the name of the Service, with the C(sets) that have ports in the
          list of each. C(tree) is what of the object a run may change, C(version) its resource version.
      type: list
      elements: dict
      returned: success
      sample: []
    nodes:
      description: >-
        The nodes' addresses and clouds, read only where a gateway's front Service is of type C(NodePort).
      type: list
      elements: dict
      returned: success
      sample: [{"name": "lab-control-plane", "addresses": ["198.18.0.2"], "provider": "kind"}]
    members:
      description:
        - The membership of OpenShift Service Mesh 2. All lists are empty where the API server does not know it.
        - C(control_planes) are the ServiceMeshControlPlanes. C(rolls) are the ServiceMeshMemberRolls, with their
          entries (C(members)), which of these this collection added (C(ours)), their selectors, and the namespaces
          that are configured. C(members) are the ServiceMeshMembers.
        - C(unread) lists the paths that there was no right to read.
      type: dict
      returned: if O(parts) holds V(members)
      sample:
        control_planes: [{"name": "basic", "namespace": "istio-system"}]
        rolls:
          - namespace: istio-system
            labels: {}
            members: [bookinfo, gateways]
            selectors: []
            ours: [gateways]
            configured: [bookinfo, gateways]
        members: []
        unread: []
    inside:
      description:
        - What is in the namespaces of O(inside), by namespace.
        - C(pods) are the pods that run, with the workload behind them, whether they have a sidecar and ask for one.
          C(policies) are the NetworkPolicies with the pods that they select and whether they are about ingress.
          C(bindings) are the names of this collection's RoleBindings.
      type: dict
      returned: if O(inside) is not empty
      sample:
        shop:
          pods:
            - name: cart-7d9c5b6f4-x2x7q
              owner: {"kind": "Deployment", "name": "cart"}
              sidecar: false
              inject: ""
              revision: ""
              host_network: false
              restarted: ""
          policies: [{"name": "deny", "labels": {}, "selector": {}, "ingress": true}]
          bindings: [servicemesh-tcp-edit]
    operators:
      description:
        - What the Operator Lifecycle Manager (OLM) knows. C(olm) tells whether it is there, C(openshift) is OpenShift's
          version, C(groups) are the API groups that are served.
        - C(subscriptions) by C(package), with C(current) (the newest ClusterServiceVersion that was resolved) and
          C(installed). C(problems) are their conditions that hold, which are complaints. C(ingress_operator) tells that
          OpenShift's ingress operator made it.
        - C(csvs) are the ClusterServiceVersions with the names of the definitions and Deployments that they bring,
          without OLM's copies.
        - C(install_plans) are only those that a Subscription has yet to install.
        - C(operator_groups) with C(everywhere), which tells that operators beside it serve all namespaces.
        - C(catalogs) are the CatalogSources with the state of their connection, C(READY) where it works.
        - C(deployments) are the Deployments that OLM did not make. C(unread) lists the paths that there was no right to
          read.
      type: dict
      returned: if O(parts) holds V(operators)
      sample:
        olm: true
        openshift: 4.18.22
        groups: [apps, operators.coreos.com]
        subscriptions:
          - name: servicemeshoperator3
            namespace: openshift-operators
            uid: 3c8e1b1e-0000-4000-8000-000000000002
            labels: {"app.kubernetes.io/managed-by": "servicemesh.tcp"}
            created: "2026-11-21T08:00:00Z"
            package: servicemeshoperator3
            channel: stable
            source: redhat-operators
            source_namespace: openshift-marketplace
            approval: Automatic
            starting_csv: ""
            ingress_operator: false
            installed: servicemeshoperator3.v3.4.1
            current: servicemeshoperator3.v3.4.1
            state: AtLatestKnown
            install_plan: install-x7k2p
            problems: []
        csvs:
          - name: servicemeshoperator3.v3.4.1
            namespace: openshift-operators
            uid: 3c8e1b1e-0000-4000-8000-000000000003
            labels: {}
            created: "2026-11-21T08:01:00Z"
            phase: Succeeded
            reason: InstallSucceeded
            message: install strategy completed with no errors
            crds: [istios.sailoperator.io]
            deployments: [servicemesh-operator3]
        install_plans: []
        operator_groups: [{"name": "global-operators", "namespace": "openshift-operators", "everywhere": true}]
        catalogs: [{"name": "redhat-operators", "namespace": "openshift-marketplace", "state": "READY"}]
        deployments: []
        unread: []
    planes:
      description:
        - What control planes are made from. C(smcps) are the ServiceMeshControlPlanes of OpenShift Service Mesh 2;
          C(istios), C(cnis), C(revisions) and C(tags) are Istio, IstioCNI, IstioRevision and IstioRevisionTag of
          OpenShift Service Mesh 3 and the Sail operator.
        - C(current) tells that the operator has seen the newest form, C(ready) that it says so of that form, and
          C(reason) why not. C(stored) is what role P(servicemesh.tcp.control_plane#role) noted there.
        - C(releases) are the ConfigMaps by which that role knows its own Helm releases.
        - C(served) are those of these kinds that the API server knows. C(unread) lists the paths that there was no
          right to read.
      type: dict
      returned: if O(parts) holds V(planes)
      sample:
        smcps: []
        istios:
          - name: default
            namespace: ""
            labels: {"app.kubernetes.io/managed-by": "servicemesh.tcp"}
            stored: ""
            spec: {"namespace": "istio-system", "version": "v1.30.3"}
            current: true
            ready: true
            reason: ""
            version: ""
            revision: default
        cnis: []
        revisions: []
        tags: []
        releases: []
        served: [Istio, IstioCNI, IstioRevision, IstioRevisionTag]
        unread: []
api_requests:
  description: How many requests the API server was sent, by HTTP method; discovery by the client is not in it.
  returned: always
  type: dict
  sample: {"GET": 11}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api, ApiError, auth_argument_spec
from ansible_collections.servicemesh.tcp.plugins.module_utils._failure import explain
from ansible_collections.servicemesh.tcp.plugins.module_utils._read import PARTS, read


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **auth_argument_spec(),
            "parts": {"type": "list", "elements": "str", "choices": list(PARTS), "default": ["mesh"]},
            "inside": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    try:
        api = Api(module)
        mesh = read(api, module.params["parts"], module.params["inside"])
    except ApiError as error:
        module.fail_json(**explain(error))
    module.exit_json(changed=False, mesh=mesh, api_requests=dict(api.requests))


if __name__ == "__main__":
    main()
