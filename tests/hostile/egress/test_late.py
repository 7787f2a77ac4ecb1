"""What becomes of a job whose source shows its teeth only when it is fetched?"""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import SiteMaker, make_site, postgres_server, postgres_template, postgres_url
from tests.acceptance.traces import post_url
from tests.servers.scripted_http import Script, ScriptedHttp

__all__ = ["make_site", "postgres_server", "postgres_template", "postgres_url"]


def _to(location: str) -> Script:
    return lambda visit: visit.answer(302, headers={"Location": location})


SOURCES: dict[str, tuple[Script, str, str]] = {
    "/metadata": (_to("https://169.254.169.254/latest/"), "source_unavailable", "forbidden_address"),
    "/octal": (_to("//0x0a000001/"), "source_unavailable", "forbidden_address"),
    "/file": (_to("file:///etc/passwd"), "source_unavailable", "scheme"),
    "/loop": (_to("/loop"), "source_unavailable", "too_many_redirects"),
    "/page": (lambda visit: visit.answer(body=b"<!doctype html>Sign in"), "source_unavailable", "web_page"),
    "/gone": (lambda visit: visit.answer(410), "source_unavailable", "http_status"),
    "/nothing": (lambda visit: visit.answer(), "invalid_audio", "empty_audio"),
    "/list": (lambda visit: visit.answer(body=b"#EXTM3U\nfile:///etc/passwd\n"), "invalid_audio", "unsupported_format"),
}  # fmt: skip


@pytest.mark.hostile_input(48, "eight sources that prove hostile after their 202", "failed, each by its reason")
async def test_a_hostile_source_fails_its_job_by_name_and_costs_nothing(make_site: SiteMaker, seen) -> None:
    """Once, without a retry: the source is the problem."""
    with ScriptedHttp({path: script for path, (script, _, _) in SOURCES.items()}) as server:
        site = await make_site()
        await site.working()
        _, address = await site.serving()
        jobs = {path: await post_url(site, address, server.url(path)) for path in SOURCES}
        for path, (_, code, reason) in SOURCES.items():
            job = await site.ended(jobs[path], "failed")
            seen(f"{path} {job.error_reason}")
            assert (job.error_code, job.error_reason) == (code, reason)
            await site.delivered(jobs[path])
            await site.audit(jobs[path])
    asked = [visit.path for visit in server.visits]
    assert {path: asked.count(path) for path in SOURCES} == {path: 6 if path == "/loop" else 1 for path in SOURCES}
