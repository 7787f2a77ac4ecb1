"""Can a receiver that knows nothing but our published keys check every webhook, also while the keys change?"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Mapping

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.unit.services.desk import HOOK, Desk
from tests.unit.services.test_hooks import Receiver
from tiro.adapters.system import SystemIds
from tiro.adapters.vault import SealedVault
from tiro.model.blob import transcript_key
from tiro.model.errors import Conflict
from tiro.services.hooks import Hooks
from tiro.services.signing import OVERLAP, PUBLISHED_FIRST, Signing

TOO_OLD_S = 300


async def _event(desk: Desk, job_id: str = "job_1") -> str:
    account = await desk.account()
    await desk.running(account, job_id, webhook_url=HOOK, dialect="transcribe", micros_per_hour=0)
    desk.blobs.put(transcript_key(job_id), b"{}")
    settled = await desk.endings.end(job_id, 1, "completed")
    assert settled.delivery is not None
    return settled.delivery.event_id


def _hooks(desk: Desk, receiver: Receiver) -> Hooks:
    return Hooks(desk.records, desk.blobs, desk.vault, receiver, desk.clock, desk.signing)


async def _accepts(desk: Desk, headers: Mapping[str, str], body: bytes) -> bool:
    """As a receiver would, by hand: known key, young enough, signature over stamp and raw body."""
    keys = {key.key_id: Ed25519PublicKey.from_public_bytes(key.public) for key in await desk.signing.published()}
    stamp, name = headers["X-TranscribeAPI-Timestamp"], headers["X-TranscribeAPI-Key-Id"]
    if name not in keys or abs(desk.clock.now().timestamp() - int(stamp)) > TOO_OLD_S:
        return False
    try:
        keys[name].verify(
            base64.b64decode(headers["X-TranscribeAPI-Signature"], validate=True), f"{stamp}.".encode() + body
        )
    except InvalidSignature:
        return False
    return True


@pytest.mark.promise("T28")
async def test_every_attempt_is_signed_anew_over_the_same_bytes(desk: Desk) -> None:
    event_id, receiver = await _event(desk), Receiver(500, 500, 200)
    hooks = _hooks(desk, receiver)
    for number in (1, 2, 3):
        desk.clock.step(3600)
        await hooks.attempt(event_id, number, 10.0)
        assert await _accepts(desk, receiver.sent[-1][1], receiver.sent[-1][2])
    assert len({body for *_, body in receiver.sent}) == 1
    for header in ("X-TranscribeAPI-Timestamp", "X-TranscribeAPI-Signature"):
        assert len({headers[header] for _, headers, _ in receiver.sent}) == 3
    assert {headers["X-TranscribeAPI-Key-Id"] for _, headers, _ in receiver.sent} == {"v1"}


@pytest.mark.promise("T28")
async def test_what_was_changed_or_is_old_is_not_accepted(desk: Desk) -> None:
    event_id, receiver = await _event(desk), Receiver(200)
    await _hooks(desk, receiver).attempt(event_id, 1, 10.0)
    ((_, headers, body),) = receiver.sent
    assert not await _accepts(desk, headers, body.replace(b"completed", b"Completed"))
    assert not await _accepts(desk, headers, json.dumps(json.loads(body)).encode())
    stamp = str(int(headers["X-TranscribeAPI-Timestamp"]) + 1)
    assert not await _accepts(desk, {**headers, "X-TranscribeAPI-Timestamp": stamp}, body)
    desk.clock.step(TOO_OLD_S + 1)
    assert not await _accepts(desk, headers, body)


@pytest.mark.promise("T28")
async def test_keys_change_without_a_gap_while_a_delivery_goes_on(desk: Desk) -> None:
    """Published before it signs; the one before stays published while what it signed may wait."""
    event_id, receiver = await _event(desk), Receiver(500, 500, 500)
    hooks = _hooks(desk, receiver)
    await hooks.attempt(event_id, 1, 10.0)
    assert (await desk.signing.prepare()).key_id == "v2"
    assert [key.key_id for key in await desk.signing.published()] == ["v1", "v2"]
    await hooks.attempt(event_id, 2, 10.0)
    desk.clock.step(PUBLISHED_FIRST.total_seconds())
    await desk.signing.activate()
    await hooks.attempt(event_id, 3, 10.0)
    assert [headers["X-TranscribeAPI-Key-Id"] for _, headers, _ in receiver.sent] == ["v1", "v1", "v2"]
    assert await _accepts(desk, receiver.sent[-1][1], receiver.sent[-1][2])
    desk.clock.step(OVERLAP.total_seconds() - 1)
    assert [key.key_id for key in await desk.signing.published()] == ["v1", "v2"]
    desk.clock.step(1)
    assert [key.key_id for key in await desk.signing.published()] == ["v2"]


async def test_a_key_that_receivers_may_not_have_seen_does_not_sign(desk: Desk) -> None:
    with pytest.raises(Conflict, match="no next key") as refused:
        await desk.signing.activate()
    assert refused.value.code == "no_next_key"
    await desk.signing.prepare()
    desk.clock.step(PUBLISHED_FIRST.total_seconds() - 1)
    with pytest.raises(Conflict) as refused:
        await desk.signing.activate()
    assert refused.value.code == "next_key_too_new"
    assert (await desk.signing.signer())[0] == "v1"


async def test_a_compromised_key_is_out_at_once(desk: Desk) -> None:
    await desk.signing.prepare()
    await desk.signing.activate(compromised=True)
    assert [key.key_id for key in await desk.signing.published()] == ["v2"]
    assert (await desk.signing.signer())[0] == "v2"


async def test_preparing_twice_is_one_key(desk: Desk) -> None:
    assert await desk.signing.prepare() == await desk.signing.prepare()


async def test_a_private_half_is_in_no_log_and_in_no_header(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    event_id, receiver = await _event(desk), Receiver(200)
    await _hooks(desk, receiver).attempt(event_id, 1, 10.0)
    _, private = await desk.signing.signer()
    said = caplog.text + str(receiver.sent)
    forms = (private.hex(), base64.b64encode(private).decode(), repr(private))
    assert not [form for form in forms if form in said]


@pytest.mark.promise("T25")
async def test_the_body_is_that_of_the_api_and_its_link_lives_for_seven_days(desk: Desk) -> None:
    event_id, receiver = await _event(desk), Receiver(200)
    await _hooks(desk, receiver).attempt(event_id, 1, 10.0)
    told = json.loads(receiver.sent[0][2])
    assert list(told)[:5] == ["type", "job_id", "status", "result_url", "expires_at"]
    token = told["result_url"].removeprefix("https://tiro.example/files/")
    allowed = desk.passes.read(token, desk.clock.now())
    assert (allowed.deed, allowed.subject) == ("read", "job_1")
    assert round(allowed.until - desk.clock.now().timestamp()) in {7 * 86400, 7 * 86400 + 1}


@pytest.mark.promise("T7")
async def test_a_job_whose_transcript_is_gone_fails_and_costs_nothing(desk: Desk) -> None:
    account = await desk.account()
    async with desk.records.begin() as tx:
        await tx.wallets.credit(account.account_id, 1_000_000, name="test", note="", now=desk.clock.now())
    await desk.running(account, webhook_url=HOOK, dialect="transcribe", micros_per_hour=150_000)
    settled = await desk.endings.end("job_1", 1, "completed")
    assert (settled.job.state, settled.job.error_code) == ("failed", "result_missing")
    assert (settled.job.billed_s, settled.job.cost_micros, settled.job.balance_micros) == (0, 0, 1_000_000)
    assert settled.delivery is not None
    assert desk.event(settled.delivery)["status"] == "failed_result_missing"


async def test_a_key_that_is_published_no_more_is_forgotten_by_the_sweep(desk: Desk) -> None:
    await desk.signing.prepare()
    await desk.signing.activate(compromised=True)
    await desk.upkeep.sweep()
    async with desk.records.begin() as tx:
        assert [key.key_id for key in await tx.signing_keys.all()] == ["v2"]


async def test_a_key_that_another_secret_sealed_fails_attempts_until_it_is_replaced(desk: Desk) -> None:
    """The event does not hang: the attempt is on record, and a key of today delivers the next."""
    event_id, receiver = await _event(desk), Receiver(200)
    await desk.signing.signer()
    vault = SealedVault(base64.b64encode(b"x" * 32).decode())
    signing = Signing(desk.records, vault, desk.clock, SystemIds())
    hooks = Hooks(desk.records, desk.blobs, desk.vault, receiver, desk.clock, signing)
    assert (await hooks.attempt(event_id, 1, 10.0)).state == "pending"
    assert (await desk.deliveries())[0][0].last_error == "unsealable"
    await signing.prepare()
    await signing.activate(compromised=True)
    assert (await hooks.attempt(event_id, 2, 10.0)).state == "delivered"
    assert receiver.sent[0][1]["X-TranscribeAPI-Key-Id"] == "v2"
