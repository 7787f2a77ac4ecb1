"""When to look again, and the ids and times by which jobs are told apart."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import msgspec
import pytest

from api.dialects.jobs.translate import retry_after_s, time_text
from tests.servers.api import Api
from tiro.model.job import Job
from tiro.model.request import JobOptions, UrlSource
from tiro.services.jobs import Progress

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
JOB = Job(
    job_id="job_1",
    account_id="acct_1",
    dialect="jobs",
    options=JobOptions(),
    source=UrlSource(b""),
    state="processing",
    created_at=BEGAN,
    changed_at=BEGAN,
)


@pytest.mark.promise("J29")
@pytest.mark.parametrize(
    ("eta_s", "wait_s"), [(0.0, 1), (0.2, 1), (1.0, 1), (7.2, 8), (14.9, 15), (15.0, 15), (900.0, 15), (None, 5)]
)
def test_the_wait_is_what_remains_in_whole_seconds(eta_s: float | None, wait_s: int) -> None:
    """From 1 to 15; a few seconds where nothing is known yet. A job that has ended is not waited for."""
    assert retry_after_s(JOB, Progress(0.5, eta_s, None)) == wait_s
    for state in ("completed", "failed", "cancelled"):
        assert retry_after_s(msgspec.structs.replace(JOB, state=state), Progress(1.0, 0.0, None)) is None


@pytest.mark.promise("J29")
async def test_whoever_waits_is_told_so_in_every_state(api: Api) -> None:
    """The header on queued and processing, of the job and of its transcript, and on neither once it has ended."""
    job_id = await api.submit()

    async def told() -> list[bool]:
        answers = [await api.http.get(f"/jobs/{job_id}{path}") for path in ("", "/transcript")]
        return ["retry-after" in answer.headers for answer in answers]

    assert await told() == [True, True]
    await api.run_until(job_id)
    assert await told() == [True, True]
    await api.http.post(f"/jobs/{job_id}/cancel")
    assert await told() == [False, False]


@pytest.mark.promise("J18")
async def test_ids_sort_by_age_and_times_are_utc(api: Api) -> None:
    """`job_` and a ULID; RFC 3339 with Z wherever a time is shown, and nowhere an offset."""
    ids = [await api.submit(webhook_url="https://93.184.215.14/hook") for _ in range(3)]
    assert ids == sorted(ids)
    assert all(re.fullmatch(r"job_[0-9A-HJKMNP-TV-Z]{26}", one) for one in ids)
    await api.complete(ids[0])
    told = (await api.http.get(f"/jobs/{ids[0]}")).json()
    times = [told[name] for name in ("created_at", "started_at", "completed_at")] + [told["webhook"]["next_attempt_at"]]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one) for one in times), times
    assert time_text(datetime.fromisoformat("2026-03-01T14:00:00.0019+02:00")) == "2026-03-01T12:00:00.001Z"
