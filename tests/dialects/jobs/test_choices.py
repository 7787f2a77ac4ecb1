"""What can be asked for with a job: each field in each spelling, and what stands when it is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from api.config import RequestLimits
from api.dialects.jobs.translate import options_of
from api.dialects.jobs.wire import JobFields
from tests.servers.api import Api, ApiMaker
from tests.servers.audio import tone_wav
from tiro.model.languages import LANGUAGES
from tiro.model.plans import DEFAULT_PLANS, GIB, MIB
from tiro.model.request import JobOptions
from tiro.model.speech import EngineFacts
from tiro.services.house import House

SOURCE = "https://93.184.215.14/a.mp3"
DOCS = (Path(__file__).parents[3] / "docs/dialects/jobs.md").read_text()


async def _options(api: Api, **fields: object) -> JobOptions:
    answer = await api.http.post("/jobs", json={"source_url": SOURCE, **fields})
    assert answer.status_code == 202, answer.text
    return (await api.house.jobs.get(answer.json()["job_id"])).options


@pytest.mark.promise("J16")
@pytest.mark.parametrize(("text", "meant"), [("true", True), ("1", True), ("false", False), ("0", False)])
async def test_a_form_has_four_words_for_yes_and_no(api: Api, text: str, meant: bool) -> None:
    """Text is all that a form can send; a field that is not ours is passed over."""
    fields = {"source_url": (None, SOURCE), "diarize": (None, text), "colour": (None, "red")}
    answer = await api.http.post("/jobs", files=fields)
    assert answer.status_code == 202
    assert (await api.house.jobs.get(answer.json()["job_id"])).options.diarize is meant


@pytest.mark.promise("J16")
@pytest.mark.parametrize("text", ["", "yes", "2", "on"])
async def test_any_other_word_is_named(api: Api, text: str) -> None:
    answer = await api.http.post("/jobs", files={"source_url": (None, SOURCE), "diarize": (None, text)})
    assert (answer.status_code, answer.json()["error"], answer.json()["param"]) == (400, "invalid_request", "diarize")


@pytest.mark.promise("J16", "J17", "J27")
async def test_what_is_left_out_is_diarized_and_in_any_language(api: Api) -> None:
    left_out = await _options(api)
    assert (left_out.diarize, left_out.language) == (True, None)
    assert await _options(api, language="auto", diarize=True) == left_out
    assert (await _options(api, diarize=False)).diarize is False


@pytest.mark.promise("J27")
async def test_a_hundred_languages_can_be_asked_for(api: Api) -> None:
    """Each by its code."""
    assert len(LANGUAGES) == 100
    asked = {one: options_of(JobFields(source_url=SOURCE, language=one)).language for one in LANGUAGES}
    assert asked == {one: one for one in LANGUAGES}
    assert (await _options(api, language="yue")).language == "yue"


@pytest.mark.promise("J3", "J27")
async def test_what_no_engine_here_can_do_is_said_at_once(make_api: ApiMaker) -> None:
    """400 unsupported_language for a file and for an address, and nothing stays; the language may be left to an English-only chain."""

    def change(house: House) -> House:
        english = (EngineFacts("pocketsphinx", "pocketsphinx_en_us", frozenset({"en"}), detects=False),)
        house.intake._chain = english
        return house

    api = await make_api(change=change)
    by_address = await api.http.post("/jobs", json={"source_url": SOURCE, "language": "de"})
    by_file = await api.http.post("/jobs", files={"file": ("a.wav", tone_wav(1.0))}, data={"language": "de"})
    for answer in (by_address, by_file):
        assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_language")
        assert answer.json()["param"] == "language"
    assert list(api.house.blobs.list("jobs/")) == []
    assert await _options(api)
    assert await _options(api, language="en")


@pytest.mark.promise("J36")
@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://93.184.215.14/hook", "scheme"),
        ("https://user:sesame@93.184.215.14/hook", "credentials"),
        ("https://10.1.2.3/hook", "forbidden_address"),
        ("https://[::1]/hook", "forbidden_address"),
        ("https://93.184.215.14/" + "h" * (2049 - 22), "url_too_long"),
        ("ftp://93.184.215.14/hook", "scheme"),
        ("", "scheme"),
        ("hook", "scheme"),
    ],
)
async def test_an_address_that_may_not_be_called_is_refused(api: Api, address: str, reason: str) -> None:
    """400 invalid_webhook_url in a form as in JSON, without the address in the answer."""
    by_json = await api.http.post("/jobs", json={"source_url": SOURCE, "webhook_url": address})
    by_form = await api.http.post("/jobs", files={"source_url": (None, SOURCE), "webhook_url": (None, address)})
    for answer in (by_json, by_form):
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_webhook_url")
        assert (answer.json()["param"], answer.json()["reason"]) == ("webhook_url", reason)
        assert "sesame" not in answer.text


@pytest.mark.promise("J36")
async def test_an_address_of_2048_characters_is_called(api: Api) -> None:
    await _options(api, webhook_url="https://93.184.215.14/" + "h" * (2048 - 22))


@pytest.mark.promise("J11")
@pytest.mark.parametrize("limits", [RequestLimits(glance_s=0.0), RequestLimits(glance_bytes=10)])
async def test_what_cannot_be_seen_in_time_is_taken(make_api: ApiMaker, limits: RequestLimits) -> None:
    """Silence would be refused; a look that takes longer than its seconds, or at a larger file, is left to the workers."""
    api = await make_api(limits=limits)
    answer = await api.http.post("/jobs", files={"file": ("a.wav", tone_wav(2.0, level=0.0))})
    assert answer.status_code == 202


@pytest.mark.promise("J11")
def test_a_look_lasts_two_seconds_at_most() -> None:
    assert (RequestLimits().glance_s, RequestLimits().glance_bytes) == (2.0, 16 * MIB)


@pytest.mark.promise("J19", "J20")
def test_the_plans_are_those_that_are_documented() -> None:
    """Sizes in powers of two, durations, slots, minutes and the price of a minute beyond: the table, row by row."""
    rows = re.findall(r"^\| (free|payg|pro|business) \| (.*) \|$", DOCS, re.MULTILINE)
    shown = {name: [cell.strip() for cell in rest.split("|")] for name, rest in rows}
    assert list(shown) == [plan.name for plan in DEFAULT_PLANS]
    for plan in DEFAULT_PLANS:
        size = f"{plan.max_bytes // GIB} GiB" if plan.max_bytes >= GIB else f"{plan.max_bytes // MIB} MiB"
        hours = plan.max_duration_s // 3600
        price = plan.overage_micros_per_minute
        assert shown[plan.name] == [
            size,
            f"{hours} h" if hours else f"{plan.max_duration_s // 60} min",
            str(plan.max_jobs),
            f"{plan.minutes_month:,}",
            "-" if price is None else f"${price / 1_000_000:.2f} a minute",
        ]
    assert [plan.max_bytes for plan in DEFAULT_PLANS] == [104_857_600, 2 * GIB, 2_147_483_648, 5_368_709_120]


@pytest.mark.promise("J19")
async def test_an_address_with_too_much_behind_it_fails_late_with_the_same_codes(api: Api) -> None:
    """Bytes: 413 with the limit; seconds: 415 with the reason."""
    large, long = [await api.submit() for _ in range(2)]
    await api.fail(large, "file_too_large", limit_bytes=104_857_600)
    await api.fail(long, "invalid_audio", "duration_exceeds_limit")
    first, second = [await api.http.get(f"/jobs/{job_id}/transcript") for job_id in (large, long)]
    assert (first.status_code, first.json()["error"], first.json()["limit_bytes"]) == (
        413,
        "file_too_large",
        104_857_600,
    )
    assert (second.status_code, second.json()["reason"]) == (415, "duration_exceeds_limit")
