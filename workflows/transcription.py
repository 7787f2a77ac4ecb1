"""The way of one recording: begin, fetch, ingest, and beside them detect, transcribe and diarize; then merge, publish, settle, deliver."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Sequence

import msgspec
from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.flow import Flow
    from activities.recording import Recording
    from activities.speech import Speech
    from activities.tasks import (
        Brief,
        DetectTask,
        DiarizeTask,
        FetchTask,
        HeardSpan,
        IngestTask,
        MergeTask,
        Prepared,
        Run,
        SettledAs,
        TranscribeTask,
    )
    from activities.voices import Voices
    from activities.writing import Writing
    from tiro.model.job import Stage
    from tiro.ports import Launch
    from workflows.display import Board, details
    from workflows.ending import Finished, settle, to_its_end
    from workflows.stations import check_priority, fan_out, run_station, together, told_of

PACK_S = 300.0
"""Up to so much audio a job is one activity on the speech queue, not one per span."""


@workflow.defn(name="Transcription")
class Transcription:
    """One run of one job. Its history holds ids, numbers and codes only."""

    @workflow.init
    def __init__(self, launch: Launch) -> None:
        self._launch = launch  # an update may come before `run` begins
        self._announced: list[int] = []
        self._plan: str | None = None
        self._renews = False
        """Whether it is cut while it is fetched: another attempt may be given another recording."""
        self._prepared: Prepared | None = None
        self._spans_done = 0
        self._language: str | None = None
        self._engines: tuple[str, ...] = ()
        self._engine = 0
        self._paused = False
        self._priority: int | None = None
        self._warnings: list[str] = []
        self._stage: Stage = "queued"

    @workflow.run
    async def run(self, launch: Launch) -> Finished:
        """To its end, whatever happens."""
        begin = run_station(Flow.begin, Run(launch.job_id, launch.run))
        return await to_its_end(launch, begin, self._stations, lambda: self._look("ended"))

    # --- what may come in while it runs --------------------------------------------------------------------------

    @workflow.signal(name="span_ready", description="a span is final")
    def span_ready(self, plan: str, index: int) -> None:
        """From fetch or ingest; told twice after a retry."""
        if plan != (self._plan or plan) and self._renews and self._prepared is None:
            self._forget()
        if plan == (self._plan or plan) and index not in self._announced:
            self._plan = plan
            self._announced.append(index)

    @workflow.update(name="pause", description="schedule no further spans")
    async def pause(self) -> None:
        """What is under way is finished; nothing new begins."""
        self._paused = True
        await self._show(self._stage)

    @workflow.update(name="resume", description="go on after pause")
    async def resume(self) -> None:
        """Go on."""
        self._paused = False
        await self._show(self._stage)

    @workflow.update(name="reprioritize", description="1 (first) to 5: for what is not yet scheduled")
    async def reprioritize(self, priority: int) -> None:
        """Takes effect with the next station that is scheduled."""
        self._priority = priority

    @reprioritize.validator
    def _check_priority(self, priority: int) -> None:
        check_priority(priority)

    @workflow.query(name="progress", description="stage, spans, engine, and why it waits")
    def progress(self) -> dict[str, str | int | float | bool | None]:
        """For operators and the command line."""
        board: dict[str, str | int | float | bool | None] = msgspec.to_builtins(self._board())
        return board

    # --- the stations -------------------------------------------------------------------------------------------------

    async def _stations(self, brief: Brief) -> SettledAs:
        self._engines = brief.engines
        self._language = brief.language
        if brief.from_url:
            self._look("fetching")
            self._renews = workflow.patched("cut-while-fetched")
            if not self._renews:
                await run_station(Recording.fetch, self._launch, priority=self._priority)
        if not self._renews:
            self._look("preparing")
        _, heard, diarizer = await together(self._ingest(), self._hear(brief), self._voices(brief))
        assert self._prepared is not None
        task = MergeTask(
            job_id=self._launch.job_id,
            run=self._launch.run,
            plan=self._prepared.plan,
            parts=tuple(sorted(_parts(heard, self._prepared.spans), key=lambda one: one.index)),
            language=self._language,
            language_detected=brief.language is None and brief.detects,
            primary=brief.engines[0],
            diarize=brief.diarize,
            diarizer=diarizer,
            warnings=tuple(self._warnings),
        )
        self._look("merging")
        if not self._announced:
            return await run_station(Writing.finish, task)
        await run_station(Writing.merge, task)
        await run_station(Writing.publish, self._launch)
        return await settle(self._launch, "completed")

    async def _ingest(self) -> None:
        if self._renews:
            fetch = FetchTask(self._launch.job_id, self._launch.run, PACK_S)
            await run_station(Recording.fetch, fetch, priority=self._priority)
            self._look("preparing")
        task = IngestTask(self._launch.job_id, self._launch.run, PACK_S)
        prepared = await run_station(Recording.ingest, task, priority=self._priority)
        if self._renews and prepared.plan != self._plan:
            self._forget()
        self._prepared = prepared
        self._plan = prepared.plan
        self._look("transcribing")

    async def _hear(self, brief: Brief) -> list[list[HeardSpan]]:
        while True:
            await workflow.wait_condition(lambda: bool(self._announced) or self._prepared is not None)
            plan = self._plan
            assert plan is not None
            if brief.language is None and brief.detects:
                await self._detect()
            heard = await fan_out(self._packs(plan), brief.spans_in_flight)
            if plan == self._plan:
                return heard
            # the recording is not what it was: all of that is heard anew
            self._language = brief.language

    def _forget(self) -> None:
        """What was announced is of a recording that is there no more."""
        self._plan = None
        self._announced.clear()
        self._warnings.clear()
        self._spans_done = 0

    async def _detect(self) -> None:
        """Skipped where one activity hears everything anyway. Nothing found: each span goes by itself."""
        spans = tuple(self._announced) or (self._prepared.spans if self._prepared else ())
        if len(spans) < 2 and self._prepared is not None:
            return
        assert self._plan is not None
        task = DetectTask(self._launch.job_id, self._launch.run, self._plan, spans, self._engines[0])
        try:
            self._language = await run_station(Speech.detect, task, priority=self._priority)
        except ActivityError as error:
            told = told_of(error)
            if told is None or not told.passing:
                raise
            self._warnings.append("language_not_detected")

    async def _packs(self, plan: str) -> AsyncIterator[Awaitable[list[HeardSpan]]]:
        """Spans of this plan to hear, as they become final: one by one, or all of a short recording at once."""
        handed: set[int] = set()
        while True:
            await workflow.wait_condition(
                lambda: bool(self._waiting(handed)) or self._prepared is not None or plan != self._plan
            )
            await workflow.wait_condition(lambda: not self._paused)
            waiting = self._waiting(handed)
            if not waiting or plan != self._plan:
                return
            pack = waiting if not self._announced else waiting[:1]
            handed.update(pack)
            yield self._transcribe(plan, pack)

    def _waiting(self, handed: set[int]) -> tuple[int, ...]:
        known = self._prepared.spans if self._prepared else tuple(self._announced)
        return tuple(index for index in known if index not in handed)

    async def _transcribe(self, plan: str, spans: tuple[int, ...]) -> list[HeardSpan]:
        """With the engine of the moment; when it fails in passing once too often, with the next of the chain."""
        while True:
            engine = self._engine
            task = TranscribeTask(
                job_id=self._launch.job_id,
                run=self._launch.run,
                plan=plan,
                spans=spans,
                engine=self._engines[engine],
                accept=self._engines,
                language=self._language,
                priority=self._priority or self._launch.priority,
            )
            try:
                heard = await run_station(
                    Speech.transcribe, task, summary=f"{len(spans)} from span {spans[0]}", priority=self._priority
                )
            except ActivityError as error:
                told = told_of(error)
                if told is None or not told.passing or not self._fall_back(engine):
                    raise
                continue
            self._spans_done += len(spans) if plan == self._plan else 0
            self._look(self._stage)
            return heard

    def _fall_back(self, failed: int) -> bool:
        """Once for all spans that are not done; who failed with an engine that was left before just goes on with the next."""
        if self._engine == failed and failed + 1 < len(self._engines):
            self._engine += 1
        return self._engine > failed

    async def _voices(self, brief: Brief) -> str | None:
        """Beside the hearing. Without turns a transcript is still worth having."""
        await workflow.wait_condition(lambda: self._prepared is not None)
        if not brief.diarize or self._prepared is None or not self._prepared.spans:
            return None
        task = DiarizeTask(self._launch.job_id, self._launch.run, self._prepared.plan)
        try:
            return await run_station(Voices.diarize, task, priority=self._priority)
        except ActivityError as error:
            told = told_of(error)
            if told is None or told.code == "superseded":
                raise
            self._warnings.append("diarization_failed")
            return None

    # --- what is shown ------------------------------------------------------------------------------------------------

    async def _show(self, stage: Stage) -> None:
        self._look(stage)
        await run_station(Flow.note, Run(self._launch.job_id, self._launch.run), stage, self._paused)

    def _look(self, stage: Stage) -> None:
        self._stage = stage
        workflow.set_current_details(details(self._board()))

    def _board(self) -> Board:
        return Board(
            stage=self._stage,
            spans_done=self._spans_done,
            spans_known=len(self._prepared.spans if self._prepared else self._announced),
            spans_final=self._prepared is not None,
            engine=self._engines[self._engine] if self._engines else None,
            paused=self._paused,
            priority=self._priority or self._launch.priority,
        )


def _parts(heard: Iterable[Iterable[HeardSpan]], spans: Sequence[int]) -> Iterator[HeardSpan]:
    """Those of the plan: what an attempt announced that was given more of the recording is none of it."""
    return (one for pack in heard for one in pack if one.index in spans)
