# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names in Istio's configuration."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _istio_names as names


# The examples of istio's own comment on Matches, and a few more.
@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ("foo.com", "foo.com", True),
        ("foo.com", "bar.com", False),
        ("*.com", "foo.com", True),
        ("*.foo.com", "foo.com", False),
        ("*", "foo.com", True),
        ("*", "*.com", True),
        ("*", "*", True),
        ("*.a.com", "*.com", True),
        ("*.a.com", "*.b.com", False),
    ],
)
def test_hosts_that_overlap(one, other, found):
    assert names.overlap(one, other) is found
    assert names.overlap(other, one) is found


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("db", "db.apps.svc.corp"),
        ("db.other", "db.other"),
        ("*", "*"),
        ("", ""),
        ("10.0.0.1", "10.0.0.1"),
        ("::1", "::1"),
    ],
)
def test_a_short_host_is_of_the_object_s_namespace(host, found):
    assert names.full_host(host, "apps", "corp") == found


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("edge", "apps/edge"),
        ("./edge", "apps/edge"),
        ("gateways/edge", "gateways/edge"),
        ("edge.gateways", "gateways/edge"),
        ("edge.gateways.svc.cluster.local", "gateways/edge"),
        ("mesh", "mesh"),
    ],
)
def test_the_gateway_that_a_virtual_service_names(name, found):
    assert names.full_gateway(name, "apps") == found


@pytest.mark.parametrize(
    ("hosts", "found"),
    [
        (["*"], ["*"]),
        (["./*", "./x.test"], ["apps/*", "apps/x.test"]),
        (["*/x.test"], ["x.test"]),
        (["team/x.test"], ["team/x.test"]),
        (["x.test", "*/*", "y.test"], ["*"]),
    ],
)
def test_a_server_s_hosts(hosts, found):
    assert names.server_hosts(hosts, "apps") == found


def test_the_names_of_a_tls_server_have_no_namespace():
    assert names.sni_hosts(["b/x.test", "a/x.test", "*"]) == ["*", "x.test"]


@pytest.mark.parametrize(
    ("servers", "virtual", "found"),
    [
        (["*"], ["x.test"], True),
        (["team/*"], ["x.test"], True),
        (["other/*"], ["x.test"], False),
        (["other/*", "x.test"], ["x.test"], True),
        (["y.test"], ["x.test"], False),
        (["y.test"], ["x.test", "*.test"], True),
        ([], ["*"], False),
    ],
)
def test_a_virtual_service_binds_where_a_host_is_open_to_its_namespace(servers, virtual, found):
    assert names.hosts_match(servers, virtual, "team") is found


def test_oldest_first_then_by_name_then_by_namespace():
    order = [("1", "b", "b"), ("2", "a", "b"), ("2", "b", "a"), ("2", "b", "b"), ("3", "a", "a")]
    items = [{"created": created, "name": name, "namespace": namespace} for created, name, namespace in order]
    items_youngest_first = list(reversed(items))
    assert sorted(items_youngest_first, key=names.age_key) == items
