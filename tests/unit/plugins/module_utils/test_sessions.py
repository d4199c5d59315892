# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open sessions and drain times out of Envoy's own words, as the lab's Envoy 1.40 says them."""

from __future__ import annotations

import json
import re
import urllib.parse

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._sessions import (
    STATS_PATH,
    Sessions,
    gather,
    parse_drains,
    parse_listeners,
    seconds,
)

STATS = """\
listener.0.0.0.0_15021.downstream_cx_active: 0
listener.0.0.0.0_8081.downstream_cx_active: 3
listener.0.0.0.0_8081.worker_0.downstream_cx_active: 1
listener.0.0.0.0_8081.worker_1.downstream_cx_active: 2
listener.0.0.0.0_8082.downstream_cx_active: 0
listener.[__]_8081.downstream_cx_active: 1
listener.[2001_db8__7]_5432.downstream_cx_active: 4
http.admin.downstream_cx_active: 2
listener.admin.downstream_cx_active: 2
listener.admin.main_thread.downstream_cx_active: 2
"""
POD = {"spec": {"terminationGracePeriodSeconds": 30}}


def info(drain="45s", ending="5s", **metadata):
    """Return Envoy's answer about itself, as far as it is read."""
    config = {"terminationDrainDuration": ending} if ending else {}
    options = {"drain_time": drain} if drain else {}
    node = {"metadata": {"PROXY_CONFIG": config, **metadata}}
    return json.dumps({"command_line_options": options, "node": node})


def test_sessions_are_counted_per_listener_over_all_its_addresses():
    assert parse_listeners(STATS) == {15021: 0, 8081: 4, 8082: 0, 5432: 4}


def test_envoy_is_asked_for_just_that():
    wanted = re.compile(urllib.parse.unquote(STATS_PATH.partition("filter=")[2]))
    names = [line.partition(":")[0] for line in STATS.splitlines()]
    assert [name for name in names if wanted.search(name)] == [
        "listener.0.0.0.0_15021.downstream_cx_active",
        "listener.0.0.0.0_8081.downstream_cx_active",
        "listener.0.0.0.0_8082.downstream_cx_active",
        "listener.[__]_8081.downstream_cx_active",
        "listener.[2001_db8__7]_5432.downstream_cx_active",
    ]


@pytest.mark.parametrize("text", ["", "server.live: 1\n", "<html>"])
def test_an_envoy_that_does_not_count_says_nothing(text):
    with pytest.raises(ValueError, match="it does not count the sessions of its listeners"):
        parse_listeners(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("45s", 45),
        ("1m30s", 90),
        ("1h", 3600),
        ("0.5s", 0.5),
        ("250ms", 0.25),
        ("0s", 0),
        ("45", None),
        ("-5s", None),
        ("5s ", None),
        ("soon", None),
        ("", None),
        (45, None),
        (None, None),
    ],
)
def test_durations(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize(
    ("text", "pod", "drains"),
    [
        (info(), POD, (45, 5)),
        (info("20s", "60s"), POD, (20, 30)),
        (info("20s", "60s"), {"spec": {"terminationGracePeriodSeconds": 90}}, (20, 60)),
        (info("20s", "60s"), {"spec": {}}, (20, 60)),
        # The agent waits for the last session, until the kubelet kills the pod.
        (info(EXIT_ON_ZERO_ACTIVE_CONNECTIONS="true"), POD, (45, 30)),
        (info(EXIT_ON_ZERO_ACTIVE_CONNECTIONS="false"), POD, (45, 5)),
        (info(drain=""), POD, (None, 5)),
        (info(ending=""), POD, (45, None)),
        ("{}", POD, (None, None)),
        ("[]", POD, (None, None)),
        ("no", POD, (None, None)),
    ],
)
def test_drain_times_are_those_that_envoy_runs_with(text, pod, drains):
    assert parse_drains(text, pod) == drains


def test_pods_are_put_together():
    pods = [({8081: 2, 8082: 0}, 45.0, 5.0), ({8081: 1, 5432: 1}, 20.0, None), ({}, None, 9.0)]
    assert gather(pods, ["pod c is gone"]) == Sessions({5432: 1, 8081: 3}, ("pod c is gone",), 45.0, 9.0)
    assert gather([], []) == Sessions()
