# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what a record says of TLS: which names it has on its port, and who ends TLS for them.

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._names import port_place
from ansible_collections.servicemesh.tcp.plugins.module_utils._probe_talk import KEYS_OF
from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import (
    Problems,
    check_keys,
    read_choice,
    read_dict,
    words,
)

PASSTHROUGH = "passthrough"
MODES = (PASSTHROUGH, "terminate", "mutual")
TLS_KEYS = words("mode secret ca min_version")
VERSIONS = ("1.2", "1.3")
ANY = "*"
LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
# One label alone would be a Service's short name to Istio (pilot/pkg/model/config.go, ResolveShortnameToFQDN).
HOST = re.compile(rf"(?:\*\.)?{LABEL}(?:\.{LABEL})+")
SECRET = re.compile(rf"{LABEL}(?:\.{LABEL})*")
# Protocols whose clients speak in plain words first, and then ask for TLS: by the ports of their servers.
STARTTLS: Mapping[int, str] = {
    21: "FTP",
    25: "SMTP",
    110: "POP3",
    143: "IMAP",
    389: "LDAP",
    587: "SMTP",
    3306: "MySQL",
    5222: "XMPP",
    5432: "PostgreSQL",
}
# The same by what a proof can speak.
STARTTLS_MODES: Mapping[str, str] = {"ftp": "FTP", "smtp": "SMTP", "mysql": "MySQL", "postgres": "PostgreSQL"}


def read_tls(problems: Problems, raw: Mapping[str, Any], protocol: str) -> dict[str, Any] | None:
    """Read C(tls) and C(hosts) of a record: C({mode, hosts, secret, ca, min_version}), V(None) for a plain record."""
    if protocol != "tls":
        for key, needed in (("tls", "tls"), ("hosts", "tls or http")):
            if key in raw and protocol == "tcp":
                problems.invalid(key, raw[key], f"it needs protocol: {needed}")
        return None
    given = read_dict(problems, "tls", raw.get("tls", {}))
    check_keys(problems, "tls.", given, TLS_KEYS, TLS_KEYS)
    mode = read_choice(problems, "tls.mode", given.get("mode", PASSTHROUGH), MODES)
    if raw.get("port") == "auto" or (isinstance(raw.get("port"), list) and "auto" in raw["port"]):
        problems.invalid("port", raw["port"], "records share a port of TLS by their names, so each has to say which")
    return {
        "mode": mode,
        "hosts": _hosts(problems, raw.get("hosts"), mode),
        "secret": _secret(problems, given.get("secret"), mode),
        "ca": _ca(problems, given, mode),
        "min_version": _version(problems, given.get("min_version"), mode),
    }


def _hosts(problems: Problems, value: Any, mode: str) -> list[str]:
    """Read the names that clients ask for; without any, a server that ends TLS takes whatever they ask for."""
    if value is None and mode != PASSTHROUGH:
        return [ANY]
    hosts = [value] if isinstance(value, str) else value
    if not isinstance(hosts, list) or not hosts:
        problems.invalid("hosts", value, "TLS is told apart by the names that clients ask for; give at least one")
        return []
    good = [host for host in hosts if isinstance(host, str) and HOST.fullmatch(host) and len(host) <= 253]
    for host in hosts:
        if host not in good:
            rule = "it must be a host name of two labels or more in lower case, such as db.example.com or *.example.com"
            problems.invalid("hosts", host, rule)
    return list(dict.fromkeys(good))


def _secret(problems: Problems, value: Any, mode: str) -> str | None:
    """Read the name of the Secret with the certificate."""
    if mode == PASSTHROUGH:
        if value is not None:
            problems.invalid("tls.secret", value, "with mode passthrough the backend shows its own certificate")
        return None
    if not isinstance(value, str) or not SECRET.fullmatch(value):
        problems.invalid("tls.secret", value, "it must be the name of a Secret in the gateway's namespace")
        return None
    return value


def _ca(problems: Problems, given: Mapping[str, Any], mode: str) -> str | None:
    """Read where the authorities of the clients' certificates stand: the Secret itself, or the one beside it.

    Istio finds them by the name of the Secret only (istio.io "Secure Gateways", mutual TLS).
    """
    value, secret = given.get("ca"), given.get("secret")
    if value is None:
        return None
    if mode != "mutual":
        problems.invalid("tls.ca", value, "it is used with mode mutual only")
    elif value not in (secret, f"{secret}-cacert"):
        problems.invalid("tls.ca", value, f"Istio looks in Secret {secret} and Secret {secret}-cacert only")
    return value


def _version(problems: Problems, value: Any, mode: str) -> str | None:
    """Read the oldest version of TLS that is taken; written as number or text."""
    if value is None:
        return None
    if mode == PASSTHROUGH:
        problems.invalid("tls.min_version", value, "with mode passthrough the backend decides")
    elif str(value) not in VERSIONS:
        problems.invalid("tls.min_version", value, f"it must be one of {', '.join(VERSIONS)}")
    return str(value)


def name_to_ask_for(hosts: Iterable[str]) -> str:
    """Return a name that one of these covers, '' where any does: the first that is whole, or one below a wildcard."""
    whole = [host for host in hosts if not host.startswith(ANY)]
    wild = [f"tcp-probe{host[1:]}" for host in hosts if host != ANY]
    return next(iter([*whole, *wild]), "")


def sni_of(tls: Mapping[str, Any]) -> str:
    """Return a name to ask for, '' where any does."""
    return name_to_ask_for(tls["hosts"])


def probe_with_tls(raw: Any, tls: Mapping[str, Any] | None) -> Any:
    """Add to a record's probe what its TLS makes of it: the name that is asked for, and that it talks within TLS.

    A handshake proves the backend of a passthrough; where the gateway ends TLS, it proves the gateway only.
    """
    if tls is None or not isinstance(raw, Mapping):
        return raw
    silent = "tls" if tls["mode"] == PASSTHROUGH else "connect"
    mode = raw.get("mode", "send" if "send" in raw else silent)
    takes = KEYS_OF.get(mode, ()) if isinstance(mode, str) else ()
    more: dict[str, Any] = {"tls": True} if "tls" in takes else {}
    if "sni" in takes and sni_of(tls):
        more["sni"] = sni_of(tls)
    return {"mode": mode, **more, **raw}


def check_talk(
    problems: Problems, tls: Mapping[str, Any] | None, raw: Any, mode: str, backend_ports: Iterable[Any]
) -> None:
    """Refuse protocols that begin in plain words, and proofs that do not say enough.

    They bring no name before TLS is asked for. A backend of which the record itself (C(raw), its probe) says
    C(probe.mode=tls) speaks TLS at once, as PostgreSQL 17 does with sslnegotiation=direct; the proof puts that to the
    test.
    """
    if tls is None:
        return
    given = raw if isinstance(raw, Mapping) else {}
    if tls["mode"] == "mutual" and mode != "none" and not given.get("cert"):
        rule = "the gateway wants a certificate of every client, of the prober too; give cert and key, or mode none"
        problems.invalid("probe.cert", None, rule)
    if tls["mode"] != PASSTHROUGH:
        if mode in ("tls", "mysql", "postgres", "ssh"):
            why = "it proves the gateway, which ends TLS, and not the backend"
            if mode != "tls":
                why = "it is not spoken within TLS"
            problems.invalid("probe.mode", mode, f"with tls.mode {tls['mode']!r} {why}; use send, banner or connect")
        return
    if mode in STARTTLS_MODES:
        problems.add("SNI_STARTTLS", protocol=STARTTLS_MODES[mode], seen=f"probe.mode {mode!r}")
        return
    known = sorted({port for port in backend_ports if port in STARTTLS})
    if known and given.get("mode") != "tls":
        problems.add("SNI_STARTTLS", protocol=STARTTLS[known[0]], seen=f"backend port {known[0]}")


def wildcards_of(name: str) -> list[str]:
    """Return the wildcards that take a name, or all that a wildcard takes, the nearest first.

    As Envoy does it: any number of labels stand in a wildcard's place.
    """
    labels = [] if name == ANY else name.split(".")
    found = [*(f"*.{'.'.join(labels[at:])}" for at in range(1, len(labels))), ANY]
    return [wild for wild in found if wild != name]


def one_per_port(items: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the first of the listeners of each port: records that share a port share all but their names."""
    found: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for item in items:
        found.setdefault(port_place(item), item)
    return list(found.values())
