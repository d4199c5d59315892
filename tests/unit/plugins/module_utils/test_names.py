# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that Kubernetes takes, whatever people call their records, gateways and sets."""

from __future__ import annotations

import re

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _names
from hypothesis import given
from hypothesis import strategies as st

# Kubernetes: IsDNS1123Label for a Service port's name, IsValidLabelValue and an object's name are no stricter.
LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
labels = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)


def is_label(text: str) -> bool:
    """Tell whether Kubernetes takes a text as an RFC 1123 label."""
    return len(text) <= 63 and bool(LABEL.fullmatch(text))


@given(port=st.integers(1, 65535), set_name=labels, record=st.text(min_size=1))
def test_a_port_s_name_is_a_label_and_carries_its_record(port, set_name, record):
    name = _names.port_name(port, set_name, record)
    assert is_label(name)
    assert name.startswith(f"tcp-{port}-")
    assert _names.record_hash(name) == _names.short_hash(set_name, record)


@pytest.mark.parametrize(
    "record", ["ünïcode 🐘", "x" * 300, "two words", "UPPER_case", "a/b", "-", "tcp-1-00000000"], ids=ascii
)
def test_odd_record_names_give_plain_port_names(record):
    assert re.fullmatch(r"tcp-8081-[0-9a-f]{8}", _names.port_name(8081, "default", record))


def test_a_port_s_name_is_the_same_for_ever():
    # It is on clusters: another hash would take every port from its record.
    assert _names.port_name(22, "default", "ssh") == "tcp-22-7dfcc898"
    assert _names.set_object_name("edge", "default") == "edge-default-" + _names.short_hash("edge", "default")


@pytest.mark.parametrize(
    "name", [None, "", "http", "tcp-8081", "tcp-8081-0000000", "tcp-8081-0000000G", "tcp-x-00000000", "xtcp-1-00000000"]
)
def test_somebody_else_s_port_name_has_no_record(name):
    assert _names.record_hash(name) is None


@given(gateway=labels, set_name=labels)
def test_a_set_s_object_name_is_a_label(gateway, set_name):
    assert is_label(_names.set_object_name(gateway, set_name))


@given(st.lists(st.tuples(labels, labels), min_size=2, max_size=8, unique=True))
def test_two_pairs_never_share_an_object_name(pairs):
    names = [_names.set_object_name(*pair) for pair in pairs]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a-b", "c"), ("a", "b-c")),
        (("a" * 63, "x"), ("a" * 63, "y")),
        (("a" * 62, "x"), ("a" * 63, "x")),
        (("a" * 54, "b"), ("a" * 54, "c")),
    ],
)
def test_names_that_look_alike_are_kept_apart(one, other):
    assert _names.set_object_name(*one) != _names.set_object_name(*other)


def test_a_cut_name_does_not_end_its_readable_part_with_a_dash():
    # 63 - 9 for the suffix: the cut falls just behind the dash between gateway and set.
    name = _names.set_object_name("g" * 53, "set")
    assert name == "g" * 53 + "-" + _names.short_hash("g" * 53, "set")


@pytest.mark.parametrize(
    ("manager", "set_name"),
    [
        ("servicemesh.tcp/default", "default"),
        ("servicemesh.tcp/a-b", "a-b"),
        ("servicemesh.tcp", None),
        ("kubectl", None),
        ("x-servicemesh.tcp/default", None),
    ],
)
def test_a_field_manager_tells_its_set(manager, set_name):
    assert _names.manager_set(manager) == set_name
    if set_name:
        assert _names.set_manager(set_name) == manager


@pytest.mark.parametrize(
    ("labels_", "ours"),
    [
        ({"app.kubernetes.io/managed-by": "servicemesh.tcp"}, True),
        ({"app.kubernetes.io/managed-by": "Helm"}, False),
        ({}, False),
        (None, False),
    ],
)
def test_what_is_ours(labels_, ours):
    assert _names.is_ours(labels_) is ours


def test_labels_of_a_gateway_and_its_sets():
    assert _names.set_labels("edge", "default") == {
        "app.kubernetes.io/managed-by": "servicemesh.tcp",
        "servicemesh.tcp/gateway": "edge",
        "servicemesh.tcp/set": "default",
    }
    pods = _names.gateway_pod_labels("edge", "gateways")
    assert pods.items() >= _names.gateway_selector("edge", "gateways").items()
    assert pods["sidecar.istio.io/inject"] == "true"


def test_envoy_s_name_for_a_backend():
    host = _names.host_of("echo", "apps", "corp.example")
    assert host == "echo.apps.svc.corp.example"
    assert _names.outbound_cluster(host, 9000) == "outbound|9000||echo.apps.svc.corp.example"
