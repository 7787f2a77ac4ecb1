"""Do foreign readers find in our files what was said, all of it, once, in order, and nothing that acts on them?"""

from __future__ import annotations

import html
import io
import json
import re
import zipfile
from pathlib import Path

import docx
import msgspec
import pysubs2
import pytest
import webvtt
from hypothesis import given

from tests.unit.render.samples import HOSTILE, SAMPLE, ordered, patient, said, segment, transcript, wild
from tiro.model.transcript import Segment, StoredTranscript, Transcript
from tiro.render import FORMATS
from tiro.render.cues import cues
from tiro.render.words import spoken

GOLDEN = Path(__file__).parent / "golden"
_SRT_SHOWN = str.maketrans({"<": "‹", ">": "›", "{": "｛", "}": "｝", "∶": ":"})
"""Tags and braces by signs that look like them; a time that was said has signs of ratio for its colons."""


def render(name: str, made: Transcript) -> bytes:
    return FORMATS[name].render(made)


def bare(text: str) -> str:
    return "".join(text.split())


def words(made: Transcript) -> str:
    """All that is said, without spaces, in the order in which cues show it."""
    return bare("".join("".join(cue.lines) for cue in cues(made)))


def srt_read(data: bytes) -> list[tuple[int, int, str]]:
    """A strict reader of SubRip: blocks, a number, a time line, text."""
    blocks = data.decode().split("\n\n") if data else []
    read = []
    for number, block in enumerate(blocks, 1):
        count, times, *lines = block.rstrip("\n").split("\n")
        assert count == str(number)
        found = re.fullmatch(r"(\d\d+):(\d\d):(\d\d),(\d{3}) --> (\d\d+):(\d\d):(\d\d),(\d{3})", times)
        assert found, times
        h1, m1, s1, t1, h2, m2, s2, t2 = map(int, found.groups())
        assert 1 <= len(lines) <= 2
        assert all(lines)
        read.append((((h1 * 60 + m1) * 60 + s1) * 1000 + t1, ((h2 * 60 + m2) * 60 + s2) * 1000 + t2, "\n".join(lines)))
    return read


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_read_from_the_store_looks_the_same(name: str) -> None:
    """Its segments are made one by one."""
    stored = msgspec.json.decode(msgspec.json.encode(SAMPLE), type=StoredTranscript)
    assert FORMATS[name].render(stored) == render(name, SAMPLE)


@pytest.mark.parametrize("name", ["txt", "srt", "vtt", "json"])
def test_the_sample_looks_as_it_did(name: str) -> None:
    assert render(name, SAMPLE).decode() == (GOLDEN / f"sample.{name}").read_text()


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_transcript_gives_the_same_bytes(name: str) -> None:
    assert render(name, SAMPLE) == render(name, SAMPLE)


@pytest.mark.parametrize("name", FORMATS)
@patient
@given(made=wild)
def test_nothing_said_by_anyone_breaks_a_format(name: str, made: Transcript) -> None:
    render(name, made)


@pytest.mark.parametrize("name", ["txt", "srt", "vtt"])
@patient
@given(made=wild)
def test_no_control_characters_and_no_overrides_reach_a_text_file(name: str, made: Transcript) -> None:
    shown = render(name, made).decode()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]", shown)


@patient
@given(ordered)
@pytest.mark.promise("J47")
def test_txt_is_a_paragraph_per_turn(made: Transcript) -> None:
    text = render("txt", made).decode()
    turns = spoken(made)
    paragraphs = text.removesuffix("\n").split("\n\n") if text else []
    assert len(paragraphs) == len(turns)
    for paragraph, turn in zip(paragraphs, turns, strict=True):
        label = "" if turn.speaker is None else f"speaker_{turn.speaker}: "
        assert paragraph == label + turn.text


@patient
@given(ordered)
@pytest.mark.promise("J47")
def test_srt_reads_back_strictly(made: Transcript) -> None:
    read = srt_read(render("srt", made))
    assert [(start, end) for start, end, _ in read] == [(cue.start_ms, cue.end_ms) for cue in cues(made)]
    assert bare("".join(text for _, _, text in read)).translate(_SRT_SHOWN) == words(made).translate(_SRT_SHOWN)


@patient
@given(ordered)
@pytest.mark.promise("J47")
def test_srt_reads_back_by_pysubs2(made: Transcript) -> None:
    shown = cues(made)
    read = pysubs2.SSAFile.from_string(render("srt", made).decode(), format_="srt")
    assert len(read) == len(shown)
    for event, cue in zip(read, shown, strict=True):
        if cue.end_ms < 100 * 3_600_000:  # its hours have two digits
            assert (event.start, event.end) == (cue.start_ms, cue.end_ms)
        expected = "\\N".join(cue.lines).translate(_SRT_SHOWN)
        # its reader takes a last line of digits for the number of a cue that follows
        assert event.text.translate(_SRT_SHOWN) in {expected, re.sub(r"\\N\d+$", "", expected)}


@patient
@given(ordered)
@pytest.mark.promise("J47")
def test_vtt_reads_back_by_webvtt(made: Transcript) -> None:
    shown = cues(made)
    read = webvtt.from_buffer(io.StringIO(render("vtt", made).decode()))
    assert len(read) == len(shown)
    for caption, cue in zip(read, shown, strict=True):
        assert html.unescape(caption.text) == "\n".join(cue.lines)
        assert caption.voice == (None if cue.speaker is None else f"speaker_{cue.speaker}")
        assert round(caption.start_in_seconds) == cue.start_ms // 1000 or caption.start.endswith(
            f"{cue.start_ms % 1000:03d}"
        )


def test_vtt_holds_no_tag_but_our_own() -> None:
    shown = render("vtt", transcript([said(" ".join(HOSTILE), 0, 3)])).decode()
    assert set(re.findall(r"<[^>]*>", shown)) == {"<v speaker_3>"}
    assert not re.search(r"&(?!amp;|lt;|gt;)", shown)


def test_srt_holds_no_tag_and_no_second_arrow() -> None:
    shown = render("srt", transcript([said(" ".join(HOSTILE), 0, 3)])).decode()
    assert not re.search(r"[<{}]", shown)
    assert all(re.match(r"\d\d:", line) for line in shown.split("\n") if "-->" in line)
    assert all("-->" in line for line in shown.split("\n") if re.search(r"\d+:\d+:\d+[.,]\d", line))


@patient
@given(ordered)
@pytest.mark.promise("J47")
def test_docx_reads_back_by_python_docx(made: Transcript) -> None:
    document = docx.Document(io.BytesIO(render("docx", made)))
    heads, texts = document.paragraphs[::2], document.paragraphs[1::2]
    turns = spoken(made)
    assert [paragraph.text for paragraph in texts] == [turn.text for turn in turns]
    for head, turn in zip(heads, turns, strict=True):
        label = "" if turn.speaker is None else f"speaker_{turn.speaker}  "
        assert re.fullmatch(re.escape(label) + r"\d\d+:\d\d:\d\d", head.text)


def test_docx_carries_no_time_and_no_name_of_this_machine() -> None:
    with zipfile.ZipFile(io.BytesIO(render("docx", SAMPLE))) as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        about = archive.read("docProps/core.xml").decode()
    assert "2000-01-01T00:00:00Z" in about
    assert "python-docx" not in about


@patient
@given(ordered)
def test_json_is_the_transcript(made: Transcript) -> None:
    read = msgspec.json.decode(render("json", made), type=Transcript)
    whole = json.loads(render("json", made))
    assert [segment["speaker"] for segment in whole["segments"]] == [segment.speaker for segment in made.segments]
    if "\ud800" not in "".join(segment.text for segment in made.segments):
        assert read == made


@pytest.mark.parametrize("name", FORMATS)
def test_every_word_is_there_once_and_in_order(name: str) -> None:
    texts = [f"w{number}" for number in range(700)]
    made = transcript(said(" ".join(texts[at : at + 25]), at * 0.5, at // 25 % 3, 0.4) for at in range(0, 700, 25))
    data = render(name, made)
    if name == "docx":
        text = "\n".join(paragraph.text for paragraph in docx.Document(io.BytesIO(data)).paragraphs)
    elif name == "json":
        text = " ".join(part["text"] for part in json.loads(data)["segments"])
    else:
        text = data.decode()
    assert re.findall(r"\bw\d+\b", text) == texts


@pytest.mark.parametrize("name", FORMATS)
def test_an_empty_transcript_is_a_valid_file(name: str) -> None:
    data = render(name, transcript([]))
    match name:
        case "txt" | "srt":
            assert data == b""
        case "vtt":
            assert len(webvtt.from_buffer(io.StringIO(data.decode()))) == 0
        case "json":
            assert json.loads(data)["segments"] == []
        case "docx":
            assert docx.Document(io.BytesIO(data)).paragraphs == []


def test_text_without_words_is_shown_all_the_same() -> None:
    made = transcript([Segment(0, 10, "only the text is known", 0, 0.5, "scripted")])
    assert render("txt", made) == b"speaker_0: only the text is known\n"
    assert [bare(text) for _, _, text in srt_read(render("srt", made))] == ["onlythetext", "isknown"]


def test_unknown_speakers_have_no_label_and_a_paragraph_per_pause() -> None:
    made = transcript([said("one", 0, None), said("two", 0.4, None), said("three", 9, None)])
    assert render("txt", made) == b"one two\n\nthree\n"
    assert b"<v" not in render("vtt", made)


def test_a_line_of_a_stranger_cannot_pass_for_a_speaker() -> None:
    made = transcript([segment(["yes\n\nspeaker_1:", "no"], [(0, 1), (1, 2)], 0)])
    assert render("txt", made) == b"speaker_0: yes speaker_1: no\n"
