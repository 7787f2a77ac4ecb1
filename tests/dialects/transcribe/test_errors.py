"""Every refusal of a call that is answered at once: its status, its code, its sentence, and what else it says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from api.config import RequestLimits
from api.dialects.transcribe.sync import LIMITS
from tests.dialects.transcribe.asking import coded
from tests.dialects.transcribe.calling import ADDRESS, PATH, calling, failed, funded, jobs, send
from tests.hostile.requests.bodies import FORM, HEAD, TAIL, field
from tests.hostile.requests.sending import posted, request_head, status_of
from tests.servers.api import Api, ApiMaker
from tests.servers.audio import tone_wav
from tiro.model.errors import MediaRefused, Transient
from tiro.ports import PreparedEnd
from tiro.services.house import House

MIB = 1 << 20
SECONDS = {"limits": {"max_duration_seconds": 600}}
BYTES = {"limits": {"max_bytes": 30 * MIB}}


async def _nothing_stays(api: Api) -> None:
    """No job, no object, no open upload."""
    async with asyncio.timeout(5):
        while list(api.house.blobs.list("jobs/")):
            await asyncio.sleep(0.05)
    async with api.house.records.begin() as tx:
        assert await tx.jobs.stale_uploads(api.house.clock.now()) == []
    assert await jobs(api) == []


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("content_type", "body", "code"),
    [
        ("text/plain", b"RIFF", "invalid_form_data"),
        ("application/x-www-form-urlencoded", b"url=x", "invalid_form_data"),
        ("audio/wav", b"RIFF", "invalid_form_data"),
        ("", b"", "invalid_form_data"),
        ("multipart/form-data", b"", "invalid_form_data"),
        (FORM, HEAD + b"RIFF", "invalid_form_data"),
        (FORM, b"--b\r\nno colon\r\n\r\nx" + TAIL, "invalid_form_data"),
        (FORM, field("language", b"\xff") + TAIL, "invalid_form_data"),
        (FORM, HEAD + b"RIFF\r\n" + HEAD + b"RIFF" + TAIL, "invalid_form_data"),
        ("application/json", b"{", "invalid_json"),
        ("application/json", b"\xff", "invalid_json"),
        (FORM, field("language", b"en") + TAIL, "missing_file"),
        (FORM, field("file", b"audio.mp3") + TAIL, "missing_file"),
        (FORM, HEAD + tone_wav(1.0) + b"\r\n" + field("language", b"xx") + TAIL, "invalid_request_options"),
        (FORM, HEAD + tone_wav(1.0) + b"\r\n" + field("url", ADDRESS.encode()) + TAIL, "invalid_request_options"),
        (FORM, field("url", b"http://127.0.0.1/a.mp3") + TAIL, "invalid_request_options"),
        (FORM, field("url", b"nowhere") + TAIL, "invalid_request_options"),
        (FORM, HEAD + TAIL, "invalid_file_metadata"),
        (FORM, HEAD + b"<html>" * 99 + TAIL, "invalid_file_metadata"),
        (FORM, HEAD + tone_wav(3.0, level=0.0) + TAIL, "invalid_file_metadata"),
    ],
)
@pytest.mark.promise("T34")
async def test_what_cannot_be_understood_is_a_400(lasting: Api, content_type: str, body: bytes, code: str) -> None:
    """At once, by its code, and nothing of it stays."""
    answer = await lasting.http.post(PATH, content=body, headers={"Content-Type": content_type})
    assert coded(answer) == (400, code)
    await _nothing_stays(lasting)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.promise("T34")
async def test_a_form_without_a_file_hears_the_documented_sentence(lasting: Api) -> None:
    answer = await send(lasting, {"language": "en"}, recording=b"")
    assert answer.json() == {
        "error": "Attach an audio file in the `file` field.",
        "code": "missing_file",
        "param": "file",
    }


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.promise("T34")
async def test_a_body_that_is_encoded_is_no_form(lasting: Api) -> None:
    headers = {"Content-Type": FORM, "Content-Encoding": "gzip"}
    assert coded(await lasting.http.post(PATH, content=b"x", headers=headers)) == (400, "invalid_form_data")


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.promise("T6", "T33")
async def test_a_file_of_more_than_30_mb_is_a_400(lasting: Api) -> None:
    """Refused by what is announced, and by what comes; no 413 anywhere."""
    announced = await lasting.raw(request_head(lasting.key, PATH, length=31 * MIB))
    body = msgspec.json.decode(announced.partition(b"\r\n\r\n")[2])
    assert (status_of(announced), body["code"], body["limits"]) == (400, "file_too_large", BYTES["limits"])

    def pieces() -> Iterator[bytes]:
        yield HEAD
        for _ in range(31):
            yield bytes(MIB)
        yield TAIL

    status, said = await asyncio.to_thread(posted, lasting.url, lasting.key, pieces(), path=PATH)
    assert (status, msgspec.json.decode(said)["code"]) == (400, "file_too_large")
    await _nothing_stays(lasting)


@pytest.mark.promise("T6")
async def test_a_file_of_30_mb_is_not_too_large(make_api: ApiMaker) -> None:
    """To the byte."""
    api = await funded(await make_api(limits=RequestLimits(wait_s=0.01)))
    assert (await send(api, recording=bytes(30 * MIB))).status_code == 200
    assert coded(await send(api, recording=bytes(30 * MIB + 1))) == (400, "file_too_large")


@pytest.mark.promise("T35", "T33")
async def test_a_recording_of_more_than_10_minutes_is_a_400(make_api: ApiMaker) -> None:
    """At once where it says so itself and cannot be believed to mean less; otherwise when it is decoded."""
    api = await funded(await make_api(limits=RequestLimits(wait_s=0.01, glance_s=30.0)))
    answers = [await send(api, recording=tone_wav(seconds, rate_hz=8_000)) for seconds in (600.9, 630.0)]
    assert [answer.status_code for answer in answers] == [200, 400]
    assert answers[1].json() == {
        "error": "The recording is longer than 10 minutes. Use async jobs.",
        "code": "audio_too_long",
        **SECONDS,
    }


@pytest.mark.parametrize(
    ("code", "reason", "extras", "expected"),
    [
        ("invalid_audio", "duration_exceeds_limit", {}, (400, "audio_too_long", SECONDS)),
        ("invalid_audio", "decode_failed", {}, (400, "invalid_file_metadata", {"reason": "decode_failed"})),
        ("invalid_audio", "unsupported_format", {}, (400, "invalid_file_metadata", {"reason": "unsupported_format"})),
        ("file_too_large", None, {"limit_bytes": 30 * MIB}, (400, "file_too_large", BYTES)),
        ("source_unavailable", "http_status", {}, (400, "invalid_request_options", {"reason": "http_status"})),
        ("unsupported_language", None, {}, (400, "invalid_request_options", {})),
        (
            "insufficient_funds",
            None,
            {"required_micros": 150_000, "balance_micros": 20_000},
            (402, "insufficient_credit", {"required_usd": 0.15, "remaining_balance": 0.02}),
        ),
        ("transient_error", "engine_crash", {}, (502, "transcription_failed", {})),
        ("quota_exceeded", "engine_quota", {}, (502, "transcription_failed", {})),
        ("result_missing", None, {}, (502, "transcription_failed", {})),
    ],
)
@pytest.mark.promise("T6", "T33", "T34")
async def test_a_job_that_fails_while_its_caller_waits(
    api: Api, code: str, reason: str | None, extras: dict[str, Any], expected: tuple[int, str, dict[str, Any]]
) -> None:
    """What its owner can change is theirs; a passing failure of ours is a 502, and the only one. Nothing is charged."""
    await funded(api)
    answer = await failed(api, code, reason, **extras)
    status, word, more = expected
    (job,) = await jobs(api)
    told = answer.json()
    sentence = told.pop("error")
    assert (answer.status_code, told) == (status, {"code": word, "job_id": job.job_id, **more})
    assert sentence
    assert (await api.house.wallets.balance(api.account.account_id)).free_micros == 10_000_000


async def test_a_job_that_is_cancelled_while_its_caller_waits_is_no_transcript(api: Api) -> None:
    await funded(api)
    async with calling(api) as (job, answering):
        await api.house.jobs.cancel(job.job_id)
        assert coded(await answering) == (502, "transcription_failed")


@pytest.mark.promise("T3", "T33")
async def test_a_recording_that_costs_more_than_there_is_is_a_402(api: Api) -> None:
    """Before anything is done: with what it needs and what there is, in dollars."""
    await funded(api, 0.01)
    answer = await send(api, recording=tone_wav(480.0, rate_hz=8_000))
    told = answer.json()
    assert (answer.status_code, told.pop("error") != "") == (402, True)
    assert told == {"code": "insufficient_credit", "required_usd": 0.02, "remaining_balance": 0.01}
    await _nothing_stays(api)


@pytest.mark.promise("T35")
async def test_ten_minutes_and_a_second_are_heard(api: Api, tmp_path: Path) -> None:
    """By the decoder, with the limits that such a job has; and not a tenth more."""

    def heard(seconds: float) -> object:
        path = tmp_path / "recording.wav"
        path.write_bytes(tone_wav(seconds, rate_hz=8_000))
        for step in api.house.preparer.prepare(path, LIMITS, split_channels=False, stop=threading.Event()):
            last = step
        return last.decoded_s if isinstance(last, PreparedEnd) else last

    assert await asyncio.to_thread(heard, 601.0) == pytest.approx(601.0)
    with pytest.raises(MediaRefused, match="duration_exceeds_limit"):
        await asyncio.to_thread(heard, 601.1)


@pytest.mark.promise("T33")
async def test_an_unexpected_error_is_a_500_without_its_words(make_api: ApiMaker) -> None:
    class Broken:
        async def get(self, *_: object) -> object:
            raise ZeroDivisionError("words")

    api = await make_api(change=lambda house: msgspec.structs.replace(house, jobs=Broken()))
    answer = await api.http.get(f"{PATH}/job_01ARZ3NDEKTSV4RRFFQ69G5FAV")
    assert (answer.status_code, answer.json()) == (
        500,
        {"error": "Something went wrong on our side.", "code": "internal_error"},
    )


@pytest.mark.promise("T33")
async def test_something_of_ours_that_is_away_is_a_503(make_api: ApiMaker) -> None:
    """It says to come again, not that a transcription failed: whoever asks after a job goes on asking."""

    class Away:
        async def get(self, *_: object) -> object:
            raise Transient("database_unavailable", "at 10.0.0.7")

    def without(house: House) -> House:
        return msgspec.structs.replace(house, jobs=Away())

    answer = await (await make_api(change=without)).http.get(f"{PATH}/job_01ARZ3NDEKTSV4RRFFQ69G5FAV")
    told = {"error": "Something that is needed is away for a moment.", "code": "internal_error"}
    assert (answer.status_code, answer.json(), answer.headers["retry-after"]) == (503, told, "5")
