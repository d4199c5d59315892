# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Lease per gateway: of two runs at once, one writes and the other waits and then plans anew.

Taken by a plain create, then by an update at the resource version that was read, so that the API server lets one of
two through. A Lease that somebody left behind is taken when it did not change for as long as it lasts, seen on our own
clock; two machines' clocks are never compared (Kubernetes client-go, tools/leaderelection, says why).
The uid is sent along: without it an update makes a Lease anew that was removed with its gateway meanwhile (seen on
Kubernetes 1.34; with it the answer is 409).

This module_util is **PRIVATE** and should only be used by this collection. Breaking changes can occur any time.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ansible_collections.servicemesh.tcp.plugins.module_utils._client import ApiError
from ansible_collections.servicemesh.tcp.plugins.module_utils._findings import Stopped, finding
from ansible_collections.servicemesh.tcp.plugins.module_utils._kinds import collection_path, describe, object_path
from ansible_collections.servicemesh.tcp.plugins.module_utils._names import gateway_labels, is_ours
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
        # The metadata as the API server answered our last write; V(None) while we do not hold it.
        self._held: Mapping[str, Any] | None = None
        self._renewed = 0.0

    def take(self, seconds: float, tick: Callable[[], None] = lambda: None) -> None:
        """Take the Lease, waiting at most some seconds for whoever has it; raise Stopped with C(LEASE_HELD).

        C(tick) is called while it waits.
        """
        begun = self._clock()
        seen, since = None, begun
        while True:
            found = self._api.find(object_path(self._bare))
            spec = (found or {}).get("spec") or {}
            holder, lasts = spec.get("holderIdentity"), spec.get("leaseDurationSeconds") or self._duration
            if found is None:
                taken = self._write("POST")
            else:
                if not is_ours(found["metadata"].get("labels")):
                    raise Stopped(finding("NOT_OURS", self._subject, object=describe(self._bare)))
                if found["metadata"]["resourceVersion"] != seen:
                    seen, since = found["metadata"]["resourceVersion"], self._clock()
                free = not holder or self._clock() - since >= lasts
                taken = free and self._write("PUT", found["metadata"])
            if taken:
                return
            now = self._clock()
            if holder and now - begun >= seconds:
                text = {"holder": holder, "silent": round(now - since), "waited": round(now - begun), "lasts": lasts}
                raise Stopped(finding("LEASE_HELD", self._subject, **text))
            tick()
            self._sleep(POLL_SECONDS)

    def check(self) -> None:
        """Make sure that the Lease is still held, renewing it in good time; raise Stopped with C(LEASE_LOST).

        Before it is taken, and after it was lost, there is nothing to make sure of.
        """
        if self._held is None:
            return
        age = self._clock() - self._renewed
        if age < self._duration / 3:
            return
        # A process that was asleep for longer may have lost it to another run, which must not be overtaken.
        if age >= self._duration or not self._write("PUT", self._held):
            self._held = None
            raise Stopped(finding("LEASE_LOST", self._subject, seconds=round(age)))

    def release(self) -> None:
        """Give the Lease back; one that was lost, or that cannot be reached any more, runs out by itself."""
        if self._held is None:
            return
        with contextlib.suppress(ApiError):
            self._write("PUT", self._held, holder="")
        self._held = None

    def _write(self, method: str, read: Mapping[str, Any] | None = None, holder: str | None = None) -> bool:
        """Send the Lease, as a change of what was read; tell whether it was taken (409: somebody else was first)."""
        spec: dict[str, Any] = {
            "holderIdentity": self._holder if holder is None else holder,
            "leaseDurationSeconds": self._duration,
            "renewTime": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        metadata = {**self._bare["metadata"], **{key: read[key] for key in ("uid", "resourceVersion") if read}}
        path = object_path(self._bare) if read else collection_path("Lease", metadata["namespace"])
        # Counted from before the request, since the others count from when they see it.
        asked = self._clock()
        try:
            answer = self._api.request(method, path, body={**self._bare, "metadata": metadata, "spec": spec})
        except ApiError as error:
            if error.status == 409:
                return False
            raise
        self._held, self._renewed = answer["metadata"], asked
        return True


class Leases:
    """The Leases of all gateways that a run writes to; a context that gives them back."""

    def __init__(self, api: Api, places: Iterable[tuple[str, str]], duration: int, **clock: Any) -> None:
        """Prepare the Leases of gateways, given by namespace and name."""
        holder = holder_name()
        # In one order everywhere, so that two runs never wait for each other.
        self._leases = [Lease(api, *place, duration=duration, holder=holder, **clock) for place in sorted(places)]

    def take(self, seconds: float) -> None:
        """Take all of them, waiting at most some seconds for each; those that are taken are kept meanwhile."""
        for lease in self._leases:
            lease.take(seconds, tick=self.check)

    def check(self) -> None:
        """Make sure that all that were taken are still held; called before every write."""
        for lease in self._leases:
            lease.check()

    def __enter__(self) -> Leases:
        return self

    def __exit__(self, *_failure: object) -> None:
        for lease in self._leases:
            lease.release()
