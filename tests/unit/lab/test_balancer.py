# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The stand-in for a cloud's load balancer: which Service gets which address."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest
from kindlab.paths import CLUSTER_FILES

pytestmark = pytest.mark.skipif(not shutil.which("jq"), reason="needs jq")
POOL = "198.18.25"


def service(name: str, held: str = "", **spec: Any) -> dict[str, Any]:
    ingress = {"loadBalancer": {"ingress": [{"ip": held}]}} if held else {"loadBalancer": {}}
    return {
        "metadata": {"namespace": "n", "name": name, "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"type": "LoadBalancer", **spec},
        "status": ingress,
    }


def assign(*services: dict[str, Any]) -> dict[str, str]:
    command = ["jq", "-r", "--arg", "pool", POOL, "--from-file", str(CLUSTER_FILES / "balancer.jq")]
    done = subprocess.run(command, input=json.dumps({"items": services}), capture_output=True, text=True, check=True)
    return {line.split()[1]: line.split()[2] for line in done.stdout.splitlines()}


def test_no_address_is_given_twice() -> None:
    given = assign(service("held", f"{POOL}.1"), service("a"), service("b"))
    assert given == {"a": f"{POOL}.2", "b": f"{POOL}.3"}


def test_what_has_an_address_keeps_it() -> None:
    assert assign(service("a", f"{POOL}.9")) == {}


def test_an_address_that_is_asked_for_is_given_before_others_are() -> None:
    assert assign(service("a"), service("z", loadBalancerIP=f"{POOL}.1")) == {"z": f"{POOL}.1", "a": f"{POOL}.2"}


def test_an_address_that_is_taken_is_waited_for() -> None:
    assert assign(service("held", f"{POOL}.7"), service("a", loadBalancerIP=f"{POOL}.7")) == {}


def test_two_that_ask_for_one_address_do_not_both_get_it() -> None:
    given = assign(service("a", loadBalancerIP=f"{POOL}.7"), service("b", loadBalancerIP=f"{POOL}.7"))
    assert given == {"a": f"{POOL}.7"}


@pytest.mark.parametrize("asked", ["10.0.0.1", f"{POOL}.0", f"{POOL}.255", f"{POOL}.300"])
def test_an_address_outside_the_pool_does_not_count(asked: str) -> None:
    assert assign(service("a", loadBalancerIP=asked)) == {"a": f"{POOL}.1"}


def test_a_change_of_mind_is_followed() -> None:
    assert assign(service("a", f"{POOL}.1", loadBalancerIP=f"{POOL}.8")) == {"a": f"{POOL}.8"}


def test_a_foreign_class_is_left_alone_and_its_address_not_given() -> None:
    foreign = service("foreign", f"{POOL}.1", loadBalancerClass="other.example/lb")
    assert assign(foreign, service("waiting", loadBalancerClass="other.example/lb"), service("a")) == {"a": f"{POOL}.2"}


def test_the_labs_own_class_is_served() -> None:
    assert assign(service("a", loadBalancerClass="servicemesh.tcp/lab")) == {"a": f"{POOL}.1"}


def test_other_types_and_services_that_go_get_nothing() -> None:
    going = service("going")
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert assign(service("node", type="NodePort"), going) == {}


def test_a_full_pool_gives_nothing() -> None:
    assert assign(*(service(f"s{last}", f"{POOL}.{last}") for last in range(1, 255)), service("late")) == {}
