"""The published Node client, as it is installed today, against `tiro up`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.sdks import Service, node, service
from tests.media_builder import encode, numbered, wav
from tests.servers.scripted_http import ScriptedHttp

pytestmark = [pytest.mark.timeout(280), pytest.mark.xdist_group("sdk-node")]
CLIENT = "const client = new TranscribeAPI({ apiKey: given.key, baseUrl: given.base });\n"
POLLING = CLIENT.replace("base });", "base, polling: { interval: 10, timeout: 120 } });")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("served")) as serving:
        yield serving


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    file = tmp_path / 'a "talk" é.wav'
    file.write_bytes(wav(numbered(5)))
    return file


def words(text: str) -> list[str]:
    return [word.strip(".").lower() for word in text.split()]


@pytest.mark.promise("T11")
def test_a_file_is_transcribed_while_its_sender_waits(served: Service, talk: Path) -> None:
    """By its path, whose name has quotes and letters of its own in it."""
    program = 'tell(await client.transcribe({ files: [{ file: given.file, reference_id: "mine" }], language: "en" }));'
    answer = node(CLIENT + program, file=talk, **served.customer().given)
    assert (words(answer["text"]), answer["reference_id"]) == ([f"w{n}" for n in range(5)], "mine")
    assert (answer["billed_seconds"], answer["price_per_hour"]) == (5, 0.15)


def test_a_blob_is_taken_for_what_it_is(served: Service, tmp_path: Path) -> None:
    """It is called audio.mp3 and said to be WAV, and is FLAC."""
    file = tmp_path / "talk.flac"
    file.write_bytes(encode(numbered(3), "flac"))
    program = """
const blob = new Blob([await readFile(given.file)], { type: "audio/wav" });
tell((await client.transcribeDirect({ file: blob })).text);
"""
    assert words(node(CLIENT + program, file=file, **served.customer().given)) == ["w0", "w1", "w2"]


def test_an_address_is_transcribed_too(served: Service) -> None:
    recording = wav(numbered(4))
    program = "tell((await client.transcribe({ files: [{ url: given.url }] })).text);"
    with ScriptedHttp({"/talk.wav": lambda visit: visit.answer(body=recording)}) as there:
        said = node(CLIENT + program, url=there.url("/talk.wav"), **served.customer().given)
    assert words(said) == ["w0", "w1", "w2", "w3"]


@pytest.mark.promise("T20", "T40", "T43")
def test_a_batch_of_paths_blobs_and_addresses(served: Service, talk: Path, tmp_path: Path) -> None:
    """A blob's upload carries a type of its own, a path's none."""
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no recording" * 1000)
    recording = wav(numbered(2, first=7))
    program = """
const blob = new File([await readFile(given.file)], "talk.wav", { type: "audio/wav" });
const files = [
  { reference_id: "path", file: given.file },
  { reference_id: "blob", file: blob },
  { reference_id: "broken", file: given.broken },
  { reference_id: "address", url: given.url },
];
const job = await client.transcribe({ files });
tell([job, await (await fetch(job.result_url)).json()]);
"""
    with ScriptedHttp({"/talk.wav": lambda visit: visit.answer(body=recording)}) as there:
        given = {"file": talk, "broken": broken, "url": there.url("/talk.wav"), **served.customer().given}
        job, document = node(POLLING + program, **given)
    assert (job["job_status"], job["status"]) == ("completed", "completed_with_errors")
    by_name = {one["reference_id"]: one for one in document["results"]}
    assert list(by_name) == ["path", "blob", "broken", "address"]
    assert words(by_name["path"]["text"]) == words(by_name["blob"]["text"]) == [f"w{n}" for n in range(5)]
    assert words(by_name["address"]["text"]) == ["w7", "w8"]
    assert by_name["broken"]["code"] == "failed_unsupported_batch_format"


@pytest.mark.promise("T33")
def test_what_is_refused_is_an_error_with_a_code_and_its_fields(served: Service, talk: Path) -> None:
    program = """
const poor = new TranscribeAPI({ apiKey: given.poor, baseUrl: given.base });
const wrong = new TranscribeAPI({ apiKey: "wrong", baseUrl: given.base });
const one = (client) => refusal(() => client.transcribe({ files: [{ file: given.file }] }));
tell([await one(wrong), await one(poor), await refusal(() => client.jobs.get("job_unknown"))]);
"""
    poor = served.customer(dollars=0)
    wrong, broke, unknown = node(CLIENT + program, file=talk, poor=poor.key, **served.customer().given)
    assert (wrong["status"], wrong["code"]) == (401, "invalid_api_key")
    assert (broke["status"], broke["code"], broke["remaining_balance"]) == (402, "insufficient_credit", 0)
    assert (unknown["status"], unknown["code"]) == (404, "job_not_found")


@pytest.mark.promise("T9")
def test_money_is_added(served: Service, talk: Path) -> None:
    program = """
const client = new TranscribeAPI({ apiKey: given.key, baseUrl: given.base, autoReload: { amount: 5, ifBalanceBelow: 100000 } });
const said = await client.transcribe({ files: [{ file: given.file }] });
tell([said.remaining_balance, await client.addFunds(6)]);
"""
    before, funds = node(program, file=talk, **served.owner.given)
    assert funds["remaining_balance"] == pytest.approx(before + 11)
