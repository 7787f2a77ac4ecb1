"""What does an engine that fails do to a job? In passing: the next of the chain goes on. For money: nothing does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.acceptance.conftest import SiteMaker
from tests.acceptance.site import ALL, Site

SECONDS = 30


async def _site(make_site: SiteMaker, folder: Path, failure: str) -> Site:
    """A worker with two engines; the first one fails as told."""
    log = folder / "calls.jsonl"
    chain = f"scripted:name=first;model=model_a;log={log};fail={failure},scripted:name=second;model=model_b;log={log}"
    site = await make_site(TIRO_ENGINES=chain)
    await site.processes.worker(site.environ, ALL).says("working on")
    return site


def _asked(site: Site) -> list[str]:
    """The engines in the order in which they were first asked, by their own log."""
    log = (site.folder / "calls.jsonl").read_text().splitlines()
    return list(dict.fromkeys(json.loads(line)["engine"] for line in log))


@pytest.mark.promise("J24", "J25", "J26")
async def test_the_next_engine_goes_on_after_a_passing_failure(make_site: SiteMaker, tmp_path: Path) -> None:
    """The transcript and each of its segments name the one that heard, and the job says fallback."""
    site = await _site(make_site, tmp_path, "engine_error")
    async with site.relay():
        job_id = await site.submit(SECONDS)
        job = await site.ended(job_id)
    assert _asked(site) == ["first", "second"]
    transcript = await site.house.jobs.transcript(job)
    assert (transcript.engine, transcript.fallback) == (job.engine, job.fallback) == ("model_b", True)
    assert {segment.engine for segment in transcript.segments} == {"model_b"}
    await site.delivered(job_id)
    await site.audit(job_id, seconds=SECONDS)


@pytest.mark.promise("J23")
async def test_no_engine_goes_on_after_a_refusal_for_money(make_site: SiteMaker, tmp_path: Path) -> None:
    """The second is never asked, and nothing is charged."""
    site = await _site(make_site, tmp_path, "quota_exceeded")
    async with site.relay():
        job_id = await site.submit(SECONDS)
        job = await site.ended(job_id, "failed")
    assert _asked(site) == ["first"]
    assert (job.error_code, job.error_reason, job.billed_s) == ("quota_exceeded", "engine_quota", 0)
    assert await site.charges(job_id) == [("hold", SECONDS), ("release", SECONDS)]
    await site.delivered(job_id)
    await site.audit(job_id)


async def _hearing(make_site: SiteMaker, folder: Path, second_knows: str) -> Site:
    """A first engine that hears Japanese and writes English only, and a second one."""
    log = folder / "calls.jsonl"
    chain = (
        f"scripted:name=first;model=model_a;language=ja;languages=en;log={log},"
        f"scripted:name=second;model=model_b;languages={second_knows};log={log}"
    )
    site = await make_site(TIRO_ENGINES=chain)
    await site.processes.worker(site.environ, ALL).says("working on")
    return site


@pytest.mark.promise("J3", "J6", "J27")
async def test_an_engine_that_does_not_know_the_detected_language_is_passed_over(
    make_site: SiteMaker, tmp_path: Path
) -> None:
    """It is not even tried: the next one that does goes on."""
    site = await _hearing(make_site, tmp_path, "ja")
    async with site.relay():
        job_id = await site.submit(3 * 60, language=None)
        job = await site.ended(job_id)
    assert (job.language, job.engine, job.fallback) == ("ja", "model_b", True)
    assert _asked(site) == ["second"]


@pytest.mark.promise("J27")
async def test_a_detected_language_that_no_engine_knows_fails_the_job_by_name(
    make_site: SiteMaker, tmp_path: Path
) -> None:
    """Late, with the code of an early refusal; nothing is charged."""
    site = await _hearing(make_site, tmp_path, "de")
    async with site.relay():
        job_id = await site.submit(3 * 60, language=None)
        job = await site.ended(job_id, "failed")
    assert (job.error_code, job.billed_s) == ("unsupported_language", 0)
