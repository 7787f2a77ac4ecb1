"""What does a killed worker cost? The spans it was at: nothing that was done, no second of the recording, no cent."""

from __future__ import annotations

import time
from collections import Counter

from tests.acceptance.midway import midway
from tests.acceptance.site import Site

SECONDS = 1200
SPAN_S = 60


def _repeated_s(site: Site, job_id: str) -> int:
    """Seconds that engines heard more than once; all were heard."""
    heard = Counter(word for call in site.calls(job_id) for word in call.words)
    assert set(heard) == {f"w{n}" for n in range(SECONDS)}
    return sum(heard.values()) - len(heard)


async def test_the_spans_of_a_killed_worker_are_heard_by_another_and_no_other_span_is_heard_again(site: Site) -> None:
    """The one that is killed holds spans and never answers, while the other hears all the rest."""
    async with site.relay():
        job_id, doomed, other = await midway(site, SECONDS, short_by_s=0.3)
        missing = {f"w{n}" for n in range(SECONDS)} - {word for call in site.calls() for word in call.words}
        doomed.kill()
        killed_at = time.time()
        await site.ended(job_id)
        await site.delivered(job_id)
    again = [call for call in site.calls(job_id) if call.at_s > killed_at]
    assert {word for call in again for word in call.words} == missing
    assert {call.pid for call in site.calls(job_id)} == {other.pid}
    assert _repeated_s(site, job_id) == 0
    await site.audit(job_id, seconds=SECONDS)


async def test_the_only_worker_is_killed_twice_and_the_job_ends_as_if_nothing_had_been(site: Site) -> None:
    """Once while the recording is cut, once between two spans; each time a new one goes on where it stood."""
    gate = site.folder / "gate"
    async with site.relay():
        job_id = await site.submit(SECONDS, short_by_s=0.3)
        first = await site.working(hold=str(gate))
        await site.until(lambda: _taken(site, job_id), "the first spans are final")
        first.kill()
        second = await site.working(hold=str(gate))
        gate.touch()
        await site.until(lambda: _spans_done(site, job_id, 5), "some spans are done")
        gate.unlink()
        second.kill()
        gate.touch()
        await site.working(hold=str(gate))
        await site.ended(job_id)
        await site.delivered(job_id)
    assert _repeated_s(site, job_id) <= 1.5 * SPAN_S
    await site.audit(job_id, seconds=SECONDS)


async def _taken(site: Site, job_id: str) -> bool:
    return any(name.endswith("0001.json") for name in site.objects(job_id))


async def _spans_done(site: Site, job_id: str, count: int) -> bool:
    return (await site.job(job_id)).spans_done >= count
