"""Where do a recording's words, its file name, its address and the keys to it turn up? Not in a history, a log, a row or an answer."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from tests.acceptance.conftest import SiteMaker
from tests.acceptance.processes import Child
from tests.acceptance.site import Site
from tests.acceptance.traces import LOGS, ROWS, in_passing, traces
from tests.media_builder import numbered, wav
from tests.servers.scripted_http import ScriptedHttp

Note = Callable[[str], None]
FIRST_WORD = 500
SIGNATURE = "sig-0f3c9d77c2a1"
TOKEN = "hook-5b1e88aa90fe"
NAME = "divorce-of-the-smiths"
ONCE = "once-77ab01fe42d9"
CONTENT = (NAME, *(f"w{n}" for n in range(FIRST_WORD, FIRST_WORD + 5)))
RECORDING = wav(numbered(5, first=FIRST_WORD))


class Owner:
    """An account's owner, with a token made from its key: all that was asked, and all that was answered."""

    def __init__(self, site: Site, http: httpx2.AsyncClient) -> None:
        self._site, self._http = site, http
        self.secrets: list[str] = []
        self.answers: list[httpx2.Response] = []

    async def sign_in(self) -> None:
        told = (await self._http.post("/auth/token", json={"api_key": self._site.key})).json()
        self.secrets += [self._site.key, told["access_token"], told["refresh_token"]]
        self._http.headers["Authorization"] = f"Bearer {told['access_token']}"

    async def ask(self, method: str, path: str, **content: object) -> httpx2.Response:
        self.answers.append(await self._http.request(method, path, **content))  # type: ignore[arg-type]
        return self.answers[-1]

    async def submit(self, number: int, **content: object) -> str:
        answer = await self.ask("POST", "/jobs", headers={"Idempotency-Key": f"{ONCE}-{number}"}, **content)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    @property
    def told(self) -> str:
        """Everything that it was answered, but for the transcripts."""
        return "".join(f"{answer.headers}{answer.text}" for answer in self.answers)


@pytest.mark.hostile_input(57, "what a recording says and what opens it", "in no log, history, row, answer or file")
async def test_no_word_no_name_no_address_and_no_key_is_anywhere_else(make_site: SiteMaker, seen: Note) -> None:
    """An upload, an address that can be fetched, and one that cannot; the processes say all they can."""
    site = await make_site(TIRO_LOG="debug")
    worker = await site.working()
    api, address = await site.serving()
    async with httpx2.AsyncClient(base_url=address, timeout=30, trust_env=False) as http:
        owner = Owner(site, http)
        await owner.sign_in()
        job_ids = await _submitted(site, owner)
        for job_id in job_ids:
            await owner.ask("GET", f"/jobs/{job_id}")
        await owner.ask("GET", f"/jobs/{job_ids[-1]}/transcript")
        await owner.ask("GET", "/jobs?limit=1", headers={"Authorization": f"Bearer {site.key}x"})
        await owner.ask("GET", "/jobs")
    shown = [await _shown(site, job_id) for job_id in job_ids]
    secrets = [*owner.secrets, site.environ["TIRO_SECRET_KEY"], *(one.signature for one in site.sink.sent)]
    secrets.append(await site.house.accounts.webhook_secret(site.account.account_id))
    canaries = [*CONTENT, SIGNATURE, TOKEN, ONCE, *secrets]
    assert await traces(site, job_ids, canaries) == set()
    # where a canary would have been found
    assert {place for _, place in await traces(site, job_ids, job_ids)} > {LOGS, ROWS}
    told = owner.told + "".join(shown) + "".join(one.body.decode() for one in site.sink.sent)
    assert not [canary for canary in canaries if canary in told]
    assert in_passing(site) == []
    assert not [pid for child in (worker, api) for pid in _dead(child)]
    seen(f"{len(canaries)} canaries, none found")
    for job_id in job_ids:
        await site.audit(job_id)


async def _submitted(site: Site, owner: Owner) -> list[str]:
    """Three jobs that have ended, their owner told."""
    scripts = {
        "/recording.wav": lambda visit: visit.answer(200, RECORDING, {"Content-Type": "audio/wav"}),
        "/gone.wav": lambda visit: visit.answer(404),
    }
    with ScriptedHttp(scripts) as web:
        common = {"language": "en", "webhook_url": f"{site.sink.url}?token={TOKEN}"}
        addresses = [web.url(f"{path}?signature={SIGNATURE}") for path in scripts]
        jobs = [
            (await owner.submit(0, files={"file": (f"{NAME}.wav", RECORDING)}, data=common), "completed"),
            (await owner.submit(1, json={**common, "source_url": addresses[0]}), "completed"),
            (await owner.submit(2, json={**common, "source_url": addresses[1]}), "failed"),
        ]
        for job_id, state in jobs:
            await site.ended(job_id, state)
            await site.delivered(job_id)
    return [job_id for job_id, _ in jobs]


async def _shown(site: Site, job_id: str) -> str:
    """What an operator sees of it."""
    child = site.processes.start("show", [sys.executable, "cli.py", "jobs", "show", job_id], site.environ)
    assert await child.ended() == 0, child.text
    assert job_id in child.text
    return child.text


def _dead(child: Child) -> list[int]:
    """Its children, and theirs, that have ended and that nobody has asked about."""
    dead, pids = [], [child.pid]
    while pids:
        pid = pids.pop()
        for task in Path(f"/proc/{pid}/task").iterdir():
            pids += map(int, (task / "children").read_text().split())
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            dead.append(pid)
    return dead
