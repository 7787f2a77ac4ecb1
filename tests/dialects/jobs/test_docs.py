"""docs/dialects/jobs.md: what stands there is what happens."""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path

import pytest

from api.config import RequestLimits
from api.dialects.jobs.faults import FAULTS
from tests.dialects.pages import ROOT, blocks_of, run_shell
from tests.dialects.transcribe.calling import funded
from tests.servers.api import Api, ApiMaker

TEXT = (ROOT / "docs/dialects/jobs.md").read_text()
_BLOCKS = blocks_of(TEXT)
_SETUP = _BLOCKS[0]
_COMMANDS = [
    command
    for block in _BLOCKS[1:]
    for command in re.findall(r"^(?:REFRESH=.*\n.*\n)?curl(?:.*\\\n)*.*$", block, re.MULTILINE)
]


@pytest.mark.promise("J46")
def test_every_route_has_a_curl() -> None:
    """None of the examples is lost by the way in which they are found here."""
    assert len(_COMMANDS) == 11


@pytest.mark.parametrize("number", range(11))
@pytest.mark.promise("J46", "J49")
async def test_the_examples_run(api: Api, tmp_path: Path, number: int) -> None:
    """Each curl, after the lines at the top, against a server with a finished (or, to stop one, a waiting) job."""
    command = _COMMANDS[number]
    job_id = await api.submit()
    if "cancel" not in command:
        await api.complete(job_id)
    command = re.sub(r"^JOB=.*$", "", command, flags=re.MULTILINE)
    said = await run_shell(api, tmp_path, _SETUP, f"JOB={job_id}\n{command}")
    assert '"error":"' not in said
    assert said or list(tmp_path.glob("*.docx"))


@pytest.mark.promise("J49")
async def test_the_readme_s_curls_run(make_api: ApiMaker, tmp_path: Path) -> None:
    """As they stand, in the checkout, with the key of the usual data folder; one waits, which nobody's work ends here."""
    api = await funded(await make_api(limits=RequestLimits(wait_s=0.01)))
    (tmp_path / "credentials.json").write_text(json.dumps({"account": api.account.account_id, "key": api.key}))
    lines = re.findall(r"^    ((?:KEY=|curl ).*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(lines) == 3
    script = "\necho\n".join(lines).replace("http://127.0.0.1:8080", api.url)
    shell = await asyncio.create_subprocess_exec(
        "bash", "-euc", script, cwd=ROOT, env={**os.environ, "TIRO_DATA": str(tmp_path)}, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await shell.communicate()
    assert [json.loads(answer)["status"] for answer in said.splitlines() if answer] == ["queued", "queued"]


@pytest.mark.promise("J46")
def test_every_error_is_described() -> None:
    """Code and status of the whole table, but for the answer that nobody reads."""
    for code, fault in FAULTS.items():
        if code not in {"client_gone", "source_deleted"}:
            assert re.search(rf"^\| {fault.status} \| .*`{code}`", TEXT, re.MULTILINE), code
