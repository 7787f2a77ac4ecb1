"""How does a recording become files? Submitted, watched, fetched, written; several beside each other, cancelled together."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import datetime

import click
import msgspec

from api.admin.wire import JobRows
from api.dialects.jobs.wire import JobAnswer
from commands.client import JobsClient, Refusal
from commands.progress import Board, Sight, sight_of
from commands.reach import Reach, client
from commands.recordings import Destination, Recording, write
from commands.server import Server
from tiro.model.errors import TiroError

_UPLOADS = 2
_LOCAL_POLL_S, _REMOTE_POLL_S = 0.4, 2.0
_POLLS_PER_S = 20
_SPANS_EVERY_S = 1.0
_ENDED = {"completed", "failed", "cancelled"}
_CANCEL_WITHIN_S = 5.0


class Wish(msgspec.Struct, frozen=True):
    """How recordings are to be transcribed, and what is written where."""

    language: str
    diarize: bool
    formats: tuple[str, ...]
    destination: Destination


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one recording. `error`: a code; `message`: what to do about it."""

    source: str
    job_id: str | None = None
    status: str = "failed"
    duration_seconds: float | None = None
    language: str | None = None
    engine: str | None = None
    took_seconds: float | None = None
    files: tuple[str, ...] = ()
    error: str | None = None
    message: str | None = None


class Submissions:
    """All recordings of one command."""

    def __init__(self, server: Server, wish: Wish, board: Board) -> None:
        self._server = server
        self._wish = wish
        self._board = board
        self._client = JobsClient(server.url, server.key, local=server.local)
        self._uploads = asyncio.Semaphore(_UPLOADS)
        self._spans: dict[str, tuple[int, int | None]] = {}
        self._open: set[str] = set()

    async def run(self, recordings: list[Recording], stopping: asyncio.Event) -> list[Outcome]:
        """One outcome per recording, in their order. When `stopping` is set, what runs is cancelled."""
        tasks = [asyncio.create_task(self._one(number, one)) for number, one in enumerate(recordings)]
        stop = asyncio.create_task(stopping.wait())
        async with self._watching_spans():
            whole = asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.wait((whole, stop), return_when=asyncio.FIRST_COMPLETED)
            stop.cancel()
            if not whole.done():
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
                await self._cancel_open()
        with contextlib.suppress(asyncio.CancelledError):
            await whole
        await self._client.close()
        return [_outcome(one, task) for one, task in zip(recordings, tasks, strict=True)]

    async def _one(self, number: int, recording: Recording) -> Outcome:
        job_id: str | None = None
        try:
            async with self._uploads:
                self._board.show(number, Sight("uploading" if recording.file else "submitting", 0.0))
                job_id = await self._client.submit(recording, self._wish.language, diarize=self._wish.diarize)
                self._open.add(job_id)
            job = await self._watched(number, job_id)
            self._open.discard(job_id)
            if job.status != "completed":
                raise await self._client.failure_of(job)
            files = await self._written(recording, job_id)
        except Refusal as refused:
            self._board.end(number)
            message = str(refused)
            if job_id in self._open:
                message += f" The job may go on there: `tiro jobs show {job_id}`."
            return Outcome(source=recording.name, job_id=job_id, error=refused.code, message=message)
        self._board.end(number)
        outcome = _completed(recording, job, files)
        self._board.say(number, _summary(outcome))
        return outcome

    async def _watched(self, number: int, job_id: str) -> JobAnswer:
        began = time.monotonic()
        while True:
            job = await self._client.job(job_id)
            self._board.show(number, sight_of(job, self._spans.get(job_id), time.monotonic() - began))
            if job.status in _ENDED:
                return job
            poll_s = _LOCAL_POLL_S if self._server.local else _REMOTE_POLL_S
            await asyncio.sleep(max(poll_s, len(self._open) / _POLLS_PER_S))

    async def _written(self, recording: Recording, job_id: str) -> tuple[str, ...]:
        files = []
        for form in self._wish.formats:
            body = await self._client.transcript(job_id, form)
            if self._wish.destination.is_stdout:
                self._board.clear()
            file = await asyncio.to_thread(write, self._wish.destination, recording, form, body)
            files += [] if file is None else [str(file)]
        return tuple(files)

    async def _cancel_open(self) -> None:
        with contextlib.suppress(TimeoutError, Refusal):
            async with asyncio.timeout(_CANCEL_WITHIN_S):
                for job_id in self._open:
                    await self._client.cancel(job_id)

    @contextlib.asynccontextmanager
    async def _watching_spans(self) -> AsyncIterator[None]:
        """Spans are no part of the public answer; a server of this machine tells its operator."""
        if self._server.admin is None:
            yield
            return
        async with client(self._server.url, self._server.admin) as http:
            watch = asyncio.create_task(self._watch_spans(Reach(http)))
            try:
                yield
            finally:
                watch.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watch

    async def _watch_spans(self, there: Reach) -> None:
        while True:
            with contextlib.suppress(TiroError):
                page = await there.get("/jobs", JobRows, limit=min(1000, len(self._open) + 20))
                self._spans.update({row.job_id: (row.spans_done, row.spans_total) for row in page.jobs})
            await asyncio.sleep(_SPANS_EVERY_S)


def _outcome(recording: Recording, task: asyncio.Task[Outcome]) -> Outcome:
    if task.cancelled():
        return Outcome(source=recording.name, status="cancelled", error="job_cancelled", message="Cancelled.")
    error = task.exception()
    if isinstance(error, click.ClickException):
        return Outcome(source=recording.name, error="not_written", message=error.message)
    return task.result()


def _completed(recording: Recording, job: JobAnswer, files: tuple[str, ...]) -> Outcome:
    return Outcome(
        source=recording.name,
        job_id=job.job_id,
        status=job.status,
        duration_seconds=job.duration_seconds,
        language=job.language,
        engine=job.engine,
        took_seconds=_between(job.started_at, job.completed_at),
        files=files,
    )


def _between(start: str | None, end: str | None) -> float | None:
    if start is None or end is None:
        return None
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 3)


def _summary(outcome: Outcome) -> str:
    text = f"{outcome.duration_seconds or 0:.1f} s of audio"
    if outcome.took_seconds and outcome.duration_seconds:
        text += f" in {outcome.took_seconds:.1f} s ({outcome.duration_seconds / outcome.took_seconds:.1f} x real time)"
    where = f" -> {', '.join(outcome.files)}" if outcome.files else ""
    return f"{text}, by {outcome.engine}{where}"
