"""Where do a recording's words, its file name and its address turn up? Not in a history, a log or the database."""

from __future__ import annotations

import httpx2
import psycopg

from tests.acceptance.conftest import SiteMaker
from tests.acceptance.site import Site
from tests.media_builder import numbered, wav
from tests.servers.scripted_http import ScriptedHttp

FIRST_WORD = 500
SIGNATURE = "sig-0f3c9d77c2a1"
TOKEN = "hook-5b1e88aa90fe"
NAME = "divorce-of-the-smiths"
NOWHERE = (SIGNATURE, NAME, *(f"w{n}" for n in range(FIRST_WORD, FIRST_WORD + 5)))


async def test_no_word_no_name_and_no_signed_address_is_in_any_history_log_or_row(
    make_site: SiteMaker,
) -> None:
    """An upload, an address that can be fetched, and one that cannot; the processes say all they can."""
    site = await make_site(TIRO_LOG="debug")
    recording = wav(numbered(5, first=FIRST_WORD))
    scripts = {
        "/recording.wav": lambda visit: visit.answer(200, recording, {"Content-Type": "audio/wav"}),
        "/gone.wav": lambda visit: visit.answer(404),
    }
    await site.working()
    _, address = await site.serving()
    with ScriptedHttp(scripts) as web:
        hook = f"{site.sink.url}?token={TOKEN}"
        jobs = [
            (await site.post(address, content=recording, name=f"{NAME}.wav", webhook_url=hook), "completed"),
            (await _by_url(site, address, web.url(f"/recording.wav?signature={SIGNATURE}"), hook), "completed"),
            (await _by_url(site, address, web.url(f"/gone.wav?signature={SIGNATURE}"), hook), "failed"),
        ]
        for job_id, state in jobs:
            await site.ended(job_id, state)
            await site.delivered(job_id)
    histories = [history for job_id, _ in jobs for history in await site.histories(job_id)]
    assert len(histories) == 6
    for canary in (*NOWHERE, TOKEN):
        for history in histories:
            for event in history.events:
                assert canary.encode() not in event.SerializeToString(), (canary, history.workflow_id)
        assert canary not in site.processes.said
    rows = _rows(site)
    for canary in NOWHERE:
        assert canary not in rows
    for job_id, _ in jobs:
        await site.audit(job_id)


async def _by_url(site: Site, address: str, url: str, hook: str) -> str:
    async with httpx2.AsyncClient(base_url=address, timeout=30, trust_env=False) as http:
        answer = await http.post(
            "/jobs",
            headers={"Authorization": f"Bearer {site.key}"},
            json={"source_url": url, "language": "en", "webhook_url": hook},
        )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def _rows(site: Site) -> str:
    """All of the database, as text."""
    with psycopg.connect(site.environ["TIRO_DATABASE_URL"]) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        found = [connection.execute(f'SELECT t::text FROM "{name}" t').fetchall() for (name,) in tables]  # type: ignore[arg-type]
    return "\n".join(row[0] for rows in found for row in rows)
