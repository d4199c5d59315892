# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab says to whoever runs it: plain lines with the seconds since the start."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO


class LabError(Exception):
    """The lab cannot go on; ``remedy`` says in one or two sentences what the reader can do about it."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class Console:
    """Prints progress as plain lines, so that a terminal and a CI log read the same."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream if stream is not None else sys.stdout
        self._clock = clock
        self._start = clock()
        self._parts_begun = 0
        self._parts_expected = 0

    def note(self, text: str) -> None:
        """Print one line."""
        print(f"[{self._clock() - self._start:4.0f} s] {text}", file=self._stream, flush=True)

    def progress(self, title: str, done: int, total: int, detail: str = "") -> None:
        """Print how far a counted piece of work is: ``title: 3 of 9, detail``."""
        self.note(f"{title}: {done} of {total}" + (f", {detail}" if detail else ""))

    def choice(self, what: str, chosen: str, why: str) -> None:
        """Print a choice that was made by looking at the machine."""
        self.note(f"{what}: {chosen} ({why})")

    @contextmanager
    def step(self, title: str, estimate: str = "") -> Iterator[None]:
        """Print ``title ...`` (with the estimate, such as "about 40 s") on entry, and the time taken on success."""
        began = self._clock()
        self.note(f"{title} ..." + (f" ({estimate})" if estimate else ""))
        yield
        self.note(f"{title}: {self._clock() - began:.0f} s")

    def expect(self, parts: int) -> None:
        """Say how many parts will be built, so that each can be printed as "part 3 of 9"."""
        self._parts_begun, self._parts_expected = 0, parts

    @contextmanager
    def part(self, title: str, seconds: int) -> Iterator[None]:
        """A step that is one of the expected parts; ``seconds`` is what it takes cold on two cores."""
        self._parts_begun += 1
        number = f"part {self._parts_begun} of {self._parts_expected}: " if self._parts_expected else ""
        about = f"about {seconds} s" if seconds < 100 else f"about {round(seconds / 60)} min"
        with self.step(number + title, about):
            yield
