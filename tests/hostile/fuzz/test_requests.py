"""What a request may hold: bytes of a form however they are cut, JSON, texts of a query, tokens. Understood, or refused in our words."""

from __future__ import annotations

import asyncio
import base64
import json
import string
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

import jwt
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from litestar import Request

from api.body import decode_object
from api.config import RequestLimits
from api.dialects.jobs import translate
from api.identity import Identity
from api.multipart import Form, FormLimits, receive_form
from api.once import fingerprint
from tests.hostile.fuzz.effort import effort
from tests.servers.databases import SteppedClock
from tiro.adapters.storage.memory import MemoryBlobs
from tiro.model.errors import Invalid, TooLarge, Unauthenticated

KEY = b"k" * 64
LIMITS = FormLimits(max_file_bytes=5_000, request=RequestLimits(text_bytes=1_000, parts=8))
BOUNDARY = "b"
NAMES = st.sampled_from(["file", "source_url", "diarize", "language", "", "x" * 70, "ä", "a\\"])
HEADERS = st.sampled_from(
    [
        'Content-Disposition: form-data; name="file"; filename="a.mp3"',
        "Content-Disposition: form-data; name=\"file\"; filename*=utf-8''a.mp3",
        'Content-Disposition: form-data; name="language"',
        "Content-Disposition: form-data",
        "Content-Disposition: attachment",
        "Content-Type: audio/mpeg",
        "Content-Type: text/plain; charset=utf-16",
        "Content-Transfer-Encoding: base64",
        "Content-Length: 3",
        "X: " + "y" * 9_000,
        "no header",
        ": ",
    ]
)
CONTENT = st.one_of(
    st.text(max_size=20).map(str.encode),
    st.sampled_from([b"", b"en", b"\r\n--b", b"\r\n--", b"\r", b"\0", b"\xff", b"z" * 900, b"z" * 6_000]),
)


ENDS = st.sampled_from([*[b"--b--\r\n"] * 5, b"--b--", b"--b--\r\nmore", b"--b\r\n", b""])
DAMAGE = st.one_of(st.binary(max_size=5), st.sampled_from([b"--b", b"\r\n", b"\r"]))


@st.composite
def parts(draw: st.DrawFn) -> bytes:
    """One part, mostly as it should be."""
    named = f'Content-Disposition: form-data; name="{draw(NAMES)}"' + draw(st.sampled_from(["", '; filename="f"']))
    odd = draw(st.lists(HEADERS, max_size=2)) if draw(st.integers(0, 4)) == 4 else []
    return b"--b\r\n" + "\r\n".join([*odd[:1], named, *odd[1:]]).encode() + b"\r\n\r\n" + draw(CONTENT) + b"\r\n"


@st.composite
def forms(draw: st.DrawFn) -> bytes:
    """A form, now and then with bytes lost and put in; or no form at all."""
    whole = (
        draw(st.sampled_from([b"", b"", b"", b"\r\n", b"x\r\n"]))
        + b"".join(draw(st.lists(parts(), max_size=4)))
        + draw(ENDS)
    )
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        at, lost = draw(st.integers(0, len(whole))), draw(st.integers(0, 5))
        whole = whole[:at] + draw(DAMAGE) + whole[at + lost :]
    return draw(st.binary(max_size=200)) if draw(st.integers(0, 9)) == 9 else whole


def cut(body: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[start:end] for start, end in pairwise(edges)]


def received(chunks: Sequence[bytes], content_type: str = "multipart/form-data; boundary=b") -> Form | str:
    """The form, or that it is refused; what was refused has left nothing."""
    blobs = MemoryBlobs(SteppedClock())

    async def receive_all() -> Form:
        coming = iter([*({"body": chunk, "more_body": True} for chunk in chunks), {"body": b"", "more_body": False}])

        async def receive() -> Any:
            return {"type": "http.request", **next(coming)}

        async def open_writer() -> Any:
            return blobs.writer("x/file")

        scope: Any = {"type": "http", "method": "POST", "headers": [(b"content-type", content_type.encode("latin-1"))]}
        return await receive_form(Request(scope, receive=receive), LIMITS, open_writer)

    try:
        form = asyncio.run(receive_all())
    except (Invalid, TooLarge):
        assert list(blobs.list("x/")) == []
        return "refused"
    assert (form.file is not None) == (blobs.head("x/file") is not None)
    return form


@effort(120)
@given(forms(), st.lists(st.integers(0, 1 << 20), max_size=6))
def test_a_form_says_the_same_however_it_is_cut(body: bytes, places: list[int]) -> None:
    """In one piece, in a few, and byte by byte: the same fields and the same file, or refused each time.

    Line feeds alone are left out: in a part's header the parser takes one where the whole line comes in one piece.
    """
    assume(b"\n" not in body.replace(b"\r\n", b""))
    whole = received([body])
    assert received(cut(body, places)) == whole
    if len(body) < 300:
        assert received(cut(body, range(len(body)))) == whole


@effort(100)
@given(
    st.one_of(
        st.text(st.characters(max_codepoint=255), max_size=80),
        st.text("bou=\"; \\'*", max_size=40).map("multipart/form-data; boundary={}".format),
    )
)
def test_any_content_type_is_a_form_s_or_refused(content_type: str) -> None:
    received([b"--b--\r\n"], content_type)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
FIELDS = st.dictionaries(
    st.sampled_from(["source_url", "diarize", "language", "webhook_url", "more"]), JSON, max_size=5
)
BODIES = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200).map(str.encode),
    FIELDS.map(lambda value: json.dumps(value).encode()),
    JSON.map(lambda value: json.dumps({"diarize": value}).encode("utf-16")),
    st.integers(1, 60).map(lambda deep: b'{"a":' * deep + b"0" + b"}" * deep),
    st.integers(1, 400).map(lambda digits: b'{"diarize":' + b"9" * digits + b"}"),
)


@effort(300)
@given(BODIES)
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b'{"diarize":' + b"9" * 100_000 + b"}")
@example(b'{"diarize":1e999999}')
def test_any_body_is_an_object_of_32_levels_or_refused(body: bytes) -> None:
    """And its fields are ours or refused; what is taken can be told apart from other requests."""
    try:
        values = decode_object(body, 32)
        fields = translate.fields_of(values, form=False)
        translate.options_of(fields)
    except Invalid as refused:
        said = refused.code
    else:
        said = fingerprint(fields)
    assert said in {"invalid_json", "invalid_request", "invalid_language"} or len(said) == 64


CURSOR_TIMES = ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-01-01T00:00:00", "2026-01-01T00:00:00Z"]


def cursor(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


MOMENTS = st.one_of(
    st.text(max_size=30),
    st.text(string.digits + "-+:.TZ eE", max_size=30),
    st.floats(allow_nan=True).map(repr),
    st.integers().map(str),
    st.datetimes().map(lambda moment: f"{moment.isoformat()}+14:00"),
    st.sampled_from(CURSOR_TIMES),
)
CURSORS = st.one_of(
    st.text(max_size=60),
    JSON.map(cursor),
    st.tuples(MOMENTS, st.sampled_from(["job_01ARZ3NDEKTSV4RRFFQ69G5FAV", "x"])).map(cursor),
)
QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "status": st.text(max_size=12),
        "limit": st.text(max_size=5),
        "since": MOMENTS,
        "cursor": CURSORS,
        "accept_overage": st.text(max_size=5),
    },
)


@effort(400)
@given(QUERIES)
@example({"since": "9" * 400})
@example({"since": "1e400"})
@example({"since": CURSOR_TIMES[0]})
@example({"cursor": cursor([CURSOR_TIMES[0], "job_01ARZ3NDEKTSV4RRFFQ69G5FAV"])})
@example({"cursor": cursor([CURSOR_TIMES[1], "job_01ARZ3NDEKTSV4RRFFQ69G5FAV"])})
def test_any_query_is_a_page_or_refused(query: dict[str, str]) -> None:
    """A moment that is taken is one in UTC."""
    try:
        translate.flag_of(query, "accept_overage")
        asked = translate.page_query_of(query)
    except Invalid as refused:
        asked, wrong = None, refused.extras["param"]
    else:
        wrong = None
    if asked is None:
        assert wrong in query
    else:
        assert 1 <= asked.limit <= 200
        assert {moment.utcoffset() for moment in (asked.since, asked.after and asked.after[0]) if moment} <= {
            timedelta(0)
        }


@effort(100)
@given(st.text(max_size=40))
def test_any_id_is_a_job_s_or_unknown(text: str) -> None:
    assert translate.job_id_of(text) in {None, text}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


SEGMENTS = st.one_of(
    st.binary(max_size=60), JSON.map(lambda value: json.dumps(value).encode()), st.just(b'{"alg":"HS256","typ":"JWT"}')
)
FORGED = st.lists(SEGMENTS.map(b64), min_size=1, max_size=5).map(".".join)
CLAIMS = st.dictionaries(
    st.sampled_from(["iss", "aud", "account", "key", "typ", "iat", "nbf", "exp", "family", "generation", "more"]),
    st.one_of(JSON, st.sampled_from(["tiro", "tiro-api", "refresh", "access", 1e30, -1])),
)


def refused_token(token: str) -> None:
    """Nobody is looked up for it: this identity knows no accounts."""
    nobody: Any = None
    with pytest.raises(Unauthenticated) as refused:
        asyncio.run(Identity(nobody, nobody, SteppedClock(), KEY).refresh(token))
    assert refused.value.code == "invalid_refresh_token"


@pytest.mark.hostile_input(52, "tokens made of anything", "invalid_refresh_token")
def test_no_token_of_strangers_is_taken(seen: Callable[[str], None]) -> None:
    @effort(300)
    @given(st.one_of(st.text(max_size=200), FORGED))
    @example(b64(b"[" * 3_000) + ".e30.e30")
    @example(b64(b'{"a":' * 600) + ".e30.e30")
    @example(b64(b'{"alg":"HS256","crit":["b64"],"b64":false}') + ".e30.e30")
    @example("\ud800.\ud800.\ud800")
    @example("." * 4_000)
    def any_token(token: str) -> None:
        refused_token(token)

    any_token()
    seen("invalid_refresh_token")


@effort(100)
@given(CLAIMS)
def test_a_token_of_ours_that_says_something_else_is_refused(claims: dict[str, Any]) -> None:
    """As one from a later or an earlier version would."""
    refused_token(jwt.PyJWS().encode(json.dumps(claims).encode(), KEY, algorithm="HS256"))
