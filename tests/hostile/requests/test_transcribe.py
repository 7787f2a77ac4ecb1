"""What strangers send to the transcribe API's one call that waits: refused in its words, flat, and nothing stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from api.config import RequestLimits
from tests.dialects.transcribe.calling import PATH, funded, jobs
from tests.hostile.fuzz.effort import effort
from tests.hostile.requests.bodies import BROKEN_FORMS, DEEP, FORM, HEAD, NO_JSON, TAIL, field
from tests.hostile.requests.sending import dripped, request_head, status_of
from tests.servers.api import Api, ApiMaker, apis
from tests.servers.audio import tone_wav
from tiro.model.ids import is_id

Note = Callable[[str], None]
NO_FILE = ("no file", "no part", "a text field named file", "a part without a name", "a part header that is no UTF-8")
CODES = {**dict.fromkeys(NO_FILE, "missing_file"), "a file and an address": "invalid_file_metadata"}
"""Of forms that are whole; the others are `invalid_form_data`. The address is another dialect's field, and the file no audio."""
TAKES_JSON = (PATH, "/v1/jobs", "/v1/add-funds")


def hostile(number: int, what: str, value: object, expected: str) -> Any:
    return pytest.param(value, marks=pytest.mark.hostile_input(number, f"transcribe: {what}", expected), id=what)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lasting(tmp_path_factory: pytest.TempPathFactory, api_database: Path) -> AsyncIterator[Api]:
    """Asked as often as these tests like, and nobody waits long."""
    folder = tmp_path_factory.mktemp("lasting")
    plans = folder / "plans.toml"
    plans.write_text("[plans.business]\nrequests_minute = 100000\nmax_awaiting = 100000\n")
    async with apis(folder, api_database) as make:
        yield await funded(await make(limits=RequestLimits(wait_s=0.01), environ={"TIRO_PLANS": str(plans)}))


async def _nothing_stays(api: Api) -> None:
    """No object, no job, no open upload: also a moment after the connection is gone."""
    async with asyncio.timeout(5):
        while True:
            async with api.house.records.begin() as tx:
                open_uploads = await tx.jobs.stale_uploads(api.house.clock.now())
            if not [*api.house.blobs.list("jobs/"), *open_uploads]:
                break
            await asyncio.sleep(0.05)
    assert await jobs(api) == []


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "what", [hostile(28, what, what, f"400 {CODES.get(what, 'invalid_form_data')}") for what in BROKEN_FORMS]
)
async def test_a_broken_form_is_a_400(lasting: Api, seen: Note, what: str) -> None:
    """At once, or after all of it: by its code, flat, and with nothing left."""
    body = BROKEN_FORMS[what]
    answer = await lasting.raw(request_head(lasting.key, PATH, length=len(body)) + body)
    told = msgspec.json.decode(answer.partition(b"\r\n\r\n")[2])
    seen(f"{status_of(answer)} {told['code']}")
    assert (status_of(answer), told["code"]) == (400, CODES.get(what, "invalid_form_data"))
    assert isinstance(told["error"], str)
    await _nothing_stays(lasting)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    "body",
    [
        *(hostile(33, what, body, "400 invalid_json") for what, body in DEEP.items()),
        *(hostile(34, what, body, "400 invalid_json") for what, body in NO_JSON.items()),
    ],
)
async def test_what_is_no_json_object_is_a_400(lasting: Api, seen: Note, body: bytes) -> None:
    """At every route that takes JSON without an id."""
    headers = {"Content-Type": "application/json"}
    answers = [await lasting.http.post(path, content=body, headers=headers) for path in TAKES_JSON]
    told = {(answer.status_code, answer.json()["code"]) for answer in answers}
    seen(", ".join(f"{status} {code}" for status, code in told))
    assert told == {(400, "invalid_json")}
    assert all(is_id("req", answer.headers["x-request-id"]) for answer in answers)
    await _nothing_stays(lasting)


@pytest.mark.parametrize("cut", [0, 10, len(HEAD), len(HEAD) + 5_000])
@pytest.mark.hostile_input(28, "transcribe: a client that goes away in the middle", "nothing stays")
async def test_a_connection_that_breaks_leaves_nothing(api: Api, seen: Note, cut: int) -> None:
    body = HEAD + tone_wav(1.0) + TAIL
    _, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(request_head(api.key, PATH, length=len(body)) + body[:cut])
    await writer.drain()
    await asyncio.sleep(0.2)
    writer.transport.abort()
    await _nothing_stays(api)
    seen("nothing stays")


@pytest.mark.parametrize("length", [20_000, None], ids=["length", "chunked"])
@pytest.mark.hostile_input(29, "transcribe: a body of a few bytes at a time", "408, then closed")
async def test_a_slow_body_is_ended(make_api: ApiMaker, seen: Note, length: int | None) -> None:
    """Flat, and nothing of it is kept."""
    api = await make_api(limits=RequestLimits(window_s=0.5, window_bytes=10_000))
    first, drip = (HEAD, b"x") if length else (b"%x\r\n%b\r\n" % (len(HEAD), HEAD), b"1\r\nx\r\n")
    answer = await dripped(api.port, request_head(api.key, PATH, length=length) + first, drip, within_s=10)
    seen(f"{status_of(answer)}, closed")
    assert status_of(answer) == 408
    assert b'"code":"request_timeout"' in answer
    await _nothing_stays(api)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.hostile_input(28, "transcribe: any text in any field", "400 invalid_request_options, or taken as it is")
async def test_whatever_a_field_holds_it_is_refused_or_means_itself(lasting: Api, seen: Note) -> None:
    """Texts of all kinds in the fields of the form: never a 5xx, and what is taken is what was sent."""
    names = st.sampled_from(
        ["model", "language", "task", "vad_filter", "initial_prompt", "vtt_granularity", "exclude", "reference_id",
         "webhook_url", "url"]
    )  # fmt: skip
    likely = st.sampled_from(
        ["en", "jv", "True", "0", "word", "translate", "billing,vtt", "whisper-1", "null", "[]", "{}"]
    )
    texts = st.one_of(likely, st.text(max_size=200), st.text(alphabet="\r\n\t -.:/%,;\"'", max_size=40))
    loop, tried = asyncio.get_running_loop(), 0

    async def send(fields: dict[str, str]) -> None:
        nonlocal tried
        tried += 1
        parts = b"\r\n".join(field(name, text.encode("utf-8", "replace")) for name, text in fields.items())
        body = parts + (b"\r\n" if parts else b"") + HEAD + b"no audio" + TAIL
        answer = await lasting.http.post(PATH, content=body, headers={"Content-Type": FORM})
        assert answer.status_code == 400, (answer.status_code, fields)
        assert answer.json()["code"] in {"invalid_request_options", "invalid_form_data", "invalid_file_metadata"}

    @effort(60)
    @given(st.dictionaries(names, texts, max_size=6))
    def attempt(fields: dict[str, str]) -> None:
        asyncio.run_coroutine_threadsafe(send(fields), loop).result(timeout=30)

    await asyncio.to_thread(attempt)
    seen(f"400, {tried} times")
    await _nothing_stays(lasting)
