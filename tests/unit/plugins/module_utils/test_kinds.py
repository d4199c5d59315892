# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the API server keeps each kind."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import (
    KINDS,
    collection_path,
    describe,
    object_path,
)


@pytest.mark.parametrize(
    ("kind", "namespace", "path"),
    [
        ("Service", None, "/api/v1/services"),
        ("Service", "a", "/api/v1/namespaces/a/services"),
        ("Namespace", None, "/api/v1/namespaces"),
        # A namespace makes no difference to what is in none.
        ("Node", "a", "/api/v1/nodes"),
        ("Deployment", "a", "/apis/apps/v1/namespaces/a/deployments"),
        ("Gateway", None, "/apis/networking.istio.io/v1beta1/gateways"),
        ("NetworkPolicy", "a", "/apis/networking.k8s.io/v1/namespaces/a/networkpolicies"),
    ],
)
def test_collections(kind, namespace, path):
    assert collection_path(kind, namespace) == path


@pytest.mark.parametrize(
    ("obj", "path", "words"),
    [
        (
            {"kind": "Service", "metadata": {"name": "b", "namespace": "a"}},
            "/api/v1/namespaces/a/services/b",
            "Service a/b",
        ),
        ({"kind": "Namespace", "metadata": {"name": "a"}}, "/api/v1/namespaces/a", "Namespace a"),
    ],
)
def test_objects(obj, path, words):
    assert object_path(obj) == path
    assert describe(obj) == words


def test_istio_is_spoken_at_the_version_that_openshift_serves_too():
    assert {KINDS[kind].api_version for kind in ("Gateway", "VirtualService")} == {"networking.istio.io/v1beta1"}
