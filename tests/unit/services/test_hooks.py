"""What is one attempt to deliver? The same bytes, a good signature, and a record that makes it unnecessary to try again."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping

import pytest

from tests.unit.services.desk import HOOK, Desk
from tiro.adapters.vault import SealedVault
from tiro.model.errors import Conflict, NotFound
from tiro.ports import Answer
from tiro.services.hooks import Hooks

SIGNATURE = "X-Transcription-Signature"


class Receiver:
    """Answers with these, one after the other, and keeps what it was sent."""

    def __init__(self, *answers: int | None) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[str, Mapping[str, str], bytes]] = []
        self.waited_s: list[float] = []

    def check(self, url: str) -> None:
        """Every address will do."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> Answer:
        self.sent.append((url, headers, body))
        self.waited_s.append(timeout_s)
        status = self.answers.pop(0)
        return Answer(status, None if status else "refused", 5)


async def _event(desk: Desk, job_id: str = "job_1") -> str:
    await desk.running(await desk.account(), job_id, webhook_url=HOOK)
    settled = await desk.endings.end(job_id, 1, "completed")
    assert settled.delivery is not None
    return settled.delivery.event_id


def _hooks(desk: Desk, receiver: Receiver) -> Hooks:
    return Hooks(desk.records, desk.blobs, desk.vault, receiver, desk.clock, desk.signing)


async def test_what_is_taken_with_any_2xx_is_delivered_and_not_sent_again(desk: Desk) -> None:
    """Also when the attempt, or a later one, is asked for once more."""
    event_id, receiver = await _event(desk), Receiver(204)
    hooks = _hooks(desk, receiver)
    assert (await hooks.attempt(event_id, 1, 10.0)).state == "delivered"
    assert (await hooks.attempt(event_id, 1, 10.0)).state == "delivered"
    assert (await hooks.attempt(event_id, 2, None)).state == "delivered"
    assert len(receiver.sent) == 1


@pytest.mark.promise("J35")
async def test_an_attempt_is_json_and_has_ten_seconds(desk: Desk) -> None:
    """In UTF-8, as JSON always is."""
    event_id, receiver = await _event(desk), Receiver(200)
    await _hooks(desk, receiver).attempt(event_id, 1, 10.0)
    ((_, headers, body),) = receiver.sent
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body.decode())["id"] == event_id
    assert receiver.waited_s == [10.0]


@pytest.mark.promise("J35")
@pytest.mark.parametrize("status", [None, 301, 400, 410, 429, 500])
async def test_anything_else_is_tried_again_until_the_last_attempt(desk: Desk, status: int | None) -> None:
    """The record says when the next is due; after the last there is none."""
    event_id, receiver = await _event(desk), Receiver(status, status)
    hooks = _hooks(desk, receiver)
    assert (await hooks.attempt(event_id, 1, 10.0)).state == "pending"
    ((delivery, _),) = await desk.deliveries()
    assert delivery.next_attempt_at is not None
    assert (delivery.next_attempt_at - desk.clock.now()).total_seconds() == 10
    assert (await hooks.attempt(event_id, 2, None)).state == "exhausted"
    ((delivery, attempts),) = await desk.deliveries()
    assert (delivery.next_attempt_at, delivery.attempts) == (None, 2)
    assert [(attempt.number, attempt.status) for attempt in attempts] == [(1, status), (2, status)]


@pytest.mark.promise("J2", "J38")
async def test_every_attempt_has_the_same_bytes_and_a_signature_of_them(desk: Desk) -> None:
    """With the secret that is active at that moment, and the one before for a day."""
    event_id, receiver = await _event(desk), Receiver(500, 200)
    hooks = _hooks(desk, receiver)
    account_id = (await desk.job()).account_id
    old = await desk.accounts.webhook_secret(account_id)
    await hooks.attempt(event_id, 1, 10.0)
    new = await desk.accounts.next_webhook_secret(account_id)
    await desk.accounts.activate_webhook_secret(account_id)
    await hooks.attempt(event_id, 2, 10.0)
    (url, first, body), (_, second, again) = receiver.sent
    assert url == HOOK
    assert body == again
    assert first[SIGNATURE] == _signed(old, body)
    assert second[SIGNATURE] == _signed(new, body)
    assert second[f"{SIGNATURE}-Previous"] == _signed(old, body)


@pytest.mark.promise("J2")
async def test_a_secret_that_waits_signs_nothing_and_the_one_before_a_day_and_no_longer(desk: Desk) -> None:
    """Step by step: with `next` nothing changes; `activate` adds the second header, which is gone after 24 hours."""
    event_id, receiver = await _event(desk), Receiver(500, 500, 500)
    hooks = _hooks(desk, receiver)
    account_id = (await desk.job()).account_id
    old = await desk.accounts.webhook_secret(account_id)
    new = await desk.accounts.next_webhook_secret(account_id)
    await hooks.attempt(event_id, 1, 10.0)
    await desk.accounts.activate_webhook_secret(account_id)
    desk.clock.step(24 * 3600 - 1)
    await hooks.attempt(event_id, 2, 10.0)
    desk.clock.step(1)
    await hooks.attempt(event_id, 3, None)
    body = receiver.sent[0][2]
    told = [{name: value for name, value in sent.items() if SIGNATURE in name} for _, sent, _ in receiver.sent]
    assert told == [
        {SIGNATURE: _signed(old, body)},
        {SIGNATURE: _signed(new, body), f"{SIGNATURE}-Previous": _signed(old, body)},
        {SIGNATURE: _signed(new, body)},
    ]


async def test_nothing_is_sent_for_an_event_that_was_stopped_or_is_gone(desk: Desk) -> None:
    """The owner deleted the job."""
    event_id, receiver = await _event(desk), Receiver()
    await desk.jobs.delete("job_1")
    assert (await _hooks(desk, receiver).attempt(event_id, 1, 10.0)).state == "stopped"
    assert (await _hooks(desk, receiver).attempt("evt_0", 1, 10.0)).state == "stopped"
    assert receiver.sent == []


async def test_what_does_not_open_any_more_fails_by_the_schedule_and_ends(desk: Desk) -> None:
    """TIRO_SECRET_KEY is another than it was."""
    event_id, receiver = await _event(desk), Receiver()
    other = SealedVault(base64.b64encode(b"o" * 32).decode())
    hooks = Hooks(desk.records, desk.blobs, other, receiver, desk.clock, desk.signing)
    assert (await hooks.attempt(event_id, 1, None)).state == "exhausted"
    ((_, (attempt,)),) = await desk.deliveries()
    assert attempt.error == "unsealable"


async def test_an_event_that_cannot_be_sent_fails_by_its_schedule_and_ends(desk: Desk) -> None:
    """Its body is gone: else it would wait for ever, and no operator could see why."""
    event_id, receiver = await _event(desk), Receiver()
    desk.blobs.delete_prefix("jobs/job_1/events/")
    hooks = _hooks(desk, receiver)
    assert (await hooks.attempt(event_id, 1, 10.0)).state == "pending"
    assert (await hooks.attempt(event_id, 2, None)).state == "exhausted"
    ((delivery, _),) = await desk.deliveries()
    assert delivery.last_error == "blob_missing"


@pytest.mark.promise("J38")
async def test_an_operator_sends_an_event_once_more(desk: Desk) -> None:
    """After its schedule has ended, not beside it; when it is taken now, it is delivered."""
    event_id, receiver = await _event(desk), Receiver(500, 200)
    hooks = _hooks(desk, receiver)
    with pytest.raises(Conflict):
        await hooks.replay(event_id)
    await hooks.attempt(event_id, 1, None)
    assert (await hooks.replay(event_id)).state == "delivered"
    with pytest.raises(NotFound):
        await hooks.replay("evt_0")
    assert len(receiver.sent) == 2


def _signed(secret: str, body: bytes) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
