"""What becomes of a recording whose worker is killed while it still comes in, and is heard already?"""

from __future__ import annotations

import threading

from tests.acceptance.site import Site
from tests.acceptance.traces import post_url
from tests.media_builder import numbered, wav
from tests.servers.scripted_http import ScriptedHttp, Visit

SECONDS = 720
RECORDING = wav(numbered(SECONDS))
MOST = len(RECORDING) * 3 // 4


async def test_what_was_heard_before_the_last_byte_came_is_not_heard_again(site: Site) -> None:
    """The address stands still until then; the next worker asks it again. Every second is there, once, and paid once."""
    killed = threading.Event()

    def give(visit: Visit) -> None:
        if killed.is_set():
            visit.answer(body=RECORDING)
            return
        visit.send(f"HTTP/1.1 200 X\r\nContent-Length: {len(RECORDING)}\r\n\r\n".encode() + RECORDING[:MOST])
        killed.wait(20)

    with ScriptedHttp({"/recording": give}) as http:
        async with site.relay():
            _, base = await site.serving()
            first = await site.working()
            job_id = await post_url(site, base, http.url("/recording"))

            async def heard() -> bool:
                return (await site.job(job_id)).spans_done >= 4

            await site.until(heard, "spans of the first part are done")
            assert not any(name == "source" for name in site.objects(job_id))
            first.kill()
            killed.set()
            await site.working()
            await site.ended(job_id)
            await site.delivered(job_id)
    assert len(http.visits) >= 2
    assert sum(len(call.words) for call in site.calls(job_id)) <= SECONDS + 3 * 60
    await site.audit(job_id, seconds=SECONDS)
