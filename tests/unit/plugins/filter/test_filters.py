# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters: thin shells that name a bad argument, and hand every other one on."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import finding
from ansible_collections.servicemesh.tcp.plugins.plugin_utils._plain import plain
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import (
    EDGE,
    front,
    owned_front,
    record,
    state,
)

FOLDER = Path(__file__).resolve().parents[4] / "plugins" / "filter"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


def module_of(name):
    """Import a filter's file."""
    return importlib.import_module(f"ansible_collections.servicemesh.tcp.plugins.filter.{name}")


def filter_of(name):
    """Return a filter as Ansible finds it."""
    return module_of(name).FilterModule().filters()[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_filter_is_documented_as_it_is(name):
    document = yaml.safe_load((FOLDER / f"{name}.yml").read_text())["DOCUMENTATION"]
    options = dict(document["options"])
    _input, *arguments = inspect.signature(filter_of(name)).parameters.values()
    assert document["name"] == name
    assert set(options) - {"_input"} == {argument.name for argument in arguments}
    for argument in arguments:
        option = options[argument.name]
        required = argument.default is inspect.Parameter.empty
        assert option.get("required", False) is required, argument.name
        if not required:
            default = list(argument.default) if isinstance(argument.default, tuple) else argument.default
            assert option.get("default") == default, argument.name


MAP = {"ports": [], "findings": []}
SEEN = state(owned_front(("a", 8081)))
# What each filter calls, and with which arguments, given the ones of the template.
CALLS = {
    "echo_server_steps": (
        "echo_plan",
        ([{"name": "e"}], SEEN, "img", "Never", "absent", "required", "greeter"),
        (
            ([{"name": "e"}], SEEN),
            {
                "image": "img",
                "pull_policy": "Never",
                "echo_state": "absent",
                "namespace_state": "required",
                "greeter_image": "greeter",
            },
        ),
    ),
    "exposure_steps": (
        "exposure_plan",
        (MAP, SEEN, "team", "no", ["a", 5], "src"),
        (
            (MAP, SEEN),
            {
                "set_name": "team",
                "prune": False,
                "allow_withdraw": ["a", "5"],
                "source": "src",
            },
        ),
    ),
    "gateway_port_map": (
        "port_map",
        ([record()], [EDGE], SEEN, "team", "corp", "present", [{"service": "s"}], "no"),
        (
            ([record()], [EDGE], SEEN),
            {
                "set_name": "team",
                "cluster_domain": "corp",
                "namespace_state": "present",
                "planned_services": [{"service": "s"}],
                "prune": False,
            },
        ),
    ),
    "gateway_steps": (
        "gateway_plan",
        ([EDGE], SEEN, "team", "absent", "present"),
        (([EDGE], SEEN), {"set_name": "team", "gateways_state": "absent", "namespace_state": "present"}),
    ),
    "tcp_endpoints": (
        "endpoints",
        ([1], [2], [3], [4], "lab", "false", "yes"),
        (([1], [2], [3], [4]), {"cluster": "lab", "probed": False, "planned": True}),
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_argument_is_handed_on(name, monkeypatch):
    called, given, expected = CALLS[name]
    calls = []
    monkeypatch.setattr(module_of(name), called, lambda *args, **kwargs: calls.append((args, kwargs)) or "answer")
    assert filter_of(name)(*given) == "answer"
    assert calls == [expected]


def test_the_filters_that_only_show():
    found = finding("WITHDRAW_UNKNOWN", "set 'a'", name="x")
    assert filter_of("findings_text")([found]).startswith("WITHDRAW_UNKNOWN set 'a': ")
    mapped = filter_of("gateway_port_map")([record()], [EDGE])["ports"]
    service = front(addresses=["198.18.0.1"])
    report = filter_of("tcp_endpoints")(mapped, [service], planned=True)
    assert filter_of("endpoint_table")(report)[1].endswith("planned")


@pytest.mark.parametrize(
    ("name", "given", "what"),
    [
        ("endpoint_table", ("x",), "the input must be a list, not str"),
        ("findings_text", ({"a": 1},), "the input must be a list, not dict"),
        ("gateway_port_map", (None, []), "the input must be a list, not NoneType"),
        ("gateway_port_map", ([], "edge"), "gateways must be a list, not str"),
        ("gateway_port_map", ([], [], None, "s", "d", "required", "x"), "planned_services must be a list, not str"),
        ("gateway_steps", ({}, SEEN), "the input must be a list, not dict"),
        (
            "exposure_steps",
            ({"ports": [], "findings": []}, SEEN, "s", True, "all"),
            "allow_withdraw must be a list, not str",
        ),
        ("echo_server_steps", ("x", SEEN, "i"), "the input must be a list, not str"),
        ("tcp_endpoints", ([], "x"), "services must be a list, not str"),
        ("tcp_endpoints", ([], [], "x"), "nodes must be a list, not str"),
        ("tcp_endpoints", ([], [], [], "x"), "results must be a list, not str"),
    ],
)
def test_a_list_is_a_list(name, given, what):
    with pytest.raises(AnsibleFilterError) as caught:
        filter_of(name)(*given)
    assert str(caught.value) == f"servicemesh.tcp.{name}: {what}"


@pytest.mark.parametrize("given", [[], {}, {"ports": []}, {"findings": []}, "x"])
def test_what_is_exposed_is_a_port_map(given):
    with pytest.raises(AnsibleFilterError) as caught:
        filter_of("exposure_steps")(given, SEEN)
    assert str(caught.value) == (
        "servicemesh.tcp.exposure_steps: the input must be a port map, as servicemesh.tcp.gateway_port_map returns it"
    )


@pytest.mark.parametrize("given", [{}, {"version": 3}, {"version": "1"}, [], "state", {**SEEN, "version": None}])
@pytest.mark.parametrize("name", ["gateway_port_map", "gateway_steps", "exposure_steps"])
def test_a_state_is_mesh_state_s(name, given):
    before = {"gateway_port_map": [[], []], "exposure_steps": [MAP]}
    arguments = [*before.get(name, [[]]), given]
    with pytest.raises(AnsibleFilterError) as caught:
        filter_of(name)(*arguments)
    assert str(caught.value) == (
        f"servicemesh.tcp.{name}: state must be what servicemesh.tcp.mesh_state returned as 'mesh' (version 2)"
    )


@pytest.mark.parametrize("word", [False, "false", "no", "off", 0, "0"])
def test_a_no_from_the_command_line_is_a_no(word):
    # tcp_prune=false on the command line arrives as text.
    kept = filter_of("exposure_steps")({"ports": [], "findings": []}, SEEN, prune=word)
    assert (kept["findings"], kept["withdrawn"]) == ([], [])
    mapped = filter_of("gateway_port_map")([record()], [EDGE])["ports"]
    (found,) = filter_of("tcp_endpoints")(mapped, [], probed=word, planned=word)
    assert found["proof"] == "unproven"


def test_a_word_that_is_neither_yes_nor_no_is_refused():
    with pytest.raises(TypeError, match="perhaps"):
        filter_of("exposure_steps")({"ports": [], "findings": []}, SEEN, prune="perhaps")


def test_templated_values_become_plain_ones():
    class Text(str):
        """A text that carries something else, as templating makes it."""

    class Lazy(dict):
        """A container that templates its items when they are asked for."""

    found = plain(Lazy({Text("a"): (Text("b"), [Lazy(), 1, None, True, 1.5])}))
    assert found == {"a": ["b", [{}, 1, None, True, 1.5]]}
    assert type(found) is dict
    assert type(found["a"][1][0]) is dict
    assert {type(key) for key in found} == {type(found["a"][0])} == {str}
