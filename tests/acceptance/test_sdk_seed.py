"""The Python client whose spelling the hosted service's page shows, with the page's own lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.sdks import SEEDS, Service, python, service
from tests.media_builder import encode, numbered

pytestmark = [pytest.mark.timeout(280), pytest.mark.xdist_group("sdk-seed")]

PAGE = """\
from transcribe_api import TranscribeAPI
client = TranscribeAPI(api_key="YOUR_API_KEY")
result = client.transcribe(
file="meeting.mp3",
language="en",
vtt_granularity="sentence",
)
print(result["text"])
"""
CLIENT = 'client = TranscribeAPI(given["key"], base_url=given["base"])\n'


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("served")) as serving:
        yield serving


@pytest.fixture
def meeting(tmp_path: Path) -> Path:
    file = tmp_path / "meeting.mp3"
    file.write_bytes(encode(numbered(6), "mp3"))
    return file


def words(text: str) -> list[str]:
    return [word.strip(".").lower() for word in text.split()]


def finished(served: Service, job_id: str, key: str) -> dict[str, Any]:
    """As the page says: poll until there is a result_url."""
    program = """
import time
while (job := client.jobs.get(given["job_id"])).get("result_url") is None:
    assert not job["status"].startswith("failed"), job
    time.sleep(0.2)
tell(job)
"""
    job: dict[str, Any] = python(SEEDS, CLIENT + program, job_id=job_id, key=key, base=served.owner.base)
    return job


@pytest.mark.promise("T14")
def test_the_pages_own_lines_print_the_text(served: Service, meeting: Path) -> None:
    """Only the key, the file's folder and the server's address are put in."""
    customer = served.customer()
    lines = PAGE.replace('"YOUR_API_KEY"', 'given["key"], base_url=given["base"]').replace(
        '"meeting.mp3"', 'given["file"]'
    )
    said = python(SEEDS, lines.replace("print(", "tell("), file=meeting, **customer.given)
    assert words(said) == [f"w{n}" for n in range(6)]


@pytest.mark.promise("T16", "T14")
def test_all_options_of_the_page_are_taken(served: Service, meeting: Path) -> None:
    program = """
tell(client.transcribe(
    file=given["file"], language="en", task="transcribe", vad_filter=True, initial_prompt="Tiro", vtt_granularity="word",
    exclude=["segments"],
))
"""
    answer = python(SEEDS, CLIENT + program, file=meeting, **served.customer().given)
    assert "segments" not in answer
    assert answer["vtt"].count("-->") == 6


@pytest.mark.promise("T20", "T23", "T24")
def test_a_batch_as_the_page_shows_it(served: Service, meeting: Path) -> None:
    """By paths and by dicts; the job's id is polled until there is a result."""
    customer = served.customer()
    program = 'tell(client.batch.transcribe(files=[given["file"], {"file_id": "second", "file": given["file"]}]))'
    batch = python(SEEDS, CLIENT + program, file=meeting, **customer.given)
    assert batch["status"] in {"uploading", "verifying", "queued", "completed"}
    job = finished(served, batch["job_id"], customer.key)
    assert (job["status"], job["billed_seconds"]) == ("completed", 12)
    results = served.get(job["result_url"]).json()["results"]
    assert [(one["reference_id"], len(words(one["text"]))) for one in results] == [("file_000001", 6), ("second", 6)]


@pytest.mark.promise("T18")
def test_a_big_file_is_a_job_whatever_its_size(served: Service, meeting: Path) -> None:
    customer = served.customer()
    program = 'tell(client.jobs.create_big_file(file=given["file"]).upload())'
    job = python(SEEDS, CLIENT + program, file=meeting, **customer.given)
    done = finished(served, job["job_id"], customer.key)
    assert words(served.get(done["result_url"]).json()["text"]) == [f"w{n}" for n in range(6)]
