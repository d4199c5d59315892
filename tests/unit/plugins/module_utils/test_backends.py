# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several backends of a record: how they are read, and what the port map says of them."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._backends import (
    WEIGHT_RULE,
    calls_for,
    clusters_of,
    shares_text,
)
from ansible_collections.servicemesh.tcp.plugins.module_utils._portmap import port_map
from ansible_collections.servicemesh.tcp.plugins.module_utils._records import read_records
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import BACKEND, EDGE, messages, record

INVALID = "VALUE_INVALID record 'a': "


def backend(version: str = "", weight: object = None, **more: object) -> dict[str, object]:
    """Return one backend as people write it; with a version it is a subset of that name."""
    subset = {"subset": {"name": version, "labels": {"version": version}}} if version else {}
    return {**BACKEND, **subset, **({} if weight is None else {"weight": weight}), **more}


def several(*backends: object, **more: object) -> dict[str, object]:
    """Return a record with backends."""
    found = record(backends=list(backends), **more)
    del found["backend"]
    return found


def mapped(*backends: object, **more: object) -> dict[str, object]:
    """Return the port map's entry for a record with backends."""
    found = port_map([several(*backends, **more)], [EDGE])
    assert found["findings"] == []
    return found["ports"][0]


def test_two_versions_with_weights_as_text():
    port = mapped(backend("v1", "70"), backend("v2", " 30 "))
    host = "echo.apps.svc.cluster.local"
    assert clusters_of(port) == [f"outbound|9000|v1|{host}", f"outbound|9000|v2|{host}"]
    assert port["cluster"] == f"outbound|9000|v1|{host}"
    assert port["backend"] == {**BACKEND, "host": host}
    assert [(item["weight"], item["subset"]["labels"]) for item in port["backends"]] == [
        (70, {"version": "v1"}),
        (30, {"version": "v2"}),
    ]
    assert shares_text(port["backends"]) == "apps/echo:9000 v1 70%, apps/echo:9000 v2 30%"


def test_without_weights_all_get_the_same():
    assert shares_text(mapped(backend("v1"), backend("v2"), backend("v3"))["backends"]).count("33.3%") == 3


def test_what_has_no_weight_is_as_if_it_was_not_written():
    assert mapped(backend("v1", 100), backend("v2", 0)) == mapped(backend("v1", 100))
    assert mapped(backend(weight=5), backend("v2", 0)) == port_map([record()], [EDGE])["ports"][0]


def test_each_port_of_a_range_has_its_place_in_every_backend():
    ports = port_map(
        [several(backend("v1", port="9000-9001"), {**backend(), "service": "b"}, port="8081-8082")], [EDGE]
    )["ports"]
    assert [[item["port"] for item in port["backends"]] for port in ports] == [[9000, 9000], [9001, 9000]]


@pytest.mark.parametrize(
    ("backends", "said"),
    [
        ([], ["backends: [] is not valid; it must be a list of backends."]),
        ({}, ["backends: {} is not valid; it must be a list of backends."]),
        ([backend("v1", 0), backend("v2", 0)], ["backends: [0, 0] is not valid; one of the weights must be above 0."]),
        (
            [backend("v1", 3), backend("v1", 4)],
            ["backends: 'apps/echo:9000 v1' is not valid; it stands in it more than once; add the weights up."],
        ),
        (
            [backend("v1"), {**backend("v1", port=1), "subset": {"name": "v1", "labels": {"version": "x"}}}],
            ["backends: 'v1' is not valid; a subset of one Service has the same labels everywhere."],
        ),
        ([backend(weight=-1)], [f"backends[0].weight: -1 is not valid; {WEIGHT_RULE}."]),
        ([backend(weight=1.5)], [f"backends[0].weight: 1.5 is not valid; {WEIGHT_RULE}."]),
        ([backend(weight=True)], [f"backends[0].weight: True is not valid; {WEIGHT_RULE}."]),
        (
            [{**BACKEND, "subset": {"name": "v1", "labels": {"version": 1}}}],
            ["backends[0].subset.labels.version: 1 is not valid; it is no value of a label; write numbers in quotes."],
        ),
        (
            [{**BACKEND, "subset": {"name": "v1", "labels": {}}}],
            ["backends[0].subset.labels: {} is not valid; it must be a mapping of at least one label."],
        ),
    ],
)
def test_a_mistake_in_backends(backends, said):
    raw = record(backends=backends)
    del raw["backend"]
    assert messages(read_records([raw])[1]) == [f"{INVALID}{text}" for text in said]


def test_weights_stand_on_all_backends_or_on_none():
    (said,) = messages(read_records([several(backend("v1", 3), backend("v2"))])[1])
    assert said.endswith("is not valid; either all backends have a weight, or none has.")


def test_a_record_has_backend_or_backends():
    (said,) = messages(read_records([record(backends=[backend("v1")])])[1])
    assert said.endswith("is not valid; a record has either backend or backends.")


@pytest.mark.parametrize(("weights", "calls"), [((1,), 1), ((1, 1), 7), ((70, 30), 13), ((99, 1), 100)])
def test_a_proof_meets_every_backend(weights, calls):
    # What is left out is below one in a hundred: (1 - share) ** calls.
    assert calls_for([{"weight": weight} for weight in weights]) == calls
    backends = [backend(f"v{index}", weight) for index, weight in enumerate(weights)]
    probe = {"mode": "send", "send": "x"}
    assert mapped(*backends, probe=probe)["probe"]["calls"] == calls
    assert mapped(*backends, probe={**probe, "calls": 2})["probe"]["calls"] == 2
    assert "calls" not in mapped(*backends)["probe"]


def test_claims_hold_for_every_backend_s_namespace():
    gateway = {**EDGE, "pool": ["8000-8099"], "claims": [{"namespaces": ["apps"]}]}
    raw = [several(backend(), {**BACKEND, "namespace": "secret"}, port=port) for port in (8081, "auto")]
    for item in raw:
        (said,) = messages(port_map([item], [gateway])["findings"])
        assert said.startswith("CLAIM_MISSING record 'a': port 80")
        assert "for backends in namespace 'secret'" in said


def test_a_claim_counts_a_port_once_for_each_claim_that_it_needs():
    gateway = {**EDGE, "claims": [{"namespaces": ["apps"]}, {"namespaces": ["b"], "max": 1}]}
    raw = [several(backend(), {**BACKEND, "namespace": "b"}, name=f"r{port}", port=port) for port in (8081, 8082)]
    (said,) = messages(port_map(raw, [gateway])["findings"])
    assert said.startswith("CLAIM_EXCEEDED gateway 'edge': its claims[1] lets a set publish at most 1 ports")
