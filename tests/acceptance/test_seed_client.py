"""Does a client that was written from the hosted service's page alone run unchanged, through everything that the page speaks of?"""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import Message

import docx
import jwt
import numpy as np
import pysubs2
import pytest
import webvtt

from tests.acceptance.seed_client import Abort, Client, Receiver, Refused, verify
from tests.acceptance.seed_site import FALLBACK, PRIMARY, Member, SeedSite, seed_site
from tests.media_builder import encode, noise, numbered, silence, wav
from tests.servers.scripted_http import ScriptedHttp
from tiro.adapters.vault import derive

pytestmark = pytest.mark.timeout(240)

TALK = encode(numbered(12), "mp3")
SAID = " ".join(f"w{n}" for n in range(12))
FEED = b"""<?xml version="1.0"?><rss version="2.0"><channel><title>Talks</title>
<item><pubDate>Thu, 05 Nov 2026 08:00:00 GMT</pubDate><enclosure url="/older.mp3" type="audio/mpeg" length="1"/></item>
<item><pubDate>Fri, 06 Nov 2026 08:00:00 GMT</pubDate><enclosure url="/newest.mp3" type="audio/mpeg" length="1"/></item>
</channel></rss>"""
MOST_OF_A_MINUTE = wav(numbered(50))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeedSite]:
    with seed_site(tmp_path_factory.mktemp("seed")) as site:
        yield site


@pytest.fixture(scope="module")
def free(site: SeedSite) -> Member:
    return site.member("free")


@pytest.fixture
def client(site: SeedSite) -> Client:
    return site.client()


@pytest.fixture
def receiver(site: SeedSite) -> Iterator[Receiver]:
    with site.receiver() as receiver:
        yield receiver


def transcribed(client: Client, receiver: Receiver, recording: bytes = TALK, **fields: str) -> str:
    """The id of a job that is completed, as its webhook says."""
    taken = client.submit_file("interview.mp3", recording, webhook_url=receiver.url, **fields)
    assert receiver.event(taken["job_id"])["status"] == "completed"
    return str(taken["job_id"])


def spoken(client: Client, job_id: str) -> str:
    segments = json.loads(client.transcript(job_id)[1])["segments"]
    return " ".join(segment["text"] for segment in segments)


@pytest.mark.promise("J12", "J15")
def test_a_key_becomes_two_tokens_and_the_first_opens_everything(client: Client) -> None:
    tokens = client.log_in()
    assert {"access_token", "refresh_token"} <= tokens.keys()
    assert client.jobs(status="failed") == []
    assert client.asked == ["POST /auth/token", "GET /jobs?status=failed"]


@pytest.mark.promise("J1", "J13")
def test_an_expired_token_is_refreshed_and_the_key_not_exchanged_again(site: SeedSite, client: Client) -> None:
    """An hour later: the same token as the server would have signed it two hours ago, with the secret of its data folder."""
    client.log_in()
    key = derive((site.data / "secret.key").read_text().strip(), "tokens")
    claims = jwt.decode(client.access_token, key, algorithms=["HS256"], audience="tiro-api")
    aged = {name: value - 7200 if name in {"iat", "nbf", "exp"} else value for name, value in claims.items()}
    client.access_token = jwt.encode(aged, key, algorithm="HS256")
    assert client.jobs(status="failed") == []
    assert client.asked[1:] == ["GET /jobs?status=failed", "POST /auth/refresh", "GET /jobs?status=failed"]


@pytest.mark.promise("J16", "J18", "J35")
def test_a_file_goes_in_and_the_webhook_brings_the_end(site: SeedSite, client: Client, receiver: Receiver) -> None:
    """The page's form as it stands; the 202 has its three fields; the event is signed, and verified by the page's lines."""
    taken = client.submit_file("interview.mp3", TALK, diarize="true", language="auto", webhook_url=receiver.url)
    assert list(taken) == ["job_id", "status", "created_at"]
    assert taken["status"] == "queued"
    assert re.fullmatch(r"job_01[0-9A-Z]{24}", taken["job_id"])
    assert abs((datetime.now(UTC) - datetime.fromisoformat(taken["created_at"])).total_seconds()) < 60
    event = receiver.event(taken["job_id"])
    assert (event["event"], event["status"], event["engine"]) == ("job.completed", "completed", PRIMARY)
    assert event["created_at"] == taken["created_at"]
    assert event["transcript_url"] == f"{site.base}/jobs/{taken['job_id']}/transcript"
    assert SAID.split()[0] not in json.dumps(event)
    assert spoken(client, taken["job_id"]) == SAID
    assert receiver.turned_away == []


@pytest.mark.promise("J8", "J16")
@pytest.mark.parametrize("path", ["/newest.mp3", "/feed"])
def test_an_address_goes_the_same_way(client: Client, receiver: Receiver, path: str) -> None:
    """Of a recording, and of a podcast's feed, which stands for its newest episode."""
    scripts = {
        "/newest.mp3": lambda visit: visit.answer(200, TALK, {"Content-Type": "audio/mpeg"}),
        "/feed": lambda visit: visit.answer(200, FEED, {"Content-Type": "application/rss+xml"}),
    }
    with ScriptedHttp(scripts) as web:
        taken = client.submit_url(web.url(path), diarize=True, language="auto", webhook_url=receiver.url)
        assert list(taken) == ["job_id", "status", "created_at"]
        assert receiver.event(taken["job_id"])["status"] == "completed"
    assert spoken(client, taken["job_id"]) == SAID


@pytest.mark.promise("J28", "J29")
def test_polling_goes_by_retry_after_from_queued_to_completed(site: SeedSite) -> None:
    """The job is held until it was seen at work; the client sleeps as long as it is told, which is short and whole."""
    seen, slept = [], []
    with site.primary.closed() as let_go:

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            if seen[-1] == "processing":
                let_go()
            time.sleep(seconds)

        client = site.client(sleep=sleep)
        taken = client.submit_file("interview.mp3", TALK)
        seen.append(taken["status"])
        job = client.wait(taken["job_id"], seen.append)
    assert list(dict.fromkeys(seen)) == ["queued", "processing", "completed"]
    assert seen == sorted(seen, key=["queued", "processing", "completed"].index)
    assert all(1 <= seconds <= 15 for seconds in slept)
    assert (job["status"], spoken(client, job["job_id"])) == ("completed", SAID)


@pytest.mark.promise("J35", "J37")
def test_failed_and_cancelled_are_told_and_signed_too(site: SeedSite, client: Client, receiver: Receiver) -> None:
    with ScriptedHttp({"/page": lambda visit: visit.answer(200, b"no recording at all " * 200)}) as web:
        failed = client.submit_url(web.url("/page"), webhook_url=receiver.url)["job_id"]
        event = receiver.event(failed)
    assert (event["event"], event["status"]) == ("job.failed", "failed")
    assert (event["error"], event["reason"]) == ("invalid_audio", "unsupported_format")
    with site.primary.closed():
        cancelled = client.submit_file("interview.mp3", TALK, webhook_url=receiver.url)["job_id"]
        site.operator("jobs", "cancel", cancelled)
        event = receiver.event(cancelled)
    assert (event["event"], event["status"], event["transcript_url"]) == ("job.cancelled", "cancelled", None)
    assert client.job(cancelled)["status"] == "cancelled"
    assert receiver.turned_away == []


@pytest.mark.promise("J46")
def test_a_body_that_was_parsed_and_written_anew_does_not_verify(client: Client, receiver: Receiver) -> None:
    """The page's commonest mistake is noticed by the page's own lines."""
    transcribed(client, receiver)
    headers, body = receiver.taken[-1]
    told = Message()
    told["X-Transcription-Signature"] = headers["x-transcription-signature"]
    request = type("Request", (), {"headers": told})
    verify(receiver.secret, body, request)
    with pytest.raises(Abort, match="401"):
        verify(receiver.secret, json.dumps(json.loads(body)).encode(), request)
    with pytest.raises(Abort, match="401"):
        verify("another secret", body, request)


@pytest.mark.promise("J32", "J33", "J47")
def test_the_transcript_comes_in_five_shapes(client: Client, receiver: Receiver) -> None:
    """Two people on two channels; json has the page's keys, the rest is read by other people's libraries."""
    job_id = transcribed(client, receiver, interview(), language="en")
    shape = json.loads(client.transcript(job_id, "json")[1])
    assert {"job_id", "language", "duration_seconds", "speakers", "segments", "engine"} <= shape.keys()
    assert (shape["job_id"], shape["language"], shape["duration_seconds"]) == (job_id, "en", 12.0)
    for segment in shape["segments"]:
        assert {"speaker", "start", "end", "text", "confidence"} <= segment.keys()
        assert {"word", "start", "end", "confidence", "speaker"} <= segment["words"][0].keys()
        assert 0 <= segment["start"] < segment["end"] <= 12
    turns = [f"{segment['speaker']}: {segment['text']}" for segment in shape["segments"]]
    assert client.transcript(job_id, "txt")[1].decode().strip().split("\n\n") == turns
    said = [segment["text"] for segment in shape["segments"]]
    subtitles = pysubs2.SSAFile.from_string(client.transcript(job_id, "srt")[1].decode(), format_="srt")
    assert [line.plaintext for line in subtitles] == said
    captions = webvtt.from_string(client.transcript(job_id, "vtt")[1].decode())
    assert [(caption.voice, caption.text) for caption in captions] == [
        (segment["speaker"], segment["text"]) for segment in shape["segments"]
    ]
    document = docx.Document(io.BytesIO(client.transcript(job_id, "docx")[1]))
    paper = "\n".join(paragraph.text for paragraph in document.paragraphs)
    for segment in shape["segments"]:
        assert segment["speaker"] in paper
        assert segment["text"] in paper


@pytest.mark.promise("J7", "J34")
def test_channels_are_speakers_left_0_and_right_1(client: Client, receiver: Receiver) -> None:
    """Right speaks first and is speaker_1 all the same; who speaks is certain."""
    shape = json.loads(client.transcript(transcribed(client, receiver, interview()))[1])
    assert shape["speakers"] == [{"id": "speaker_0", "confidence": 1.0}, {"id": "speaker_1", "confidence": 1.0}]
    said = {segment["speaker"]: segment["text"] for segment in shape["segments"]}
    assert said == {"speaker_1": "w0 w1 w2 w3 w4 w5", "speaker_0": "w6 w7 w8 w9 w10 w11"}


def interview() -> bytes:
    """Six seconds on the right, then six on the left."""
    return encode(
        np.stack([np.concatenate([silence(6), numbered(6, 6)]), np.concatenate([numbered(6), silence(6)])]), "flac"
    )


@pytest.mark.promise("J4", "J38")
def test_what_ended_while_the_receiver_was_down_is_listed_and_comes_late(client: Client, receiver: Receiver) -> None:
    """The job is completed all the same; the list since the outage has it, and nothing older; the event comes when it can."""
    older = transcribed(client, receiver)
    outage = str(client.job(older)["completed_at"]).replace("Z", "999Z")
    receiver.down = True
    missed = client.submit_file("interview.mp3", TALK, webhook_url=receiver.url)["job_id"]
    receiver.outage()
    assert [job["job_id"] for job in client.jobs(status="completed", since=outage)] == [missed]
    assert spoken(client, missed) == SAID
    receiver.down = False
    assert receiver.event(missed)["status"] == "completed"


@pytest.mark.promise("J21", "J22")
def test_a_spent_month_is_402_and_goes_on_for_money_where_that_is_switched_on(site: SeedSite) -> None:
    """The flag says whether submitting again with accept_overage helps; then what is beyond the month is billed as overage."""
    member = site.member("pro")
    client = site.client(member)
    with site.receiver(member) as receiver:
        transcribed(client, receiver, MOST_OF_A_MINUTE)
        assert [overage_allowed(client, query) for query in ("", "?accept_overage=true")] == [False, False]
        site.operator("accounts", "set", member.account_id, "--overage")
        assert overage_allowed(client, "") is True
        again = client.submit_file("a.wav", MOST_OF_A_MINUTE, query="?accept_overage=true", webhook_url=receiver.url)
        assert receiver.event(again["job_id"])["status"] == "completed"
    job = client.job(again["job_id"])
    assert (job["billed_seconds"], job["overage_seconds"]) == (50, 40)


def overage_allowed(client: Client, query: str) -> object:
    """What the 402 says, for it is one."""
    with pytest.raises(Refused) as refused:
        client.submit_file("a.wav", MOST_OF_A_MINUTE, query=query)
    assert (refused.value.status, refused.value.body["error"]) == (402, "quota_exceeded")
    return refused.value.body["overage_allowed"]


@pytest.mark.promise("J11", "J19")
@pytest.mark.parametrize(
    ("recording", "reason"),
    [
        (b"Dear Sir or Madam, " * 100, "unsupported_format"),
        (encode(numbered(12), "m4a")[:20_000], "decode_failed"),
        (wav(noise(31 * 60, rate_hz=4000), 4000), "duration_exceeds_limit"),
        (b"", "empty_audio"),
        (wav(silence(12)), "empty_audio"),
    ],
    ids=["letter", "torn", "31-minutes-on-free", "zero-bytes", "silence"],
)
def test_a_file_that_is_the_problem_is_415_with_its_reason(
    site: SeedSite, free: Member, recording: bytes, reason: str
) -> None:
    with pytest.raises(Refused) as refused:
        site.client(free).submit_file("interview.mp3", recording)
    assert (refused.value.status, refused.value.body["error"]) == (415, "invalid_audio")
    assert refused.value.body["reason"] == reason


@pytest.mark.promise("J25", "J26")
def test_the_primarys_bad_minute_is_gone_on_from_by_whisper(site: SeedSite, client: Client, receiver: Receiver) -> None:
    """5xx upstream: the job falls back by itself, and its transcript says so."""
    with site.primary.saying(503, {"error": "upstream"}):
        job_id = transcribed(client, receiver)
    shape = json.loads(client.transcript(job_id)[1])
    assert (shape["engine"], shape["fallback"]) == (FALLBACK, True)
    assert {segment["engine"] for segment in shape["segments"]} == {FALLBACK}
    assert spoken(client, job_id) == SAID


@pytest.mark.promise("J23")
def test_the_primarys_quota_is_a_402_and_no_fallback(site: SeedSite, client: Client, receiver: Receiver) -> None:
    with site.primary.saying(402, {"error": "insufficient funds"}):
        job_id = client.submit_file("interview.mp3", TALK, webhook_url=receiver.url)["job_id"]
        event = receiver.event(job_id)
    assert (event["status"], event["error"], event["engine"]) == ("failed", "quota_exceeded", None)
    with pytest.raises(Refused) as refused:
        client.transcript(job_id)
    assert (refused.value.status, refused.value.body["error"]) == (402, "quota_exceeded")
    assert client.job(job_id)["billed_seconds"] == 0


@pytest.mark.promise("J39")
def test_without_queueing_one_job_too_many_is_429_until_there_is_room(site: SeedSite) -> None:
    """The client comes again when it is told to; by then there is room."""
    member, jobs, slept = site.member("free", "--no-queueing"), [], []
    with site.primary.closed() as let_go, site.receiver(member) as receiver:

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            let_go()
            for job_id in jobs:
                receiver.event(job_id)

        client = site.client(member, sleep=sleep)
        jobs += [client.submit_file("a.mp3", TALK, webhook_url=receiver.url)["job_id"] for _ in range(2)]
        jobs.append(client.submit_file("a.mp3", TALK, webhook_url=receiver.url)["job_id"])
        assert len(slept) == 1
        assert 1 <= slept[0] <= 60
        assert {receiver.event(job_id)["status"] for job_id in jobs} == {"completed"}


@pytest.mark.promise("J39")
def test_with_queueing_one_job_too_many_waits_in_line(site: SeedSite, free: Member) -> None:
    """One more than the plan runs at once: taken with 202, queued while the others run, completed in the end."""
    client = site.client(free)
    with site.primary.closed() as let_go, site.receiver(free) as receiver:
        *first, last = (client.submit_file("a.mp3", TALK, webhook_url=receiver.url)["job_id"] for _ in range(3))
        while {client.job(job_id)["status"] for job_id in first} != {"processing"}:
            time.sleep(0.1)
        assert client.job(last)["status"] == "queued"
        let_go()
        assert {receiver.event(job_id)["status"] for job_id in (*first, last)} == {"completed"}
