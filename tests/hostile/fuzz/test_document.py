"""A machine reads the OpenAPI document and tries everything that it allows and forbids: no answer breaks its word."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.servers.api import Api

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
include-path = "/jobs/{{job_id}}/transcript"
parameters = {{ "path.job_id" = "{job_id}" }}
"""


async def tried(api: Api, folder: Path, headers: str, examples: int, phases: str) -> tuple[int, str]:
    """Exit status and report of schemathesis; the report says how to repeat what it found."""
    job_id = await api.submit()
    await api.complete(job_id)
    (folder / "schemathesis.toml").write_text(CONFIG.format(headers=headers, examples=examples, job_id=job_id))
    words = ("run", f"{api.url}/openapi.json", "--url", api.url, "--phases", phases, "--no-color")
    program = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("schemathesis"), *words, cwd=folder, stdout=asyncio.subprocess.PIPE
    )
    report, _ = await program.communicate()
    return int(program.returncode or 0), report.decode()


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
