"""GET, cancel and DELETE of jobs, and their list."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.servers.api import Api

FIELDS = (
    "job_id status created_at started_at completed_at stage progress eta_seconds language duration_seconds engine fallback"
    " billed_seconds overage_seconds error reason message webhook source_deleted_at"
).split()


@pytest.mark.promise("J28", "J30")
async def test_a_job_shows_all_its_fields(api: Api) -> None:
    """What is not known is null."""
    job_id = await api.submit()
    answer = await api.http.get(f"/jobs/{job_id}")
    told = answer.json()
    assert list(told) == FIELDS
    assert (told["status"], told["progress"], told["webhook"], told["error"]) == ("queued", 0.0, None, None)
    assert 1 <= int(answer.headers["retry-after"]) <= 15


@pytest.mark.promise("J29")
async def test_a_running_job_says_when_to_look_again(api: Api) -> None:
    """Retry-After follows the estimate; progress goes by spans."""
    job_id = await api.submit()
    await api.run_until(job_id, spans_done=1)
    answer = await api.http.get(f"/jobs/{job_id}")
    told = answer.json()
    assert (told["status"], told["progress"], told["duration_seconds"]) == ("processing", 0.5, 2.0)
    assert told["eta_seconds"] is not None
    assert 1 <= int(answer.headers["retry-after"]) <= 15


@pytest.mark.promise("J29", "J33")
async def test_an_ended_job_has_no_retry_after(api: Api) -> None:
    """Billed seconds are the decoded ones."""
    job_id = await api.submit()
    await api.complete(job_id)
    answer = await api.http.get(f"/jobs/{job_id}")
    told = answer.json()
    assert "retry-after" not in answer.headers
    assert (told["status"], told["progress"], told["billed_seconds"]) == ("completed", 1.0, 2)
    assert (told["engine"], told["fallback"], told["stage"]) == ("scripted_primary", False, "ended")


@pytest.mark.promise("J23")
async def test_a_failed_job_says_why(api: Api) -> None:
    """200 with the code in `error`."""
    job_id = await api.submit()
    await api.fail(job_id, "quota_exceeded", overage_allowed=False)
    answer = await api.http.get(f"/jobs/{job_id}")
    assert (answer.status_code, answer.json()["status"], answer.json()["error"]) == (200, "failed", "quota_exceeded")
    assert answer.json()["message"]


@pytest.mark.promise("J30", "J35")
async def test_a_job_with_a_webhook_shows_how_it_fares(api: Api) -> None:
    job_id = await api.submit(webhook_url="https://93.184.215.14/hook")
    assert (await api.http.get(f"/jobs/{job_id}")).json()["webhook"]["status"] == "waiting"
    await api.complete(job_id)
    told = (await api.http.get(f"/jobs/{job_id}")).json()["webhook"]
    assert (told["status"], told["attempts"], told["last_status"]) == ("pending", 0, None)


@pytest.mark.promise("J5")
async def test_cancelling_twice_is_cancelling_once(api: Api) -> None:
    """200 both times."""
    job_id = await api.submit()
    answers = [await api.http.post(f"/jobs/{job_id}/cancel") for _ in range(2)]
    assert [(one.status_code, one.json()["status"]) for one in answers] == [(200, "cancelled")] * 2


@pytest.mark.promise("J5")
async def test_an_ended_job_cannot_be_cancelled(api: Api) -> None:
    """409 job_ended."""
    job_id = await api.submit()
    await api.complete(job_id)
    answer = await api.http.post(f"/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json()["error"], answer.json()["status"]) == (409, "job_ended", "completed")


@pytest.mark.promise("J5")
async def test_deleting_a_running_job_cancels_it(api: Api) -> None:
    """202 with the job; then it is an ended job that can be deleted."""
    job_id = await api.submit()
    first = await api.http.delete(f"/jobs/{job_id}")
    assert (first.status_code, first.json()["status"]) == (202, "cancelled")
    assert (await api.http.delete(f"/jobs/{job_id}")).status_code == 204


@pytest.mark.promise("J5")
async def test_deleting_an_ended_job_removes_it(api: Api) -> None:
    """204, then 404 everywhere, and no content."""
    job_id = await api.submit()
    await api.complete(job_id)
    gone = await api.http.delete(f"/jobs/{job_id}")
    assert (gone.status_code, gone.content) == (204, b"")
    for path in ("", "/transcript"):
        assert (await api.http.get(f"/jobs/{job_id}{path}")).status_code == 404
    assert (await api.http.delete(f"/jobs/{job_id}")).status_code == 404
    assert list(api.house.blobs.list(f"jobs/{job_id}/")) == []


@pytest.mark.promise("J4")
async def test_the_list_pages_by_last_change(api: Api) -> None:
    """Newest change first; cursor after cursor shows each job once."""
    ids = [await api.submit() for _ in range(5)]
    await api.complete(ids[0])
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await api.http.get(f"/jobs?limit=2{cursor}")).json()
        seen += [job["job_id"] for job in page["jobs"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == [ids[0], *reversed(ids[1:])]


@pytest.mark.promise("J4")
async def test_the_list_finds_what_was_missed(api: Api) -> None:
    """Status and since (RFC 3339 or unix seconds) compare the last change of status."""
    early, late = await api.submit(), await api.submit()
    await api.complete(early)
    ended_at = (await api.house.jobs.get(early)).changed_at
    assert (await api.house.jobs.get(late)).changed_at < ended_at
    for since in (ended_at.isoformat().replace("+00:00", "Z"), ended_at.isoformat(), f"{ended_at.timestamp():.6f}"):
        found = (await api.http.get(f"/jobs?status=completed&since={since}")).json()["jobs"]
        assert [job["job_id"] for job in found] == [early]
    after = (ended_at + timedelta(seconds=1)).isoformat().replace("+", "%2B")
    assert (await api.http.get(f"/jobs?since={after}")).json() == {"jobs": [], "next_cursor": None}
