# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# In: the list of all Services; $pool: the first three octets of the pool. Out: `namespace name address` per assignment.
def ours: .spec.type == "LoadBalancer" and ((.spec.loadBalancerClass // "") | . == "" or . == "servicemesh.tcp/lab")
    and .metadata.deletionTimestamp == null;
def held: .status.loadBalancer.ingress[0].ip // "";
def in_pool: startswith($pool + ".") and (split(".")[3] | tonumber) as $last | $last >= 1 and $last <= 254;
def asked: (.spec.loadBalancerIP // "") as $ip | if $ip != "" and ($ip | in_pool) then $ip else "" end;
# An address that is asked for and not held yet counts as wanted, whatever is held now.
def settled: held != "" and (held | in_pool) and (asked == "" or asked == held);

[.items[] | select(.spec.type == "LoadBalancer")] as $all
| [$all[] | select(ours and (settled | not))] | sort_by(asked == "", .metadata.creationTimestamp, .metadata.uid)
| reduce .[] as $service (
    {used: [$all[] | held | select(. != "")], given: []};
    ($service | asked) as $asked
    | .used as $used
    | (if $asked != "" then ([$asked] - $used)[0]
       else first(range(1; 255) | "\($pool).\(.)" | select([.] - $used != [])) // null end) as $address
    | if $address == null then . else
        .used += [$address] | .given += ["\($service.metadata.namespace) \($service.metadata.name) \($address)"] end)
| .given[]
