# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which servers share a port, and which are dropped. A case is servers in the order of their Gateways' age."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._istio_merge import merge
from ansible_collections.servicemesh.tcp.tests.unit.plugins.istio_builders import ended, gateway, passthrough, server

NEWEST, OLD = (1, 31), (1, 16)
TCP, HTTP, HTTP2 = server(80), server(80, "HTTP"), server(80, "HTTP2")
REDIRECT = server(80, "HTTP", "SIMPLE", ["x.test"])
X, Y = passthrough(80, "x.test"), passthrough(80, "y.test")


def at(item, bind):
    """Return a server with a bind."""
    return {**item, "bind": bind}


def merged(*servers, version=NEWEST, resolve=lambda number: number):
    """Merge one Gateway per server; return the slots with their servers' Gateways, and who lost to whom for what."""
    gateways = [gateway(name, item) for name, item in zip("abcdef", servers, strict=False)]
    found = merge(gateways, resolve, version)
    slots = {
        f"{slot.bind}:{slot.port}/{slot.protocol}": "".join(item.gateway["name"] for item in items)
        for slot, items in found.slots.items()
    }
    return slots, [f"{item.server.gateway['name']} {item.reason} {item.winner.gateway['name']}" for item in found.lost]


@pytest.mark.parametrize(
    ("servers", "slots", "lost"),
    [
        ([TCP, server(81)], {":80/TCP": "a", ":81/TCP": "b"}, []),
        ([TCP, TCP, TCP], {":80/TCP": "a"}, ["b port a", "c port a"]),
        ([TCP, HTTP], {":80/TCP": "a"}, ["b port a"]),
        ([HTTP, TCP], {":80/HTTP": "a"}, ["b port a"]),
        ([TCP, server(80, "MYSQL")], {":80/TCP": "a"}, ["b port a"]),
        ([HTTP, HTTP2, HTTP], {":80/HTTP": "abc"}, []),
        # TLS after a plain server is dropped, a plain one after TLS is not, and it closes the port.
        ([TCP, X], {":80/TCP": "a"}, ["b port a"]),
        ([X, TCP], {":80/TLS": "a", ":80/TCP": "b"}, []),
        ([X, TCP, Y], {":80/TLS": "a", ":80/TCP": "b"}, ["c port b"]),
        ([X, Y, ended(80, "z.test")], {":80/TLS": "abc"}, []),
        ([X, X], {":80/TLS": "a"}, ["b host a"]),
        ([X, passthrough(80, "y.test", "x.test"), Y], {":80/TLS": "ac"}, ["b host a"]),
        # Hosts of namespaces differ as they are written.
        ([passthrough(80, "m/x.test"), passthrough(80, "n/x.test")], {":80/TLS": "ab"}, []),
        ([passthrough(80, "*/x.test"), X], {":80/TLS": "a"}, ["b host a"]),
        # A host is held also by a server that is dropped for its port.
        ([TCP, X, X], {":80/TCP": "a"}, ["b port a", "c host b"]),
        # Redirects are plain HTTP, and hold their hosts nevertheless.
        ([REDIRECT, REDIRECT], {":80/HTTP": "a"}, ["b host a"]),
        # Addresses of their own are apart.
        ([TCP, at(TCP, "10.0.0.1")], {":80/TCP": "a", "10.0.0.1:80/TCP": "b"}, []),
        ([at(X, "10.0.0.1"), at(X, "10.0.0.2")], {"10.0.0.1:80/TLS": "a", "10.0.0.2:80/TLS": "b"}, []),
        ([TCP, at(X, "10.0.0.1")], {":80/TCP": "a", "10.0.0.1:80/TLS": "b"}, []),
        # The last bind of a port is the one that is remembered: a third server on the first one slips through.
        ([TCP, at(TCP, "10.0.0.1"), TCP], {":80/TCP": "ac", "10.0.0.1:80/TCP": "b"}, []),
        ([TCP, at(TCP, "10.0.0.1"), at(TCP, "10.0.0.1")], {":80/TCP": "a", "10.0.0.1:80/TCP": "b"}, ["c port b"]),
    ],
)
def test_servers_on_one_port(servers, slots, lost):
    assert merged(*servers) == (slots, lost)


@pytest.mark.parametrize(
    ("servers", "slots", "lost"),
    [
        ([TCP, at(TCP, "10.0.0.1")], {":80/TCP": "a"}, ["b port a"]),
        ([HTTP, at(TCP, "10.0.0.1")], {":80/HTTP": "a"}, ["b port a"]),
        ([X, TCP], {":80/TLS": "a"}, ["b port a"]),
        ([HTTP, HTTP2], {":80/HTTP": "ab"}, []),
    ],
)
def test_servers_on_one_port_before_1_18(servers, slots, lost):
    assert merged(*servers, version=OLD) == (slots, lost)


def test_the_port_that_counts_is_the_one_that_is_bound():
    found = merged(server(80), server(8080), server(81), resolve={80: 8080, 8080: 8080, 81: 81}.__getitem__)
    assert found == ({":8080/TCP": "a", ":81/TCP": "c"}, ["b port a"])


def test_https_servers_of_a_gateway_need_port_names_of_their_own():
    first, second = (server(443, "HTTPS", "SIMPLE", [host]) for host in ("x.test", "y.test"))
    other = server(443, "HTTPS", "SIMPLE", ["z.test"], name="https-other")
    found = merge([gateway("a", first, second, other)], lambda number: number, NEWEST)
    assert [(item.server.hosts, item.reason, item.winner.hosts) for item in found.lost] == [
        (("y.test",), "name", ("x.test",))
    ]
    assert [[item.hosts[0] for item in items] for items in found.slots.values()] == [["x.test", "z.test"]]


def test_a_server_without_a_port_is_skipped():
    assert merged({**TCP, "port": None}, TCP) == ({":80/TCP": "b"}, [])
