# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy in front of an API server that counts requests, and can go dead after a number of real writes.

It stands outside the collection, so that neither count nor interruption depends on what is judged.
"""

from __future__ import annotations

import base64
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import urllib3
import yaml

WRITES = ("POST", "PUT", "PATCH", "DELETE")
HOP = ("connection", "transfer-encoding", "content-length", "keep-alive")


class CountingProxy:
    """Counts what passes; with C(writes_allowed) set, the write after the last allowed one and all after it fail."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        self.upstream = cluster["server"]
        self.token = config["users"][0]["user"]["token"]
        with tempfile.NamedTemporaryFile(delete=False) as authority:
            authority.write(base64.b64decode(cluster["certificate-authority-data"]))
        self.pool = urllib3.PoolManager(ca_certs=authority.name)
        self.requests: list[str] = []
        self.writes: list[str] = []
        self.writes_allowed: int | None = None
        self.lock = threading.Lock()

    def admit(self, method: str, path: str, body: bytes) -> bool:
        """Count one request; tell whether it may pass."""
        # A deletion says in its body that it is a dry run, everything else in its query.
        dry = (
            b'"dryRun": ["All"]' in body or b'"dryRun":["All"]' in body if method == "DELETE" else "dryRun=All" in path
        )
        with self.lock:
            self.requests.append(method)
            if method in WRITES and not dry:
                self.writes.append(f"{method} {path}")
            return self.writes_allowed is None or len(self.writes) <= self.writes_allowed

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Listen on a loopback port; yield the address."""
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if not proxy.admit(self.command, self.path, body):
                    self.close_connection = True
                    return
                headers = {
                    name: value
                    for name, value in self.headers.items()
                    if name.lower() not in (*HOP, "host", "authorization")
                }
                headers["Authorization"] = f"Bearer {proxy.token}"
                answer = proxy.pool.request(self.command, proxy.upstream + self.path, body=body, headers=headers)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    if name.lower() not in HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.data)))
                self.end_headers()
                self.wfile.write(answer.data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on

            def log_message(self, *_arguments: object) -> None:
                """Stay quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
