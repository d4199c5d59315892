# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module fails with when the API server refuses."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._failure import explain, finding_of


@pytest.mark.parametrize(
    ("status", "method", "subject", "code", "message"),
    [
        (0, "GET", None, "CLUSTER_UNREACHABLE", "cluster: the API server does not answer: no."),
        (401, "GET", None, "UNAUTHENTICATED", "cluster: the API server does not take the credential: no."),
        (403, "GET", None, "FORBIDDEN", "/api/x: the API server refuses to read: no."),
        (403, "PATCH", "Service a/b", "FORBIDDEN", "Service a/b: the API server refuses to write: no."),
        (403, "DELETE", "Service a/b", "FORBIDDEN", "Service a/b: the API server refuses to remove: no."),
        (403, "POST", "Service a/b", "FORBIDDEN", "Service a/b: the API server refuses to write: no."),
    ],
)
def test_answers_that_the_catalogue_knows(status, method, subject, code, message):
    error = ApiError(status, "Reason", "no", method, "/api/x")
    found = finding_of(error, subject)
    assert (found["code"], found["message"]) == (code, message)
    told = explain(error, subject)
    assert told["findings"] == [found]
    assert told["msg"] == f"{code} {message} {found['remedy']}"


@pytest.mark.parametrize(("subject", "where"), [(None, ""), ("Service a/b", "Service a/b: ")])
@pytest.mark.parametrize("status", [400, 404, 409, 422, 500, 503])
def test_other_answers_are_shown_as_they_are(status, subject, where):
    error = ApiError(status, "Reason", "the words", "PATCH", "/api/x")
    assert finding_of(error, subject) is None
    assert explain(error, subject) == {
        "msg": f"{where}the API server answered {status} Reason to PATCH /api/x: the words",
        "findings": [],
    }
