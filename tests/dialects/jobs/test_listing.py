"""GET /jobs as the way to find out what was missed: what an item is, and what counts as a change."""

from __future__ import annotations

from typing import get_args

import pytest

from api.dialects.jobs.wire import JobStatus
from tests.servers.api import Api
from tiro.model.job import JobPatch, JobState


@pytest.mark.promise("J4")
async def test_an_item_of_the_list_is_the_job_itself(api: Api) -> None:
    """Field by field what GET /jobs/{id} says, with its webhook; the last page says that it is the last."""
    job_id = await api.submit(webhook_url="https://93.184.215.14/hook")
    await api.complete(job_id)
    page = (await api.http.get("/jobs?status=completed&since=0")).json()
    assert page == {"jobs": [(await api.http.get(f"/jobs/{job_id}")).json()], "next_cursor": None}
    assert page["jobs"][0]["webhook"]["status"] == "pending"


@pytest.mark.promise("J4")
async def test_progress_is_no_change_of_status(api: Api) -> None:
    """A job that goes on working stays where it was; the list and `since` go by the last change of status."""
    first, second = await api.submit(), await api.submit()
    job = await api.run_until(first)
    await api.run_until(second)
    since = (await api.house.jobs.get(second)).changed_at
    await api.house.line.span_done(first, 1, "plan", 0)
    await api.house.line.patch(first, 1, JobPatch(stage="transcribing", language="de"))
    assert (await api.house.jobs.get(first)).changed_at == job.changed_at
    listed = (await api.http.get("/jobs")).json()["jobs"]
    assert [one["job_id"] for one in listed] == [second, first]
    found = (await api.http.get(f"/jobs?since={since.timestamp():.6f}")).json()["jobs"]
    assert [one["job_id"] for one in found] == [second]


@pytest.mark.promise("J28")
async def test_there_are_five_words_for_a_status(api: Api) -> None:
    """All five are asked for as they are shown, and a job of the core is in no other state; where it stands says `stage`."""
    words = {"queued", "processing", "completed", "failed", "cancelled"}
    assert set(get_args(JobStatus)) == set(get_args(JobState)) == words
    jobs = {await api.submit(): word for word in sorted(words)}
    for job_id, word in jobs.items():
        match word:
            case "completed":
                await api.complete(job_id)
            case "failed":
                await api.fail(job_id, "transient_error")
            case "cancelled":
                await api.http.post(f"/jobs/{job_id}/cancel")
            case "processing":
                await api.run_until(job_id)
    for job_id, word in jobs.items():
        found = (await api.http.get(f"/jobs?status={word}")).json()["jobs"]
        assert [(one["job_id"], one["status"]) for one in found] == [(job_id, word)]
        assert 0 <= found[0]["progress"] <= 1


@pytest.mark.promise("J4")
@pytest.mark.parametrize("since", ["yesterday", "", "2026-03-01", "2026-03-01T12:00:00", "-1", "1e400", "9" * 40])
async def test_what_is_no_moment_is_named(api: Api, since: str) -> None:
    """400 rather than a list that misses something; a time without its offset could be anybody's."""
    answer = await api.http.get("/jobs", params={"since": since})
    assert (answer.status_code, answer.json()["error"], answer.json()["param"]) == (400, "invalid_request", "since")
