# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The readers that records, gateways and echo servers share."""

from __future__ import annotations

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils import _reading
from ansible_collections.servicemesh.tcp.plugins.module_utils._reading import Problems
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import messages

NOT_BUILT = "is a key of the design, but this version of the collection does not build it yet."


@pytest.mark.parametrize(
    ("value", "port"),
    [
        (80, 80),
        ("80", 80),
        (" 80 ", 80),
        ("-1", -1),
        (True, None),
        (80.0, None),
        ("8o", None),
        ("", None),
        (None, None),
    ],
)
def test_a_port_is_a_number_or_text(value, port):
    assert _reading.to_port(value) == port


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (5, 5),
        ("0.5", 0.5),
        (0, None),
        (-1, None),
        (True, None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        (float("inf"), None),
        (None, None),
        ([], None),
        (10**400, None),
    ],
    ids=lambda value: str(value)[:8],
)
def test_a_number_is_above_0_and_ends(value, number):
    assert _reading.to_number(value) == number


@pytest.mark.parametrize(
    ("port", "reserved"), [(14999, False), (15000, True), (15021, True), (15099, True), (15100, False)]
)
def test_istio_s_own_ports(port, reserved):
    assert _reading.is_reserved(port) is reserved


@pytest.mark.parametrize(
    ("value", "low", "read", "said"),
    [
        (1, 1, 1, []),
        ("65535", 1, 65535, []),
        (1024, 1024, 1024, []),
        (0, 1, None, ["PORT_OUT_OF_RANGE x: port 0 is out of range; allowed is 1 to 65535."]),
        (65536, 1, None, ["PORT_OUT_OF_RANGE x: port 65536 is out of range; allowed is 1 to 65535."]),
        (1023, 1024, None, ["PORT_OUT_OF_RANGE x: port 1023 is out of range; allowed is 1024 to 65535."]),
        ("auto", 1, None, ["VALUE_INVALID x: port: 'auto' is not valid; a port is a whole number."]),
        ("1-2", 1, None, ["VALUE_INVALID x: port: '1-2' is not valid; a port is a whole number."]),
        ("1-", 1, None, ["VALUE_INVALID x: port: '1-' is not valid; a port is a whole number."]),
    ],
)
def test_a_port_and_its_range(value, low, read, said):
    problems = Problems("x")
    assert _reading.check_port(problems, "port", value, low=low) == read
    assert messages(problems.findings) == said


@pytest.mark.parametrize(
    ("word", "meant"), [("backnd", "did you mean 'backend'?"), ("prt", "did you mean 'port'?"), ("zzz", ""), ("", "")]
)
def test_the_nearest_word_is_suggested(word, meant):
    assert _reading.suggestion(word, {"backend", "port", "name"}) == meant


@pytest.mark.parametrize("name", ["a", "0", "a-b", "a" * 63])
def test_a_label(name):
    problems = Problems("x")
    assert _reading.read_label(problems, "name", name) == name
    assert problems.findings == []


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a.b", "a_b", "a" * 64, "a\n", None, 5, ["a"]], ids=ascii)
def test_no_label(name):
    problems = Problems("x")
    assert _reading.read_label(problems, "name", name) == ""
    assert messages(problems.findings) == [f"VALUE_INVALID x: name: {name!r} is not valid; {_reading.DNS_LABEL_RULE}."]


@pytest.mark.parametrize(
    ("reader", "good", "read", "bad", "rule"),
    [
        (_reading.read_dict, {"a": 1}, {"a": 1}, [], "it must be a mapping"),
        (_reading.read_count, "3", 3, 0, "it must be a whole number from 1 on"),
        (_reading.read_strings, ["a"], ["a"], ["a", 1], "it must be a list of texts"),
        (_reading.read_strings, [], [], "a", "it must be a list of texts"),
    ],
)
def test_the_other_readers(reader, good, read, bad, rule):
    problems = Problems("x")
    assert reader(problems, "key", good) == read
    assert problems.findings == []
    reader(problems, "key", bad)
    assert messages(problems.findings) == [f"VALUE_INVALID x: key: {bad!r} is not valid; {rule}."]


def test_all_items_are_read_and_taken_names_come_in_order():
    raw = [*({"name": name} for name in "bbaac"), "text", {"name": " "}]

    def read(item, subject):
        problems = Problems(subject)
        if not item["name"].strip():
            problems.invalid("name", item["name"], "it is empty")
        return dict(item), problems.findings

    items, findings = _reading.read_all(raw, "record", "tcp_ports", read, "a rule")
    assert [item["name"] for item in items] == list("bbaac")
    assert messages(findings) == [
        "VALUE_INVALID tcp_ports[5]: record: 'text' is not valid; a record is a mapping with a name.",
        "VALUE_INVALID tcp_ports[6]: name: ' ' is not valid; it is empty.",
        "NAME_TAKEN record 'a': the name 'a' is used 2 times.",
        "NAME_TAKEN record 'b': the name 'b' is used 2 times.",
    ]
