"""What does a person see meanwhile? Two bars on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from commands.progress import clock

_LINE_EVERY_S = 10.0


class Board:
    """On standard error. Use as a context manager."""

    def __init__(self, *, silent: bool) -> None:
        self._console = Console(stderr=True, quiet=silent)
        self._files = 0
        self._seen: dict[str, tuple[int, int]] = {}
        self._bytes = self._bytes_there = 0
        self._began = self._said = time.monotonic()
        self._bars: Progress | None = None
        self._uploads: TaskID | None = None
        self._work: TaskID | None = None

    def __enter__(self) -> Self:
        """Begin."""
        if self._console.is_terminal and not self._console.quiet:
            self._bars = Progress(
                TextColumn("{task.description:>14}"), BarColumn(24), TextColumn("{task.fields[said]}"),
                TimeRemainingColumn(compact=True), console=self._console, transient=True,
            )  # fmt: skip
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Leave only what was said."""
        if self._bars is not None:
            self._bars.stop()
        self._bars = None

    def begin(self, files: int, kept: int) -> None:
        """So many have no end yet, and so many are done already."""
        self._files = files
        if kept:
            self.say(f"{_recordings(kept)} done already.")

    def bringing(self, files: int, size_bytes: int) -> None:
        """So much is uploaded now."""
        self._bytes += size_bytes
        if self._bars is None:
            self.say(f"Uploading {_recordings(files)}, {_size(size_bytes)} …")
        elif self._uploads is None:
            self._uploads = self._bars.add_task("uploading", total=self._bytes, said="")

    def brought(self, size_bytes: int) -> None:
        """So much more is there."""
        self._bytes_there += size_bytes
        said = f"{_size(self._bytes_there)} of {_size(self._bytes)}"
        if self._bars is not None and self._uploads is not None:
            self._bars.update(self._uploads, completed=self._bytes_there, total=self._bytes, said=said)
        else:
            self._now_and_then(f"{said} uploaded")

    def seen(self, ask: str, done: int, failed: int) -> None:
        """Of this handover, so many files have an end, and so many of them failed."""
        if self._seen.get(ask, (0, 0)) == (done, failed):
            return
        self._seen[ask] = (done, failed)
        ended, wrong = (sum(numbers) for numbers in zip(*self._seen.values(), strict=True))
        said = f"{ended} of {self._files} done" + (f", {wrong} failed" if wrong else "")
        if self._bars is not None:
            if self._work is None:
                self._work = self._bars.add_task("transcribing", total=self._files, said="")
            self._bars.update(self._work, completed=ended, said=said)
        elif ended < self._files:
            left_s = (time.monotonic() - self._began) * (self._files - ended) / ended if ended else None
            self._now_and_then(said + ("" if left_s is None else f"; about {clock(left_s)} left"))

    def say(self, text: str) -> None:
        """A line that stays."""
        with contextlib.suppress(BrokenPipeError):
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _now_and_then(self, text: str) -> None:
        if time.monotonic() - self._said >= _LINE_EVERY_S:
            self._said = time.monotonic()
            self.say(text)


def _recordings(count: int) -> str:
    return "1 recording" if count == 1 else f"{count} recordings"


def _size(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
