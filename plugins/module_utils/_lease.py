# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Lease per gateway: of two runs at once, one writes and the other waits and then plans anew.

Taken by a plain create, then by an update at the resource version that was read, so that the API server lets one of
two through. A Lease that somebody left behind is taken when it did not change for as long as it lasts, seen on our own
clock; two machines' clocks are never compared (Kubernetes client-go, tools/leaderelection, says why).

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import Stopped, finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import collection_path, object_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import gateway_labels
from ansible_collections.servicemesh.tcp.plugins.module_utils._workload import new_object

if TYPE_CHECKING:
    from ansible_collections.servicemesh.tcp.plugins.module_utils._client import Api

POLL_SECONDS = 0.5


def holder_name() -> str:
    """Return who holds a Lease, so that people find the process, and no two runs are the same."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


class Lease:
    """The Lease of one gateway, held by one run."""

    def __init__(
        self,
        api: Api,
        namespace: str,
        gateway: str,
        duration: int,
        holder: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Prepare the Lease; C(duration) is the seconds for which it lasts without being renewed."""
        self._api, self._duration, self._holder = api, duration, holder
        self._clock, self._sleep = clock, sleep
        self._bare = new_object("Lease", gateway, namespace, gateway_labels(gateway))
        self._subject = f"gateway {gateway!r}"
        self._version: str | None = None
        self._renewed = 0.0

    def take(self, seconds: float, tick: Callable[[], None] = lambda: None) -> None:
        """Take the Lease, waiting at most some seconds for whoever has it; raise Stopped with C(LEASE_HELD).

        C(tick) is called while it waits.
        """
        begun = self._clock()
        seen, since = None, begun
        while True:
            found = self._api.find(object_path(self._bare))
            if found is None:
                taken = self._write("POST", collection_path("Lease", self._bare["metadata"]["namespace"]))
            else:
                version = found["metadata"]["resourceVersion"]
                if version != seen:
                    seen, since = version, self._clock()
                holder = found["spec"].get("holderIdentity")
                lasts = found["spec"].get("leaseDurationSeconds") or self._duration
                free = not holder or self._clock() - since >= lasts
                taken = free and self._write("PUT", object_path(self._bare), version)
            if taken:
                return
            now = self._clock()
            if found is not None and now - begun >= seconds:
                raise Stopped(finding("LEASE_HELD", self._subject, holder=holder, seconds=round(now - since)))
            tick()
            self._sleep(POLL_SECONDS)

    def check(self) -> None:
        """Make sure that the Lease is still held, renewing it in good time; raise Stopped with C(LEASE_LOST)."""
        age = self._clock() - self._renewed
        if age < self._duration / 3:
            return
        # A process that was asleep for longer may have lost it to another run, which must not be overtaken.
        if age >= self._duration or not self._write("PUT", object_path(self._bare), self._version):
            self._version = None
            raise Stopped(finding("LEASE_LOST", self._subject, seconds=round(age)))

    def release(self) -> None:
        """Give the Lease back; one that was lost, or that cannot be reached any more, runs out by itself."""
        if self._version is None:
            return
        with contextlib.suppress(ApiError):
            self._write("PUT", object_path(self._bare), self._version, holder="")
        self._version = None

    def _write(self, method: str, path: str, version: str | None = None, holder: str | None = None) -> bool:
        """Send the Lease; tell whether the API server took it (409: somebody else was first)."""
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec: dict[str, Any] = {
            "holderIdentity": self._holder if holder is None else holder,
            "leaseDurationSeconds": self._duration,
            "renewTime": now,
        }
        body = {**self._bare, "metadata": {**self._bare["metadata"]}, "spec": spec}
        if version:
            body["metadata"]["resourceVersion"] = version
        # Counted from before the request, since the others count from when they see it.
        asked = self._clock()
        try:
            answer = self._api.request(method, path, body=body)
        except ApiError as error:
            if error.status == 409:
                return False
            raise
        self._version, self._renewed = answer["metadata"]["resourceVersion"], asked
        return True


class Leases:
    """The Leases of all gateways that a run writes to; a context that gives them back."""

    def __init__(self, api: Api, places: Iterable[tuple[str, str]], duration: int, **clock: Any) -> None:
        """Prepare the Leases of gateways, given by namespace and name."""
        holder = holder_name()
        # In one order everywhere, so that two runs never wait for each other.
        self._held: list[Lease] = []
        self._leases = [Lease(api, *place, duration=duration, holder=holder, **clock) for place in sorted(places)]

    def take(self, seconds: float) -> None:
        """Take all of them; those that are held already are kept while the next one is waited for."""
        for lease in self._leases:
            lease.take(seconds, tick=self.check)
            self._held.append(lease)

    def check(self) -> None:
        """Make sure that all are still held; called before every write."""
        for lease in self._held:
            lease.check()

    def __enter__(self) -> Leases:
        return self

    def __exit__(self, *_failure: object) -> None:
        for lease in self._held:
            lease.release()
