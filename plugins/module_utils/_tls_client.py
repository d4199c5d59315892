# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people need to reach a TLS door: a stunnel configuration for plain clients, and a line of openssl.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._texts import host_port
from ansible_collections.servicemesh.tcp.plugins.module_utils._tls import sni_of


def client_of(port: Mapping[str, Any], addresses: Sequence[str], number: int) -> dict[str, str] | None:
    """Return C({stunnel, openssl}) for an entry of a port map, V(None) for a plain port or without an address.

    With stunnel a client that knows no TLS connects to this machine's own port, which is that of the backend. Both
    verify: C(ca.pem) is what the reader has to bring, the authority that signed the server's certificate.
    """
    tls = port.get("tls")
    if not tls or not addresses:
        return None
    name = port["probe"].get("sni") or sni_of(tls)
    where = host_port(addresses[0], number)
    mutual = tls["mode"] == "mutual"
    lines = [
        "; the authority that signed the server's certificate" + (", and this client's own pair" if mutual else ""),
        "; is looked for in the folder in which stunnel is started",
        "foreground = yes",
        f"[{re.sub(r'[^A-Za-z0-9._-]', '-', port['name'])}]",
        "client = yes",
        f"accept = 127.0.0.1:{port['backend']['port']}",
        f"connect = {where}",
        *([f"sni = {name}"] if name else []),
        "CAfile = ca.pem",
        "verifyChain = yes",
        *([f"checkHost = {name}"] if name else []),
        *(["cert = client.pem", "key = client.key"] if mutual else []),
    ]
    words = [
        f"openssl s_client -connect {where}",
        *([f"-servername {name} -verify_hostname {name}"] if name else ["-noservername"]),
        "-CAfile ca.pem -verify_return_error",
        *(["-cert client.pem -key client.key"] if mutual else []),
        "-quiet",
    ]
    return {"stunnel": "\n".join(lines) + "\n", "openssl": " ".join(words)}
