# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records that share a port of a gateway by names: server names of TLS, host names of HTTP.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# The key of a record, entry or listener that holds its names; what shares a port is of one kind.
KINDS = ("tls", "http")
# The kind of an Istio Gateway's server, by its protocol as this collection writes it.
KIND_OF_SERVER: Mapping[str, str] = {"TLS": "tls", "HTTP": "http"}


def kind_of(item: Mapping[str, Any]) -> str:
    """Return by which kind of names something shares its port, '' where it has the port alone."""
    return "tls" if item.get("tls") else "http" if item.get("http") else ""


def shared_port_name(kind: str, port: int) -> str:
    """Return the name of a port that records share by their names; it carries none of them."""
    return f"{kind}-{port}"


def is_shared_name(kind: str, name: str, port: int) -> bool:
    """Tell whether a port of a front Service was named to be shared by this kind of names."""
    return name == shared_port_name(kind, port)
