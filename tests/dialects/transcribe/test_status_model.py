"""Whatever happens to jobs, in whatever order: is what a poller sees what it should see, and does no end ever change?"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import httpx2
import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from api.app import create_app
from api.config import ApiConfig
from tests.dialects.transcribe.asking import HOOK, URL, Receiver
from tests.dialects.transcribe.follows import FOLLOWS
from tests.servers.api import PUBLIC_URL, TOKEN_KEY, house_settings, transcript
from tiro.adapters.fakes import RecordedOrchestrator, SetClock
from tiro.model.batch import BatchFile
from tiro.model.blob import document_key, file_id, source_key, transcript_key
from tiro.model.job import JobPatch
from tiro.model.media import Span, SpanPlan
from tiro.render.outcomes import FAILED
from tiro.services.ending import Fault
from tiro.services.hooks import Hooks
from tiro.services.house import House
from tiro.wiring import build_house

Kind = Literal["put", "url", "batch", "addresses"]
BODIES: dict[Kind, dict[str, Any]] = {
    "put": {"type": "big_file", "size_bytes": 5},
    "url": {"type": "big_file", "source": {"type": "url", "url": URL}},
    "batch": {"type": "batch", "files": [{}, {"url": URL}]},
    "addresses": {"files": [{"url": URL}, {"url": URL}]},
}
STAGES = ("fetching", "preparing", "detecting", "transcribing", "merging", "publishing")
OF_UPLOADS = {"upload_missing", "upload_size_mismatch", "upload_expired"}
ENDS: list[tuple[Fault, str]] = [
    *((Fault(code), word) for code, word in FAILED.items() if code != "job_cancelled"),
    *(
        (Fault("source_unavailable", "http_status", {"upstream_status": n}), "failed_source_missing")
        for n in (403, 404, 410)
    ),
    (Fault("source_unavailable", "playlist"), "failed_import"),
    (Fault("source_unreachable"), "failed_source_missing"),
    (Fault("invalid_audio", "decode_failed"), "failed_transcription"),
    (Fault("engine_crash"), "failed_transcription"),
]


WHICH = st.integers(0, 3)


def picked(models: list[Model], which: int) -> Model:
    """One of those that there are."""
    return models[which % len(models)]


class Model:
    """What has happened to one job, in the words of whoever did it."""

    def __init__(self, job_id: str, kind: Kind, hook: bool) -> None:
        self.job_id, self.kind, self.hook = job_id, kind, hook
        self.awaits = kind in {"put", "batch"}
        self.stage: str | None = None
        self.end: str | None = None
        self.ended_at: datetime | None = None
        self.attempts: list[bool] = []
        self.seen = ""

    @property
    def status(self) -> str:
        if self.end is None:
            fetched = self.kind in {"url", "addresses"}
            early = self.stage in {"fetching", "preparing"} or (fetched and self.stage is None)
            return "uploading" if self.awaits else "verifying" if early else "queued"
        if self.end.startswith("failed_") or not self.hook:
            return self.end
        if not self.attempts:
            return "queued"
        return self.end if self.attempts[0] else self.end.replace("completed", "result_available")


class Desk:
    """One house over a database, with everything that may happen to a job. The API answers without a socket."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.receiver = SetClock(), Receiver()
        house = build_house(house_settings(folder, {}), RecordedOrchestrator(), self.clock)
        on = house.records, house.blobs, house.vault
        hooks = Hooks(*on, self.receiver, house.clock, house.signing)
        self.house: House = msgspec.structs.replace(house, hooks=hooks)
        app = create_app(self.house, ApiConfig(public_url=PUBLIC_URL, token_key=TOKEN_KEY))
        transport = httpx2.ASGITransport(app=app)  # type: ignore[arg-type]  # an ASGI app, by other names of the same types
        self.http = httpx2.AsyncClient(transport=transport, base_url="http://tiro")

    async def key(self) -> str:
        account = await self.house.accounts.create("someone", "business")
        await self.house.wallets.credit(account.account_id, 1_000_000_000, "for the test")
        return (await self.house.accounts.create_key(account.account_id, "test")).text

    async def ask(self, method: str, path: str, key: str, body: object = None) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {key}"}
        return await self.http.request(method, path, headers=headers, json=body)

    async def begin(self, model: Model) -> bool:
        await self.house.dispatch.once()
        job = await self.house.line.begin(model.job_id, 1, "test")
        if job is not None and not job.is_batch:
            span = Span(0, 0, 0.0, 2.0, speech=((0.0, 2.0),))
            await self.house.line.prepared(job, SpanPlan("plan", "mono", (span,), decoded_s=2.0))
        return job is not None

    async def complete(self, model: Model, failed: bool) -> str:
        """As the last station does it: results first, then the end. Of a batch, one file is heard and one is not, or both are."""
        if model.kind in {"put", "url"}:
            self.house.blobs.put(transcript_key(model.job_id), msgspec.json.encode(transcript(model.job_id)))
        else:
            job = await self.house.jobs.get(model.job_id)
            files = [BatchFile(job_id=job.job_id, index=n, run=1, state="completed", seconds=2) for n in range(2)]
            if failed:
                files[1] = msgspec.structs.replace(files[1], state="failed", seconds=0, error_code="invalid_audio")
            async with self.house.records.begin() as tx:
                await tx.batches.prepare(job.job_id, 1, {0: 2, 1: 2})
                await tx.batches.settle(files)
            self.house.blobs.put(document_key(model.job_id), b"{}")
        await self.house.endings.end(model.job_id, 1, "completed")
        return "completed_with_errors" if failed and model.kind in {"batch", "addresses"} else "completed"

    async def deliver(self, model: Model, *, taken: bool, last: bool) -> bool:
        """The next attempt, if there is one; whether it was made."""
        [(delivery, _)] = await self.house.jobs.deliveries(model.job_id)
        self.receiver.takes = taken
        before = delivery.attempts
        if delivery.state == "pending":
            await self.house.hooks.attempt(delivery.event_id, before + 1, None if last else 60.0)
        elif delivery.state == "exhausted":
            await self.house.hooks.replay(delivery.event_id)
        [(delivery, _)] = await self.house.jobs.deliveries(model.job_id)
        return delivery.attempts > before


class Lives(RuleBasedStateMachine):
    """Jobs of one account."""

    desk: Desk
    runner: asyncio.Runner

    def __init__(self) -> None:
        super().__init__()
        self.models: list[Model] = []
        self.key = ""

    @initialize(hooks=st.lists(st.booleans(), min_size=4, max_size=4))
    def an_account_with_a_job_of_each_kind(self, hooks: list[bool]) -> None:
        self.key = self.runner.run(self.desk.key())
        for kind, hook in zip(BODIES, hooks, strict=True):
            self.create(kind, not hook)

    def _ask(self, method: str, path: str, body: object = None) -> httpx2.Response:
        return self.runner.run(self.desk.ask(method, path, self.key, body))

    def _open(self, awaits: bool | None = None) -> list[Model]:
        return [one for one in self.models if one.end is None and awaits in {None, one.awaits}]

    def _told(self) -> list[Model]:
        return [one for one in self._over() if one.hook]

    def _over(self) -> list[Model]:
        return [one for one in self.models if one.end is not None]

    def _end(self, model: Model, word: str) -> None:
        model.end, model.ended_at, model.awaits = word, self.desk.clock.now(), False

    @rule(kind=st.sampled_from(sorted(BODIES)), hook=st.booleans())
    @precondition(lambda self: len(self.models) < 4)
    def create(self, kind: Kind, hook: bool) -> None:
        answer = self._ask("POST", "/v1/jobs", BODIES[kind] | ({"webhook_url": HOOK} if hook else {}))
        assert answer.status_code == 200, answer.text
        model = Model(answer.json()["job_id"], kind, hook)
        assert answer.json()["status"] == model.status
        self.models.append(model)

    @rule(which=WHICH, size=st.sampled_from([5, 0, 6, 5]))
    @precondition(lambda self: self._open(awaits=True))
    def say_that_all_is_there(self, which: int, size: int) -> None:
        model = picked(self._open(awaits=True), which)
        key = source_key(model.job_id if model.kind == "put" else file_id(model.job_id, 0))
        if size:
            self.desk.house.blobs.put(key, b"x" * size)
        answer = self._ask("POST", f"/v1/transcribe/{model.job_id}/upload-completed")
        assert answer.status_code == 200, answer.text
        model.awaits = False
        if model.kind == "put" and size != 5:
            self._end(model, "failed_upload_size_mismatch" if size else "failed_upload_missing")
        assert answer.json()["status"] == model.status

    @rule(which=WHICH, stage=st.sampled_from(STAGES))
    @precondition(lambda self: self._open(awaits=False))
    def work(self, which: int, stage: Any) -> None:
        model = picked(self._open(awaits=False), which)
        if model.stage is None:
            assert self.runner.run(self.desk.begin(model))
        model.stage = stage
        self.runner.run(self.desk.house.line.patch(model.job_id, 1, JobPatch(stage=stage)))

    @rule(which=WHICH, failed=st.booleans())
    @precondition(lambda self: self._open(awaits=False))
    def complete(self, which: int, failed: bool) -> None:
        model = picked(self._open(awaits=False), which)
        if model.stage is None:
            assert self.runner.run(self.desk.begin(model))
        self._end(model, self.runner.run(self.desk.complete(model, failed)))

    @rule(which=WHICH, end=st.sampled_from([None, "nothing", *ENDS]))
    @precondition(lambda self: self._open())
    def end_otherwise(self, which: int, end: tuple[Fault, str] | str | None) -> None:
        """None: its owner gives it up. "nothing": the last station leaves no result. What was brought cannot be missed later."""
        model = picked(self._open(), which)
        if end is None:
            answer = self._ask("DELETE", f"/v1/transcribe/{model.job_id}")
            assert answer.status_code == 200, answer.text
            self._end(model, "failed_cancelled")
        elif isinstance(end, tuple):
            self.runner.run(self.desk.house.endings.end(model.job_id, 1, "failed", end[0]))
            if model.awaits or end[0].code not in OF_UPLOADS:
                self._end(model, end[1])
        elif model.kind in {"put", "url"}:
            self.runner.run(self.desk.house.endings.end(model.job_id, 1, "completed"))
            self._end(model, "failed_result_missing")

    @rule(which=WHICH, end=st.sampled_from(ENDS), completed=st.booleans())
    @precondition(lambda self: self._over())
    def end_again(self, which: int, end: tuple[Fault, str], completed: bool) -> None:
        """A worker that was lost comes back and tells of another end: nobody listens."""
        model = picked(self._over(), which)
        told = ("completed", None) if completed else ("failed", end[0])
        self.runner.run(self.desk.house.endings.end(model.job_id, 1, *told))

    @rule(which=WHICH, taken=st.booleans(), last=st.booleans())
    @precondition(lambda self: self._told())
    def deliver(self, which: int, taken: bool, last: bool) -> None:
        model = picked(self._told(), which)
        if self.runner.run(self.desk.deliver(model, taken=taken, last=last)):
            model.attempts.append(taken)

    @rule(which=WHICH, times=st.integers(1, 3))
    @precondition(lambda self: self._told())
    def deliver_late(self, which: int, times: int) -> None:
        """Refused so often, and then taken."""
        for taken in (*(False for _ in range(times)), True):
            self.deliver(which, taken, last=False)

    @rule(which=WHICH)
    @precondition(lambda self: len(self._over()) > 2)
    def remove(self, which: int) -> None:
        model = picked(self._over(), which)
        assert self._ask("DELETE", f"/v1/transcribe/{model.job_id}").status_code == 204
        assert self._ask("GET", f"/v1/transcribe/{model.job_id}").status_code == 404
        self.models.remove(model)

    @rule(hours=st.sampled_from([1, 1, 25, 1, 31 * 24]))
    def time_passes(self, hours: int) -> None:
        """Uploads expire, and what is kept for thirty days goes."""
        self.desk.clock.advance(hours * 3600)
        self.runner.run(self.desk.house.upkeep.sweep())
        now = self.desk.clock.now()
        for model in [*self.models]:
            if model.ended_at is not None and now >= model.ended_at + timedelta(days=30):
                assert self._ask("GET", f"/v1/transcribe/{model.job_id}").status_code == 404
                self.models.remove(model)
            elif model.awaits and hours > 24:
                self._end(model, "failed_upload_expired")

    @invariant()
    def every_look_is_as_it_should_be(self) -> None:
        for model in self.models:
            answer = self._ask("GET", f"/v1/transcribe/{model.job_id}")
            assert answer.status_code == 200, answer.text
            told = answer.json()
            assert told["status"] == model.status
            assert model.seen in {"", told["status"]} or told["status"] in FOLLOWS[model.seen]
            succeeded = model.status.startswith(("completed", "result_available"))
            if model.seen != told["status"]:
                found = self._ask("GET", f"/v1/transcribe/{model.job_id}/result")
                assert found.status_code == (302 if succeeded else 409)
            model.seen = told["status"]
            assert ("result_url" in told) == succeeded
            assert ("code" in told) == model.status.startswith("failed_")
            assert ("webhook_delivered_at" in told) == any(model.attempts)


@pytest.mark.promise("T1", "T7", "T24")
def test_pollers_see_what_happened_and_no_end_changes(sqlite_url: str, tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        desk = Desk(tmp_path)
        machine = type("Machine", (Lives,), {"desk": desk, "runner": runner})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=25,
                stateful_step_count=20,
                deadline=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
        runner.run(desk.http.aclose())
        runner.run(desk.house.records.close())
        desk.house.preparer.close()
