# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about HTTP: hosts and paths of a port.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.servicemesh.tcp.plugins.module_utils._rule import Rule

RULES: Mapping[str, Rule] = {
    "HOP_HTTP_ROUTE": Rule(
        "error",
        "no VirtualService of Gateway {object} has this record's rules for port {port} ({routes}), so the gateway"
        " answers 404",
        "Run expose_tcp, which writes them.",
    ),
    "HTTP_HOST_TAKEN": Rule(
        "error",
        "the host {name!r} on port {port} of gateway {gateway} meets {other!r}, which {holder} has.",
        "Choose another host or another port, or let the holder give it up: on one port a host is one set's.",
    ),
    "HTTP_PATH_TAKEN": Rule(
        "error",
        "{kind} {path!r} of host {host!r} on port {port} of gateway {gateway} is what {holder} has.",
        "Choose another path, host or port: one path leads to one record.",
    ),
}
