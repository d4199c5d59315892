# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab without nodes: etcd and kube-apiserver as two processes on loopback, for tests that need many clusters."""

from __future__ import annotations

import base64
import json
import secrets
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from . import procfs
from .access import write_private
from .console import LabError
from .paths import LabPaths

SERVICES = "10.0.0.0/24"


def free_ports(count: int) -> list[int]:
    """Loopback ports that nothing listens on at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def etcd_command(program: Path, paths: LabPaths, client: int, peer: int) -> list[str]:
    """etcd without waiting for the disk: the data does not outlive the lab."""
    here, there = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    return [
        str(program),
        _data_flag(paths),
        "--unsafe-no-fsync",
        "--log-level=warn",
        f"--listen-client-urls={here}",
        f"--advertise-client-urls={here}",
        f"--listen-peer-urls={there}",
        f"--initial-advertise-peer-urls={there}",
        f"--initial-cluster=default={there}",
    ]


def apiserver_command(program: Path, paths: LabPaths, etcd_port: int, api_port: int) -> list[str]:
    """kube-apiserver with a certificate of its own making, whose key also signs the service accounts' tokens."""
    pki = _pki(paths)
    return [
        str(program),
        _pki_flag(paths),
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        "--bind-address=127.0.0.1",
        f"--secure-port={api_port}",
        f"--service-cluster-ip-range={SERVICES}",
        "--authorization-mode=RBAC",
        f"--token-auth-file={pki / 'tokens.csv'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki / 'apiserver.key'}",
        f"--service-account-signing-key-file={pki / 'apiserver.key'}",
    ]


def _pki(paths: LabPaths) -> Path:
    return paths.state_dir / "pki"


def _data_flag(paths: LabPaths) -> str:
    return f"--data-dir={paths.state_dir / 'etcd'}"


def _pki_flag(paths: LabPaths) -> str:
    return f"--cert-dir={_pki(paths)}"


def processes(paths: LabPaths) -> list[int]:
    """The lab's etcd and kube-apiserver, found by the folders in their arguments."""
    return procfs.with_arguments(_data_flag(paths)) + procfs.with_arguments(_pki_flag(paths))


def start(paths: LabPaths, programs: Mapping[str, Path], env: Mapping[str, str]) -> int:
    """Start both and wait until the API server is ready; write the admin's kubeconfig and return the port."""
    etcd_port, peer_port, api_port = free_ports(3)
    pki = _pki(paths)
    pki.mkdir(parents=True, mode=0o700)
    token = secrets.token_hex(16)
    write_private(pki / "tokens.csv", f'{token},admin,admin,"system:masters"\n')
    _spawn(etcd_command(programs["etcd"], paths, etcd_port, peer_port), paths.logs / "etcd.log", env)
    apiserver = _spawn(
        apiserver_command(programs["kube-apiserver"], paths, etcd_port, api_port), paths.logs / "apiserver.log", env
    )
    url = f"https://127.0.0.1:{api_port}"
    _wait(url, token, pki / "apiserver.crt", apiserver, paths.logs / "apiserver.log")
    write_private(
        paths.kubeconfig, json.dumps(kubeconfig(paths.name, url, pki / "apiserver.crt", token), indent=1) + "\n"
    )
    return api_port


def kubeconfig(name: str, url: str, certificate: Path, token: str) -> dict[str, object]:
    """The admin's kubeconfig."""
    authority = base64.b64encode(certificate.read_bytes()).decode()
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": url, "certificate-authority-data": authority}}],
        "users": [{"name": name, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def _spawn(command: list[str], log: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as sink:
        return subprocess.Popen(
            command, env=dict(env), stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True, cwd="/"
        )


def _wait(
    url: str, token: str, certificate: Path, apiserver: subprocess.Popen[bytes], log: Path, seconds: float = 60
) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and apiserver.poll() is None:
        if certificate.exists() and answers(url, token, certificate):
            return
        time.sleep(0.05)
    tail = "\n    ".join(log.read_text(errors="replace").splitlines()[-6:])
    raise LabError(f"The API server does not become ready:\n    {tail}", f"The whole log is {log}.")


def answers(url: str, token: str, certificate: Path) -> bool:
    """Whether the API server says that it is ready."""
    try:
        context = ssl.create_default_context(cafile=str(certificate))
        request = urllib.request.Request(f"{url}/readyz", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, context=context, timeout=3) as reply:
            return reply.status == 200
    except (OSError, urllib.error.HTTPError):
        return False
