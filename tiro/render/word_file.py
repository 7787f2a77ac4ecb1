"""How a transcript becomes a Word document: name, time and text per turn. The same transcript gives the same bytes."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tiro.model.transcript import AnyTranscript, speaker_label
from tiro.render.words import Spoken, clean, spoken

if TYPE_CHECKING:
    from docx.document import Document
    from docx.oxml.xmlchemy import BaseOxmlElement

_STILL = datetime(2000, 1, 1, tzinfo=UTC)
_ZIP_STILL = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE = 0o600 << 16


def docx(transcript: AnyTranscript) -> bytes:
    """Office Open XML. Without a known speaker a turn has only its time."""
    import docx as library

    document = library.Document()
    _describe(document, transcript)
    end = document.element.body.sectPr
    for turn in spoken(transcript):
        for paragraph in _paragraphs(document, turn):
            # the library's own way to append looks through all that is there already
            end.addprevious(paragraph)
    stream = io.BytesIO()
    document.save(stream)
    return _stable(stream.getvalue())


def _describe(document: Document, transcript: AnyTranscript) -> None:
    about = document.core_properties
    about.title = "Transcript"
    about.author = about.last_modified_by = "Tiro"
    about.comments = ""
    about.language = clean(transcript.language or "")[:16]
    about.created = about.modified = _STILL
    about.revision = 1


def _paragraphs(document: Document, turn: Spoken) -> tuple[BaseOxmlElement, ...]:
    """A line of name and time that stays with the paragraph below it, and that one."""
    from docx.oxml.parser import OxmlElement
    from docx.text.paragraph import Paragraph

    elements = OxmlElement("w:p"), OxmlElement("w:p")
    head, said = (Paragraph(element, document) for element in elements)
    head.paragraph_format.keep_with_next = True
    if turn.speaker is not None:
        head.add_run(speaker_label(turn.speaker)).bold = True
        head.add_run("  ")
    head.add_run(clock_time(turn.start_s)).italic = True
    said.add_run(turn.text)
    return elements


def clock_time(start_s: float) -> str:
    """`HH:MM:SS`, rounded down."""
    minutes, seconds = divmod(int(start_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}"


def _stable(archive: bytes) -> bytes:
    """The same archive with every member's time and rights fixed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            member = zipfile.ZipInfo(name, _ZIP_STILL)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system = 3
            member.external_attr = _REGULAR_FILE
            new.writestr(member, old.read(name))
    return stream.getvalue()
