# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The echo servers: what is made for an app, and what becomes of its namespace."""

from __future__ import annotations

import json
import re

import pytest
from ansible_collections.servicemesh.tcp.plugins.module_utils._echo import echo_objects, echo_plan, read_apps
from ansible_collections.servicemesh.tcp.tests.unit.plugins.builders import messages, namespaces, state

APP = {
    "name": "echo-8081",
    "namespace": "echo",
    "ports": [8081, 9081],
    "replicas": 1,
    "versions": [],
    "greets": False,
    "http": False,
}
OURS = {"echo": {"labels": {"app.kubernetes.io/managed-by": "servicemesh.tcp"}, "terminating": False}}


def plan(seen, **arguments):
    """Plan two apps of one namespace, and return the plan with its steps as short lines."""
    apps = [APP, {**APP, "name": "echo-8082"}]
    found = echo_plan(apps, seen, image="hub/echo:1", pull_policy="IfNotPresent", **arguments)
    return found, [
        f"{step['state']} {step['object']['kind']} {step['object']['metadata']['name']}" for step in found["steps"]
    ]


APPS = ["Service echo-8081", "Deployment echo-8081", "Service echo-8082", "Deployment echo-8082"]


@pytest.mark.parametrize(
    ("seen", "arguments", "lines"),
    [
        (state(), {}, ["present Namespace echo", *(f"present {line}" for line in APPS)]),
        (state(namespaces=namespaces("echo")), {}, [f"present {line}" for line in APPS]),
        (state(namespaces=namespaces("echo")), {"namespace_state": "required"}, [f"present {line}" for line in APPS]),
        (
            state(namespaces=OURS),
            {"echo_state": "absent"},
            [*(f"absent {line}" for line in APPS), "absent Namespace echo"],
        ),
        (
            state(namespaces=OURS),
            {"echo_state": "absent", "namespace_state": "required"},
            [f"absent {line}" for line in APPS],
        ),
        # A namespace that somebody else made stays.
        (state(namespaces=namespaces("echo")), {"echo_state": "absent"}, [f"absent {line}" for line in APPS]),
    ],
)
def test_steps(seen, arguments, lines):
    found, shown = plan(seen, **arguments)
    assert found["findings"] == []
    assert shown == lines


def test_what_is_waited_for():
    for arguments, kinds in (({}, {"Deployment"}), ({"echo_state": "absent"}, {"Namespace"})):
        found, _lines = plan(state(namespaces=OURS), **arguments)
        assert {step["object"]["kind"] for step in found["steps"] if step["wait"]} == kinds


def test_a_namespace_that_is_missing_and_was_not_asked_for_stops_the_run():
    found, lines = plan(state(), namespace_state="required")
    assert lines == []
    assert messages(found["findings"]) == [
        "NAMESPACE_MISSING echo servers: namespace 'echo' does not exist, and this run was not asked to make it."
    ]
    assert found["findings"][0]["remedy"] == "Create it, or set echo_namespace_state to 'present'."


def test_what_an_app_becomes():
    service, deployment = echo_objects(APP, "hub/echo:1", "Never")
    assert service["spec"] == {
        "type": "ClusterIP",
        "selector": {"app": "echo-8081"},
        "ports": [
            {"name": "tcp-8081", "port": 8081, "targetPort": 8081, "protocol": "TCP", "appProtocol": "tcp"},
            {"name": "tcp-9081", "port": 9081, "targetPort": 9081, "protocol": "TCP", "appProtocol": "tcp"},
        ],
    }
    spec = deployment["spec"]
    assert (spec["replicas"], spec["selector"]["matchLabels"]) == (1, {"app": "echo-8081"})
    assert spec["template"]["metadata"]["labels"]["app"] == "echo-8081"
    (container,) = spec["template"]["spec"]["containers"]
    assert (container["image"], container["imagePullPolicy"]) == ("hub/echo:1", "Never")
    # The server's own name comes before what it was sent: that tells the backends apart.
    assert container["args"] == ["8081,9081", "echo-8081"]
    assert [port["containerPort"] for port in container["ports"]] == [8081, 9081]
    assert container["readinessProbe"]["tcpSocket"] == {"port": 8081}
    for obj in (service, deployment):
        assert obj["metadata"]["namespace"] == "echo"
        assert obj["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "servicemesh.tcp"


def test_replicas_may_be_chosen():
    assert echo_objects({**APP, "replicas": 3}, "i", "Always")[1]["spec"]["replicas"] == 3


def test_an_app_s_defaults_and_ports_as_text():
    apps, findings = read_apps([{"name": "a", "namespace": "n", "ports": ["9000"]}])
    assert (apps, findings) == ([{**APP, "name": "a", "namespace": "n", "ports": [9000]}], [])


def test_versions_stand_behind_one_service():
    service, *deployments = echo_objects({**APP, "versions": ["v1", "v2"]}, "i", "Always")
    assert service["spec"]["selector"] == {"app": "echo-8081"}
    for version, deployment in zip(("v1", "v2"), deployments, strict=True):
        labels = {"app": "echo-8081", "version": version}
        template = deployment["spec"]["template"]
        assert deployment["metadata"]["name"] == f"echo-8081-{version}"
        assert deployment["spec"]["selector"]["matchLabels"] == labels
        assert labels.items() <= template["metadata"]["labels"].items()
        assert template["spec"]["containers"][0]["args"] == ["8081,9081", f"echo-8081-{version}"]
    found = echo_plan(
        [{**APP, "versions": ["v1", "v2"]}], state(namespaces=namespaces("echo")), "i", "Always", "absent"
    )
    names = [step["object"]["metadata"]["name"] for step in found["steps"]]
    assert names == ["echo-8081", "echo-8081-v1", "echo-8081-v2"]


def test_a_server_that_greets_is_an_envoy_that_knows_its_pod():
    _service, deployment = echo_objects({**APP, "greets": True}, "i", "Always", "proxy:1")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], container["command"]) == ("proxy:1", ["envoy"])
    listeners = json.loads(container["args"][1])["static_resources"]["listeners"]
    assert [item["address"]["socket_address"]["port_value"] for item in listeners] == [8081, 9081]
    said = listeners[0]["filter_chains"][0]["filters"][0]["typed_config"]["response"]["inline_string"]
    named = set(re.findall(r"\$\((\w+)\)", said))
    assert named == {item["name"] for item in container["env"]}


def test_a_server_of_http_says_so_in_the_names_of_its_ports():
    service, deployment = echo_objects({**APP, "http": True}, "i", "Always", "proxy:1")
    assert [(item["name"], item["appProtocol"]) for item in service["spec"]["ports"]] == [
        ("http-8081", "http"),
        ("http-9081", "http"),
    ]
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    assert [item["name"] for item in container["ports"]] == ["http-8081", "http-9081"]
    listeners = json.loads(container["args"][1])["static_resources"]["listeners"]
    manager = listeners[0]["filter_chains"][0]["filters"][0]["typed_config"]
    (route,) = manager["route_config"]["virtual_hosts"][0]["routes"]
    assert route["direct_response"]["status"] == 200
    assert "I am echo-8081." in route["direct_response"]["body"]["inline_string"]
    assert messages(read_apps([{**APP, "greets": True, "http": True}])[1]) == [
        "VALUE_INVALID echo_apps[0]: http: True is not valid; a server of HTTP waits for a request, so it cannot greet."
    ]


def test_a_server_that_greets_needs_its_image():
    found = echo_plan([{**APP, "greets": True}], state(), "i", "Always")
    assert messages(found["findings"]) == [
        "VALUE_INVALID echo server 'echo-8081': greets: True is not valid; that needs echo_server_greeter_image, an"
        " image with Envoy, such as the proxy of your mesh."
    ]
    # To remove one, no image is needed.
    assert echo_plan([{**APP, "greets": True}], state(), "i", "Always", "absent")["findings"] == []


INVALID = "VALUE_INVALID echo_apps[0]: "


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ports": []}, f"{INVALID}ports: [] is not valid; an echo server needs a list of at least one port."),
        ({"ports": 9000}, f"{INVALID}ports: 9000 is not valid; an echo server needs a list of at least one port."),
        (
            {"ports": [9000, 70000]},
            "PORT_OUT_OF_RANGE echo_apps[0]: ports 70000 is out of range; allowed is 1 to 65535.",
        ),
        ({"replicas": 0}, f"{INVALID}replicas: 0 is not valid; it must be a whole number from 1 on."),
        (
            {"versions": ["v1", "v1"]},
            f"{INVALID}versions: ['v1', 'v1'] is not valid; it must be a list of different names.",
        ),
        ({"port": 1}, "KEY_UNKNOWN echo_apps[0]: 'port' is not a known key; did you mean 'ports'?"),
    ],
)
@pytest.mark.parametrize("echo_state", ["present", "absent"])
def test_a_mistake_in_an_app_stops_the_run(change, said, echo_state):
    found = echo_plan([{**APP, **change}], state(), "i", "Never", echo_state=echo_state)
    assert (messages(found["findings"]), found["steps"]) == ([said], [])


def test_an_app_s_name_is_unique_in_its_namespace():
    _apps, findings = read_apps([APP, APP, {**APP, "namespace": "other"}])
    assert messages(findings) == ["NAME_TAKEN echo server 'echo-8081': the name 'echo-8081' is used 2 times."]
