"""What does a person see while it is measured? A bar per step on a terminal, a line per step elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from commands.hearing import Tell


class Steps:
    """On standard error. Use as a context manager."""

    def __init__(self, *, silent: bool) -> None:
        self._console = Console(stderr=True, quiet=silent)
        self._bars: Progress | None = None

    def __enter__(self) -> Self:
        """Begin."""
        if self._console.is_terminal and not self._console.quiet:
            columns = TextColumn("{task.description}"), BarColumn(24), TimeElapsedColumn()
            self._bars = Progress(*columns, console=self._console, transient=True)
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Take the bars away."""
        if self._bars is not None:
            self._bars.stop()

    def begin(self, text: str, seconds: float | None = None) -> Tell:
        """The next one; what it gives is told of progress. `seconds` of audio in all; None: nobody knows."""
        if self._bars is None:
            self._console.print(f"{text} ...", markup=False, highlight=False, soft_wrap=True)
            return lambda _: None
        bars, task = self._bars, self._next(text, seconds)
        return lambda heard_s: bars.advance(task, heard_s)

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _next(self, text: str, seconds: float | None) -> TaskID:
        assert self._bars is not None
        for task in self._bars.task_ids:
            self._bars.remove_task(task)
        return self._bars.add_task(text, total=seconds)
