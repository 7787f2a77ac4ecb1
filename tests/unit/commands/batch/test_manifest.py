"""What a list or a folder names becomes entries, or is refused line by line before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands.batch.manifest import BadManifest, Entry, entries_of


@pytest.fixture
def room(tmp_path: Path) -> Path:
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"sound")
    return tmp_path


def listed(room: Path, text: str | bytes, name: str = "list.csv") -> list[Entry]:
    source = room / name
    source.write_bytes(text if isinstance(text, bytes) else text.encode())
    return entries_of(source)[0]


def refused(room: Path, text: str | bytes, name: str = "list.csv") -> list[str]:
    with pytest.raises(BadManifest) as wrong:
        listed(room, text, name)
    first, *lines = wrong.value.message.split("\n")
    assert first.endswith("cannot be used; nothing was sent.")
    return [line.strip() for line in lines]


def test_columns_may_stand_in_any_order_and_names_default_to_what_is_named(room: Path) -> None:
    text = "language,FILE,url,reference_id\nen,a.wav,,one\n,b.wav,,\n,,https://h.example/x/c.mp3?signature=secret,\n"
    one, two, three = listed(room, text)
    assert (one.reference, one.file, one.language, one.line) == ("one", (room / "a.wav").resolve(), "en", 2)
    assert (two.reference, two.language, two.size_bytes) == ("b.wav", None, 5)
    assert (three.reference, three.url) == ("c.mp3", "https://h.example/x/c.mp3?signature=secret")


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbfreference_id,file\r\n1,a.wav\r\n\r\n2,b.wav",
        b"reference_id;file\n1;a.wav\n2;b.wav\n",
        b'reference_id, file\n"1","a.wav"\n2, b.wav\n',
        b"file,reference_id\na.wav,1\nb.wav,2",
    ],
    ids=["mark and CRLF", "semicolons", "quotes and spaces", "no last newline"],
)
def test_lists_as_spreadsheets_write_them_are_read(room: Path, text: bytes) -> None:
    assert [(one.reference, one.file) for one in listed(room, text)] == [
        ("1", (room / "a.wav").resolve()),
        ("2", (room / "b.wav").resolve()),
    ]


def test_json_lines_say_the_same(room: Path) -> None:
    text = '{"reference_id": "1", "file": "a.wav", "language": "de"}\n\n{"url": "https://h.example/b.mp3"}\n'
    one, two = listed(room, text, "list.jsonl")
    assert (one.reference, one.language, two.reference, two.line) == ("1", "de", "b.mp3", 3)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("1,missing.wav,,", "missing.wav: no such file or directory"),
        ("1,.,,", "is not a file"),
        ("1,a.wav,https://h.example/a.mp3,", "it has both file and url"),
        ("1,,,", "it has neither file nor url"),
        ("1,,ftp://h.example/a.mp3,", "its url does not begin with https://"),
        ("1,,https://[::1/a,", "its url is none"),
        ("1,a.wav,,english", "'english' is no code of a language"),
        ("1,a.wav,,en,more", "5 values for 4 columns"),
        (f"{'x' * 129},a.wav,,", "longer than 128 characters"),
        ("1,a\0.wav,,", "file holds a NUL"),
    ],
)
def test_what_is_wrong_with_a_line_is_said_with_its_number(room: Path, line: str, why: str) -> None:
    padding = "".join(f"{n},a.wav,,\n" for n in range(100, 700))
    (said,) = refused(room, f"reference_id,file,url,language\n{padding}{line}\n")
    assert said.startswith("line 602: ")
    assert why in said


def test_all_mistakes_are_named_at_once_and_the_rest_is_counted(room: Path) -> None:
    lines = refused(room, "file\n" + "missing.wav\n" * 30)
    assert len(lines) == 21
    assert lines[0].startswith("line 2: ")
    assert lines[-1] == "… and 10 more"


def test_a_name_that_stands_there_twice_is_refused_with_both_lines(room: Path) -> None:
    (said,) = refused(room, "reference_id,file\nsame,a.wav\nsame,b.wav\n")
    assert said == "line 3: reference 'same' stands in line 2 already: give each its own"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("reference_id,path\n1,a.wav\n", "line 1: 'path' is no column"),
        ("file,file\na.wav,b.wav\n", "line 1: the column file stands there twice"),
        ('file\n"a.wav\n', "line 2: "),
        ("", "it lists no recording"),
        ("file\n", "it lists no recording"),
        ("file\na.wav\n".encode("utf-16"), "it is not UTF-8 (UTF-16"),
        ("file\na.wav\n".encode("utf-16-le"), "it is not UTF-8 (UTF-16"),
        ("file\na.wav\nm\xfcll.wav\n".encode("latin-1"), "line 3: it is not UTF-8"),
        ("file\n" + "x" * 200_000 + "\n", "line 2: field larger than field limit"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused_as_a_whole(room: Path, text: str | bytes, why: str) -> None:
    (said,) = refused(room, text)
    assert why in said


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("[1]", "it is not a JSON object"),
        ('{"file": "a.wav"', "it is not a JSON object"),
        ("[" * 100_000, "it is not a JSON object"),
        ('{"file": 3}', "file is not a string"),
        ('{"file": "a.wav", "path": "b"}', "'path' is no field"),
        ('{"file": "a.wav", "reference_id": "\\ud800"}', "it is not a JSON object"),
    ],
)
def test_a_json_line_that_is_wrong_is_named(room: Path, line: str, why: str) -> None:
    (said,) = refused(room, f'{{"file": "b.wav"}}\n{line}\n', "list.jsonl")
    assert said.startswith("line 2: ")
    assert why in said


def test_nothing_in_a_list_moves_the_cursor(room: Path) -> None:
    (said,) = refused(room, "file\n\x1b[2Jgone.wav\n")
    assert "\x1b" not in said


def test_a_folder_is_all_recordings_below_it_in_order(tmp_path: Path) -> None:
    for name in ("b/two.MP3", "a.wav", "b/.hidden.wav", ".dark/three.wav", "notes.pdf", "b/list.txt"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"x")
    entries, others = entries_of(tmp_path)
    assert [entry.reference for entry in entries] == ["a.wav", "b/two.MP3"]
    assert others == {".pdf": 1, ".txt": 1}


def test_names_of_files_that_are_too_long_or_no_text_become_names_that_the_server_takes(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    (deep / "a.wav").write_bytes(b"x")
    (deep / "b.wav").write_bytes(b"x")
    Path(str(tmp_path / "odd") + "\udcff.wav").write_bytes(b"x")
    references = [entry.reference for entry in entries_of(tmp_path)[0]]
    assert len(set(references)) == 3
    assert all(len(reference.encode()) <= 128 for reference in references)


@pytest.mark.parametrize(("name", "why"), [("nowhere", "it does not exist"), ("a.wav", "name a folder, or a list")])
def test_what_is_neither_folder_nor_list_is_refused(room: Path, name: str, why: str) -> None:
    with pytest.raises(BadManifest, match=why):
        entries_of(room / name)
