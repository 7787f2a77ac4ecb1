"""Which files a transcript can be had as. A new one is a function and a line here."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tiro.model.transcript import AnyTranscript
from tiro.render.neutral import json
from tiro.render.subtitles import srt, vtt
from tiro.render.text import txt
from tiro.render.word_file import docx


class Format(msgspec.Struct, frozen=True):
    """A kind of file: its name in requests, how browsers know it, its ending, and the pure function that makes it."""

    name: str
    media_type: str
    extension: str
    render: Callable[[AnyTranscript], bytes]


_DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

FORMATS: dict[str, Format] = {
    made.name: made
    for made in (
        Format("json", "application/json", "json", json),
        Format("txt", "text/plain; charset=utf-8", "txt", txt),
        Format("srt", "application/x-subrip", "srt", srt),
        Format("vtt", "text/vtt", "vtt", vtt),
        Format("docx", _DOCX, "docx", docx),
    )
}
"""By name."""
