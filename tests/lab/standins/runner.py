# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the stand-ins: watches what they look at, reconciles after each change, and does what they ask for.

A reconcile sees everything and says what to write; what is already so is not written. There are no queues: a change
of any object lets every stand-in look at the whole world again, which for a lab's few hundred objects takes
milliseconds.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from .client import MERGE, Api, ApiError, selector
from .crds import definitions
from .kinds import KINDS, Kind
from .world import Crds, Create, Delete, Later, Object, Patch, Render, Status, Unrender, World, Write, established, ref

Reconcile = Callable[[World], Iterator[Write]]

SETTLE = 0.05  # seconds in which changes are gathered before a reconcile
RESYNC = 30.0  # seconds after which everything is looked at again, whether or not anything changed
RETRY = 1.0  # seconds after a write that failed


class Renderer(Protocol):
    """Brings and removes control planes; both take their time and run beside the loop."""

    def brought(self) -> frozenset[str]: ...

    def bring(self, key: str, settings: Any) -> None: ...

    def remove(self, key: str) -> None: ...


class Runner:
    """The loop round all stand-ins of one lab."""

    def __init__(
        self, api: Api, standins: dict[str, tuple[Reconcile, tuple[str, ...]]], pods: bool, renderer: Renderer | None
    ) -> None:
        """`standins` is name -> (reconcile, the kinds that it looks at)."""
        self._api = api
        self._standins = {name: reconcile for name, (reconcile, _) in standins.items()}
        self._kinds = dict.fromkeys(kind for _, kinds in standins.values() for kind in kinds)
        self._pods = pods
        self._renderer = renderer
        self._lock = threading.Lock()
        self._objects: dict[str, dict[tuple[str, str], Object]] = {}
        self._changed = threading.Event()
        self._pool = ThreadPoolExecutor(max_workers=2)
        self._rendered: dict[str, str] = {}
        self._render_errors: dict[str, str] = {}
        self._written = False

    def run(self, ready: Callable[[], object]) -> None:
        """Watch and reconcile until the process ends; `ready` is called when there is nothing left to do."""
        names = dict.fromkeys(["Namespace", "ConfigMap", "CustomResourceDefinition", *self._kinds])
        for name in names:
            threading.Thread(target=self._follow, args=(KINDS[name],), name=name, daemon=True).start()
        # Before that a reconcile would take what it has not read yet for absent.
        while not all(name in self._objects for name in names if not KINDS[name].crd):
            self._changed.wait(1)
            self._changed.clear()
        pause, settled = 0.0, False
        while True:
            self._changed.wait(pause)
            time.sleep(SETTLE)
            self._changed.clear()
            self._written = False
            pause = self._reconcile()
            if not settled and pause == RESYNC and not self._written:
                settled = True
                ready()

    def _reconcile(self) -> float:
        """Let every stand-in look once; return the seconds after which to look again at the latest."""
        pause = RESYNC
        for name, reconcile in self._standins.items():
            log = logging.getLogger(name)
            try:
                for write in reconcile(self._world()):
                    try:
                        pause = min(pause, self._do(log, write))
                    except ApiError as error:
                        # A conflict or a namespace that goes: the next look sees how things are then.
                        log.info("refused: %s %s", _brief(write), error)
                        pause = min(pause, RETRY)
            except Exception:
                log.exception("reconcile")
                pause = min(pause, RETRY)
        return pause

    def _world(self) -> World:
        with self._lock:
            objects = {kind: dict(held) for kind, held in self._objects.items()}
            errors = dict(self._render_errors)
        planes = self._renderer.brought() if self._renderer else frozenset()
        parts = frozenset(self._standins)
        return World(objects, parts=parts, pods=self._pods, render_errors=errors, planes=planes)

    # Watching

    def _follow(self, kind: Kind) -> None:
        """List and watch one kind for ever."""
        log = logging.getLogger("watch")
        while True:
            try:
                if kind.crd and not self._established(kind):
                    time.sleep(0.2)
                    continue
                listed = self._api.request("GET", kind.path(), **selector(kind))
                found = {ref(one): one | _type(kind) for one in listed.get("items") or []}
                with self._lock:
                    self._objects[kind.kind] = found
                self._changed.set()
                for event in self._api.watch(kind, listed["metadata"]["resourceVersion"]):
                    if event["type"] == "ERROR":
                        break
                    self._take(event["object"], gone=event["type"] == "DELETED")
            except Exception as error:
                log.info("%s: %s", kind.kind, error, exc_info=not isinstance(error, ApiError))
                time.sleep(1)

    def _established(self, kind: Kind) -> bool:
        with self._lock:
            crd = self._objects.get("CustomResourceDefinition", {}).get(("", kind.crd))
            if crd and established(crd):
                return True
            self._objects.pop(kind.kind, None)
            return False

    def _wrote(self, one: Object) -> None:
        self._written = True
        self._take(one)

    def _take(self, one: Object, gone: bool = False) -> None:
        with self._lock:
            held = self._objects.setdefault(one["kind"], {})
            if gone:
                held.pop(ref(one), None)
            # The answer to a write may come after the event of a later one.
            elif _version(one) >= _version(held.get(ref(one), one)):
                held[ref(one)] = one
        self._changed.set()

    # Writing

    def _do(self, log: logging.Logger, write: Write) -> float:
        """Do one write where it is needed; return the seconds after which to look again."""
        match write:
            case Create(one):
                self._create(log, one)
            case Status(one, status):
                self._status(log, one, status)
            case Patch(name, namespace, target, patch):
                log.info("patch %s", _brief(write))
                kind = KINDS[name]
                self._wrote(self._api.request("PATCH", kind.path(namespace, target), patch, MERGE))
            case Delete(name, namespace, target):
                log.info("delete %s", _brief(write))
                try:
                    self._api.request("DELETE", KINDS[name].path(namespace, target))
                except ApiError as error:
                    if error.status != 404:
                        raise
            case Crds(names):
                self._crds(log, names)
            case Render(key, settings):
                self._render(log, key, json.dumps(settings, sort_keys=True))
            case Unrender(key):
                self._render(log, key, "")
            case Later(seconds):
                return max(seconds, 0.1)
        return RESYNC

    def _create(self, log: logging.Logger, one: Object) -> None:
        kind = KINDS[one["kind"]]
        namespace, name = ref(one)
        try:
            self._wrote(self._api.request("POST", kind.path(namespace), one))
            log.info("create %s %s", one["kind"], f"{namespace}/{name}")
        except ApiError as error:
            if error.status != 409:
                raise

    def _status(self, log: logging.Logger, one: Object, status: Object) -> None:
        if one.get("status", {}) == status:
            return
        kind = KINDS[one["kind"]]
        namespace, name = ref(one)
        # Replaced as a whole at the version that was seen: a status from an older look must not win.
        path = f"{kind.path(namespace, name)}/status"
        try:
            self._wrote(self._api.request("PUT", path, one | {"status": status}))
        except ApiError as error:
            if error.status != 409 and error.status != 404:
                raise
            self._changed.set()
            return
        log.info("status %s %s: %s", one["kind"], f"{namespace}/{name}", _gist(status))

    def _crds(self, log: logging.Logger, names: Iterable[str]) -> None:
        for name in names:
            with self._lock:
                there = ("", name) in self._objects.get("CustomResourceDefinition", {})
            if not there:
                self._create(log, definitions()[name])

    def _render(self, log: logging.Logger, key: str, settings: str) -> None:
        if self._renderer is None or self._rendered.get(key) == settings:
            return
        self._rendered[key] = settings
        self._pool.submit(self._work, log, key, settings)

    def _work(self, log: logging.Logger, key: str, settings: str) -> None:
        assert self._renderer is not None
        try:
            if settings:
                log.info("control plane %s: bring", key)
                self._renderer.bring(key, json.loads(settings))
            else:
                log.info("control plane %s: remove", key)
                self._renderer.remove(key)
            with self._lock:
                self._render_errors.pop(key, None)
        except Exception as error:
            log.info("control plane %s: %s", key, error)
            with self._lock:
                self._render_errors[key] = str(error)
                self._rendered.pop(key, None)
        self._changed.set()


def _version(one: Object) -> int:
    return int(one["metadata"]["resourceVersion"])


def _type(kind: Kind) -> Object:
    """Items of a list do not say what they are."""
    return {"apiVersion": kind.api_version, "kind": kind.kind}


def _brief(write: Write) -> str:
    match write:
        case Create(one) | Status(one, _):
            return f"{type(write).__name__.lower()} {one['kind']} {'/'.join(ref(one))}"
        case Patch(kind, namespace, name, _) | Delete(kind, namespace, name):
            return f"{kind} {namespace}/{name}"
    return str(write)


def _gist(status: Object) -> str:
    """A status in a few words, for the log."""
    told = [str(status[key]) for key in ("phase", "state", "reason") if status.get(key)]
    told += [
        f"{one['type']}={one['status']} {one.get('reason', '')}".strip()
        for one in status.get("conditions", [])
        if "type" in one
    ]
    return ", ".join(told) or json.dumps(status)[:120]
