"""Result documents are read recording by recording, whatever is said in them and wherever a piece of the file ends."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands.batch.documents import NotADocument, items_of


def read(file: Path, text: str) -> list[dict[str, object]]:
    file.write_text(text, encoding="utf-8")
    return [item.fields for item in items_of(file)]


@settings(deadline=None)
@given(
    said=st.lists(st.text(st.sampled_from('a"\\]}{[,é日\n'), max_size=30), max_size=5),
    padding=st.integers(65_400, 65_560),
    indent=st.sampled_from([None, 1]),
)
def test_what_was_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, said: list[str], padding: int, indent: int | None
) -> None:
    """Text that looks like JSON, around the place where the reader takes its next piece."""
    wanted = [{"reference_id": str(n), "text": text, "pad": "x" * padding} for n, text in enumerate(said)]
    text = json.dumps(
        {"job_id": '"results":[', "status": "completed", "results": wanted}, indent=indent, ensure_ascii=False
    )
    assert read(tmp_path_factory.mktemp("document") / "d.json", text) == wanted


def test_a_document_of_one_recording_is_that_recording(tmp_path: Path) -> None:
    assert read(tmp_path / "d.json", '{"job_id": "job_1", "text": "\\"results\\":[1]"}')[0]["job_id"] == "job_1"


@pytest.mark.parametrize(
    "text", ['{"results":[{"text":"cut', '{"results":[{}, ', '{"results":[1]}', "", "<html>", '{"a":']
)
def test_what_is_cut_off_or_something_else_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(NotADocument):
        read(tmp_path / "d.json", text)


def test_a_document_of_many_recordings_is_never_held_whole(tmp_path: Path) -> None:
    file = tmp_path / "d.json"
    item = json.dumps({"text": "x" * 20_000})
    with file.open("w") as out:
        out.write('{"results":[' + ",".join([item] * 2_000) + "]}")
    tracemalloc.start()
    try:
        assert sum(1 for _ in items_of(file)) == 2_000
        assert tracemalloc.get_traced_memory()[1] < file.stat().st_size / 10
    finally:
        tracemalloc.stop()
