# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients of a TLS door are given; that a real stunnel takes it is in tests/integration/collection/test_tls.py."""

from __future__ import annotations

from ansible_collections.servicemesh.tcp.plugins.module_utils._endpoints import endpoints
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import EDGE, front, record, service_port

STUNNEL = """\
; the authority that signed the server's certificate
; is looked for in the folder in which stunnel is started
foreground = yes
[orders-db--x]
client = yes
accept = 127.0.0.1:9000
connect = 198.18.25.1:8443
sni = db.example.com
CAfile = ca.pem
verifyChain = yes
checkHost = db.example.com
"""


def endpoint(*addresses, **keys):
    """Return the endpoint of a record."""
    raw = {**record("orders-db [x", 8443), **keys}
    mapped = port_map([raw], [EDGE])
    assert mapped["findings"] == []
    fronts = [front([service_port(8443)], type="LoadBalancer", addresses=list(addresses))]
    (found,) = endpoints(mapped["ports"], fronts)
    return found


def test_a_name():
    found = endpoint("198.18.25.1", protocol="tls", hosts=["*.example.com", "db.example.com"])
    assert found["sni"] == "db.example.com"
    assert found["client"] == {
        "stunnel": STUNNEL,
        "openssl": "openssl s_client -connect 198.18.25.1:8443 -servername db.example.com -verify_hostname"
        " db.example.com -CAfile ca.pem -verify_return_error -quiet",
    }


def test_whatever_name_and_a_client_s_certificate():
    tls = {"mode": "mutual", "secret": "cert"}
    found = endpoint("fd00::1", protocol="tls", tls=tls, probe={"mode": "none"})
    assert found["sni"] is None
    assert "connect = [fd00::1]:8443\n" in found["client"]["stunnel"]
    assert "cert = client.pem\nkey = client.key\n" in found["client"]["stunnel"]
    assert "sni" not in found["client"]["stunnel"]
    assert found["client"]["openssl"] == (
        "openssl s_client -connect [fd00::1]:8443 -noservername -CAfile ca.pem -verify_return_error"
        " -cert client.pem -key client.key -quiet"
    )


def test_nothing_for_a_plain_port_and_without_an_address():
    assert endpoint("198.18.25.1")["client"] is None
    assert endpoint("198.18.25.1")["sni"] is None
    assert endpoint(protocol="tls", hosts=["db.example.com"])["client"] is None
