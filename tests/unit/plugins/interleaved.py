# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several runs on one cluster in memory, their requests shuffled: a seed decides whose request comes next.

Each run has a thread, and only one of them runs at a time, so that a seed gives the same order every time.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._apply import Refused
from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api, ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import Stopped
from ansible_collections.servicemesh.tcp.tests.unit.plugins.fake_api import FakeApi, Killed

WRITES = ("POST", "PUT", "PATCH", "DELETE")
Run = Callable[["Client", "SharedClock"], Any]


class Turns:
    """Lets one of several threads run at a time."""

    def __init__(self, names: list[str], seed: int) -> None:
        self._random = random.Random(seed)
        self._alive = sorted(names)
        self._changed = threading.Condition()
        self._turn = self._random.choice(self._alive)

    def wait(self, name: str) -> None:
        """Wait for the first turn."""
        with self._changed:
            self._changed.wait_for(lambda: self._turn == name)

    def give(self, name: str) -> None:
        """Give the turn to anybody, and wait until it comes back."""
        with self._changed:
            self._turn = self._random.choice(self._alive)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._turn == name)

    def leave(self, name: str) -> None:
        """Give the turn away for good."""
        with self._changed:
            self._alive.remove(name)
            if self._alive:
                self._turn = self._random.choice(self._alive)
            self._changed.notify_all()


class SharedClock:
    """Time as all see it: it passes while somebody sleeps."""

    def __init__(self, turns: Turns, name: str, shared: list[float]) -> None:
        self._turns, self._name, self._shared = turns, name, shared

    def __call__(self) -> float:
        return self._shared[0]

    def sleep(self, seconds: float) -> None:
        """Let the others go on."""
        # A sleeper is woken far more often than the others do anything: its time passes more slowly.
        self._shared[0] += seconds / 10
        self._turns.give(self._name)


class Client(Api):
    """One run's connection: each request waits for its turn, and after some writes the process is dead."""

    def __init__(self, api: FakeApi, turns: Turns, name: str, lives: int | None) -> None:
        self._api, self._turns, self._name, self._lives = api, turns, name, lives
        self.requests: Counter[str] = Counter()
        self.written: list[str] = []

    @property
    def host(self) -> str:
        """The address of the API server."""
        return self._api.host

    def request(self, method: str, path: str, body: Any = None, query: Any = None, *rest: Any, **more: Any) -> Any:
        """Send one request when it is this run's turn."""
        self._turns.give(self._name)
        dry = (query or {}).get("dryRun") or (method == "DELETE" and (body or {}).get("dryRun"))
        if method in WRITES and not dry:
            if self._lives is not None and len(self.written) >= self._lives:
                raise Killed
            self.written.append(f"{method} {path}")
        self.requests[method] += 1
        return self._api.request(method, path, body, query, *rest, **more)


def at_once(api: FakeApi, runs: Mapping[str, Run], seed: int, dying: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Carry out runs at the same time, some of which die after a number of writes.

    Return by name what a run returned, or the exception that ended it.
    """
    turns, shared, outcome = Turns(list(runs), seed), [0.0], {}

    def carry_out(name: str, run: Run) -> None:
        turns.wait(name)
        try:
            outcome[name] = run(Client(api, turns, name, (dying or {}).get(name)), SharedClock(turns, name, shared))
        except (ApiError, Killed, Refused, Stopped) as ended:
            outcome[name] = ended
        finally:
            turns.leave(name)

    threads = [threading.Thread(target=carry_out, args=item, daemon=True) for item in runs.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return outcome
