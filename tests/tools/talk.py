#!/usr/bin/env python3
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Be a plain TCP client: send one line, print the line that comes back; exit 1 when none does.

With a name and an authority's certificate it talks within TLS, asks for that name and verifies it.

Knows nothing of the collection, since it judges it.

Usage: talk.py ADDRESS PORT TEXT [NAME CA_FILE]
"""

from __future__ import annotations

import socket
import ssl
import sys

if __name__ == "__main__":
    address, port, text, *tls = sys.argv[1:]
    try:
        with socket.create_connection((address, int(port)), timeout=5) as plain:
            connection = plain
            if tls:
                connection = ssl.create_default_context(cafile=tls[1]).wrap_socket(plain, server_hostname=tls[0])
            connection.sendall(f"{text}\n".encode())
            answer = connection.makefile().readline()
    except OSError as error:
        sys.exit(f"{address}:{port}: {error}")
    if not answer:
        sys.exit(f"{address}:{port}: closed without an answer")
    print(answer, end="")
