# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small client of the API server: JSON in, JSON out, and a watch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import urllib3
from kubernetes.client import ApiClient
from kubernetes.config import new_client_from_config

from .kinds import Kind

MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


class ApiError(Exception):
    """The API server refused; `status` is the HTTP code."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """Requests with the user of a kubeconfig."""

    def __init__(self, kubeconfig: str) -> None:
        client: ApiClient = new_client_from_config(kubeconfig)
        self.configuration = client.configuration
        self._base = client.configuration.host.rstrip("/")
        self._pool: urllib3.PoolManager = client.rest_client.pool_manager
        self._pool.connection_pool_kw["maxsize"] = 40  # one watch per kind keeps a connection
        tokens = client.configuration.auth_settings().values()
        self._headers = {"Accept": "application/json"} | {str(one["key"]): str(one["value"]) for one in tokens}

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json", **query: Any
    ) -> dict[str, Any]:
        """One request; raises ApiError for a refusal."""
        reply = self._pool.request(
            method,
            self._url(path, query),
            body=None if body is None else json.dumps(body).encode(),
            headers=self._headers | ({"Content-Type": content_type} if body is not None else {}),
            timeout=30,
        )
        if reply.status >= 400:
            raise ApiError(reply.status, _message(reply.data))
        return json.loads(reply.data)

    def watch(self, kind: Kind, resource_version: str, seconds: int = 290) -> Iterator[dict[str, Any]]:
        """Events from a resource version on, until the server ends the watch."""
        query = {"watch": "1", "resourceVersion": resource_version, "timeoutSeconds": seconds} | selector(kind)
        reply = self._pool.request(
            "GET", self._url(kind.path(), query), headers=self._headers, preload_content=False, timeout=seconds + 30
        )
        try:
            if reply.status >= 400:
                raise ApiError(reply.status, reply.data.decode(errors="replace")[:200])
            rest = b""
            # read1 hands on what is there; stream() would wait for a full block.
            while piece := reply.read1(1 << 16, decode_content=True):
                *lines, rest = (rest + piece).split(b"\n")
                yield from (json.loads(line) for line in lines if line)
        finally:
            # The connection is in the middle of an answer, so it cannot be used again.
            reply.close()
            reply.release_conn()

    def _url(self, path: str, query: dict[str, Any]) -> str:
        return self._base + path + (f"?{urlencode(query)}" if query else "")


def _message(body: bytes) -> str:
    """What a refusal says; an unknown path is answered with plain text."""
    try:
        return json.loads(body)["message"]
    except (ValueError, KeyError):
        return body.decode(errors="replace").strip()


def selector(kind: Kind) -> dict[str, str]:
    """The query that limits a list or a watch to what the stand-ins look at."""
    return {"labelSelector": kind.selector} if kind.selector else {}
