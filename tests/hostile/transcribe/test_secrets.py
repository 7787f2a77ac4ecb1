"""Where do the names, words, addresses and keys of a batch turn up that goes wrong in parts? Not in a history, a log, a row or a file."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.acceptance.conftest import SiteMaker
from tests.acceptance.site import Site
from tests.acceptance.traces import ROWS, in_passing, traces
from tests.media_builder import numbered, wav
from tests.servers.scripted_http import ScriptedHttp, Visit
from tiro.adapters.temporal import names
from tiro.adapters.temporal.devserver import free_port

Note = Callable[[str], None]
REFERENCE = "patient-4711-smith"
NAME = "divorce-of-the-millers"
SIGNATURE = "sig-6f0d2c9a7711"
TOKEN = "hook-2b90cc13fe5a"
PROMPT = "Dr Strangelove of Aurora Labs"
FIRST_WORD = 700
SECONDS = 3
SAID = [f"w{n}" for n in range(FIRST_WORD, FIRST_WORD + 4 * SECONDS)]
KEPT = (PROMPT, ROWS)
"""The row of a job has its options in plain, for whoever works on it."""


class Owner:
    """Hands in a batch and follows it; keeps all links, and all that was answered but the result."""

    def __init__(self, site: Site, http: httpx2.AsyncClient) -> None:
        self.site, self._http = site, http
        self.links: list[str] = []

    async def said(self, method: str, path: str, body: object = None) -> Any:
        answer = await self._http.request(method, path, json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def batch(self, web: ScriptedHttp) -> str:
        """Two files that are brought, one of them none; two that are fetched, one of which is not there; one that leads inside."""
        places = [f"/{kind}.wav?signature={SIGNATURE}" for kind in ("there", "gone", "inside")]
        files = [
            *({"reference_id": f"{REFERENCE}-{n}", "filename": f"{NAME}-{n}.wav"} for n in range(2)),
            *({"reference_id": f"{REFERENCE}-{n}", "url": web.url(place)} for n, place in enumerate(places, start=2)),
        ]
        hook = web.url(f"/hook?token={TOKEN}")
        body = {"files": files, "webhook_url": hook, "initial_prompt": PROMPT, "language": "en"}
        told = await self.said("POST", "/v1/transcribe", body)
        for content, one in zip((_sound(0), b"no recording" * 99), told["uploads"], strict=True):
            self.links.append(one["upload"]["url"])
            answer = await self._http.put(one["upload"]["url"], content=content, headers={"Authorization": ""})
            assert answer.status_code == 200, answer.text
        # a link that is turned down is in no log either
        refused = await self._http.put(self.links[0] + "x", content=b"x")
        assert refused.status_code == 403
        await self.said("POST", f"/v1/transcribe/{told['job_id']}/upload-completed")
        return str(told["job_id"])


def _sound(number: int) -> bytes:
    return wav(numbered(SECONDS, first=FIRST_WORD + number * SECONDS))


def _scripts() -> dict[str, Callable[[Visit], None]]:
    return {
        "/there.wav": lambda visit: visit.answer(body=_sound(1), headers={"Content-Type": "audio/wav"}),
        "/gone.wav": lambda visit: visit.answer(404),
        "/inside.wav": lambda visit: visit.answer(302, headers={"Location": f"https://10.0.0.1/?s={SIGNATURE}"}),
        "/hook": lambda visit: visit.answer(500 if not visit.body else 200),
    }


@pytest.mark.hostile_input(57, "what a batch is called, holds, and is opened by", "in no log, history, row or file")
async def test_nothing_of_a_batch_that_goes_wrong_in_parts_is_anywhere_else(make_site: SiteMaker, seen: Note) -> None:
    """Processes say all they can, and the engine fails a call; the document alone has the names and the words."""
    base = f"http://127.0.0.1:{free_port()}"
    site = await make_site(TIRO_LOG="debug", TIRO_PUBLIC_URL=base)
    await site.house.wallets.credit(site.account.account_id, 5_000_000, "for the test")
    slips = site.folder / "slips"
    slips.mkdir()
    await site.working(slip=str(slips))
    await site.serving_at(base)
    headers = {"Authorization": f"Bearer {site.key}"}
    async with httpx2.AsyncClient(base_url=base, headers=headers, timeout=60, trust_env=False) as http:
        owner = Owner(site, http)
        with ScriptedHttp(_scripts()) as web:
            job_id = await owner.batch(web)
            await site.ended(job_id)
            await site.delivered(job_id)
            events = [visit for visit in web.visits if visit.path.startswith("/hook")]
        shown = await owner.said("GET", f"/v1/transcribe/{job_id}")
        document = await owner.said("GET", shown["result_url"])
    assert [item.get("code", "heard") for item in document["results"]] == [
        "heard",
        "failed_unsupported_batch_format",
        "heard",
        "failed_source_missing",
        "failed_import",
    ]
    await _check(site, job_id, [*_secrets(site, owner, shown["result_url"]), *_signatures(events)], seen)


def _secrets(site: Site, owner: Owner, result_url: str) -> list[str]:
    """What opens something: keys, and the words of links."""
    tokens = [url.rpartition("/")[2] for url in (*owner.links, result_url)]
    return [site.key, site.environ["TIRO_SECRET_KEY"], *tokens]


def _signatures(events: list[Visit]) -> list[str]:
    """And the halves of webhooks."""
    assert len(events) == 1
    return [value for name, value in events[0].headers.items() if name.endswith("signature")]


async def _check(site: Site, job_id: str, secrets: list[str], seen: Note) -> None:
    _, half = await site.house.signing.signer()
    canaries = [REFERENCE, NAME, SIGNATURE, TOKEN, PROMPT, *SAID, *secrets, half.hex(), base64.b64encode(half).decode()]
    assert await traces(site, [job_id], canaries) == {KEPT}
    # where a canary would have been found
    places = {place for _, place in await traces(site, [job_id], [job_id])}
    assert places >= {ROWS, names.batch_workflow_id(job_id, 1), names.page_workflow_id(job_id, 1, 0)}
    assert "DEBUG" in site.processes.said
    assert in_passing(site) == []
    seen(f"{len(canaries)} canaries, none found but the prompt in its job's row")
