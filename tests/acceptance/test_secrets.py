"""Where do a recording's words, its file name and its address turn up? Not in a history, a log or the database."""

from __future__ import annotations

from tests.acceptance.conftest import SiteMaker
from tests.acceptance.traces import ROWS, post_url, traces
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
            (await post_url(site, address, web.url(f"/recording.wav?signature={SIGNATURE}"), hook), "completed"),
            (await post_url(site, address, web.url(f"/gone.wav?signature={SIGNATURE}"), hook), "failed"),
        ]
        for job_id, state in jobs:
            await site.ended(job_id, state)
            await site.delivered(job_id)
    job_ids = [job_id for job_id, _ in jobs]
    assert len([history for job_id in job_ids for history in await site.histories(job_id)]) == 6
    # a webhook's address is the account's own to keep
    assert await traces(site, job_ids, (*NOWHERE, TOKEN)) <= {(TOKEN, ROWS)}
    for job_id in job_ids:
        await site.audit(job_id)
