#!/usr/bin/env bash
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# The lab's stand-in for a cloud's load balancer: gives Services of type LoadBalancer an address of the lab's pool.
# The lab routes that pool to this node and kube-proxy does the rest. It serves Services without a load-balancer class
# and those of the class servicemesh.tcp/lab. What it does not do: health checks of its own, finalizers, shared addresses,
# source address kept on more than one node.
# usage: balancer.sh FIRST_THREE_OCTETS_OF_THE_POOL
set -u
pool=$1
here=$(dirname "$0")
export KUBECONFIG=/etc/kubernetes/admin.conf

assign() {
    kubectl get --raw /api/v1/services | jq --raw-output --arg pool "$pool" --from-file "$here/balancer.jq" |
        while read -r namespace name address; do
            echo "$namespace/$name gets $address"
            kubectl patch service --namespace "$namespace" "$name" --subresource=status --type=merge \
                --patch "{\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"$address\",\"ipMode\":\"VIP\"}]}}}"
        done
}

# Every event, and every half minute, leads to a look at all Services: nothing is remembered that could be wrong,
# and an assignment that failed is made again.
while :; do
    kubectl get services --all-namespaces --watch --output=name 2> /dev/null | while read -r -t 30 _ || [ $? -gt 128 ]; do
        while read -r -t 0.05 _; do :; done
        assign
    done
    sleep 0.5
done
