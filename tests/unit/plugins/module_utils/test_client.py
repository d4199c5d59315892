# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection: what goes out, what comes back, and what is made of a refusal."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest
from ansible_collections.kubernetes.core.plugins.module_utils.k8s import client as core_client
from ansible_collections.kubernetes.core.plugins.module_utils.k8s.exceptions import CoreException
from ansible_collections.servicemesh.tcp.plugins.module_utils import _client
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api, ApiError
from kubernetes.dynamic.exceptions import DynamicApiError
from urllib3.exceptions import MaxRetryError


def refusal(status, reason, body):
    """Return the kubernetes client's exception for an answer."""
    return DynamicApiError(SimpleNamespace(status=status, reason=reason, body=body, headers={}))


class Client:
    """The dynamic client's one method that is used."""

    configuration = SimpleNamespace(host="https://cluster.test:6443")

    def __init__(self) -> None:
        self.sent: list = []
        self.answer = b"{}"

    def request(self, method, path, **more):
        self.sent.append((method, path, more))
        if isinstance(self.answer, Exception):
            raise self.answer
        return SimpleNamespace(data=self.answer)


@pytest.fixture
def client(monkeypatch):
    """A client that kubernetes.core hands out, whatever it is asked with."""
    found = Client()
    found.asked_with = []

    def get_api_client(**auth):
        found.asked_with.append(auth)
        return SimpleNamespace(client=found)

    monkeypatch.setattr(core_client, "get_api_client", get_api_client)
    monkeypatch.setattr(_client.socket, "setdefaulttimeout", lambda seconds: None)
    return found


@pytest.fixture
def api(client):
    """A connection without options."""
    return Api(SimpleNamespace(params={}))


def test_only_options_of_authentication_that_are_set_are_handed_on(client):
    params = {"kubeconfig": "k", "context": None, "validate_certs": False, "steps": [], "wait_timeout": 5}
    api = Api(SimpleNamespace(params=params))
    assert client.asked_with == [{"kubeconfig": "k", "validate_certs": False}]
    assert api.host == "https://cluster.test:6443"


def test_the_options_are_those_of_kubernetes_core_and_nobody_shares_them():
    spec = _client.auth_argument_spec()
    assert {"kubeconfig", "context", "host", "api_key", "ca_cert", "validate_certs"} <= set(spec)
    spec["kubeconfig"].clear()
    assert _client.auth_argument_spec()["kubeconfig"]


def test_a_request_leaves_out_what_is_not_set(api, client):
    client.answer = b'{"items": [1]}'
    assert api.get("/api/v1/pods", labelSelector="a=b", limit=None) == {"items": [1]}
    api.request("PATCH", "/x", body={"a": 1}, query={"dryRun": "All"}, content_type="t")
    (method, path, sent), (other, _path, patched) = client.sent
    assert (method, path, sent["query_params"]) == ("GET", "/api/v1/pods", [("labelSelector", "a=b")])
    assert (other, patched["body"], patched["content_type"]) == ("PATCH", {"a": 1}, "t")
    assert patched["query_params"] == [("dryRun", "All")]
    assert sent["_request_timeout"] == (10, 60)


def test_metadata_alone_is_asked_for_as_such(api, client):
    client.answer = b'{"items": [{"metadata": {"name": "a"}}]}'
    assert api.metadata("/api/v1/pods", labelSelector="x") == [{"metadata": {"name": "a"}}]
    api.get("/api/v1/pods")
    (_method, _path, narrow), (_other, _place, whole) = client.sent
    assert narrow["header_params"] == {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
    assert narrow["query_params"] == [("labelSelector", "x")]
    assert whole["header_params"] == {}


def test_requests_are_counted_also_when_they_fail(api, client):
    api.get("/a")
    client.answer = refusal(404, "Not Found", "{}")
    assert api.find("/b") is None
    assert dict(api.requests) == {"GET": 2}


@pytest.mark.parametrize(
    ("body", "reason", "message"),
    [
        (json.dumps({"reason": "Forbidden", "message": "not you"}), "Forbidden", "not you"),
        (json.dumps({"kind": "Status"}), "Oops", '{"kind": "Status"}'),
        ("<html>", "Oops", "<html>"),
        (None, "Oops", "None"),
    ],
)
def test_a_refusal_keeps_the_server_s_own_words(api, client, body, reason, message):
    client.answer = refusal(403, "Oops", body)
    with pytest.raises(ApiError) as caught:
        api.find("/x")
    error = caught.value
    assert (error.status, error.reason, error.message) == (403, reason, message)
    assert (error.method, error.path) == ("GET", "/x")


def test_a_server_that_does_not_answer_has_status_0(api, client):
    client.answer = MaxRetryError(None, "/x", "refused")
    with pytest.raises(ApiError) as caught:
        api.get("/x")
    assert (caught.value.status, caught.value.reason) == (0, "Unreachable")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (CoreException("no such kubeconfig"), 0),
        (MaxRetryError(None, "/version", "refused"), 0),
        (refusal(401, "Unauthorized", "{}"), 401),
    ],
)
def test_a_connection_that_cannot_be_made_is_told_like_a_request(monkeypatch, error, status):
    def get_api_client(**_auth):
        raise error

    monkeypatch.setattr(core_client, "get_api_client", get_api_client)
    with pytest.raises(ApiError) as caught:
        Api(SimpleNamespace(params={}))
    assert caught.value.status == status


def test_a_log_is_text_whatever_bytes_are_in_it(api, client):
    client.answer = b"hello \xff"
    assert api.text("/log", tailLines=5) == "hello \ufffd"


def test_a_missing_library_ends_the_module(monkeypatch):
    said = {}

    def fail_json(**result):
        said.update(result)
        raise SystemExit

    monkeypatch.setitem(sys.modules, "kubernetes.dynamic.exceptions", None)
    with pytest.raises(SystemExit):
        Api(SimpleNamespace(params={}, fail_json=fail_json))
    assert "kubernetes and kubernetes.core" in said["msg"]
    assert "ModuleNotFoundError" in said["exception"]
