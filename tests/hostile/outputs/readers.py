"""Somebody else's libraries, and what they find in our files: who says what, and when."""

from __future__ import annotations

import html
import io
import json
import re
import zipfile
from collections.abc import Callable
from typing import NamedTuple
from xml.etree import ElementTree as ET

import docx
import pysubs2
import webvtt

from tests.unit.render.samples import said, segment, transcript
from tiro.model.transcript import Transcript
from tiro.render import FORMATS

_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_SRT_SHOWN = str.maketrans({"<": "‹", ">": "›", "{": "｛", "}": "｝"})


class Read(NamedTuple):
    """The text of all that is shown, in order, without spaces; and the times of what has times, in milliseconds."""

    text: str
    times: list[tuple[int, int]]


def surrounded(heard: str) -> Transcript:
    """One speaker says it, between two words; another speaks after that."""
    words = segment(["before", heard, "after"], [(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)], 0)
    return transcript([words, said("The end.", 3.0, 1)])


def written(read: str) -> str:
    """What is to be found of `surrounded`, without spaces."""
    return bare(f"before{read}after The end.")


def bare(text: str) -> str:
    return "".join(text.split())


def _srt(data: bytes) -> Read:
    events = pysubs2.SSAFile.from_string(data.decode(), format_="srt").events
    assert {event.type for event in events} == {"Dialogue"}
    text = "".join(event.text.replace("\\N", "") for event in events)
    return Read(bare(text), [(event.start, event.end) for event in events])


def _vtt(data: bytes) -> Read:
    captions = webvtt.from_buffer(io.StringIO(data.decode()))
    assert not captions.styles
    assert {caption.voice for caption in captions} == {"speaker_0", "speaker_1"}
    times = [(_ms(caption.start_time), _ms(caption.end_time)) for caption in captions]
    return Read(bare(html.unescape("".join(caption.text for caption in captions))), times)


def _ms(time: webvtt.models.Timestamp) -> int:
    return ((time.hours * 60 + time.minutes) * 60 + time.seconds) * 1000 + time.milliseconds


def _docx(data: bytes) -> Read:
    paragraphs = docx.Document(io.BytesIO(data)).paragraphs
    assert [head.text for head in paragraphs[::2]] == ["speaker_0  00:00:00", "speaker_1  00:00:03"]
    return Read(bare("".join(said.text for said in paragraphs[1::2])), [])


def _docx_as_xml(data: bytes) -> Read:
    """By the standard library alone: a zip of well-formed XML, whose every text is of our making."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        parts = {name: archive.read(name) for name in archive.namelist() if name.endswith((".xml", ".rels"))}
    document = {name: ET.fromstring(part) for name, part in parts.items()}["word/document.xml"]
    assert not list(document.iter(f"{_WORD}instrText"))
    assert not list(document.iter(f"{_WORD}hyperlink"))
    paragraphs = ["".join(text.text or "" for text in found.iter(f"{_WORD}t")) for found in document.iter(f"{_WORD}p")]
    return Read(bare("".join(paragraphs[1::2])), [])


def _txt(data: bytes) -> Read:
    one, other = data.decode().removesuffix("\n").split("\n\n")
    assert other == "speaker_1: The end."
    return Read(bare(one.removeprefix("speaker_0: ") + other.removeprefix("speaker_1: ")), [])


READERS: dict[str, tuple[str, Callable[[bytes], Read]]] = {
    "txt": ("txt", _txt),
    "srt by pysubs2": ("srt", _srt),
    "vtt by webvtt-py": ("vtt", _vtt),
    "docx by python-docx": ("docx", _docx),
    "docx by ElementTree": ("docx", _docx_as_xml),
}


def read_back(reader: str, made: Transcript) -> Read:
    """The transcript written by us and read by them."""
    name, read = READERS[reader]
    return read(FORMATS[name].render(made))


def expected_of(reader: str, read: str) -> str:
    """SubRip knows no escapes: what would be a tag or a time is shown with signs that look like it."""
    if not reader.startswith("srt"):
        return written(read)
    # the reader's own word for a line break, which it cannot tell from one that was said
    shown = written(read).translate(_SRT_SHOWN).replace("\\N", "")
    return re.sub(r"\d+:\d+:\d+[.,]\d", lambda stamp: stamp[0].replace(":", "∶"), shown)


def json_of(data: bytes) -> list[str]:
    """The words of the JSON."""
    return [word["text"] for part in json.loads(data)["segments"] for word in part["words"]]
