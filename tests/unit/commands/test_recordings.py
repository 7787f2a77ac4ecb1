"""What is named on the command line becomes sources, and results go where they were asked for."""

from __future__ import annotations

import io
from pathlib import Path

import click
import pytest

from commands.recordings import Destination, Recording, destination_of, recordings_of, write


def _recording(stem: str = "talk") -> Recording:
    return Recording(f"{stem}.mp3", stem, None, None)


def test_files_addresses_and_standard_input_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "talk.mp3"
    file.write_bytes(b"x")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"from a pipe")))
    found = recordings_of([str(file), "https://h.example/a/show%201.mp3?sig=secret", "-"], tmp_path)
    assert [one.stem for one in found] == ["talk", "show 1", "stdin"]
    assert [one.file is None for one in found] == [False, True, False]
    assert found[2].file is not None
    assert found[2].file.read_bytes() == b"from a pipe"
    assert "secret" not in found[1].name


def test_two_recordings_of_one_name_get_two_results(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "talk.mp3").touch()
    found = recordings_of([str(tmp_path / name / "talk.mp3") for name in ("a", "b")], tmp_path)
    assert [one.stem for one in found] == ["talk", "talk-2"]


@pytest.mark.parametrize("source", ["missing.mp3", "."])
def test_what_is_no_file_is_refused_before_anything_starts(source: str, tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match="Name files"):
        recordings_of([source], tmp_path)


def test_one_text_goes_to_standard_output_and_several_to_this_folder(tmp_path: Path) -> None:
    assert destination_of(None, 1, ["txt"]).is_stdout
    assert destination_of(None, 1, ["docx"]) == Destination(folder=Path())
    assert destination_of(None, 1, ["txt", "srt"]) == Destination(folder=Path())
    assert destination_of(None, 2, ["txt"]) == Destination(folder=Path())
    assert destination_of(tmp_path / "a.txt", 1, ["txt"]) == Destination(file=tmp_path / "a.txt")
    assert destination_of(tmp_path, 1, ["txt"]) == Destination(folder=tmp_path)
    assert destination_of(tmp_path / "new", 2, ["txt"]) == Destination(folder=tmp_path / "new")


def test_several_results_do_not_fit_into_one_file(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.touch()
    with pytest.raises(click.UsageError, match="folder"):
        destination_of(file, 2, ["txt"])


def test_a_result_is_whole_or_not_there(tmp_path: Path) -> None:
    made = write(Destination(folder=tmp_path / "new"), _recording(), "srt", b"body")
    assert made == tmp_path / "new" / "talk.srt"
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["talk.srt"]
    assert made.read_bytes() == b"body"


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(click.ClickException, match="cannot be written"):
        write(Destination(folder=tmp_path / "file"), _recording(), "txt", b"")


def test_standard_output_ends_with_a_line(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert write(Destination(), _recording(), "txt", b"words") is None
    assert capsysbinary.readouterr().out == b"words\n"
