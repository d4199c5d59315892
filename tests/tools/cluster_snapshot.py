#!/usr/bin/env python3
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print what is declared on a cluster, one line per object: kind, name, and a hash of what people wrote.

Two prints are equal when nothing was made, changed or removed in between. Status, pods and what controllers
write by themselves are left out. Knows nothing of the collection, since it judges it.

Usage: cluster_snapshot.py KUBECONFIG
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from typing import Any

import kubernetes
from kubernetes.dynamic.exceptions import NotFoundError

PATHS = (
    "/api/v1/namespaces",
    "/api/v1/services",
    "/api/v1/serviceaccounts",
    "/apis/apps/v1/deployments",
    "/apis/autoscaling/v2/horizontalpodautoscalers",
    "/apis/maistra.io/v1/servicemeshmemberrolls",
    "/apis/maistra.io/v1/servicemeshmembers",
    "/apis/maistra.io/v2/servicemeshcontrolplanes",
    "/apis/networking.istio.io/v1beta1/destinationrules",
    "/apis/networking.istio.io/v1beta1/gateways",
    "/apis/networking.istio.io/v1beta1/serviceentries",
    "/apis/networking.istio.io/v1beta1/virtualservices",
    "/apis/networking.k8s.io/v1/networkpolicies",
    "/apis/operators.coreos.com/v1/operatorgroups",
    "/apis/operators.coreos.com/v1alpha1/clusterserviceversions",
    "/apis/operators.coreos.com/v1alpha1/subscriptions",
    "/apis/policy/v1/poddisruptionbudgets",
    "/apis/rbac.authorization.k8s.io/v1/rolebindings",
    "/apis/rbac.authorization.k8s.io/v1/roles",
    "/apis/sailoperator.io/v1/istiocnis",
    "/apis/sailoperator.io/v1/istiorevisiontags",
    "/apis/sailoperator.io/v1/istios",
)
# Written by controllers: deployment.kubernetes.io/revision counts rollouts.
METADATA = ("labels", "ownerReferences", "finalizers")


def declared(item: dict[str, Any]) -> str:
    """Return a hash of an object without what the cluster writes by itself."""
    content = {key: value for key, value in item.items() if key not in ("metadata", "status")}
    content["metadata"] = {key: item["metadata"].get(key) for key in METADATA}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def lines(client: kubernetes.client.ApiClient) -> Iterator[str]:
    """Yield one line per object."""
    dynamic = kubernetes.dynamic.DynamicClient(client)
    for path in PATHS:
        try:
            answer = json.loads(dynamic.request("GET", path, serialize=False).data)
        except NotFoundError:
            # A kind that is not served has no objects.
            continue
        for item in answer["items"]:
            if item["metadata"].get("deletionTimestamp"):
                continue
            where = f"{item['metadata'].get('namespace', '')}/{item['metadata']['name']}"
            yield f"{path.rsplit('/', 1)[1]} {where.lstrip('/')} {declared(item)}"


if __name__ == "__main__":
    print("\n".join(sorted(lines(kubernetes.config.new_client_from_config(sys.argv[1])))))
