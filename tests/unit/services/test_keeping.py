"""Which recordings outlive their day? Those of accounts that say so; what was made of them goes all the same."""

from __future__ import annotations

import pytest

from tests.unit.services.desk import Desk
from tiro.model.account import Account
from tiro.model.errors import Conflict, Transient
from tiro.services.ending import SOURCE_KEPT_FOR, Fault
from tiro.services.upkeep import Swept

pytestmark = pytest.mark.promise("J9")

MADE = ("spans/plan/0000.flac", "parts/plan/first/0000.json", "turns/plan/acoustic.json")
RESULTS = ("results/transcript.txt", "transcript.json")
DUE_S = SOURCE_KEPT_FOR.total_seconds()


async def _keeping(desk: Desk) -> Account:
    return await desk.accounts.change((await desk.account()).account_id, keep_audio=True)


async def _ended(desk: Desk, account: Account, outcome: str = "completed") -> None:
    """With everything that a job leaves in the store; its day is over."""
    await desk.running(account)
    for name in (*MADE, *RESULTS):
        desk.blobs.put(f"jobs/job_1/{name}", b"x")
    await desk.endings.end("job_1", 1, outcome, Fault("transient_error") if outcome == "failed" else None)  # type: ignore[arg-type]
    desk.clock.step(DUE_S)


@pytest.mark.parametrize("outcome", ["completed", "failed"])
async def test_a_kept_recording_stays_and_what_was_made_of_it_goes(desk: Desk, outcome: str) -> None:
    """Looked at once; `source_deleted_at` stays empty."""
    await _ended(desk, await _keeping(desk), outcome)
    assert await desk.upkeep.sweep() == Swept(sources=1)
    assert desk.names() == sorted((*RESULTS, "source"))
    assert (await desk.job()).source_deleted_at is None
    desk.clock.step(100 * DUE_S)
    assert await desk.upkeep.sweep() == Swept()
    assert "source" in desk.names()


async def test_nobody_keeps_what_was_not_asked_to_be_kept(desk: Desk) -> None:
    """The switch is off; a cancelled job's recording goes however it stands."""
    await _ended(desk, await desk.account())
    await desk.upkeep.sweep()
    assert desk.names() == sorted(RESULTS)
    assert (await desk.job()).source_deleted_at == desk.clock.now()


async def test_a_cancelled_job_keeps_nothing(desk: Desk) -> None:
    await _ended(desk, await _keeping(desk), "cancelled")
    assert await desk.upkeep.sweep() == Swept(sources=1)
    assert desk.names() == []
    assert (await desk.job()).source_deleted_at is not None


async def test_turned_off_the_next_sweep_removes_what_was_kept(desk: Desk) -> None:
    """And on again brings nothing back."""
    account = await _keeping(desk)
    await _ended(desk, account)
    await desk.upkeep.sweep()
    await desk.accounts.change(account.account_id, keep_audio=False)
    assert await desk.upkeep.sweep() == Swept(sources=1)
    assert desk.names() == sorted(RESULTS)
    assert (await desk.job()).source_deleted_at == desk.clock.now()
    await desk.accounts.change(account.account_id, keep_audio=True)
    assert await desk.upkeep.sweep() == Swept()


async def test_a_deleted_job_keeps_nothing(desk: Desk) -> None:
    """Deleting is the owner's last word."""
    await _ended(desk, await _keeping(desk))
    await desk.upkeep.sweep()
    await desk.jobs.delete("job_1")
    assert desk.names() == []


async def test_a_failed_job_with_a_kept_recording_is_retried_whenever_the_sweep_has_left_it(desk: Desk) -> None:
    """Its new run leaves things to be removed again."""
    await _ended(desk, await _keeping(desk), "failed")
    with pytest.raises(Transient) as early:
        await desk.jobs.retry("job_1")
    assert early.value.code == "being_swept"
    await desk.upkeep.sweep()
    desk.clock.step(30 * DUE_S)
    assert (await desk.jobs.retry("job_1")).run == 2
    await desk.begun("job_1", run=2)
    desk.blobs.put(f"jobs/job_1/{MADE[0]}", b"x")
    await desk.endings.end("job_1", 2, "completed")
    desk.clock.step(DUE_S)
    assert await desk.upkeep.sweep() == Swept(sources=1)
    assert MADE[0] not in desk.names()
    assert "source" in desk.names()


async def test_once_the_recording_is_gone_keeping_does_not_help_a_retry(desk: Desk) -> None:
    account = await desk.account()
    await _ended(desk, account, "failed")
    await desk.upkeep.sweep()
    await desk.accounts.change(account.account_id, keep_audio=True)
    with pytest.raises(Conflict) as refused:
        await desk.jobs.retry("job_1")
    assert refused.value.code == "source_deleted"
