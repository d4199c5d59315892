# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Claims on the lab: what one set's gateway opens to another one, read back from the cluster."""

from __future__ import annotations

import pytest
from harness import Exposure, Run


@pytest.fixture(scope="module")
def claimed(exposure: Exposure) -> Exposure:
    """Return the exposure with a pool and claims on its gateway, and its own port published."""
    exposure.gateway |= {
        "pool": "8000-8009",
        "claims": [
            {"sets": exposure.name, "ports": 8000},
            {"sets": f"{exposure.name}-two", "namespaces": exposure.echo, "ports": "8004-8006", "max": 2},
        ],
    }
    run = exposure.expose([exposure.record("first", 8000)])
    assert run.code == 0, run.output
    return exposure


def declared(claimed: Exposure) -> list[str]:
    """Return what is declared in the gateway's namespace; the lab is shared, and others may be busy beside it."""
    lines = [line for line in claimed.playbooks.cluster.snapshot() if f" {claimed.name}/" in line]
    assert any(line.startswith("gateways ") for line in lines)
    return lines


def publish(claimed: Exposure, *records: tuple[str, object]) -> Run:
    """Publish as a second team does: its own set, and nothing of the gateway but name and namespace."""
    reference = {key: claimed.gateway[key] for key in ("name", "namespace")}
    wanted = [claimed.record(name, port) for name, port in records]
    return claimed.expose(
        wanted, tcp_set=f"{claimed.name}-two", tcp_gateways=[reference], tcp_namespace_state="required"
    )


def test_a_second_set_gets_what_the_stored_claims_open_to_it(claimed: Exposure) -> None:
    run = publish(claimed, ("a", "auto"), ("b", "auto"))
    assert run.code == 0, run.output
    assert [(item["name"], item["port"], item["proof"]) for item in run.endpoints] == [
        ("a", 8004, "proven"),
        ("b", 8005, "proven"),
    ]
    again = publish(claimed, ("b", "auto"), ("a", "auto"))
    assert (again.code, again.changed) == (0, 0), again.output


@pytest.mark.parametrize(
    ("port", "said"),
    [
        (8001, "CLAIM_MISSING record 'c': port 8001 of gateway edge is not open to set '{set}-two'"),
        (8006, "CLAIM_EXCEEDED gateway 'edge': its claims[1] lets a set publish at most 2 ports"),
    ],
)
def test_what_the_claims_do_not_open_is_refused_and_nothing_is_written(claimed: Exposure, port: int, said: str) -> None:
    publish(claimed, ("a", "auto"), ("b", "auto"))
    before = declared(claimed)
    run = publish(claimed, ("a", "auto"), ("b", "auto"), ("c", port))
    assert run.code != 0
    assert said.format(set=claimed.name) in run.said
    assert declared(claimed) == before
