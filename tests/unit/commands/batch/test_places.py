"""Names of results: safe, of one reference only, and the same at every call."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.batch.places import FORMATS, HIDDEN, REPORT, NotWritten, place_of, write_whole


@pytest.mark.parametrize("reference", ["episode_1", "a/b c/talk (2).mp3", "Übung", "日本.wav"])
def test_ordinary_names_stay_as_they_are(reference: str) -> None:
    assert str(place_of(reference, "txt")) == f"{reference}.txt"


@pytest.mark.parametrize(
    "reference",
    [
        "",
        ".",
        "..",
        "../x",
        "/etc/x",
        "a//b",
        "~",
        "con",
        "x.",
        " x",
        "a\nb",
        "a\\b",
        "report",
        "a.json/b",
        HIDDEN,
        "x" * 300,
    ],
)
def test_names_that_could_do_harm_get_others(reference: str) -> None:
    place = place_of(reference, "json")
    assert not place.is_absolute()
    assert not {"..", ".", ""} & set(place.parts)
    assert str(place) != REPORT
    assert str(place) != f"{reference}.json"
    assert all(len(part.encode()) < 255 for part in place.parts)


@given(st.sets(st.text("aA.~/\\ \njson", max_size=8), min_size=2, max_size=30))
def test_no_two_references_share_a_place_and_none_lies_where_another_has_a_folder(references: set[str]) -> None:
    places = [place_of(reference, form) for reference in references for form in FORMATS]
    assert len(set(places)) == len(places)
    assert not {parent for place in places for parent in place.parents} & set(places)


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(NotWritten, match="cannot be written"):
        write_whole(tmp_path / "taken" / "a.txt", b"x")
