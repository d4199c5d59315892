# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A port that a connection of the gateway's own pod has taken: published all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from harness import Exposure

LISTEN, ESTABLISHED = "0A", "01"
XDS_PORT = 15012


class Socket(NamedTuple):
    """One line of /proc/net/tcp."""

    state: str
    local: int
    remote: int


def sockets(process: Path) -> Iterator[Socket]:
    """Read the TCP sockets of a process's network namespace."""
    for line in (process / "net" / "tcp").read_text().splitlines()[1:]:
        _number, local, remote, state = line.split()[:4]
        yield Socket(state, *(int(address.rpartition(":")[2], 16) for address in (local, remote)))


def gateway_sockets(listener: int) -> list[Socket]:
    """Return the sockets of the pod whose Envoy listens on a port; the lab's pods are processes of this machine."""
    envoys = [path.parent for path in Path("/proc").glob("[0-9]*/comm") if path.read_text() == "envoy\n"]
    found = [list(sockets(process)) for process in envoys]
    return next(items for items in found if any(item.state == LISTEN and item.local == listener for item in items))


def test_a_port_that_the_pod_s_own_connection_has_taken_is_published(exposure: Exposure) -> None:
    """Envoy could not bind the port itself: 'Address already in use', and nobody would try again."""
    first = exposure.record("first", 8417)
    assert exposure.expose([first]).code == 0
    own = [item for item in gateway_sockets(8417) if item.state == ESTABLISHED and item.remote == XDS_PORT]
    taken = own[0].local
    run = exposure.expose([first, exposure.record("second", taken)])
    assert run.code == 0, run.output
    assert [item["proof"] for item in run.endpoints if item["port"] == taken] == ["proven"]
    # So that the port was in the way until the end.
    assert taken in {item.local for item in gateway_sockets(8417) if item.state == ESTABLISHED}
