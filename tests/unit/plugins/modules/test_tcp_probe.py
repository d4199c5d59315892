# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module's shell: options in, results out, with the real prober on the loopback."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.servicemesh.tcp.plugins.module_utils import _probing
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._envoy import Endpoint, Snapshot
from ansible_collections.servicemesh.tcp.plugins.modules import tcp_probe

EDGE = {"name": "edge", "namespace": "gateways", "selector": {"istio": "edge"}}
QUICK = {"deadline": 0, "hold": 0.1}


class Exit(Exception):
    """How the module ended."""


@pytest.fixture
def run(monkeypatch):
    """Run the module with options that its own specification validates, and return what it returns."""

    def run_module(**options):
        class Module:
            def __init__(self, argument_spec, supports_check_mode):
                assert supports_check_mode
                validated = ArgumentSpecValidator(argument_spec).validate(options)
                assert not validated.error_messages
                self.params = validated.validated_parameters
                self.check_mode = False

            def exit_json(self, **result):
                raise Exit({"failed": False, **result})

            def fail_json(self, **result):
                raise Exit({"failed": True, **result})

        monkeypatch.setattr(tcp_probe, "AnsibleModule", Module)
        with pytest.raises(Exit) as caught:
            tcp_probe.main()
        return caught.value.args[0]

    return run_module


@pytest.fixture
def echo_port():
    """An echo server in a thread of its own, since the module has its own loop."""
    ready, loop, port = threading.Event(), asyncio.new_event_loop(), []

    async def echo(reader, writer):
        while data := await reader.read(4096):
            writer.write(data)
        writer.close()

    def serve():
        server = loop.run_until_complete(asyncio.start_server(echo, "127.0.0.1", 0))
        port.append(server.sockets[0].getsockname()[1])
        loop.call_soon(ready.set)
        loop.run_forever()
        server.close()

    thread = threading.Thread(target=serve)
    thread.start()
    ready.wait()
    yield port[0]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


def no_api(module):
    """Stand in where the API server must not be asked."""
    raise AssertionError("the API server was asked")


def test_talkative_ports_need_no_cluster(run, echo_port, monkeypatch):
    monkeypatch.setattr(tcp_probe, "Api", no_api)
    target = {"name": "web", "addresses": ["127.0.0.1"], "port": echo_port, "mode": "send", "send": "hello\\n"}
    result = run(targets=[target], **QUICK)
    (found,) = result["results"]
    assert (found["name"], found["state"], found["answer"]) == ("web", "proven", "hello\n")
    assert (result["failed"], result["changed"], result["api_requests"]) == (False, False, 0)
    assert result["summary"]["proven"] == result["summary"]["total"] == 1


def test_silent_ports_are_asked_of_their_gateway(run, echo_port, monkeypatch):
    class FakeApi:
        def __init__(self, module):
            self.requests = Counter()

    class FakeReader:
        def __init__(self, api):
            self.api = api

        def snapshot(self, gateway, wanted, pods):
            self.api.requests["GET"] += 1
            assert (gateway.namespace, gateway.selector) == ("gateways", {"istio": "edge"})
            assert wanted == {"c"}
            assert pods == (None if self.api.requests["GET"] == 1 else ["pod"])
            return Snapshot({"pod": {"c": {"10.0.0.7:80": Endpoint(self.api.requests["GET"], True)}}})

    monkeypatch.setattr(tcp_probe, "Api", FakeApi)
    monkeypatch.setattr(_probing, "reader_of", FakeReader)
    target = {"name": "db", "addresses": ["127.0.0.1"], "port": echo_port, "gateway": "edge", "cluster": "c"}
    result = run(targets=[target], gateways=[EDGE], **QUICK)
    assert result["results"][0]["state"] == "proven"
    assert result["api_requests"] == 2


def test_a_port_that_does_not_answer_does_not_fail_the_task(run, echo_port):
    target = {"name": "web", "addresses": ["127.0.0.1"], "port": echo_port, "mode": "send", "send": "a", "expect": "b"}
    result = run(targets=[target], **QUICK)
    assert (result["failed"], result["summary"]["wrong_answer"]) == (False, 1)


def test_an_api_server_that_does_not_answer_is_an_error(run, monkeypatch):
    def fail(module):
        raise ApiError(0, "Unreachable", "connection refused", "GET", "/version")

    monkeypatch.setattr(tcp_probe, "Api", fail)
    target = {"name": "db", "addresses": ["127.0.0.1"], "port": 1, "gateway": "edge", "cluster": "c"}
    result = run(targets=[target], gateways=[EDGE], **QUICK)
    assert result["failed"]
    assert "connection refused" in result["msg"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"concurrency": 0}, "concurrency is 0"),
        ({"deadline": -1}, "deadline is -1"),
        ({"deadline": "inf"}, "deadline is inf"),
        ({"hold": "nan"}, "hold is nan"),
        ({"gateways": [EDGE, EDGE]}, "edge is given twice"),
        ({"gateways": [{**EDGE, "selector": {}}]}, "selector is empty"),
        ({"gateways": []}, "gateway edge is not in gateways"),
    ],
)
def test_wrong_options_are_refused(run, monkeypatch, options, words):
    monkeypatch.setattr(tcp_probe, "Api", no_api)
    target = {"name": "db", "addresses": ["127.0.0.1"], "port": 1, "gateway": "edge", "cluster": "c"}
    result = run(**{"targets": [target], "gateways": [EDGE], **options})
    assert result["failed"]
    assert words in result["msg"]


def test_a_target_inside_the_cluster_needs_a_gateway(run):
    found = run(targets=[{"name": "a", "addresses": ["127.0.0.1"], "port": 1, "from": "cluster"}], **QUICK)
    assert found["failed"]
    assert "target a: from: cluster needs the gateway beside which the pod is to run" in found["msg"]
