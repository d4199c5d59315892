# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module's shell: closed ports in, endpoints and findings out."""

from __future__ import annotations

import socket

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _gone
from ansible_collections.servicemesh.tcp.plugins.modules import tcp_gone, tcp_publish
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import EDGE, EDGE_REFERENCE, record
from ansible_collections.servicemesh.tcp.tests.unit.plugins.module_run import run_module
from ansible_collections.servicemesh.tcp.tests.unit.plugins.whole_runs import mesh_cluster


@pytest.fixture
def open_port(monkeypatch):
    """Return a port of the loopback that accepts sessions, which is where the gateway's address leads."""
    monkeypatch.setattr(_gone, "HOLD", 0.05)
    monkeypatch.setattr(_gone, "reachable_at", lambda port, _front, _nodes: (["127.0.0.1"], port["port"]))
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_withdrawn_port_is_told_as_it_is_found(open_port, monkeypatch):
    monkeypatch.setattr(tcp_gone, "listeners_of", lambda _api: lambda _gateway: ({"edge-1": {open_port}}, []))
    api = mesh_cluster(gateways=[EDGE])
    target = {"target_port": 20000}
    run_module(tcp_publish, api, ports=[record("a", open_port, **target)], gateways=[EDGE_REFERENCE])
    withdrawn = run_module(tcp_publish, api, state="absent", withdraw=["a"])
    (closed,) = withdrawn["closed"]
    assert (closed["name"], closed["target_port"], closed["backend"]["service"]) == ("a", 20000, "echo")
    shown = run_module(tcp_gone, api, ports=withdrawn["closed"], planned=True)
    assert [item["proof"] for item in shown["endpoints"]] == ["planned"]
    found = run_module(tcp_gone, api, ports=withdrawn["closed"], cluster="lab", set="mine", deadline=0)
    (endpoint,) = found["endpoints"]
    assert (endpoint["proof"], endpoint["cluster"], endpoint["set"]) == ("answers", "lab", "mine")
    assert [item["code"] for item in found["findings"]] == ["PORT_ANSWERS"]
