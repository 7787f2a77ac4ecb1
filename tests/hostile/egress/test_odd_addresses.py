"""Addresses that are made to keep yt-dlp's patterns busy: they cost two seconds of a child, and stop nobody else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tiro.adapters.egress.knowing import Knowing
from tiro.adapters.egress.patience import Patience
from tiro.model.errors import SourceRefused, Transient

YEARS = {
    "two unbounded repeats of one sign": "https://a.webex.com/b/ldr.php?" + "&" * 60,
    "a path of nothing but slashes": "https://tv2.no/v/" + "a/" * 60 + "x",
}


@pytest.fixture(scope="module")
def knowing() -> Knowing:
    return Knowing()


@pytest.mark.parametrize(
    "url",
    [
        pytest.param(url, marks=pytest.mark.hostile_input(44, f"patterns kept busy: {what}", "address_too_odd"))
        for what, url in YEARS.items()
    ],
)
def test_an_address_that_takes_years_to_read_is_refused(
    knowing: Knowing, url: str, seen: Callable[[str], None]
) -> None:
    """And the next one is answered as ever."""
    with pytest.raises(SourceRefused) as refused:
        knowing.knows(url, Patience(60))
    seen(str(refused.value.reason))
    assert refused.value.reason == "address_too_odd"
    assert knowing.knows("https://vimeo.com/12345", Patience(60))


def test_who_stops_waiting_leaves_no_answer_for_the_next(knowing: Knowing) -> None:
    """The child that is still busy with it goes, and what it started to say."""
    assert knowing.knows("https://vimeo.com/12345", Patience(60))
    stop = threading.Event()
    stop.set()
    with pytest.raises(Transient, match="no longer wanted"):
        knowing.knows("https://a.webex.com/b/ldr.php?" + "&" * 60, Patience(60, stop))
    assert not knowing.knows("https://example.com/recording.mp3", Patience(60))
    assert knowing.knows("https://vimeo.com/12345", Patience(60))


def test_the_child_goes_with_who_asked() -> None:
    """Nothing is left of it."""
    asking = Knowing()
    assert asking.knows("https://vimeo.com/12345", Patience(60))
    child = asking._child
    assert child is not None
    del asking
    assert not (Path("/proc") / str(child.pid)).exists()
