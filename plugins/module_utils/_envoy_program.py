# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Envoy as a program of a pod of its own, with all of its configuration in its arguments.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def extension(name: str, kind: str, **config: Any) -> dict[str, Any]:
    """Return an extension, such as a filter, with its configuration; C(kind) is its message below envoy.extensions."""
    return {"name": name, "typed_config": {"@type": f"type.googleapis.com/envoy.extensions.{kind}", **config}}


def listener(name: str, address: str, port: int, network_filter: Mapping[str, Any]) -> dict[str, Any]:
    """Return a listener with one filter."""
    place = {"socket_address": {"address": address, "port_value": port}}
    return {"name": name, "address": place, "filter_chains": [{"filters": [network_filter]}]}


def arguments(**resources: Any) -> list[str]:
    """Return the arguments of an Envoy that serves these static resources (C(listeners), C(clusters))."""
    configuration = json.dumps({"static_resources": resources}, sort_keys=True)
    # A sidecar's Envoy would share its memory.
    quiet = ["--concurrency", "1", "--log-level", "warning", "--disable-hot-restart"]
    return ["--config-yaml", configuration, *quiet]
