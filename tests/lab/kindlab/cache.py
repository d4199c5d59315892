# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finished parts of the lab, kept outside the checkout under a key of everything that went into them.

An entry is a directory that is built beside its final place and renamed when it is complete. A killed build therefore
leaves nothing that could be taken for a finished one, and the next build starts that part again and no other.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .console import Console


def root() -> Path:
    """Return the cache's directory: ``$TCP_LAB_CACHE``, or ``~/.cache/servicemesh-tcp-lab``."""
    return Path(os.environ.get("TCP_LAB_CACHE") or "~/.cache/servicemesh-tcp-lab").expanduser().absolute()


def key(inputs: Mapping[str, Any]) -> str:
    """Return 12 hex digits that change when any input does; inputs are what JSON can say."""
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def file_digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below ``folder`` by relative path, to be used as inputs."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def code_digests(*modules: str) -> dict[str, str]:
    """Return the SHA-256 of modules of this package whose code decides what a part contains."""
    return {name: hashlib.sha256((Path(__file__).parent / name).read_bytes()).hexdigest() for name in modules}


@dataclass(frozen=True)
class Part:
    """One thing that is built once: ``build(folder, log, console)`` fills an empty folder from inputs and needs alone.

    ``seconds`` is what it takes cold on two cores. A change of one of the ``needs`` changes this part too, one of the
    ``tools`` does not: those are only built before it.
    """

    name: str
    title: str
    seconds: int
    inputs: Mapping[str, Any]
    build: Callable[[Path, Path, Console], None]
    needs: tuple[Part, ...] = ()
    tools: tuple[Part, ...] = ()

    @property
    def key(self) -> str:
        """The key of all inputs."""
        return key({"inputs": self.inputs, "needs": [need.place.name for need in self.needs]})

    @property
    def place(self) -> Path:
        """Where the finished entry lies, or will lie."""
        return root() / f"{self.name}-{self.key}"

    @property
    def built(self) -> bool:
        """Whether the cache has it."""
        return self.place.is_dir()


def cold(parts: Iterable[Part]) -> list[Part]:
    """Return the parts that must be built, each after what it needs; what a finished part needs is not looked at."""
    found: dict[str, Part] = {}
    for part in parts:
        if not part.built:
            found.update({other.name: other for other in cold((*part.tools, *part.needs))})
            found[part.name] = part
    return list(found.values())


def log_file(name: str) -> Path:
    """Return the log of one part's build; it outlives the build, so that an error can point at it."""
    return root() / "logs" / f"{name}.log"


@contextmanager
def _locked(lock: Path, what: str, console: Console) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            holder = f"process {handle.read().strip() or 'unknown'}"
            console.note(f"{what}: {holder} is building it, waiting for that")
            fcntl.flock(handle, fcntl.LOCK_EX)
        handle.truncate(0)
        handle.write(str(os.getpid()))
        handle.flush()
        yield


def entry(part: Part, console: Console) -> Path:
    """Return the finished entry of a part, building it first when there is none; two callers build it once."""
    if part.built:
        return part.place
    for other in (*part.tools, *part.needs):
        entry(other, console)
    with _locked(root() / "locks" / part.place.name, part.name, console):
        if part.built:
            return part.place
        partial = part.place.with_name(f".partial-{part.place.name}")
        if partial.exists():
            shutil.rmtree(partial)
        log = log_file(part.name)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        # A strict umask of the caller would make root file systems that only root can read.
        before = os.umask(0o022)
        try:
            partial.mkdir(parents=True)
            with console.part(part.title, part.seconds):
                part.build(partial, log, console)
        finally:
            os.umask(before)
        partial.rename(part.place)
    return part.place
