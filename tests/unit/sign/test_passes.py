"""Does a link allow what was signed, until its moment, and nothing else?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tiro.model.errors import Permanent
from tiro.sign.passes import PREFIX, RESULTS_LIVE, Pass, Passes, moment

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PASSES = Passes(b"k" * 32, "https://tiro.example/")
BASE = f"https://tiro.example{PREFIX}/"
PUT = Pass(deed="put", subject="jobs/job_1/source", until=moment(NOW + timedelta(hours=1)), size_bytes=5)


def token(allowed: Pass = PUT, passes: Passes = PASSES) -> str:
    return passes.url(allowed).removeprefix(BASE)


def refused(text: str, now: datetime = NOW, passes: Passes = PASSES) -> str:
    with pytest.raises(Permanent) as caught:
        passes.read(text, now)
    return caught.value.code


@pytest.mark.parametrize(
    "allowed",
    [
        PUT,
        Pass(deed="put", subject="jobs/b/files/00007/source", until=PUT.until, media_type="audio/x-\u00e9"),
        Pass(deed="part", subject="jobs/b/source", until=PUT.until, upload_id="4~VJ", number=7, at_most_bytes=9),
        Pass(deed="read", subject="job_1", until=PUT.until),
    ],
)
def test_a_pass_comes_back_as_it_was_given(allowed: Pass) -> None:
    """Another process with the same key reads it, from one segment of a path."""
    assert "/" not in token(allowed)
    assert Passes(b"k" * 32, "http://elsewhere").read(token(allowed), NOW) == allowed


def test_every_sign_of_it_counts() -> None:
    """Wherever it is changed, cut or made longer."""
    whole = token()
    for at in range(len(whole) - 1):
        assert refused(whole[:at] + ("A" if whole[at] != "A" else "B") + whole[at + 1 :]) == "invalid_link"
    for other in (whole[:-4], whole + "AAAA", "", "x", "\u00e9" * 40, "=" * 80, "A" * 5000):
        assert refused(other) == "invalid_link"


def test_another_key_signs_other_links() -> None:
    """A server's links end with its secret."""
    assert refused(token(passes=Passes(b"x" * 32, "https://tiro.example"))) == "invalid_link"


def test_it_ends_with_its_moment() -> None:
    """To the second."""
    until = datetime.fromtimestamp(PUT.until, UTC)
    assert PASSES.read(token(), until - timedelta(microseconds=1)) == PUT
    assert refused(token(), until) == "link_expired"


@pytest.mark.promise("T25")
def test_a_result_can_be_had_for_seven_days() -> None:
    """The same moment gives the same address, so that a repeated event has the same bytes."""
    url = PASSES.result_url("job_1", NOW)
    assert url == PASSES.result_url("job_1", NOW)
    read = PASSES.read(url.removeprefix(BASE), NOW + RESULTS_LIVE - timedelta(seconds=1))
    assert (read.deed, read.subject, timedelta(days=7)) == ("read", "job_1", RESULTS_LIVE)
