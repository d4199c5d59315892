# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Port translation."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _istio_ports as ports
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import service_port
from ansible_collections.servicemesh.tcp.tests.unit.plugins.istio_builders import door, pods


def translated(*services):
    """Return number and port of the Services in front of the usual pods."""
    found = ports.translations(ports.ServiceIndex(services).of(pods()))
    return {number: port for number, (port, _service) in found.items()}


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({"name": "tcp-x"}, "tcp"),
        ({"name": "tls"}, "tls"),
        ({"name": "TLS-x"}, "tls"),
        ({"name": "grpc-web-x"}, "grpc-web"),
        ({"name": "x"}, ""),
        ({"name": ""}, ""),
        ({"name": "x", "port": 3306}, "tcp"),
        ({"name": "http-x", "port": 3306}, "http"),
        ({"name": "tcp", "app_protocol": "https"}, "https"),
        ({"name": "tcp", "app_protocol": "kubernetes.io/ws"}, "http"),
        ({"name": "tcp", "app_protocol": "strange"}, ""),
        ({"name": "tcp", "protocol": "UDP"}, "udp"),
    ],
)
def test_the_protocol_of_a_service_s_port(more, found):
    assert ports.protocol_of({**service_port(7001), **more}) == found


@pytest.mark.parametrize(
    ("services", "found"),
    [
        ([], {}),
        ([door("a", (80, 8080))], {80: 8080}),
        ([door("a", (80, 8080), selector={})], {}),
        ([door("a", (80, 8080), selector={"istio": "other"})], {}),
        ([door("a", (80, 8080), selector={"istio": "ingress", "app": "x"})], {}),
        ([door("a", (80, 8080), namespace="elsewhere")], {}),
        # The older one.
        ([door("a", (80, 1), created=2), door("b", (80, 2), created=1)], {80: 2}),
        # A tie goes by host name, in which a dot follows the name.
        ([door("a", (80, 1)), door("a-b", (80, 2))], {80: 2}),
        ([door("a", (80, 1)), door("b", (80, 2), (81, 3))], {80: 1, 81: 3}),
        # It opts out by the label's presence.
        ([door("a", (80, 1), labels={ports.OPT_OUT_LABEL: "false"}), door("b", (80, 2))], {80: 2}),
        # The second way to one target is forgotten, also by the rule that the older Service wins.
        ([door("a", (80, 8080), (81, 8080))], {80: 8080}),
        ([door("a", (80, 8080), (81, 8080)), door("b", (81, 9))], {80: 8080, 81: 9}),
        ([door("a", service_port(80, 8080, "tcp-a"), service_port(81, 8080, "tls-b"))], {80: 8080, 81: 8080}),
        # A name that no container is known to have.
        ([door("a", service_port(80, "http"))], {}),
        # A number is translated whatever the port's protocol.
        ([door("a", service_port(80, 8080, protocol="UDP"))], {80: 8080}),
    ],
)
def test_translation(services, found):
    assert translated(*services) == found
