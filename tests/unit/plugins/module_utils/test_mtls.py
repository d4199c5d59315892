# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a gateway speaks to a backend, and what the backend takes."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._mtls import Setting, mismatch, spoken_mode, wanted_mode

HOST = "db.apps.svc.cluster.local"


def peer(name, mode=None, namespace="apps", created="2", selector=None, ports=None):
    """Return a PeerAuthentication."""
    spec = {"mtls": {"mode": mode}} if mode else {}
    if selector:
        spec["selector"] = {"matchLabels": selector}
    if ports:
        spec["portLevelMtls"] = {port: {"mode": given} for port, given in ports.items()}
    return {"metadata": {"name": name, "namespace": namespace, "creationTimestamp": created}, "spec": spec}


ROOT = peer("root", "STRICT", "istio-system")
OWN = peer("own", "DISABLE")
POD = peer("pod", "PERMISSIVE", selector={"app": "db"})


@pytest.mark.parametrize(
    ("policies", "setting"),
    [
        ([], Setting("PERMISSIVE", "")),
        ([ROOT], Setting("STRICT", "PeerAuthentication istio-system/root")),
        ([ROOT, OWN], Setting("DISABLE", "PeerAuthentication apps/own")),
        ([ROOT, OWN, POD], Setting("PERMISSIVE", "PeerAuthentication apps/pod")),
        ([ROOT, peer("unset")], Setting("STRICT", "PeerAuthentication istio-system/root")),
        ([OWN, peer("older", "STRICT", created="1")], Setting("STRICT", "PeerAuthentication apps/older")),
        ([peer("other", "STRICT", selector={"app": "web"})], Setting("PERMISSIVE", "")),
        ([peer("far", "STRICT", "elsewhere")], Setting("PERMISSIVE", "")),
        ([peer("port", "STRICT", ports={"5432": "DISABLE"})], Setting("DISABLE", "PeerAuthentication apps/port")),
        ([peer("port", "STRICT", ports={"80": "DISABLE"})], Setting("STRICT", "PeerAuthentication apps/port")),
    ],
)
def test_the_most_specific_policy_holds(policies, setting):
    assert wanted_mode(policies, "istio-system", "apps", {"app": "db"}, 5432) == setting


def rule(name, host, mode, namespace="apps", ports=()):
    """Return a DestinationRule."""
    levels = [{"port": {"number": port}, "tls": {"mode": given}} for port, given in ports]
    policy = {"tls": {"mode": mode}, "portLevelSettings": levels} if mode else {}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"host": host, "trafficPolicy": policy}}


@pytest.mark.parametrize(
    ("rules", "mode"),
    [
        ([], ""),
        ([rule("a", HOST, "DISABLE")], "DISABLE"),
        ([rule("a", "db", "DISABLE")], "DISABLE"),
        # A short name is one of the rule's own namespace.
        ([rule("a", "db", "DISABLE", "gw")], ""),
        ([rule("a", "*.apps.svc.cluster.local", "SIMPLE"), rule("b", HOST, "DISABLE")], "DISABLE"),
        # The client's namespace goes first, and hides the others.
        ([rule("a", HOST, "DISABLE"), rule("b", HOST, "ISTIO_MUTUAL", "gw")], "ISTIO_MUTUAL"),
        ([rule("a", HOST, "DISABLE"), rule("b", HOST, "", "gw")], ""),
        ([rule("a", HOST, "DISABLE", ports=[(5432, "SIMPLE")])], "SIMPLE"),
        ([rule("a", HOST, "DISABLE", ports=[(80, "SIMPLE")])], "DISABLE"),
        ([rule("a", "web.apps.svc.cluster.local", "DISABLE")], ""),
    ],
)
def test_what_a_gateway_is_told_to_speak(rules, mode):
    assert spoken_mode(rules, ["gw", "apps", "istio-system"], HOST, 5432).mode == mode


@pytest.mark.parametrize(
    ("spoken", "wanted", "sidecar", "words"),
    [
        ("", "STRICT", True, ""),
        ("", "STRICT", False, ""),
        ("DISABLE", "PERMISSIVE", True, ""),
        ("DISABLE", "STRICT", False, ""),
        ("ISTIO_MUTUAL", "STRICT", True, ""),
        ("DISABLE", "STRICT", True, "takes mTLS only (said)"),
        ("ISTIO_MUTUAL", "PERMISSIVE", False, "no sidecar"),
        ("ISTIO_MUTUAL", "DISABLE", True, "plain bytes only (said)"),
        ("SIMPLE", "STRICT", True, "takes mTLS only"),
    ],
)
def test_two_ends_that_do_not_speak_the_same(spoken, wanted, sidecar, words):
    found = mismatch(Setting(spoken, "rule"), Setting(wanted, "said"), sidecar)
    assert bool(found) is bool(words)
    assert words in found
