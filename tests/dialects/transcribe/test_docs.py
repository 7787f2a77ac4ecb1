"""docs/dialects/transcribe.md: what stands there is what happens. What needs workers (a batch to its end, the SDKs) is for acceptance."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from api.config import RequestLimits
from api.dialects.transcribe.faults import FAULTS
from api.dialects.transcribe.status import FAILED_WORDS, STATUSES, job_status_of
from tests.dialects.pages import ROOT, blocks_of, run_shell
from tests.dialects.transcribe.calling import funded, transcribed
from tests.servers.api import PUBLIC_URL, Api, ApiMaker

TEXT = (ROOT / "docs/dialects/transcribe.md").read_text()
_SETUP, *_BLOCKS = blocks_of(TEXT)
_SYNC, _CREATE, _BRING, _RESUME, _FETCHED, _BATCH, _PAGES, _LOOK, _TOP_UP = (
    block for block in _BLOCKS if "curl " in block
)
_SYNCED, _CREATED, _BROUGHT, _LOOKED, _TOPPED, _ANNOUNCED = (
    json.loads(block) for block in _BLOCKS if block.startswith("{") and "[...]" not in block
)
"""The answers that are shown whole."""
_SIZE = _CREATE.splitlines()[0]
_ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TEXT.splitlines() if line.startswith("|")]


async def _told(api: Api, folder: Path, script: str) -> list[Any]:
    """Every answer that the script prints. Links lead to the public name of the tests' server, which is nowhere."""
    said = await run_shell(api, folder, _SETUP, f"{script.replace('$URL', f'$API/${{URL#{PUBLIC_URL}/}}')}")
    answers = []
    while said := said.strip():
        answer, end = json.JSONDecoder().raw_decode(said)
        answers.append(answer)
        said = said[end:]
    return answers


def _shape(value: Any) -> Any:
    """Names and kinds, not values. Of a list its first: the page shows one."""
    match value:
        case dict():
            return {name: _shape(one) for name, one in value.items()}
        case list():
            return [_shape(one) for one in value[:1]]
        case bool() | None:
            return value
        case int() | float():
            return "number"
        case _:
            return "text"


async def test_a_long_recording_is_brought_and_looked_at_as_shown(api: Api, tmp_path: Path) -> None:
    """The answers have the fields that the page shows, no more and no fewer."""
    await funded(api)
    created, brought = await _told(api, tmp_path, f"{_CREATE}\n{_BRING}")
    assert _shape(created) == _shape(_CREATED)
    assert _shape(brought) == _shape(_BROUGHT)
    assert created["status"] == _CREATED["status"]
    await api.complete(created["job_id"])
    (looked,) = await _told(api, tmp_path, f"JOB={created['job_id']}\n{_LOOK}")
    assert _shape(looked) == _shape(_LOOKED)
    assert {name: looked[name] for name in ("status", "job_status", "progress")} == {
        name: _LOOKED[name] for name in ("status", "job_status", "progress")
    }


async def test_the_links_of_an_upload_are_given_anew_until_it_is_there(api: Api, tmp_path: Path) -> None:
    await funded(api)
    resume = re.sub(r'"multipart"|,"upload_id":"UPLOAD_ID"', lambda found: '"put"' * ("m" in found[0]), _RESUME)
    job = _BRING.splitlines()[0]
    created, resumed, _, late = await _told(api, tmp_path, f"{_CREATE}\n{job}\n{resume}\n{_BRING}\n{resume}")
    assert resumed["upload"]["key"] == created["uploads"][0]["key"]
    assert late["code"] == "invalid_job_status"


async def test_a_recording_at_an_address_begins_by_itself(api: Api, tmp_path: Path) -> None:
    await funded(api)
    (created,) = await _told(api, tmp_path, _FETCHED)
    assert (created["status"], created["uploads"]) == ("verifying", [])


async def test_a_batch_is_made_and_brought_as_shown(api: Api, tmp_path: Path) -> None:
    await funded(api)
    (brought,) = await _told(api, tmp_path, f"{_SIZE}\n{_BATCH}\n{_PAGES}")
    assert (_shape(brought), brought["total_files"]) == (_shape(_BROUGHT), 2)


async def test_the_synchronous_call_takes_these_fields_and_answers_so(make_api: ApiMaker, tmp_path: Path) -> None:
    """By curl nobody waits here, and the answer is the job; with somebody at work it is what the page shows."""
    hasty = await funded(await make_api(limits=RequestLimits(wait_s=0.01)))
    (job,) = await _told(hasty, tmp_path, _SYNC)
    assert job["job_status"] == "queued"
    patient = await funded(await make_api())
    fields = dict(re.findall(r"-F (\w+)=([^@\s]+)", _SYNC))
    answer = (await transcribed(patient, fields)).json()
    assert _shape(answer) == _shape(_SYNCED)
    assert answer["price_per_hour"] == _SYNCED["price_per_hour"]


async def test_an_account_credits_itself_as_shown(api: Api, tmp_path: Path) -> None:
    await funded(api, 1)
    await api.house.accounts.change(api.account.account_id, self_topup=True)
    (answer,) = await _told(api, tmp_path, _TOP_UP)
    assert _shape(answer) == _shape(_TOPPED)
    assert answer["remaining_balance"] == 21


@pytest.mark.parametrize("shown", [_SYNCED, _LOOKED], ids=["sync", "job"])
def test_the_money_of_the_examples_adds_up(shown: dict[str, Any]) -> None:
    assert shown["cost"] == round(shown["billed_seconds"] * shown["price_per_hour"] / 3600, 6)


def test_every_error_stands_in_the_table_and_no_other() -> None:
    """Code and status, but for the answer that nobody reads and the core's word that is always said as one of these."""
    unheard = {"client_gone", "invalid_request"}
    said = {(fault.status, fault.code or code) for code, fault in FAULTS.items() if code not in unheard}
    rows = [(row[0], row[1]) for row in _ROWS if re.match(r"\d{3}", row[0])]
    shown = {
        (int(status), code)
        for statuses, codes in rows
        for status in statuses.split(", ")
        for code in re.findall(r"`([a-z_]+)`", codes)
    }
    fields = {(429, "limits")}
    assert shown - fields == said


def test_every_status_stands_there_with_what_pollers_read() -> None:
    """Those of the table by name, failures by name in the list behind it."""
    rows = {
        status: row[2].strip("`")
        for row in _ROWS
        if len(row) == 3
        for status in re.findall(r"`([a-z_]+)`", row[0])
        if status in STATUSES
    }
    assert {status: status if told == "the same" else told for status, told in rows.items()} == {
        status: job_status_of(status) for status in rows
    }
    listed = set(
        re.findall(r"`(failed_[a-z_]+)`", TEXT[TEXT.index("The failures:") : TEXT.index("`result_url` needs")])
    )
    assert rows.keys() | listed == STATUSES
    assert listed < FAILED_WORDS
