# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AuthorizationPolicies say to a TCP connection."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._authorization import denied_by

LABELS = {"app": "edge"}


def policy(action="ALLOW", *rules, namespace="gw", **more):
    """Return an AuthorizationPolicy."""
    metadata = {"name": action.lower(), "namespace": namespace}
    return {"metadata": metadata, "spec": {"action": action, "rules": list(rules), **more}}


def to(*ports, **more):
    """Return a rule about ports."""
    return {"to": [{"operation": {"ports": list(ports), **more}}]}


def source(**source):
    """Return a rule about a source."""
    return {"from": [{"source": source}]}


@pytest.mark.parametrize(
    ("policies", "denied"),
    [
        ([], ([], False)),
        ([policy("ALLOW", to("8081"))], ([], False)),
        # What no ALLOW policy allows is denied, and without a rule that is everything.
        ([policy("ALLOW", to("8082"))], (["gw/allow"], True)),
        ([policy("ALLOW")], (["gw/allow"], True)),
        ([policy("ALLOW", {})], ([], False)),
        ([policy("DENY", to("8081"))], (["gw/deny"], True)),
        ([policy("DENY", to("8082"))], ([], False)),
        ([policy("DENY", {"to": [{"operation": {"notPorts": ["8082"]}}]})], (["gw/deny"], True)),
        ([policy("ALLOW", {}), policy("DENY", {})], (["gw/deny"], True)),
        # HTTP allows no TCP, and denies the more.
        ([policy("ALLOW", to("8081", methods=["GET"]))], (["gw/allow"], True)),
        ([policy("DENY", to("8081", methods=["GET"]))], (["gw/deny"], True)),
        ([policy("ALLOW", {"when": [{"key": "request.headers[a]", "values": ["b"]}]})], (["gw/allow"], True)),
        ([policy("ALLOW", source(ipBlocks=["10.0.0.0/8"]))], (["gw/allow"], True)),
        ([policy("ALLOW", source(ipBlocks=["10.0.0.0/8", "192.0.2.0/24"]))], ([], False)),
        ([policy("ALLOW", source(notIpBlocks=["192.0.2.0/24"]))], (["gw/allow"], True)),
        ([policy("DENY", source(remoteIpBlocks=["192.0.2.1"]))], (["gw/deny"], True)),
        ([policy("DENY", source(ipBlocks=["10.0.0.0/8"]))], ([], False)),
        ([policy("DENY", {"when": [{"key": "source.ip", "values": ["192.0.0.0/8"]}]})], (["gw/deny"], True)),
        ([policy("DENY", {"when": [{"key": "connection.sni", "values": ["a"]}]})], (["gw/deny"], False)),
        ([policy("ALLOW", {"when": [{"key": "destination.port", "values": ["8082"]}]})], (["gw/allow"], True)),
        # From outside nobody has an identity.
        ([policy("ALLOW", source(principals=["*"]))], (["gw/allow"], True)),
        ([policy("DENY", source(notNamespaces=["gw"]))], (["gw/deny"], True)),
        # Others' namespaces, other pods, Gateway API objects, and what is only tried.
        ([policy("DENY", {}, namespace="apps")], ([], False)),
        ([policy("DENY", {}, namespace="istio-system")], (["istio-system/deny"], True)),
        ([policy("DENY", {}, selector={"matchLabels": {"app": "web"}})], ([], False)),
        ([policy("DENY", {}, selector={"matchLabels": {"app": "edge"}})], (["gw/deny"], True)),
        ([policy("DENY", {}, targetRefs=[{}])], ([], False)),
        ([policy("DENY", {}, targetRef={"kind": "Gateway"})], ([], False)),
        ([policy("AUDIT", {})], ([], False)),
        (
            [{"metadata": {"name": "d", "namespace": "gw", "annotations": {"istio.io/dry-run": "true"}},
              "spec": {"action": "DENY", "rules": [{}]}}],
            ([], False),
        ),
    ],
)  # fmt: skip
def test_a_client_from_outside(policies, denied):
    assert denied_by(policies, "istio-system", "gw", LABELS, 8081, "192.0.2.1") == denied


def test_of_a_pod_in_the_mesh_the_identity_is_not_known():
    assert denied_by([policy("ALLOW", source(principals=["a"]))], "root", "gw", LABELS, 1) == (["gw/allow"], False)
