# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module's shell: a port map in, endpoints with their first broken hops out."""

from __future__ import annotations

import json
import socket
import threading

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.plugins.modules import tcp_prove
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import EDGE, front, record
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi
from ansible_collections.servicemesh.tcp.tests.unit.plugins.module_run import run_module

HOME = "127.0.0.1"
VERDICT = {"code": "HOP_BACKEND_EMPTY", "message": "record 'b': no pod"}


@pytest.fixture
def answering():
    """Return a port of the loopback that greets and hangs up."""
    with socket.create_server((HOME, 0)) as server:

        def greet():
            while True:
                try:
                    session, _peer = server.accept()
                except OSError:
                    return
                with session:
                    session.sendall(b"ready\n")

        threading.Thread(target=greet, daemon=True).start()
        yield server.getsockname()[1]


@pytest.fixture
def closed():
    """Return a port of the loopback on which nobody listens."""
    with socket.create_server((HOME, 0)) as server:
        name = server.getsockname()
    return name[1]


def published(*ports):
    """Return a port map of records that greet, and the Service that carries them."""
    probe = {"mode": "banner", "expect": "ready"}
    mapped = port_map([record(name, number, probe=probe) for name, number in ports], [EDGE])["ports"]
    return {
        "ports": [{**port, "service": "edge"} for port in mapped],
        "services": [front(type="LoadBalancer", addresses=[HOME])],
        "deadline": 0,
    }


def test_what_answers_is_proven_and_what_does_not_is_walked_once(answering, closed, monkeypatch, tmp_path):
    walks = []

    def diagnose(_api, ports, rows, results, _reader, planned):
        walks.append(([port["name"] for port in ports], [row["proof"] for row in rows], len(results), planned))
        return [VERDICT]

    monkeypatch.setattr(tcp_prove, "diagnose", diagnose)
    monkeypatch.setattr(tcp_prove, "reader_of", lambda api: api)
    report = tmp_path / "lab-default.json"
    wanted = {**published(("a", answering), ("b", closed)), "report": str(report), "cluster": "lab"}
    done = run_module(tcp_prove, FakeApi(), **wanted)
    found = {row["name"]: (row["proof"], row["hop"], row["cluster"]) for row in done["endpoints"]}
    assert found == {"a": ("proven", None, "lab"), "b": ("broken", VERDICT, "lab")}
    assert done["findings"] == [VERDICT]
    assert walks == [(["b"], ["broken"], 2, False)]
    assert json.loads(report.read_text()) == done["endpoints"]
    assert report.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("options", "proof"), [({"probe": False}, "unproven"), ({"planned": True}, "planned")], ids=["unasked", "planned"]
)
def test_without_probing_nothing_is_connected_to(closed, options, proof):
    done = run_module(tcp_prove, None, **published(("a", closed)), **options)
    assert [row["proof"] for row in done["endpoints"]] == [proof]
    assert (done["findings"], done["api_requests"]) == ([], 0)


def test_a_walk_that_cannot_be_made_leaves_the_verdict_open(closed, monkeypatch):
    def diagnose(*_arguments):
        raise ApiError(500, "Internal", "no", "GET", "/")

    warnings = []
    monkeypatch.setattr(tcp_prove, "diagnose", diagnose)
    monkeypatch.setattr(tcp_prove, "reader_of", lambda api: api)
    done = run_module(tcp_prove, FakeApi(), warnings=warnings, **published(("a", closed)))
    assert [(row["proof"], row["hop"]) for row in done["endpoints"]] == [("broken", None)]
    assert [text.partition(":")[0] for text in warnings] == ["Where the broken ports break could not be found out"]


def test_a_report_needs_its_folder_before_anything_is_tried(answering, tmp_path):
    report = str(tmp_path / "nowhere" / "a.json")
    done = run_module(tcp_prove, None, **published(("a", answering)), report=report)
    assert (done["failed"], done["msg"]) == (
        True,
        f"The report cannot be written: there is no folder {tmp_path}/nowhere.",
    )
    shown = run_module(tcp_prove, None, check_mode=True, **published(("a", answering)), report=report)
    assert [row["proof"] for row in shown["endpoints"]] == ["proven"]
