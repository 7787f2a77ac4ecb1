"""The published Python client, as it is installed today, against `tiro up`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.sdks import CURRENT, Service, python, service, wide_wav
from tests.acceptance.up import told
from tests.media_builder import encode, numbered, wav
from tests.servers.scripted_http import ScriptedHttp, Visit

pytestmark = [pytest.mark.timeout(280), pytest.mark.xdist_group("sdk-python")]
CLIENT = 'client = TranscribeAPI(apiKey=given["key"], baseUrl=given["base"])\n'
POLLING = (
    'client = TranscribeAPI(apiKey=given["key"], baseUrl=given["base"], polling={"interval": 10, "timeout": 120})\n'
)
SYNC_FIELDS = {
    "job_id", "billed_seconds", "price_per_hour", "cost", "remaining_balance", "text", "vtt", "segments", "detected_language", "model",
}  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("served")) as serving:
        yield serving


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """12 seconds, in a file that says truly what it is."""
    file = tmp_path / "talk.wav"
    file.write_bytes(wav(numbered(12)))
    return file


def run(program: str, **given: Any) -> Any:
    return python(CURRENT, program, **given)


def serving(body: bytes) -> Callable[[Visit], None]:
    return lambda visit: visit.answer(body=body)


def words(text: str) -> list[str]:
    return [word.strip(".").lower() for word in text.split()]


def seconds(count: int, first: int = 0) -> list[str]:
    return [f"w{n}" for n in range(first, first + count)]


@pytest.mark.promise("T11", "T12")
def test_a_file_is_transcribed_while_its_sender_waits(served: Service, talk: Path) -> None:
    customer = served.customer()
    program = 'tell(client.transcribe(files=[{"file": given["file"], "reference_id": "mine"}], language="en"))'
    answer = run(CLIENT + program, file=talk, **customer.given)
    assert answer.keys() == SYNC_FIELDS | {"reference_id"}
    assert (words(answer["text"]), answer["reference_id"], answer["detected_language"]) == (seconds(12), "mine", "en")
    assert (answer["billed_seconds"], answer["price_per_hour"], answer["cost"]) == (12, 0.15, 0.0005)
    assert answer["remaining_balance"] == 9.9995
    assert [line["amount_micros"] for line in served.ledger(customer, "capture")] == [500]


@pytest.mark.promise("T34")
def test_bytes_are_taken_for_what_they_are_not_for_what_the_client_calls_them(served: Service, tmp_path: Path) -> None:
    """Raw bytes are always sent as audio.mp3."""
    file = tmp_path / "talk.flac"
    file.write_bytes(encode(numbered(3), "flac"))
    program = 'tell(client.transcribeDirect(file=open(given["file"], "rb").read())["text"])'
    assert words(run(CLIENT + program, file=file, **served.customer().given)) == seconds(3)


@pytest.mark.promise("T13")
def test_a_field_that_is_left_alone_comes_by_itself(served: Service, talk: Path) -> None:
    program = 'tell(client.transcribe(files=[{"file": given["file"]}], exclude=given["exclude"]))'
    left_out = ["vtt", "segments", "metadata", "billing", "detected_language"]
    answer = run(CLIENT + program, file=talk, exclude=left_out, **served.customer().given)
    assert words(answer) == seconds(12)


def test_an_address_is_transcribed_too(served: Service) -> None:
    recording = wav(numbered(4))
    program = 'tell(client.transcribe(files=[{"url": given["url"]}])["text"])'
    with ScriptedHttp({"/talk.wav": lambda visit: visit.answer(body=recording)}) as there:
        assert words(run(CLIENT + program, url=there.url("/talk.wav"), **served.customer().given)) == seconds(4)


def result_of(served: Service, job: dict[str, Any]) -> Any:
    """As the client's user fetches it: without a key."""
    answer = served.get(job["result_url"])
    assert answer.status_code == 200
    assert "attachment" in answer.headers["content-disposition"]
    return answer.json()


@pytest.mark.promise("T18", "T19", "T22", "T25")
def test_a_file_of_128_mib_goes_in_parts_and_is_polled_to_its_end(served: Service, tmp_path: Path) -> None:
    """Eight channels at 192 kHz: large and short."""
    large = tmp_path / "large.wav"
    large.write_bytes(wide_wav(45))
    assert large.stat().st_size >= 128 * 1024**2
    customer = served.customer()
    program = """
events = []
client.uploadConcurrency = 4
job = client.transcribeMany(files=[{"file": given["file"]}], onProgress=events.append)
tell([job, [event.get("uploadType") for event in events]])
"""
    job, kinds = run(POLLING + program, file=large, **customer.given)
    assert "multipart" in kinds
    assert (job["job_status"], job["status"], job["billed_seconds"]) == ("completed", "completed", 45)
    assert words(result_of(served, job)["text"]) == seconds(45)


@pytest.mark.promise("T20", "T40")
def test_a_batch_of_files_and_addresses_with_one_that_is_broken(served: Service, tmp_path: Path) -> None:
    customer = served.customer()
    files: list[dict[str, str]] = []
    for n in range(20):
        (tmp_path / f"{n}.wav").write_bytes(wav(numbered(2, first=n)))
        files.append({"reference_id": f"local {n} é", "file": str(tmp_path / f"{n}.wav")})
    (tmp_path / "7.wav").write_bytes(b"no recording" * 1000)
    scripts = {f"/{n}.wav": serving(wav(numbered(2, first=n))) for n in range(20, 25)}
    with ScriptedHttp(scripts) as there:
        files += [{"reference_id": f"remote {n}", "url": there.url(f"/{n}.wav")} for n in range(20, 25)]
        job = run(POLLING + 'tell(client.transcribe(files=given["files"]))', files=files, **customer.given)
    assert (job["job_status"], job["status"], job["failed_files"]) == ("completed", "completed_with_errors", 1)
    document = result_of(served, job)
    assert (document["succeeded"], document["failed"], document["billed_seconds"]) == (24, 1, 48)
    assert [one["reference_id"] for one in document["results"]] == [file["reference_id"] for file in files]
    assert document["results"][7]["code"] == "failed_unsupported_batch_format"
    heard = [words(one["text"]) for n, one in enumerate(document["results"]) if n != 7]
    assert heard == [seconds(2, first=n) for n in range(25) if n != 7]
    assert sum(line["amount_micros"] for line in served.ledger(customer, "capture")) == 48 * 150_000 // 3600


@pytest.mark.promise("T33", "T34")
def test_what_is_refused_is_an_error_with_a_code_and_its_fields(served: Service, talk: Path, tmp_path: Path) -> None:
    noise = tmp_path / "noise.mp3"
    noise.write_bytes(b"no recording" * 1000)
    poor = served.customer(dollars=0)
    program = """
def one(key, file):
    client = TranscribeAPI(apiKey=key, baseUrl=given["base"])
    return refusal(lambda: client.transcribe(files=[{"file": file}]))
tell([one("wrong", given["file"]), one(given["poor"], given["file"]), one(given["key"], given["noise"])])
"""
    given = {**served.customer().given, "file": talk, "noise": noise, "poor": poor.key}
    wrong, broke, broken = run(program, **given)
    assert (wrong["status"], wrong["code"]) == (401, "invalid_api_key")
    assert (broke["status"], broke["code"], broke["remaining_balance"]) == (402, "insufficient_credit", 0)
    assert broke["required_usd"] > 0
    assert (broken["status"], broken["code"]) == (400, "invalid_file_metadata")
    assert all(isinstance(one["message"], str) and one["message"] for one in (wrong, broke, broken))


@pytest.mark.promise("T29")
def test_too_many_requests_are_told_so_and_polls_do_not_count(served: Service, tmp_path: Path) -> None:
    """The free plan: ten a minute."""
    talk = tmp_path / "short.wav"
    talk.write_bytes(wav(numbered(1)))
    program = (
        CLIENT
        + """
job = client.createBatchJob(files=[{"file": given["file"]}])
codes = []
for n in range(12):
    try:
        client.transcribe(files=[{"file": given["file"], "reference_id": str(n)}], language="en")
        codes.append(200)
    except TranscribeAPIError as error:
        codes.append(error.status)
        last = dict(vars(error))
for n in range(20):
    client.jobs.get(job.jobId)
tell([codes, last])
"""
    )
    codes, last = run(program, file=talk, **served.customer(dollars=5, plan="free").given)
    assert codes == [200] * 9 + [429] * 3
    assert (last["code"], last["limits"]) == ("rate_limit_exceeded", {"plan": "free", "requests_per_minute": 10})


@pytest.mark.promise("T9")
def test_the_wallet_is_filled_up_by_itself_once(served: Service, talk: Path) -> None:
    customer = served.customer(dollars=0.001)
    told(served.data, "accounts", "set", customer.account_id, "--self-topup", "on")
    program = """
client = TranscribeAPI(apiKey=given["key"], baseUrl=given["base"], autoReload={"amount": 5, "if_balance_below": 2})
first = client.transcribe(files=[{"file": given["file"]}], exclude="vtt,segments,billing")
tell([first, client.add_funds(7)])
"""
    first, funds = run(program, file=talk, **customer.given)
    assert first["remaining_balance"] < 2
    assert funds["remaining_balance"] > 12
    assert [line["amount_micros"] for line in served.ledger(customer, "credit")] == [1_000, 5_000_000, 7_000_000]


def test_nobody_fills_up_a_wallet_that_only_its_operator_may_fill(served: Service) -> None:
    refused = run(CLIENT + "tell(refusal(lambda: client.add_funds(5)))", **served.customer().given)
    assert (refused["status"], refused["code"]) == (403, "top_up_disabled")


def test_the_servers_own_account_just_works(served: Service, talk: Path) -> None:
    """Whoever types `tiro up` and pastes its key has no wallet to think of."""
    answer = run(CLIENT + 'tell(client.transcribe(files=[{"file": given["file"]}]))', file=talk, **served.owner.given)
    assert words(answer["text"]) == seconds(12)
