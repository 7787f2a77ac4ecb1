"""A machine reads the OpenAPI document and tries everything that it allows and forbids: no answer breaks its word."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from api.config import RequestLimits
from tests.dialects.transcribe.calling import funded, transcribed
from tests.servers.api import Api, ApiMaker

CONFIG = """
seed = 7
continue-on-failure = true
headers = {headers}

[generation]
deterministic = true
database = "none"
max-examples = {examples}

[checks]
# a document cannot say all that is refused with 400: no file and no address, a private address, NUL in a text
positive_data_acceptance.enabled = false

[phases.examples]
enabled = false

[phases.stateful]
max-steps = 5

[[operations]]
include-path = "{path}"
parameters = {{ "path.job_id" = "{job_id}" }}
"""
MANY = "[plans.business]\nrequests_minute = 100000\nmax_awaiting = 100000\n"


async def tried(
    api: Api, folder: Path, headers: str, examples: int, phases: str, dialect: str = "jobs"
) -> tuple[int, str]:
    """Exit status and report of schemathesis; the report says how to repeat what it found."""
    job_id, path = await _known(api, dialect)
    (folder / "schemathesis.toml").write_text(
        CONFIG.format(headers=headers, examples=examples, path=path, job_id=job_id)
    )
    words = ("run", f"{api.url}/openapi/{dialect}.json", "--url", api.url, "--phases", phases, "--no-color")
    program = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"), *words, cwd=folder, stdout=asyncio.subprocess.PIPE
    )
    report, _ = await program.communicate()
    return int(program.returncode or 0), report.decode()


async def _known(api: Api, dialect: str) -> tuple[str, str]:
    """A job that has ended well, and where its transcript is."""
    if dialect == "jobs":
        job_id = await api.submit()
        await api.complete(job_id)
        return job_id, "/jobs/{job_id}/transcript"
    answer = await transcribed(api)
    return str(answer.json()["job_id"]), "/v1/transcribe/{job_id}"


def cases(report: str) -> int:
    (count,) = re.findall(r"(\d+) generated", report)
    return int(count)


@pytest.mark.promise("J49")
async def test_answers_keep_the_document_s_word_whatever_is_sent(api: Api, tmp_path: Path) -> None:
    """Status, type, headers and shape are documented; what the document forbids is refused, what it allows breaks nothing.

    At the edges of each schema, beyond them, and along the links from one answer to the next request: never a 5xx, nothing without a key.
    """
    headers = f'{{ Authorization = "Bearer {api.key}" }}'
    status, report = await tried(api, tmp_path, headers, 8, "coverage,fuzzing,stateful")
    assert status == 0, report
    assert cases(report) > 200


@pytest.mark.promise("J49")
async def test_without_a_key_answers_keep_the_document_s_word_too(api: Api, tmp_path: Path) -> None:
    status, report = await tried(api, tmp_path, "{}", 4, "fuzzing")
    assert status == 0, report
    assert cases(report) > 20


async def test_the_transcribe_api_keeps_its_document_s_word(make_api: ApiMaker, tmp_path: Path) -> None:
    """Forms, JSON and ids of all kinds; nobody waits long for what nobody hears."""
    plans = tmp_path / "plans.toml"
    plans.write_text(MANY)
    environ = {"TIRO_PLANS": str(plans)}
    api = await funded(await make_api(limits=RequestLimits(wait_s=5.0), environ=environ))
    headers = f'{{ Authorization = "Bearer {api.key}" }}'
    status, report = await tried(api, tmp_path, headers, 6, "coverage,fuzzing,stateful", "transcribe")
    assert status == 0, report
    assert cases(report) > 200
