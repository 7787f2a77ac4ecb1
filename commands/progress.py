"""What does a person see while jobs run? A bar per recording on a terminal, a line per change of stage elsewhere."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Self

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from api.dialects.jobs.wire import JobAnswer


class Sight(msgspec.Struct, frozen=True):
    """How far a job is. `speed`: seconds of audio per second; None where it is not known yet."""

    stage: str
    share: float
    spans: str = ""
    speed: float | None = None
    eta_s: float | None = None


class Board:
    """A line per recording, on standard error. Use as a context manager."""

    def __init__(self, names: list[str], *, silent: bool) -> None:
        self._console = Console(stderr=True, quiet=silent)
        self._names = names
        self._stages: dict[int, str] = {}
        self._tasks: list[TaskID] = []
        self._bars: Progress | None = None

    def __enter__(self) -> Self:
        """Begin."""
        if self._console.is_terminal and not self._console.quiet:
            self._bars = Progress(
                TextColumn("{task.description}"), TextColumn("{task.fields[stage]:>12}"), BarColumn(24),
                TextColumn("{task.fields[spans]:>11} {task.fields[speed]:>9} {task.fields[eta]:>8}"),
                console=self._console, transient=True,
            )  # fmt: skip
            self._tasks = [
                self._bars.add_task(escape(name), total=1.0, stage="waiting", spans="", speed="", eta="")
                for name in self._names
            ]
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Leave only what was said."""
        self.clear()

    def clear(self) -> None:
        """Take the bars away, for what is to stand on standard output: both may be the same terminal."""
        if self._bars is not None:
            self._bars.stop()
        self._bars = None

    def show(self, number: int, sight: Sight) -> None:
        """Recording `number` is so far."""
        if self._bars is not None:
            self._bars.update(
                self._tasks[number],
                completed=sight.share,
                stage=sight.stage,
                spans=sight.spans,
                speed="" if sight.speed is None else f"{sight.speed:.1f} x",
                eta="" if sight.eta_s is None else f"ETA {clock(sight.eta_s)}",
            )
        elif self._stages.get(number) != sight.stage:
            self._stages[number] = sight.stage
            self.say(number, sight.stage)

    def say(self, number: int, text: str) -> None:
        """A line that stays."""
        with contextlib.suppress(BrokenPipeError):
            self._console.print(f"{self._names[number]}: {text}", markup=False, highlight=False, soft_wrap=True)

    def end(self, number: int) -> None:
        """Its bar has done its work."""
        if self._bars is not None:
            self._bars.remove_task(self._tasks[number])


def sight_of(job: JobAnswer, spans: tuple[int, int | None] | None, elapsed_s: float) -> Sight:
    """From what the server answers; `elapsed_s` since the job began here, for a speed."""
    speed = None
    if job.duration_seconds and job.progress > 0 and elapsed_s > 0:
        speed = job.duration_seconds * job.progress / elapsed_s
    shown = "" if not spans or spans == (0, None) else f"{spans[0]}/{spans[1] or '?'} spans"
    return Sight(job.stage, job.progress, shown, speed, job.eta_seconds)


def clock(seconds: float) -> str:
    """1:02:03, or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
