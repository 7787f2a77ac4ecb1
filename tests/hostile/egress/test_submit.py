"""Is an address that may not be reached refused when it is handed in, in the words of the API, and kept out of the log?"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from commands.logs import set_up_logging
from tests.hostile.egress.conftest import made_once
from tests.hostile.egress.test_addresses import NO_ADDRESSES, SPELLINGS
from tests.servers.api import Api, apis

HOST = "93.184.215.14"
ODD = {
    f"http://{HOST}/a": "scheme",
    f"ftp://{HOST}/a": "scheme",
    "file:///etc/passwd": "scheme",
    "file://localhost/etc/passwd": "scheme",
    "gopher://127.0.0.1:6379/_FLUSHALL": "scheme",
    "data:audio/mpeg;base64,AAAA": "scheme",
    "javascript:alert(1)": "scheme",
    "jar:https://93.184.215.14/a!/b": "scheme",
    "//93.184.215.14/a": "scheme",
    "93.184.215.14/a": "scheme",
    "/etc/passwd": "scheme",
    "": "scheme",
    "https:": "malformed_url",
    "https://": "malformed_url",
    "https:///a": "malformed_url",
    "https:/93.184.215.14/a": "malformed_url",
    "https:93.184.215.14": "malformed_url",
    f"https://{HOST}/" + "a" * 10_240: "url_too_long",
    f"https://{HOST}/a\r\nHost: 127.0.0.1": "malformed_url",
    f"https://{HOST}/a\n": "malformed_url",
    "https://93.184\t.215.14/a": "malformed_url",
    f"ht\ttps://{HOST}/a": "malformed_url",
    f" https://{HOST}/a": "malformed_url",
    f"https://{HOST} /a": "malformed_url",
    f"https:\\\\{HOST}\\a": "malformed_url",
    f"https://{HOST}\\.example/": "malformed_url",
    f"https://{HOST}\u2028/": "malformed_url",
    f"https://{HOST}\u2100example/": "malformed_url",
    f"https://{HOST}%0d%0aHost:127.0.0.1/": "malformed_url",
    f"https://{HOST}:0/": "malformed_url",
    f"https://{HOST}:65536/": "malformed_url",
    f"https://{HOST}:-1/": "malformed_url",
    f"https://{HOST}:443:443/": "malformed_url",
    "https://" + "a" * 255 + "/": "malformed_url",
    f"HTTPS://{HOST}/a?b=%0d%0a#c": "accepted",
}
NAMED = {
    f"https://user:sesame@{HOST}/": "credentials",
    f"https://sesame@{HOST}/": "credentials",
    f"https://:sesame@{HOST}/": "credentials",
    f"https://@{HOST}/?sesame": "credentials",
    f"https://user:sesame%40x@{HOST}/": "credentials",
    f"https://{HOST}:sesame@127.0.0.1/": "credentials",
    f"https://{HOST}#sesame@127.0.0.1/": "credentials",
    f"https://127.0.0.1\\sesame@{HOST}/": "malformed_url",
    f"https://user:sesame@{HOST}:x/": "malformed_url",
    f"https://{HOST}/a?key=sesame&x=@127.0.0.1": "accepted",
}
LONG = f"https://{HOST}/".ljust(8192, "a")
"""As signed addresses of recordings are; a webhook's is 2,048 at most."""
CLOSED = {
    **dict.fromkeys((f"https://{host}/a" for host in SPELLINGS), "forbidden_address"),
    **dict.fromkeys((f"https://{host}/a" for host in NO_ADDRESSES), "malformed_url"),
}
CASES = [
    (number, field, url, reason)
    for number, table in ((44, ODD), (45, NAMED), (46, CLOSED))
    for url, reason in table.items()
    for field in ("source_url", "webhook_url")
] + [
    (44, "source_url", LONG, "accepted"),
    (44, "webhook_url", LONG, "url_too_long"),
]


class Answer(msgspec.Struct):
    """What POST /jobs answered to a URL in one of its fields."""

    status: int
    text: str
    said: dict[str, Any]


class Answers(msgspec.Struct):
    """By field, form of the request and URL; and all that was logged meanwhile."""

    given: dict[str, Answer]
    log: str


@contextlib.contextmanager
def _logged() -> Iterator[io.StringIO]:
    """What a server started with TIRO_LOG=debug writes."""
    root, written = logging.getLogger(), io.StringIO()
    before, level = root.handlers[:], root.level
    set_up_logging("debug")
    logging.StreamHandler.setStream(root.handlers[0], written)
    try:
        yield written
    finally:
        root.handlers[:] = before
        root.setLevel(level)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory, api_database: Path) -> Answers:
    """One server, asked for every case once."""

    def make(folder: Path) -> bytes:
        with _logged() as written:
            given = asyncio.run(_ask(folder, api_database))
            logging.getLogger("tiro").warning("heard")
        return msgspec.json.encode(Answers(given, written.getvalue()))

    return msgspec.json.decode(made_once(tmp_path_factory, "submitted", make), type=Answers)


async def _ask(folder: Path, template: Path) -> dict[str, Answer]:
    async with apis(folder, template) as make:
        api = await make()
        return {
            f"{field} {form} {url}": await _answer(api, field, url, form)
            for _, field, url, _ in CASES
            for form in ("json", "form")
        }


async def _answer(api: Api, field: str, url: str, form: str) -> Answer:
    fields = {"source_url": f"https://{HOST}/a"} | {field: url}
    if form == "json":
        answer = await api.http.post("/jobs", json=fields)
    else:
        answer = await api.http.post("/jobs", files={name: (None, value) for name, value in fields.items()})
    return Answer(answer.status_code, answer.text, answer.json())


def _id(number: int, field: str, url: str) -> str:
    return f"{number}-{field}-{url[:80]}".encode("ascii", "backslashreplace").decode()


def _what(field: str, url: str) -> str:
    return f"{field} {url!r}" if len(url) < 100 else f"{field} of {len(url)} characters"


@pytest.mark.parametrize(
    ("field", "url", "expected"),
    [
        pytest.param(
            field, url, reason, id=_id(number, field, url),
            marks=pytest.mark.hostile_input(number, _what(field, url), reason),
        )
        for number, field, url, reason in CASES
    ],
)  # fmt: skip
def test_an_address_is_judged_when_it_is_handed_in(field: str, url: str, expected: str, answers: Answers, seen) -> None:
    """400 with the field and the reason, in JSON as in a form; the address itself is not repeated."""
    found = [answers.given[f"{field} {form} {url}"] for form in ("json", "form")]
    words = [answer.said.get("reason", "accepted") for answer in found]
    seen(" and ".join(dict.fromkeys(words)))
    assert words == [expected, expected]
    for answer in found:
        if expected == "accepted":
            assert answer.status == 202
        else:
            assert (answer.status, answer.said["error"]) == (400, f"invalid_{field}")
            assert answer.said["param"] == field
            assert "sesame" not in answer.text


@pytest.mark.hostile_input(45, "a password in an address", "not logged")
def test_no_password_and_no_query_is_logged(answers: Answers, seen) -> None:
    """Not even by a server that writes down all it can."""
    assert "heard" in answers.log
    seen("not logged" if "sesame" not in answers.log else "logged")
    assert "sesame" not in answers.log
