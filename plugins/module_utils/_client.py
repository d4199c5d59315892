# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one door to the API server: kubernetes.core's authentication, plain dicts, a count of requests.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import copy
import json
import socket
import threading
import traceback
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import missing_required_lib

try:
    from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
except ImportError:  # the module says so when it connects
    AUTH_ARG_SPEC = {}

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

# Seconds to connect and to wait for an answer; a list of a large cluster's Services takes a few.
REQUEST_TIMEOUT = (10, 60)
# Kubernetes API concepts, "Metadata-only fetches".
METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

# An audit asks from several threads, and adding one to a counter is not one step.
_COUNTING = threading.Lock()


class ApiError(Exception):
    """What the API server answered when it refused, or that it could not be reached (status 0)."""

    def __init__(self, status: int, reason: str, message: str, method: str, path: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.method = method
        self.path = path


def auth_argument_spec() -> dict[str, Any]:
    """Return the authentication options of kubernetes.core, which fall back to K8S_AUTH_* and the kubeconfig."""
    return copy.deepcopy(dict(AUTH_ARG_SPEC))


class Api:
    """A connection to one API server, speaking plain dicts over one keep-alive connection."""

    def __init__(self, module: AnsibleModule) -> None:
        """Connect with the module's authentication options; ends the module where a library is missing."""
        # Here and not above: the client takes half a second to load, which a proof that asks nobody need not spend.
        try:
            from ansible_collections.kubernetes.core.plugins.module_utils.k8s.client import get_api_client
            from ansible_collections.kubernetes.core.plugins.module_utils.k8s.exceptions import CoreException
            from kubernetes.dynamic.exceptions import DynamicApiError
            from urllib3.exceptions import HTTPError
        except ImportError:
            module.fail_json(
                msg=missing_required_lib("kubernetes and kubernetes.core"), exception=traceback.format_exc()
            )
        self._unreachable, self._refused = HTTPError, DynamicApiError
        self.requests: Counter[str] = Counter()
        # The client's discovery sets no time-out of its own; an address that swallows packets would hang the run.
        socket.setdefaulttimeout(REQUEST_TIMEOUT[0])
        auth = {name: value for name, value in module.params.items() if name in AUTH_ARG_SPEC and value is not None}
        try:
            self._client = get_api_client(**auth).client
        except CoreException as error:
            raise ApiError(0, "Unconfigured", str(error), "GET", "/version") from error
        except HTTPError as error:
            raise ApiError(0, "Unreachable", str(error), "GET", "/version") from error
        except DynamicApiError as error:
            raise _api_error(error, "GET", "/version") from error

    @property
    def host(self) -> str:
        """The address of the API server."""
        return self._client.configuration.host

    @property
    def client(self) -> Any:
        """The Python client's C(ApiClient), for what is no plain request (port forwarding)."""
        return self._client.client

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Read one path."""
        return self.request("GET", path, query=query)

    def find(self, path: str, **query: Any) -> dict[str, Any] | None:
        """Read one path; nothing there is V(None)."""
        try:
            return self.get(path, **query)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def metadata(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """Read the objects of a path with their metadata only, which is all that the server then sends."""
        return self.request("GET", path, query=query, accept=METADATA_ONLY)["items"]

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        content_type: str | None = None,
        accept: str | None = None,
    ) -> dict[str, Any]:
        """Send one request and return the answer; raise ApiError for anything that is not a success."""
        return json.loads(self._send(method, path, body, query, content_type, accept))

    def text(self, path: str, **query: Any) -> str:
        """Read one path that answers with plain text (a pod's log)."""
        return self._send("GET", path, None, query, None, None).decode(errors="replace")

    def _send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        query: Mapping[str, Any] | None,
        content_type: str | None,
        accept: str | None,
    ) -> bytes:
        """Send one request and return the body of the answer."""
        with _COUNTING:
            self.requests[method] += 1
        try:
            response = self._client.request(
                method,
                path,
                body=body,
                query_params=[(name, value) for name, value in (query or {}).items() if value is not None],
                content_type=content_type,
                header_params={"Accept": accept} if accept else {},
                serialize=False,
                _request_timeout=REQUEST_TIMEOUT,
            )
        except self._refused as error:
            raise _api_error(error, method, path) from error
        except self._unreachable as error:
            raise ApiError(0, "Unreachable", str(error), method, path) from error
        return response.data


def _api_error(error: Any, method: str, path: str) -> ApiError:
    """Take the status object out of the client's exception."""
    reason, message = str(error.reason), str(error.body)
    try:
        status = json.loads(error.body)
        reason, message = status.get("reason") or reason, status.get("message") or message
    except (TypeError, ValueError):
        pass
    return ApiError(error.status, reason, message, method, path)
