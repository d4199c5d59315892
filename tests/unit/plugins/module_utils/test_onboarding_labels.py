# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels that bring a namespace into an Istio mesh: which one, and what somebody else's label makes of it."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._onboarding import onboarding_plan
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import control_plane, joining, messages

NAME = {"kubernetes.io/metadata.name": "shop"}


def cluster(labels=None, applied=(), revision="default", tags=None, selectors=()):
    """Return a cluster with one istiod, and the namespace shop with these labels."""
    config = {"discovery_selectors": list(selectors), "export_to": ["*"], "unprivileged": False}
    plane = control_plane(revision=revision, config=config)
    tags = tags or {}
    found = {"labels": {**NAME, **(labels or {})}, "applied": list(applied), "terminating": False}
    return joining(
        mesh={
            "served": True,
            "control_planes": [plane],
            "revisions": sorted({revision, *tags}),
            "tags": tags,
            "unread": [],
        },
        namespaces={"shop": found},
    )


def put(seen, **member):
    """Return the labels that a plan applies to shop (None: it is not written at all), and what the plan says."""
    plan = onboarding_plan([{"name": "shop", **member}], seen)
    steps = [step for step in plan["steps"] if step["object"]["kind"] == "Namespace"]
    assert len(steps) <= 1
    labels = steps[0]["object"]["metadata"].get("labels", {}) if steps else None
    return labels, [item["code"] for item in plan["findings"]]


@pytest.mark.parametrize(
    ("injection", "seen", "labels", "codes"),
    [
        ("pod", {}, None, []),
        ("enabled", {}, {"istio-injection": "enabled"}, []),
        ("disabled", {}, {"istio-injection": "disabled"}, []),
        # istio-injection is for the default revision only; any other one is named.
        ("enabled", {"revision": "1-31"}, {"istio.io/rev": "1-31"}, []),
        ("pod", {"revision": "1-31"}, None, ["POD_LABEL_NEEDED"]),
        # A tag 'default' makes a revision the default one.
        (
            "enabled",
            {"revision": "1-31", "tags": {"default": "1-31"}},
            {"istio-injection": "enabled"},
            [],
        ),
        # What somebody else put there already is not written again, so that withdrawing leaves it alone.
        ("enabled", {"labels": {"istio-injection": "enabled"}}, None, []),
        ("pod", {"labels": {"istio-injection": "enabled"}}, None, []),
        ("enabled", {"labels": {"istio.io/rev": "prod"}, "revision": "1-31", "tags": {"prod": "1-31"}}, None, []),
        # It wins over the label that would be put there.
        ("enabled", {"labels": {"istio-injection": "enabled"}, "revision": "1-31"}, None, ["INJECTION_LABEL_TAKEN"]),
        ("enabled", {"labels": {"istio-injection": "disabled"}}, None, ["INJECTION_LABEL_TAKEN"]),
        ("pod", {"labels": {"istio-injection": "disabled"}}, None, ["INJECTION_LABEL_TAKEN"]),
        ("pod", {"labels": {"istio.io/rev": "old"}}, None, ["INJECTION_LABEL_TAKEN"]),
        ("disabled", {"labels": {"istio.io/rev": "default"}}, None, ["INJECTION_LABEL_TAKEN"]),
        ("disabled", {"labels": {"istio-injection": "disabled"}}, None, []),
        # Both: istio-injection decides, so the other one stands in nobody's way.
        ("enabled", {"labels": {"istio-injection": "enabled", "istio.io/rev": "old"}}, None, []),
    ],
)
def test_injection(injection, seen, labels, codes):
    assert put(cluster(**seen), injection=injection) == (labels, codes)


def test_a_label_of_ours_stays_is_changed_and_is_taken_back():
    seen = cluster({"istio-injection": "enabled"}, applied=["istio-injection"])
    assert put(seen, injection="enabled") == ({"istio-injection": "enabled"}, [])
    assert put(seen, injection="disabled") == ({"istio-injection": "disabled"}, [])
    assert put(seen, injection="pod") == ({}, [])
    assert put(seen, state="absent") == ({}, [])


def test_a_tag_is_named_where_it_is_asked_for():
    seen = cluster(revision="1-31", tags={"prod": "1-31", "default": "1-31"})
    assert put(seen, injection="enabled", mesh="prod") == ({"istio.io/rev": "prod"}, [])


SELECTED = {"matchLabels": {"mesh": "on"}}


@pytest.mark.parametrize(
    ("labels", "selectors", "added", "codes"),
    [
        ({}, [SELECTED], {"mesh": "on"}, []),
        ({"mesh": "on"}, [SELECTED], None, []),
        ({"mesh": "off"}, [SELECTED], None, ["NAMESPACE_UNDISCOVERABLE"]),
        # The selector that needs the fewest labels.
        (
            {"mesh": "off"},
            [SELECTED, {"matchLabels": {"c": "3"}}, {"matchLabels": {"a": "1", "b": "2"}}],
            {"c": "3"},
            [],
        ),
        (
            {},
            [{"matchExpressions": [{"key": "env", "operator": "In", "values": ["test", "prod"]}]}],
            {"env": "test"},
            [],
        ),
        ({}, [{"matchExpressions": [{"key": "env", "operator": "Exists"}]}], {"env": "enabled"}, []),
        (
            {"env": "x"},
            [{"matchExpressions": [{"key": "env", "operator": "DoesNotExist"}]}],
            None,
            ["NAMESPACE_UNDISCOVERABLE"],
        ),
        ({}, [{"matchLabels": {"kubernetes.io/metadata.name": "other"}}], None, ["NAMESPACE_UNDISCOVERABLE"]),
        # To be seen, nobody's pods are given sidecars that were not asked for.
        ({}, [{"matchLabels": {"istio-injection": "enabled"}}], None, ["NAMESPACE_UNDISCOVERABLE"]),
    ],
)
def test_discovery(labels, selectors, added, codes):
    assert put(cluster(labels, selectors=selectors)) == (added, codes)


def test_the_injection_label_may_be_what_the_mesh_looks_for():
    seen = cluster(selectors=[{"matchLabels": {"istio-injection": "enabled"}}])
    assert put(seen, injection="enabled") == ({"istio-injection": "enabled"}, [])


def test_a_finding_names_the_label_the_rule_and_what_is_wanted():
    seen = cluster({"istio.io/rev": "old"})
    plan = onboarding_plan([{"name": "shop", "injection": "enabled"}], seen)
    assert messages(plan["findings"]) == [
        "INJECTION_LABEL_TAKEN namespace 'shop': somebody else's label istio.io/rev=old decides on its sidecars"
        " (istio-injection wins over istio.io/rev), and what is wanted is that pods get their sidecar from"
        " istio-system/default (revision default)."
    ]
    assert plan["steps"] == []
