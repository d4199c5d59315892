# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every finding about HTTP, provoked once, with its whole text."""

from __future__ import annotations

from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._http_share import check_routes
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls_share import Shared
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import EDGE, record


def served(name: str, *hosts: str, **more: Any) -> dict[str, Any]:
    """Return an HTTP record."""
    return record(name, 8080, protocol="http", **({"hosts": list(hosts)} if hosts else {}), **more)


def held(host: str, other: str) -> list[dict[str, str]]:
    """Return what is told of a record's host where somebody else has another."""
    entry = {"name": "a", "port": 8080, "http": {"hosts": [host], "paths": [{"prefix": "/"}]}}
    return check_routes(EDGE, [entry], {8080: Shared(8080, {other: "set 'b'"})})


TEXTS = {
    "HTTP_HOST_TAKEN": (
        lambda: held("a.test.com", "*.test.com"),
        "record 'a': the host 'a.test.com' on port 8080 of gateway edge meets '*.test.com', which set 'b' has."
        " Choose another host or another port, or let the holder give it up: on one port a host is one set's.",
    ),
    "HTTP_PATH_TAKEN": (
        lambda: port_map([served("a", "a.test"), served("b", "a.test", paths="/")], [EDGE])["findings"],
        "record 'b': prefix '/' of host 'a.test' on port 8080 of gateway edge is what record 'a' of the same set has."
        " Choose another path, host or port: one path leads to one record.",
    ),
}
