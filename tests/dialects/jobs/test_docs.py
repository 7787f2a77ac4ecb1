"""docs/dialects/jobs.md: what stands there is what happens."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from api.dialects.jobs.faults import FAULTS
from tests.servers.api import Api
from tests.servers.audio import tone_wav
from tiro.sign import SCHEMES

TEXT = (Path(__file__).parents[3] / "docs/dialects/jobs.md").read_text()
_BLOCKS = [
    "\n".join(line[4:] for line in block.splitlines()) for block in re.findall(r"(?:^    .*\n)+", TEXT, re.MULTILINE)
]
_SETUP = _BLOCKS[0]
_COMMANDS = [
    command
    for block in _BLOCKS[1:]
    for command in re.findall(r"^(?:REFRESH=.*\n.*\n)?curl(?:.*\\\n)*.*$", block, re.MULTILINE)
]


@pytest.mark.promise("J46")
def test_every_route_has_a_curl() -> None:
    """None of the examples is lost by the way in which they are found here."""
    assert len(_COMMANDS) == 10


@pytest.mark.parametrize("number", range(10))
@pytest.mark.promise("J46", "J49")
async def test_the_examples_run(api: Api, tmp_path: Path, number: int) -> None:
    """Each curl, after the lines at the top, against a server with a finished (or, to stop one, a waiting) job."""
    command = _COMMANDS[number]
    job_id = await api.submit()
    if "cancel" not in command:
        await api.complete(job_id)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/credentials.json").write_text(json.dumps({"account": api.account.account_id, "key": api.key}))
    (tmp_path / "interview.mp3").write_bytes(tone_wav(1.0))
    setup = re.sub(r"^API=.*$", f"API={api.url}", _SETUP, flags=re.MULTILINE)
    command = re.sub(r"^JOB=.*$", "", command, flags=re.MULTILINE)
    script = f"set -euo pipefail\n{setup}\nJOB={job_id}\n{command}\n"
    shell = await asyncio.create_subprocess_exec(
        "bash", "-c", script, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, complaint = await shell.communicate()
    assert shell.returncode == 0, complaint.decode()
    assert b'"error":"' not in said
    assert said or list(tmp_path.glob("*.docx"))


@pytest.mark.promise("J46")
def test_the_verify_snippet_verifies() -> None:
    """The code as it stands, on a body that we signed; one bit more and it does not."""
    snippet = re.search(r"```python\n(import hmac.*?)```", TEXT, re.DOTALL)
    assert snippet is not None
    names: dict[str, Any] = {}
    exec(snippet[1], names)
    body = b'{"id":"evt_1"}'
    signature = SCHEMES["jobs"]("whsec_x", body, datetime(2026, 1, 1, tzinfo=UTC), None)["X-Transcription-Signature"]
    assert names["verified"]("whsec_x", body, signature)
    assert not names["verified"]("whsec_x", body + b" ", signature)


@pytest.mark.promise("J46")
def test_every_error_is_described() -> None:
    """Code and status of the whole table, but for the answer that nobody reads."""
    for code, fault in FAULTS.items():
        if code not in {"client_gone", "source_deleted"}:
            assert re.search(rf"^\| {fault.status} \| .*`{code}`", TEXT, re.MULTILINE), code
