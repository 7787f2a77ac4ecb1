"""What do pollers see of a job whose end a webhook tells? Nothing before the first attempt is over, and then one end for good."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import pytest

from tests.dialects.transcribe.asking import HOOK, URL, Receiver, coded, created, looked
from tests.dialects.transcribe.calling import funded
from tests.servers.api import Api
from tiro.model.batch import BatchFile
from tiro.model.blob import document_key
from tiro.services.hooks import Hooks
from tiro.services.house import House

pytestmark = pytest.mark.promise("T1")

JOB = {"type": "big_file", "source": {"type": "url", "url": URL}, "webhook_url": HOOK}
BATCH = {"files": [{"url": URL}, {"url": URL}], "webhook_url": HOOK}


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def paid(make_api: Callable[..., Awaitable[Api]], receiver: Receiver) -> Api:
    def heard(house: House) -> House:
        on = house.records, house.blobs, house.vault
        return msgspec.structs.replace(house, hooks=Hooks(*on, receiver, house.clock, house.signing))

    return await funded(await make_api(heard))


async def ended(api: Api, errors: bool = False) -> str:
    job_id = str((await created(api, BATCH if errors else JOB))["job_id"])
    if not errors:
        await api.complete(job_id)
        return job_id
    await api.house.dispatch.once()
    await api.house.line.begin(job_id, 1, "test")
    ends = [BatchFile(job_id=job_id, index=0, run=1, state="completed", seconds=2)]
    ends.append(BatchFile(job_id=job_id, index=1, run=1, state="failed", error_code="invalid_audio"))
    async with api.house.records.begin() as tx:
        await tx.batches.prepare(job_id, 1, {0: 2})
        await tx.batches.settle(ends)
    api.house.blobs.put(document_key(job_id), b"{}")
    await api.house.endings.end(job_id, 1, "completed")
    return job_id


async def attempt(api: Api, job_id: str, number: int, *, last: bool = False) -> None:
    [(delivery, _)] = await api.house.jobs.deliveries(job_id)
    await api.house.hooks.attempt(delivery.event_id, number, None if last else 60.0)


@pytest.mark.parametrize("errors", [False, True])
async def test_before_the_first_attempt_is_over_nothing_is_told(paid: Api, errors: bool) -> None:
    job_id = await ended(paid, errors)
    told = await looked(paid, job_id)
    assert (told["status"], told["job_status"], told["cost"], told["billed_seconds"]) == ("queued", "queued", 0.0, 0)
    assert told["progress"] < 1
    assert not {"result_url", "remaining_balance", "completed_at", "webhook_delivered_at"} & told.keys()
    result = await paid.http.get(f"/v1/transcribe/{job_id}/result")
    assert (coded(result), result.json()["job_status"]) == ((409, "result_not_available"), "queued")


@pytest.mark.parametrize(("errors", "word"), [(False, "completed"), (True, "completed_with_errors")])
async def test_a_first_attempt_that_is_taken_completes_it(paid: Api, errors: bool, word: str) -> None:
    job_id = await ended(paid, errors)
    await attempt(paid, job_id, 1)
    told = await looked(paid, job_id)
    assert (told["status"], told["job_status"]) == (word, "completed")
    assert {"result_url", "webhook_delivered_at"} <= told.keys()


@pytest.mark.parametrize(("errors", "word"), [(False, "result_available"), (True, "result_available_with_errors")])
async def test_after_a_first_refusal_its_result_is_available_for_good(
    paid: Api, receiver: Receiver, errors: bool, word: str
) -> None:
    """Refused again, and taken at last: only the moment of that is new."""
    job_id = await ended(paid, errors)
    receiver.takes = False
    for number in (1, 2):
        await attempt(paid, job_id, number)
        told = await looked(paid, job_id)
        assert (told["status"], told["job_status"]) == (word, "completed")
        assert "result_url" in told
        assert "webhook_delivered_at" not in told
    receiver.takes = True
    await attempt(paid, job_id, 3)
    told = await looked(paid, job_id)
    assert told["status"] == word
    assert "webhook_delivered_at" in told


async def test_an_operators_replay_changes_no_end(paid: Api, receiver: Receiver) -> None:
    job_id = await ended(paid)
    receiver.takes = False
    await attempt(paid, job_id, 1, last=True)
    [(delivery, _)] = await paid.house.jobs.deliveries(job_id)
    assert delivery.state == "exhausted"
    receiver.takes = True
    await paid.house.hooks.replay(delivery.event_id)
    told = await looked(paid, job_id)
    assert told["status"] == "result_available"
    assert "webhook_delivered_at" in told


async def test_a_failure_is_told_at_once(paid: Api, receiver: Receiver) -> None:
    job_id = str((await created(paid, JOB))["job_id"])
    await paid.fail(job_id, "invalid_audio", "decode_failed")
    receiver.takes = False
    for number in (1, 2):
        told = await looked(paid, job_id)
        assert (told["status"], told["job_status"]) == ("failed_transcription", "failed")
        await attempt(paid, job_id, number)


async def test_whoever_was_thought_lost_and_is_taken_after_all_changes_no_end(paid: Api, receiver: Receiver) -> None:
    """The first attempt was given to another worker, which was refused; then the first one's answer comes in."""
    job_id = await ended(paid)
    [(delivery, _)] = await paid.house.jobs.deliveries(job_id)
    receiver.meanwhile = lambda: refuse(paid, job_id)
    await attempt(paid, job_id, 1)
    assert (await looked(paid, job_id))["status"] == "result_available"
    [(delivery, attempts)] = await paid.house.jobs.deliveries(job_id)
    assert (delivery.state, [one.status for one in attempts]) == ("delivered", [500, 200])


async def refuse(api: Api, job_id: str) -> None:
    """Another worker makes the same attempt, and is refused."""
    receiver = Receiver()
    receiver.takes = False
    house = api.house
    hooks = Hooks(house.records, house.blobs, house.vault, receiver, house.clock, house.signing)
    [(delivery, _)] = await house.jobs.deliveries(job_id)
    await hooks.attempt(delivery.event_id, 1, 60.0)
    assert (await looked(api, job_id))["status"] == "result_available"
